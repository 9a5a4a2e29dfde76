"""Size and power of the verdict: lists of pseudo-events get verdicts in the same way as a study."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.estimation import compute, groups, headline_of
from eventstudy.errors import ConfigError, EstimationError, nearest
from eventstudy.events import Events
from eventstudy.prices import PriceTable
from eventstudy.reversal.estimator import ruled_out
from eventstudy.reversal.history import History, day_codes, rolling_fit
from eventstudy.reversal.question import study_shocks
from eventstudy.reversal.verdict import (
    DRIFT,
    EFFECTS,
    EQUIVALENT,
    INCONCLUSIVE,
    LEVEL,
    REVERSAL,
    Past,
    asked_of,
    draw_events,
    judged,
    past_of,
)
from eventstudy.shocks import with_shocks
from eventstudy.simulate.batches import run_batches
from eventstudy.simulate.sectors import pasts, reordered, sector_returns, together

#: Designs in the order of the tables, by the source of the draws; `VerdictPlan.designs` names them.
OWN = {"own_day": "day", "own_first": "first", "own_slide": "slide"}
BLOCKS = {"blocks_day": "day", "blocks_first": "first"}
SIMULATED = {"simulated_day": "day", "simulated_first": "first", "simulated_slide": "slide"}
OTHERS = ("limits", "common_reversal", "hindsight")
POOLED = {"pooled_12": 12, "pooled_24": 24}
THIS_LIST = "this_list"
DESIGNS = (THIS_LIST, *OWN, *BLOCKS, *SIMULATED, *OTHERS, *POOLED)
KINDS = (REVERSAL, DRIFT, EQUIVALENT, INCONCLUSIVE)
#: Share of the drop that every fall recovers in `common_reversal`.
MADE_UP = 0.5
#: Probabilities of a label in `hindsight`: for drops with a later return above that of the usual drop, and for others.
LABELLED = (0.75, 0.25)
#: (design, requested dates, effect) to [draws, dates used, their k_eff, four kinds of verdict, p <= 5 %].
Tally = dict[tuple[str, int, float], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictPlan:
    """Plan: draws of each design, requested numbers of dates, true effects in returns (0 is always included)."""

    draws: int = 400
    dates: tuple[int, ...] = (1, 2, 3, 6, 10, 20)
    effects: tuple[float, ...] = tuple(EFFECTS.values())
    seed: int = 20260624
    designs: tuple[str, ...] = DESIGNS

    def __post_init__(self) -> None:
        problems = [f"--draws {self.draws}: accepted is 1 or more"] if self.draws < 1 else []
        problems += [f"--designs {n!r} is unknown; {nearest(n, DESIGNS)}" for n in self.designs if n not in DESIGNS]
        if problems:
            raise ConfigError("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Material:
    """Data of a study for the draws.

    Attributes
    ----------
    past
        Falls of its peers away from the study's events.
    sets
        Strata for the lists: peer sets without a common security, the one with most drops first.
    returns : (T,)
        Daily abnormal returns of the first set's portfolio, without the surroundings of the events.
    asked
        Numbers of dates in its own verdict, by stratum.
    """

    past: Past
    sets: tuple[str, ...]
    returns: NDArray[np.float64]
    asked: Mapping[str, int] = field(default_factory=dict)

    @property
    def own(self) -> Past:
        """Falls of the selected sets only, which have no common peers."""
        past = self.past.take(np.isin(self.past.falls.stratum, self.sets))
        return replace(past, falls=replace(past.falls, family=np.zeros(0, dtype=np.str_)))


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRate:
    """Frequencies of the verdicts in one design; ``k`` is the requested number of dates, ``k_used`` and ``k_eff`` are
    means over the draws.

    ``p_below`` is the share of draws with p of at most 5 %; with one or two dates the verdict does not use it.
    """

    design: str
    k: int
    k_used: float
    k_eff: float
    effect: float
    reversal: float
    drift: float
    equivalent: float
    inconclusive: float
    p_below: float
    draws: int


def draw_material(
    events: Events, config: StudyConfig, prices: PriceTable, *, region: str | None = None, peer_set: str | None = None
) -> Material:
    """Return the data of a study's own history for the draws.

    Of the peer sets that its shocks name, in the order of their numbers of drops, each set without a common security
    with an earlier one is used. ``region`` restricts the sets to one region, ``peer_set`` to one set.

    Raises
    ------
    ConfigError
        For a region or a peer set without such falls.
    EstimationError
        If no shock of the study can be compared with falls of its peers.
    """
    events = with_shocks(events, config)
    computed = compute(events, config, prices)
    shocks = study_shocks(computed, headline_of([*groups(computed.sample, events, config)], config), config)
    past = past_of(shocks.comparison, config.reversal.drop_k, config.reversal.drop_min)
    regions = {market.mic: market.region or market.mic for market in config.markets}
    of_shock = [{regions[shocks.history.market_of(name).mic] for name in peers} for peers in shocks.tickers]
    own, stratum = shocks.comparison.shock, shocks.comparison.falls.stratum
    named = {str(stratum[own == k][0]): k for k in np.unique(own[own >= 0]).tolist()}
    drops = {name: int((past.can & (past.falls.stratum == name)).sum()) for name in named}
    named = {name: k for name, k in named.items() if drops[name] and (region is None or of_shock[k] == {region})}
    if not named and region is not None:
        raise ConfigError(f"--region {region!r} has no drop of its own; {nearest(region, set().union(*of_shock))}")
    if not named:
        raise EstimationError("every drop in the peers' history is near an event; give longer prices")
    ordered = sorted(named, key=lambda name: (-drops[name], name))
    if peer_set is not None:
        asked = {each.strip() for each in peer_set.split(",")}
        ordered = [name for name in ordered if asked == set(shocks.comparison.peers[name])]
    if not ordered:
        raise ConfigError(f"--peer-set {peer_set!r} has no drop of its own; accepted: {'; '.join(sorted(named))}")
    sets = disjoint({name: shocks.comparison.peers[name] for name in ordered})
    days = day_codes(np.array([a.session for a in computed.alignments.values()], dtype="datetime64[D]"))
    returns = portfolio_returns(shocks.history, shocks.tickers[named[sets[0]]], days)
    shared = config.reversal.controls == "all"
    return Material(past, sets, returns, asked_of(shocks.comparison, shocks.counted[shocks.question]) if shared else {})


def disjoint(sets: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the strata without a common security with an earlier kept stratum, from the securities of each."""
    kept: list[str] = []
    taken: set[str] = set()
    for name, securities in sets.items():
        if taken.isdisjoint(securities):
            kept.append(name)
            taken.update(securities)
    return tuple(kept)


def portfolio_returns(history: History, tickers: Sequence[str], event_days: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return daily abnormal returns of a peer portfolio, without the surroundings of events, (T,).

    The expected return of each day is that of a model whose estimation window ends before it, as at an event.
    """
    day, value = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for market in {market.mic: market for market in map(history.market_of, tickers)}.values():
        columns = [at for at, name in enumerate(market.tickers) if name in tickers]
        returns, windows = market.returns[:, columns], history.config.windows
        fit = rolling_fit(returns, market.market_return, ~history.excluded[market.mic][:, columns], windows.estimation)
        expected = fit.alpha + fit.beta * market.market_return[:, None]
        abnormal = np.where(fit.count >= windows.minimum, returns - expected, np.nan)
        grid = day_codes(market.sessions)
        clear = ~ruled_out(np.arange(len(grid)), np.searchsorted(grid, event_days))
        row, column = np.nonzero(np.isfinite(abnormal) & clear[:, None])
        day.append(grid[row])
        value.append(abnormal[row, column])
    number = np.unique(np.concatenate(day), return_inverse=True)[1]
    return np.bincount(number, np.concatenate(value)) / np.bincount(number)


def verdict_rates(
    material: Material,
    config: StudyConfig,
    plan: VerdictPlan,
    *,
    jobs: int = 1,
    engine: str = "local",
    scheduler: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[VerdictRate, ...]:
    """Count the verdicts on lists of pseudo-events in every design.

    Draws come in batches, see `run_batches`: the counts do not depend on ``jobs``, ``engine`` and ``scheduler``.
    """
    batches = run_batches(
        functools.partial(_run_batch, material, config, plan),
        draws=plan.draws,
        seed=plan.seed,
        jobs=jobs,
        engine=engine,
        scheduler=scheduler,
        progress=progress,
    )
    counts: Tally = {}
    for batch in batches:
        for key, values in batch.items():
            counts[key] = counts.get(key, np.zeros(8)) + values
    order = {name: at for at, name in enumerate(DESIGNS)}
    return tuple(_rate(key, counts[key]) for key in sorted(counts, key=lambda key: (order[key[0]], *key[1:])))


def _rate(key: tuple[str, int, float], counts: NDArray[np.float64]) -> VerdictRate:
    share = (counts / counts[0]).tolist()
    return VerdictRate(
        design=key[0],
        k=key[1],
        effect=key[2],
        draws=int(counts[0]),
        k_used=share[1],
        k_eff=share[2],
        reversal=share[3],
        drift=share[4],
        equivalent=share[5],
        inconclusive=share[6],
        p_below=share[7],
    )


def _run_batch(
    material: Material, config: StudyConfig, plan: VerdictPlan, task: tuple[int, np.random.SeedSequence]
) -> Tally:
    """Return the counts of one batch; the draws of a design do not depend on the other designs."""
    draws, seed = task
    effects = (0.0, *plan.effects)
    tally: Tally = {}
    for design, own in zip(DESIGNS, seed.spawn(len(DESIGNS)), strict=True):
        rng = np.random.default_rng(own)
        for past, wanted, placement in _lists(design, material, config, plan, draws, rng):
            events = draw_events(past, wanted, rng, placement=placement)
            for effect, (found, kind) in zip(effects, judged(past, events, effects, seed=plan.seed), strict=True):
                k = wanted if isinstance(wanted, int) else sum(wanted.values())
                counts = tally.setdefault((design, k, effect), np.zeros(8))
                counts[:3] += (1, found.n_events, np.nan_to_num(found.k_eff))
                counts[3 + KINDS.index(kind)] += 1
                counts[7] += found.p_value <= LEVEL
    return tally


def _lists(
    design: str, material: Material, config: StudyConfig, plan: VerdictPlan, draws: int, rng: np.random.Generator
) -> Iterator[tuple[Past, Mapping[str, int] | int, str]]:
    """Yield for each list of a design the falls, the numbers of dates, and the placement."""
    if design not in plan.designs:
        return
    if design == THIS_LIST:
        yield from [(material.past, material.asked, "day")] * (draws if material.asked else 0)
    elif design in OWN:
        own = material.own
        yield from ((own, k, OWN[design]) for _ in range(draws) for k in plan.dates)
    elif design in POOLED:
        for _ in range(draws):
            past = together(pasts(sector_returns(POOLED[design], rng), config.windows, config.reversal))
            yield past, dict.fromkeys(np.unique(past.falls.stratum).tolist(), 1), "day"
    else:
        made = (
            reordered(material.returns, draws, rng)
            if design in BLOCKS
            else sector_returns(draws, rng, limits=design == "limits")
        )
        for past in pasts(made, config.windows, config.reversal):
            placement = (BLOCKS | SIMULATED).get(design, "day")
            yield from ((_changed(past, design, rng), k, placement) for k in plan.dates)


def _changed(past: Past, design: str, rng: np.random.Generator) -> Past:
    """Return the falls of a sector, changed as in the design."""
    falls = past.falls
    if design == "common_reversal":
        return replace(past, falls=replace(falls, post=falls.post - MADE_UP * past.drop))
    if design == "hindsight":
        rose = falls.post > np.median(falls.post[past.can])
        return replace(past, can=past.can & (rng.random(len(falls)) < np.where(rose, *LABELLED)))
    return past
