"""easy-es: EventStudy with returns and factors given; its standardised CAR implies the standard error."""

from __future__ import annotations

import pandas as pd
import reading
from easy_es import EventStudy, calculate_car_stats
from reading import Fixture, Values

MODELS = {"market": "capm", "capm": "capm", "factors": "ff3", "market_adjusted": "mam"}


def offers(fixture: Fixture) -> set[str]:
    known = {"car", "car_se", "caar", "n", "cross_sectional_t", "cross_sectional_t_p"}
    return known if fixture.study["model"]["name"] in MODELS else set()


def _factors(fixture: Fixture) -> pd.DataFrame:
    """The factor frame it asks for; where there is no risk-free rate it is zero."""
    if fixture.factors is not None:
        frame = fixture.factors.copy()
    else:
        frame = pd.DataFrame({"Mkt-RF": fixture.returns["MKT"], "RF": 0.0})
    frame.insert(0, "Date", frame.index.date)
    return frame.dropna().reset_index(drop=True)


def compute(fixture: Fixture, window: tuple[int, int]) -> Values:
    first, last = fixture.study["estimation"]
    study = EventStudy(
        estimation_days=last - first + 1,
        gap_days=window[0] - last - 1,
        window_before=-window[0],
        window_after=window[1],
        min_estimation_days=50,
        estimator_type=MODELS[fixture.study["model"]["name"]],
        n_cores=1,
    )
    wide = fixture.returns[fixture.tickers].rename_axis("Date")
    long = wide.melt(ignore_index=False, var_name="ticker", value_name="Ret")
    long = long.reset_index().dropna().assign(Volume=1.0)
    study.add_returns(ret_df=long.assign(Date=long["Date"].dt.date.astype(object)))
    study.add_factors(_factors(fixture))
    events = fixture.events.rename(columns={"date": "event_date"})
    found = study.run_study(events[["ticker", "event_date"]])
    values = {}
    for number, rows in found.groupby("event_id"):
        event_id, row = fixture.events["event_id"].iloc[int(number)], rows.sort_values("Offset").iloc[-1]
        values["car", event_id], values["car_se", event_id] = row["car"], row["car"] / row["scar"]
    together = calculate_car_stats(found).loc[window[1]]
    values["caar", ""], values["n", ""] = together["mean"], found["event_id"].nunique()
    values["cross_sectional_t", ""], values["cross_sectional_t_p", ""] = together["t_stat"], together["p_value"]
    return values


if __name__ == "__main__":
    reading.main(offers, compute)
