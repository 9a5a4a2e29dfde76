"""eventstudy 0.1a12 (J.-B. Lemaire): Single and Multiple, a study for each window; returns from a CSV file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import reading
from reading import Fixture, Values

from eventstudy import Multiple, Single

MODELS = {"market": Single.market_model, "mean_adjusted": Single.constant_mean, "factors": Single.FamaFrench_3factor}


def offers(fixture: Fixture) -> set[str]:
    return {"car", "car_se", "caar", "n"} if fixture.study["model"]["name"] in MODELS else set()


def _import(fixture: Fixture) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "series.csv")
        prices = fixture.prices is not None
        (fixture.prices if prices else fixture.returns).to_csv(path)
        Single.import_returns(str(path), is_price=prices, log_return=fixture.study["returns"] == "log")
        if fixture.factors is not None:
            fixture.factors.to_csv(path)
            Single.import_FamaFrench(str(path), rescale_factor=False, date_format="%Y-%m-%d")


def compute(fixture: Fixture, window: tuple[int, int]) -> Values:
    _import(fixture)
    model = MODELS[fixture.study["model"]["name"]]
    first, last = fixture.study["estimation"]
    sizes = {"event_window": window, "estimation_size": last - first + 1, "buffer_size": window[0] - last - 1}
    asked = [
        {"event_date": np.datetime64(date), "security_ticker": ticker, "market_ticker": "MKT"}
        for ticker, date in zip(fixture.events["ticker"], fixture.events["date"], strict=True)
    ]
    values = {}
    for event_id, event in zip(fixture.events["event_id"], asked, strict=True):
        row = model(**event, **sizes).results(asterisks=False, decimals=12).iloc[-1]
        values["car", event_id], values["car_se", event_id] = row["CAR"], row["Std. E. CAR"]
    together = Multiple.from_list(asked, model, **sizes)
    values["caar", ""] = together.results(asterisks=False, decimals=12)["CAAR"].iloc[-1]
    values["n", ""] = len(together.sample)
    return values


if __name__ == "__main__":
    reading.main(offers, compute)
