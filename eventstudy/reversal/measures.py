"""Measures of reversal: how much of a drop was recovered, and how fast; each a row of the table of measures."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from eventstudy.config import StudyConfig, Window, Windows
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.arrays import Bools, Counts, Floats
from eventstudy.core.checks.multiplicity import holm
from eventstudy.core.statistics.dates import sign_flip_floor, sign_flip_p, sign_vectors, student, t_interval
from eventstudy.core.statistics.sample import two_sided
from eventstudy.errors import Reason
from eventstudy.reversal.matching import Placebo
from eventstudy.reversal.permutation import date_means, date_names, leave_one_out, sets_test
from eventstudy.reversal.question import Shocks, sign_flips
from eventstudy.reversal.verdict import EFFECTS

NAN = float("nan")
NO_NOTE = Reason()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number on one kind of drops; NaN if undefined, with the reason in ``note``."""

    measure: str
    group: str
    estimate: float = NAN
    lower: float = NAN
    upper: float = NAN
    p_value: float = NAN
    n_dates: int = 0
    note: Reason = NO_NOTE


def mean_measure(name: str, group: str, values: Floats, *, note: Reason | None = None) -> Measure:
    """Mean over dates with its 95 % t interval and two-sided p."""
    k = len(values)
    low, high = t_interval(values)
    mean, p = float(values.mean()) if k else NAN, two_sided(student(values), "t", k - 1.0) if k > 1 else NAN
    note = note or Reason("note.one_date" if k == 1 else "")
    return Measure(measure=name, group=group, estimate=mean, lower=low, upper=high, p_value=p, n_dates=k, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One step of the fixed sequence of tests; ``reached`` says whether all steps before it passed."""

    step: int
    hypothesis: Reason
    estimate: float
    p_value: float
    level: float
    reached: bool
    passed: bool
    reason: Reason = NO_NOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class PathDay:
    """Mean cumulative AR of one kind of drops, or of their control drops, on one day.

    ``series`` is ``events`` or ``placebos``, ``n_paths`` counts the drops that ``car`` averages, and
    ``lower`` and ``upper`` are the 95 % t interval over the ``n_dates`` dates; decimal returns.
    """

    group: str
    series: str
    tau: int
    n_dates: int
    n_paths: int
    car: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Reversal ratio with its Fieller interval.

    ``shape`` is ``interval``, ``outside`` (all numbers outside the ends, because the mean drop does not differ
    significantly from zero), ``everything``, or ``undefined`` for fewer than two dates.
    """

    estimate: float
    lower: float
    upper: float
    shape: str


def reversal_ratio(drop: Floats, post: Floats, level: float = 0.95) -> Ratio:
    """Ratio of means RR = -sum(post) / sum(drop); one means that the drop was recovered completely.

    Notes
    -----
    Fieller (1954): all rho with (m_p + rho m_d)^2 <= t^2 (v_p + 2 rho c_pd + rho^2 v_d), where m are
    means over the K dates, v and c their variances and covariance, t that of t(K-1). The quadratic
    a rho^2 + 2 b rho + c <= 0 has a = m_d^2 - t^2 v_d, b = m_p m_d - t^2 c_pd, c = m_p^2 - t^2 v_p.
    """
    k = len(drop)
    if not k or drop.sum() == 0:
        return Ratio(NAN, NAN, NAN, "undefined")
    estimate = float(-post.sum() / drop.sum())
    if k < 2:
        return Ratio(estimate, NAN, NAN, "undefined")
    t2 = float(special.stdtrit(k - 1, 0.5 + level / 2)) ** 2
    covariance = np.cov(np.vstack([drop, post])) / k
    a = float(drop.mean() ** 2 - t2 * covariance[0, 0])
    b = float(drop.mean() * post.mean() - t2 * covariance[0, 1])
    c = float(post.mean() ** 2 - t2 * covariance[1, 1])
    root = b * b - a * c
    if root < 0:
        return Ratio(estimate, -np.inf, np.inf, "everything")
    ends = sorted(((-b - np.sqrt(root)) / a, (-b + np.sqrt(root)) / a))
    return Ratio(estimate, float(ends[0]), float(ends[1]), "interval" if a > 0 else "outside")


def share_positive(values: Floats, level: float = 0.95) -> tuple[float, float, float]:
    """Share of positive values with the exact binomial interval (Clopper and Pearson 1934)."""
    n = len(values)
    if not n:
        return NAN, NAN, NAN
    hits = int((values > 0).sum())
    tail = (1 - level) / 2
    lower = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    upper = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1 - tail))
    return hits / n, lower, upper


def recovery_times(path: Floats, tau: Counts, drop: Floats, *, share: float, start: int) -> tuple[Floats, Bools]:
    """First session on which ``share`` of the drop was recovered, and whether that happened.

    Parameters
    ----------
    path : (K, L2)
        Cumulative log abnormal returns from day 0, NaN before it and after the last known day.
    drop : (K,)
        Cumulative log abnormal return of the drop window, negative.
    start
        First day that counts: the day after the drop window.

    Returns
    -------
    (K,) sessions since day 0 (the last known one if the drop was not recovered by then: right-censored), and (K,) bool.
    """
    target = -(1.0 - share) * np.abs(drop)
    days = tau >= start
    known = np.isfinite(path[:, days])
    reached = known & (np.nan_to_num(path[:, days], nan=-np.inf) >= target[:, None])
    seen: Bools = np.asarray(reached.any(axis=1))
    last = np.where(known.any(axis=1), known.shape[1] - 1 - known[:, ::-1].argmax(axis=1), 0)
    time = tau[days][np.where(seen, reached.argmax(axis=1), last)]
    return time.astype(float), seen


def kaplan_meier(time: Floats, seen: Bools) -> tuple[Floats, Floats, Floats]:
    """Survival after each distinct time of an event, with Greenwood's standard error.

    Returns
    -------
    times, survival, standard error, each (J,)

    Notes
    -----
    Kaplan and Meier (1958): S(t) = prod (1 - d_j/n_j), n_j at risk just before t_j; censored at t_j
    counts as at risk. Greenwood (1926): Var S = S^2 sum d_j / (n_j (n_j - d_j)).
    """
    times = np.unique(time[seen])
    at_risk = np.array([(time >= t).sum() for t in times], dtype=float)
    events = np.array([((time == t) & seen).sum() for t in times], dtype=float)
    survival = np.cumprod(1.0 - events / at_risk) if len(times) else np.zeros(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.cumsum(events / (at_risk * (at_risk - events)))
        se = np.where(survival > 0, survival * np.sqrt(spread), 0.0)
    return times, survival, se


def median_time(times: Floats, survival: Floats) -> float:
    """First time by which half have recovered; NaN if it was not reached."""
    half = np.flatnonzero(survival <= 0.5)
    return float(times[half[0]]) if len(half) else NAN


def half_life(mean_path: Floats) -> float:
    """Half-life of the path's approach to its final level, in sessions; NaN if undefined.

    ``mean_path`` is the mean cumulative AR from the drop window's last day on. Defined only for a monotonic path: C_t
    = C_inf + A phi^t is fitted by least squares, phi on a grid and the
    other two in closed form, and the half-life is ln(1/2)/ln(phi).
    """
    steps = np.diff(mean_path)
    if len(steps) < 3 or not np.isfinite(mean_path).all() or not ((steps > 0).all() or (steps < 0).all()):
        return NAN
    t = np.arange(len(mean_path))
    grid = np.linspace(0.01, 0.99, 981)
    x = grid[:, None] ** t
    x, y = x - x.mean(axis=1, keepdims=True), mean_path - mean_path.mean()
    slope = (x @ y) / (x * x).sum(axis=1)
    best = int(np.argmin(((y - slope[:, None] * x) ** 2).sum(axis=1)))
    if best == len(grid) - 1:
        return NAN
    return float(np.log(0.5) / np.log(grid[best]))


def answer_measures(shocks: Shocks, group: str) -> Iterator[Measure]:
    """Yield the drop, the return after it, and the answer of page 1: effect, equivalence, power."""
    counted, answer = shocks.counted[group], shocks.verdicts[group]
    yield mean_measure("car_drop", group, shocks.by_date(shocks.drops.drop, counted))
    yield mean_measure("car_post", group, shocks.by_date(shocks.drops.post, counted))
    ranked, k = answer.estimator == "rank", answer.n_dates
    row = functools.partial(Measure, group=group, n_dates=k)
    effect, (low, high), margin = answer.effect, answer.interval, answer.margin
    name = "regression" if answer.estimator == "moderated" else answer.estimator
    note = Reason(f"note.by_{name}", p=answer.p_greater, floor=answer.p_floor, n=answer.n_controls)
    note = note if k else NO_NOTE
    yield row(measure="excess_post", estimate=effect, lower=low, upper=high, p_value=answer.p_value, note=note)
    note = Reason("note.equivalence")
    yield row(
        measure="equivalence", estimate=effect, lower=-margin, upper=margin, p_value=answer.equivalence_p, note=note
    )
    one = ranked or (answer.estimator == "matched" and k == 1)
    note = Reason("note.power_placebos" if one else "note.power")
    yield row(measure="smallest_detectable_effect", estimate=answer.mde, note=note)
    for name, target in EFFECTS.items():
        needed = float(answer.needed.get(name, NAN))
        yield row(measure=f"dates_needed_{target:.0%}", estimate=needed, note=Reason("note.power"))


def set_measures(shocks: Shocks, placebos: Sequence[Placebo], group: str, config: StudyConfig) -> Iterator[Measure]:
    """Yield measures from matched sets: the excess by window, tier and definition, and recovery times."""
    mask = shocks.members[group]
    x = shocks.by_date(shocks.excess, mask)
    yield from _tests(group, x, config)
    flips = sign_flips(shocks, mask)
    for name, values in shocks.variants.items():
        known = shocks.by_date(values, mask & np.isfinite(values))
        yield mean_measure(f"excess_{name}", group, known, note=Reason("note.sign_differs" if name in flips else ""))
    for window, values, p, adjusted in window_tests(shocks, mask, config):
        note = Reason("note.holm", p=adjusted) if np.isfinite(adjusted) else NO_NOTE
        yield replace(mean_measure(f"excess_{window}", group, values), p_value=p, note=note)
    yield from _tiers(shocks, placebos, group, mask)
    yield from _without_drops(shocks, placebos, group, mask)
    yield from _ratios(shocks, group, mask)
    value, low, high = share_positive(x)
    row = Measure(measure="share_positive", group=group, n_dates=len(x), note=Reason("note.binomial"))
    yield replace(row, estimate=value, lower=low, upper=high)
    yield from _recovery(shocks, group, mask, config.windows)
    if len(x) > 1:
        low, high, worst = influence(shocks, mask)
        row = Measure(measure="excess_leave_one_out", group=group, n_dates=len(x), estimate=float(x.mean()))
        yield replace(row, lower=low, upper=high, note=Reason("note.leave_one_out", shock=worst))


def _tests(group: str, x: Floats, config: StudyConfig) -> Iterator[Measure]:
    """Yield tests over dates of the excess over matched control drops."""
    k, draws = len(x), config.tests.draws
    yield mean_measure("excess_post_date_t", group, x, note=Reason("note.date_t"))
    p, note = NAN, NO_NOTE
    if k > 1:
        p = sign_flip_p(x, sign_vectors(k, draws=draws, rng=np.random.default_rng(config.study.seed)))
        note = Reason("note.floor", p=sign_flip_floor(k, draws))
    mean = float(x.mean()) if k else NAN
    yield Measure(measure="excess_post_sign_flip", group=group, n_dates=k, estimate=mean, p_value=p, note=note)


def span(window: Window) -> str:
    """Return a window in the form of the tables."""
    return f"[{window[0]},{window[1]}]"


def window_tests(shocks: Shocks, mask: Bools, config: StudyConfig) -> list[tuple[str, Floats, float, float]]:
    """X_k over each secondary window after the drop, with the permutation's p and Holm's p over these windows."""
    after = [w for w in config.windows.all_car if w[0] > config.windows.drop[1] and w != config.windows.post]
    tests: list[tuple[Floats, float]] = []
    for window in after:
        if shocks.sets is None:
            tests.append((np.zeros(0), NAN))
            continue
        events, others = shocks.sets.car(window)
        own, sets = events[mask], [others[int(k)] for k in np.flatnonzero(mask)]
        x, test = sets_test(shocks.drops.day0[mask], own, sets, draws=config.tests.draws, seed=config.study.seed)
        tests.append((x, test.two_sided))
    adjusted = holm(np.array([p for _, p in tests])).tolist()
    return [(span(window), *test, p) for window, test, p in zip(after, tests, adjusted, strict=True)]


def _tiers(shocks: Shocks, placebos: Sequence[Placebo], group: str, mask: Bools) -> Iterator[Measure]:
    """Excess over each tier's dates; the tier of all dates is the naive comparison."""
    posts: dict[tuple[str, str], list[float]] = {}
    for row in placebos:
        posts.setdefault((row.shock_id, row.tier), []).append(row.car_post)
    drops = shocks.drops
    for tier in ("P0", "P1", "P2", "P3"):
        rows = [k for k in np.flatnonzero(mask) if (str(drops.shock_id[k]), tier) in posts]
        values = [drops.post[k] - np.mean(posts[str(drops.shock_id[k]), tier]) for k in rows]
        means = date_means(drops.day0[rows], np.array(values, dtype=float))
        yield mean_measure(f"excess_{tier}", group, means, note=Reason(f"tier.{tier}"))


def _without_drops(shocks: Shocks, placebos: Sequence[Placebo], group: str, mask: Bools) -> Iterator[Measure]:
    """Yield the return after random days, and its difference to that after matched control drops.

    Each day counts once, with the mean over its shocks; the difference is tested by Welch's t.
    """
    names = set(shocks.drops.shock_id[mask].tolist())
    kept = [row for row in placebos if row.shock_id in names]
    random, matched = (
        date_means(np.array([row.day for row in of]), np.array([row.car_post for row in of], dtype=float))
        for of in ([row for row in kept if row.tier == tier] for tier in ("P0", "P1"))
    )
    yield mean_measure("post_random_days", group, random, note=Reason("note.random_days"))
    less = Measure(
        measure="matched_less_random", group=group, n_dates=len(matched), note=Reason("note.matched_less_random")
    )
    if min(len(random), len(matched)) < 2:
        yield less
        return
    parts = np.array([values.var(ddof=1) / len(values) for values in (matched, random)])
    df = float(parts.sum() ** 2 / (parts**2 / (len(matched) - 1.0, len(random) - 1.0)).sum())
    mean, se = float(matched.mean() - random.mean()), float(np.sqrt(parts.sum()))
    half = float(special.stdtrit(df, 0.975)) * se
    yield replace(less, estimate=mean, lower=mean - half, upper=mean + half, p_value=two_sided(mean / se, "t", df))


def _ratios(shocks: Shocks, group: str, mask: Bools) -> Iterator[Measure]:
    rows, day0, benchmarks = np.flatnonzero(mask), shocks.drops.day0[mask], shocks.benchmarks
    drop = np.array([benchmarks.pools[k].drop[benchmarks.matched[k].rows].mean() for k in rows], dtype=float)
    post = np.array([benchmarks.placebos(int(k)).mean() for k in rows], dtype=float)
    own = shocks.by_date(shocks.drops.drop, mask), shocks.by_date(shocks.drops.post, mask)
    for of, pair in (("", own), ("_placebos", (date_means(day0, drop), date_means(day0, post)))):
        ratio = reversal_ratio(*pair)
        k, note = len(np.unique(day0)), Reason(f"fieller.{ratio.shape}")
        row = Measure(measure=f"reversal_ratio{of}", group=group, estimate=ratio.estimate, n_dates=k, note=note)
        yield replace(row, lower=ratio.lower, upper=ratio.upper)


def _cumulated(portfolios: ShockPortfolios, daily: Floats, windows: Windows) -> Floats:
    """Running sum of the weighted mean of the members' daily values, (P, L2); NaN without a member."""
    weight = portfolios.peer_weights((windows.drop[0], windows.post[1]))
    path: Floats = np.cumsum(portfolios.total(weight[:, None] * np.nan_to_num(daily)), axis=1)
    path[portfolios.total(weight) == 0] = np.nan
    return path


def _log_paths(portfolios: ShockPortfolios, kind: str, windows: Windows) -> Floats:
    """Cumulative log abnormal return of every portfolio from day 0 on, (P, L2)."""
    abnormal, rows = portfolios.abnormal, portfolios.members
    real, normal = abnormal.panel.event_returns[rows], abnormal.expected.mean[rows]
    daily = real - normal if kind == "log" else np.log1p(real) - np.log1p(normal)
    before = abnormal.tau < windows.drop[0]
    daily[:, before] = 0.0
    path = _cumulated(portfolios, daily, windows)
    path[:, before] = np.nan
    return path


def _recovery(shocks: Shocks, group: str, mask: Bools, windows: Windows) -> Iterator[Measure]:
    sets, rows = shocks.sets, np.flatnonzero(mask)
    if sets is None or not len(rows):
        return
    tau, end = sets.portfolios.abnormal.tau, windows.drop[1]
    path = _log_paths(sets.portfolios, shocks.history.panel.kind, windows)
    others = np.concatenate([sets.placebos[int(k)] for k in rows])
    for name, at in (("", sets.event[rows]), ("_placebos", others)):
        at = at[np.isfinite(path[at, -1])]
        drop = path[at, int(np.flatnonzero(tau == end)[0])]
        for part in (0.5, 1.0):
            time, seen = recovery_times(path[at], tau, drop, share=part, start=end + 1)
            yield _survival(f"recovery_{part:.0%}{name}", group, time, seen, windows.post[1])
        value = half_life(path[at].mean(axis=0)[tau >= end] if len(at) else np.zeros(0))
        note = Reason("note.sessions" if np.isfinite(value) else "note.no_half_life")
        yield Measure(measure=f"half_life{name}", group=group, estimate=value, n_dates=len(at), note=note)


def _survival(name: str, group: str, time: Floats, seen: Bools, horizon: int) -> Measure:
    times, survival, se = kaplan_meier(time, seen)
    last, error = (float(survival[-1]), float(se[-1])) if len(times) else (1.0, 0.0)
    note = Reason("note.survival", share=1 - last, se=error, day=horizon, n=int((~seen).sum()))
    return Measure(measure=name, group=group, estimate=median_time(times, survival), n_dates=len(time), note=note)


def influence(shocks: Shocks, mask: Bools) -> tuple[float, float, str]:
    """Range of the mean excess with one date left out, and the shocks of the date that changes it most."""
    x = shocks.by_date(shocks.excess, mask)
    means = leave_one_out(x)
    names = date_names(shocks.drops.day0[mask], shocks.drops.shock_id[mask])
    return float(means.min()), float(means.max()), names[int(np.abs(means - x.mean()).argmax())]


def gates(shocks: Shocks, interaction: Measure, config: StudyConfig) -> list[Gate]:
    """Test in the fixed order: abnormal drop, excess reversal, label interaction, secondary windows.

    A step counts only if all earlier steps were significant, so the sequence keeps its level without correction
    (Westfall and Krishen 2001); the windows of the last step are adjusted by Holm.
    """
    level, mask, answer = config.tests.level, shocks.asked, shocks.verdict
    fall, s = shocks.by_date(shocks.drops.drop, mask), shocks.by_date(shocks.drops.drop_s, mask)
    first = two_sided(student(s), "t", len(s) - 1.0) if len(s) > 1 else NAN
    blocked = NO_NOTE if np.isfinite(interaction.p_value) else interaction.note
    mean, two = float(fall.mean()) if len(fall) else NAN, Reason("" if len(s) > 1 else "gate.two_dates")
    steps = [
        (Reason("gate.drops"), mean, first, two),
        (Reason("gate.excess"), answer.effect, answer.p_value, Reason("" if answer.n_dates else "gate.no_benchmark")),
        (Reason("gate.genuine"), interaction.estimate, interaction.p_value, blocked),
    ]
    for window, values, _, p in window_tests(shocks, mask, config):
        mean = float(values.mean()) if len(values) else NAN
        steps.append((Reason("gate.window", window=window), mean, p, NO_NOTE))
    sequence: list[Gate] = []
    reached = True
    for number, (hypothesis, estimate, p, reason) in enumerate(steps, start=1):
        passed = reached and bool(p <= level)
        sequence.append(
            Gate(
                step=min(number, 4),
                hypothesis=hypothesis,
                estimate=estimate,
                p_value=p,
                level=level,
                reached=reached,
                passed=passed,
                reason=reason,
            )
        )
        reached = passed if number < 4 else reached
    return sequence


def path_rows(shocks: Shocks, windows: Windows) -> Iterator[PathDay]:
    """Mean cumulative AR by day of the drops with a verdict and of their control drops, with 95 % bands.

    Every date has the same weight; the line of the control drops is the mean over dates of their means.
    """
    sets = shocks.sets
    if sets is None:
        return
    portfolios = sets.portfolios
    cumulative = _cumulated(portfolios, portfolios.abnormal.ar[portfolios.members], windows)
    for group, mask in shocks.members.items():
        rows, day0 = np.flatnonzero(mask), shocks.drops.day0[mask]
        if not len(rows):
            continue
        paths = [cumulative[sets.placebos[int(k)]] for k in rows]
        paths = [each[np.isfinite(each).all(axis=1)] for each in paths]
        nothing = np.full(cumulative.shape[1], NAN)
        means = np.array([each.mean(axis=0) if len(each) else nothing for each in paths])
        behind = np.array([len(each) for each in paths], dtype=np.float64)
        for series, lines, sizes in (
            ("events", cumulative[sets.event[rows]], np.ones(len(rows))),
            ("placebos", means, behind),
        ):
            counts = date_means(day0, sizes) * np.unique(day0, return_counts=True)[1]
            yield from _path_days(group, series, portfolios.abnormal.tau, date_means(day0, lines), counts)


def _path_days(group: str, series: str, tau: Counts, values: Floats, counts: Floats) -> Iterator[PathDay]:
    for column, day in zip(values.T, tau.tolist(), strict=True):
        known = np.isfinite(column)
        low, high = t_interval(column[known])
        yield PathDay(
            group=group,
            series=series,
            tau=day,
            n_dates=int(known.sum()),
            n_paths=round(float(counts[known].sum())),
            car=float(column[known].mean()) if known.any() else NAN,
            lower=low,
            upper=high,
        )
