"""Typed records of a finished study: what the attributes of a `StudyResult` return.

Most records are rows of a table of the pack and have that table's columns as fields, so that docs/reading-the-pack.md
describes both; `EffectRow`, `VerdictRow`, `WarningRow` and `Counts` come from summary.json. Returns are decimals,
windows are pairs of event days, sessions are ISO dates. A missing number is NaN, a missing text is empty. A field
with a text, such as ``reason``, is followed by a field with its code, such as ``reason_code``; several codes are joined
by ``;``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, overload

from eventstudy.config import Window
from eventstudy.errors import nearest

if TYPE_CHECKING:
    import pandas as pd

Row = TypeVar("Row")
#: Severity of a warning, see `WarningRow`.
Level = Literal["serious", "caution", "note"]
#: Tests over several dates or firm-events whose statistic is the estimate divided by its own standard error; in the
#: table of tests only these have an interval.
STUDENTISED = ("ibragimov_mueller", "cross_sectional_t", "portfolio_t")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """The effect of the events: the mean over dates of the peers' cumulative abnormal value in one window.

    ``estimate`` is the mean, ``se`` its standard error, ``lower`` and ``upper`` its 95 % interval, ``statistic`` its
    t and ``p_value`` the p of this t against ``tests.alternative``. It uses ``n_events`` firm-events on ``n_dates``
    dates; ``k_eff`` is the number of dates without overlap that carry the same information. ``test`` is
    ``ibragimov_mueller``, the t over dates. For one firm-event it is ``car_t``. For several firm-events of one date it
    is ``portfolio_car_t``, with the prediction error of the date's portfolio as standard error; no row of the table of
    tests has this p. ``group`` is as in `TestRow`, ``sentence`` the effect in words.
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
    """The answer to the study's question about reversals, with the numbers behind it.

    ``kind`` is ``reversal``, ``drift``, ``equivalent to none`` or ``inconclusive``, ``sentence`` the answer in
    words. If no date entered the comparison, ``reason`` is the code of the reason.

    ``effect`` is the mean excess over control drops. ``estimator`` says how it was computed: ``moderated`` or
    ``regression`` over all control drops, ``rank`` among them for dates in one or two weeks, or ``matched``, the mean
    over matched sets of control drops. ``interval`` is its 95 % t interval, ``se`` and ``df`` its standard error and
    degrees of freedom. ``p_value`` is two-sided, from the test ``p_name``, and cannot be below ``p_floor``.
    ``p_greater`` is one-sided, towards a reversal. ``sign_flip_p`` is from the sign-flip test over dates,
    ``equivalence_p`` from the two one-sided tests against ``margin``: effects within ± this margin count as none.

    ``n_dates``, ``n_events`` and ``n_placebos`` are the numbers of dates, firm-events and matched control drops
    behind the effect. ``k_eff`` is the number of dates without overlap that carry the same information; NaN if
    unknown, since a verdict on drops leaves out dates with overlapping windows. ``n_effective`` is the number of
    independent firm-events that carry the same information. The regression uses ``n_controls`` control drops in
    ``n_clusters`` clusters; both are 0 for ``matched``. ``rank`` is the place of the effect by size ``among`` its
    controls, 1 the largest, 0 if it is not ranked.

    ``power`` maps true effects (``0.02``, ``0.05``, ``0.10``) to the share of simulated studies in which this
    verdict finds them; it is empty if not computed. ``mde`` is the smallest detectable effect at 80 % power,
    ``attainable`` the largest number of dates that the history of these peers can give (0 if unknown), and
    ``ladder`` says what this number of dates can show. ``sd`` is the spread between the dates, ``se_placebos`` the
    standard error from the control drops of a single date. ``shrunk`` is the effect shrunk towards zero, given the
    spread ``prior_sd`` of all control drops, and ``p_costs`` the probability that it exceeds the costs of a trade.
    Both are secondary: no verdict uses them.

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
    """The status of one event × ticker, and the reason.

    ``status`` is ``used``, ``shifted`` (used, with day 0 moved), ``merged`` (the shock already has this security on
    this day 0) or ``dropped``. ``stage`` is the stage of the selection that decided it. ``session`` is day 0, empty
    if there is none.
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
    """One test of one group in one window; if it does not apply, its numbers are NaN.

    ``group`` names the firm-events: ``all``, ``label=misreading``, ``peers=core;label=genuine``, ``shock_id=…``.
    ``name`` is a statistic of docs/statistics.md, ``estimate`` the tested value: a mean CAR over firm-events, or
    over dates. ``p_value`` is two-sided unless ``tests.alternative`` says otherwise. ``distribution`` is ``t``,
    ``normal``, or the way in which the p-value was simulated; ``df`` is NaN if there are no degrees of freedom.
    ``k_eff`` is the number of dates without overlap that carry the same information as the ``n_dates`` in this
    window. ``rbar`` is the mean residual correlation of the firm-events, ``n_effective`` the number of independent
    firm-events that carry the same information. ``reason`` says why the test does not apply, and is empty if it
    does.
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
        """Standard error of the estimate; NaN if the statistic is not the estimate over it."""
        usable = self.name in STUDENTISED and self.distribution == "t" and self.statistic != 0.0
        return self.estimate / self.statistic if usable else math.nan

    def conf_int(self, level: float = 0.95) -> tuple[float, float]:
        """Return the t interval of the estimate.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        (float, float)
            NaN if the statistic is not the estimate over its own standard error: tests of standardised returns,
            ranks and signs have no interval of a mean return.
        """
        return interval(self.estimate, self.se, self.df, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarRow:
    """Cumulative abnormal return of one firm-event over one window.

    ``se`` is the standard error, including the error of the estimated coefficients. ``t`` is ``car`` over ``se``,
    with the ``df`` degrees of freedom of the fit and a two-sided ``p_value``. ``scar`` is the standardised CAR.
    ``bhar`` is the buy-and-hold abnormal return, NaN in studies of volume and volatility.
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
        """Return the t interval of the CAR at ``level``; NaN without a standard error."""
        return interval(self.car, self.se, self.df, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class AarRow:
    """Mean abnormal return of one group on one event day.

    ``group`` is as in `TestRow`, ``tau`` the event day, ``n`` the number of firm-events with a return on it.
    ``caar`` is the sum of the means ``aar`` since the first day of the event window. ``lower`` and ``upper`` are
    its 95 % band with dates as clusters, NaN for a single date.
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
    """The peer portfolio of one shock over one window; the tests over dates use these.

    ``day0`` is the shock's first session. ``car`` is the CAR of the portfolio, ``se`` its standard error, ``s``
    their ratio. ``lower`` and ``upper`` are the 95 % t interval, with the smallest degrees of freedom among the
    fits of its peers.
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
    """One shock as a drop: its size, the return after it, and the comparison with control drops.

    ``day0`` is the first session. Of the ``n_peers`` peers ``n_locked`` were locked at a price limit, so their drop
    was extended. ``car_drop`` is the CAR of the drop window, ``s_drop`` the same in standard errors,
    ``share_negative`` the share of peers that fell. ``qualifies`` says whether it counts as a drop, ``why_not`` why
    it does not. ``overlaps`` is an earlier shock of some of the same peers in whose post window this one lies.

    ``car_post`` and ``s_post`` are those of the post window. ``excess`` is ``car_post`` minus ``placebo_mean``, the
    mean after the matched control drops. ``rank`` is the place of its excess by size among all control drops; with
    the estimator ``matched`` it is the place of ``car_post`` among its matched control drops, 1 the largest.
    ``among`` is the number ranked, including itself. ``p_rank`` is two-sided, ``p_rank_floor`` its smallest
    possible value. A shock that is not compared has no rank. ``widened`` says whether the matching had to be
    widened. ``benchmark`` says why there are no matched control drops, and is empty if there are some.
    ``excess_simple``, ``excess_log``, ``excess_bhar``, ``excess_alpha_zero`` and ``excess_alpha_estimated`` measure
    the excess in other ways.

    ``label_in_time`` says whether the label was known when the drop ended, ``label_reason`` is the code of the
    reason if not. ``role`` is ``confirmatory``, ``exploratory``, ``case study``, ``comparison``, or empty.
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
    """The answer to the question about reversals by one of the two endpoints that were declared in advance.

    ``endpoint`` is ``A``, with the windows of the settings, or ``B``, whose drop window is day 0 alone. Of
    ``n_asked`` shocks with the label in question ``n_drops`` were drops by this endpoint. The answer uses
    ``n_judged`` dates; ``k_eff`` is the number of dates without overlap that carry the same information. ``effect``
    is the mean excess with its 95 % interval and two-sided ``p_value``. ``p_holm`` is adjusted for the two
    endpoints (Holm 1979). ``kind`` is as in `VerdictRow`. ``n_late``, ``effect_late``, ``lower_late`` and
    ``upper_late`` are of an exploratory answer, in which labels that became known after the drop count too.
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
    n_late: int
    effect_late: float
    lower_late: float
    upper_late: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """One order of the trading rule and its result; returns are shares of ``value``.

    The sessions are empty if nothing was bought. ``value`` is the amount bought, in the ``currency`` of the prices.
    ``gross`` is the return before hedge and costs, ``hedged`` the return after the hedge with its ``beta``, ``net``
    the return after the ``cost``. ``adverse_excursion`` is the lowest gross return while the position was held.
    ``blocked`` says why the order was not filled or was reduced. ``capacity`` is the largest capital at which the
    order would have stayed within its share of the volume. ``rate_in`` and ``rate_out`` are the exchange rates at
    entry and exit. ``value_base`` and the fields after it are the same in the currency of the study, NaN without a
    rate.
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
    """One warning; ``str`` gives its sentence.

    ``text`` is the sentence, in English. ``severity`` is ``serious`` (a number may be wrong, or may not measure
    what it seems to measure), ``caution`` (something was left out or assumed) or ``note``. ``code`` names the
    message, such as ``labels.undated``; empty if it has none.
    """

    text: str
    severity: Level
    code: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The numbers of events, shocks, peers, firm-events and dates in the study.

    ``used`` is the number of firm-events in the study, ``shifted`` the number of these with a moved day 0,
    ``dropped`` the number left out; ``reasons`` counts them by code. ``merged`` firm-events are those that another
    event of the same shock already contains. ``n_events``, ``n_shocks`` and ``n_peers`` are those of the files,
    before anything was dropped. ``n_dates`` is the number of dates of the headline group in the drop window, and
    ``k_eff`` the number of dates without overlap that carry the same information.
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
    """Records of one kind in the order of their table: a sequence with `where`, `one` and `to_frame`.

    Parameters
    ----------
    kind
        Class of the records.
    rows
        The records.
    frame
        The table with the same rows.
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
            In the same order; empty if no record fits.

        Raises
        ------
        KeyError
            If a name is not a field.
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
        """Return the only record whose fields have these values; `KeyError` if there are none or several.

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
        """Return a copy of these rows of the table; windows are texts such as ``[0,1]`` there."""
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
            With NaN and a ``reason`` if the test does not apply.

        Raises
        ------
        KeyError
            If it was not run; the message lists the names, windows or groups that were.
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
