"""The study's shocks judged: drops, labels, benchmarks, and the verdicts on each kind of drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.estimation import Computed
from eventstudy.core.statistics import Sample
from eventstudy.core.windows import Request
from eventstudy.errors import EstimationError
from eventstudy.messages import Message, say
from eventstudy.reversal.dates import date_means, date_sets
from eventstudy.reversal.drops import Drops, drops
from eventstudy.reversal.history import History, day_codes
from eventstudy.reversal.labels import UNDATED, counted_markets, untimely
from eventstudy.reversal.matching import Benchmarks, MatchedSets, benchmarks, matched_sets
from eventstudy.reversal.permutation import NO_TEST, excess, matched_permutation, placebo_spread, rank_among
from eventstudy.reversal.placebo import traits
from eventstudy.reversal.variants import Variants, variants
from eventstudy.reversal.verdict import Evidence, Verdict, verdict

#: Labels that get a verdict of their own beside the one in question.
OTHER_LABELS = ("misreading", "genuine", "contested", "no_news")
#: Ends the name of the group that counts labels set after the drop as well.
EXPLORATORY = ";exploratory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """K shocks of the headline group.

    Attributes
    ----------
    event_id, label : (K,) str
        First event of each lead, and the label of the shock, see `shocks.Lead`.
    tickers : K tuples
        Peers in each portfolio.
    in_time : (K,) bool
        Whether the label was known by the first close at which the drop window was over; false where it
        carries no time.
    label_reason : (K,) str
        Why not, as a code of `labels`; empty where it was.
    traits : (K, V)
        What placebos are matched on.
    benchmarks, sets, variants
        Placebo dates of each shock; portfolios of shocks and placebos formed together, None where no
        shock has a benchmark; and X_k under other ways to count.
    excess : (K,)
        X_k over the matched placebos, NaN without a valid benchmark.
    asked : (K,) bool
        Shocks that the verdict rests on: qualifying drops with the label in question, known in time,
        with a benchmark, whose post window overlaps no earlier one.
    case : int or None
        Shock shown as a case study.
    verdict, exploratory
        The confirmatory one, and the one that counts late labels too.
    others
        Verdicts on the drops of other labels, known in time, and on all whatever their label, by group name.
    members
        Which shocks each verdict counts, by group name.
    """

    history: History
    requests: Mapping[str, Sequence[Request]]
    portfolios: ShockPortfolios
    drops: Drops
    event_id: NDArray[np.str_]
    label: NDArray[np.str_]
    tickers: tuple[tuple[str, ...], ...]
    in_time: NDArray[np.bool_]
    label_reason: NDArray[np.str_]
    traits: NDArray[np.float64]
    benchmarks: Benchmarks
    sets: MatchedSets | None
    variants: Variants
    excess: NDArray[np.float64]
    asked: NDArray[np.bool_]
    case: int | None
    verdict: Verdict
    exploratory: Verdict
    others: Mapping[str, Verdict]
    members: Mapping[str, NDArray[np.bool_]]

    def by_date(self, values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Means over the marked shocks of each date, (D,): shocks of one day 0 are one date."""
        return date_means(self.drops.day0[mask], values[mask])

    def answer(self, group: str) -> Verdict:
        """Return the verdict on a group of ``members``."""
        if group in self.others:
            return self.others[group]
        return self.exploratory if group.endswith(EXPLORATORY) else self.verdict


def judge(computed: Computed, headline: Sample, config: StudyConfig) -> Judgement:
    """Judge the shocks of the headline group by the rule of the settings."""
    history = History(computed.returns, computed.selection.excluded, config)
    requests = _lead_requests(computed, headline)
    if not any(requests.values()):
        raise EstimationError(
            "no shock can be judged: answers to reports have firm-events that can be used, no report has; "
            "'eventstudy check' says for each why not"
        )
    portfolios = history.portfolios(requests)
    judged = drops(portfolios, config.windows.drop, config.windows.post, config.reversal)
    leads = [computed.selection.leads[str(name)] for name in portfolios.shock_id]
    event_id = np.array([lead.event.event_id for lead in leads], dtype=np.str_)
    label = np.array([lead.event.label for lead in leads], dtype=np.str_)
    counting = counted_markets(headline.abnormal.panel, computed.selection.requests)
    reached = {
        lead.event.event_id: sorted({mic for row in lead.rows for mic in counting.get(row.event_id, ())})
        for lead in leads
    }
    late = [untimely(lead.event, computed.alignments, config, reached) for lead in leads]
    label_reason = np.array(late, dtype=np.str_)
    in_time = label_reason == ""
    tickers = tuple(
        tuple(sorted(portfolios.abnormal.panel.ticker[portfolios.members[first:last]].tolist()))
        for first, last in portfolios.spans()
    )
    trait = traits(portfolios, config.windows.drop)
    event_days = day_codes(np.array([a.session for a in computed.alignments.values()], dtype="datetime64[D]"))
    mine = label == config.reversal.label
    case = _case(judged, config)
    found = benchmarks(history, judged, trait, tickers, np.unique(event_days), label=label, case=case)
    over = excess(judged.post, [found.placebos(k) for k in range(len(judged.shock_id))])
    sets = _sets(history, requests, judged, tickers, found)
    spread = variants(history, requests, judged, tickers, found, sets)
    counted = judged.qualifies & np.isfinite(over)
    groups = _groups(label, label_reason, mine, judged, counted, config)
    jury = _Jury(
        headline=headline,
        found=found,
        judged=judged,
        over=over,
        label_reason=label_reason,
        variants=spread,
        config=config,
    )
    answers = {name: jury.answer(name, *group) for name, group in groups.items()}
    primary = f"label={config.reversal.label}"
    return Judgement(
        history=history,
        requests=requests,
        portfolios=portfolios,
        drops=judged,
        event_id=event_id,
        label=label,
        tickers=tickers,
        in_time=in_time,
        label_reason=label_reason,
        traits=trait,
        benchmarks=found,
        sets=sets,
        variants=spread,
        excess=over,
        asked=groups[primary][1],
        case=case,
        verdict=answers[primary],
        exploratory=answers[f"{primary}{EXPLORATORY}"],
        others={k: v for k, v in answers.items() if k not in (primary, f"{primary}{EXPLORATORY}")},
        members={name: group[1] for name, group in groups.items()},
    )


def _lead_requests(computed: Computed, headline: Sample) -> dict[str, list[Request]]:
    """Firm-events of the headline group that set their shock off."""
    panel = headline.abnormal.panel
    pairs = zip(panel.event_id[panel.lead].tolist(), panel.ticker[panel.lead].tolist(), strict=True)
    wanted = set(pairs)
    return {
        mic: [r for r in rows if (r.event_id, r.ticker) in wanted] for mic, rows in computed.selection.requests.items()
    }


def _case(judged: Drops, config: StudyConfig) -> int | None:
    """The shock named in the settings, else the newest one that was a fall."""
    named = np.flatnonzero(judged.shock_id == config.reversal.case)
    if len(named):
        return int(named[0])
    falls = np.flatnonzero((judged.drop < 0) & np.isfinite(judged.post))
    return int(falls[-1]) if len(falls) else None


def _sets(
    history: History,
    requests: Mapping[str, Sequence[Request]],
    judged: Drops,
    tickers: Sequence[tuple[str, ...]],
    found: Benchmarks,
) -> MatchedSets | None:
    days = [np.zeros(0, dtype=np.int64) if found.reasons[k] else found.days(k) for k in range(len(tickers))]
    if not any(len(item) for item in days):
        return None
    return matched_sets(history, requests, [str(name) for name in judged.shock_id], tickers, days)


Group = tuple[NDArray[np.bool_], NDArray[np.bool_], str]


def _groups(
    label: NDArray[np.str_],
    label_reason: NDArray[np.str_],
    mine: NDArray[np.bool_],
    judged: Drops,
    counted: NDArray[np.bool_],
    config: StudyConfig,
) -> dict[str, Group]:
    """Kinds of drops that get a verdict: candidates, shocks counted, and what to call them."""
    asked, in_time = config.reversal.label, label_reason == ""
    groups: dict[str, Group] = {
        f"label={asked}": (mine, mine & counted & in_time, _labelled(asked)),
        f"label={asked}{EXPLORATORY}": (
            mine,
            mine & counted,
            _with_late(asked, label_reason, mine, mine & counted, judged),
        ),
    }
    for name in OTHER_LABELS:
        if name != asked and (label == name).any():
            named = label == name
            groups[f"label={name}"] = (named, named & counted & in_time, _labelled(name))
    groups["all"] = (np.ones(len(label), dtype=bool), counted, say("subject.all"))
    return {
        name: (of, without_overlaps(rows, judged.shock_id, judged.overlaps), text)
        for name, (of, rows, text) in groups.items()
    }


def _with_late(
    label: str, label_reason: NDArray[np.str_], mine: NDArray[np.bool_], rows: NDArray[np.bool_], judged: Drops
) -> Message:
    """Name the drops of a label, and say whether labels that came late or have no time are among them."""
    kept = without_overlaps(rows, judged.shock_id, judged.overlaps)
    found = set(label_reason[kept if kept.any() else mine].tolist()) - {""}
    key = "late_none" if not found else "undated" if found == {UNDATED} else "late"
    return say(f"subject.{key}", label=say(f"label.{label}"))


def _labelled(label: str) -> Message:
    return say("subject.labelled", label=say(f"label.{label}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Jury:
    """What every verdict is made from: the shocks, their benchmarks and the settings."""

    headline: Sample
    found: Benchmarks
    judged: Drops
    over: NDArray[np.float64]
    label_reason: NDArray[np.str_]
    variants: Variants
    config: StudyConfig

    def answer(self, name: str, of: NDArray[np.bool_], mask: NDArray[np.bool_], subject: str) -> Verdict:
        """Return the verdict on the marked shocks."""
        judged, config = self.judged, self.config
        rows = np.flatnonzero(mask)
        day0 = judged.day0[rows]
        post, sets = date_sets(day0, judged.post[rows], [self.found.placebos(int(k)) for k in rows])
        seed, draws = config.study.seed, config.tests.draws
        test = matched_permutation(post, sets, draws=draws, seed=seed) if len(rows) else NO_TEST
        place = rank_among(float(post[0]), sets[0]) if len(post) == 1 else None
        drop = of & judged.qualifies & np.isfinite(judged.post)
        by_label = name != "all" and not name.endswith(EXPLORATORY)
        late = drop & (self.label_reason != "") & by_label
        evidence = Evidence(
            subject=subject,
            window=config.windows.post,
            excess=date_means(day0, self.over[rows]),
            drop=date_means(day0, judged.drop[rows]),
            permutation=test,
            spread=placebo_spread(sets),
            other_measures=tuple(self.variants.means(mask)[n] for n in ("log", "bhar")) if len(rows) else (),
            n_events=int(judged.n_peers[rows].sum()),
            n_effective=self._effective(mask),
            n_placebos=sum(len(values) for values in sets),
            rank=place.rank if place else 0,
            n_candidates=int(of.sum()),
            n_drops=int(drop.sum()),
            n_late=int(late.sum()),
            n_undated=int((late & (self.label_reason == UNDATED)).sum()),
            n_unmatched=int((drop & ~np.isfinite(self.over) & ~late).sum()),
        )
        return verdict(evidence, seed=seed, draws=draws)

    def _effective(self, mask: NDArray[np.bool_]) -> float:
        panel = self.headline.abnormal.panel
        rows = np.flatnonzero(np.isin(panel.shock_id, self.judged.shock_id[mask]) & panel.lead)
        if len(rows) < 2:
            return float(len(rows))
        mine = self.headline.take("", np.isin(np.arange(len(panel)), rows))
        return mine.at(self.config.windows.post).n_effective


def without_overlaps(
    asked: NDArray[np.bool_], shock_id: NDArray[np.str_], overlaps: Sequence[str]
) -> NDArray[np.bool_]:
    """Keep the first of shocks whose post windows overlap: they would count the same days twice."""
    kept = asked.copy()
    for k, earlier in enumerate(overlaps):
        if earlier and kept[shock_id == earlier].any():
            kept[k] = False
    return kept
