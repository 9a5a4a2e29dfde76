"""Returns in the study's currency, by the rates of the backtest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import event_row, write_events, write_prices, write_study

from eventstudy.config import load_config
from eventstudy.core.estimation import Computed, compute
from eventstudy.errors import PriceError
from eventstudy.events import read_events
from eventstudy.prices.sources import get_prices
from eventstudy.shocks import with_shocks

EURO = ("study.currency=EUR", "returns.currency=study", "windows.clean_estimation=false")


def computed(tmp_path: Path, *overrides: str) -> Computed:
    path = write_events(tmp_path, [event_row("E1", "2021-06-09")])
    study = write_study(tmp_path)
    study.write_text(study.read_text().replace('benchmark = "IDX"', 'benchmark = "IDX"\ncurrency = "USD"'))
    events, config = read_events(path), load_config(path, config_file=study, overrides=[*EURO, *overrides])
    return compute(
        with_shocks(events, config), config, get_prices(events, config, str(tmp_path / "prices"), tell=print)
    )


@pytest.mark.parametrize("kind", ["simple", "log"])
def test_a_return_holds_the_change_of_the_rate(tmp_path: Path, kind: str) -> None:
    local = write_prices(tmp_path / "prices")
    table = [line.split(",") for line in (tmp_path / "prices" / "IDX.csv").read_text().splitlines()[1:]]
    rate = 1.1 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.005, len(table))))
    # EURUSD: dollars for one euro. A dollar is worth its inverse. One day has no quote: that of the day before holds.
    quotes = [f"{row[0]},{x!r},{x!r},0" for row, x in zip(table, rate.tolist(), strict=True)]
    gap = next(at for at, row in enumerate(table) if row[0] == "2021-06-10")
    del quotes[gap]
    rate[gap] = rate[gap - 1]
    (tmp_path / "prices" / "EURUSD=X.csv").write_text("\n".join(["date,close,adj_close,volume", *quotes, ""]))
    found = computed(tmp_path, 'backtest.fx={USD="EURUSD=X"}', f"returns.kind={kind}")
    market = found.returns.markets["XNYS"]
    days = np.array([row[0] for row in table], dtype="datetime64[D]")
    rows = np.searchsorted(days, market.sessions)
    change = rate[:-1] / rate[1:]
    for series, name in ((market.market_return, "IDX"), (market.returns[:, 0], "AAA")):
        growth = (1 + local[name][1:]) * change
        expected = np.log(growth) if kind == "log" else growth - 1
        np.testing.assert_allclose(series[1:], expected[rows[1:] - 1], rtol=1e-9, atol=1e-13)


def test_a_rate_that_is_not_there_stops_the_study(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    with pytest.raises(PriceError, match="needs the rate of USD to EUR, and none was delivered; name its ticker"):
        computed(tmp_path)


def test_local_returns_need_no_rate(tmp_path: Path) -> None:
    local = write_prices(tmp_path / "prices")
    found = computed(tmp_path, "returns.currency=local").returns.markets["XNYS"]
    assert set(np.round(found.returns[1:, 0], 12)) <= set(np.round(local["AAA"], 12))
