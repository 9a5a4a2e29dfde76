"""From files to firm-events: what is used, what is dropped and why, and on which days."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import edit_prices, event_row, write_events, write_prices, write_study

from eventstudy.config import load_config
from eventstudy.core.estimation import Computed, compute
from eventstudy.errors import EstimationError, PriceError
from eventstudy.events import read_events
from eventstudy.messages import text
from eventstudy.prices.sources import get_prices
from eventstudy.shocks import with_shocks


def run(tmp_path: Path, rows: list[str], *overrides: str, extra: dict[str, str] | None = None) -> Computed:
    """Compute a study of AAA, BBB, CCC on the prices already in ``prices``."""
    events = read_events(write_events(tmp_path, rows))
    config = load_config(tmp_path / "events.csv", config_file=write_study(tmp_path, extra=extra), overrides=overrides)
    prices = get_prices(events, config, str(tmp_path / "prices"), tell=lambda _: None)
    return compute(with_shocks(events, config), config, prices)


def ledger(computed: Computed) -> dict[tuple[str, str], tuple[str, str]]:
    return {(row.event_id, row.ticker): (row.status, text(row.reason)) for row in computed.selection.ledger}


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    write_prices(tmp_path / "prices")
    return tmp_path / "prices"


@pytest.mark.usefixtures("prices")
def test_every_pair_has_one_ledger_row(tmp_path: Path) -> None:
    computed = run(tmp_path, [event_row("E1", "2021-06-09"), event_row("E2", "2021-09-08", tickers="AAA")])
    assert sorted(ledger(computed)) == [("E1", "AAA"), ("E1", "BBB"), ("E1", "CCC"), ("E2", "AAA")]
    assert {status for status, _ in ledger(computed).values()} == {"used"}
    assert len(computed.abnormal) == 4


@pytest.mark.usefixtures("prices")
def test_windows_are_cut_around_day0(tmp_path: Path) -> None:
    computed = run(tmp_path, [event_row("E1", "2021-06-09", tickers="BBB")])
    panel = computed.abnormal.panel
    market = computed.returns.markets["XNYS"]
    at = int(np.flatnonzero(market.sessions == np.datetime64("2021-06-09"))[0])
    column = market.tickers.index("BBB")
    np.testing.assert_array_equal(panel.estimation_returns[0], market.returns[at - 250 : at - 10, column])
    np.testing.assert_array_equal(panel.event_returns[0], market.returns[at - 10 : at + 21, column])
    np.testing.assert_array_equal(panel.event_factors[0, :, 0], market.market_return[at - 10 : at + 21])
    assert str(np.datetime64(int(panel.day0[0]), "D")) == "2021-06-09"


@pytest.mark.usefixtures("prices")
def test_moved_day0_is_in_the_ledger(tmp_path: Path) -> None:
    rows = [event_row("W", "2021-06-12", tickers="AAA"), event_row("L", "2021-08-03T21:00Z", tickers="AAA")]
    found = ledger(run(tmp_path, rows))
    assert found["W", "AAA"] == ("shifted", "shifted: XNYS was closed, day 0 is 2 day(s) later")
    assert found["L", "AAA"] == ("shifted", "shifted: published after the close, day 0 is 1 day(s) later")


@pytest.mark.usefixtures("prices")
def test_membership_and_deals(tmp_path: Path) -> None:
    extra = {
        "AAA": 'until = 2021-03-01\nname = "Alpha"',
        "BBB": "from = 2021-09-01",
        "CCC": "deal_bound_from = 2021-05-03",
    }
    found = ledger(run(tmp_path, [event_row("E0", "2021-01-12"), event_row("E1", "2021-06-09")], extra=extra))
    assert found["E1", "AAA"] == ("dropped", "not_listed: Alpha (AAA) was listed until 2021-03-01")
    assert found["E1", "BBB"] == ("dropped", "not_listed: BBB was not listed before 2021-09-01")
    assert found["E1", "CCC"] == ("dropped", "deal_bound: the price of CCC was bound to a takeover bid from 2021-05-03")
    assert found["E0", "CCC"][0] == "used"


@pytest.mark.usefixtures("prices")
def test_a_ticker_that_is_no_peer(tmp_path: Path) -> None:
    found = ledger(run(tmp_path, [event_row("E1", "2021-06-09", tickers="AAA;ZZZ")]))
    assert found["E1", "ZZZ"][1].startswith("not_a_peer: ZZZ is in events.csv")


def test_prices_that_are_not_there(tmp_path: Path, prices: Path) -> None:
    (prices / "CCC.csv").unlink()
    rows = [event_row("OLD", "2020-03-03"), event_row("E1", "2021-06-09"), event_row("END", "2022-12-20")]
    found = ledger(run(tmp_path, rows))
    assert found["E1", "CCC"][1].startswith("no_prices: ")
    assert found["OLD", "AAA"][1].startswith("estimation_short: 30 of at least 120 returns in [-250,-11]")
    assert found["END", "AAA"][1] == ("window_incomplete: day +20 lies after 2022-12-30, the last session of IDX")


def test_a_series_that_stops_inside_the_window(tmp_path: Path, prices: Path) -> None:
    path = prices / "AAA.csv"
    path.write_text(path.read_text(encoding="utf-8").split("2021-06-15")[0], encoding="utf-8")
    found = ledger(run(tmp_path, [event_row("E1", "2021-06-09"), event_row("E2", "2021-09-09")]))
    assert found["E1", "AAA"][1] == ("prices_end_before_window: no return after 2021-06-14 up to day +20, 2021-07-08")
    assert found["E2", "AAA"][1] == "no_prices: the series ends on 2021-06-14"
    kept = ledger(run(tmp_path, [event_row("E1", "2021-06-09")], "windows.allow_partial=true"))
    assert kept["E1", "AAA"] == ("used", "17 of 31 event days without a return, the first is day 4")


def test_a_gap_is_not_bridged(tmp_path: Path, prices: Path) -> None:
    edit_prices(prices / "AAA.csv", d2021_06_10=None, d2021_03_02=None)
    computed = run(tmp_path, [event_row("E1", "2021-06-09", tickers="AAA")])
    returns = computed.abnormal.panel.event_returns[0]
    missing = computed.abnormal.tau[~np.isfinite(returns)]
    assert missing.tolist() == [1, 2]
    assert computed.abnormal.panel.event_flags[0, 11:13].tolist() == [1, 4]
    assert computed.abnormal.expected.n_estimation[0] == 238
    assert np.isnan(computed.abnormal.car((0, 1))[0])
    assert np.isfinite(computed.abnormal.car((0, 0))[0])


def test_a_day_without_volume_was_not_traded(tmp_path: Path, prices: Path) -> None:
    edit_prices(prices / "AAA.csv", d2021_06_10="100,100,0")
    computed = run(tmp_path, [event_row("E1", "2021-06-09", tickers="AAA")])
    assert computed.abnormal.tau[~np.isfinite(computed.abnormal.panel.event_returns[0])].tolist() == [1, 2]


def test_a_benchmark_gap_stops_or_is_dropped_with_its_day(tmp_path: Path, prices: Path) -> None:
    edit_prices(prices / "IDX.csv", d2021_03_02=None)
    with pytest.raises(PriceError, match=r"IDX lacks 1 session\(s\) on which peers traded: 2021-03-02"):
        run(tmp_path, [event_row("E1", "2021-06-09")])
    computed = run(tmp_path, [event_row("E1", "2021-06-09")], "prices.benchmark_gaps=drop")
    assert computed.abnormal.expected.n_estimation.tolist() == [238, 238, 238]


def test_a_day_without_any_price_is_a_closure(tmp_path: Path, prices: Path) -> None:
    for ticker in ("IDX", "AAA", "BBB", "CCC"):
        edit_prices(prices / f"{ticker}.csv", d2021_06_09=None)
    computed = run(tmp_path, [event_row("E1", "2021-06-09", tickers="AAA")])
    assert ledger(computed)["E1", "AAA"] == ("shifted", "shifted: no price on 2021-06-09, day 0 is the next session")
    assert "XNYS: 1 session(s) without any price are treated as days on which it was closed (2021-06-09)" in map(
        text, computed.returns.remarks
    )


@pytest.mark.usefixtures("prices")
def test_days_around_other_events_leave_the_estimation(tmp_path: Path) -> None:
    rows = [event_row("E1", "2021-06-09"), event_row("E0", "2021-03-10", tickers="AAA;BBB")]
    computed = run(tmp_path, rows)
    panel, expected = computed.abnormal.panel, computed.abnormal.expected
    of = {(str(e), str(t)): i for i, (e, t) in enumerate(zip(panel.event_id, panel.ticker, strict=True))}
    assert expected.n_estimation[of["E1", "AAA"]] == 236
    assert expected.n_estimation[of["E1", "CCC"]] == 240
    unused = panel.estimation_sessions[of["E1", "AAA"]][~np.isfinite(expected.residuals[of["E1", "AAA"]])]
    assert unused.astype("datetime64[D]").astype(str).tolist() == [
        "2021-03-09",
        "2021-03-10",
        "2021-03-11",
        "2021-03-12",
    ]
    assert (run(tmp_path, rows, "windows.clean_estimation=false").abnormal.expected.n_estimation == 240).all()


def test_constant_prices_are_dropped(tmp_path: Path, prices: Path) -> None:
    path = prices / "AAA.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], *(f"{line[:10]},5,5,1000" for line in lines[1:]), ""]), encoding="utf-8")
    found = ledger(run(tmp_path, [event_row("E1", "2021-06-09")]))
    assert found["E1", "AAA"][1].startswith("constant_returns: ")


@pytest.mark.usefixtures("prices")
def test_no_usable_event_is_an_error_that_counts_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(EstimationError, match=r"no event × peer can be studied \(no_benchmark 3\)|\(no_prices 3\)"):
        run(tmp_path, [event_row("E1", "2024-06-11")])


@pytest.mark.usefixtures("prices")
def test_log_returns(tmp_path: Path) -> None:
    rows = [event_row("E1", "2021-06-09", tickers="AAA")]
    simple = run(tmp_path, rows).abnormal.panel.event_returns
    log = run(tmp_path, rows, "returns.kind=log").abnormal.panel.event_returns
    np.testing.assert_allclose(log, np.log1p(simple), rtol=1e-12)


@pytest.mark.usefixtures("prices")
def test_events_of_one_peer_can_be_merged_or_thinned(tmp_path: Path) -> None:
    rows = [
        event_row("A", "2021-06-09", shock_id="SA"),
        event_row("B", "2021-06-09", tickers="AAA", shock_id="SB"),
        event_row("C", "2021-07-07", tickers="AAA"),
        event_row("D", "2021-08-18", tickers="AAA"),
    ]
    kept = ledger(run(tmp_path, rows))
    assert {status for status, _ in kept.values()} == {"used"}
    said = "{} session(s) after {} of the same security, whose event window has not ended"
    assert {key: reason for key, (_, reason) in kept.items() if reason} == {
        ("C", "AAA"): said.format(19, "B"),
        ("D", "AAA"): said.format(30, "C"),
    }
    merged = ledger(run(tmp_path, rows, "windows.same_day=merge"))
    assert merged["B", "AAA"] == ("dropped", "merged: A has the same day 0 and counts for both")
    assert [key for key, (status, _) in merged.items() if status == "dropped"] == [("B", "AAA")]
    # 7 July is the 19th session after 9 June; 18 August the 30th after 7 July, but C is gone by then.
    thinned = ledger(run(tmp_path, rows, "windows.overlapping=drop_later"))
    assert thinned["C", "AAA"] == ("dropped", "overlaps: the event window of A has not ended")
    assert thinned["B", "AAA"][0] == "dropped"
    assert thinned["D", "AAA"][0] == "used"
