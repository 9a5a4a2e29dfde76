"""Price reaction to a clarification: the post window before and after its day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.dates import FEWEST_DATES, sign_flip_p, sign_vectors
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.exchanges.calendars import Alignment
from eventstudy.reversal.history import day_codes
from eventstudy.reversal.labels import chronology
from eventstudy.reversal.permutation import date_means, rank_among
from eventstudy.reversal.study_shocks import Shocks
from eventstudy.shocks import together

NAN = float("nan")
NO_REASON = Reason()


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
    car_before: float = NAN
    car_at: float = NAN
    car_after: float = NAN
    speedup: float = NAN
    speedup_placebos: float = NAN
    n_placebos: int = 0
    p_value: float = NAN
    attributed: bool = False
    reason: Reason = NO_REASON


def clarifications(
    shocks: Shocks, events: Events, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> list[Clarification]:
    """Part the post window of every clarified shock and say what may be put down to the answer.

    Notes
    -----
    A reversal is attributed only where the answer came after the drop had ended, the CARs over
    [c, c+1] of all answers differ from zero over dates (sign-flip), and prices were not already
    recovering before the answer. Firms answer later after longer falls, so the placebo drops of the
    same shock are parted at the same day.
    """
    flags = {row["event_id"]: str(row["flag"]) for row in chronology(events, alignments, config)}
    number = {str(name): k for k, name in enumerate(shocks.drops.shock_id)}
    rows = []
    for event in dict.fromkeys(together(events).values()):
        shock = events.by_id(event.clarifies).shock_id if event.clarifies else ""
        if shock in number:
            row = Clarification(
                event_id=event.event_id,
                shock_id=shock,
                flag=flags[event.event_id],
                delay=_delay(shocks, number[shock], event.event_id, alignments),
            )
            rows.append(_parted(shocks, number[shock], row, config.windows.post))
    return _with_attribution(rows, shocks, config)


def _delay(shocks: Shocks, k: int, event_id: str, alignments: Mapping[tuple[str, str], Alignment]) -> int:
    """Sessions between day 0 and the first session after the answer, the longest over the exchanges."""
    panel = shocks.portfolios.abnormal.panel
    first, last = shocks.portfolios.spans()[k]
    delays = []
    for row in shocks.portfolios.members[first:last]:
        alignment = alignments.get((event_id, str(panel.market[row])))
        if alignment is not None:
            grid = day_codes(shocks.history.panel.markets[str(panel.market[row])].sessions)
            answered = int(day_codes(np.array([alignment.session], dtype="datetime64[D]"))[0])
            delays.append(int(np.searchsorted(grid, answered) - np.searchsorted(grid, panel.day0[row])))
    return max(delays, default=0)


def _parted(shocks: Shocks, k: int, row: Clarification, post: tuple[int, int]) -> Clarification:
    """Return the row with the CARs of its shock's parts, and how its placebos did."""
    if not post[0] < row.delay < post[1]:
        return row
    before, at, after, speedup = (float(values[k]) for values in parts_of(shocks.portfolios, row.delay, post))
    row = replace(row, car_before=before, car_at=at, car_after=after, speedup=speedup)
    if shocks.sets is None or not len(shocks.sets.placebos[k]):
        return row
    others = parts_of(shocks.sets.portfolios, row.delay, post)[3][shocks.sets.placebos[k]]
    others = others[np.isfinite(others)]
    rank = rank_among(speedup, others)
    p = rank.p_value if rank else NAN
    return replace(row, speedup_placebos=float(others.mean()), n_placebos=len(others), p_value=p)


def parts_of(portfolios: ShockPortfolios, delay: int, post: tuple[int, int]) -> tuple[Floats, Floats, Floats, Floats]:
    """CARs before, at and after an answer on day ``delay`` and the gain in mean AR a day, each (K,)."""
    before = portfolios.car((post[0], delay - 1))
    at = portfolios.car((delay, min(delay + 1, post[1])))
    after = portfolios.car((delay + 2, post[1])) if delay + 2 <= post[1] else np.zeros(len(portfolios))
    speedup = (at + after) / (post[1] - delay + 1) - before / (delay - post[0])
    return before, at, after, speedup


def _with_attribution(rows: Sequence[Clarification], shocks: Shocks, config: StudyConfig) -> list[Clarification]:
    days = dict(zip(shocks.drops.shock_id.tolist(), shocks.drops.day0.tolist(), strict=True))
    # Answers to one shock on one day are the same days of the same prices: they count once.
    usable = {(r.shock_id, r.delay): r.car_at for r in rows if not r.flag and np.isfinite(r.car_at)}
    answered = np.array([days[shock] * 1_000 + delay for shock, delay in usable], dtype=np.int32)
    at = date_means(answered, np.array(list(usable.values()), dtype=np.float64))
    p = NAN
    if len(at) > 1:
        rng = np.random.default_rng(config.study.seed)
        p = sign_flip_p(at, sign_vectors(len(at), draws=config.tests.draws, rng=rng))
    reasons = [_reason(row, len(at), p, config) for row in rows]
    return [replace(row, attributed=not why, reason=why) for row, why in zip(rows, reasons, strict=True)]


def _reason(row: Clarification, n_dates: int, p: float, config: StudyConfig) -> Reason:
    """Why a reversal may not be put down to this answer; empty where it may."""
    if row.flag == "PRECEDES_DROP":
        return Reason("answer.precedes")
    if row.flag == "SAME_SESSION":
        return Reason("answer.same_session")
    if row.delay <= config.windows.drop[1]:
        return Reason("answer.in_drop", day=row.delay)
    if not np.isfinite(row.car_at):
        return Reason("answer.first_day" if row.delay == config.windows.post[0] else "answer.outside", day=row.delay)
    if n_dates < FEWEST_DATES:
        return Reason("answer.few_one" if n_dates == 1 else "answer.few", n=n_dates)
    if not p <= config.tests.level:
        return Reason("answer.no_effect", p=p, k=n_dates)
    return Reason("answer.recovering" if row.car_before > 0 else "")
