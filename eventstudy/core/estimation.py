"""From events and prices to abnormal returns, and the groups of firm-events that are tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eventstudy.config import StudyConfig, Window
from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.arrays import Bools, Texts
from eventstudy.core.models import ExpectedReturns, fit, needs
from eventstudy.core.models.inputs import excluded_with_gaps, factor_columns, index_returns
from eventstudy.core.models.peers import only_donors
from eventstudy.core.returns import FactorColumns, ReturnsPanel, to_returns
from eventstudy.core.selection import USED, Selection, drop_kind, select
from eventstudy.core.statistics import Sample, residual_correlations
from eventstudy.core.windows import EventPanel, Request, cut, join
from eventstudy.errors import EstimationError, Reason
from eventstudy.events import Events
from eventstudy.exchanges import calendars
from eventstudy.exchanges.calendars import Alignment
from eventstudy.prices import PriceTable
from eventstudy.prices.quality import QualityFinding, check_quality, vet, with_special_sessions
from eventstudy.shocks import hit_by

if TYPE_CHECKING:
    from eventstudy.prices.covariates import Covariates

#: Prefix of the name of a group of firm-events with one peer group.
OF_PEERS = "peers="
#: Peers with at least this share of their business in the sector count as exposed to its news.
EXPOSED = 0.75


@dataclass(frozen=True, slots=True)
class Computed:
    """The arrays between the prices and the tables."""

    returns: ReturnsPanel
    alignments: Mapping[tuple[str, str], Alignment]
    selection: Selection
    abnormal: AbnormalReturns
    sample: Sample
    findings: tuple[QualityFinding, ...] = ()


def compute(events: Events, config: StudyConfig, prices: PriceTable) -> Computed:
    """Cut, fit and subtract for every firm-event that can be studied; ``events`` are those of `shocks.with_shocks`.

    Raises
    ------
    EstimationError
        If none can; the reasons are counted in the message.
    PriceError
        If prices are suspect and ``prices.accept_suspect`` is not set.
    """
    alignments = calendars.align_all(events, config)
    prices, findings = trusted(prices, config, alignments)
    panel = with_factors(
        to_returns(prices, config, sessions=with_special_sessions(prices, config, calendars.sessions)),
        prices,
        config,
        {event.benchmark for event in events if event.benchmark},
    )
    selection = select(events, config, prices, panel, alignments)
    if not any(selection.requests.values()):
        counted = _counted(row.reason for row in selection.ledger)
        raise EstimationError(f"no event × peer can be studied ({counted}); 'eventstudy check' shows each")
    named = hit_by(events, selection.leads)
    joined, expected = cut_and_fit(selection.requests, selection.excluded, panel, config, named=named)
    selection, joined, expected = _keep_fitted(selection, joined, expected, config)
    # Volume and volatility have a non-zero level, so the intercept is always needed.
    alpha = config.model.alpha if config.study.kind == "return" else "estimated"
    abnormal = abnormal_returns(joined, expected, alpha=alpha)
    sample = Sample(
        group="all",
        abnormal=abnormal,
        correlations=residual_correlations(expected.residuals, joined.estimation_sessions),
        weighting=config.tests.weights,
        seed=config.study.seed,
        draws=config.tests.draws,
        alternative=config.tests.alternative,
    )
    return Computed(panel, alignments, selection, abnormal, sample, findings)


def trusted(
    prices: PriceTable, config: StudyConfig, alignments: Mapping[tuple[str, str], Alignment]
) -> tuple[PriceTable, tuple[QualityFinding, ...]]:
    """Return the prices that the study may use, and all findings of the quality checks.

    Raises
    ------
    PriceError
        With all findings that stop the run, unless ``prices.accept_suspect`` is set.
    """
    days = {
        market.mic: np.array([a.session for a in alignments.values() if a.mic == market.mic], "datetime64[D]")
        for market in config.markets
    }
    sessions = with_special_sessions(prices, config, calendars.sessions)
    findings = check_quality(prices, config, sessions=sessions, event_days=days)
    return vet(prices, findings, accept=config.prices.accept_suspect, days=config.prices.accept_days), findings


def cut_and_fit(
    requests: Mapping[str, Sequence[Request]],
    excluded: Mapping[str, Bools],
    panel: ReturnsPanel,
    config: StudyConfig,
    *,
    event: Window | None = None,
    named: Mapping[str, frozenset[str]] | None = None,
) -> tuple[EventPanel, ExpectedReturns]:
    """Cut and fit firm-events at arbitrary dates in the same way as those of the study.

    ``event`` replaces the event window. ``named`` maps an event to the tickers that it names; these cannot be controls
    of other securities.
    """
    cuts = []
    every = [request for rows in requests.values() for request in rows]
    usual, asked = config.windows.estimation, event or config.windows.event
    estimation = _widest(usual, (request.estimation for request in every))
    event = _widest(asked, (request.event for request in every))
    if (estimation, event) != (usual, asked):
        requests = {
            mic: [replace(r, estimation=r.estimation or usual, event=r.event or asked) for r in rows]
            for mic, rows in requests.items()
        }
    for mic, rows in requests.items():
        if not rows:
            continue
        market = panel.markets[mic]
        columns = market.factors or FactorColumns(("market",), market.market_return[:, None], (0,))
        cuts.append(
            cut(
                rows,
                market.returns,
                columns.values,
                market.sessions.astype("datetime64[D]").astype(np.int32),
                market.flags,
                excluded_with_gaps(market, excluded[mic]) if "span" in columns.names else excluded[mic],
                estimation=estimation,
                event=event,
                factor_names=columns.names,
                ahead=columns.ahead,
                kind=panel.kind,
                benchmarks=market.benchmarks,
            )
        )
    joined = join(cuts)
    if "donors" in needs(config.model.name):
        joined = only_donors(
            joined, _may_lend(joined, config, named or {}), tuple(peer.ticker for peer in config.peers)
        )
    return joined, fit(joined, config.model.name, settings=config.model)


def _widest(window: Window, own: Iterable[Window | None]) -> Window:
    """Return the window that holds the study's and those of single firm-events."""
    every = [window, *filter(None, own)]
    return min(first for first, _ in every), max(last for _, last in every)


def _may_lend(panel: EventPanel, config: StudyConfig, named: Mapping[str, frozenset[str]]) -> Bools:
    """Which peers may be donors for each firm-event's security: those that its event does not affect.

    An event that names tickers affects these; an event without tickers affects the security's whole peer group.
    """
    groups = {peer.ticker: peer.group for peer in config.peers}
    allowed = np.zeros((len(panel), len(groups)), dtype=bool)
    for row, (event_id, ticker) in enumerate(zip(panel.event_id, panel.ticker, strict=True)):
        hit = {config.peer(name).ticker for name in named.get(str(event_id), ()) if name in groups}
        own = groups[str(ticker)]
        allowed[row] = [
            name not in hit and name != ticker and (bool(hit) or group != own) for name, group in groups.items()
        ]
    return allowed


def with_factors(
    panel: ReturnsPanel, prices: PriceTable, config: StudyConfig, benchmarks: Iterable[str] = ()
) -> ReturnsPanel:
    """Return the panel with the factors that the study's model needs on every market, and with further indices."""
    factors = {mic: factor_columns(mic, panel, prices, config) for mic in panel.markets}
    markets = {
        mic: replace(
            market,
            factors=factors[mic],
            benchmarks={name: index_returns(market, name, prices, panel.kind) for name in benchmarks},
        )
        for mic, market in panel.markets.items()
    }
    return replace(panel, markets=markets)


def _keep_fitted(
    selection: Selection, panel: EventPanel, expected: ExpectedReturns, config: StudyConfig
) -> tuple[Selection, EventPanel, ExpectedReturns]:
    """Leave out firm-events that the model could not fit or predict, with the reason in the ledger."""
    pairs = list(zip(panel.event_id.tolist(), panel.ticker.tolist(), strict=True))
    unfitted = _unfitted(expected, config)
    why, remarks = dict(zip(pairs, unfitted, strict=True)), dict(zip(pairs, expected.remark, strict=True))
    ledger = []
    for row in selection.ledger:
        pair = (row.event_id, row.ticker)
        if row.status in USED and why.get(pair):
            row = replace(row, status="dropped", stage="model", reason=why[pair])
        elif row.status in USED and pair in remarks:
            row = replace(row, reason=Reason.join((row.reason, remarks[pair])))
        ledger.append(row)
    keep = np.array([not reason for reason in unfitted], dtype=bool)
    if not keep.any():
        most = f"at most {expected.n_estimation.max()} estimation days have all that it wants"
        raise EstimationError(
            f"model {config.model.name} could not be fitted to any event × peer ({_counted(unfitted)}); {most}"
        )
    kept = replace(selection, ledger=tuple(ledger))
    return (kept, panel, expected) if keep.all() else (kept, panel.take(keep), expected.take(keep))


def _counted(reasons: Iterable[Reason]) -> str:
    """Kinds of reasons with their numbers, the most frequent first."""
    return ", ".join(f"{kind} {n}" for kind, n in Counter(drop_kind(reason.code) for reason in reasons).most_common())


def _unfitted(expected: ExpectedReturns, config: StudyConfig) -> list[Reason]:
    """Reason why each firm-event cannot be used; empty if it can."""
    name, count = expected.model, expected.n_estimation
    least = config.windows.minimum if name != "rolling" else config.model.span // 2
    solved = np.isfinite(expected.sigma2) & np.isfinite(expected.theta).all(axis=1)
    predicted = np.isfinite(expected.mean).any(axis=1)
    reasons = [Reason()] * len(count)
    for row in np.flatnonzero((count < least) | ~solved | ~predicted):
        if count[row] < least:
            reasons[row] = Reason("reason.factors_short", n=count[row], least=least, model=name)
        else:
            reasons[row] = Reason("reason.no_factors" if solved[row] else "reason.not_identified", model=name)
    return reasons


def distinct(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Yield the groups, without those that have the same firm-events as an earlier group; peer groups are all kept."""
    seen: set[bytes] = set()
    for sample in samples:
        panel = sample.abnormal.panel
        members = np.sort(np.strings.add(np.strings.add(panel.event_id, " "), panel.ticker)).tobytes()
        if members not in seen or sample.group.startswith(OF_PEERS):
            yield sample
        seen.add(members)


def groups(sample: Sample, events: Events, config: StudyConfig, own: Covariates | None = None) -> Iterator[Sample]:
    """Yield the groups that are tested: all, and by peer group, label, market, region, shock, dimension and exposure.

    ``dimension`` belongs to the event; exposure is the peer's share of business in the sector, high from three
    quarters on. The columns of ``tests.group`` follow, ``own`` has the user's; peer group x label, if asked, is last.
    """
    panel = sample.abnormal.panel
    label = group_values("label", panel, events, config)
    peer_group = group_values("peer_group", panel, events, config)
    yield sample
    keys: list[tuple[str, Texts]] = []
    if len(set(peer_group)) > 1 or config.study.headline:
        keys.append(("peers", peer_group))
    keys += [("label", label), ("market", panel.market), ("region", panel.region), ("shock_id", panel.shock_id)]
    keys.append(("dimension", group_values("dimension", panel, events, config)))
    exposed = np.array([config.peer(str(name)).exposure for name in panel.ticker]) >= EXPOSED
    if exposed.any() and not exposed.all():
        keys.append(("exposure", np.where(exposed, "high", "low")))
    had = {name for name, _ in keys}
    for column in config.tests.group:
        name = "peers" if column == "peer_group" else column
        keys += [(name, group_values(column, panel, events, config, own))] if name not in had else []
    for name, values in keys:
        for value in filter(None, dict.fromkeys(values.tolist())):
            yield sample.take(f"{name}={value}", values == value)
    for group in dict.fromkeys(peer_group.tolist()) if keys[0][0] == "peers" else ():
        for value in dict.fromkeys(label[peer_group == group].tolist()):
            yield sample.take(f"{OF_PEERS}{group};label={value}", (peer_group == group) & (label == value))


def group_values(
    column: str, panel: EventPanel, events: Events, config: StudyConfig, own: Covariates | None = None
) -> Texts:
    """Return the group of each firm-event by a column of `covariates.GROUPS` or a column of the user, (N,) of str.

    Empty where a firm-event has no value.
    """
    if column in ("market", "region", "ticker", "shock_id"):
        found: Texts = getattr(panel, column)
        return found
    if column == "peer_group":
        return np.array([config.peer(str(name)).group for name in panel.ticker], dtype=np.str_)
    if column in ("label", "kind", "dimension"):
        return np.array([getattr(events.by_id(str(name)), column) for name in panel.event_id], dtype=np.str_)
    assert own is not None, "columns of the user's own are read before"
    cells = own.column(column, panel.event_id.tolist(), panel.ticker.tolist(), panel.day0).tolist()
    # Semicolons join several groups in one name.
    texts = [f"{cell:g}" if isinstance(cell, float) and cell == cell else cell for cell in cells]
    return np.array([cell.replace(";", ",") if isinstance(cell, str) else "" for cell in texts], dtype=np.str_)


def headline_of(samples: Sequence[Sample], config: StudyConfig) -> Sample:
    """Return the sample of page 1: that of `headline_group`, or another one if it has no firm-events.

    If no firm-event of that peer group can be used, it is the first group of the settings that has any, or all
    firm-events if they all belong to one group; `headline_note` says so.
    """
    of_group = {sample.group: sample for sample in samples}
    names = (headline_group(config), *(f"{OF_PEERS}{peer.group}" for peer in config.peers))
    return next((of_group[name] for name in names if name in of_group), of_group["all"])


def headline_note(headline: Sample, config: StudyConfig) -> Reason:
    """Return a note if page 1 is about another group than the settings name; else empty."""
    if headline.group == headline_group(config):
        return Reason()
    # If all firm-events belong to one group, only the sample "all" exists.
    tickers = set(headline.abnormal.panel.ticker.tolist())
    used = dict.fromkeys(peer.group for peer in config.peers if peer.ticker in tickers)
    return Reason("headline.other", wanted=config.study.headline or config.peers[0].group, used=", ".join(used))


def headline_group(config: StudyConfig) -> str:
    """Name of the group of page 1: a peer group, or "all" if there is only one peer group."""
    first = config.peers[0].group if len({peer.group for peer in config.peers}) > 1 else ""
    name = config.study.headline or first
    return f"{OF_PEERS}{name}" if name else "all"
