"""Shocks of several studies in one test, with the sector as a stratum.

The pool uses the regression of a single study on the falls of all packs. Each peer set of each sector has its own
level, which its controls determine.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.core.statistics.dates import dates_needed
from eventstudy.errors import ConfigError, Problem, Reason
from eventstudy.reversal.controls import Comparison, families
from eventstudy.reversal.estimator import Excess, Falls, ruled_out
from eventstudy.reversal.permutation import date_means
from eventstudy.reversal.question import EXPLORATORY, OTHER_LABELS
from eventstudy.reversal.verdict import Evidence, Past, Verdict, asked_of, past_of, power, verdict

NAN = float("nan")
POOLED = "pooled"
#: Effects for which the number of dates needed is given.
POOL_EFFECTS = (0.01, 0.02, 0.05, 0.10)
#: With fewer weeks in a sector, Cochran's Q is far from its chi-square distribution.
FEW_FOR_Q = 20
LABEL = "reversal.label"
#: Settings that define the excess; packs that differ in one of them measure different things.
SAME = (
    "study.kind",
    "windows.estimation",
    "windows.minimum",
    "windows.drop",
    "windows.post",
    "windows.allow_partial",
    "windows.clean_estimation",
    "windows.same_day",
    "windows.overlapping",
    "returns.kind",
    "returns.gaps",
    "model.name",
    "model.alpha",
    "model.factors",
    "model.risk_free",
    "model.lags",
    "model.span",
    "model.variance",
    "tests.weights",
    LABEL,
    "reversal.drop_k",
    "reversal.share_negative",
    "reversal.controls",
)
#: Settings that may differ between sectors: they determine which falls count, not how these are measured.
MAY_DIFFER = ("reversal.drop_min", "reversal.history_years")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackShocks:
    """The n shocks of one result pack, arrays of shape (n,) in the order of their day 0, and its falls.

    Attributes
    ----------
    sector : str
        The study's sector, or its name.
    settings
        The manifest's settings by dotted name.
    n_effective, attainable
        N_eff of each verdict's group, and the largest number of dates that the history can give, from the pack's
        summary.
    qualifies, in_time : bool
        Whether the shock was a drop, and whether its label was known in time.
    overlaps : str
        Earlier shock of the same peers within whose post window it falls, or empty.
    tickers
        Peers of each shock.
    comparison
        Shocks and controls of `tables/falls.csv`; ``shock`` is the index in these arrays, ``peers`` are those of each
        fall.
    """

    run_id: str
    sector: str
    settings: Mapping[str, Any]
    simulated: bool
    n_effective: Mapping[str, float]
    attainable: Mapping[str, int] = field(default_factory=dict)
    shock_id: NDArray[np.str_]
    label: NDArray[np.str_]
    day0: NDArray[np.datetime64]
    n_peers: NDArray[np.int64]
    drop: NDArray[np.float64]
    post: NDArray[np.float64]
    qualifies: NDArray[np.bool_]
    in_time: NDArray[np.bool_]
    overlaps: tuple[str, ...]
    tickers: tuple[tuple[str, ...], ...]
    comparison: Comparison
    peers: tuple[tuple[str, ...], ...]

    @property
    def asked(self) -> str:
        """Label in question."""
        return str(self.settings[LABEL])

    def __len__(self) -> int:
        return len(self.shock_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTest:
    """One test of the pooled mean excess, or of its equality over sectors; NaN with a reason if it does not apply."""

    group: str
    name: str
    estimate: float = NAN
    statistic: float = NAN
    df: float = NAN
    p_value: float = NAN
    reason: Reason = field(default_factory=Reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Mean excess of one sector of a group, or of the pool, from the regression on its falls; decimals.

    ``n_dates`` is the number of distinct days 0, ``k_eff`` the number of weeks without overlap that carry the same
    information. Dates in one or two weeks are ranked among the controls: there is a p, but no standard error and no
    interval.
    """

    group: str
    sector: str
    n_dates: int
    n_events: int
    n_controls: int
    k_eff: float
    effect: float
    lower: float
    upper: float
    se: float
    df: float
    p_value: float
    mde: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerStep:
    """Smallest detectable effect with these sectors, and the dates that each of `POOL_EFFECTS` would need.

    ``sd`` is the standard error times the root of the number of dates, ``df_share`` the degrees of freedom of the
    regression divided by the number of dates minus one.
    """

    group: str
    sectors: str
    n_dates: int
    sd: float
    df_share: float
    mde: float
    needed: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Results of a pool, by group in the order of the verdicts; ``headline`` is the group in question.

    If the packs ask about different labels, the headline group has the drops in question of each pack, and ``mixed``
    says so. ``excess`` has for each pack the excess of every shock over the prediction from its controls, NaN if
    unknown.
    """

    packs: tuple[PackShocks, ...]
    headline: str
    verdicts: Mapping[str, Verdict]
    strata: tuple[Stratum, ...]
    tests: tuple[PoolTest, ...]
    power: tuple[PowerStep, ...]
    excess: tuple[NDArray[np.float64], ...]
    left_out: Mapping[str, tuple[str, ...]]
    mixed: Reason
    notes: tuple[Reason, ...]

    @property
    def simulated(self) -> bool:
        """Whether any pack has simulated prices."""
        return any(pack.simulated for pack in self.packs)

    @property
    def shown(self) -> str:
        """Group of the figure: the headline if it has two dates, else the group with most dates."""
        pooled = {row.group: row.n_dates for row in self.strata if row.sector == POOLED}
        return self.headline if pooled[self.headline] > 1 else max(pooled, key=pooled.__getitem__)


def pool_packs(packs: Sequence[PackShocks], *, seed: int, draws: int, labels_differ: bool = False) -> Pool:
    """Join the falls of packs and test the mean excess of their drops.

    Parameters
    ----------
    labels_differ
        Pool the drops in question of each pack even if the packs ask about different labels.

    Raises
    ------
    ConfigError
        For fewer than two packs, packs that measure different things, or one shock in two of them.
    """
    check_comparable(packs, labels_differ=labels_differ)
    comparison = replace(pooled_falls(packs), draws=draws, seed=seed)
    bounds = np.cumsum([0, *map(len, packs)])
    comparable = comparison.comparable(int(bounds[-1]))
    of_pack = [slice(start, end) for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
    kinds = _kinds(packs)
    verdicts, strata, tests, steps, left_out = {}, [], [], [], {}
    for kind in kinds:
        masks = [
            kind.of(pack) & pack.qualifies & comparable[own] & (pack.in_time | kind.late_too)
            for pack, own in zip(packs, of_pack, strict=True)
        ]
        name = kind.name
        kept, left_out[name] = _without_shared_days(packs, masks)
        group = _Group(
            kind=kind,
            packs=tuple(packs),
            candidates=np.concatenate([kind.of(pack) for pack in packs]),
            mask=np.concatenate(kept),
            comparable=comparable,
            comparison=comparison,
            seed=seed,
            draws=draws,
        )
        verdicts[name] = group.verdict()
        strata += group.strata()
        tests += group.tests()
        steps += group.power()
    excess = np.full(len(comparable), NAN)
    excess[comparable] = comparison.excess(comparable).own
    return Pool(
        packs=tuple(packs),
        headline=kinds[0].name,
        verdicts=verdicts,
        strata=tuple(strata),
        tests=tuple(tests),
        power=tuple(steps),
        excess=tuple(excess[own] for own in of_pack),
        left_out=left_out,
        mixed=_mixed(packs),
        notes=(*_same_days(packs), *_differing(packs)),
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """Drops that one verdict is about: of one ``label``, of the label that each pack asks about, or ``every`` drop.

    ``late_too`` says whether labels that were not known in time count.
    """

    name: str
    label: str = ""
    late_too: bool = False
    every: bool = False

    def of(self, pack: PackShocks) -> NDArray[np.bool_]:
        """Which shocks of a pack are of this kind, drops or not."""
        marked: NDArray[np.bool_] = (pack.label == (self.label or pack.asked)) | self.every
        return marked

    def name_in(self, pack: PackShocks) -> str:
        """Name of the kind in a single pack."""
        if self.label or self.every:
            return self.name
        return f"label={pack.asked}{EXPLORATORY if self.late_too else ''}"


def _kinds(packs: Sequence[PackShocks]) -> list[_Kind]:
    """Kinds of drops that get a verdict, as `reversal.question` has them; the one in question first."""
    asked = dict.fromkeys(pack.asked for pack in packs)
    name = f"label={'+'.join(asked)}"
    kinds: dict[str, _Kind] = {}
    for pack in packs:
        others = [label for label in OTHER_LABELS if label not in asked and (pack.label == label).any()]
        own = [_Kind(name), _Kind(name + EXPLORATORY, late_too=True)]
        own += [*(_Kind(f"label={label}", label) for label in others), _Kind("all", late_too=True, every=True)]
        kinds |= {kind.name: kind for kind in own}
    return list(kinds.values())


def pooled_falls(packs: Sequence[PackShocks]) -> Comparison:
    """Join the falls of packs: each peer set of a sector is a stratum; strata with common peers are one family.

    If packs have common peers, a control counts once, and controls are not near shocks of these peers in any pack.
    Days are counted as weekdays, because session numbers differ between packs.
    """
    peers = [names for pack in packs for names in pack.peers]
    pack_of = np.repeat(np.arange(len(packs)), [len(pack.peers) for pack in packs])
    sets = sorted(set(peers))
    name_of = dict(zip(sets, families(sets), strict=True))
    family = np.array([name_of[names] for names in peers], dtype=np.str_)
    joined = {
        name: np.concatenate([getattr(pack.comparison.falls, name) for pack in packs])
        for name in Falls.__slots__
        if name not in ("length", "family", "stratum", "session")
    }
    day = np.concatenate([pack.comparison.day for pack in packs])
    session = np.concatenate([pack.comparison.falls.session for pack in packs])
    shared = np.isin(family, [name for name in set(family.tolist()) if len(set(pack_of[family == name].tolist())) > 1])
    session[shared] = _weekday(day[shared])
    stratum = np.array(
        [f"{packs[at].sector}: {', '.join(names)}" for at, names in zip(pack_of.tolist(), peers, strict=True)]
    )
    kept = joined["event"] | ~_near_news(packs, family, day, pack_of, name_of)
    seen: set[tuple[str, int]] = set()
    for row in np.flatnonzero(shared & ~joined["event"] & kept).tolist():
        kept[row] = (key := (str(stratum[row]), int(day[row]))) not in seen
        seen.add(key)
    first = np.cumsum([0, *map(len, packs)])
    numbers = [pack.comparison.shock for pack in packs]
    shock = np.concatenate([np.where(own < 0, -1, own + start) for own, start in zip(numbers, first[:-1], strict=True)])
    falls = Falls(**joined, family=family, stratum=stratum, session=session, length=packs[0].comparison.falls.length)
    # Events in the order of the shocks, then controls.
    order = np.argsort(np.where(shock < 0, first[-1], shock), kind="stable")
    order = order[kept[order]]
    return Comparison(
        falls=falls.take(order),
        shock=shock[order],
        day=day[order],
        drop=np.concatenate([pack.comparison.drop for pack in packs])[order],
        drops={},
        lead=packs[0].comparison.lead,
        moderated=all(pack.comparison.moderated for pack in packs),
    )


def _near_news(
    packs: Sequence[PackShocks],
    family: NDArray[np.str_],
    day: NDArray[np.int64],
    pack_of: NDArray[np.int64],
    name_of: Mapping[tuple[str, ...], str],
) -> NDArray[np.bool_]:
    """Which falls are near a shock of the same peers in another pack, (N,)."""
    near = np.zeros(len(day), dtype=bool)
    of_ticker = {ticker: name for names, name in name_of.items() for ticker in names}
    for at, pack in enumerate(packs):
        when = _weekday(pack.day0.astype("datetime64[D]").astype(np.int64))
        named = [{of_ticker.get(ticker) for ticker in tickers} for tickers in pack.tickers]
        for name in set(family[pack_of == at].tolist()) & set(family[pack_of != at].tolist()):
            own = np.array([name in families_of for families_of in named], dtype=bool)
            other = np.flatnonzero((pack_of != at) & (family == name))
            near[other] |= ruled_out(_weekday(day[other]), when[own])
    return near


def _weekday(day: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weekdays since 1970, of days since then."""
    return np.busday_count(np.datetime64(0, "D"), day.astype("datetime64[D]"))


def check_comparable(packs: Sequence[PackShocks], *, labels_differ: bool = False) -> None:
    """Refuse packs that cannot be pooled; the error lists all differences."""
    if len(packs) < 2:
        raise ConfigError("pool needs two result packs or more; give the folders that 'eventstudy run' printed")
    problems = []
    for key in SAME:
        values = [pack.settings.get(key) for pack in packs]
        if any(value != values[0] for value in values) and not (labels_differ and key == LABEL):
            each = ", ".join(f"{value!r} in {pack.run_id}" for pack, value in zip(packs, values, strict=True))
            cure = f"run the studies again with one --set {key}=…"
            cure += ", or pool what each asks about with --labels-differ" if key == LABEL else ""
            problems.append(Problem(f"{key} differs: {each}; {cure}"))
    problems += [
        Problem(f"{pack.run_id} measures {kind}: a pool joins excess returns; give packs of returns")
        for pack in packs
        if (kind := str(pack.settings.get("study.kind") or "return")) != "return"
    ]
    problems += [Problem(text) for text in _twice(packs)]
    if problems:
        raise ConfigError(problems)


def _twice(packs: Sequence[PackShocks]) -> Iterator[str]:
    """Name each shock in two packs: one day 0 with a common peer, or the same pack given twice."""
    for i, first in enumerate(packs):
        for second in packs[:i]:
            if first.run_id == second.run_id:
                yield f"{first.run_id} is given twice; give each pack once"
                continue
            for k, j in _pairs(first, second):
                if first.day0[k] == second.day0[j]:
                    yield (
                        f"{first.shock_id[k]} of {first.run_id} is {second.shock_id[j]} of {second.run_id} "
                        f"({first.day0[k]}, with peers in common); leave it out of one of the studies"
                    )


def _pairs(first: PackShocks, second: PackShocks) -> Iterator[tuple[int, int]]:
    """Shocks of two packs with a peer in common."""
    for k, mine in enumerate(first.tickers):
        for j, theirs in enumerate(second.tickers):
            if set(mine) & set(theirs):
                yield k, j


def _without_shared_days(
    packs: Sequence[PackShocks], masks: Sequence[NDArray[np.bool_]]
) -> tuple[list[NDArray[np.bool_]], tuple[str, ...]]:
    """Keep the first of shocks whose post windows overlap; name those left out because of another pack's shock.

    As in a single study, only a shock that counts excludes a later one of its peers. Weekdays are used instead of
    sessions; holidays make the real number of sessions smaller.
    """
    kept = [np.zeros(len(pack), dtype=bool) for pack in packs]
    left_out = []
    rows = [(pack.day0[k], i, k) for i, pack in enumerate(packs) for k in np.flatnonzero(masks[i])]
    for _, i, k in sorted(rows):
        pack = packs[i]
        if pack.overlaps[k] and kept[i][pack.shock_id == pack.overlaps[k]].any():
            continue
        if any(n != i and _in_window(pack, int(k), other, kept[n]) for n, other in enumerate(packs)):
            left_out.append(str(pack.shock_id[k]))
            continue
        kept[i][k] = True
    return kept, tuple(left_out)


def _in_window(pack: PackShocks, k: int, other: PackShocks, kept: NDArray[np.bool_]) -> bool:
    """Whether a shock is in the post window of a kept shock of another pack with common peers."""
    last, peers = int(pack.settings["windows.post"][1]), set(pack.tickers[k])
    return any(
        0 < np.busday_count(other.day0[j], pack.day0[k]) <= last and not peers.isdisjoint(other.tickers[j])
        for j in np.flatnonzero(kept)
    )


def _same_days(packs: Sequence[PackShocks]) -> Iterator[Reason]:
    """Return notes on days on which two packs have a drop."""
    for i, first in enumerate(packs):
        for second in packs[:i]:
            same = np.intersect1d(first.day0[first.qualifies], second.day0[second.qualifies])
            if len(same):
                days = ", ".join(map(str, same))
                yield Reason("pool.same_day", first=first.sector, second=second.sector, days=days)


def _differing(packs: Sequence[PackShocks]) -> Iterator[Reason]:
    """Return notes on settings that differ between the sectors."""
    for key in MAY_DIFFER:
        values = [pack.settings.get(key) for pack in packs]
        if any(value != values[0] for value in values):
            parts = [
                Reason("pool.of_sector", value=value, sector=pack.sector)
                for pack, value in zip(packs, values, strict=True)
            ]
            yield Reason("pool.fits_sector", key=key, values=Reason.join(parts, ", "))


def _mixed(packs: Sequence[PackShocks]) -> Reason:
    """Return a note on the labels of the sectors if they differ."""
    if len({pack.asked for pack in packs}) < 2:
        return Reason()
    asked = dict.fromkeys((pack.sector, pack.asked) for pack in packs)
    parts = [Reason("pool.of_sector", value=Reason(f"label.{label}"), sector=sector) for sector, label in asked]
    return Reason("pool.mixed", labels=Reason.join(parts, ", "))


@dataclass(frozen=True, kw_only=True)
class _Group:
    """The shocks of one kind among those of all packs: ``candidates``, and ``mask`` those that count; (K,)."""

    kind: _Kind
    packs: tuple[PackShocks, ...]
    candidates: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    comparable: NDArray[np.bool_]
    comparison: Comparison
    seed: int
    draws: int

    def joined(self, name: str) -> NDArray[Any]:
        """Values of the shocks of all packs, (K,)."""
        return np.concatenate([getattr(pack, name) for pack in self.packs])

    @functools.cached_property
    def sector(self) -> NDArray[np.str_]:
        """Sector of each shock, (K,); packs of one sector are one."""
        return np.repeat([pack.sector for pack in self.packs], list(map(len, self.packs)))

    @functools.cached_property
    def whole(self) -> Excess:
        """The regression on all shocks of the kind."""
        return self.comparison.excess(self.mask)

    def verdict(self) -> Verdict:
        """Return the verdict that a single study would give on all these shocks together."""
        day0, (first, last) = self.joined("day0")[self.mask], self.packs[0].settings["windows.post"]
        effective = [pack.n_effective.get(self.kind.name_in(pack), NAN) for pack in self.packs]
        evidence = Evidence(
            subject=self._subject(),
            window=(int(first), int(last)),
            excess=date_means(day0, self.whole.own),
            drop=date_means(day0, self.joined("drop")[self.mask]),
            regression=self.whole,
            attainable=self._attainable(),
            n_events=int(self.joined("n_peers")[self.mask].sum()),
            n_effective=float(np.nansum(effective)),
            **self._counts(),
        )
        answer = verdict(evidence, seed=self.seed, draws=self.draws)
        if self.kind.label or self.kind.every:
            return answer
        return replace(answer, power=power(self._past(), asked_of(self.comparison, self.mask), seed=self.seed))

    def _past(self) -> Past:
        """Return the controls, and which of them are drops by the rule of their sector."""
        least = np.full(len(self.comparison.shock), np.inf)
        for pack in self.packs:
            strata = [f"{pack.sector}: {', '.join(names)}" for names in set(pack.peers)]
            own = np.isin(self.comparison.falls.stratum, strata)
            least[own] = np.minimum(least[own], float(pack.settings["reversal.drop_min"]))
        return past_of(self.comparison, float(self.packs[0].settings["reversal.drop_k"]), least)

    def _attainable(self) -> int:
        """Sum of the dates that the histories of the sectors can give; packs of one sector share a history."""
        most: dict[str, int] = {}
        for pack in self.packs:
            most[pack.sector] = max(most.get(pack.sector, 0), pack.attainable.get(self.kind.name_in(pack), 0))
        return sum(most.values())

    def _subject(self) -> Reason:
        many = len({pack.sector for pack in self.packs})
        sectors = Reason("subject.sectors" if many > 1 else "subject.sectors_one", n=many)
        if self.kind.every:
            return Reason("subject.pool_all", sectors=sectors)
        key = "pool"
        if self.kind.late_too:
            late = not self.mask.any() or not self.joined("in_time")[self.mask].all()
            key = "pool_late" if late else "pool_late_none"
        labels = [self.kind.label] if self.kind.label else dict.fromkeys(pack.asked for pack in self.packs)
        names = Reason.join([Reason(f"label.{label}") for label in labels], "/")
        return Reason(f"subject.{key}", label=names, sectors=sectors)

    def _counts(self) -> dict[str, Any]:
        drop = self.candidates & self.joined("qualifies") & np.isfinite(self.joined("post"))
        late = drop & ~self.joined("in_time") & (not self.kind.late_too)
        return {
            "n_candidates": int(self.candidates.sum()),
            "n_drops": int(drop.sum()),
            "n_late": int(late.sum()),
            "n_unmatched": int((drop & ~self.comparable & ~late).sum()),
        }

    def strata(self) -> list[Stratum]:
        """One row for each sector, in the order of the packs, and one for the pool."""
        rows = [self._stratum(name, self.mask & (self.sector == name)) for name in dict.fromkeys(self.sector.tolist())]
        return [*rows, self._stratum(POOLED, self.mask)]

    def _stratum(self, name: str, mask: NDArray[np.bool_]) -> Stratum:
        found = self.comparison.excess(mask)
        return Stratum(
            group=self.kind.name,
            sector=name,
            n_dates=len(np.unique(self.joined("day0")[mask])),
            n_events=int(self.joined("n_peers")[mask].sum()),
            n_controls=found.n_controls,
            k_eff=found.k_eff,
            effect=found.effect,
            lower=found.lower,
            upper=found.upper,
            se=found.se,
            df=found.df,
            p_value=found.p_value,
            mde=found.mde,
        )

    def tests(self) -> list[PoolTest]:
        """The tests: the pooled regression, and equality of the sectors' means."""
        found = self.whole
        reason = Reason("" if found.n_events else "pool.no_falls")
        numbers = {"statistic": found.statistic, "df": found.df, "p_value": found.p_value}
        masks = [self.mask & (self.sector == name) for name in dict.fromkeys(self.sector.tolist())]
        sectors = [self.comparison.excess(mask) for mask in masks]
        return [
            PoolTest(group=self.kind.name, name=found.test, estimate=found.effect, reason=reason, **numbers),
            cochran_q(self.kind.name, [each for each in sectors if each.n_events]),
        ]

    def power(self) -> list[PowerStep]:
        """Power of each sector alone, then of the pool as packs are added in order."""
        names = list(dict.fromkeys(self.sector.tolist()))
        steps = [(name,) for name in names] + [tuple(names[:n]) for n in range(2, len(names) + 1)]
        return [self._step(step, self.mask & np.isin(self.sector, step)) for step in steps]

    def _step(self, sectors: tuple[str, ...], mask: NDArray[np.bool_]) -> PowerStep:
        found, k = self.comparison.excess(mask), len(np.unique(self.joined("day0")[mask]))
        sd, share = found.per_date(k)
        needed = tuple(dates_needed(sd, effect, df_share=share) if sd > 0 else None for effect in POOL_EFFECTS)
        return PowerStep(
            group=self.kind.name,
            sectors=" + ".join(sectors),
            n_dates=k,
            sd=sd,
            df_share=share,
            mde=found.mde,
            needed=needed,
        )


def cochran_q(group: str, sectors: Sequence[Excess]) -> PoolTest:
    """Test that the sectors' means are equal (Cochran 1954).

    Q = sum w_s (m_s - m)² with w_s = 1/se_s² is compared with chi-square with S - 1 degrees of freedom. The
    estimate is I² = max(0, (Q - df)/Q) (Higgins and Thompson 2002). The weights are estimated, so Q rejects too often
    with few dates in a sector; with few sectors it has little power.
    """
    known = [found for found in sectors if found.se > 0]
    if len(known) < 2:
        return PoolTest(group=group, name="cochran_q", reason=Reason("pool.two_sectors"))
    means, weights = np.array([found.effect for found in known]), np.array([found.se**-2 for found in known])
    mean = (weights * means).sum() / weights.sum()
    q, df = float((weights * (means - mean) ** 2).sum()), len(known) - 1.0
    fewest = min(found.n_weeks for found in known)
    return PoolTest(
        group=group,
        name="cochran_q",
        estimate=max(0.0, (q - df) / q) if q > 0 else 0.0,
        statistic=q,
        df=df,
        p_value=float(special.chdtrc(df, q)),
        reason=Reason("pool.few_weeks", n=fewest) if fewest < FEW_FOR_Q else Reason(),
    )
