"""Differences in reversal: misreading against genuine news, by dimension, by exposure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import special

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import Window
from eventstudy.core.arrays import Bools, Days, Floats, Places
from eventstudy.core.checks.regression import ClusterRegression, regress
from eventstudy.core.estimation import EXPOSED
from eventstudy.errors import Reason
from eventstudy.events import DIMENSIONS, Events
from eventstudy.optional import Parts
from eventstudy.reversal.measure import Measure, mean_measure
from eventstudy.reversal.permutation import difference_p
from eventstudy.reversal.study_shocks import Shocks

#: Fewer dates on either side and a contrast says nothing: one date fits a line of its own without error.
FEWEST_SIDE = 3
#: Fewer dates in all and every cluster-robust error fails (method table C.5).
FEWEST_CLUSTERS = 10
#: Fewest dates for the slope on the peers' exposure.
FEWEST_FOR_SLOPE = 3
GROUP = "misreading-genuine"
TERMS = ("car_drop", "misreading", "misreading_x_car_drop")


def label_difference(shocks: Shocks, config: StudyConfig) -> Measure:
    """Mean excess of the label in question less that of genuine news, labels permuted over dates."""
    genuine = shocks.members.get("label=genuine", np.zeros(len(shocks.label), dtype=bool))
    x, other = shocks.by_date(shocks.excess, shocks.asked), shocks.by_date(shocks.excess, genuine)
    g1, g0 = len(x), len(other)
    if min(g1, g0) < FEWEST_SIDE:
        label = Reason(f"label.{config.reversal.label}")
        note = Reason("note.difference_blocked", treated=g1, label=label, others=g0, fewest=FEWEST_SIDE)
        return Measure(measure="difference", group=GROUP, n_dates=g1 + g0, note=note)
    gap, p, floor = difference_p(x, other, draws=config.tests.draws, seed=config.study.seed)
    note = Reason("note.difference", treated=g1, others=g0, floor=floor)
    return Measure(measure="difference", group=GROUP, estimate=gap, p_value=p, n_dates=g1 + g0, note=note)


def no_difference(why: Reason) -> Measure:
    """Return the row of a difference that cannot be had."""
    return Measure(measure="difference", group=GROUP, note=why)


def no_regression(why: Reason, n_dates: int = 0) -> list[Measure]:
    """Return the rows of a regression that cannot be had."""
    return [Measure(measure=f"regression_{name}", group=GROUP, n_dates=n_dates, note=why) for name in TERMS]


def regression(shocks: Shocks, config: StudyConfig) -> list[Measure]:
    """Regress peers' CAR_post on CAR_drop, the label and their product, dates as clusters.

    Notes
    -----
    CAR_post = a + b CAR_drop + c MIS + d MIS x CAR_drop + u with CAR_drop centred on its mean, so that
    c is the contrast at the mean drop. p is that of CR2 with Bell and McCaffrey's degrees of freedom,
    the wild bootstrap's stands in the note. Shocks need not have a benchmark here. Blocked with fewer
    than three dates of either label or ten in all.
    """
    drops, label = shocks.drops, shocks.label
    usable = drops.qualifies & np.isfinite(drops.post) & shocks.in_time
    ours, theirs = usable & (label == config.reversal.label), usable & (label == "genuine")
    g1, g0, g = (len(np.unique(drops.day0[mask])) for mask in (ours, theirs, ours | theirs))
    if min(g1, g0) < FEWEST_SIDE or g < FEWEST_CLUSTERS:
        counts = {"treated": g1, "others": g0, "fewest": FEWEST_SIDE, "clusters": FEWEST_CLUSTERS}
        blocked = Reason("note.regression_blocked", label=Reason(f"label.{config.reversal.label}"), **counts)
        return no_regression(blocked, g)
    y, x, cluster = _firm_rows(shocks, ours, theirs, config)
    fit = regress(y, x, cluster, names=TERMS, draws=config.tests.draws, seed=config.study.seed)
    rows = []
    for j, name in enumerate(fit.names):
        note = Reason("note.regression", df=fit.df_cr2[j], p=fit.p_wild[j], weights=fit.wild_weights, n=fit.n)
        rows.append(_coefficient(fit, j, f"regression_{name}", GROUP, g, note))
    return rows


def _coefficient(fit: ClusterRegression, j: int, name: str, group: str, n_dates: int, note: Reason) -> Measure:
    """One coefficient with its 95 % interval and p by CR2."""
    value, half = float(fit.coefficient[j]), float(fit.se_cr2[j] * special.stdtrit(fit.df_cr2[j], 0.975))
    low, high, p = value - half, value + half, float(fit.p_cr2[j])
    return Measure(
        measure=name, group=group, estimate=value, lower=low, upper=high, p_value=p, n_dates=n_dates, note=note
    )


def _firm_rows(shocks: Shocks, ours: Bools, theirs: Bools, config: StudyConfig) -> tuple[Floats, Floats, Days]:
    portfolios, shock = shocks.portfolios, _shock_of_members(shocks)
    drop = portfolios.abnormal.car(config.windows.drop)[portfolios.members]
    post = portfolios.abnormal.car(config.windows.post)[portfolios.members]
    kept = (ours | theirs)[shock] & np.isfinite(drop) & np.isfinite(post)
    drop, post, treated = drop[kept], post[kept], ours[shock][kept].astype(float)
    centred = drop - drop.mean()
    return post, np.column_stack([centred, treated, treated * centred]), portfolios.day0[shock][kept]


def _shock_of_members(shocks: Shocks) -> Places:
    """Number of the shock of each member of the portfolios."""
    sizes = [last - first for first, last in shocks.portfolios.spans()]
    return np.repeat(np.arange(len(sizes)), sizes)


def dimension_measures(
    shocks: Shocks, events: Events, config: StudyConfig, parts: Parts | None = None
) -> list[Measure]:
    """Measure drops and reversals by dimension of the lead event, and by exposure of the peers.

    What cannot be had is left out with its reason in ``parts``; the slopes then have a row that says so.
    """
    kept = Parts() if parts is None else parts
    return [
        *kept.optional("dimensions", lambda: list(_by_dimension(shocks, events)), lambda _: []),
        *kept.optional("exposure", lambda: list(_by_exposure(shocks, config)), _no_slopes),
    ]


def _no_slopes(why: Reason) -> list[Measure]:
    return [Measure(measure=f"{name}_slope", group="exposure", note=why) for name in ("car_drop", "car_post")]


def _by_dimension(shocks: Shocks, events: Events) -> Iterator[Measure]:
    """Yield all shocks of a dimension, whether they were drops or not, then the drops' excess."""
    side = np.array([events.by_id(str(name)).dimension for name in shocks.event_id])
    drops = shocks.drops
    for name in DIMENSIONS:
        mask, group = (side == name) & np.isfinite(drops.post), f"dimension={name}"
        if mask.any():
            yield mean_measure("car_drop", group, shocks.by_date(drops.drop, mask))
            yield mean_measure("car_post", group, shocks.by_date(drops.post, mask))
            over = shocks.by_date(shocks.excess, mask & drops.qualifies & np.isfinite(shocks.excess))
            yield mean_measure("excess_post", group, over, note=Reason("note.date_t"))


def _by_exposure(shocks: Shocks, config: StudyConfig) -> Iterator[Measure]:
    """Yield CARs of exposed and of other peers within the same shocks, and the slope on exposure."""
    panel = shocks.portfolios.abnormal.panel
    exposure = np.array([config.peer(str(name)).exposure for name in panel.ticker], dtype=float)
    note = Reason("note.exposed", limit=EXPOSED)
    for name, window in (("car_drop", config.windows.drop), ("car_post", config.windows.post)):
        high, low = (_shock_means(shocks, window, peers) for peers in (exposure >= EXPOSED, exposure < EXPOSED))
        gap = high - low
        yield mean_measure(name, "exposure=high", shocks.by_date(high, np.isfinite(high)))
        yield mean_measure(name, "exposure=low", shocks.by_date(low, np.isfinite(low)))
        differences = shocks.by_date(gap, np.isfinite(gap))
        yield mean_measure(f"{name}_difference", "exposure=high-low", differences, note=note)
        yield _slope(shocks, window, exposure, name)


def _shock_means(shocks: Shocks, window: Window, peers: Bools) -> Floats:
    """Mean CAR of the marked peers of each shock, (K,); NaN without any."""
    portfolios = shocks.portfolios
    car = portfolios.abnormal.car(window)[portfolios.members]
    known = peers[portfolios.members] & np.isfinite(car)
    count, total = portfolios.total(known.astype(float)), portfolios.total(np.where(known, car, 0.0))
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _slope(shocks: Shocks, window: Window, exposure: Floats, name: str) -> Measure:
    """Regression of the CARs on the peer's exposure within shocks, clustered by date with CR2.

    CAR and exposure are taken as differences from their means over the shock's peers.
    """
    portfolios, shock = shocks.portfolios, _shock_of_members(shocks)
    car, share = portfolios.abnormal.car(window)[portfolios.members], exposure[portfolios.members]
    known = np.isfinite(car)
    count = np.maximum(portfolios.total(known.astype(float)), 1.0)
    y = car - (portfolios.total(np.where(known, car, 0.0)) / count)[shock]
    x = share - (portfolios.total(np.where(known, share, 0.0)) / count)[shock]
    kept = known & (count[shock] > 1)
    dates = portfolios.day0[shock[kept]]
    clusters = len(np.unique(dates))
    if clusters < FEWEST_FOR_SLOPE or not np.ptp(x[kept]) > 0:
        note = Reason("note.slope_blocked", k=clusters)
        return Measure(measure=f"{name}_slope", group="exposure", n_dates=clusters, note=note)
    fit = regress(y[kept], x[kept][:, None], dates, names=("exposure",))
    note = Reason("note.slope", df=fit.df_cr2[-1], p=fit.p_wild[-1])
    return _coefficient(fit, -1, f"{name}_slope", "exposure", clusters, note)
