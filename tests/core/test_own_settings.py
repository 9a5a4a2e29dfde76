"""Indices and windows of single events and peers, and weights of the events file, against least squares by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from studies import event_row, write_prices, write_study
from studies import write_events as write_plain

from eventstudy.config import load_config
from eventstudy.core.estimation import Computed, compute
from eventstudy.events import read_events
from eventstudy.exchanges.calendars import sessions
from eventstudy.prices.sources import get_prices
from eventstudy.shocks import with_shocks

Floats = NDArray[np.float64]
OWN_ENDS = ("estimation_start", "estimation_end", "event_start", "event_end")
DAYS = sessions("XNYS", dt.date(2020, 1, 2), dt.date(2022, 12, 30))


OWN = ("benchmark", *OWN_ENDS, "weight")


def row(event_id: str, timestamp: str, **cells: str) -> str:
    """One line of the events with the columns of their own after the usual ones."""
    usual = event_row(event_id, timestamp, **{name: cell for name, cell in cells.items() if name not in OWN})
    return ",".join([usual, *(cells.get(name, "") for name in OWN)])


def write_events(folder: Path, rows: list[str]) -> Path:
    path = write_plain(folder, rows)
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([",".join([header, *OWN]), *lines, ""]), encoding="utf-8")
    return path


def computed(tmp_path: Path, rows: list[str], *overrides: str, extra: dict[str, str] | None = None) -> Computed:
    events_path = write_events(tmp_path, rows)
    study = write_study(tmp_path, extra=extra)
    events = read_events(events_path)
    plain = ("windows.clean_estimation=false", "model.alpha=estimated", *overrides)
    config = load_config(events_path, config_file=study, overrides=plain)
    return compute(
        with_shocks(events, config), config, get_prices(events, config, str(tmp_path / "prices"), tell=print)
    )


def by_hand(y: Floats, x: Floats, day0: str, estimation: tuple[int, int], event: tuple[int, int]) -> Floats:
    """Abnormal returns of the event days."""
    at = int(np.flatnonzero(np.datetime64(day0) == DAYS)[0])
    first, last = (at + day for day in estimation)
    beta, alpha = np.polyfit(x[first : last + 1], y[first : last + 1], 1)
    begin, end = (at + day for day in event)
    return np.asarray(y[begin : end + 1] - alpha - beta * x[begin : end + 1])


def test_an_event_of_its_own_index_and_windows(tmp_path: Path) -> None:
    returns = write_prices(tmp_path / "prices", ("AAA", "BBB", "CCC", "ALT"))
    own = {"estimation_start": "-200", "estimation_end": "-31", "event_start": "-25", "event_end": "5"}
    rows = [row("E1", "2021-06-09", tickers="AAA"), row("E2", "2022-03-09", tickers="BBB", benchmark="ALT", **own)]
    found = computed(tmp_path, rows).abnormal
    assert found.panel.event_id.tolist() == ["E1", "E2"]
    assert (found.tau[0], found.tau[-1]) == (-25, 20)
    plain = by_hand(returns["AAA"], returns["IDX"], "2021-06-09", (-250, -11), (-10, 20))
    np.testing.assert_allclose(found.ar[0, 15:], plain, rtol=1e-9, atol=1e-14)
    assert np.isnan(found.ar[0, :15]).all()
    other = by_hand(returns["BBB"], returns["ALT"], "2022-03-09", (-200, -31), (-25, 5))
    np.testing.assert_allclose(found.ar[1, :31], other, rtol=1e-9, atol=1e-14)
    assert np.isnan(found.ar[1, 31:]).all()
    assert found.expected.n_estimation.tolist() == [240, 170]
    np.testing.assert_allclose(found.car((0, 1))[1], other[25:27].sum(), rtol=1e-9)
    assert np.isnan(found.car((2, 20))[1])


def test_ends_as_dates(tmp_path: Path) -> None:
    """A start on a Sunday is the Monday after it, an end on a Saturday the Friday before it."""
    returns = write_prices(tmp_path / "prices")
    own = {"estimation_start": "2021-03-07", "estimation_end": "2021-12-11"}
    found = computed(tmp_path, [row("E1", "2022-03-09", tickers="AAA", **own)]).abnormal
    at = int(np.flatnonzero(np.datetime64("2022-03-09") == DAYS)[0])
    first, last = (int(np.flatnonzero(np.datetime64(day) == DAYS)[0]) - at for day in ("2021-03-08", "2021-12-10"))
    expected = by_hand(returns["AAA"], returns["IDX"], "2022-03-09", (first, last), (-10, 20))
    np.testing.assert_allclose(found.ar[0], expected, rtol=1e-9, atol=1e-14)
    assert found.expected.n_estimation[0] == last - first + 1


def test_windows_that_do_not_follow_each_other_drop_the_event(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    rows = [row("E1", "2022-03-09", tickers="AAA", estimation_end="-5"), row("E2", "2022-03-09", tickers="BBB")]
    ledger = computed(tmp_path, rows).selection.ledger
    assert [(entry.event_id, entry.status, entry.reason.code) for entry in ledger] == [
        ("E1", "dropped", "reason.own_windows"),
        ("E2", "used", ""),
    ]


def test_a_peer_of_its_own_index(tmp_path: Path) -> None:
    returns = write_prices(tmp_path / "prices", ("AAA", "BBB", "CCC", "ALT"))
    found = computed(tmp_path, [row("E1", "2021-06-09")], extra={"BBB": 'benchmark = "ALT"'}).abnormal
    for at, (ticker, index) in enumerate((("AAA", "IDX"), ("BBB", "ALT"), ("CCC", "IDX"))):
        expected = by_hand(returns[ticker], returns[index], "2021-06-09", (-250, -11), (-10, 20))
        assert found.panel.ticker[at] == ticker
        np.testing.assert_allclose(found.ar[at], expected, rtol=1e-9, atol=1e-14)


def test_weights_of_peers_and_of_nobody(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    extra = {"AAA": "weight = 3.0", "BBB": "weight = 1.0"}
    found = computed(tmp_path, [row("E1", "2021-06-09")], 'tests.weights="value"', extra=extra)
    car = found.abnormal.car((0, 1))
    assert found.sample.at((0, 1)).shock_car == pytest.approx([(3 * car[0] + car[1]) / 4])
    dropped = [entry for entry in found.selection.ledger if entry.status == "dropped"]
    assert [(entry.ticker, entry.reason.code) for entry in dropped] == [("CCC", "reason.no_weight")]


def test_a_weight_of_the_events_file_goes_before_the_peers(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    path = write_events(
        tmp_path, [row("E1", "2021-06-09", tickers="AAA", weight="8"), row("E2", "2021-09-09", weight="2")]
    )
    events, study = read_events(path), write_study(tmp_path, ("AAA", "BBB"), extra={"AAA": "weight = 1.0"})
    config = load_config(path, config_file=study, overrides=['tests.weights="value"'])
    found = compute(
        with_shocks(events, config), config, get_prices(events, config, str(tmp_path / "prices"), tell=print)
    )
    pairs = zip(found.abnormal.panel.event_id.tolist(), found.abnormal.panel.ticker.tolist(), strict=True)
    weights = dict(zip(pairs, np.asarray(found.abnormal.panel.weight).tolist(), strict=True))
    assert weights["E1", "AAA"] == 8.0
    assert set(weights.values()) == {8.0, 2.0}
