"""A small finished study with made-up numbers: three shocks, four peers, every table of the pack."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from eventstudy.messages import Message, say
from eventstudy.results.columns import TABLES
from eventstudy.results.result import StudyResult

_PEERS = (
    ("300308.SZ", "InnoLight", "中际旭创", "XSHE", "CN"),
    ("300502.SZ", "Eoptolink", "新易盛", "XSHE", "CN"),
    ("LITE", "Lumentum", "", "XNAS", "US"),
    ("AAOI", "Applied Optoelectronics", "", "XNAS", "US"),
)
PEERS: dict[str, dict[str, str]] = {
    ticker: {"name": name, "name_local": local, "market": market, "region": region, "group": "core"}
    for ticker, name, local, market, region in _PEERS
}
SENTENCE = (
    "Inconclusive: after misreading-driven drops the peers gained 2.9% more than the market model expects, "
    "but two dates cannot tell this from chance."
)
SHOCKS = (
    ("GTC25", "misreading", "2025-03-19", "Keynote shows co-packaged switches", -0.041, 0.022),
    ("LITE26", "misreading", "2026-02-04", "Laser order read as the end of modules", -0.063, 0.035),
    ("SA26", "genuine", "2026-06-09", "Note on a later start of volume", -0.012, -0.018),
)
WINDOWS = ("[0,1]", "[2,20]")
TAUS = tuple(range(-10, 21))
GROUPS = {
    "peers=core": ("GTC25", "LITE26", "SA26"),
    "peers=core;label=misreading": ("GTC25", "LITE26"),
    "peers=core;label=genuine": ("SA26",),
    "shock_id=GTC25": ("GTC25",),
    "shock_id=LITE26": ("LITE26",),
    "shock_id=SA26": ("SA26",),
}


def make_result(
    *,
    simulated: bool = False,
    study: str = "Optical modules and AI hardware",
    peers: dict[str, dict[str, str]] | None = None,
    shocks: tuple[tuple[str, str, str, str, float, float], ...] = SHOCKS,
) -> StudyResult:
    """Return the made-up study; the same arguments give the same numbers."""
    names = PEERS if peers is None else peers
    daily = _abnormal_returns(shocks, tuple(names))
    car = _car(daily)
    groups = {name: tuple(s[0] for s in shocks if s[0] in ids) for name, ids in GROUPS.items()}
    if shocks is not SHOCKS:
        groups = {
            "peers=core": tuple(s[0] for s in shocks),
            "peers=core;label=misreading": tuple(s[0] for s in shocks if s[1] == "misreading"),
            "peers=core;label=contested": tuple(s[0] for s in shocks if s[1] == "contested"),
        }
    tables = {
        "ledger": _ledger(shocks, names),
        "alignment": _alignment(shocks),
        "abnormal_returns": daily,
        "estimation": _estimation(shocks, tuple(names)),
        "estimation_cuts": _frame("estimation_cuts", [("SA26", "LITE", "2026-02-04", "other event")]),
        "car": car,
        "aar": _aar(daily, groups),
        "shocks": _shocks(shocks, car),
        "tests": _tests(groups, car),
        "reversal": _reversal(shocks, car),
    }
    return StudyResult(
        run_id="optical-20260821-1a2b3c4d",
        tables=tables,
        facts=_summary(simulated, study, names, shocks),
        manifest=_manifest(simulated),
    )


def _frame(name: str, rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = list(TABLES[name])
    return pd.DataFrame(rows, columns=columns[: len(rows[0])]).reindex(columns=columns)


def _abnormal_returns(shocks: tuple[Any, ...], tickers: tuple[str, ...]) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    rows = []
    for shock_id, _, day0, _, drop, post in shocks:
        sessions = pd.bdate_range(end=day0, periods=11).append(pd.bdate_range(start=day0, periods=21)[1:])
        for ticker in tickers:
            ar = rng.normal(0, 0.012, len(TAUS))
            ar[10:12] += drop / 2
            ar[12:] += post / 19
            for tau, session, value in zip(TAUS, sessions, ar, strict=True):
                flag = "locked_down" if ticker == tickers[0] and tau == 0 and shock_id == "LITE26" else ""
                flag = "missing" if ticker == tickers[-1] and tau == 5 and shock_id == "SA26" else flag
                value = math.nan if flag == "missing" else float(value)
                rows.append(
                    (
                        shock_id,
                        shock_id,
                        ticker,
                        tau,
                        session.date().isoformat(),
                        value + 0.001,
                        0.001,
                        value,
                        value / 0.03,
                        flag,
                    )
                )
    return _frame("abnormal_returns", rows)


def _car(daily: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (event, shock, ticker), path in daily.groupby(["event_id", "shock_id", "ticker"], sort=True):
        for window, first, last in (("[0,1]", 0, 1), ("[2,20]", 2, 20)):
            cut = path[(path["tau"] >= first) & (path["tau"] <= last)]
            value, se = float(cut["ar"].sum()), 0.03 * math.sqrt(len(cut))
            rows.append((event, shock, ticker, window, value, se, value / se, 0.4, 238.0, value / se, value))
    return _frame("car", rows)


def _aar(daily: pd.DataFrame, groups: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    rows = []
    for group, ids in groups.items():
        part = daily[daily["shock_id"].isin(ids)]
        caar = 0.0
        for tau in TAUS:
            at = part.loc[part["tau"] == tau, "ar"].dropna()
            caar += float(at.mean())
            half = math.nan if len(ids) < 2 else 0.01 + 0.004 * (tau + 10) ** 0.5
            rows.append((group, tau, len(at), float(at.mean()), caar, caar - half, caar + half))
    return _frame("aar", rows)


def _shocks(shocks: tuple[Any, ...], car: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for shock_id, label, day0, title, _, _ in shocks:
        for window in WINDOWS:
            cut = car[(car["shock_id"] == shock_id) & (car["window"] == window)]
            value, se = float(cut["car"].mean()), float(cut["se"].mean()) / 1.5
            rows.append((shock_id, window, label, title, day0, len(cut), 2, value, se, value / se))
    return _frame("shocks", rows)


def _tests(groups: dict[str, tuple[str, ...]], car: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for group, ids in groups.items():
        for window in WINDOWS:
            cut = car[car["shock_id"].isin(ids) & (car["window"] == window)]["car"]
            for name, p_value in (("date_t", 0.312), ("sign_flip", 0.25), ("bmp_kp", 0.0412), ("patell", 0.0003)):
                n = len(ids)
                absent = n < 2 and name in ("date_t", "sign_flip")
                rows.append(
                    (
                        group,
                        window,
                        name,
                        float(cut.mean()),
                        math.nan if absent else 1.234567890123,
                        "t" if name != "patell" else "normal",
                        math.nan if absent else n - 1.0,
                        math.nan if absent else p_value,
                        len(cut),
                        n,
                        float(n),
                        "needs two dates or more, there is 1" if absent else "",
                    )
                )
    return _frame("tests", rows)


def _reversal(shocks: tuple[Any, ...], car: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for shock_id, label, day0, _, _, _ in shocks:
        mean = car[car["shock_id"] == shock_id].groupby("window")["car"].mean()
        fell = bool(mean["[0,1]"] <= -0.03)
        rows.append(
            (
                shock_id,
                label,
                day0,
                4,
                float(mean["[0,1]"]),
                -2.1,
                0.75,
                fell,
                "" if fell else "fell by less than 3 %",
                float(mean["[2,20]"]),
                0.4,
            )
        )
    return _frame("reversal", rows)


def _alignment(shocks: tuple[Any, ...]) -> pd.DataFrame:
    return _frame(
        "alignment",
        [
            (s[0], s[0], mic, f"{s[2]}T00:00:00+00:00", "minute", s[2], "same session", 0, "")
            for s in shocks
            for mic in ("XNAS", "XSHE")
        ],
    )


def _estimation(shocks: tuple[Any, ...], tickers: tuple[str, ...]) -> pd.DataFrame:
    return _frame(
        "estimation",
        [
            (s[0], ticker, "market", 0.0004, 1.31, 0.0301, 240, 0.28, "2025-02-03", "2026-01-20")
            for s in shocks
            for ticker in tickers
        ],
    )


def _ledger(shocks: tuple[Any, ...], peers: dict[str, dict[str, str]]) -> pd.DataFrame:
    rows = []
    for position, shock in enumerate(shocks):
        for ticker, peer in peers.items():
            status, stage, reason = "used", "", ""
            if position == 1 and ticker == "LITE":
                status, stage, reason = "shifted", "align", "market closed"
            rows.append((shock[0], shock[0], ticker, peer["market"], status, stage, reason, shock[2]))
        rows.append((shock[0], shock[0], "INFN", "XNAS", "dropped", "peers", "delisted 2025-02-28", ""))
    return _frame("ledger", rows)


def _small_row(group: str, window: str, n: int, k: int, caar: float) -> dict[str, Any]:
    many = k > 1
    return {
        "group": group,
        "window": window,
        "n_events": n,
        "n_dates": k,
        "caar": caar,
        "lower": caar - 0.05 if many else None,
        "upper": caar + 0.05 if many else None,
        "date_t_p": 0.31234 if many else None,
        "sign_flip_p": 0.25 if many else None,
        "bmp_kp_p": 0.0412,
        "cross_sectional_p": 0.00004,
    }


def _summary(simulated: bool, study: str, peers: dict[str, dict[str, str]], shocks: tuple[Any, ...]) -> dict[str, Any]:
    n = len(shocks) * len(peers)
    return {
        "run_id": "optical-20260821-1a2b3c4d",
        "study": study,
        "simulated": simulated,
        "language": "en",
        "data_date": "2026-08-21",
        "price_source": "simulated seed 20260624" if simulated else "files:prices",
        "verdict": {
            "kind": "inconclusive",
            "sentence": SENTENCE,
            "effect": 0.0287654321,
            "ci": [-0.0601234, 0.1034567],
            "p_value": 0.5,
            "p_name": "sign_flip",
            "n_dates": 2,
            "n_events": 8,
            "n_effective": 3.456789,
            "mde": 0.11123,
            "sd": 0.03,
            "ladder": "With 2 dates the sign-flip p-value cannot go below 0.5: this is a case study.",
            "group": "peers=core;label=misreading",
        },
        "counts": {
            "used": n,
            "shifted": 1,
            "dropped": len(shocks),
            "reasons": {"delisted 2025-02-28": len(shocks), "market closed": 1},
        },
        "trust": "Trust the date-level t and the sign-flip; the firm-level tests ignore the shared shock.",
        "rbar": 0.41234,
        "n_effective": 4.2,
        "cvr": {"value": 1.42, "lower": 0.81, "upper": 6.2},
        "events": {
            "n_events": len(shocks),
            "n_shocks": len(shocks),
            "n_peers": len(peers),
            "by_label": {"misreading": 2, "genuine": 1},
        },
        "windows": {
            "estimation": [-250, -11],
            "minimum": 120,
            "drop": [0, 1],
            "post": [2, 20],
            "event": [-10, 20],
            "car": [[0, 0], [0, 1], [2, 20]],
        },
        "model": {"name": "market", "alpha": "auto"},
        "returns": "simple",
        "weights": "market-balanced",
        "headline_group": "peers=core",
        "small_table": [
            _small_row("peers=core;label=misreading", "[0,1]", 8, 2, -0.052345),
            _small_row("peers=core;label=misreading", "[2,20]", 8, 2, 0.028765),
            _small_row("peers=core;label=genuine", "[2,20]", 4, 1, -0.018),
        ],
        "chronology": [
            {
                "event_id": "CPX26",
                "clarifies": "SA26",
                "flag": "PRECEDES_DROP",
                "sentence": "CPX26 (3 June) came before the drop of SA26 (9 June): it cannot answer it.",
            },
            {
                "event_id": "LITE26-C",
                "clarifies": "LITE26",
                "flag": "SAME_SESSION",
                "sentence": "LITE26-C fell in the session of LITE26: daily prices cannot part the two.",
            },
        ],
        "warnings": ["SA26: sources give 9 and 10 June for the first publication."],
        "leave_one_out": {"lower": 0.011, "upper": 0.047, "most_influential": "LITE26"},
        "labels": {"ex_ante": 1, "post_hoc": 2},
        "more_data": "An effect of 10% needs 5 dates, of 5% 14 dates, of 2% 72 dates.",
        "peers": peers,
    }


def _manifest(simulated: bool) -> dict[str, Any]:
    return {
        "version": "0.1.0",
        "seed": 20260624,
        "settings": {"model": {"name": "market", "alpha": "auto"}, "returns": {"kind": "simple"}},
        "inputs": [{"name": "events.csv", "sha256": "0" * 64}],
        "prices": {"source": "simulated" if simulated else "files:prices", "rate": math.nan},
        "versions": {"numpy": "2.4.6", "pandas": "3.1.1"},
    }


def make_full_result(*, language: str = "en", simulated: bool = False) -> StudyResult:
    """Return the made-up study with the tables of the reversal analysis, the claims and the backtest."""
    plain = make_result(simulated=simulated)
    rng = np.random.default_rng(11)
    reversal = plain.tables["reversal"].assign(
        n_placebos=[6, 6, 0],
        placebo_mean=[0.01, 0.02, math.nan],
        excess=[0.012, 0.015, math.nan],
        rank=[2.0, 3.0, math.nan],
        p_rank=[2 / 7, 3 / 7, math.nan],
        p_rank_floor=[1 / 7, 1 / 7, math.nan],
        role=["confirmatory", "confirmatory", ""],
    )
    tables = {**plain.tables, "reversal": reversal, **_reversal_tables(rng), **_trading_tables()}
    summary = {**plain.facts, "language": language, **_full_summary()}
    if language != "en":
        summary["verdict"] = {**summary["verdict"], "sentence": _verdict_message()}
    return StudyResult(plain.run_id, tables, summary, plain.manifest)


def _verdict_message() -> Message:
    return say(
        "verdict.inconclusive",
        subject=say("subject.labelled", label=say("label.misreading")),
        first=2,
        last=20,
        effect=0.0287654321,
        low=-0.0601234,
        high=0.1034567,
        p=0.5,
        flip=0.5,
        k=2,
        n=8,
        n_effective=3.456789,
        mde=0.11123,
    )


def _reversal_tables(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    placebo = [
        (shock, tier, f"20{y}-05-0{i + 1}", -2.2, -0.05, float(rng.normal(0.01, 0.05)), 0.1, 0.05, 0.0, 0.7, False)
        for shock, y in (("GTC25", 19), ("LITE26", 22))
        for tier in ("P0", "P1")
        for i in range(6)
    ]
    paths = [
        (
            "label=misreading",
            series,
            tau,
            2,
            n_paths,
            value * (tau + 10),
            value * (tau + 10) - 0.02,
            value * (tau + 10) + 0.02,
        )
        for series, value, n_paths in (("events", 0.001, 2), ("placebos", -0.0005, 11))
        for tau in TAUS
    ]
    traits = ("s_drop", "vol_ratio", "run_up", "market_return", "year")
    measures = [
        ("car_drop", "label=misreading", -0.05, -0.09, -0.01, 0.02, 2, ""),
        ("excess_post", "label=misreading", 0.0287654321, -0.0601234, 0.1034567, 0.5, 2, "primary"),
        ("reversal_ratio", "label=misreading", 0.57, math.nan, math.nan, math.nan, 2, ""),
        ("reversal_ratio_placebos", "label=misreading", 0.21, math.nan, math.nan, math.nan, 2, ""),
        ("share_positive", "label=misreading", 0.5, 0.0126, 0.9874, math.nan, 2, ""),
        ("difference", "misreading-genuine", 0.04, -0.02, 0.1, 0.3, 3, "2 against 1 dates"),
    ]
    claims = [
        (
            "C-1",
            "LITE",
            "Lumentum",
            "2026-06-08",
            "2026-06-24",
            -0.12,
            "at_least",
            "refuted",
            "2026-06-16",
            -0.0855,
            0.0345,
            "",
            math.nan,
            "",
            "TubeX Research",
            "http://127.0.0.1/",
            "",
        ),
        (
            "C-2",
            "INFN",
            "Infinera",
            "2026-06-08",
            "2026-06-24",
            -0.12,
            "at_least",
            "not testable",
            "",
            math.nan,
            math.nan,
            "",
            math.nan,
            "not listed",
            "TubeX Research",
            "http://127.0.0.1/",
            "",
        ),
    ]
    curve = [
        (window, "market", returns, alpha, float(rng.normal(0.02, 0.02)), 2, 0.021, 0.75, 0.31)
        for window in ("[2,10]", "[2,20]")
        for returns in ("simple", "log")
        for alpha in ("auto", "zero")
    ]
    return {
        "placebo": _frame("placebo", placebo),
        "reversal_paths": _frame("reversal_paths", paths),
        "placebo_balance": _frame(
            "placebo_balance",
            [("label=misreading", name, 0.1, 0.2, -0.3 + 0.15 * i, 2, 12) for i, name in enumerate(traits)],
        ),
        "reversal_measures": _frame("reversal_measures", measures),
        "clarifications": _frame(
            "clarifications",
            [
                (
                    "CPX26",
                    "SA26",
                    "PRECEDES_DROP",
                    -4,
                    *([math.nan] * 4),
                    math.nan,
                    0,
                    math.nan,
                    False,
                    "it precedes the drop",
                )
            ],
        ),
        "gates": _frame("gates", [(1, "the drops are abnormal", -0.05, 0.02, 0.05, True, True, "")]),
        "claims": _frame("claims", claims),
        "specification_curve": _frame("specification_curve", curve),
        "quality": _frame("quality", [("AAOI", "extreme_return", "2024-11-08", 0.55, "warn", "moved +55.1%")]),
    }


def _trading_tables() -> dict[str, pd.DataFrame]:
    days = [day.date().isoformat() for day in pd.bdate_range("2025-03-03", periods=400)]
    held = [20 <= i < 40 or 230 <= i < 250 for i in range(400)]
    equity = np.cumsum([500.0 * h for h in held]) + 1_000_000.0
    pnl = pd.DataFrame({"date": days, "net": 0.0, "equity": equity, "n_positions": np.array(held, dtype=int) * 2})
    pnl = pnl.assign(every_drop_equity=1_000_000.0 + 100.0 * np.arange(400), placebo_drops_equity=1_000_000.0)
    trades = pd.DataFrame(
        {
            "shock_id": ["GTC25", "LITE26"],
            "ticker": ["LITE", "300308.SZ"],
            "label": ["misreading"] * 2,
            "entry_session": [days[20], days[230]],
            "exit_session": [days[39], days[249]],
            "gross": [0.05, -0.02],
            "hedged": [0.04, -0.015],
            "cost": [0.002, 0.003],
            "net": [0.038, -0.018],
        }
    )
    costs = [(run, bps, 0.01 - bps / 1e4, 0.0, 0.0) for run in ("rule", "every_drop") for bps in (0.0, 50.0, 150.0)]
    return {
        "pnl": pnl.reindex(columns=TABLES["pnl"]),
        "trades": trades.reindex(columns=TABLES["trades"]),
        "cost_sensitivity": _frame("cost_sensitivity", costs),
    }


def _full_summary() -> dict[str, Any]:
    asked = {
        "kind": "inconclusive",
        "sentence": SENTENCE,
        "effect": 0.0287654321,
        "ci": [-0.0601234, 0.1034567],
        "p_value": 0.5,
        "p_greater": 0.25,
        "p_floor": 0.02,
        "sign_flip_p": 0.75,
        "p_name": "matched_permutation",
        "n_dates": 2,
        "n_events": 8,
        "n_effective": 3.456789,
        "n_placebos": 12,
        "mde": 0.11123,
        "sd": 0.03,
        "margin": 0.0125,
        "ladder": "Descriptive.",
        "group": "label=misreading",
        "window": "[2,20]",
    }
    genuine = {**asked, "group": "label=genuine", "sentence": "Inconclusive: nothing about genuine drops."}
    run = {
        "n_trades": 2,
        "n_shocks": 2,
        "net_per_trade": 0.01,
        "net_ci": [-0.02, 0.04],
        "gross_per_trade": 0.015,
        "cost_per_trade": 0.0025,
        "hit_rate": 0.5,
        "hit_ci": [0.1, 0.9],
        "sharpe": 0.4,
        "sharpe_ci": [-0.3, 1.1],
        "psr": 0.71,
        "dsr": 0.52,
        "max_drawdown": -0.0181,
        "break_even_bps": 98.7,
        "days_held": 19.0,
    }
    return {
        "verdict": asked,
        "verdicts": {"label=genuine": genuine},
        "exploratory": {**asked, "group": "label=misreading;exploratory"},
        "case_study": {"shock_id": "SA26", "sentence": "Case study. Rank 3 of 7."},
        "headline": {"n_events": 12, "n_dates": 3, "rbar": 0.41234, "n_effective": 4.2},
        "claims": {"refuted": 1, "not testable": 1},
        "backtest": {
            **run,
            "capacity": {"CNY": 43758894.4},
            "comparison": {"every_drop": {**run, "net_per_trade": 0.048}},
            "sentence": "2 trades on 2 shocks earned +1.0% a trade.",
            "rule": "close+2, exit +20",
        },
        "diagnostics": {
            "n_fits": 12,
            "shares": {"arch": 0.16},
            "advice": ["88% of the fits: residuals are far from normal"],
        },
    }
