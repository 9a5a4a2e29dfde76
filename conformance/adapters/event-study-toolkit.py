"""event-study-toolkit: the columns that its models name, one group called CCAR as in its tutorial."""

from __future__ import annotations

import pandas as pd
import reading
from event_study_toolkit.eventstudy import eventstudy
from reading import Fixture, Values

MODELS = {"market": "market", "capm": "capm", "factors": "famafrench"}
TESTS = {"cross_sectional_t": "car_t", "sign": "tsign", "patell": "tpatell", "generalized_sign": "gen_z"}
NAMES = {"RF": "rf_h15", "Mkt-RF": "mktrf_h15", "SMB": "smb", "HML": "hml"}


def offers(fixture: Fixture) -> set[str]:
    known = {"car", "car_se", "caar", "n", "grank_z", "wilcoxon_p", *TESTS}
    return known if fixture.study["model"]["name"] in MODELS else set()


def compute(fixture: Fixture, window: tuple[int, int]) -> Values:
    first, last = fixture.study["estimation"]
    number = {ticker: i for i, ticker in enumerate(fixture.tickers, 1)}
    days = fixture.returns if fixture.factors is None else fixture.returns.join(fixture.factors.rename(columns=NAMES))
    long = pd.concat(
        [days.drop(columns=fixture.tickers).assign(permno=i, ret_dlst_adj=days[t]) for t, i in number.items()]
    )
    data = long.rename(columns={"MKT": "vwretd"}).reset_index().dropna()
    events = pd.DataFrame(
        {"permno": fixture.events["ticker"].map(number), "EVT_DATE": fixture.events["date"], "CCAR": 1}
    )
    events["EVT_DATE"] = pd.to_datetime(events["EVT_DATE"])
    study = eventstudy(last - first + 1, window[0] - last - 1, *window, data, events, groups=["CCAR"])
    model = MODELS[fixture.study["model"]["name"]]
    cars, together = study.getCARS(model), study.getFullSampleTestStatistic(model).iloc[0]
    values = {("caar", ""): together["car_mean"], ("n", ""): together["evt_count"]}
    values |= {(test, ""): together[column] for test, column in TESTS.items()}
    for event_id, permno, date in zip(fixture.events["event_id"], events["permno"], events["EVT_DATE"], strict=True):
        row = cars[(cars["permno"] == permno) & (cars["EVT_DATE"] == date)]
        if len(row):
            values["car", event_id] = row["car"].iloc[0]
            values["car_se", event_id] = row["car"].iloc[0] / row["scar"].iloc[0]
    for name, method, column in (("grank_z", "getGRANK", "GRANK_Z"), ("wilcoxon_p", "getWilcoxon", "wilcox_p")):
        if name in fixture.study["asked"]:
            try:
                values[name, ""] = getattr(study, method)(model, "CCAR")[column].iloc[0]
            except Exception as error:  # the other tests of the window still count
                values[name, ""] = error
    return values


if __name__ == "__main__":
    reading.main(offers, compute)
