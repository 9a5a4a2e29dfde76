"""A small finished study with made-up numbers: three shocks, four peers, every table of the pack."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from eventstudy.results import TABLES, StudyResult

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
        run_id="optical-20260821-1a2b3c4d", tables=tables,
        summary=_summary(simulated, study, names, shocks), manifest=_manifest(simulated),
    )  # fmt: skip


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
                    (shock_id, shock_id, ticker, tau, session.date().isoformat(), value + 0.001, 0.001, value,
                     value / 0.03, flag)
                )  # fmt: skip
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
            for name, p_value in (
                ("date_t", 0.312),
                ("sign_flip", 0.25),
                ("bmp_kp", 0.0412),
                ("patell", 0.0003),
            ):
                n = len(ids)
                absent = n < 2 and name in ("date_t", "sign_flip")
                rows.append(
                    (group, window, name, float(cut.mean()), math.nan if absent else 1.234567890123,
                     "t" if name != "patell" else "normal", math.nan if absent else n - 1.0,
                     math.nan if absent else p_value, len(cut), n,
                     "needs two dates or more, there is 1" if absent else "")
                )  # fmt: skip
    return _frame("tests", rows)


def _reversal(shocks: tuple[Any, ...], car: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for shock_id, label, day0, _, _, _ in shocks:
        mean = car[car["shock_id"] == shock_id].groupby("window")["car"].mean()
        fell = bool(mean["[0,1]"] <= -0.03)
        rows.append(
            (shock_id, label, day0, 4, float(mean["[0,1]"]), -2.1, 0.75, fell,
             "" if fell else "fell by less than 3 %", float(mean["[2,20]"]), 0.4)
        )  # fmt: skip
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
        "group": group, "window": window, "n_events": n, "n_dates": k, "caar": caar,
        "lower": caar - 0.05 if many else None, "upper": caar + 0.05 if many else None,
        "date_t_p": 0.31234 if many else None, "sign_flip_p": 0.25 if many else None,
        "bmp_kp_p": 0.0412, "cross_sectional_p": 0.00004,
    }  # fmt: skip


def _summary(
    simulated: bool, study: str, peers: dict[str, dict[str, str]], shocks: tuple[Any, ...]
) -> dict[str, Any]:
    n = len(shocks) * len(peers)
    return {
        "run_id": "optical-20260821-1a2b3c4d", "study": study, "simulated": simulated, "language": "en",
        "data_date": "2026-08-21", "price_source": "simulated seed 20260624" if simulated else "files:prices",
        "verdict": {
            "kind": "inconclusive",
            "sentence": SENTENCE,
            "effect": 0.0287654321, "ci": [-0.0601234, 0.1034567], "p_value": 0.5, "p_name": "sign_flip",
            "n_dates": 2, "n_events": 8, "n_effective": 3.456789, "mde": 0.11123, "sd": 0.03,
            "ladder": "With 2 dates the sign-flip p-value cannot go below 0.5: this is a case study.",
            "group": "peers=core;label=misreading",
        },
        "counts": {
            "used": n - 1, "shifted": 1, "dropped": len(shocks),
            "reasons": {"delisted 2025-02-28": len(shocks), "market closed": 1},
        },
        "trust": "Trust the date-level t and the sign-flip; the firm-level tests ignore the shared shock.",
        "rbar": 0.41234, "n_effective": 4.2, "cvr": {"value": 1.42, "lower": 0.81, "upper": 6.2},
        "events": {"n_events": len(shocks), "n_shocks": len(shocks), "n_peers": len(peers),
                   "by_label": {"misreading": 2, "genuine": 1}},
        "windows": {"estimation": [-250, -11], "minimum": 120, "drop": [0, 1], "post": [2, 20],
                    "event": [-10, 20], "car": [[0, 0], [0, 1], [2, 20]]},
        "model": {"name": "market", "alpha": "auto"}, "returns": "simple", "weights": "market-balanced",
        "headline_group": "peers=core",
        "small_table": [
            _small_row("peers=core;label=misreading", "[0,1]", 8, 2, -0.052345),
            _small_row("peers=core;label=misreading", "[2,20]", 8, 2, 0.028765),
            _small_row("peers=core;label=genuine", "[2,20]", 4, 1, -0.018),
        ],
        "chronology": [
            {"event_id": "CPX26", "clarifies": "SA26", "flag": "PRECEDES_DROP",
             "sentence": "CPX26 (3 June) came before the drop of SA26 (9 June): it cannot answer it."},
            {"event_id": "LITE26-C", "clarifies": "LITE26", "flag": "SAME_SESSION",
             "sentence": "LITE26-C fell in the session of LITE26: daily prices cannot part the two."},
        ],
        "warnings": ["SA26: sources give 9 and 10 June for the first publication."],
        "leave_one_out": {"lower": 0.011, "upper": 0.047, "most_influential": "LITE26"},
        "labels": {"ex_ante": 1, "post_hoc": 2},
        "more_data": "An effect of 10% needs 5 dates, of 5% 14 dates, of 2% 72 dates.",
        "peers": peers,
    }  # fmt: skip


def _manifest(simulated: bool) -> dict[str, Any]:
    return {
        "version": "0.1.0", "seed": 20260624,
        "settings": {"model": {"name": "market", "alpha": "auto"}, "returns": {"kind": "simple"}},
        "inputs": [{"name": "events.csv", "sha256": "0" * 64}],
        "prices": {"source": "simulated" if simulated else "files:prices", "rate": math.nan},
        "versions": {"numpy": "2.4.6", "pandas": "3.1.1"},
    }  # fmt: skip
