"""The files that docs/recipes.md speaks of, small and from a seed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from eventstudy.exchanges.calendars import sessions


def write_recipe_files(folder: Path) -> None:
    """Write events and prices of every recipe into a folder."""
    _new_york(folder)
    _mainland(folder)
    _coins(folder)


def _returns(mic: str, n_shares: int, seed: int) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Sessions of 2020 to 2022 and returns, index first."""
    rng = np.random.default_rng(seed)
    days = pd.DatetimeIndex(sessions(mic, dt.date(2020, 1, 2), dt.date(2022, 12, 30)))
    index = rng.standard_t(5, len(days)) * 0.008
    own = rng.standard_t(5, (n_shares, len(days))) * 0.012
    return days, np.vstack([index, index + own])


def _new_york(folder: Path) -> None:
    days, returns = _returns("XNYS", 40, seed=11)
    names = ["vwretd", *map(str, range(10_001, 10_041))]
    wide = pd.DataFrame(100 * np.cumprod(1 + returns, axis=1).T, index=days, columns=names)
    shares = wide.drop(columns="vwretd")
    crsp = shares.rename_axis("date").reset_index().melt("date", var_name="PERMNO", value_name="PRC")
    crsp["RET"] = shares.pct_change().melt()["value"].astype(object).where(lambda values: values.notna(), "C")
    crsp.to_csv(folder / "crsp_daily.csv", index=False)
    index = pd.DataFrame({"date": days, "vwretd": returns[0]})
    index.to_csv(folder / "crsp_index.csv", index=False)
    rng = np.random.default_rng(12)
    events = pd.DataFrame(
        {"permno": rng.choice(names[1:], 60), "edate": rng.choice(days[300:700], 60).astype("datetime64[D]")}
    ).drop_duplicates()
    events.to_csv(folder / "crsp_events.csv", index=False)
    quarters = pd.to_datetime(["2020-12-31", "2021-12-31"])
    firms = pd.DataFrame([(name, day) for name in names[1:] for day in quarters], columns=["ticker", "date"])
    firms["size"], firms["leverage"] = rng.lognormal(8, 1, len(firms)), rng.uniform(0, 1, len(firms))
    firms.to_csv(folder / "characteristics.csv", index=False)


def _mainland(folder: Path) -> None:
    days, returns = _returns("XSHG", 2, seed=13)
    close = 20 * np.cumprod(1 + returns.clip(-0.08, 0.08), axis=1)
    (folder / "akshare").mkdir()
    for code, values in zip(("000300.SS", "600519", "300308"), close, strict=True):
        table = {"日期": days, "股票代码": code, "开盘": values, "收盘": values, "最高": values, "最低": values}
        pd.DataFrame({**table, "成交量": 1000}).to_csv(folder / "akshare" / f"{code}.csv", index=False)
    frames = [
        pd.DataFrame({"ts_code": code, "trade_date": days.strftime("%Y%m%d"), "close": values, "vol": 1000.0})
        for code, values in zip(("000300.SH", "600519.SH", "300308.SZ"), close, strict=True)
    ]
    pd.concat(frames).to_csv(folder / "tushare.csv", index=False)
    events = pd.DataFrame({"股票代码": ["600519", "300308"], "公告日期": ["2021-08-02", "2022-05-16"]})
    events.to_csv(folder / "announcements.csv", index=False)


def _coins(folder: Path) -> None:
    rng = np.random.default_rng(14)
    days = pd.date_range("2021-01-01", "2022-12-31")
    index = rng.standard_t(5, len(days)) * 0.02
    own = {name: index + rng.standard_t(5, len(days)) * 0.015 for name in ("ETH-USD", "SOL-USD", "XRP-USD")}
    wide = pd.DataFrame({"date": days, "BTC-USD": index, **own}).set_index("date")
    (100 * (1 + wide).cumprod()).to_csv(folder / "coins.csv")
    events = pd.DataFrame(
        {"ticker": ["ETH-USD", "SOL-USD", "XRP-USD"], "date": ["2022-09-15", "2022-11-06", "2022-07-02"]}
    )
    events.to_csv(folder / "coin_events.csv", index=False)
