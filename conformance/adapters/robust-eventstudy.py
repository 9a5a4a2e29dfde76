"""robust-eventstudy: its windows are calendar days, so each is put where the sessions of the fixture lie.

Event windows of fewer than five days it refuses.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import reading
from reading import Fixture, Values
from robust_eventstudy import ConstantMeanModel, KolariPynnonenTest, MarketModel


def offers(fixture: Fixture) -> set[str]:
    if fixture.study["model"]["name"] not in ("market", "mean_adjusted"):
        return set()
    if not set(pd.to_datetime(fixture.events["date"])) <= set(fixture.returns.index):
        return set()  # it has no sessions to move an event to
    return {"car", "car_se", "caar", "n"} | ({"bmp_kp", "bmp_kp_p"} if fixture.one_date else set())


def _single(fixture: Fixture, ticker: str, date: pd.Timestamp, window: tuple[int, int]) -> dict[str, Any]:
    days = fixture.returns.index
    day0 = days.get_loc(date)
    first, last = (days[day0 + tau] for tau in fixture.study["estimation"])
    sizes = {"estimation_window": (last - first).days, "gap_window": (date - last).days - 1, "min_estimation_days": 50}
    around = tuple((days[day0 + tau] - date).days for tau in window)
    if fixture.study["model"]["name"] == "mean_adjusted":
        return ConstantMeanModel(**sizes).compute_abnormal_returns(fixture.returns[ticker], date, around)
    model = MarketModel(**sizes, market_proxy="MKT")
    model.set_market_returns(fixture.returns["MKT"])
    return model.compute_abnormal_returns(fixture.returns[ticker], date, around, symbol=ticker)


def compute(fixture: Fixture, window: tuple[int, int]) -> Values:
    if window[1] - window[0] < 4:
        raise reading.NotOffered
    singles = {
        event_id: _single(fixture, ticker, pd.Timestamp(date), window)
        for event_id, ticker, date in fixture.events.itertuples(index=False)
    }
    kept = {event_id: single for event_id, single in singles.items() if "error" not in single}
    if not kept:
        raise ValueError(next(iter(singles.values()))["error"])
    values = {("caar", ""): sum(s["car"] for s in kept.values()) / len(kept), ("n", ""): len(kept)}
    for event_id, single in kept.items():
        values["car", event_id], values["car_se", event_id] = single["car"], single["car"] / single["sar"]
    if fixture.one_date and len(kept) > 1:
        lists = [
            [single[part] for single in kept.values()]
            for part in ("abnormal_returns", "estimation_std", "estimation_n")
        ]
        together = KolariPynnonenTest.compute_adjusted_t(*lists)
        values["bmp_kp", ""], values["bmp_kp_p", ""] = together["t_stat_kp"], together["p_value"]
    return values


if __name__ == "__main__":
    reading.main(offers, compute)
