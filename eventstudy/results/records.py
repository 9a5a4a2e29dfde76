"""Typed records of a finished study: what the attributes of a `StudyResult` return.

Each record is a row of one table of the pack and has that table's columns as fields, so that
docs/reading-the-pack.md describes both. Returns are decimals, windows pairs of event days, sessions ISO
dates. A number that there is none of is NaN, a text that there is none of is empty. What stands in words,
such as ``reason``, stands as its code in the field ``reason_code`` after it, several joined by ``;``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, overload

from eventstudy.errors import nearest

if TYPE_CHECKING:
    import pandas as pd

Window = tuple[int, int]
Row = TypeVar("Row")
#: How grave a warning is, see `WarningRow`.
Level = Literal["serious", "caution", "note"]
#: Tests whose statistic is the estimate over the estimate's own standard error: these have an interval.
STUDENTISED = ("ibragimov_mueller", "cross_sectional_t", "portfolio_t")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """The effect of the events: the mean over dates of the peers' cumulative abnormal value in one window.

    ``estimate``, ``se``, ``lower`` and ``upper`` are the mean, its standard error and its 95 % interval, ``statistic``
    and ``p_value`` its t and two-sided p. ``n_events`` firm-events and ``n_dates`` dates are behind it; ``k_eff`` says
    how many dates without overlap these are worth. ``test`` is ``ibragimov_mueller``, the t over dates, or ``car_t`` on
    a single date, whose standard error is the prediction error of the date's portfolio. ``group`` is as in `TestRow`,
    ``sentence`` the effect in words.
    """

    window: Window
    estimate: float = math.nan
    se: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    statistic: float = math.nan
    df: float = math.nan
    p_value: float = math.nan
    n_events: int = 0
    n_dates: int = 0
    k_eff: float = math.nan
    test: str = ""
    group: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """The answer to the study's question about reversals, with all that it rests on.

    ``kind`` is ``reversal``, ``drift``, ``equivalent to none`` or ``inconclusive``, ``sentence`` the answer in words.
    Without a date ``reason`` is the code of why none entered.

    ``effect`` is the mean excess over comparable falls by the ``estimator``: ``regression`` over all of them, ``rank``
    among them where there are one or two dates, or ``matched``, the mean over placebo sets of the drops' own.
    ``interval`` is its 95 % t interval, ``se`` and ``df`` its standard error and degrees of freedom. ``p_value`` is
    two-sided, of the test that ``p_name`` names, and can be no smaller than ``p_floor``; ``p_greater`` is one-sided,
    towards a reversal; ``sign_flip_p`` is that of the sign-flip over dates, ``equivalence_p`` that of the two one-sided
    tests against ``margin``: effects within ± this count as none.

    ``n_dates``, ``n_events`` and ``n_placebos`` count the dates, firm-events and placebo drops behind the effect.
    ``k_eff`` is how many dates without overlap the dates are worth, NaN where that is not known: a verdict on drops
    leaves dates with overlapping windows out. ``n_effective`` is how many independent firm-events the events are worth.
    ``n_controls`` falls are compared with by the regression, in ``n_clusters`` clusters; 0 for ``matched``. ``rank`` is
    the place of the effect by size ``among`` its controls, 1 the largest, 0 where it is not ranked.

    ``power`` maps true effects (``0.02``, ``0.05``, ``0.10``) to the share of simulated studies in which this verdict
    would be found, empty where that was not computed; ``mde`` is the smallest effect found with 80 % power,
    ``attainable`` the most dates that the history of these peers can give, 0 where unknown, and ``ladder`` says what so
    many dates can show. ``sd`` is the spread between the dates, ``se_placebos`` the standard error that a single date's
    placebos give. ``shrunk`` is the effect drawn towards none by the spread ``prior_sd`` of all comparable falls,
    ``p_costs`` the probability that it exceeds the costs of a trade: secondary, no verdict rests on them.

    ``group`` is as in `TestRow`, ``window`` the first and last event day of the effect.
    """

    kind: str
    sentence: str
    effect: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    p_value: float = math.nan
    p_name: str = ""
    estimator: str = ""
    se: float = math.nan
    df: float = math.nan
    p_greater: float = math.nan
    p_floor: float = math.nan
    sign_flip_p: float = math.nan
    equivalence_p: float = math.nan
    n_dates: int = 0
    k_eff: float = math.nan
    n_events: int = 0
    n_effective: float = math.nan
    n_placebos: int = 0
    n_controls: int = 0
    n_clusters: int = 0
    rank: int = 0
    among: int = 0
    power: Mapping[str, float] = field(default_factory=dict)
    attainable: int = 0
    shrunk: float = math.nan
    p_costs: float = math.nan
    prior_sd: float = math.nan
    mde: float = math.nan
    sd: float = math.nan
    se_placebos: float = math.nan
    margin: float = math.nan
    ladder: str = ""
    reason: str = ""
    group: str = ""
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """What became of one event × ticker, and why.

    ``status`` is ``used``, ``shifted`` (used, day 0 moved), ``merged`` (the shock has this security and day 0 already)
    or ``dropped``, ``stage`` that of the selection where it ended, ``session`` day 0, empty where there is none.
    """

    event_id: str
    shock_id: str
    ticker: str
    market: str
    status: str
    stage: str
    reason: str
    reason_code: str = ""
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRow:
    """One test of one group in one window; where it does not apply its numbers are NaN.

    ``group`` names the firm-events: ``all``, ``label=misreading``, ``peers=core;label=genuine``, ``shock_id=…``.
    ``name`` is a statistic of docs/statistics.md, ``estimate`` what it tests: a mean CAR over firm-events, or over
    dates. ``p_value`` is two-sided unless ``tests.alternative`` says otherwise; ``distribution`` is ``t``,
    ``normal``, or how the p-value was simulated, and ``df`` NaN where it has none. ``k_eff`` says how many dates
    without overlap the ``n_dates`` are worth in this window, ``rbar`` is the mean residual correlation of the
    firm-events, ``n_effective`` how many independent ones they are
    worth. ``reason`` says why the test does not apply, empty where it does.
    """

    __test__ = False

    group: str
    window: Window
    name: str
    estimate: float
    statistic: float
    distribution: str
    df: float
    p_value: float
    n_events: int
    n_dates: int
    k_eff: float
    reason: str
    reason_code: str = ""
    rbar: float
    n_effective: float

    @property
    def se(self) -> float:
        """Standard error of the estimate; NaN for tests whose statistic is not the estimate over its own."""
        usable = self.name in STUDENTISED and self.distribution == "t" and self.statistic != 0.0
        return self.estimate / self.statistic if usable else math.nan

    def conf_int(self, level: float = 0.95) -> tuple[float, float]:
        """Return the t interval of the estimate.

        Parameters
        ----------
        level : float
            Share of intervals that hold the true mean.

        Returns
        -------
        (float, float)
            NaN where the statistic is not the estimate over the estimate's own standard error: tests of
            standardised returns, ranks and signs have no interval of a mean return.
        """
        return interval(self.estimate, self.se, self.df, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarRow:
    """Cumulative abnormal return of one firm-event over one window.

    ``se`` is the standard error, the error of the estimated coefficients included, ``t`` their ratio with ``df``
    degrees of freedom of the fit and a two-sided ``p_value``, ``scar`` the standardised CAR. ``bhar`` is the
    buy-and-hold abnormal return, NaN in studies of volume and volatility.
    """

    event_id: str
    shock_id: str
    ticker: str
    window: Window
    car: float
    se: float
    t: float
    p_value: float
    df: float
    scar: float
    bhar: float

    def conf_int(self, level: float = 0.95) -> tuple[float, float]:
        """Return the t interval of the CAR at ``level``; NaN where there is no standard error."""
        return interval(self.car, self.se, self.df, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class AarRow:
    """Mean abnormal return of one group on one event day.

    ``group`` is as in `TestRow`, ``tau`` the event day, ``n`` the firm-events with a return on it. ``caar`` is the sum
    of the means ``aar`` from the first day of the event window on; ``lower`` and ``upper`` are its 95 % band, dates as
    clusters, NaN for a single date.
    """

    group: str
    tau: int
    n: int
    aar: float
    caar: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShockRow:
    """The peer portfolio of one shock over one window: what the tests over dates are made of.

    ``day0`` is the shock's first session. ``car`` is that of the portfolio, ``se`` its standard error, ``s`` their
    ratio; ``lower`` and ``upper`` are the 95 % t interval, with the fewest degrees of freedom of its peers' fits.
    """

    shock_id: str
    window: Window
    label: str
    title: str
    day0: str
    n_peers: int
    n_markets: int
    car: float
    se: float
    s: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRow:
    """One shock as a drop: what fell, what came after it, and what matched placebo drops did.

    ``day0`` is the first session. ``n_locked`` of the ``n_peers`` had their drop extended because they were locked at a
    price limit. ``car_drop`` is the CAR of the drop window, ``s_drop`` the same in standard errors, ``share_negative``
    the share of peers that fell. ``qualifies`` says whether it counts as a drop, ``why_not`` why it does not;
    ``overlaps`` is the earlier shock of some of the same peers whose post window it falls into.

    ``car_post`` and ``s_post`` are of the window after it; ``excess`` is how far ``car_post`` is above
    ``placebo_mean``, that of the placebos after their drops. ``rank`` is by the verdict's estimator: of its
    excess by size among all comparable falls, or with matched placebos of ``car_post`` among these, the strongest
    rebound first; ``among`` are ranked, itself one of them, ``p_rank`` is two-sided and ``p_rank_floor`` the smallest
    that it can be. A shock that is not compared has no rank.
    ``widened`` says whether the matching had to be widened, ``benchmark`` why there are no placebos, empty where there
    are.
    ``excess_simple``, ``excess_log``, ``excess_bhar``, ``excess_alpha_zero`` and ``excess_alpha_estimated`` measure the
    excess in other ways.

    ``label_in_time`` says whether the label was known when the drop ended, ``label_reason`` is the code of why not.
    ``role`` is ``confirmatory``, ``exploratory``, ``case study``, ``comparison``, or empty.
    """

    shock_id: str
    label: str
    day0: str
    n_peers: int
    car_drop: float
    s_drop: float
    share_negative: float
    qualifies: bool
    why_not: str
    why_not_code: str = ""
    overlaps: str = ""
    car_post: float
    s_post: float
    n_locked: int
    n_placebos: int
    placebo_mean: float
    excess: float
    rank: float
    among: float
    p_rank: float
    p_rank_floor: float
    widened: bool
    benchmark: str
    benchmark_code: str = ""
    label_in_time: bool
    label_reason: str
    role: str
    excess_simple: float
    excess_log: float
    excess_bhar: float
    excess_alpha_zero: float
    excess_alpha_estimated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """The answer to the question about reversals by one of the two endpoints declared beforehand.

    ``endpoint`` is ``A``, with the windows of the settings, or ``B``, whose drop is day 0 alone. Of ``n_asked`` shocks
    with the label in question ``n_drops`` were drops by it; the answer rests on ``n_judged`` dates, worth ``k_eff``
    without overlap. ``effect`` is the mean excess with its 95 % interval and two-sided ``p_value``; ``p_holm`` is
    adjusted for there being two endpoints (Holm 1979). ``kind`` is as in `VerdictRow`.
    """

    endpoint: str
    window_drop: Window
    window_post: Window
    n_asked: int
    n_drops: int
    n_judged: int
    effect: float
    lower: float
    upper: float
    p_value: float
    p_holm: float
    k_eff: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """One order of the backtest's rule and its end; returns are shares of ``value``.

    The sessions are empty where nothing was bought. ``value`` is what was bought, in ``currency`` as the prices are.
    ``gross`` is the return before hedge and cost, ``hedged`` that after the hedge with its ``beta``, ``net`` what the
    ``cost`` leaves; ``adverse_excursion`` is the lowest gross return while it was held. ``blocked`` is what kept the
    order from being filled, or cut it down, ``capacity`` the largest capital at which it would have met the limit on
    its share of the volume. ``rate_in`` and ``rate_out`` are the exchange rates at entry and exit; ``value_base`` and
    the others after it are the same in the study's currency, NaN without a rate.
    """

    shock_id: str
    ticker: str
    market: str
    label: str
    entry_session: str
    exit_session: str
    entry_price: float
    exit_price: float
    currency: str
    value: float
    beta: float
    gross: float
    hedged: float
    cost: float
    net: float
    adverse_excursion: float
    why_entered: str
    why_entered_code: str = ""
    why_left: str
    why_left_code: str = ""
    blocked: str
    blocked_code: str = ""
    capacity: float
    base_currency: str
    rate_in: float
    rate_out: float
    value_base: float
    gross_base: float
    hedged_base: float
    cost_base: float
    net_base: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningRow:
    """One thing that a reader must know before the numbers; as text it is its sentence.

    ``text`` is the sentence, in English. ``severity`` is ``serious``: a number may be wrong, or is not about what it
    seems to be about; ``caution``: something was left out or assumed; or ``note``: good to know. ``code`` names the
    message, such as ``labels.undated``; empty where it has none.
    """

    text: str
    severity: Level
    code: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of what entered the study.

    ``used``, ``shifted`` and ``dropped`` are firm-events in the study, those of them whose day 0 has moved, and those
    left out, whose ``reasons`` are counted by code; another event of the same shock stands for ``merged`` ones already.
    ``n_events``, ``n_shocks`` and ``n_peers`` are of the files, before anything was dropped, ``n_dates`` dates of the
    headline group in the drop window, worth ``k_eff`` without overlap.
    """

    used: int = 0
    shifted: int = 0
    dropped: int = 0
    merged: int = 0
    reasons: Mapping[str, int]
    n_events: int = 0
    n_shocks: int = 0
    n_peers: int = 0
    n_dates: int = 0
    k_eff: float = math.nan


class Records(Sequence[Row], Generic[Row]):
    """Records of one kind in the order of their table: a sequence that can be asked.

    Parameters
    ----------
    kind
        Class of the records.
    rows
        The records.
    frame
        The table that they are the rows of, line by line.
    """

    __slots__ = ("_frame", "_kind", "_rows")

    def __init__(self, kind: type[Row], rows: Iterable[Row], frame: pd.DataFrame) -> None:
        self._kind = kind
        self._rows = tuple(rows)
        self._frame = frame

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<{len(self)} × {self._kind.__name__}: {', '.join(self.fields)}>"

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields of a record."""
        return tuple(self._kind.__dataclass_fields__)  # type: ignore[attr-defined]

    def where(self, **wanted: object) -> Records[Row]:
        """Return the records whose fields have these values.

        Parameters
        ----------
        **wanted
            Values by the names of fields, such as ``ticker="AAA"`` or ``window=(0, 1)``.

        Returns
        -------
        Records
            In the same order; none where nothing fits.

        Raises
        ------
        KeyError
            For a name that is no field.
        """
        for name in wanted:
            if name not in self.fields:
                raise KeyError(f"no field {name!r}; {nearest(name, self.fields)}")
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in wanted.items()}
        kept = [
            place
            for place, row in enumerate(self._rows)
            if all(getattr(row, name) == value for name, value in values.items())
        ]
        return Records(self._kind, (self._rows[place] for place in kept), self._frame.iloc[kept])

    def one(self, **wanted: object) -> Row:
        """Return the one record whose fields have these values; `KeyError` where there are none or several.

        Parameters
        ----------
        **wanted
            As for `where`.
        """
        found = self.where(**wanted)
        if len(found) != 1:
            asked = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
            raise KeyError(f"{len(found)} of {len(self)} rows have {asked}; one is needed")
        return found[0]

    def to_frame(self) -> pd.DataFrame:
        """Return these rows of the table, a copy; windows are texts there, ``[0,1]``."""
        return self._frame.copy()


class Tests(Records[TestRow]):
    """The tests of a study: every statistic for every group and window."""

    __test__ = False
    __slots__ = ()

    def get(self, name: str, window: Window, group: str = "all") -> TestRow:
        """Return one test.

        Parameters
        ----------
        name : str
            A statistic, such as ``date_t``.
        window : (int, int)
            First and last event day, one of ``windows.all_car`` of the settings.
        group : str
            Firm-events tested, see `TestRow`.

        Returns
        -------
        TestRow
            With NaN and a ``reason`` where the test does not apply.

        Raises
        ------
        KeyError
            If it was not run; it says which names, windows or groups were.
        """
        pair = (int(window[0]), int(window[1]))
        for row in self._rows:
            if row.name == name and row.window == pair and row.group == group:
                return row
        names, groups = ({getattr(row, part) for row in self._rows} for part in ("name", "group"))
        if name not in names:
            raise KeyError(f"no test {name!r}; {nearest(name, names)}")
        if group not in groups:
            raise KeyError(f"no group {group!r}; {nearest(group, groups)}")
        windows = sorted({row.window for row in self._rows if row.group == group})
        raise KeyError(f"no window {pair}; there are {', '.join(map(str, windows))}")


def interval(mean: float, se: float, df: float, level: float) -> tuple[float, float]:
    """Return the t interval of a mean; NaN without a standard error or degrees of freedom."""
    if not (math.isfinite(mean) and math.isfinite(se) and df > 0):
        return math.nan, math.nan
    from scipy import special

    half = float(special.stdtrit(df, (1.0 + level) / 2.0)) * abs(se)
    return mean - half, mean + half
