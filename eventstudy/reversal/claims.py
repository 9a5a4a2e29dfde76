"""Compare claimed price moves with prices, and measure returns around clarifications."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Peer, StudyConfig
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.dates import FEWEST_DATES, sign_flip_p, sign_vectors
from eventstudy.errors import EventsError, Problem, Reason, nearest
from eventstudy.events import TICKER, Events, read_records
from eventstudy.exchanges.calendars import Alignment
from eventstudy.prices import PriceSeries, PriceTable
from eventstudy.reversal.history import day_codes
from eventstudy.reversal.labels import chronology
from eventstudy.reversal.permutation import date_means, rank_among
from eventstudy.reversal.question import Shocks
from eventstudy.shocks import together

COLUMNS = ("claim_id", "ticker", "name", "date", "date_to", "claimed", "comparison", "source", "source_url", "notes")
REQUIRED = ("claim_id", "ticker", "claimed")
COMPARISONS = ("about", "at_least", "at_most")
#: Claims without a size: only the direction is compared with the prices.
DIRECTIONS = {"fall": -1.0, "rise": 1.0}
CONFIRMED, REFUTED, NOT_TESTABLE = "confirmed", "refuted", "not testable"
#: Tolerance of "about", because reports round: one point, or a tenth of the move.
ROUNDING, ROUNDING_SHARE = 0.01, 0.10
#: Half a tenth of a point, for rounding of prices.
TICK = 0.0005
#: A claim is refuted if the move has the right sign but differs by more than half of the claimed size.
REFUTED_BEYOND = 0.5
#: Sessions around the claimed date that are searched for a better match.
NEARBY = 5
NAN, NO_REASON = float("nan"), Reason()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement on one security's daily move; ``claimed`` is a decimal return.

    The move is claimed for one session of the range that ends with ``date_to``. ``comparison`` refers to the size of
    the move: at_least means that it was as large or larger. A claim without a number has NaN in ``claimed`` and its
    direction, fall or rise, in ``comparison``.
    """

    claim_id: str
    ticker: str
    name: str
    date: dt.date | None
    date_to: dt.date | None
    claimed: float
    comparison: str
    source: str = ""
    source_url: str = ""
    notes: str = ""
    line: int = 0

    @property
    def sign(self) -> float:
        """Direction of the claimed move: -1 for a fall, 1 for a rise."""
        return DIRECTIONS.get(self.comparison, float(np.sign(self.claimed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimVerdict:
    """Result of the check of one claim.

    ``verdict`` is confirmed, off by x points, refuted, or not testable; ``session`` and ``actual`` are
    the session of the claimed range that fits best and its return, ``nearby_session`` the best fit up to five sessions
    beyond; ``off_by`` is actual minus claimed, NaN if no number was claimed.
    """

    claim: Claim
    verdict: Reason | str
    session: str = ""
    actual: float = NAN
    off_by: float = NAN
    nearby_session: str = ""
    nearby_return: float = NAN
    reason: Reason = NO_REASON


def read_claims(path: Path) -> tuple[Claim, ...]:
    """Read and check a claims file.

    Raises
    ------
    EventsError
        With every problem found, each with its line.
    """
    problems: list[Problem] = []
    claims: list[Claim] = []
    for line, cells in read_records(path, COLUMNS, REQUIRED):
        wrong: list[str] = []
        claim = _claim({column: cells.get(column, "") for column in COLUMNS}, line, wrong)
        problems += [Problem(text, str(path), line) for text in wrong]
        claims.append(claim)
    names = [claim.claim_id for claim in claims]
    for claim in claims:
        if names.count(claim.claim_id) > 1 and names.index(claim.claim_id) != claims.index(claim):
            problems.append(Problem(f"claim_id {claim.claim_id!r} occurs twice", str(path), claim.line))
    if problems:
        raise EventsError(sorted(problems, key=lambda problem: problem.line or 0))
    return tuple(claims)


def _claim(cells: Mapping[str, str], line: int, wrong: list[str]) -> Claim:
    if not cells["claim_id"]:
        wrong.append("claim_id is empty; give each claim a name")
    comparison = cells["comparison"] or "about"
    if comparison not in COMPARISONS:
        wrong.append(f"comparison {comparison!r}; {nearest(comparison, COMPARISONS)}")
    if cells["claimed"] in DIRECTIONS:
        comparison = cells["claimed"]
    dates = [_date(cells[column], column, wrong) for column in ("date", "date_to")]
    if dates[0] and dates[1] and dates[1] < dates[0]:
        wrong.append(f"date_to {dates[1]} lies before date {dates[0]}")
    return Claim(
        claim_id=cells["claim_id"],
        ticker=_ticker(cells["ticker"], wrong),
        name=cells["name"],
        date=dates[0],
        date_to=dates[1],
        claimed=_move(cells["claimed"], wrong),
        comparison=comparison,
        source=cells["source"],
        source_url=cells["source_url"],
        notes=cells["notes"],
        line=line,
    )


def _ticker(given: str, wrong: list[str]) -> str:
    """The ticker in the spelling of the events file."""
    ticker = unicodedata.normalize("NFKC", given).upper()
    if not TICKER.fullmatch(ticker):
        wrong.append(f"ticker {given!r}: accepted are capital letters, digits and . - = _ ^")
    return ticker


def _date(text: str, column: str, wrong: list[str]) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        wrong.append(f"{column} {text!r} is not a date; write it as 2026-06-09")
        return None


def _move(text: str, wrong: list[str]) -> float:
    """A decimal return from ``-8%`` or ``-0.08``; NaN for ``fall`` and ``rise``, which give no size."""
    if text in DIRECTIONS:
        return float("nan")
    try:
        value = round(float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0), 12)
    except ValueError:
        value = float("nan")
    if not -1.0 <= value <= 10.0 or value == 0.0:
        accepted = "a move such as -8% or -0.08, or 'fall' or 'rise'"
        wrong.append(f"claimed {text!r}: accepted is {accepted}")
    return value


def check_claims(claims: tuple[Claim, ...], prices: PriceTable, config: StudyConfig) -> list[ClaimVerdict]:
    """Compare every claim with the adjusted closes; the study's windows do not matter."""
    return [_check(claim, prices, config) for claim in claims]


def _check(claim: Claim, prices: PriceTable, config: StudyConfig) -> ClaimVerdict:
    try:
        peer: Peer | None = config.peer(claim.ticker)
    except KeyError:
        peer = None
    ticker = peer.ticker if peer else claim.ticker
    series = prices.series.get(ticker)
    reason = _untestable(claim, peer, series)
    if reason or series is None or claim.date is None:
        return ClaimVerdict(claim=claim, verdict=NOT_TESTABLE, reason=reason)
    days, moves = daily_moves(series)
    first = int(np.searchsorted(days, np.datetime64(claim.date, "D")))
    stop = int(np.searchsorted(days, np.datetime64(claim.date_to or claim.date, "D"), side="right"))
    if first >= stop:
        reason = Reason("claim.no_return", ticker=ticker, day=claim.date)
        return ClaimVerdict(claim=claim, verdict=NOT_TESTABLE, reason=reason)
    at = _best(moves, first, stop, claim)
    near = _best(moves, max(first - NEARBY, 0), min(stop + NEARBY, len(days)), claim)
    actual = float(moves[at])
    return ClaimVerdict(
        claim=claim,
        verdict=_verdict(claim, actual),
        session=str(days[at]),
        actual=actual,
        off_by=actual - claim.claimed,
        nearby_session=str(days[near]),
        nearby_return=float(moves[near]),
        reason=Reason("claim.direction", n=stop - first) if claim.comparison in DIRECTIONS else Reason(),
    )


def daily_moves(series: PriceSeries) -> tuple[NDArray[np.datetime64], Floats]:
    """Return the days with a return since the previous price, and these returns."""
    quoted = np.isfinite(series.adj_close)
    price, days = series.adj_close[quoted], series.dates[quoted]
    moves: Floats = price[1:] / price[:-1] - 1.0
    return days[1:], moves


def _untestable(claim: Claim, peer: Peer | None, series: PriceSeries | None) -> Reason:
    if claim.date is None:
        return Reason("claim.no_date")
    label = f"{claim.name or claim.ticker} ({claim.ticker})"
    if peer and peer.until and claim.date > peer.until:
        return Reason("claim.listed_until", label=label, day=peer.until)
    if peer and peer.from_ and (claim.date_to or claim.date) < peer.from_:
        return Reason("claim.listed_from", label=label, day=peer.from_)
    if series is None:
        return Reason("claim.not_delivered" if peer else "claim.no_peer", label=label)
    if np.datetime64(claim.date, "D") > series.dates[-1]:
        return Reason("claim.prices_end", label=label, day=series.dates[-1])
    if np.datetime64(claim.date_to or claim.date, "D") < series.dates[0]:
        return Reason("claim.prices_start", label=label, day=series.dates[0])
    return Reason()


def _best(moves: Floats, first: int, stop: int, claim: Claim) -> int:
    """Session that fits a claim best: the largest move in its direction, or the nearest for ``about``."""
    near = moves[first:stop]
    if claim.comparison == "at_least" or claim.comparison in DIRECTIONS:
        return first + int(np.argmax(near * claim.sign))
    return first + int(np.argmin(np.abs(near - claim.claimed)))


def _verdict(claim: Claim, actual: float) -> Reason | str:
    """Return the verdict on a claim; sizes are compared in the claimed direction."""
    size, claimed = actual * claim.sign, abs(claim.claimed)
    if claim.comparison in DIRECTIONS:
        return CONFIRMED if size > TICK else REFUTED
    gap = {
        "about": max(abs(size - claimed) - max(ROUNDING, ROUNDING_SHARE * claimed), 0.0),
        "at_least": max(claimed - size - TICK, 0.0),
        "at_most": max(size - claimed - TICK, 0.0) if size > 0 else claimed,
    }[claim.comparison]
    if gap == 0.0:
        return CONFIRMED
    if size <= 0 or abs(size - claimed) > REFUTED_BEYOND * claimed:
        return REFUTED
    return Reason("claim.off_by", points=abs(actual - claim.claimed) * 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clarification:
    """One clarification of a shock of the headline group.

    Attributes
    ----------
    delay : int
        Sessions from day 0 to its own day 0, the longest over the exchanges.
    car_before, car_at, car_after : float
        CAR over [+2, c-1], [c, c+1] and [c+2, +20]; NaN for a part that does not exist.
    speedup : float
        D, the mean daily AR from c on minus that before c.
    speedup_placebos, p_value : float
        Mean D of the shock's matched control drops, split at the same day, and the two-sided p of the rank of D among
        them, see `permutation.rank_among`.
    attributed : bool
        Whether a reversal can be attributed to it; ``reason`` says why not.
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
    """Split the post window of every clarified shock at the answer, and attribute reversals.

    Notes
    -----
    A reversal is attributed only if the answer came after the drop had ended, the CARs over
    [c, c+1] of all answers differ significantly from zero over dates (sign-flip), and prices were not already
    recovering before the answer. Firms answer later after longer falls, so the control drops of the same shock are
    split at the same day.
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
    """Return the row with the CARs of the parts of its shock, and the comparison with its control drops."""
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
    """CARs before, at and after an answer on day ``delay`` and the change in mean daily AR, each (K,)."""
    before = portfolios.car((post[0], delay - 1))
    at = portfolios.car((delay, min(delay + 1, post[1])))
    after = portfolios.car((delay + 2, post[1])) if delay + 2 <= post[1] else np.zeros(len(portfolios))
    speedup = (at + after) / (post[1] - delay + 1) - before / (delay - post[0])
    return before, at, after, speedup


def _with_attribution(rows: Sequence[Clarification], shocks: Shocks, config: StudyConfig) -> list[Clarification]:
    days = dict(zip(shocks.drops.shock_id.tolist(), shocks.drops.day0.tolist(), strict=True))
    # Answers to one shock on one day have the same returns, so they count once.
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
    """Return why a reversal cannot be attributed to this answer; empty if it can."""
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
