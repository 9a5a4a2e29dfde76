"""`WindowSample` (input), `TestResult` (output) and the `@statistic` registry."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from scipy import special

from eventstudy import registry
from eventstudy.config import Window
from eventstudy.core.abnormal import AbnormalReturns, PeerWeights, ShockPortfolios, news_of, shock_portfolios
from eventstudy.core.arrays import Bools, Floats, Places, row_ranks
from eventstudy.core.statistics.dependence import effective_number, mean_correlation, window_overlap
from eventstudy.core.statistics.overlap import DateOverlap, date_overlap
from eventstudy.errors import ConfigError, Reason
from eventstudy.registry import Registry

T = TypeVar("T")
#: Smallest k_eff for tests over dates: below it the spread over dates is too uncertain.
FEWEST_EFFECTIVE = 2.0
#: Alternative hypotheses: "less" that the mean is below zero, "greater" that it is above.
Alternative = Literal["two-sided", "less", "greater"]


class Tails(NamedTuple):
    """p-values of one statistic for the three alternatives."""

    two_sided: float
    less: float
    greater: float

    def of(self, alternative: Alternative) -> float:
        """p-value for one alternative."""
        return {"two-sided": self.two_sided, "less": self.less, "greater": self.greater}[alternative]

    @classmethod
    def known(cls, statistic: float, distribution: str, df: float = math.nan) -> Tails:
        """Return the p-values of a t or normal statistic."""
        below = [
            float(special.stdtr(df, s) if distribution == "t" else special.ndtr(s)) for s in (statistic, -statistic)
        ]
        return cls(two_sided(statistic, distribution, df), *below)

    @classmethod
    def drawn(cls, value: float, simulated: Floats, *, symmetric: bool) -> Tails:
        """Shares of draws (B,) at least as extreme as ``value``, which is included; a NaN draw counts as extreme.

        The two-sided p is the share of |draw| >= |value| if ``symmetric``, else twice that of the smaller tail.
        """
        slack, total = 1e-12 * abs(value), 1 + len(simulated)
        less = (1 + int((~(simulated > value + slack)).sum())) / total
        greater = (1 + int((~(simulated < value - slack)).sum())) / total
        if symmetric:
            return cls((1 + int((~(np.abs(simulated) < abs(value) * (1 - 1e-12))).sum())) / total, less, greater)
        return cls(min(1.0, 2.0 * min(less, greater)), less, greater)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """Result of one test. If a test does not apply, its numbers are NaN and ``reason`` says why.

    ``n_events`` is the number of firm-events, ``n_dates`` that of distinct days 0 of the shocks, and ``k_eff`` the
    number of dates without overlap that carry the same information in this window. ``estimate`` is in units of return,
    ``null`` is the null hypothesis, ``source`` the paper. ``rbar`` and ``n_effective`` are those of the group in this
    window.

    Examples
    --------
    ``sample`` is a `WindowSample`, the input of a statistic.

    >>> from eventstudy import STATISTICS
    >>> found = STATISTICS["cross_sectional_t"](sample)
    >>> found.name, found.window, found.distribution, found.n_events == sample.n
    ('cross_sectional_t', (0, 1), 't', True)
    >>> found.df == sample.n - 1
    True
    """

    __test__ = False

    window: Window
    group: str
    n_events: int
    n_dates: int
    estimate: float
    statistic: float = math.nan
    distribution: str = ""
    df: float = math.nan
    p_value: float = math.nan
    name: str = ""
    null: str = ""
    source: str = ""
    reason: Reason = field(default_factory=Reason)
    rbar: float = math.nan
    n_effective: float = math.nan
    k_eff: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSample:
    """The firm-events of one group with all days of one window, and the quantities that tests need.

    Attributes
    ----------
    abnormal : AbnormalReturns
        N firm-events, all with a finite CAR and variance.
    car, variance, scar : (N,)
    rbar : float
        Mean residual correlation over pairs on common calendar sessions; pairs of two events are weighted by the share
        of the window's sessions that they have in common. NaN for N = 1.
    portfolios : ShockPortfolios
        One peer portfolio for each date, from the same firm-events; shocks with one day 0 are one date.
    shock_car, shock_s : (K,)
        CAR of each date's portfolio, raw and standardised.
    overlap : DateOverlap
        Correlation of these because windows of two dates share sessions.
    ranks : (N, L1 + L2)
        Ranks of estimation residuals and event-window abnormal returns together, 1 for a firm-event's lowest,
        NaN if missing; the same for every window.
    seed, draws : int
        Of simulated distributions.
    alternative
        The alternative hypothesis.
    peers : PeerWeights, optional
        Weights of ``portfolios``; not given if ``abnormal`` has no days.
    made : dict
        Cache of `once`, shared by windows with the same firm-events.
    given : dict
        Precomputed values of functions of a sample, see `of`, if ``abnormal`` has no days, as in long lists.

    Examples
    --------
    ``sample`` is a `WindowSample`, the input of a statistic.

    >>> sample.group, sample.window, sample.car.shape == (sample.n,), sample.shock_car.shape == (sample.k,)
    ('all', (0, 1), True, True)
    """

    group: str
    window: Window
    abnormal: AbnormalReturns
    car: Floats
    variance: Floats
    scar: Floats
    rbar: float
    portfolios: ShockPortfolios
    shock_car: Floats
    shock_s: Floats
    overlap: DateOverlap
    ranks: Floats
    seed: int
    draws: int
    alternative: Alternative = "two-sided"
    peers: PeerWeights | None = None
    made: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False)
    given: Mapping[Callable[..., Any], Any] = field(default_factory=dict, repr=False)

    def of(self, make: Callable[[WindowSample], T]) -> T:
        """``make(self)``, or its precomputed value."""
        value: T = self.given[make] if make in self.given else make(self)
        return value

    def once(self, make: Callable[[WindowSample], T]) -> T:
        """`of` for values that do not depend on the window: windows with the same firm-events share them."""
        if make not in self.made:
            self.made[make] = self.of(make)
        made: T = self.made[make]
        return made

    @property
    def n(self) -> int:
        """Number of firm-events."""
        return len(self.car)

    @property
    def k(self) -> int:
        """Number of dates: distinct days 0 of the shocks."""
        return len(self.shock_car)

    @property
    def inflation(self) -> float:
        """Variance of a mean over firm-events, divided by its variance if no windows overlapped."""
        return self.overlap.inflation(self.of(members)) if self.overlap else 1.0

    @property
    def by_value(self) -> bool:
        """Whether means over firm-events are weighted by value."""
        return self.portfolios.weighting == "value" and self.abnormal.panel.weight is not None

    @property
    def shares(self) -> Floats:
        """Weight of each firm-event in a mean over them, (N,), with sum one."""
        weight = self.abnormal.panel.weight
        if weight is None or not self.by_value:
            return np.full(self.n, 1.0 / max(self.n, 1))
        return np.asarray(weight / weight.sum())

    @property
    def weighty(self) -> float:
        """Number of equally weighted firm-events with an equally precise mean, 1 / sum of squared shares: N without
        weights."""
        return 1.0 / float((self.shares**2).sum()) if self.by_value else float(self.n)

    def mean(self, values: Floats) -> float:
        """Mean of (N,) values over the firm-events by their shares."""
        return float(self.shares @ values) if self.by_value else float(values.mean())

    def error(self, values: Floats) -> float:
        """Standard error of `mean` for independent firm-events.

        Notes
        -----
        sqrt(N/(N-1) sum_i w_i² (x_i - mean)²) with shares w_i (Cochran 1977, sec. 6.4, the ratio
        estimator's); with equal ones it is s/sqrt(N).
        """
        if not self.by_value:
            return float(values.std(ddof=1) / np.sqrt(self.n))
        deviation = self.shares * (values - self.mean(values))
        return float(np.sqrt(self.n / (self.n - 1.0) * (deviation @ deviation)))

    @property
    def n_effective(self) -> float:
        """Number of independent firm-events with the same information."""
        return effective_number(self.n, self.rbar)

    def result(
        self,
        statistic: float,
        *,
        distribution: str,
        df: float = math.nan,
        p_value: Tails | float | None = None,
        estimate: float | None = None,
    ) -> TestResult:
        """Return a result for the sample's alternative.

        p comes from ``distribution`` (t or normal) unless it is given: as `Tails`, or as a two-sided number. With a
        number the test is refused if the alternative is one-sided.
        """
        if isinstance(p_value, float | int):
            if self.alternative != "two-sided":
                return self.refuse(Reason("not_tested.two_sided", alternative=self.alternative))
            p = float(p_value)
        else:
            p = (p_value or Tails.known(statistic, distribution, df)).of(self.alternative)
        return replace(
            self.refuse(Reason()),
            estimate=self.mean(self.car) if estimate is None else estimate,
            statistic=float(statistic),
            distribution=distribution,
            df=df,
            p_value=p,
        )

    def refuse(self, reason: Reason | str) -> TestResult:
        """Return a result without numbers; ``reason`` is a code or your own text."""
        return TestResult(
            window=self.window,
            group=self.group,
            n_events=self.n,
            n_dates=self.k,
            estimate=self.mean(self.car) if self.n else math.nan,
            reason=Reason("not_tested.own", text=reason) if isinstance(reason, str) else reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The firm-events of one group. ``correlations`` is their (N, N) residual correlation matrix.

    ``ranks`` can be given so that windows share them; without them `at` ranks the days itself.
    """

    group: str
    abnormal: AbnormalReturns
    correlations: Floats
    weighting: str = "market-balanced"
    seed: int = 20260624
    draws: int = 9_999
    alternative: Alternative = "two-sided"
    ranks: Floats | None = None

    def take(self, group: str, index: Bools) -> Sample:
        """Return the firm-events marked in ``index`` as a new group."""
        rows = np.flatnonzero(index)
        return replace(
            self,
            group=group,
            abnormal=self.abnormal.take(rows),
            correlations=self.correlations[np.ix_(rows, rows)],
            ranks=None if self.ranks is None else self.ranks[rows],
        )

    def ranked(self) -> Sample:
        """Return the same sample with its ranks, computed once for all windows."""
        return replace(self, ranks=self.ranked_days())

    def ranked_days(self) -> Floats:
        """The ranks, computed if they are not given, (N, L1 + L2)."""
        days = self.abnormal
        return row_ranks(np.hstack([days.expected.residuals, days.ar])) if self.ranks is None else self.ranks

    def at(self, window: Window) -> WindowSample:
        """Return the firm-events with all days of this window."""
        (sample,) = self.each([window])
        return sample

    def each(self, windows: Iterable[Window]) -> Iterator[WindowSample]:
        """Yield `at` for each window; windows with the same firm-events share cached values."""
        ar = self.abnormal.ar
        shared: dict[bytes, tuple[Sample, Places, ShockPortfolios, PeerWeights, dict[Callable[..., Any], Any]]] = {}
        for window in windows:
            car, variance = self.abnormal.car(window, ar=ar), self.abnormal.variance(window)
            scar = car / np.sqrt(variance)
            complete = np.isfinite(scar)
            key = complete.tobytes()
            if key not in shared:
                part = (self if complete.all() else self.take(self.group, complete)).ranked()
                portfolios = shock_portfolios(part.abnormal, weighting=self.weighting, by="date")
                shared[key] = part, news_of(part.abnormal.panel), portfolios, portfolios.weighted(window), {}
            part, news, portfolios, peers, made = shared[key]
            days = part.abnormal.weights(window) > 0
            in_common = window_overlap(part.abnormal.panel.event_sessions, days, news)
            shock_car = portfolios.mean_of(car[complete], peers.weight)
            yield WindowSample(
                group=self.group,
                window=window,
                abnormal=part.abnormal,
                car=car[complete],
                variance=variance[complete],
                scar=scar[complete],
                rbar=mean_correlation(part.correlations * in_common),
                portfolios=portfolios,
                shock_car=shock_car,
                shock_s=shock_car / np.sqrt(portfolios.variance(window, peers=peers)),
                overlap=date_overlap(portfolios, peers, days),
                ranks=part.ranked_days(),
                seed=self.seed,
                draws=self.draws,
                alternative=self.alternative,
                peers=peers,
                made=made,
            )


def members(sample: WindowSample) -> Floats:
    """Number of firm-events of each date, (K,); with value weights, their share of the group's value times N."""
    return sample.portfolios.total(sample.shares[sample.portfolios.members] * sample.n)


Statistic = Callable[[WindowSample], TestResult]
STATISTICS: Registry[Statistic] = registry.STATISTICS


def statistic(
    name: str, *, null: str, source: str, minimum: int = 1, dates: int = 1, weighted: bool = False
) -> Callable[[Statistic], Statistic]:
    """Register a statistic.

    Parameters
    ----------
    null, source
        The null hypothesis, and the paper; both are copied into every result.
    minimum, dates
        Smallest numbers of firm-events and of dates; with fewer the test is refused with a reason.
    weighted
        Whether it weights firm-events by `WindowSample.shares`; if not, it is refused for value weights.

    Returns
    -------
    callable
        A decorator; the function it returns refuses too few firm-events or dates by itself.

    Examples
    --------
    ``sample`` is a `WindowSample`, the input of a statistic.

    >>> import numpy as np
    >>> from eventstudy import TestResult, WindowSample, statistic
    >>> @statistic("median_t", null="the median CAR is zero", source="none", minimum=2)
    ... def median_t(sample: WindowSample) -> TestResult:
    ...     se = 1.2533 * sample.car.std(ddof=1) / np.sqrt(sample.n)
    ...     return sample.result(np.median(sample.car) / se, distribution="normal")
    >>> found = median_t(sample)
    >>> found.name, 0.0 <= found.p_value <= 1.0
    ('median_t', True)
    """

    def register(compute: Statistic) -> Statistic:
        @functools.wraps(compute)
        def checked(sample: WindowSample) -> TestResult:
            if sample.n < minimum:
                outcome = sample.refuse(Reason("not_tested.few_events", needed=minimum, n=sample.n))
            elif sample.k < dates:
                outcome = sample.refuse(Reason("not_tested.few_dates", needed=dates, k=sample.k))
            elif sample.by_value and not weighted:
                outcome = sample.refuse(Reason("not_tested.by_value"))
            elif dates > 1 and sample.overlap and sample.overlap.k_eff < FEWEST_EFFECTIVE:
                outcome = sample.refuse(Reason("overlap.worth", k=sample.k, k_eff=round(sample.overlap.k_eff, 1)))
            else:
                outcome = compute(sample)
            if not outcome.reason and not math.isfinite(outcome.statistic):
                outcome = sample.refuse(Reason("not_tested.undefined"))
            # The same NaN object for all, so that two equal results compare as equal.
            rbar, n_effective = (sample.rbar, sample.n_effective) if not math.isnan(sample.rbar) else (math.nan,) * 2
            return replace(
                outcome,
                name=name,
                null=null,
                source=source,
                rbar=rbar,
                n_effective=n_effective,
                k_eff=sample.overlap.k_eff if sample.k else math.nan,
            )

        STATISTICS[name] = checked
        return checked

    return register


def run_tests(samples: Iterable[Sample], windows: Sequence[Window], names: Sequence[str] = ()) -> list[TestResult]:
    """Run the named statistics (all, if none is named) on every group and window.

    Raises
    ------
    ConfigError
        For a name that is not registered, with the nearest one.
    """
    for name in names:
        if not STATISTICS.knows(name):
            raise ConfigError(f"tests.names: {STATISTICS.unknown(name)}")
    chosen = names or tuple(STATISTICS)
    results = []
    for sample in samples:
        for observed in sample.ranked().each(windows):
            results += [STATISTICS[name](observed) for name in chosen]
    return results


def two_sided(statistic: float, distribution: str, df: float = math.nan) -> float:
    """Two-sided p-value of a t or normal statistic; NaN for NaN."""
    if math.isnan(statistic):
        return math.nan
    if distribution == "t":
        return float(2.0 * special.stdtr(df, -abs(statistic)))
    return float(2.0 * special.ndtr(-abs(statistic)))
