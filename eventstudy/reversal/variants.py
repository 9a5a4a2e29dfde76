"""The primary measure under other ways to count: log and buy-and-hold returns, other intercepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Model
from eventstudy.core.returns import FactorColumns, ReturnsPanel
from eventstudy.core.windows import Request
from eventstudy.reversal.drops import Drops
from eventstudy.reversal.history import History
from eventstudy.reversal.matching import Benchmarks, MatchedSets, matched_sets
from eventstudy.reversal.permutation import excess


@dataclass(frozen=True, slots=True)
class Variants:
    """X_k of each shock, (K,), by way to count: simple, log, bhar, alpha_zero, alpha_estimated."""

    excess: Mapping[str, NDArray[np.float64]]

    def means(self, mask: NDArray[np.bool_]) -> dict[str, float]:
        """Mean over the marked shocks, NaN where none has the measure."""
        found = {}
        for name, values in self.excess.items():
            there = values[mask & np.isfinite(values)]
            found[name] = float(there.mean()) if len(there) else float("nan")
        return found

    def flips(self, mask: NDArray[np.bool_]) -> list[str]:
        """Names of the ways to count under which the mean has the other sign than with simple returns."""
        means = self.means(mask)
        return [name for name, value in means.items() if value * means.get("simple", np.nan) < 0]


def variants(
    history: History,
    requests: Mapping[str, Sequence[Request]],
    judged: Drops,
    tickers: Sequence[tuple[str, ...]],
    found: Benchmarks,
    sets: MatchedSets | None,
) -> Variants:
    """Measure the excess of every shock in all ways; placebo dates stay those of the benchmark."""
    shocks = [str(name) for name in judged.shock_id]
    nothing = np.full(len(shocks), np.nan)
    names = ("simple", "log", "bhar", "alpha_zero", "alpha_estimated")
    if sets is None:
        return Variants(dict.fromkeys(names, nothing))
    days = [np.zeros(0, dtype=np.int64) if found.reasons[k] else found.days(k) for k in range(len(shocks))]
    post = history.config.windows.post

    def formed(kind: str, alpha: str | None = None) -> MatchedSets:
        if kind == history.panel.kind and alpha is None:
            return sets
        other = replace(history, panel=as_kind(history.panel, kind, history.config.model))
        return matched_sets(other, requests, shocks, tickers, days, alpha=alpha)

    plain = formed("simple")
    values = {"simple": plain.car(post), "log": formed("log").car(post), "bhar": plain.bhar(post)}
    for policy in ("zero", "estimated"):
        values[f"alpha_{policy}"] = formed(history.panel.kind, policy).car(post)
    return Variants({name: excess(*pair) for name, pair in values.items()})


def as_kind(panel: ReturnsPanel, kind: str, model: Model) -> ReturnsPanel:
    """Return the panel with simple or log returns, of the securities and of what the model explains them by.

    Series of the factor file stay as they are, as in a study of log returns, and counts of sessions do.
    """
    if panel.kind == kind:
        return panel
    change = np.log1p if kind == "log" else np.expm1
    stay = {"span", "risk_free", *model.factors} - {"market"}

    def changed(columns: FactorColumns) -> FactorColumns:
        values = columns.values.copy()
        for at, name in enumerate(columns.names):
            if name not in stay:
                values[..., at] = change(values[..., at])
        return replace(columns, values=values)

    markets = {
        mic: replace(
            market,
            returns=change(market.returns),
            market_return=change(market.market_return),
            factors=changed(market.factors) if market.factors else None,
        )
        for mic, market in panel.markets.items()
    }
    return replace(panel, kind=kind, markets=markets)  # type: ignore[arg-type]
