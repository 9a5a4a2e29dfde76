"""Wide panels with gaps and late listings, and the same firm-events cut for the statistics of a study."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample, TestResult, residual_correlations
from eventstudy.core.windows import Request, cut
from eventstudy.large.battery import AT_ANY_SIZE, window_samples
from eventstudy.large.days import DaySums, date_blocks, day_sums, scar_spread, total
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel

LAYOUT = Layout(estimation=(-80, -11), event=(-10, 20), car=((0, 0), (0, 1), (-1, 1), (2, 10), (2, 20)), alpha="auto")


def wide_panel(
    seed: int = 1,
    *,
    sessions: int = 420,
    securities: int = 24,
    indices: int = 2,
    gaps: float = 0.01,
    index_gap: bool = True,
) -> WidePanel:
    """Correlated fat-tailed returns on two indices; days missing, one of an index, a fifth listed late."""
    rng = np.random.default_rng(seed)
    market = 0.01 * rng.standard_normal((indices, sessions))
    sector = 0.01 * rng.standard_normal(sessions)
    beta = rng.uniform(0.5, 1.5, securities)
    own = 0.02 * rng.standard_t(5, (securities, sessions))
    returns = 0.0003 + beta[:, None] * market[np.arange(securities) % indices] + sector + own
    returns[rng.random(returns.shape) < gaps] = np.nan
    for security in range(0, securities, 5):
        returns[security, : rng.integers(1, sessions // 2)] = np.nan
    if index_gap:
        market[0, sessions // 3] = np.nan
    return WidePanel(returns, market)


def firm_events(
    panel: WidePanel, n: int, *, dates: int | None = None, seed: int = 2, layout: Layout = LAYOUT
) -> FirmEvents:
    """Firm-events in no order, on so many common dates or anywhere, the edges of the data included."""
    rng = np.random.default_rng(seed)
    securities = len(panel.returns)
    if dates is None:
        position = rng.integers(0, panel.sessions, n)
    else:
        first, last = -layout.estimation[0], panel.sessions - layout.event[1]
        position = rng.choice(rng.choice(np.arange(first, last), dates, replace=False), n)
    security = rng.integers(0, securities, n)
    return FirmEvents(position, security, security % len(panel.indices))


def as_study(panel: WidePanel, events: FirmEvents, layout: Layout = LAYOUT) -> AbnormalReturns:
    """The same firm-events through `windows.cut` and the model of a study, a date being one event."""
    requests = [
        Request(
            event_id=f"D{at}",
            shock_id=f"D{at}",
            ticker=f"S{row}",
            market="XNYS",
            region="US",
            position=int(at),
            column=int(row),
        )
        for at, row in zip(events.position, events.security, strict=True)
    ]
    securities = len(panel.returns)
    own = panel.indices[np.arange(securities) % len(panel.indices)].T
    others = [np.broadcast_to(series[:, None], own.shape) for series in panel.factors.values()]
    factors = np.stack([own, *others], axis=2)
    blank: NDArray[np.uint8] = np.zeros((panel.sessions, securities), dtype=np.uint8)
    joined = cut(
        requests,
        panel.returns.T,
        factors,
        np.arange(panel.sessions, dtype=np.int32),
        blank,
        (np.isfinite(panel.returns) & ~np.isfinite(panel.estimation)).T,
        estimation=layout.estimation,
        event=layout.event,
        factor_names=("market", *panel.factors),
        kind=panel.kind,
    )
    fitted = fit(joined, layout.model.name, settings=layout.model)
    return abnormal_returns(joined, fitted, alpha=layout.alpha)


def as_sample(abnormal: AbnormalReturns) -> Sample:
    """All of them as one group."""
    correlations = residual_correlations(abnormal.expected.residuals, abnormal.panel.estimation_sessions)
    return Sample(group="all", abnormal=abnormal, correlations=correlations, weighting="equal")


def reduce_events(panel: WidePanel, events: FirmEvents, fitted: MarketFit, layout: Layout) -> DaySums:
    """Day sums of firm-events in any order, block by block as a run makes them."""
    order, spread = np.argsort(events.position, kind="stable"), scar_spread(fitted)
    return total(
        [
            day_sums(panel, events.take(order[rows]), fitted.take(order[rows]), layout, spread, own=own)
            for rows, own in date_blocks(events.position[order], layout)
        ]
    )


def run_battery(fitted: MarketFit, sums: DaySums, layout: Layout) -> list[TestResult]:
    """All tests in every window."""
    drawn = {"seed": 20260624, "draws": 9_999, "alternative": "two-sided"}
    samples = window_samples(fitted, sums, layout, group="all", **drawn)
    return [STATISTICS[name](sample) for sample in samples for name in AT_ANY_SIZE]
