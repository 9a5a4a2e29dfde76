"""Every measure of reversal for every kind of drop, in rows of one shape."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import Window
from eventstudy.core.checks.multiplicity import holm
from eventstudy.core.statistics.dates import (
    dates_needed,
    sign_flip_floor,
    sign_flip_p,
    sign_vectors,
    student,
    t_interval,
)
from eventstudy.core.statistics.sample import two_sided
from eventstudy.messages import say
from eventstudy.optional import Parts
from eventstudy.reversal.dates import date_means, date_names, date_sets
from eventstudy.reversal.measures import (
    half_life,
    kaplan_meier,
    median_time,
    recovery_times,
    reversal_ratio,
    share_positive,
)
from eventstudy.reversal.permutation import excess, leave_one_out, matched_permutation
from eventstudy.reversal.placebo import Placebo
from eventstudy.reversal.shocks import Judgement

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number on one kind of drops; NaN where it is not defined, ``note`` says why."""

    measure: str
    group: str
    estimate: float
    lower: float
    upper: float
    p_value: float
    n_dates: int
    note: str = ""


def measures(judgement: Judgement, placebos: Sequence[Placebo], parts: Parts | None = None) -> list[Measure]:
    """Return all measures of every kind of drop that has a verdict.

    The measures of a kind that cannot be had are one row with the reason, and ``parts`` keeps it.
    """
    kept = Parts() if parts is None else parts
    rows: list[Measure] = []
    for group, mask in judgement.members.items():
        rows += kept.optional(
            "measures",
            functools.partial(_all_of_group, judgement, placebos, group, mask),
            functools.partial(_no_measures, group),
            of=group,
        )
    return rows


def _all_of_group(
    judgement: Judgement, placebos: Sequence[Placebo], group: str, mask: NDArray[np.bool_]
) -> list[Measure]:
    return list(_of_group(judgement, placebos, group, mask))


def _no_measures(group: str, why: str) -> list[Measure]:
    return [not_measured("excess_post", group, 0, why)]


def not_measured(name: str, group: str, k: int, why: str) -> Measure:
    """Return the row of a measure that cannot be had, ``why`` as its note."""
    return Measure(measure=name, group=group, estimate=NAN, lower=NAN, upper=NAN, p_value=NAN, n_dates=k, note=why)


def _of_group(
    judgement: Judgement, placebos: Sequence[Placebo], group: str, mask: NDArray[np.bool_]
) -> Iterator[Measure]:
    judged, x = judgement.drops, judgement.by_date(judgement.excess, mask)
    yield mean_measure("car_drop", group, judgement.by_date(judged.drop, mask))
    yield mean_measure("car_post", group, judgement.by_date(judged.post, mask))
    yield _primary(judgement, group, mask)
    yield mean_measure("excess_post_date_t", group, x, note=say("note.date_t"))
    yield _sign_flip(judgement, group, x)
    answer = judgement.answer(group)
    yield Measure(
        measure="equivalence",
        group=group,
        estimate=answer.effect,
        lower=-answer.margin,
        upper=answer.margin,
        p_value=answer.equivalence_p,
        n_dates=len(x),
        note=say("note.equivalence"),
    )
    note = say("note.power_placebos") if len(x) == 1 else say("note.power")
    yield Measure(
        measure="smallest_detectable_effect",
        group=group,
        estimate=answer.mde,
        lower=NAN,
        upper=NAN,
        p_value=NAN,
        n_dates=len(x),
        note=note,
    )
    yield from _dates_needed(group, answer.se_placebos if len(x) == 1 else answer.sd, len(x))
    yield from _variants(judgement, group, mask)
    yield from _windows(judgement, group, mask)
    yield from _tiers(judgement, placebos, group, mask)
    yield from _ratios(judgement, group, mask)
    yield share(group, x)
    yield from _recovery(judgement, group, mask)
    yield from _leave_one_out(judgement, group, mask)


def mean_measure(name: str, group: str, values: NDArray[np.float64], *, note: str = "") -> Measure:
    """Mean over dates with its 95 % t interval and two-sided p."""
    k = len(values)
    mean = float(values.mean()) if k else NAN
    p = two_sided(student(values), "t", k - 1.0) if k > 1 else NAN
    low, high = t_interval(values)
    return Measure(
        measure=name,
        group=group,
        estimate=mean,
        lower=low,
        upper=high,
        p_value=p,
        n_dates=k,
        note=note or (say("note.one_date") if k == 1 else ""),
    )


def _primary(judgement: Judgement, group: str, mask: NDArray[np.bool_]) -> Measure:
    answer = judgement.answer(group)
    note = say("note.primary", p=answer.p_greater, floor=answer.p_floor) if mask.any() else ""
    low, high = answer.interval
    return Measure(
        measure="excess_post",
        group=group,
        estimate=answer.effect,
        lower=low,
        upper=high,
        p_value=answer.p_value,
        n_dates=answer.n_dates,
        note=note,
    )


def _sign_flip(judgement: Judgement, group: str, x: NDArray[np.float64]) -> Measure:
    config = judgement.history.config
    k = len(x)
    if k < 2:
        return Measure(
            measure="excess_post_sign_flip",
            group=group,
            estimate=float(x.mean()) if k else NAN,
            lower=NAN,
            upper=NAN,
            p_value=NAN,
            n_dates=k,
        )
    signs = sign_vectors(k, draws=config.tests.draws, rng=np.random.default_rng(config.study.seed))
    note = say("note.floor", p=sign_flip_floor(k, config.tests.draws))
    return Measure(
        measure="excess_post_sign_flip",
        group=group,
        estimate=float(x.mean()),
        lower=NAN,
        upper=NAN,
        p_value=sign_flip_p(x, signs),
        n_dates=k,
        note=note,
    )


def _dates_needed(group: str, sd: float, k: int) -> Iterator[Measure]:
    for effect in (0.02, 0.05, 0.10):
        needed = float(dates_needed(sd, effect)) if np.isfinite(sd) and sd > 0 else NAN
        yield Measure(
            measure=f"dates_needed_{effect:.0%}",
            group=group,
            estimate=needed,
            lower=NAN,
            upper=NAN,
            p_value=NAN,
            n_dates=k,
            note=say("note.power"),
        )


def _variants(judgement: Judgement, group: str, mask: NDArray[np.bool_]) -> Iterator[Measure]:
    flips = judgement.variants.flips(mask)
    for name, values in judgement.variants.excess.items():
        there = judgement.by_date(values, mask & np.isfinite(values))
        note = say("note.sign_differs") if name in flips else ""
        yield mean_measure(f"excess_{name}", group, there, note=note)


def _windows(judgement: Judgement, group: str, mask: NDArray[np.bool_]) -> Iterator[Measure]:
    """Secondary windows after the drop, with Holm's adjustment over them."""
    windows = secondary_windows(judgement)
    tests = [window_test(judgement, window, mask) for window in windows]
    adjusted = holm(np.array([p for _, p in tests]))
    for window, (values, p), q in zip(windows, tests, adjusted.tolist(), strict=True):
        low, high = t_interval(values)
        mean = float(values.mean()) if len(values) else NAN
        note = say("note.holm", p=q) if np.isfinite(q) else ""
        yield Measure(
            measure=f"excess_{span(window)}",
            group=group,
            estimate=mean,
            lower=low,
            upper=high,
            p_value=p,
            n_dates=len(values),
            note=note,
        )


def secondary_windows(judgement: Judgement) -> list[Window]:
    """Windows of the settings that lie after the drop, the primary one left out."""
    windows = judgement.history.config.windows
    return [w for w in windows.all_car if w[0] > windows.drop[1] and w != windows.post]


def span(window: Window) -> str:
    """Write a window as the tables do."""
    return f"[{window[0]},{window[1]}]"


def window_test(judgement: Judgement, window: Window, mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """X_k of another window over the marked shocks, and the two-sided p of the matched permutation."""
    if judgement.sets is None:
        return np.zeros(0), NAN
    config = judgement.history.config
    events, others = judgement.sets.car(window)
    rows = [k for k in np.flatnonzero(mask) if np.isfinite(events[k]) and len(others[k])]
    post, kept = date_sets(judgement.drops.day0[rows], events[rows], [others[k] for k in rows])
    test = matched_permutation(post, kept, draws=config.tests.draws, seed=config.study.seed)
    return excess(post, kept), test.two_sided


def _tiers(judgement: Judgement, placebos: Sequence[Placebo], group: str, mask: NDArray[np.bool_]) -> Iterator[Measure]:
    """Excess over each tier's dates: all dates show what a naive comparison would have said."""
    posts = posts_by_tier(placebos)
    judged = judgement.drops
    for tier in ("P0", "P1", "P2", "P3"):
        rows = [k for k in np.flatnonzero(mask) if (str(judged.shock_id[k]), tier) in posts]
        values = [judged.post[k] - np.mean(posts[str(judged.shock_id[k]), tier]) for k in rows]
        means = date_means(judged.day0[rows], np.array(values, dtype=float))
        yield mean_measure(f"excess_{tier}", group, means, note=say(f"tier.{tier}"))


def posts_by_tier(placebos: Sequence[Placebo]) -> dict[tuple[str, str], list[float]]:
    """Post-drop CARs of the placebos by shock and tier."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in placebos:
        found.setdefault((row.shock_id, row.tier), []).append(row.car_post)
    return found


def _ratios(judgement: Judgement, group: str, mask: NDArray[np.bool_]) -> Iterator[Measure]:
    judged = judgement.drops
    ratio = reversal_ratio(judgement.by_date(judged.drop, mask), judgement.by_date(judged.post, mask))
    rows, day0 = np.flatnonzero(mask), judged.day0[mask]
    k = len(np.unique(day0))
    yield Measure(
        measure="reversal_ratio",
        group=group,
        estimate=ratio.estimate,
        lower=ratio.lower,
        upper=ratio.upper,
        p_value=NAN,
        n_dates=k,
        note=say(f"fieller.{ratio.shape}"),
    )
    found = judgement.benchmarks
    drop = np.array([found.pools[k].car_drop[found.matched[k].rows].mean() for k in rows], dtype=float)
    post = np.array([found.placebos(int(k)).mean() for k in rows], dtype=float)
    other = reversal_ratio(date_means(day0, drop), date_means(day0, post))
    yield Measure(
        measure="reversal_ratio_placebos",
        group=group,
        estimate=other.estimate,
        lower=other.lower,
        upper=other.upper,
        p_value=NAN,
        n_dates=k,
        note=say(f"fieller.{other.shape}"),
    )


def share(group: str, x: NDArray[np.float64]) -> Measure:
    """Share of dates with X_k > 0 and its exact interval."""
    value, low, high = share_positive(x)
    return Measure(
        measure="share_positive",
        group=group,
        estimate=value,
        lower=low,
        upper=high,
        p_value=NAN,
        n_dates=len(x),
        note=say("note.binomial"),
    )


def cumulative_paths(judgement: Judgement) -> NDArray[np.float64]:
    """Cumulative log abnormal return of every portfolio of the matched sets from day 0 on, (P, L2)."""
    assert judgement.sets is not None
    portfolios = judgement.sets.portfolios
    window = judgement.history.config.windows.drop[0], judgement.history.config.windows.post[1]
    weight = portfolios.peer_weights(window)
    abnormal = portfolios.abnormal
    rows = portfolios.members
    kind = judgement.history.panel.kind
    real, normal = abnormal.panel.event_returns[rows], abnormal.expected.mean[rows]
    daily = real - normal if kind == "log" else np.log1p(real) - np.log1p(normal)
    total = portfolios.total(weight[:, None] * np.nan_to_num(daily))
    total[portfolios.total(weight) == 0] = np.nan
    before = abnormal.tau < window[0]
    total[:, before] = 0.0
    path: NDArray[np.float64] = np.cumsum(total, axis=1)
    path[:, before] = np.nan
    return path


def _recovery(judgement: Judgement, group: str, mask: NDArray[np.bool_]) -> Iterator[Measure]:
    sets = judgement.sets
    rows = np.flatnonzero(mask)
    if sets is None or not len(rows):
        return
    windows = judgement.history.config.windows
    tau = sets.portfolios.abnormal.tau
    path = cumulative_paths(judgement)
    others = np.concatenate([sets.placebos[int(k)] for k in rows])
    for name, at in (("", sets.event[rows]), ("_placebos", others)):
        at = at[np.isfinite(path[at, -1])]
        drop = path[at, int(np.flatnonzero(tau == windows.drop[1])[0])]
        for part in (0.5, 1.0):
            time, seen = recovery_times(path[at], tau, drop, share=part, start=windows.drop[1] + 1)
            yield _survival(f"recovery_{part:.0%}{name}", group, time, seen, windows.post[1])
        mean = path[at].mean(axis=0)[tau >= windows.drop[1]] if len(at) else np.zeros(0)
        value = half_life(mean)
        note = say("note.sessions" if np.isfinite(value) else "note.no_half_life")
        yield Measure(
            measure=f"half_life{name}",
            group=group,
            estimate=value,
            lower=NAN,
            upper=NAN,
            p_value=NAN,
            n_dates=len(at),
            note=note,
        )


def _survival(name: str, group: str, time: NDArray[np.float64], seen: NDArray[np.bool_], horizon: int) -> Measure:
    times, survival, se = kaplan_meier(time, seen)
    last, error = (float(survival[-1]), float(se[-1])) if len(times) else (1.0, 0.0)
    note = say("note.survival", share=1 - last, se=error, day=horizon, n=int((~seen).sum()))
    return Measure(
        measure=name,
        group=group,
        estimate=median_time(times, survival),
        lower=NAN,
        upper=NAN,
        p_value=NAN,
        n_dates=len(time),
        note=note,
    )


def _leave_one_out(judgement: Judgement, group: str, mask: NDArray[np.bool_]) -> Iterator[Measure]:
    x = judgement.by_date(judgement.excess, mask)
    names = date_names(judgement.drops.day0[mask], judgement.drops.shock_id[mask])
    if len(x) < 2:
        return
    means = leave_one_out(x)
    worst = str(names[int(np.abs(means - x.mean()).argmax())])
    yield Measure(
        measure="excess_leave_one_out",
        group=group,
        estimate=float(x.mean()),
        lower=float(means.min()),
        upper=float(means.max()),
        p_value=NAN,
        n_dates=len(x),
        note=say("note.leave_one_out", shock=worst),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One step of the fixed sequence of tests; ``reached`` says whether all steps before it passed."""

    step: int
    hypothesis: str
    estimate: float
    p_value: float
    level: float
    reached: bool
    passed: bool
    reason: str = ""


def gates(judgement: Judgement, interaction: Measure) -> list[Gate]:
    """Test in the fixed order: abnormal drop, excess reversal, label interaction, secondary windows.

    A step counts only where all before it were significant, so the sequence as a whole keeps the level
    without any correction (Westfall and Krishen 2001); the windows share the last step by Holm.
    """
    level = judgement.history.config.tests.level
    mask = judgement.asked
    drop = judgement.by_date(judgement.drops.drop_s, mask)
    first = two_sided(student(drop), "t", len(drop) - 1.0) if len(drop) > 1 else NAN
    answer = judgement.verdict
    steps: list[tuple[str, float, float, str]] = [
        (
            say("gate.drops"),
            float(judgement.by_date(judgement.drops.drop, mask).mean()) if mask.any() else NAN,
            first,
            "" if len(drop) > 1 else say("gate.two_dates"),
        ),
        (say("gate.excess"), answer.effect, answer.p_value, "" if answer.n_dates else say("gate.no_benchmark")),
        (
            say("gate.genuine"),
            interaction.estimate,
            interaction.p_value,
            interaction.note if not np.isfinite(interaction.p_value) else "",
        ),
    ]
    windows = secondary_windows(judgement)
    tests = [window_test(judgement, window, mask) for window in windows]
    for window, (values, _), p in zip(windows, tests, holm(np.array([p for _, p in tests])), strict=True):
        mean = float(values.mean()) if len(values) else NAN
        steps.append((say("gate.window", window=span(window)), mean, float(p), ""))
    found: list[Gate] = []
    open_ = True
    for place, (text, estimate, p, reason) in enumerate(steps):
        passed = open_ and bool(p <= level)
        found.append(
            Gate(
                step=min(place + 1, 4),
                hypothesis=text,
                estimate=estimate,
                p_value=p,
                level=level,
                reached=open_,
                passed=passed,
                reason=reason,
            )
        )
        if place < 3:
            open_ = passed
    return found


def path_rows(judgement: Judgement) -> Iterator[Mapping[str, float | int | str]]:
    """Mean cumulative AR by day of the drops with a verdict and of their placebos, with 95 % bands.

    Every date counts once on both sides; the placebos' line is the mean over dates of their means, and
    ``n_paths`` the drops that it averages.
    """
    sets = judgement.sets
    if sets is None:
        return
    portfolios, windows = sets.portfolios, judgement.history.config.windows
    weight = portfolios.peer_weights((windows.drop[0], windows.post[1]))
    daily = portfolios.total(weight[:, None] * np.nan_to_num(portfolios.abnormal.ar[portfolios.members]))
    cumulative = np.cumsum(daily, axis=1)
    cumulative[portfolios.total(weight) == 0] = np.nan
    for group, mask in judgement.members.items():
        rows, day0 = np.flatnonzero(mask), judgement.drops.day0[mask]
        own = cumulative[sets.event[rows]]
        behind = [_whole(cumulative[sets.placebos[int(k)]]) for k in rows]
        other = np.array([paths.mean(axis=0) if len(paths) else np.full(own.shape[1], NAN) for paths in behind])
        for series, of_shocks, paths_of in (
            ("events", own, np.ones(len(rows))),
            ("placebos", other, np.array([len(paths) for paths in behind], dtype=np.float64)),
        ):
            values = date_means(day0, of_shocks)
            counts = date_means(day0, paths_of) * np.unique(day0, return_counts=True)[1]
            for day, tau in enumerate(portfolios.abnormal.tau.tolist() if len(rows) else ()):
                there = np.isfinite(values[:, day])
                column = values[there, day]
                low, high = t_interval(column)
                mean = float(column.mean()) if len(column) else NAN
                yield {
                    "group": group,
                    "series": series,
                    "tau": tau,
                    "n_dates": len(column),
                    "n_paths": round(float(counts[there].sum())),
                    "car": mean,
                    "lower": low,
                    "upper": high,
                }


def _whole(paths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows that have every day."""
    kept: NDArray[np.float64] = paths[np.isfinite(paths).all(axis=1)]
    return kept
