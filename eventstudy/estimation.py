"""From events and prices to abnormal returns, and the groups of firm-events that are tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import calendars
from .abnormal import AbnormalReturns, abnormal_returns
from .calendars import Alignment
from .config import StudyConfig
from .errors import EstimationError
from .events import Events
from .expected_returns import fit
from .inference import Sample, residual_correlations
from .prices import PriceTable
from .returns import ReturnsPanel, to_returns
from .selection import Selection, select
from .windows import EventPanel, cut, join


@dataclass(frozen=True, slots=True)
class Computed:
    """The arrays between the prices and the tables."""

    returns: ReturnsPanel
    alignments: Mapping[tuple[str, str], Alignment]
    selection: Selection
    abnormal: AbnormalReturns
    sample: Sample


def compute(events: Events, config: StudyConfig, prices: PriceTable) -> Computed:
    """Cut, fit and subtract for every firm-event that can be studied.

    Raises
    ------
    EstimationError
        If none can; the reasons are counted in the message.
    """
    panel = to_returns(prices, config, sessions=calendars.sessions)
    alignments = calendars.align_all(events, config)
    selection = select(events, config, prices, panel, alignments)
    if not any(selection.requests.values()):
        reasons = Counter(row.reason.split(":")[0] for row in selection.ledger)
        counted = ", ".join(f"{name} {count}" for name, count in reasons.most_common())
        raise EstimationError(f"no event × peer can be studied ({counted}); 'eventstudy check' shows each")
    cuts = [_cut_market(mic, selection, panel, config) for mic, rows in selection.requests.items() if rows]
    joined = join(cuts)
    expected = fit(joined, config.model.name)
    abnormal = abnormal_returns(joined, expected, alpha=config.model.alpha)
    correlations = residual_correlations(expected.residuals, joined.estimation_sessions)
    tests = config.tests
    sample = Sample("all", abnormal, correlations, tests.weights, config.study.seed, tests.draws)
    return Computed(panel, alignments, selection, abnormal, sample)


def _cut_market(mic: str, selection: Selection, panel: ReturnsPanel, config: StudyConfig) -> EventPanel:
    market = panel.markets[mic]
    return cut(
        selection.requests[mic], market.returns, market.market_return[:, None],
        market.sessions.astype("datetime64[D]").astype(np.int32), market.flags, selection.excluded[mic],
        estimation=config.windows.estimation, event=config.windows.event,
    )  # fmt: skip


def groups(sample: Sample, events: Events, config: StudyConfig) -> Iterator[Sample]:
    """Yield the groups that are tested: all, and by peer group, label, market, region and shock."""
    panel = sample.abnormal.panel
    label = np.array([events.by_id(str(name)).label for name in panel.event_id])
    peer_group = np.array([config.peer(str(name)).group for name in panel.ticker])
    yield sample
    keys: list[tuple[str, NDArray[np.str_]]] = []
    if len(set(peer_group)) > 1 or config.study.headline:
        keys.append(("peers", peer_group))
    keys += [
        ("label", label),
        ("market", panel.market),
        ("region", panel.region),
        ("shock_id", panel.shock_id),
    ]
    for name, values in keys:
        for value in dict.fromkeys(values.tolist()):
            yield sample.take(f"{name}={value}", values == value)
    for group in dict.fromkeys(peer_group.tolist()) if keys[0][0] == "peers" else ():
        for value in dict.fromkeys(label[peer_group == group].tolist()):
            yield sample.take(f"peers={group};label={value}", (peer_group == group) & (label == value))


def headline_group(config: StudyConfig) -> str:
    """Name of the group that page 1 speaks of."""
    peer_groups = list(dict.fromkeys(peer.group for peer in config.peers))
    if config.study.headline:
        return f"peers={config.study.headline}"
    return f"peers={peer_groups[0]}" if len(peer_groups) > 1 else "all"
