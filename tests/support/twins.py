"""Every statistic and the market model once more, slowly: loops over plain numbers, from the papers.

Nothing here is taken from the package: a twin gets the raw panel and computes fit, abnormal returns,
portfolios and test by itself. A twin returns (statistic, p-value), or None where the test does not
apply. Random tests are given the same draws, since no formula says what they are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from math import fsum, sqrt

import numpy as np
from scipy import stats

from eventstudy.core.windows import NO_SESSION, EventPanel

Outcome = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """One firm-event: its market model by the textbook's sums, and its abnormal returns."""

    shock: str
    event: str
    region: str
    lead: bool
    day0: int
    alpha: float
    beta: float
    s2: float
    dof: int
    days: int
    mean: float
    sxx: float
    residual: dict[int, float]
    market: dict[int, float]
    session: dict[int, int]
    estimation_session: list[int]
    ar: list[float]
    expected: list[float]
    returns: list[float]
    star: list[float]
    event_session: list[int]
    with_alpha: list[bool]

    def inverse(self) -> tuple[float, float, float]:
        """(X'X)^-1 of [1, R_m]: corner, border, slope."""
        return 1 / self.days + self.mean**2 / self.sxx, -self.mean / self.sxx, 1 / self.sxx

    def covariance(self, s: int, t: int) -> float:
        """Prediction-error covariance of two event days: s2 (1{s=t} + x_s' (X'X)^-1 x_t)."""
        corner, border, slope = self.inverse()
        a, b = float(self.with_alpha[s]), float(self.with_alpha[t])
        x, y = self.star[s], self.star[t]
        return self.s2 * ((s == t) + a * b * corner + (a * y + b * x) * border + x * y * slope)


def market_model(panel: EventPanel, i: int, *, last_alpha_day: int | None) -> Fitted:
    """Fit firm-event ``i`` by simple regression on the days that have both returns."""
    y, x = panel.estimation_returns[i].tolist(), panel.estimation_factors[i, :, 0].tolist()
    used = [t for t in range(len(y)) if math.isfinite(y[t]) and math.isfinite(x[t])]
    n = len(used)
    y_mean, x_mean = fsum(y[t] for t in used) / n, fsum(x[t] for t in used) / n
    sxx = fsum((x[t] - x_mean) ** 2 for t in used)
    beta = fsum((x[t] - x_mean) * (y[t] - y_mean) for t in used) / sxx
    alpha = y_mean - beta * x_mean
    residual = {t: (y[t] - y_mean) - beta * (x[t] - x_mean) for t in used}
    tau = panel.tau.tolist()
    with_alpha = [last_alpha_day is None or day <= last_alpha_day for day in tau]
    star, real = panel.event_factors[i, :, 0].tolist(), panel.event_returns[i].tolist()
    expected = [(alpha if keep else 0.0) + beta * m for keep, m in zip(with_alpha, star, strict=True)]
    return Fitted(
        str(panel.shock_id[i]),
        str(panel.event_id[i]),
        str(panel.region[i]),
        bool(panel.lead[i]),
        int(panel.event_sessions[i, tau.index(0)]),
        alpha,
        beta,
        fsum(e * e for e in residual.values()) / (n - 2),
        n - 2,
        n,
        x_mean,
        sxx,
        residual,
        {t: x[t] for t in used},
        {t: int(panel.estimation_sessions[i, t]) for t in used},
        panel.estimation_sessions[i].tolist(),
        [r - e for r, e in zip(real, expected, strict=True)],
        expected,
        real,
        star,
        panel.event_sessions[i].tolist(),
        with_alpha,
    )


@dataclass(frozen=True, slots=True)
class Portfolio:
    """One shock's peer portfolio: raw and standardised CAR, residuals by estimation day."""

    shock: str
    day0: int
    car: float
    s: float
    residual: dict[int, float]
    s2: float
    size: int
    window: list[int]
    by_session: dict[int, float]


class Group:
    """The firm-events that have a window complete."""

    def __init__(
        self,
        panel: EventPanel,
        window: tuple[int, int],
        *,
        last_alpha_day: int | None,
        weighting: str,
        seed: int,
        draws: int,
    ) -> None:
        tau = panel.tau.tolist()
        self.inside = [d for d, day in enumerate(tau) if window[0] <= day <= window[1]]
        fits = [market_model(panel, i, last_alpha_day=last_alpha_day) for i in range(len(panel))]
        self.kept = [i for i, f in enumerate(fits) if all(math.isfinite(f.ar[d]) for d in self.inside)]
        self.firms = [fits[i] for i in self.kept]
        self.length, self.width = panel.estimation_returns.shape[1], len(self.inside)
        self.seed, self.draws, self.weighting = seed, draws, weighting
        self.n = len(self.firms)
        self.car = [fsum(f.ar[d] for d in self.inside) for f in self.firms]
        self.variance = [fsum(f.covariance(s, t) for s in self.inside for t in self.inside) for f in self.firms]
        self.scar = [c / sqrt(v) for c, v in zip(self.car, self.variance, strict=True)]
        self.portfolios = self._portfolios()
        self.k = len(self.portfolios)

    def _portfolios(self) -> list[Portfolio]:
        dates: dict[int, list[int]] = {}
        self.date: dict[str, int] = {}
        for shock in sorted({f.shock for f in self.firms}):
            mine = [i for i, f in enumerate(self.firms) if f.shock == shock]
            earliest = min(self.firms[i].day0 for i in mine)
            mine = [i for i in mine if self.firms[i].lead] or [i for i in mine if self.firms[i].day0 == earliest]
            self.date[shock] = min(self.firms[i].day0 for i in mine)
            dates.setdefault(self.date[shock], []).extend(mine)
        return [self._portfolio(str(day), sorted(mine)) for day, mine in sorted(dates.items())]

    def _portfolio(self, shock: str, mine: list[int]) -> Portfolio:
        regions = [self.firms[i].region if self.weighting == "market-balanced" else "" for i in mine]
        weight = {i: 1 / regions.count(r) / len(set(regions)) for i, r in zip(mine, regions, strict=True)}
        car = fsum(weight[i] * self.car[i] for i in mine)
        residual, leverage = {}, []
        for t in range(self.length):
            there = [i for i in mine if t in self.firms[i].residual]
            if there:
                total = fsum(weight[i] * self.firms[i].residual[t] for i in there)
                residual[t] = total / fsum(weight[i] for i in there)
            leverage.append(fsum(weight[i] * self._pull(self.firms[i], t) for i in there))
        s2 = fsum(e * e for e in residual.values()) / (len(residual) - 2) if len(residual) > 2 else math.nan
        variance = s2 * (self.width + fsum(a * a for a in leverage))
        members = [self.firms[i] for i in mine]
        window = [min(f.event_session[d] for f in members) for d in self.inside]
        by_session = {}
        for t, e in residual.items():
            days = [f.estimation_session[t] for f in members if f.estimation_session[t] != NO_SESSION]
            by_session[min(days)] = e
        day0, s = min(f.day0 for f in members), car / sqrt(variance)
        return Portfolio(shock, day0, car, s, residual, s2, len(mine), window, by_session)

    def overlaps(self) -> list[tuple[int, int]]:
        """Pairs of dates whose windows share a session."""
        pairs = itertools.combinations(range(self.k), 2)
        return [(j, k) for j, k in pairs if set(self.portfolios[j].window) & set(self.portfolios[k].window)]

    def w(self) -> list[list[float]]:
        """Correlations of the dates' CARs: share of sessions in common times that of the residuals."""
        matrix = [[float(j == k) for k in range(self.k)] for j in range(self.k)]
        for j, k in self.overlaps():
            one, other = self.portfolios[j], self.portfolios[k]
            days = sorted(set(one.by_session) & set(other.by_session))
            alike = 1.0
            if len(days) >= 30:
                a, b = [one.by_session[day] for day in days], [other.by_session[day] for day in days]
                cross = fsum(x * y for x, y in zip(a, b, strict=True))
                alike = max(0.0, cross / sqrt(fsum(x * x for x in a) * fsum(y * y for y in b)))
            share = len(set(one.window) & set(other.window)) / self.width
            matrix[j][k] = matrix[k][j] = share * alike
        return matrix

    def k_eff(self) -> float:
        return self.k**2 / fsum(fsum(row) for row in self.w())

    def inflation(self) -> float:
        """n'Wn / n'n over the sizes n of the dates' portfolios."""
        n, w = [p.size for p in self.portfolios], self.w()
        both = range(self.k)
        return fsum(n[j] * n[k] * w[j][k] for j in both for k in both) / fsum(x * x for x in n)

    def blocks(self) -> list[list[int]]:
        """Dates linked by chains of overlapping windows, by their first date."""
        found: list[list[int]] = []
        for k in range(self.k):
            linked = [b for b in found if any((j, k) in self.overlaps() for j in b)]
            found = [b for b in found if b not in linked] + [sorted([*itertools.chain(*linked), k])]
        return sorted(found)

    def _pull(self, firm: Fitted, t: int) -> float:
        """Weight with which estimation day ``t`` enters the prediction of the window's sum."""
        corner, border, slope = firm.inverse()
        a = fsum(float(firm.with_alpha[d]) for d in self.inside)
        m = fsum(firm.star[d] for d in self.inside)
        x = firm.market[t]
        return a * corner + (a * x + m) * border + m * x * slope

    def rbar(self) -> float:
        """Mean over pairs of the residuals' correlation, each times the share of the window in common."""
        pairs = list(itertools.combinations(range(self.n), 2))
        if not pairs:
            return math.nan
        return fsum(self._common(*pair) * self._correlation(*pair) for pair in pairs) / len(pairs)

    def _common(self, i: int, j: int) -> float:
        one, other = self.firms[i], self.firms[j]
        if one.lead and other.lead and self.date[one.shock] == self.date[other.shock]:
            return 1.0
        if not one.lead and not other.lead and (one.shock, one.day0) == (other.shock, other.day0):
            return 1.0
        days = {one.event_session[d] for d in self.inside} & {other.event_session[d] for d in self.inside}
        return len(days) / len(self.inside)

    def _correlation(self, i: int, j: int) -> float:
        by_day = [{f.session[t]: e for t, e in f.residual.items()} for f in (self.firms[i], self.firms[j])]
        days = sorted(set(by_day[0]) & set(by_day[1]))
        if len(days) < 2:
            return 0.0
        a, b = ([values[day] for day in days] for values in by_day)
        a_mean, b_mean = fsum(a) / len(a), fsum(b) / len(b)
        cross = fsum((x - a_mean) * (y - b_mean) for x, y in zip(a, b, strict=True))
        return cross / sqrt(fsum((x - a_mean) ** 2 for x in a) * fsum((y - b_mean) ** 2 for y in b))


def mean_and_sd(values: list[float]) -> tuple[float, float]:
    mean = fsum(values) / len(values)
    return mean, sqrt(fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def by_t(value: float, df: float) -> Outcome:
    return value, float(2 * stats.t.sf(abs(value), df))


def by_normal(value: float) -> Outcome:
    return value, float(2 * stats.norm.sf(abs(value)))


def t_of(values: list[float]) -> Outcome:
    if len(values) < 2:
        return None
    mean, sd = mean_and_sd(values)
    return by_t(mean / (sd / sqrt(len(values))), len(values) - 1)


def ranks(values: list[float]) -> list[float]:
    """Rank of each value, ties at their mean: one plus those below plus half the others alike."""
    return [1 + sum(u < v for u in values) + (sum(u == v for u in values) - 1) / 2 for v in values]


def ar_t(group: Group) -> Outcome:
    return car_t(group) if group.width == 1 else None


def car_t(group: Group) -> Outcome:
    return by_t(group.scar[0], group.firms[0].dof) if group.n == 1 else None


def cross_sectional_t(group: Group) -> Outcome:
    return t_of(group.car)


def skewness_t(group: Group) -> Outcome:
    n = group.n
    if n < 3:
        return None
    mean, sd = mean_and_sd(group.car)
    s, g = mean / sd, n / ((n - 1) * (n - 2)) * fsum(((c - mean) / sd) ** 3 for c in group.car)
    return by_normal(sqrt(n) * (s + g * s**2 / 3 + g**2 * s**3 / 27 + g / (6 * n)))


def bhars(group: Group) -> list[float]:
    found = []
    for f in group.firms:
        real = math.prod(1 + f.returns[d] for d in group.inside)
        found.append(real - math.prod(1 + f.expected[d] for d in group.inside))
    return found


def bhar_t(group: Group) -> Outcome:
    return t_of(bhars(group))


def patell_value(group: Group) -> float:
    return fsum(group.scar) / sqrt(fsum(f.dof / (f.dof - 2) for f in group.firms))


def patell(group: Group) -> Outcome:
    return by_normal(patell_value(group))


def patell_kp(group: Group) -> Outcome:
    if group.n < 2 or not 1 + (group.n - 1) * group.rbar() > 0:
        return None
    return by_normal(patell_value(group) / sqrt(1 + (group.n - 1) * group.rbar()))


def bmp(group: Group) -> Outcome:
    return t_of(group.scar)


def bmp_kp(group: Group) -> Outcome:
    plain, r = t_of(group.scar), group.rbar()
    if plain is None or not (1 + (group.n - 1) * r > 0 and r < 1):
        return None
    return by_t(plain[0] * sqrt((1 - r) / (1 + (group.n - 1) * r)), group.n - 1)


def mean_residuals(group: Group) -> list[float]:
    found = []
    for t in range(group.length):
        there = [f.residual[t] for f in group.firms if t in f.residual]
        if there:
            found.append(fsum(there) / len(there))
    return found


def portfolio_t(group: Group) -> Outcome:
    series = mean_residuals(group)
    _, sd = mean_and_sd(series)
    caar = fsum(group.car) / group.n
    return by_t(caar / (sd * sqrt(group.width * group.inflation())), len(series) - 1)


def corrected_t(values: list[float], w: list[list[float]]) -> Outcome:
    """t of correlated values by full matrices: M takes the mean out, W are the correlations."""
    k = len(values)
    total = fsum(fsum(row) for row in w)
    mean = fsum(values) / k
    scatter = fsum((v - mean) ** 2 for v in values)
    m = [[float(i == j) - 1 / k for j in range(k)] for i in range(k)]
    mw = [[fsum(m[i][h] * w[h][j] for h in range(k)) for j in range(k)] for i in range(k)]
    trace = fsum(mw[i][i] for i in range(k))
    square = fsum(mw[i][j] * mw[j][i] for i in range(k) for j in range(k))
    sigma2 = scatter / (k - total / k)
    return by_t(fsum(values) / sqrt(sigma2 * total), trace**2 / square)


def over_dates(group: Group, values: list[float]) -> Outcome:
    if not group.overlaps():
        return t_of(values)
    return None if group.k_eff() < 2 else corrected_t(values, group.w())


def date_t(group: Group) -> Outcome:
    return over_dates(group, [p.s for p in group.portfolios])


def ibragimov_mueller(group: Group) -> Outcome:
    return over_dates(group, [p.car for p in group.portfolios])


def clustered_t(sums: list[float], sizes: list[int]) -> float:
    """Mean over its standard error with blocks as clusters, from their sums and sizes."""
    dates, b = sum(sizes), len(sums)
    mean = fsum(sums) / dates
    square = fsum((s - n * mean) ** 2 for s, n in zip(sums, sizes, strict=True))
    return mean / (sqrt(b / (b - 1) * square) / dates) if square > 0 else math.inf


def sign_flip(group: Group) -> Outcome:
    values = [p.s for p in group.portfolios]
    plain = t_of(values)
    if plain is None:
        return None
    if group.overlaps():
        blocks = group.blocks()
        if group.k_eff() < 2 or len(blocks) < 6:
            return None
        sums = [fsum(values[k] for k in block) for block in blocks]
        signs = itertools.product((-1.0, 1.0), repeat=len(sums))
        flips = [abs(fsum(w * v for w, v in zip(sign, sums, strict=True))) for sign in signs]
        share = sum(flip >= abs(fsum(sums)) * (1 - 1e-11) for flip in flips) / len(flips)
        return clustered_t(sums, [len(block) for block in blocks]), share
    at_least = 0
    for signs in itertools.product((-1.0, 1.0), repeat=len(values)):
        flipped = t_of([w * v for w, v in zip(signs, values, strict=True)])
        at_least += flipped is not None and abs(flipped[0]) >= abs(plain[0]) * (1 - 1e-9)
    return plain[0], at_least / 2 ** len(values)


def all_ranks(group: Group) -> list[tuple[dict[int, float], int]]:
    """For each firm-event the rank by day, event days numbered after the estimation days, and M_i."""
    found = []
    for f in group.firms:
        days = list(f.residual) + [group.length + d for d, a in enumerate(f.ar) if math.isfinite(a)]
        values = list(f.residual.values()) + [a for a in f.ar if math.isfinite(a)]
        found.append((dict(zip(days, ranks(values), strict=True)), len(values)))
    return found


def rank_z(group: Group, score: Callable[[list[tuple[float, int]]], float]) -> Outcome:
    if group.n < 2:
        return None
    ranked = all_ranks(group)
    by_day = {}
    for t in range(group.length + len(group.firms[0].ar)):
        there = [(rank[t], count) for rank, count in ranked if t in rank]
        if there:
            by_day[t] = score(there)
    spread = sqrt(fsum(d * d for d in by_day.values()) / len(by_day))
    error = spread * sqrt(group.width * group.inflation())
    return by_normal(fsum(by_day[group.length + d] for d in group.inside) / error)


def corrado(group: Group) -> Outcome:
    return rank_z(group, lambda there: fsum(k - (m + 1) / 2 for k, m in there) / len(there))


def corrado_zivney(group: Group) -> Outcome:
    return rank_z(group, lambda there: fsum(k / (1 + m) - 0.5 for k, m in there) / sqrt(len(there)))


def generalised_ranks(group: Group) -> dict[int, tuple[float, int]]:
    """Mean of the centred uniform ranks and count by column; the event is column ``length``."""
    _, sd = mean_and_sd(group.scar)
    columns: dict[int, list[float]] = {}
    for f, scar in zip(group.firms, group.scar, strict=True):
        values = [e / sqrt(f.s2) for e in f.residual.values()] + [scar / sd]
        for t, rank in zip([*f.residual, group.length], ranks(values), strict=True):
            columns.setdefault(t, []).append(rank / (len(values) + 1) - 0.5)
    return {t: (fsum(u) / len(u), len(u)) for t, u in columns.items()}


def grank_t(group: Group) -> Outcome:
    if group.n < 2:
        return None
    columns = generalised_ranks(group)
    length = len(columns)
    z = columns[group.length][0] / sqrt(fsum(c / group.n * u * u for u, c in columns.values()) / length)
    z /= sqrt(group.inflation())
    return by_t(z * sqrt((length - 2) / (length - 1 - z * z)), length - 2)


def grank_z(group: Group) -> Outcome:
    if group.n < 2 or group.k < group.n or group.overlaps():
        return None
    columns = generalised_ranks(group)
    length = len(columns)
    return by_normal(sqrt(12 * group.n * (length + 1) / (length - 1)) * columns[group.length][0])


def wilcoxon(group: Group) -> Outcome:
    rank = ranks([abs(c) for c in group.car])
    w = fsum(r for r, c in zip(rank, group.car, strict=True) if c > 0)
    sums = [
        sum(r for r, s in zip(rank, signs, strict=True) if s) for signs in itertools.product((0, 1), repeat=group.n)
    ]
    lower, upper = sum(s <= w for s in sums), sum(s >= w for s in sums)
    return w, min(1.0, 2 * min(lower, upper) / len(sums))


def sign(group: Group) -> Outcome:
    return share_z(group, 0.5) if group.n > 1 else None


def generalized_sign(group: Group) -> Outcome:
    shares = [sum(e > 0 for e in f.residual.values()) / len(f.residual) for f in group.firms]
    return share_z(group, fsum(shares) / len(shares)) if group.n > 1 else None


def share_z(group: Group, p: float) -> Outcome:
    w = sum(c > 0 for c in group.car)
    return by_normal((w - group.n * p) / sqrt(group.n * p * (1 - p)))


def calendar_time(group: Group) -> Outcome:
    by_day: dict[int, list[float]] = {}
    for f in group.firms:
        for d in group.inside:
            by_day.setdefault(f.event_session[d], []).append(f.ar[d])
    series = [fsum(by_day[day]) / len(by_day[day]) for day in sorted(by_day)]
    days = len(series)
    if days < 10:
        return None
    mean = fsum(series) / days
    lags = min(group.width - 1, int(4 * (days / 100) ** (2 / 9)))
    total = 0.0
    for s in range(days):
        for t in range(days):
            if abs(s - t) <= lags:
                total += (1 - abs(s - t) / (lags + 1)) * (series[s] - mean) * (series[t] - mean)
    return by_t(mean / sqrt(total / days**2), days - 1)


def johnson(values: list[float]) -> float:
    n = len(values)
    mean, sd = mean_and_sd(values)
    s, g = mean / sd, fsum((v - mean) ** 3 for v in values) / (n * sd**3)
    return sqrt(n) * (s + g * s * s / 3 + g / (6 * n))


def two_tails(value: float, simulated: list[float]) -> float:
    slack = 1e-11 * abs(value)
    lower, upper = sum(v <= value + slack for v in simulated), sum(v >= value - slack for v in simulated)
    return min(1.0, 2 * (1 + min(lower, upper)) / (1 + len(simulated)))


def beyond(value: float, simulated: list[float]) -> float:
    """Share of draws at least as far from zero, the value itself counted."""
    return (1 + sum(abs(v) >= abs(value) * (1 - 1e-11) for v in simulated)) / (1 + len(simulated))


def bootstrap(group: Group) -> Outcome:
    if group.n < 10:
        return None
    values = sorted(bhars(group))
    mean = fsum(values) / group.n
    size = max(group.n // 4, min(group.n, 50))
    rows = np.random.default_rng(group.seed).integers(group.n, size=(group.draws, size))
    simulated = [johnson([values[i] - mean for i in row]) for row in rows.tolist()]
    value = johnson(values)
    return value, two_tails(value, simulated)


def bootstrap_dates(group: Group) -> Outcome:
    values = [p.car for p in group.portfolios]
    plain = t_of(values)
    if plain is None or group.k < 10:
        return None
    mean = fsum(values) / group.k
    if group.overlaps():
        return bootstrap_blocks_of_dates(group, [v - mean for v in values], mean)
    rows = np.random.default_rng(group.seed).integers(group.k, size=(group.draws, group.k))
    simulated = []
    for row in rows.tolist():
        drawn = [values[i] - mean for i in row]
        simulated.append(math.inf if len(set(row)) == 1 else t_of(drawn)[0])  # type: ignore[index]
    return plain[0], beyond(plain[0], simulated)


def bootstrap_blocks_of_dates(group: Group, deviations: list[float], mean: float) -> Outcome:
    blocks = group.blocks()
    b = len(blocks)
    if group.k_eff() < 2 or b < 10:
        return None
    sums, sizes = [fsum(deviations[k] for k in block) for block in blocks], [len(block) for block in blocks]
    rows = np.random.default_rng(group.seed).integers(b, size=(group.draws, b)).tolist()
    simulated = []
    for row in rows:
        one = len(set(row)) == 1
        simulated.append(math.inf if one else clustered_t([sums[i] for i in row], [sizes[i] for i in row]))
    value = clustered_t([s + n * mean for s, n in zip(sums, sizes, strict=True)], sizes)
    return value, beyond(value, simulated)


def bootstrap_blocks(group: Group) -> Outcome:
    series = mean_residuals(group)
    days = len(series)
    if days < max(39, 2 * group.width):
        return None
    mean = fsum(series) / days
    ratio = fsum(v / (f.s2 * group.width) for v, f in zip(group.variance, group.firms, strict=True)) / group.n
    wider = sqrt(days / (days - 2) * ratio * group.inflation())
    rng = np.random.default_rng(group.seed)
    mean_block = 1.0 if group.overlaps() else days ** (1 / 3)
    jump = rng.random((group.draws, group.width)) < 1 / mean_block
    starts = rng.integers(days, size=(group.draws, group.width))
    sums = []
    for b in range(group.draws):
        at, drawn = 0, []
        for w in range(group.width):
            at = int(starts[b, w]) if w == 0 or jump[b, w] else (at + 1) % days
            drawn.append(series[at] - mean)
        sums.append(wider * fsum(drawn))
    middle = fsum(sums) / len(sums)
    caar = fsum(group.car) / group.n
    return caar / sqrt(fsum((s - middle) ** 2 for s in sums) / len(sums)), beyond(caar, sums)


def placebos(group: Group, portfolio: Portfolio) -> list[float]:
    found = []
    for start in range(group.length - group.width + 1):
        days = range(start, start + group.width)
        if all(t in portfolio.residual for t in days):
            found.append(fsum(portfolio.residual[t] for t in days))
    return found


def permutation(group: Group) -> Outcome:
    series = []
    for p in group.portfolios:
        sd = sqrt(p.s2 * group.width * (1 - group.width / len(p.residual)))
        series.append([v / sd for v in placebos(group, p)])
    if min(len(row) for row in series) < 39:
        return None
    value = fsum(p.s for p in group.portfolios) / group.k
    if group.k == 1:
        return value, beyond(value, series[0])
    wider = sqrt(fsum(fsum(row) for row in group.w()) / group.k)
    rng = np.random.default_rng(group.seed)
    drawn = [rng.integers(len(row), size=group.draws) for row in series]
    simulated = [
        wider * fsum(row[int(at[b])] for row, at in zip(series, drawn, strict=True)) / group.k
        for b in range(group.draws)
    ]
    return value, beyond(value, simulated)


def sq(group: Group) -> Outcome:
    if group.k != 1:
        return None
    sums = placebos(group, group.portfolios[0])
    if len(sums) < 39:
        return None
    return group.portfolios[0].car, two_tails(group.portfolios[0].car, sums)


TWINS: dict[str, Callable[[Group], Outcome]] = {
    twin.__name__: twin
    for twin in (
        ar_t,
        car_t,
        cross_sectional_t,
        skewness_t,
        bhar_t,
        patell,
        patell_kp,
        bmp,
        bmp_kp,
        portfolio_t,
        date_t,
        ibragimov_mueller,
        sign_flip,
        corrado,
        corrado_zivney,
        grank_t,
        grank_z,
        wilcoxon,
        sign,
        generalized_sign,
        calendar_time,
        bootstrap,
        bootstrap_dates,
        bootstrap_blocks,
        permutation,
        sq,
    )
}


def romano_wolf(values: list[list[float]], signs: list[list[float]]) -> list[float]:
    """Step-down over columns of ``values`` (K rows), the largest of those left for each sign vector."""
    columns = [list(column) for column in zip(*values, strict=True)]
    observed = [abs(t_of([v for v in column if math.isfinite(v)])[0]) for column in columns]  # type: ignore[index]
    flipped = []
    for sign in signs:
        row = []
        for column in columns:
            drawn = [w * v for w, v in zip(sign, column, strict=True) if math.isfinite(v)]
            row.append(abs(t_of(drawn)[0]))  # type: ignore[index]
        flipped.append(row)
    left = sorted(range(len(columns)), key=lambda j: -observed[j])
    adjusted, largest_so_far = [math.nan] * len(columns), 0.0
    while left:
        j = left[0]
        share = sum(max(row[m] for m in left) >= observed[j] * (1 - 1e-9) for row in flipped) / len(flipped)
        largest_so_far = max(largest_so_far, share)
        adjusted[j] = largest_so_far
        left.pop(0)
    return adjusted


@dataclass(frozen=True, slots=True)
class SlowRegression:
    """CR2 and the wild bootstrap by full matrices."""

    se_cr2: list[float]
    df_cr2: list[float]
    p_wild: list[float]


def cluster_regression(y: np.ndarray, x: np.ndarray, cluster: np.ndarray, weights: np.ndarray) -> SlowRegression:
    """CR2 with (I-H)_g of n rows and a bootstrap that fits every drawn sample anew."""
    n, p = x.shape
    clusters = sorted(set(cluster.tolist()))
    bread = np.linalg.inv(x.T @ x)
    annihilator = np.eye(n) - x @ bread @ x.T
    residual = annihilator @ y
    roots = {}
    for g in clusters:
        values, vectors = np.linalg.eigh(annihilator[np.ix_(cluster == g, cluster == g)])
        roots[g] = sum(
            np.outer(v, v) / sqrt(value) for value, v in zip(values, vectors.T, strict=True) if value > 1e-10
        )
    se, df, wild = [], [], []
    for j in range(p):
        contrast = np.eye(p)[j]
        columns, variance = [], 0.0
        for g in clusters:
            mine = cluster == g
            weighting = roots[g] @ x[mine] @ bread @ contrast
            variance += float(weighting @ residual[mine]) ** 2
            columns.append(annihilator[:, mine] @ weighting)
        stacked = np.column_stack(columns)
        gram = stacked.T @ stacked
        se.append(sqrt(variance))
        df.append(np.trace(gram) ** 2 / np.trace(gram @ gram))
        wild.append(_slow_wild(y, x, cluster, clusters, j, weights))
    return SlowRegression(se, df, wild)


def _slow_wild(
    y: np.ndarray, x: np.ndarray, cluster: np.ndarray, clusters: list[int], j: int, weights: np.ndarray
) -> float:
    others = np.delete(x, j, axis=1)
    null = others @ np.linalg.lstsq(others, y, rcond=None)[0]
    observed = abs(_cr1_t(y, x, cluster, clusters, j))
    extreme = 0
    for row in weights:
        by_row = np.array([row[clusters.index(g)] for g in cluster.tolist()])
        extreme += abs(_cr1_t(null + by_row * (y - null), x, cluster, clusters, j)) >= observed * (1 - 1e-9)
    return extreme / len(weights)


def _cr1_t(y: np.ndarray, x: np.ndarray, cluster: np.ndarray, clusters: list[int], j: int) -> float:
    n, p = x.shape
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    residual = y - x @ beta
    meat = np.zeros((p, p))
    for g in clusters:
        score = x[cluster == g].T @ residual[cluster == g]
        meat += np.outer(score, score)
    count = len(clusters)
    scale = count / (count - 1) * (n - 1) / (n - p)
    return float(beta[j] / sqrt(scale * (bread @ meat @ bread)[j, j]))


def past_covariance(residuals: np.ndarray, date: np.ndarray) -> np.ndarray:
    """Covariance of all firm-events, (n, n): for each pair on one date the sum over the kept components.

    Components are eigenvectors of the date's sample covariance; what they leave of each firm's variance is
    added to the diagonal. Pairs of two dates have none.
    """
    n, days = residuals.shape
    found = np.zeros((n, n))
    for day in set(date.tolist()):
        rows = [i for i in range(n) if date[i] == day]
        sample = np.atleast_2d(np.cov(residuals[rows]))
        values, vectors = np.linalg.eigh(sample)
        largest = sorted(range(len(rows)), key=lambda j: -values[j])[: min(100, len(rows) // 2, days // 2)]
        for a, i in enumerate(rows):
            for b, j in enumerate(rows):
                found[i, j] = sum(values[k] * vectors[a, k] * vectors[b, k] for k in largest)
            found[i, i] += max(sample[a, a] - found[i, i], 1e-4 * sample[a, a])
    return found
