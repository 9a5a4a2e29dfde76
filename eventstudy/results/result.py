"""What a finished study is: tables, a summary, and where they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.registry import VIEWS

if TYPE_CHECKING:
    import pandas as pd

#: Columns of every table of the pack, in order. A pack holds exactly these, then any extra ones.
TABLES: Mapping[str, tuple[str, ...]] = {
    "ledger": ("event_id", "shock_id", "ticker", "market", "status", "stage", "reason", "session"),
    "alignment": (
        "event_id",
        "shock_id",
        "mic",
        "timestamp",
        "precision",
        "session",
        "reaction",
        "days_after",
        "note",
    ),
    "abnormal_returns": (
        "event_id",
        "shock_id",
        "ticker",
        "tau",
        "session",
        "return",
        "expected",
        "ar",
        "sar",
        "flags",
    ),
    "estimation": (
        "event_id",
        "ticker",
        "model",
        "alpha",
        "beta",
        "sigma",
        "n_estimation",
        "r_squared",
        "first_session",
        "last_session",
    ),
    "diagnostics": (
        "event_id",
        "ticker",
        "n_estimation",
        "rho1",
        "ljung_box_p",
        "arch_p",
        "jarque_bera_p",
        "beta_shift_p",
        "zero_share",
        "pre_trend_t",
        "advice",
    ),
    "estimation_cuts": ("event_id", "ticker", "session", "reason"),
    "quality": ("ticker", "check", "day", "value", "severity", "message"),
    "car": (
        "event_id",
        "shock_id",
        "ticker",
        "window",
        "car",
        "se",
        "t",
        "p_value",
        "df",
        "scar",
        "bhar",
    ),
    "aar": ("group", "tau", "n", "aar", "caar", "lower", "upper"),
    "shocks": (
        "shock_id",
        "window",
        "label",
        "title",
        "day0",
        "n_peers",
        "n_markets",
        "car",
        "se",
        "s",
    ),
    "tests": (
        "group",
        "window",
        "name",
        "estimate",
        "statistic",
        "distribution",
        "df",
        "p_value",
        "n_events",
        "n_dates",
        "k_eff",
        "reason",
        "rbar",
        "n_effective",
    ),
    "regression": (
        "formula",
        "window",
        "term",
        "estimate",
        "se_cr1",
        "p_cr1",
        "se_cr2",
        "df_cr2",
        "p_cr2",
        "p_wild",
        "p_pre_event",
        "n_events",
        "n_dates",
        "r_squared",
        "reason",
    ),
    "multiplicity": ("group", "window", "name", "p_value", "holm", "bh", "by", "romano_wolf"),
    "trades": (
        "shock_id",
        "ticker",
        "market",
        "label",
        "entry_session",
        "exit_session",
        "entry_price",
        "exit_price",
        "currency",
        "value",
        "beta",
        "gross",
        "hedged",
        "cost",
        "net",
        "adverse_excursion",
        "why_entered",
        "why_left",
        "blocked",
        "capacity",
        "base_currency",
        "rate_in",
        "rate_out",
        "value_base",
        "gross_base",
        "hedged_base",
        "cost_base",
        "net_base",
    ),
    "comparison_trades": (
        "run",
        "shock_id",
        "ticker",
        "market",
        "label",
        "entry_session",
        "exit_session",
        "entry_price",
        "exit_price",
        "currency",
        "value",
        "beta",
        "gross",
        "hedged",
        "cost",
        "net",
        "adverse_excursion",
        "why_entered",
        "why_left",
        "blocked",
        "capacity",
        "base_currency",
        "rate_in",
        "rate_out",
        "value_base",
        "gross_base",
        "hedged_base",
        "cost_base",
        "net_base",
    ),
    "track_record": (
        "run",
        "n_decided",
        "n_trades",
        "n_shocks",
        "n_blocked",
        "net_per_trade",
        "net_lower",
        "net_upper",
        "net_per_shock",
        "gross_per_trade",
        "hedged_per_trade",
        "cost_per_trade",
        "hits",
        "hit_rate",
        "hit_lower",
        "hit_upper",
        "hit_rate_trades",
        "profit_factor",
        "adverse_excursion",
        "sharpe",
        "sharpe_lower",
        "sharpe_upper",
        "sharpe_lo",
        "sharpe_se",
        "psr",
        "dsr",
        "n_trials",
        "min_track_record_days",
        "n_days",
        "max_drawdown",
        "drawdown_lower",
        "drawdown_upper",
        "break_even_bps",
        "days_held",
    ),
    "pnl": (
        "date",
        "gross",
        "hedge",
        "cost",
        "net",
        "equity",
        "n_positions",
        "gross_exposure",
        "every_drop_net",
        "every_drop_equity",
        "placebo_drops_net",
        "placebo_drops_equity",
    ),
    "backtest": (
        "run",
        "shock_id",
        "label",
        "decided",
        "car_signal",
        "s_signal",
        "share_negative",
        "n_peers",
        "qualifies",
        "refusal",
        "n_orders",
        "n_filled",
        "value",
        "gross",
        "hedged",
        "cost",
        "net",
        "car_post",
        "gap",
        "net_local",
    ),
    "specifications": (
        "run",
        "entry",
        "horizon",
        "gate",
        "n_trades",
        "n_shocks",
        "net_per_trade",
        "net_total",
        "sharpe",
        "own",
        "specification",
    ),
    "cost_sensitivity": ("run", "cost_bps", "net_per_trade", "net_total", "sharpe"),
    "fees": ("market", "name", "side", "bps", "first", "until", "source", "certainty"),
    "reversal": (
        "shock_id",
        "label",
        "day0",
        "n_peers",
        "car_drop",
        "s_drop",
        "share_negative",
        "qualifies",
        "why_not",
        "car_post",
        "s_post",
        "n_locked",
        "n_placebos",
        "placebo_mean",
        "excess",
        "rank",
        "p_rank",
        "p_rank_floor",
        "widened",
        "benchmark",
        "label_in_time",
        "label_reason",
        "role",
        "excess_simple",
        "excess_log",
        "excess_bhar",
        "excess_alpha_zero",
        "excess_alpha_estimated",
    ),
    "reversal_measures": (
        "measure",
        "group",
        "estimate",
        "lower",
        "upper",
        "p_value",
        "n_dates",
        "note",
    ),
    "reversal_paths": ("group", "series", "tau", "n_dates", "n_paths", "car", "lower", "upper"),
    "gates": ("step", "hypothesis", "estimate", "p_value", "level", "reached", "passed", "reason"),
    "placebo": (
        "shock_id",
        "tier",
        "placebo_date",
        "s_drop",
        "car_drop",
        "car_post",
        "vol_ratio",
        "run_up",
        "market_return",
        "distance",
        "widened",
    ),
    "placebo_balance": (
        "group",
        "variable",
        "mean_events",
        "mean_placebos",
        "smd",
        "n_events",
        "n_placebos",
    ),
    "clarifications": (
        "event_id",
        "shock_id",
        "flag",
        "delay",
        "car_before",
        "car_at",
        "car_after",
        "speedup",
        "speedup_placebos",
        "n_placebos",
        "p_value",
        "attributed",
        "reason",
    ),
    "specification_curve": (
        "window",
        "model",
        "returns",
        "alpha",
        "estimate",
        "n_dates",
        "median",
        "share_positive",
        "joint_p",
    ),
    "claims": (
        "claim_id",
        "ticker",
        "name",
        "date",
        "date_to",
        "claimed",
        "comparison",
        "verdict",
        "session",
        "actual",
        "off_by",
        "nearby_session",
        "nearby_return",
        "reason",
        "source",
        "source_url",
        "notes",
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class StudyResult:
    """Everything a run found; equal to itself only, so that what is read from it can be kept by it.

    ``tables`` maps a name of `TABLES` to a frame with at least those columns, returns as decimals.
    ``facts`` is the content of summary.json, ``manifest`` of manifest.json; both are plain JSON.
    """

    run_id: str
    tables: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @property
    def simulated(self) -> bool:
        """Whether the prices were simulated: then every page, figure and table says so."""
        return bool(self.facts["simulated"])

    def to_frame(self, name: str) -> pd.DataFrame:
        """Return a copy of one table; `KeyError` lists the names there are."""
        if name not in self.tables:
            raise KeyError(f"no table {name!r}; there are {', '.join(sorted(self.tables))}")
        return self.tables[name].copy()

    @property
    def plot(self) -> Any:
        """Figures of this result by methods, an `eventstudy.plots.Plots`: ``result.plot.caar(ax=ax)``."""
        return VIEWS["plot"](self)

    def summary(self) -> str:
        """Return verdict, counts and the table of page 1 as text of at most 100 columns."""
        text: str = VIEWS["summary"](self)
        return text

    def write_pack(self, folder: str | Path, *, formats: Sequence[str] = ()) -> Path:
        """Write the pack of `eventstudy run` into a new or empty folder and return it.

        Without ``formats`` it has the parts that the settings name; `ConfigError` for an unknown one, or
        where the folder holds anything.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        settings = self.manifest["settings"]["report"]
        own = Path(settings["templates"]) if settings["templates"] else None
        VIEWS["pack"](self, place, formats=tuple(formats) or tuple(settings["formats"]), templates=own)
        return place

    def _repr_html_(self) -> str:
        """Return verdict and small table for a notebook."""
        shown: str = VIEWS["notebook"](self)
        return shown
