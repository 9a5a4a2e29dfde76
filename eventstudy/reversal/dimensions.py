"""Reversals by side of the story (engineering, cross-industry, policy) and by the peers' exposure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import Window
from eventstudy.core.checks import regression as clustered
from eventstudy.core.estimation import EXPOSED
from eventstudy.events import DIMENSIONS, Events
from eventstudy.messages import say
from eventstudy.optional import Parts
from eventstudy.reversal.measured import NAN, Measure, mean_measure, not_measured
from eventstudy.reversal.shocks import Judgement

FEWEST_CLUSTERS = 3


def dimension_measures(
    judgement: Judgement, events: Events, config: StudyConfig, parts: Parts | None = None
) -> list[Measure]:
    """Measure drops and reversals by dimension of the lead event, and by exposure of the peers.

    What cannot be had is left out with its reason in ``parts``; the slopes then have a row that says so.
    """
    kept = Parts() if parts is None else parts
    return [
        *kept.optional("dimensions", lambda: list(_by_dimension(judgement, events)), lambda _: []),
        *kept.optional("exposure", lambda: list(_by_exposure(judgement, config)), _no_slopes),
    ]


def _no_slopes(why: str) -> list[Measure]:
    return [not_measured(f"{name}_slope", "exposure", 0, why) for name in ("car_drop", "car_post")]


def _by_dimension(judgement: Judgement, events: Events) -> Iterator[Measure]:
    """Yield all shocks of a dimension, whether they were drops or not, then the drops' excess."""
    side = np.array([events.by_id(str(name)).dimension for name in judgement.event_id])
    judged = judgement.drops
    for name in DIMENSIONS:
        mine = (side == name) & np.isfinite(judged.post)
        if not mine.any():
            continue
        group = f"dimension={name}"
        yield mean_measure("car_drop", group, judgement.by_date(judged.drop, mine))
        yield mean_measure("car_post", group, judgement.by_date(judged.post, mine))
        drops = mine & judged.qualifies & np.isfinite(judgement.excess)
        over = judgement.by_date(judgement.excess, drops)
        yield mean_measure("excess_post", group, over, note=say("note.date_t"))


def _by_exposure(judgement: Judgement, config: StudyConfig) -> Iterator[Measure]:
    """Yield CARs of exposed and of other peers within the same shocks, and the slope on exposure."""
    panel = judgement.portfolios.abnormal.panel
    exposure = np.array([config.peer(str(name)).exposure for name in panel.ticker], dtype=float)
    windows = config.windows
    for name, window in (("car_drop", windows.drop), ("car_post", windows.post)):
        high = _shock_means(judgement, window, exposure >= EXPOSED)
        low = _shock_means(judgement, window, exposure < EXPOSED)
        both = np.isfinite(high) & np.isfinite(low)
        yield mean_measure(name, "exposure=high", judgement.by_date(high, np.isfinite(high)))
        yield mean_measure(name, "exposure=low", judgement.by_date(low, np.isfinite(low)))
        yield mean_measure(
            f"{name}_difference",
            "exposure=high-low",
            judgement.by_date(high - low, both),
            note=say("note.exposed", limit=EXPOSED),
        )
        yield _slope(judgement, window, exposure, name)


def _shock_means(judgement: Judgement, window: Window, peers: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean CAR of the marked peers of each shock, (K,); NaN without any."""
    portfolios = judgement.portfolios
    car = portfolios.abnormal.car(window)[portfolios.members]
    there = (peers[portfolios.members] & np.isfinite(car)).astype(float)
    count = portfolios.total(there)
    total = portfolios.total(np.where(there > 0, car, 0.0))
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _slope(judgement: Judgement, window: Window, exposure: NDArray[np.float64], name: str) -> Measure:
    """Regression of the CARs on the peer's exposure within shocks, clustered by date with CR2.

    CAR and exposure are taken as differences from their means over the shock's peers.
    """
    portfolios = judgement.portfolios
    members = portfolios.members
    sizes = np.diff(np.append(portfolios.starts, len(members)))
    shock = np.repeat(np.arange(len(sizes)), sizes)
    car = portfolios.abnormal.car(window)[members]
    there = np.isfinite(car)
    count = np.maximum(portfolios.total(there.astype(float)), 1.0)
    y = car - (portfolios.total(np.where(there, car, 0.0)) / count)[shock]
    share = exposure[members]
    x = share - (portfolios.total(np.where(there, share, 0.0)) / count)[shock]
    kept = there & (count[shock] > 1)
    group, label = "exposure", f"{name}_slope"
    clusters = len(np.unique(portfolios.day0[shock[kept]]))
    if clusters < FEWEST_CLUSTERS or not np.ptp(x[kept]) > 0:
        note = say("note.slope_blocked", k=clusters)
        return Measure(
            measure=label, group=group, estimate=NAN, lower=NAN, upper=NAN, p_value=NAN, n_dates=clusters, note=note
        )
    fit = clustered.regress(y[kept], x[kept][:, None], portfolios.day0[shock[kept]], names=("exposure",))
    value, se, df = float(fit.coefficient[-1]), float(fit.se_cr2[-1]), float(fit.df_cr2[-1])
    from scipy import special

    half = float(special.stdtrit(df, 0.975)) * se
    note = say("note.slope", df=df, p=fit.p_wild[-1])
    return Measure(
        measure=label,
        group=group,
        estimate=value,
        lower=value - half,
        upper=value + half,
        p_value=float(fit.p_cr2[-1]),
        n_dates=clusters,
        note=note,
    )
