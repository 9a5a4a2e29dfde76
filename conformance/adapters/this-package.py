"""eventstudy, this package: one study a fixture, set as docs/coming-from.md says for other programs' numbers."""

from __future__ import annotations

import functools
from typing import Any

import reading
from reading import Fixture, Values

TESTS = (
    "cross_sectional_t skewness_t bhar_t patell patell_kp bmp bmp_kp portfolio_t date_t ibragimov_mueller sign_flip "
    "corrado corrado_zivney grank_t grank_z wilcoxon sign generalized_sign calendar_time"
).split()


def offers(_: Fixture) -> set[str]:
    return {"car", "car_se", "bhar", "caar", "n", *TESTS, *(name + "_p" for name in TESTS)}


@functools.lru_cache(maxsize=1)
def _result(folder: Any) -> Any:
    from eventstudy import Study

    fixture = reading.read(folder)
    study, model = fixture.study, {"alpha": "estimated", **fixture.study["model"]}
    if fixture.factors is not None:
        columns = ("Mkt-RF", "SMB", "HML") if model["name"] == "factors" else ()
        model |= {"factors_file": str(folder / "factors.csv"), "factors": columns, "risk_free": "RF", "percent": False}
    if "world" in model:
        model["world_market"] = "XNYS"
    windows = {"event": study["event"], "car": study["windows"], "estimation": study["estimation"], "minimum": 50}
    asked = [name for name in TESTS if name in study["asked"] or name == "cross_sectional_t"]
    made = Study(
        peers=fixture.tickers,
        benchmark="MKT",
        windows={**windows, "clean_estimation": False},
        model=model,
        returns={"kind": study["returns"]},
        prices={"benchmark_gaps": "drop"},
        tests={"names": asked},
        reversal={"ask": "no", "specification_curve": False},
    )
    if fixture.prices is not None:
        return made.run(fixture.events, fixture.prices)
    return made.run(fixture.events, fixture.returns / _unit(fixture), prices_are="returns")


def _unit(fixture: Fixture) -> float:
    return 100.0 if fixture.study["unit"] == "percent" else 1.0


def compute(fixture: Fixture, window: tuple[int, int]) -> Values:
    result, unit = _result(fixture.folder), _unit(fixture)
    values = {}
    for row in result.car.where(window=window):
        values["car", row.event_id], values["car_se", row.event_id] = row.car * unit, row.se * unit
        values["bhar", row.event_id] = row.bhar * unit
    for test in result.tests.where(window=window, group="all"):
        values[test.name, ""], values[test.name + "_p", ""] = test.statistic, test.p_value
    mean = result.tests.get("cross_sectional_t", window=window)
    return values | {("caar", ""): mean.estimate * unit, ("n", ""): mean.n_events}


if __name__ == "__main__":
    reading.main(offers, compute)
