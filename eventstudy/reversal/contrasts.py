"""Differences in reversal: misreading against genuine news, by dimension and exposure, without other news."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import special

from eventstudy.config import StudyConfig, Window
from eventstudy.core.arrays import Bools, Counts, Days, Floats, Places, Texts
from eventstudy.core.checks.regression import ClusterRegression, regress
from eventstudy.core.estimation import EXPOSED
from eventstudy.errors import EventsError, Problem, Reason
from eventstudy.events import DIMENSIONS, Event, Events, read_records
from eventstudy.exchanges.calendars import Alignment
from eventstudy.optional import Parts
from eventstudy.reversal.history import day_codes
from eventstudy.reversal.matching import matched_sets
from eventstudy.reversal.measures import Measure, mean_measure
from eventstudy.reversal.permutation import difference_p, sets_test
from eventstudy.reversal.question import Shocks

#: Smallest number of dates with each label; a single date would be fitted exactly.
FEWEST_SIDE = 3
#: Smallest total number of dates; with fewer, cluster-robust errors are not reliable.
FEWEST_CLUSTERS = 10
#: Smallest number of dates for the slope on the peers' exposure.
FEWEST_FOR_SLOPE = 3
GROUP = "misreading-genuine"
TERMS = ("car_drop", "misreading", "misreading_x_car_drop")
COLUMNS = ("date", "ticker", "kind", "note")
REQUIRED = ("date", "ticker", "kind")
#: Ticker that stands for all peers.
EVERYONE = "*"
#: Sessions around day 0 in which other news confounds a shock.
AROUND = (-1, 20)


def label_difference(shocks: Shocks, config: StudyConfig) -> Measure:
    """Mean excess of the label in question minus that of genuine news; labels are permuted over dates."""
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


def no_regression(why: Reason, n_dates: int = 0) -> list[Measure]:
    """Return the rows of a regression that cannot be estimated."""
    return [Measure(measure=f"regression_{name}", group=GROUP, n_dates=n_dates, note=why) for name in TERMS]


def regression(shocks: Shocks, config: StudyConfig) -> list[Measure]:
    """Regress peers' CAR_post on CAR_drop, the label and their product, dates as clusters.

    Notes
    -----
    CAR_post = a + b CAR_drop + c MIS + d MIS x CAR_drop + u with CAR_drop centred on its mean, so that
    c is the contrast at the mean drop. p is that of CR2 with Bell and McCaffrey's degrees of freedom,
    that of the wild bootstrap is in the note. Shocks need no control drops here. Not estimated with fewer than three
    dates of each label or ten in all.
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

    Parts that cannot be computed are left out, with the reason in ``parts``; for slopes there is a row with the reason.
    """
    kept = Parts() if parts is None else parts
    slopes = [Measure(measure=f"{name}_slope", group="exposure") for name in ("car_drop", "car_post")]
    return [
        *kept.optional("dimensions", lambda: list(_by_dimension(shocks, events)), lambda _: []),
        *kept.optional(
            "exposure",
            lambda: list(_by_exposure(shocks, config)),
            lambda why: [replace(slope, note=why) for slope in slopes],
        ),
    ]


def _by_dimension(shocks: Shocks, events: Events) -> Iterator[Measure]:
    """Yield the mean CARs of all shocks of a dimension, then the excess of its drops."""
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

    CAR and exposure are deviations from their means over the shock's peers.
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


@dataclass(frozen=True, slots=True)
class Confounder:
    """One piece of other news: earnings, an index change, a macro release. ``*`` means all peers."""

    date: dt.date
    ticker: str
    kind: str
    note: str = ""


def read_confounders(path: Path, config: StudyConfig) -> tuple[Confounder, ...]:
    """Read and check a confounders file.

    Raises
    ------
    EventsError
        With every problem found: a missing or unknown column, an invalid date, a ticker that is neither a peer nor
        ``*``.
    """
    known = {name for peer in config.peers for name in (peer.ticker, *peer.aliases)} | {EVERYONE}
    rows: list[Confounder] = []
    problems: list[Problem] = []
    for line, record in read_records(path, COLUMNS, REQUIRED):
        ticker = record["ticker"]
        try:
            date = dt.date.fromisoformat(record["date"])
        except ValueError:
            problems.append(Problem(f"date {record['date']!r} is not a date; write it as 2026-06-09", str(path), line))
            continue
        if ticker not in known:
            text = f"ticker {ticker!r} is not a peer of this study; name a peer, or * for all of them"
            problems.append(Problem(text, str(path), line))
            continue
        name = ticker if ticker == EVERYONE else config.peer(ticker).ticker
        rows.append(Confounder(date, name, record["kind"], record.get("note", "")))
    if problems:
        raise EventsError(problems)
    return tuple(rows)


def news_days(news: Sequence[Confounder]) -> Counts:
    """Days of the news, as days since 1970."""
    return np.unique(day_codes(np.array([item.date for item in news], dtype="datetime64[D]")))


def touched(shocks: Shocks, news: Sequence[Confounder]) -> Bools:
    """Which rows of the shocks' panel have other news of the peer or of all peers in [-1, +20], (N,)."""
    panel = shocks.portfolios.abnormal.panel
    days = day_codes(np.array([item.date for item in news], dtype="datetime64[D]"))
    marks = np.zeros(len(panel), dtype=bool)
    for row, ticker in enumerate(panel.ticker.tolist()):
        grid = day_codes(shocks.history.panel.markets[str(panel.market[row])].sessions)
        gaps = np.searchsorted(grid, days) - np.searchsorted(grid, panel.day0[row])
        about = np.array([item.ticker in (EVERYONE, ticker) for item in news], dtype=bool)
        marks[row] = (about & (gaps >= AROUND[0]) & (gaps <= AROUND[1])).any()
    return marks


def confounder_runs(shocks: Shocks, news: Sequence[Confounder], config: StudyConfig) -> list[Measure]:
    """Measure the excess three times: with all, without affected peers, without affected dates.

    Notes
    -----
    If a peer is left out, the control drops of its shock are formed without it too. News of all peers (``*``) affects
    the date, not single peers.
    """
    if not news:
        return []
    mask, portfolios = shocks.asked, shocks.portfolios
    none = np.zeros(len(portfolios.abnormal), dtype=bool)
    own = touched(shocks, [item for item in news if item.ticker != EVERYONE])
    dates = portfolios.total(touched(shocks, news)[portfolios.members].astype(float)) > 0
    group = f"{shocks.question};confounders"
    return [
        _without(shocks, f"{group}=all", mask, none, config),
        _without(shocks, f"{group}=without_peers", mask, own, config),
        _without(shocks, f"{group}=without_dates", mask & ~dates, none, config),
    ]


def _without(shocks: Shocks, group: str, mask: Bools, left_out: Bools, config: StudyConfig) -> Measure:
    """Excess of the marked shocks without some firm-events, from newly formed portfolios."""
    panel, drops = shocks.portfolios.abnormal.panel, shocks.drops
    gone = set(zip(panel.shock_id[left_out].tolist(), panel.ticker[left_out].tolist(), strict=True))
    requests = {mic: [r for r in rows if (r.shock_id, r.ticker) not in gone] for mic, rows in shocks.requests.items()}
    tickers = [
        tuple(ticker for ticker in peers if (str(shock), ticker) not in gone)
        for shock, peers in zip(drops.shock_id, shocks.tickers, strict=True)
    ]
    note = Reason("note.left_out", n=len(gone), k=int((shocks.asked & ~mask).sum()))
    if not any(tickers[k] for k in np.flatnonzero(mask)):
        return Measure(measure="excess_post", group=group, note=Reason.join([Reason("note.no_date"), note]))
    sets = matched_sets(shocks.history, requests, drops.shock_id, tickers, shocks.benchmarks.days_of(mask))
    events, others = sets.car(config.windows.post)
    own, placebos = events[mask], [others[int(k)] for k in np.flatnonzero(mask)]
    x, test = sets_test(drops.day0[mask], own, placebos, draws=config.tests.draws, seed=config.study.seed)
    return replace(mean_measure("excess_post", group, x, note=note), p_value=test.two_sided)


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """One event of another shock in a shock's post window, on its first session there."""

    shock_id: str
    event_id: str
    day: str


def other_events(
    shocks: Shocks, events: Events, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> list[OtherEvent]:
    """List the events of other shocks of the same peers in a shock's post window, by day.

    Control drops are at least 21 sessions away from every event, but shocks need not be. So the listed events may have
    affected the shocks, but not the control drops.
    """
    rows = []
    for k, shock in enumerate(shocks.drops.shock_id.tolist()):
        days = [
            (min(met), event.event_id)
            for event in events
            if event.shock_id != shock and (met := list(_met(shocks, k, event, alignments, config)))
        ]
        rows += [OtherEvent(shock, name, str(day)) for day, name in sorted(days)]
    return rows


def _met(
    shocks: Shocks, k: int, event: Event, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> Iterator[np.datetime64]:
    """Sessions of an event in the post window of shock k, for peers that both concern."""
    panel = shocks.portfolios.abnormal.panel
    first, stop = shocks.portfolios.spans()[k]
    post = (panel.tau >= config.windows.post[0]) & (panel.tau <= config.windows.post[1])
    for row in shocks.portfolios.members[first:stop]:
        peer = config.peer(str(panel.ticker[row]))
        alignment = alignments.get((event.event_id, str(panel.market[row])))
        about = not event.tickers or set(event.tickers) & {peer.ticker, *peer.aliases}
        if alignment is not None and about:
            day = np.datetime64(alignment.session, "D")
            if day_codes(np.array([day]))[0] in panel.event_sessions[row, post]:
                yield day


def other_events_of(rows: Sequence[OtherEvent], shock_id: Texts) -> Reason:
    """Return a note on events in the post windows of these shocks; empty if there are none."""
    shocks = []
    for shock in shock_id.tolist():
        named = [f"{item.event_id} ({item.day})" for item in rows if item.shock_id == shock]
        if named:
            shocks.append(Reason("inside.shock", shock=shock, events=", ".join(named)))
    return Reason("inside.all", shocks=Reason.join(shocks)) if shocks else Reason()
