"""The excess under every reasonable choice of measurement, with one joint p-value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import Window
from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.dates import t_interval
from eventstudy.errors import EstimationError, EventStudyError
from eventstudy.reversal.history import MatchedSets, as_kind, matched_sets
from eventstudy.reversal.measures import span
from eventstudy.reversal.permutation import ENUMERATED, date_sets, excess
from eventstudy.reversal.study_shocks import Shocks

MODELS = ("market", "market_adjusted", "mean_adjusted")
POST_WINDOWS: tuple[Window, ...] = ((2, 5), (2, 10), (2, 20))
DRAWS = 1_999
#: CARs of the dates in question, (D,), and those of each date's placebos.
DateSets = tuple[Floats, list[Floats]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """Mean excess of the drops in question under one way to measure it, with its 95 % t interval over dates.

    ``joint_p`` is the same for all: the share of permutations within the matched sets under which the
    median over the specifications is as far from zero as observed.
    """

    window: str
    model: str
    returns: str
    alpha: str
    estimate: float
    lower: float
    upper: float
    n_dates: int
    median: float
    share_positive: float
    joint_p: float


def specification_curve(shocks: Shocks, config: StudyConfig) -> list[Specification]:
    """Measure windows × models × returns × intercepts on the same shocks and placebo dates.

    Notes
    -----
    Simonsohn, Simmons and Nelson (2020): the median over specifications is tested by permuting once,
    here which member of a matched set is the event, for all specifications together, so that their
    dependence is kept. Intercepts differ only for models that have one.
    """
    if shocks.sets is None or not shocks.asked.any():
        return []
    rows: list[tuple[Window, str, str, str]] = []
    sets: list[DateSets] = []
    for model in MODELS:
        for kind in ("simple", "log"):
            for alpha in ("auto", "estimated") if model == "market" else ("auto",):
                formed = _formed(shocks, config, model, kind, alpha)
                if formed is not None:
                    rows += [(window, model, kind, alpha) for window in POST_WINDOWS]
                    sets += [_asked(shocks, formed, window) for window in POST_WINDOWS]
    if not sets:
        raise EstimationError("no model of the curve can be fitted to the placebo dates")
    over = [_excess(*pair) for pair in sets]
    means = np.array([np.nanmean(values) for values in over])
    ends = [t_interval(values[np.isfinite(values)]) for values in over]
    median, p = float(np.median(means)), _joint_p(sets, config.study.seed)
    share = float((means > 0).mean())
    return [
        Specification(
            window=span(window),
            model=model,
            returns=kind,
            alpha=alpha,
            estimate=float(mean),
            lower=low,
            upper=high,
            n_dates=len(pair[0]),
            median=median,
            share_positive=share,
            joint_p=p,
        )
        for (window, model, kind, alpha), mean, (low, high), pair in zip(rows, means, ends, sets, strict=True)
    ]


def _formed(shocks: Shocks, config: StudyConfig, model: str, kind: str, alpha: str) -> MatchedSets | None:
    """Portfolios of shocks and placebos under other settings; None where the model cannot be fitted."""
    config = replace(config, model=replace(config.model, name=model, alpha=alpha))  # type: ignore[arg-type]
    panel = as_kind(shocks.history.panel, kind, config.model)
    history, days = replace(shocks.history, config=config, panel=panel), shocks.benchmarks.days_of(shocks.asked)
    try:
        return matched_sets(history, shocks.requests, shocks.drops.shock_id, shocks.tickers, days)
    except EventStudyError:
        return None


def _asked(shocks: Shocks, formed: MatchedSets, window: Window) -> DateSets:
    """CARs of the dates in question and of each one's placebos; a placebo lost in one set is NaN."""
    car, rows = formed.portfolios.car(window), np.flatnonzero(shocks.asked)
    return date_sets(shocks.drops.day0[rows], car[formed.event[rows]], [car[formed.placebos[int(k)]] for k in rows])


def _excess(events: Floats, placebos: Sequence[Floats]) -> Floats:
    return excess(events, [values[np.isfinite(values)] for values in placebos])


def _joint_p(sets: Sequence[DateSets], seed: int) -> float:
    """Two-sided p of the median over specifications under one permutation for all of them."""
    stacked = [
        np.array([np.append(events[k], placebos[k]) for events, placebos in sets]) for k in range(len(sets[0][0]))
    ]
    over = []
    for values in stacked:
        m = values.shape[1] - 1
        level = np.nanmean(values, axis=1, keepdims=True)
        over.append(np.nan_to_num(values - level) * (m + 1) / m)
    ways = float(np.prod([values.shape[1] for values in over]))
    rng = np.random.default_rng(seed)
    if ways <= min(ENUMERATED, DRAWS):
        grid = np.meshgrid(*(np.arange(values.shape[1]) for values in over), indexing="ij")
        picks = np.array(grid).reshape(len(over), -1)
        added = 0
    else:
        picks = np.array([rng.integers(0, v.shape[1], size=DRAWS) for v in over])
        added = 1
    means = sum(values[:, pick] for values, pick in zip(over, picks, strict=True)) / len(over)
    medians = np.abs(np.median(np.asarray(means), axis=0))
    observed = abs(float(np.median(sum(values[:, 0] for values in over) / len(over))))
    hits = int((medians >= observed * (1 - 1e-12)).sum())
    return (hits + added) / (len(medians) + added)
