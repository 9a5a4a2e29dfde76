"""Did the clarification turn the price? The post window parted at the day on which it was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.statistics.dates import FEWEST_DATES, sign_flip_p, sign_vectors
from eventstudy.events import Events
from eventstudy.exchanges.calendars import Alignment
from eventstudy.messages import say
from eventstudy.reversal.dates import date_means
from eventstudy.reversal.history import day_codes
from eventstudy.reversal.labels import chronology
from eventstudy.reversal.permutation import rank_among
from eventstudy.reversal.shocks import Judgement
from eventstudy.shocks import together

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clarification:
    """One clarification of a shock of the headline group.

    Attributes
    ----------
    delay : int
        Sessions from day 0 to its own first session, on the exchange where it is longest.
    car_before, car_at, car_after : float
        CAR over [+2, c-1], [c, c+1] and [c+2, +20]; NaN for a part that does not exist.
    speedup : float
        D, mean AR a day from c on less that before c.
    speedup_placebos, p_value : float
        Mean D of the shock's placebo drops parted at the same day, and the two-sided p of the place of D
        among them, see `permutation.rank_among`.
    attributed : bool
        Whether a reversal may be put down to it; ``reason`` says why not.
    """

    event_id: str
    shock_id: str
    flag: str
    delay: int
    car_before: float
    car_at: float
    car_after: float
    speedup: float
    speedup_placebos: float
    n_placebos: int
    p_value: float
    attributed: bool
    reason: str


def clarifications(
    judgement: Judgement, events: Events, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> list[Clarification]:
    """Part the post window of every clarified shock and say what may be put down to the answer.

    Notes
    -----
    A reversal is attributed only where the answer came after the drop had ended, the CARs over
    [c, c+1] of all answers differ from zero over dates (sign-flip), and prices were not already
    recovering before the answer. Firms answer later after longer falls, so the placebo drops of the
    same shock are parted at the same day.
    """
    flags = {row["event_id"]: row["flag"] for row in chronology(events, alignments, config)}
    known = {str(name): k for k, name in enumerate(judgement.drops.shock_id)}
    found = []
    for event in dict.fromkeys(together(events).values()):
        if not event.clarifies:
            continue
        shock = known.get(events.by_id(event.clarifies).shock_id)
        if shock is None:
            continue
        delay = _delay(judgement, shock, event.event_id, alignments)
        found.append(_parted(judgement, shock, event.event_id, flags[event.event_id], delay))
    return _with_attribution(found, judgement, config)


def _delay(judgement: Judgement, k: int, event_id: str, alignments: Mapping[tuple[str, str], Alignment]) -> int:
    """Sessions between day 0 and the first session after the answer, the longest over the exchanges."""
    panel = judgement.portfolios.abnormal.panel
    first, last = judgement.portfolios.spans()[k]
    found = []
    for row in judgement.portfolios.members[first:last]:
        alignment = alignments.get((event_id, str(panel.market[row])))
        if alignment is not None:
            grid = day_codes(judgement.history.panel.markets[str(panel.market[row])].sessions)
            answered = int(day_codes(np.array([alignment.session], dtype="datetime64[D]"))[0])
            found.append(int(np.searchsorted(grid, answered) - np.searchsorted(grid, panel.day0[row])))
    return max(found, default=0)


def _parted(judgement: Judgement, k: int, event_id: str, flag: str, delay: int) -> Clarification:
    windows = judgement.history.config.windows
    shock = str(judgement.drops.shock_id[k])
    nothing = Clarification(
        event_id=event_id,
        shock_id=shock,
        flag=flag,
        delay=delay,
        car_before=NAN,
        car_at=NAN,
        car_after=NAN,
        speedup=NAN,
        speedup_placebos=NAN,
        n_placebos=0,
        p_value=NAN,
        attributed=False,
        reason="",
    )
    if not windows.post[0] < delay < windows.post[1]:
        return nothing
    parts = parts_of(judgement.portfolios, delay, windows.post)
    before, at, after, speedup = (float(values[k]) for values in parts)
    if judgement.sets is None or not len(judgement.sets.placebos[k]):
        return Clarification(
            event_id=event_id,
            shock_id=shock,
            flag=flag,
            delay=delay,
            car_before=before,
            car_at=at,
            car_after=after,
            speedup=speedup,
            speedup_placebos=NAN,
            n_placebos=0,
            p_value=NAN,
            attributed=False,
            reason="",
        )
    others = parts_of(judgement.sets.portfolios, delay, windows.post)[3][judgement.sets.placebos[k]]
    others = others[np.isfinite(others)]
    place = rank_among(speedup, others)
    p = place.p_value if place else NAN
    return Clarification(
        event_id=event_id,
        shock_id=shock,
        flag=flag,
        delay=delay,
        car_before=before,
        car_at=at,
        car_after=after,
        speedup=speedup,
        speedup_placebos=float(others.mean()),
        n_placebos=len(others),
        p_value=p,
        attributed=False,
        reason="",
    )


def parts_of(
    portfolios: ShockPortfolios, delay: int, post: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """CARs before, at and after an answer on day ``delay`` and the gain in mean AR a day, each (K,)."""
    before = portfolios.car((post[0], delay - 1))
    at = portfolios.car((delay, min(delay + 1, post[1])))
    after = portfolios.car((delay + 2, post[1])) if delay + 2 <= post[1] else np.zeros(len(portfolios))
    speedup = (at + after) / (post[1] - delay + 1) - before / (delay - post[0])
    return before, at, after, speedup


def _with_attribution(found: Sequence[Clarification], judgement: Judgement, config: StudyConfig) -> list[Clarification]:
    days = dict(zip(judgement.drops.shock_id.tolist(), judgement.drops.day0.tolist(), strict=True))
    # Answers to one shock on one day are the same days of the same prices: they count once.
    usable = {(r.shock_id, r.delay): r.car_at for r in found if not r.flag and np.isfinite(r.car_at)}
    answered = np.array([days[shock] * 1_000 + delay for shock, delay in usable], dtype=np.int32)
    at = date_means(answered, np.array(list(usable.values()), dtype=np.float64))
    p = NAN
    if len(at) > 1:
        rng = np.random.default_rng(config.study.seed)
        p = sign_flip_p(at, sign_vectors(len(at), draws=config.tests.draws, rng=rng))
    judged = []
    for row in found:
        reason = _reason(row, len(at), p, config)
        fields = {name: getattr(row, name) for name in row.__dataclass_fields__}
        judged.append(Clarification(**{**fields, "attributed": not reason, "reason": reason}))
    return judged


def _reason(row: Clarification, n_dates: int, p: float, config: StudyConfig) -> str:
    """Why a reversal may not be put down to this answer; empty where it may."""
    if row.flag == "PRECEDES_DROP":
        return say("answer.precedes")
    if row.flag == "SAME_SESSION":
        return say("answer.same_session")
    if row.delay <= config.windows.drop[1]:
        return say("answer.in_drop", day=row.delay)
    if not np.isfinite(row.car_at) and row.delay == config.windows.post[0]:
        return say("answer.first_day", day=row.delay)
    if not np.isfinite(row.car_at):
        return say("answer.outside", day=row.delay)
    if n_dates < FEWEST_DATES:
        return say("answer.few_one" if n_dates == 1 else "answer.few", n=n_dates)
    if not p <= config.tests.level:
        return say("answer.no_effect", p=p, k=n_dates)
    return say("answer.recovering") if row.car_before > 0 else ""
