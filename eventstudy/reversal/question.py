"""The shocks of a study with their drops, labels and controls, a verdict on each kind, and both endpoints."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from eventstudy.config import Reversal, StudyConfig, Windows
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.arrays import Bools, Counts, Floats, Texts
from eventstudy.core.estimation import Computed
from eventstudy.core.statistics import Sample
from eventstudy.core.windows import Request
from eventstudy.errors import EstimationError, Reason
from eventstudy.reversal.controls import (
    UNBALANCED,
    Balance,
    Comparison,
    Peers,
    balance,
    compare,
    families,
    past_drops,
    screen,
)
from eventstudy.reversal.drops import Drops, PeerDrops, drops, peer_drops
from eventstudy.reversal.estimator import Excess
from eventstudy.reversal.history import Fits, History, day_codes
from eventstudy.reversal.labels import UNDATED, counted_markets, untimely
from eventstudy.reversal.matching import Benchmarks, MatchedSets, benchmarks, matched_sets, placebo_days, variants
from eventstudy.reversal.permutation import (
    date_means,
    date_sets,
    excess,
    matched_permutation,
    placebo_spread,
    rank_among,
)
from eventstudy.reversal.verdict import Evidence, Verdict, asked_of, kind_of, margin_for, past_of, power, verdict
from eventstudy.shocks import Lead

#: Drop window of endpoint B; for news with a bare date also the window that includes the day before.
DAY_0, DAY_BEFORE = (0, 0), (-1, 0)
#: Further labels with a verdict, besides the one in question.
OTHER_LABELS = ("misreading", "genuine", "contested", "denied", "silent", "no_news")
#: Suffix of groups that include labels set after the drop.
EXPLORATORY = ";exploratory"


@dataclass(frozen=True, slots=True)
class Kind:
    """The drops of one verdict, as masks of shape (K,).

    ``candidates`` are all shocks of the kind, ``counted`` those in the verdict, ``late_too`` says whether labels that
    were not known in time count; ``subject`` is the name of the drops.
    """

    candidates: Bools
    counted: Bools
    subject: Reason
    late_too: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """K shocks by one endpoint; arrays of shape (K,).

    Attributes
    ----------
    history
        The price history with the endpoint's drop and post windows.
    drops, next_day
        Drop and post-window return of each shock, and its CAR of day +1.
    comparison
        The drops, and the controls of their peers.
    in_time, counted
        Whether the label was known before the post window, and which shocks the answer uses.
    late
        Shocks of the exploratory answer, which include those labelled after the drop.
    """

    history: History
    drops: PeerDrops
    next_day: Floats
    comparison: Comparison
    in_time: Bools
    counted: Bools
    late: Bools

    @property
    def windows(self) -> Windows:
        """The settings' windows with the endpoint's own."""
        return self.history.config.windows

    @property
    def found(self) -> Excess:
        """The regression on the shocks that count."""
        return self.comparison.excess(self.counted)

    @property
    def found_late(self) -> Excess:
        """The regression of the exploratory answer."""
        return self.comparison.excess(self.late)

    @property
    def kind(self) -> str:
        """Kind of verdict by this endpoint alone."""
        return kind_of(self.found, margin_for(self.drops.drop[self.counted]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shocks:
    """K shocks of the headline group, with the verdicts on them.

    Attributes
    ----------
    event_id, label : (K,) str
        First event of each lead, and the label of the shock, see `eventstudy.shocks.Lead`.
    tickers : K tuples
        Peers in each portfolio.
    label_reason : (K,) str
        Code of the reason why a label cannot count in a confirmatory verdict, see `labels`; empty if it can.
    benchmarks, sets
        Matched control dates of each shock; portfolios of shocks and control drops, None if no shock has any.
    excess : (K,)
        X_k over the matched control drops, NaN without a valid comparison; ``variants`` has it by definition.
    case : int or None
        Shock shown as a case study.
    question : str
        Group of the confirmatory verdict: the label in question, known in time.
    endpoints
        ``A``, the windows of the settings, and ``B``, the drop of day 0 alone (if the settings differ from it).
    members, counted, verdicts
        By group name: shocks of each kind with a valid comparison and those in its verdict, (K,) bool, and the
        verdicts.
    balances
        Balance of the drops in each verdict and their controls, by group name.
    """

    history: History
    endpoints: tuple[Endpoint, ...]
    requests: Mapping[str, Sequence[Request]]
    portfolios: ShockPortfolios
    drops: Drops
    event_id: Texts
    label: Texts
    tickers: tuple[tuple[str, ...], ...]
    label_reason: Texts
    benchmarks: Benchmarks
    sets: MatchedSets | None
    variants: Mapping[str, Floats]
    excess: Floats
    case: int | None
    question: str
    members: Mapping[str, Bools] = field(default_factory=dict)
    counted: Mapping[str, Bools] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    balances: Mapping[str, Sequence[Balance]] = field(default_factory=dict)

    @property
    def comparison(self) -> Comparison:
        """Drops by the windows of the settings, and their controls."""
        return self.endpoints[0].comparison

    @property
    def traits(self) -> Floats:
        """The matching variables, (K, V)."""
        return self.endpoints[0].drops.traits

    @property
    def in_time(self) -> Bools:
        """Whether each label was known by the first close at which the drop window was over, (K,)."""
        known: Bools = self.label_reason == ""
        return known

    @property
    def asked(self) -> Bools:
        """Shocks of the confirmatory question with a valid comparison, (K,)."""
        return self.members[self.question]

    @property
    def verdict(self) -> Verdict:
        """The confirmatory verdict."""
        return self.verdicts[self.question]

    @property
    def exploratory(self) -> Verdict:
        """The exploratory verdict, which includes late labels."""
        return self.verdicts[self.question + EXPLORATORY]

    def by_date(self, values: Floats, mask: Bools) -> Floats:
        """Means over the marked shocks of each date, (D,): shocks of one day 0 are one date."""
        return date_means(self.drops.day0[mask], values[mask])


def study_shocks(computed: Computed, headline: Sample, config: StudyConfig) -> Shocks:
    """Find the drops among the shocks of the headline group, match control drops, and answer the question."""
    history = History(computed.returns, computed.selection.excluded, config)
    requests = _lead_requests(computed, headline)
    if not any(requests.values()):
        raise EstimationError(
            "no shock can be judged: answers to reports have firm-events that can be used, no report has; "
            "'eventstudy check' says for each why not"
        )
    fits = history.fits(requests)
    portfolios = history.portfolios(fits)
    fallen = drops(portfolios, config.windows.drop, config.windows.post, config.reversal)
    leads = [computed.selection.leads[name] for name in portfolios.shock_id.tolist()]
    label = np.array([lead.event.label for lead in leads], dtype=np.str_)
    ticker = portfolios.abnormal.panel.ticker[portfolios.members]
    tickers = tuple(tuple(sorted(ticker[first:last].tolist())) for first, last in portfolios.spans())
    case = _case(fallen, label, config.reversal)
    ends = [(history, peer_drops(portfolios, config), portfolios.car((1, 1))), *_of_day_0(history, fits, leads)]
    peers = named_peers(leads, headline, config)
    fell = [(asked, drops) for asked, drops, _ in ends]
    controls, comparisons = _compared(fell, tickers, peers, event_days(computed), label=label, case=case)
    reasons = [label_reasons(leads, computed, headline, asked.config) for asked, _ in fell]
    of_label = label == config.reversal.label
    endpoints = tuple(
        _endpoint(*end, comparison, fallen, in_time=reason == "", of_label=of_label)
        for end, comparison, reason in zip(ends, comparisons, reasons, strict=True)
    )
    days = controls.days_of()
    sets = matched_sets(history, requests, fallen.shock_id, tickers, days) if any(map(len, days)) else None
    shocks = Shocks(
        history=history,
        endpoints=endpoints,
        requests=requests,
        portfolios=portfolios,
        drops=fallen,
        event_id=np.array([lead.event.event_id for lead in leads], dtype=np.str_),
        label=label,
        tickers=tickers,
        label_reason=reasons[0],
        benchmarks=controls,
        sets=sets,
        variants=variants(history, requests, fallen.shock_id, tickers, days, sets, config),
        excess=excess(fallen.post, [controls.placebos(k) for k in range(len(leads))]),
        case=case,
        question=f"label={config.reversal.label}",
    )
    return _answered(shocks, headline, config)


def _endpoint(
    history: History,
    own: PeerDrops,
    next_day: Floats,
    comparison: Comparison,
    fallen: Drops,
    *,
    in_time: Bools,
    of_label: Bools,
) -> Endpoint:
    """Return an endpoint with the shocks it counts: comparable drops of the label asked about, without overlaps."""
    asked = own.qualifies & of_label & comparison.comparable(len(of_label))
    return Endpoint(
        history=history,
        drops=own,
        next_day=next_day,
        comparison=comparison,
        in_time=in_time,
        counted=without_overlaps(asked & in_time, fallen.shock_id, fallen.overlaps),
        late=without_overlaps(asked, fallen.shock_id, fallen.overlaps),
    )


def _of_day_0(history: History, fits: Fits, leads: Sequence[Lead]) -> Iterator[tuple[History, PeerDrops, Floats]]:
    """Yield endpoint B; for news with a bare date, the larger fall of day 0 and of days -1 and 0 together."""
    own = history.config.windows
    if own.drop == DAY_0 or own.event[0] > DAY_BEFORE[0]:
        return
    alone, wide = (history.of_windows(drop, (1, own.post[1])) for drop in (DAY_0, DAY_BEFORE))
    portfolios = alone.portfolios(fits)
    drops, other = peer_drops(portfolios, alone.config), peer_drops(wide.portfolios(fits), wide.config)
    bare = np.array([lead.event.precision == "date" for lead in leads], dtype=bool)
    deeper = bare & (other.drop < drops.drop)
    both, shock = PeerDrops.joined([drops, other]), np.arange(len(leads))
    yield alone, both.take(shock + np.where(deeper, len(leads), 0)), portfolios.car((1, 1))


def _compared(
    ends: Sequence[tuple[History, PeerDrops]],
    tickers: Sequence[Peers],
    peers: Sequence[Peers],
    days0: Mapping[str, Counts],
    *,
    label: Texts,
    case: int | None,
) -> tuple[Benchmarks, list[Comparison]]:
    """Match control drops to the first endpoint's drops, and compare the drops of each endpoint with its controls."""
    history, asked = ends[0][0], [drops.qualifies & np.isfinite(drops.post) for _, drops in ends]
    for other in asked[1:]:
        other &= (label == history.config.reversal.label) | (np.arange(len(label)) == case)
    first = asked[0]
    lone = [] if case is None or first[case] else [case]
    # The case and its control days need not be drops.
    of = {k: (tickers[k], k in lone) for k in [*np.flatnonzero(first).tolist(), *lone]}
    named = [{peers[k] for k in np.flatnonzero(marks).tolist()} for marks in asked]
    windows = [of_end.config.windows for of_end, _ in ends]
    screened = {names: screen(history, names, windows) for names in {names for names, _ in of.values()}.union(*named)}
    days = {
        key: placebo_days(screened[key[0]][0], history, days0[key[0][0]], falling=key[1]) for key in set(of.values())
    }
    controls = [{names: screened[names][at].controls() for names in own} for at, own in enumerate(named)]
    wanted = [dict(own) for own in controls]
    for (names, _), found in days.items():
        known = wanted[0].get(names, found.falls)
        wanted[0][names] = np.unique(np.concatenate([known, found.falls, found.regular]))
    past = past_drops([(of_end, own) for (of_end, _), own in zip(ends, wanted, strict=True)])
    comparisons = [
        compare(of_end, drops, asked[at], peers, days0, past[at], controls[at])
        for at, (of_end, drops) in enumerate(ends)
    ]
    searched = {k: days[key] for k, key in of.items()}
    return benchmarks(ends[0][1], tickers, past[0], searched, history, label=label, case=case), comparisons


def event_days(computed: Computed) -> dict[str, Counts]:
    """Return by peer the days of all events that name it, or a peer linked to it by a common event."""
    named: dict[str, set[str]] = {}
    for row in computed.selection.ledger:
        named.setdefault(row.event_id, set()).add(row.ticker)
    sets = sorted({tuple(sorted(tickers)) for tickers in named.values()})
    family = dict(zip(sets, families(sets), strict=True))
    days: dict[str, list[dt.date]] = {}
    for (event_id, _), alignment in computed.alignments.items():
        if event_id in named:
            days.setdefault(family[tuple(sorted(named[event_id]))], []).append(alignment.session)
    codes = {name: np.unique(day_codes(np.array(own, dtype="datetime64[D]"))) for name, own in days.items()}
    none = np.zeros(0, dtype=np.int64)
    return {ticker: codes.get(name, none) for tickers, name in family.items() for ticker in tickers}


def _answered(shocks: Shocks, headline: Sample, config: StudyConfig) -> Shocks:
    """Return the shocks with their verdicts and the shocks counted in each."""
    rule, own, matched = config.reversal, shocks.comparison, np.isfinite(shocks.excess)
    known = matched if rule.estimator == "matched" else own.comparable(len(shocks.label))
    kinds = _kinds(shocks, rule.label, known)
    shocks = replace(
        shocks,
        members={name: kind.counted for name, kind in _kinds(shocks, rule.label, matched).items()},
        counted={name: kind.counted for name, kind in kinds.items()},
        balances={name: balance(own.of(kind.counted), moderated=own.moderated) for name, kind in kinds.items()},
    )
    verdicts = {name: _answer(shocks, headline, config, name, kind, known) for name, kind in kinds.items()}
    # Lists for the power are drawn with controls that all events share.
    if rule.estimator != "matched" and rule.controls == "all":
        past = past_of(own, rule.drop_k, rule.drop_min)
        for name in (shocks.question, shocks.question + EXPLORATORY):
            found = power(past, asked_of(own, kinds[name].counted), seed=config.study.seed)
            verdicts[name] = replace(verdicts[name], power=found)
    return replace(shocks, verdicts=verdicts)


def named_peers(leads: Sequence[Lead], headline: Sample, config: StudyConfig) -> list[tuple[str, ...]]:
    """Peers of the headline group that the lead of each shock names, with or without prices."""
    every = set(headline.abnormal.panel.ticker.tolist())
    spelt = {name: peer.ticker for peer in config.peers for name in (peer.ticker, *peer.aliases)}
    named = [{spelt.get(name, name) for name in lead.event.tickers} for lead in leads]
    return [tuple(sorted(every & own if own else every)) for own in named]


def _lead_requests(computed: Computed, headline: Sample) -> dict[str, list[Request]]:
    """Firm-events of the headline group in the leads of shocks."""
    panel = headline.abnormal.panel
    wanted = set(zip(panel.event_id[panel.lead].tolist(), panel.ticker[panel.lead].tolist(), strict=True))
    return {
        mic: [r for r in rows if (r.event_id, r.ticker) in wanted] for mic, rows in computed.selection.requests.items()
    }


def label_reasons(leads: Sequence[Lead], computed: Computed, headline: Sample, config: StudyConfig) -> Texts:
    """Return why each label cannot count in a confirmatory verdict, using the exchanges of its shock."""
    counting = counted_markets(headline.abnormal.panel, computed.selection.requests)
    reached = {
        lead.event.event_id: sorted({mic for row in lead.rows for mic in counting.get(row.event_id, ())})
        for lead in leads
    }
    return np.array([untimely(lead.event, computed.alignments, config, reached) for lead in leads], dtype=np.str_)


def _case(fallen: Drops, label: Texts, rule: Reversal) -> int | None:
    """The shock named in the settings, else the newest drop with the label in question, else the newest fall."""
    named = np.flatnonzero(fallen.shock_id == rule.case)
    if len(named):
        return int(named[0])
    fell = (fallen.drop < 0) & np.isfinite(fallen.post)
    own = fell & (label == rule.label)
    falls = next((found for found in (own & fallen.qualifies, own, fell) if found.any()), fell)
    return int(np.flatnonzero(falls)[-1]) if falls.any() else None


def variant_means(shocks: Shocks, mask: Bools) -> dict[str, float]:
    """Mean excess over the marked shocks by definition; NaN if no shock has it."""
    means = {}
    for name, values in shocks.variants.items():
        known = values[mask & np.isfinite(values)]
        means[name] = float(known.mean()) if len(known) else float("nan")
    return means


def sign_flips(shocks: Shocks, mask: Bools) -> list[str]:
    """Definitions by which the mean has the opposite sign to that with simple returns."""
    means = variant_means(shocks, mask)
    return [name for name, value in means.items() if value * means["simple"] < 0]


def _kinds(shocks: Shocks, asked: str, known: Bools) -> dict[str, Kind]:
    """Kinds of drops with a verdict, by group name; ``known`` (K,) marks shocks that can be compared."""
    label, in_time = shocks.label, shocks.in_time
    counted = shocks.drops.qualifies & known

    def kept(mask: Bools) -> Bools:
        return without_overlaps(mask, shocks.drops.shock_id, shocks.drops.overlaps)

    kinds: dict[str, Kind] = {}
    others = [name for name in OTHER_LABELS if name != asked and (label == name).any()]
    for name in (asked, *others):
        of, word = label == name, Reason(f"label.{name}")
        kinds[f"label={name}"] = Kind(of, kept(of & counted & in_time), Reason("subject.labelled", label=word))
        if name == asked:
            late = kept(of & counted)
            reasons = set(shocks.label_reason[late if late.any() else of].tolist()) - {""}
            key = "late_none" if not reasons else "undated" if reasons == {UNDATED} else "late"
            kinds[f"label={name}{EXPLORATORY}"] = Kind(of, late, Reason(f"subject.{key}", label=word), late_too=True)
    kinds["all"] = Kind(np.ones(len(label), dtype=bool), kept(counted), Reason("subject.all"), late_too=True)
    return kinds


def _answer(shocks: Shocks, headline: Sample, config: StudyConfig, name: str, kind: Kind, known: Bools) -> Verdict:
    """Return the verdict on one kind of drops, by the regression or by matched sets."""
    fallen, mask = shocks.drops, kind.counted
    drop = kind.candidates & fallen.qualifies & np.isfinite(fallen.post)
    late = drop & ~shocks.in_time & (not kind.late_too)
    if config.reversal.estimator == "matched":
        found = _by_sets(shocks, mask, config)
    else:
        regression = shocks.comparison.excess(mask)
        unlike = tuple(row.variable for row in shocks.balances[name] if abs(row.smd_after) > UNBALANCED)
        excess = date_means(fallen.day0[mask], regression.own)
        found = {"regression": regression, "unbalanced": unlike, "excess": excess}
    evidence = Evidence(
        subject=kind.subject,
        window=config.windows.post,
        drop=shocks.by_date(fallen.drop, mask),
        attainable=shocks.comparison.most(mask),
        n_events=int(fallen.n_peers[mask].sum()),
        n_effective=_effective(headline, fallen.shock_id[mask], config),
        n_candidates=int(kind.candidates.sum()),
        n_drops=int(drop.sum()),
        n_late=int(late.sum()),
        n_undated=int((late & (shocks.label_reason == UNDATED)).sum()),
        n_unmatched=int((drop & ~known & ~late).sum()),
        **found,
    )
    return verdict(evidence, seed=config.study.seed, draws=config.tests.draws)


def _by_sets(shocks: Shocks, mask: Bools, config: StudyConfig) -> dict[str, Any]:
    """Return the evidence from matched control drops for the marked shocks."""
    fallen, rows = shocks.drops, np.flatnonzero(mask)
    day0 = fallen.day0[rows]
    post, sets = date_sets(day0, fallen.post[rows], [shocks.benchmarks.placebos(int(k)) for k in rows])
    seed, draws, means = config.study.seed, config.tests.draws, variant_means(shocks, mask)
    rank = rank_among(float(post[0]), sets[0]) if len(post) == 1 else None
    return {
        "excess": date_means(day0, shocks.excess[rows]),
        "permutation": matched_permutation(post, sets, draws=draws, seed=seed),
        "spread": placebo_spread(sets),
        "other_measures": (means["log"], means["bhar"]) if len(rows) else (),
        "n_placebos": sum(len(values) for values in sets),
        "rank": rank.rank if rank else 0,
    }


def _effective(headline: Sample, shock_id: Texts, config: StudyConfig) -> float:
    """N_eff of the lead firm-events of these shocks, over the post window."""
    panel = headline.abnormal.panel
    own = np.isin(panel.shock_id, shock_id) & panel.lead
    if own.sum() < 2:
        return float(own.sum())
    return headline.take("", own).at(config.windows.post).n_effective


def without_overlaps(asked: Bools, shock_id: Texts, overlaps: Sequence[str]) -> Bools:
    """Keep the first of shocks whose post windows overlap, so that no day counts twice."""
    kept = asked.copy()
    for k, earlier in enumerate(overlaps):
        if earlier and kept[shock_id == earlier].any():
            kept[k] = False
    return kept
