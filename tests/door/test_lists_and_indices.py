"""Lists of any size through the one door, from Python and the command, and indices that stand elsewhere."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_corpus import (
    EVENT_FILES,
    EVENTS,
    RIGHT,
    WORLD,
    cars,
    excel,
    least_squares,
    long,
    same,
    saved,
    text_of,
    written,
)

import eventstudy
from eventstudy.cli import main
from eventstudy.errors import ConfigError, PriceError
from eventstudy.events import read_events
from eventstudy.large.length import is_long

LISTED = pd.DataFrame(EVENTS, columns=["ticker", "date"])
SETTINGS: dict[str, Any] = {
    "windows": {"car": [(0, 1)], "estimation": (-130, -11), "minimum": 100, "clean_estimation": False},
    "reversal": {"specification_curve": False},
}
SHARES = WORLD.drop(columns="^GSPC")
INDEX = WORLD[["^GSPC"]].rename(columns={"^GSPC": "Close"})
#: Shares in returns with the index's in a column of each row, as a panel of CRSP has it.
PANEL = (
    SHARES.pct_change()
    .rename_axis(columns="subject_id")
    .stack()
    .rename("ret_dlst_adj")
    .reset_index()
    .merge(WORLD["^GSPC"].pct_change().rename("vwretd").reset_index(), on="Date")
)


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold fewer firm-events in memory than the list has."""
    for module in ("large.event_list", "large.length", "config"):
        monkeypatch.setattr(f"eventstudy.{module}.IN_MEMORY", len(EVENTS) - 1)


def folder_of(files: dict[str, bytes | str]) -> Callable[[Path], Path]:
    def make(place: Path) -> Path:
        (place / "prices").mkdir()
        for name, content in files.items():
            written(place / "prices", name, content)
        return place / "prices"

    return make


def file_of(name: str, content: bytes | str) -> Callable[[Path], Path]:
    return lambda place: written(place, name, content)


PACKED = gzip.compress(text_of(long("adj_close", "ticker", "date")).encode(), mtime=0)
ONE_EACH = {f"{name}.csv.gz": gzip.compress(WORLD[name].rename("Close").to_csv().encode(), mtime=0) for name in WORLD}
SOURCES: dict[str, Callable[[Path], Any]] = {
    "long CSV": file_of("prices.csv", text_of(long("adj_close", "ticker", "date"))),
    "close alone": file_of("prices.csv", text_of(long("close", "ticker", "date"))),
    "long Parquet": file_of("prices.parquet", saved(long(), "parquet")),
    "long workbook": file_of("prices.xlsx", excel(long())),
    "packed": file_of("prices.csv.gz", PACKED),
    "wide": file_of("prices.csv", WORLD.to_csv()),
    "wide workbook": file_of("prices.xlsx", excel(WORLD.reset_index())),
    "a file each, packed": folder_of(ONE_EACH),
    "a table and the index": folder_of({"shares.csv": SHARES.to_csv(), "^GSPC.csv": INDEX.to_csv()}),
    "a long table and the index": folder_of(
        {"all.csv": text_of(long().query("Ticker != '^GSPC'")), "^GSPC.csv": INDEX.to_csv()}
    ),
    "wide frame": lambda _: WORLD,
    "long frame": lambda _: long("adj_close", "ticker", "date"),
}
LISTS: dict[str, Callable[[Path], Any]] = {
    "CSV": file_of("events.csv", text_of(LISTED)),
    "workbook": file_of("events.xlsx", EVENT_FILES["workbook"]),
    "packed": file_of("events.csv.gz", gzip.compress(text_of(LISTED).encode(), mtime=0)),
    "Parquet": file_of("events.parquet", saved(LISTED, "parquet")),
    "Stata": file_of("events.dta", EVENT_FILES["Stata"]),
    "frame": lambda _: LISTED,
    "records": lambda _: LISTED.to_dict("records"),
}


def cars_of(result: eventstudy.StudyResult) -> dict[tuple[str, str], float]:
    table = result.to_frame("car").query("window == '[0,1]'")
    days = table["event_id"].str.slice(-10)
    return dict(zip(zip(table["ticker"], days, strict=True), table["car"], strict=True))


@pytest.mark.parametrize("shape", SOURCES)
@pytest.mark.usefixtures("short_memory")
def test_a_long_list_takes_prices_in_any_shape(shape: str, tmp_path: Path) -> None:
    result = eventstudy.Study(**SETTINGS).run(LISTED, SOURCES[shape](tmp_path))
    assert result.files.keys() == {"ledger", "estimation", "car"}
    same(cars_of(result), RIGHT)


@pytest.mark.parametrize("most", [1, len(EVENTS)])
def test_an_index_may_have_an_underscore_in_its_name(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("large.event_list", "large.length", "config"):
        monkeypatch.setattr(f"eventstudy.{module}.IN_MEMORY", most)
    prices = WORLD.rename(columns={"^GSPC": "sp_500"})
    result = eventstudy.Study(benchmark="sp_500", **SETTINGS).run(LISTED, prices)
    assert bool(result.files) == (most == 1)
    same(cars_of(result), RIGHT)


@pytest.mark.parametrize("shape", SOURCES)
def test_a_short_list_takes_the_same(shape: str, tmp_path: Path) -> None:
    result = eventstudy.Study(**SETTINGS).run(LISTED, SOURCES[shape](tmp_path))
    assert not result.files
    same(cars_of(result), RIGHT)


@pytest.mark.parametrize("shape", LISTS)
@pytest.mark.usefixtures("short_memory")
def test_a_long_list_comes_in_any_container(shape: str, tmp_path: Path) -> None:
    source = LISTS[shape](tmp_path)
    assert is_long(source)
    result = eventstudy.car(source, WORLD, window=(0, 1), estimation=(-130, -11))
    assert result.files
    assert result.counts.used == len(EVENTS)
    assert result.params["[0,1]"] == pytest.approx(sum(cars_of(result).values()) / len(EVENTS), rel=1e-12)


@pytest.mark.usefixtures("short_memory")
def test_returns_in_a_frame_and_the_column_of_the_index_by_sums() -> None:
    result = eventstudy.Study(**SETTINGS).run(LISTED, WORLD.pct_change().iloc[1:], prices_are="returns")
    same(cars_of(result), RIGHT)
    result = eventstudy.Study(benchmark="vwretd", **SETTINGS).run(LISTED, PANEL)
    same(cars_of(result), RIGHT)


@pytest.mark.usefixtures("short_memory")
def test_a_long_list_is_refused_what_it_cannot_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prices = 'yahoo': more than .* need those of a folder, a file or a frame"):
        eventstudy.Study(**SETTINGS).run(LISTED, "yahoo")
    with pytest.raises(ConfigError, match=r"model\.name = 'garch'"):
        eventstudy.Study(model="garch", **SETTINGS).run(LISTED, WORLD)
    two = LISTED.assign(ticker=["AAA", "BBB.PA", "CCC", "AAA"])
    with pytest.raises(ConfigError, match=r"2 markets: more than .* one exchange"):
        eventstudy.Study(**SETTINGS).run(two, WORLD)


def test_the_index_is_a_file_a_column_or_a_ticker_in_small_letters(tmp_path: Path) -> None:
    events = read_events(written(tmp_path, "events.csv", text_of(LISTED)))
    panel, shares = written(tmp_path, "panel.csv", text_of(PANEL)), written(tmp_path, "shares.csv", SHARES.to_csv())
    same(cars(events, str(panel), "vwretd"), RIGHT)
    same(cars(events, str(shares), str(written(tmp_path, "sp500.csv", INDEX.to_csv()))), RIGHT)
    named = WORLD.rename(columns={"^GSPC": "VWRETD"})
    same(cars(events, str(written(tmp_path, "wide.csv", named.to_csv())), "vwretd"), RIGHT)
    with pytest.raises(ConfigError, match=r"benchmark 'nowhere\.csv': there is no such file"):
        cars(events, str(shares), "nowhere.csv")
    torn = PANEL.assign(vwretd=PANEL["vwretd"].where(PANEL["subject_id"] != "BBB", 0.5))
    with pytest.raises(PriceError, match=r"vwretd has two values on .*; a column that is an index has one a day"):
        cars(events, str(written(tmp_path, "torn.csv", text_of(torn))), "vwretd")


@pytest.mark.usefixtures("short_memory")
def test_a_check_of_a_long_list_goes_the_way_of_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = eventstudy.Study(**SETTINGS)
    found, result = study.check(LISTED, WORLD), study.run(LISTED, WORLD)
    assert found.to_frame().equals(result.to_frame("ledger"))
    assert list(found.to_frame("alignment")["session"]) == list(result.to_frame("alignment")["session"])
    assert list(found.warnings) == result.facts["warnings"]
    with pytest.raises(ConfigError, match=r"prices = None: more than"):
        study.check(LISTED)
    events, prices = written(tmp_path, "mine.csv", text_of(LISTED)), written(tmp_path, "wide.csv", WORLD.to_csv())
    quick = ("windows.estimation=[-130,-11]", "windows.minimum=100", "windows.clean_estimation=false")
    asked = ["check", str(events), *(part for setting in quick for part in ("--set", setting))]
    assert main([*asked, "--prices", str(prices)]) == 0
    assert f"Ledger: {len(EVENTS)} event × peer pairs used" in capsys.readouterr().out
    assert main([*asked, "--prices", str(prices), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["used"] == len(EVENTS)
    assert main(asked) == 2
    assert "give --prices, a file or folder" in " ".join(capsys.readouterr().err.replace("│", "").split())


@pytest.mark.usefixtures("short_memory")
def test_the_command_takes_a_long_list_with_a_folder_and_the_file_of_an_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = written(tmp_path, "mine.xlsx", EVENT_FILES["workbook"])
    prices, index = written(tmp_path, "shares.csv", SHARES.to_csv()), written(tmp_path, "sp500.csv", INDEX.to_csv())
    quick = ("windows.estimation=[-130,-11]", "windows.clean_estimation=false", 'report.formats=["csv","json"]')
    options = [part for setting in quick for part in ("--set", setting)]
    asked = ["run", str(events), "--prices", str(prices), "--benchmark", str(index), *options]
    assert main([*asked, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    pack = Path(capsys.readouterr().out.strip())
    table = pd.read_parquet(pack / "tables" / "car.parquet").query("window == '[0,1]'")
    found = {ticker: car for ticker, car in zip(table["ticker"], table["car"], strict=True) if ticker != "AAA"}
    assert found == pytest.approx(
        {name: least_squares(WORLD, name, day) for name, day in EVENTS if name != "AAA"}, abs=1e-9
    )
    assert main(["verify", str(pack), "--no-pages"]) == 0
