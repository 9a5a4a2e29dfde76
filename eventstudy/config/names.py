"""Names that settings may hold, of what ships and of what is registered besides."""

from __future__ import annotations

import sys
from collections.abc import Sequence

#: What an event may be called; the study's question may be about any of them.
LABELS = (
    "misreading",
    "genuine",
    "contested",
    "clarification",
    "no_news",
    "macro",
    "good_news",
    "unknown",
)
#: Models and statistics that ship; a test holds them to the registries, whose import takes long.
MODELS = (
    "capm",
    "dimson",
    "egarch",
    "factors",
    "garch",
    "leave_one_out",
    "market",
    "market_adjusted",
    "market_robust",
    "mean_adjusted",
    "rolling",
    "scholes_williams",
    "synthetic_peer",
    "two_index",
)
STATISTICS = (
    "ar_t",
    "bhar_t",
    "bmp",
    "bmp_kp",
    "bootstrap",
    "bootstrap_blocks",
    "bootstrap_dates",
    "calendar_time",
    "car_t",
    "corrado",
    "corrado_zivney",
    "cross_sectional_t",
    "date_t",
    "generalized_sign",
    "grank_t",
    "grank_z",
    "ibragimov_mueller",
    "patell",
    "patell_kp",
    "permutation",
    "portfolio_t",
    "sign",
    "sign_flip",
    "skewness_t",
    "sq",
    "wilcoxon",
)
#: Models whose regression can weigh a return over several sessions by 1/n.
TRADE_TO_TRADE = ("mean_adjusted", "market_adjusted", "market", "capm", "factors")


def model_names() -> tuple[str, ...]:
    """Models that ship or are registered."""
    return _registered("eventstudy.core.models.base", "MODELS", MODELS)


def statistic_names() -> tuple[str, ...]:
    """Statistics that ship or are registered."""
    return _registered("eventstudy.core.statistics.sample", "STATISTICS", STATISTICS)


def label_names() -> tuple[str, ...]:
    """Labels of events."""
    return LABELS


def _registered(module: str, registry: str, shipped: Sequence[str]) -> tuple[str, ...]:
    """What ships, with what a registry that is loaded already has been given besides; loads none."""
    return tuple(dict.fromkeys((*shipped, *getattr(sys.modules.get(module), registry, ()))))
