"""The health care sector that ships with its own prices: the data, the dates, and the run from anywhere."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eventstudy.cli import main
from eventstudy.config import SECTORS, load_config
from eventstudy.core.statistics.dates import t_interval
from eventstudy.events import read_events
from eventstudy.exchanges.calendars import align_all, sessions
from eventstudy.messages import catalogue
from eventstudy.report.packs import read_pack
from eventstudy.report.sections.answer import small_table

HOME = SECTORS / "healthcare"
PRICES = pd.read_parquet(HOME / "prices.parquet").pivot(index="date", columns="ticker", values="adj_close")
RETURNS = PRICES.pct_change()


def test_prices_are_the_source_on_every_session_of_new_york() -> None:
    assert list(PRICES.columns) == ["JNJ", "LLY", "MRK", "PFE", "UNH", "^GSPC"]
    days = PRICES.index.to_numpy("datetime64[D]")
    first, last = days[0].astype(object), days[-1].astype(object)
    assert (str(first), str(last), len(days)) == ("2012-01-03", "2022-12-28", 2766)
    np.testing.assert_array_equal(days, sessions("XNYS", first, last))
    assert PRICES.notna().all(axis=None)
    assert PRICES.iloc[-1].tolist() == [174.085, 363.098, 109.581, 49.25, 524.422, 3783.22]
    assert (HOME / "prices.parquet").stat().st_size < 400_000


@pytest.mark.parametrize(
    ("day", "ticker", "reported"),
    [
        # Closing moves in the sources that the events name.
        ("2016-11-09", "PFE", 0.07),
        ("2016-11-09", "MRK", 0.06),
        ("2018-12-14", "JNJ", -0.10),
        ("2019-04-16", "UNH", -0.04),
        ("2019-07-11", "UNH", 0.06),
        ("2019-07-30", "PFE", -0.064),
        ("2019-10-18", "JNJ", -0.06),
        ("2020-03-04", "UNH", 0.107),
        ("2021-03-15", "LLY", -0.09),
    ],
)
def test_prices_move_as_the_press_reported(day: str, ticker: str, reported: float) -> None:
    moved = RETURNS.loc[pd.Timestamp(day).date(), ticker]
    assert moved == pytest.approx(reported, abs=0.0075)


def test_the_source_of_the_prices_is_told_with_its_licence() -> None:
    text = (HOME / "PRICES.txt").read_text(encoding="utf-8")
    for part in ("skfolio 1.12.2", "BSD 3-Clause License", "The skfolio developers", "Changed:", "stale"):
        assert part in text


def test_every_event_names_its_source_and_what_was_known_when() -> None:
    events = read_events(HOME / "events.csv")
    assert len(events) == 35
    assert all(event.source and event.source_url.startswith("http") and event.notes for event in events)
    known = {ticker for event in events for ticker in event.tickers}
    assert known == {"JNJ", "LLY", "MRK", "PFE", "UNH"}
    scares = [event for event in events if event.label == "misreading"]
    # That a scare came to nothing was never known when the drop window closed.
    assert len(scares) == 12
    for event in scares:
        days = pd.Timestamp(str(event.label_asof)[:10]) - pd.Timestamp(str(event.timestamp)[:10])
        assert days.days > 21, event.event_id


def test_day_0_is_the_first_session_that_could_react() -> None:
    config = load_config(HOME / "events.csv", sector="healthcare")
    found = align_all(read_events(HOME / "events.csv"), config)
    days = {event: str(a.session) for (event, _), a in found.items()}
    assert days["CLIN15"] == "2015-09-21"  # in the session
    assert days["DOJ17"] == "2017-02-17"  # after the close
    assert days["BARI17"] == "2017-04-17"  # Good Friday
    assert days["NEV20"] == "2020-02-24"  # a Saturday
    assert days["IRA22"] == "2022-07-28"  # after the close


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without files of one's own, from a folder that holds nothing."""
    here = tmp_path_factory.mktemp("anywhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        changed = ('report.formats=["csv","json"]', "reversal.specification_curve=false", "tests.draws=199")
        settings = [part for text in changed for part in ("--set", text)]
        assert main(["run", "--example", "healthcare", "--out", "packs", "--quiet", *settings]) == 0
    return here / "packs" / "latest"


def test_the_example_runs_from_anywhere_on_its_own_prices(pack: Path) -> None:
    facts = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    assert not facts["simulated"]
    assert facts["price_source"] == "shipped with the package (healthcare)"
    counts = facts["counts"]
    assert (counts["used"], counts["dropped"]) == (77, 0)
    assert facts["labels"]["post_hoc"] == 13
    assert facts["verdict"]["kind"] == "inconclusive"
    assert facts["verdict"]["n_dates"] == 0
    with (pack / "tables" / "reversal.csv").open(encoding="utf-8") as file:
        roles = {row["shock_id"]: row["role"] for row in csv.DictReader(file)}
    assert roles["ABC18"] == "exploratory"
    assert roles["ACA15"] == "comparison"


def test_rows_of_page_1_that_rest_on_late_labels_are_marked(pack: Path) -> None:
    result = read_pack(pack)
    late = {row["group"]: (row["n_late"], row["n_dates"]) for row in result.facts["small_table"]}
    assert late == {
        "all": (0, 33),
        "label=misreading": (12, 12),
        "label=genuine": (1, 9),
        # Shipped without a time: no verdict on them is confirmatory.
        "label=contested": (7, 7),
    }
    shown = small_table(result.facts, catalogue("en"))
    marked = {row[0] for row in shown.rows if row[0].endswith(" †")}
    assert marked == {"misreading †", "genuine †", "contested †"}
    said = (
        "† Labels set after the drop, or without a time: 12 of 12 dates (misreading), 1 of 9 dates "
        "(genuine), 7 of 7 dates (contested)."
    )
    assert said in shown.foot


def test_the_page_says_what_the_genuine_dates_can_show(pack: Path) -> None:
    facts = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    table = {(row["group"], row["window"]): row for row in facts["small_table"]}
    drop, post = table["label=genuine", "[0,1]"], table["label=genuine", "[2,20]"]
    tests = pd.read_csv(pack / "tables" / "tests.csv").set_index(["group", "window", "name"])["p_value"]
    scares = table["label=misreading", "[0,1]"]
    p_drop, p_post = tests["label=misreading", "[0,1]", "date_t"], tests["label=genuine", "[2,20]", "date_t"]
    rows = pd.read_csv(pack / "tables" / "shocks.csv")
    rows = rows[(rows["label"] == "genuine") & (rows["window"] == "[2,20]")]
    low, high = t_interval(rows["car"].to_numpy())
    page = " ".join((HOME.parents[2] / "docs" / "sectors-and-pooling.md").read_text(encoding="utf-8").split())
    for said in (
        f"the shares fell by {-drop['estimate']:.1%}",
        f"the mean is {post['estimate']:.1%}",
        f"(K = {post['n_dates']}, 95 % interval {100 * low:.1f} to {high:+.1%}, p = {p_post:.2f})",
        f"({scares['n_dates']} dates, date t {p_drop:.3f}) are circular",
    ):
        assert said.replace("-", "−").replace("%", " %").replace("  %", " %") in page
    assert "not given back" not in page


def test_what_closes_alone_cannot_show_is_said(pack: Path) -> None:
    facts = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    (said,) = [text for text in facts["warnings"] if text.startswith("These prices lack")]
    assert "lack volume, open, high, low:" in said
    assert "capacity and price impact are unknown" in said
    assert facts["backtest"]["capacity"] == {}
    assert facts["backtest"]["currency"] == "results add up as shares of capital in USD"
    assert any("capacity is unknown" in text for text in facts["backtest"]["caveats"])
    assert not any("mainland" in text for text in facts["backtest"]["caveats"])


def test_the_pack_verifies_without_naming_events_or_prices(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify", str(pack)]) == 0
    assert "recomputed and equal" in capsys.readouterr().out


def test_check_shows_the_ledger_of_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--example", "healthcare"]) == 0
    out = capsys.readouterr().out
    assert "77 event × peer pairs used" in out
    assert "2017-04-17 ~" in out


def test_sectors_say_what_ships(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sectors"]) == 0
    answered, first, second = capsys.readouterr().out.splitlines()
    assert answered == "answered_reports: Answered reports; 202 peers on XNYS; ships events, no prices"
    assert first == "healthcare: Health care; 5 peers on XNYS; ships events and prices"
    assert second.startswith("optical:")
    assert second.endswith("ships events, no prices")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "no events file given"),
        (["check", "--example", "healthcare", "--sector", "optical"], "--example names the sector itself"),
        (["check", "--example", "healthcar"], "did you mean 'healthcare'"),
        (["run", "x.csv", "--sector", "optical", "--prices", "example:optical"], "x.csv: cannot be read"),
        (["run", "--example", "optical", "--prices", "example:optical"], "this sector has no prices in the package"),
    ],
)
def test_wrong_examples_are_refused(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_simulation_takes_as_many_peers_as_the_sector_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = ["--draws", "2", "--set", 'tests.names=["date_t"]']
    given = ["--example", "healthcare", *one, "--out", str(tmp_path)]
    assert main(["simulate", *given]) == 0
    # Five peers; by default there would be eight on a date.
    assert "2 draws of 10 dates × 5 peers" in " ".join(capsys.readouterr().out.split())
    assert main(["simulate", *given, "--peers", "8"]) == 3
    assert "on which 8 peers have their windows" in " ".join(capsys.readouterr().err.split())
