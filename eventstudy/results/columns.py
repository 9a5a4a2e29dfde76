"""Columns of every table of the pack, and the conversion of reasons in cells into texts and codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.errors import Reason
from eventstudy.messages import code_of, text
from eventstudy.results.records import AarRow, CarRow, DropRow, EndpointRow, LedgerRow, ShockRow, TestRow, TradeRow

#: Columns whose cells are reasons. Each is followed by a column of codes, see `code_column`.
REASONS = frozenset(
    {
        *("reason", "note", "advice", "message", "why_not", "why_entered", "why_left", "blocked", "refusal"),
        *("benchmark", "hypothesis", "verdict"),
    }
)


def code_column(name: str) -> str:
    """Return the name of the column with the codes of a column of reasons."""
    return f"{name}_code"


def columns_of(record: Any) -> tuple[str, ...]:
    """Return the columns of a table whose rows are read as records of this class."""
    return tuple(record.__dataclass_fields__)


def _columns(names: str) -> tuple[str, ...]:
    return tuple(
        column for name in names.split() for column in ((name, code_column(name)) if name in REASONS else (name,))
    )


#: Columns of every table of the pack, in order. A table may have further columns after these.
TABLES: Mapping[str, tuple[str, ...]] = {
    "ledger": columns_of(LedgerRow),
    "alignment": _columns("event_id shock_id mic timestamp precision session reaction days_after note"),
    "abnormal_returns": _columns("event_id shock_id ticker tau session return expected ar sar flags"),
    "estimation": _columns("event_id ticker model alpha beta sigma n_estimation r_squared first_session last_session"),
    "diagnostics": _columns(
        "event_id ticker n_estimation rho1 ljung_box_p arch_p jarque_bera_p beta_shift_p zero_share pre_trend_t advice"
    ),
    "estimation_cuts": _columns("event_id ticker session reason"),
    "quality": _columns("ticker check day value severity message"),
    "car": columns_of(CarRow),
    "aar": columns_of(AarRow),
    "paths": _columns("group shock_id day0 tau n_dates car lower upper"),
    "sector_index": _columns("date peers benchmark"),
    "event_days": _columns("tau n_events n_dates ar ar_t ar_p car lower upper car_t car_p"),
    "shocks": columns_of(ShockRow),
    "tests": columns_of(TestRow),
    "regressions": _columns(
        "formula window estimator term estimate se t p_value df p_wild p_pre_event n_events n_left_out n_dates "
        "r_squared reason"
    ),
    "group_differences": _columns(
        "column group against window method estimate se t p_value df n_events n_against n_dates n_common reason"
    ),
    "multiplicity": _columns("group window name p_value holm bh by romano_wolf"),
    "trades": columns_of(TradeRow),
    "comparison_trades": ("run", *columns_of(TradeRow)),
    "track_record": _columns(
        "run n_decided n_trades n_shocks n_blocked net_per_trade net_lower net_upper net_per_shock "
        "gross_per_trade hedged_per_trade cost_per_trade hits hit_rate hit_lower hit_upper hit_rate_trades "
        "profit_factor adverse_excursion sharpe sharpe_lower sharpe_upper sharpe_lo sharpe_se psr dsr "
        "n_trials min_track_record_days n_days max_drawdown drawdown_lower drawdown_upper break_even_bps "
        "days_held"
    ),
    "pnl": _columns(
        "date gross hedge cost net equity drawdown n_positions gross_exposure every_drop_net every_drop_equity "
        "placebo_drops_net placebo_drops_equity"
    ),
    "backtest": _columns(
        "run shock_id label decided car_signal s_signal share_negative n_peers qualifies refusal n_orders "
        "n_filled value gross hedged cost net car_post gap net_local"
    ),
    "specifications": _columns(
        "run entry horizon gate n_trades n_shocks net_per_trade net_total sharpe own specification"
    ),
    "cost_sensitivity": _columns("run cost_bps net_per_trade net_total sharpe"),
    "fees": _columns("market name side bps first until source certainty"),
    "reversal": columns_of(DropRow),
    "endpoints": columns_of(EndpointRow),
    "endpoint_drops": _columns(
        "shock_id label endpoint car_drop s_drop qualifies by_s by_drop by_share car_next car_post label_in_time "
        "counted"
    ),
    "falls": _columns("event stratum day0 drop drop_s run_up post sigma recent label family session"),
    "reversal_measures": _columns("measure group estimate lower upper p_value n_dates note"),
    "reversal_paths": _columns("group series tau n_dates n_paths car lower upper"),
    "gates": _columns("step hypothesis estimate p_value level reached passed reason"),
    "placebo": _columns(
        "shock_id tier placebo_date s_drop car_drop car_post vol_ratio run_up market_return distance widened"
    ),
    "falls_balance": _columns("group variable mean_events mean_controls smd_before smd_after n_events n_controls"),
    "placebo_balance": _columns("group variable mean_events mean_placebos smd n_events n_placebos"),
    "clarifications": _columns(
        "event_id shock_id flag delay car_before car_at car_after speedup speedup_placebos n_placebos p_value "
        "attributed reason"
    ),
    "specification_curve": _columns(
        "window model returns alpha estimate lower upper n_dates median share_positive joint_p"
    ),
    "claims": _columns(
        "claim_id ticker name date date_to claimed comparison verdict session actual off_by nearby_session "
        "nearby_return reason source source_url notes"
    ),
}


def row_of(record: Any) -> dict[str, Any]:
    """Return the fields of a record by name."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def with_codes(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a table with its reasons as English texts, each followed by its code.

    Several codes are joined by ``;``. A text without a code has an empty one.
    """
    cells: dict[str, Any] = {}
    for name, cell in row.items():
        cells[name] = text(cell) if isinstance(cell, Reason) else cell
        if name in REASONS:
            cells[code_column(name)] = code_of(cell)
    return cells


def window_name(window: tuple[int, int]) -> str:
    """Return a window in the form of the tables: ``[a,b]``."""
    return f"[{window[0]},{window[1]}]"
