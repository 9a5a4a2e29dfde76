"""Warnings of a result are told wherever it is, the most serious first; a check says what a run would."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main
from eventstudy.messages import catalogue, joined, say
from eventstudy.report.packs import read_pack
from eventstudy.report.terminal import MOST_WARNINGS, print_warnings
from eventstudy.results.severity import DEFAULT, LEVELS, SEVERITY, known, severity, worst_first

ROWS = [
    event_row("E1", "2021-06-09", shock_id="S1", label="no_news", tickers="aaa;NOPE"),
    event_row("E2", "2021-06-09", shock_id="S2", label="genuine", label_asof="2021-06-09"),
    event_row("E3", "2021-09-08", kind="clarification", label="clarification"),
]


@pytest.fixture
def study(tmp_path: Path) -> list[str]:
    write_prices(tmp_path / "prices")
    path = tmp_path / "prices" / "BBB.csv"
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    # BBB has no adj_close: its closes stand for adjusted ones.
    path.write_text("\n".join(",".join((*row[:2], row[3])) for row in lines) + "\n", encoding="utf-8")
    events, config = write_events(tmp_path, ROWS), write_study(tmp_path)
    return [str(events), "--config", str(config), "--set", "reversal.label=no_news"]


def test_every_level_of_the_table_is_one_and_every_code_is_a_message() -> None:
    keys = {key.removeprefix("say.") for key in catalogue("en") if key.startswith("say.")}
    sections = {key.split(".")[0] for key in keys}
    assert set(SEVERITY.values()) == set(LEVELS)
    assert {code for code in SEVERITY if code not in keys | sections} == set()
    assert DEFAULT in LEVELS


def test_warnings_are_ordered_by_their_codes() -> None:
    note = say("events.ticker", line=2, given="aaa", ticker="AAA")
    caution = say("events.clarifies_none", event="E1")
    serious = say("price.unadjusted", tickers="BBB")
    other = say("events.clarifies_none", event="E2")
    assert [severity(text) for text in (note, caution, serious)] == ["note", "caution", "serious"]
    given = [note, caution, "no code", serious, other, caution]
    assert worst_first(given) == [serious, caution, "no code", other, note]
    # What is made of others is as grave as the gravest of them.
    assert severity(joined([note, serious])) == "serious"
    assert severity(say("price.of", ticker="A", text=say("price.alias", alias="B"))) == "note"


def test_a_run_tells_its_warnings_everywhere_the_gravest_first(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--set", 'report.formats=["json","md"]', "--set", "tests.draws=99"]
    command = ["run", *study, "--prices", str(tmp_path / "prices"), *more, "--out", str(tmp_path / "out")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    pack = read_pack(tmp_path / "out" / "latest")
    warnings = pack.facts["warnings"]
    levels = [LEVELS.index(severity(text)) for text in warnings]
    assert levels == sorted(levels)
    assert {0, 1, 2} == set(levels)
    # The table knows every one of them.
    assert [text for text in warnings if not known(text)] == []
    for said in (
        "BBB: no adj_close, so close is used; it must already be adjusted for splits and dividends",
        "1 no news event(s) without label_asof do not count in any confirmatory verdict (E1)",
        "NOPE, named by E1, is not a peer of this study",
        "E3 is a clarification without 'clarifies'",
        "ticker 'aaa' read as 'AAA'",
    ):
        assert sum(said in text for text in warnings) == 1, said
    page = (tmp_path / "out" / "latest" / "summary.md").read_text(encoding="utf-8")
    head = f"Warnings ({len(warnings)}), the most serious first"
    assert head in printed
    assert head in re.sub(r"\\", "", page)
    at_terminal = [printed.index(f"– {text}") for text in warnings]
    on_page = [re.sub(r"\\", "", page).index(f"- {text}") for text in warnings]
    assert at_terminal == sorted(at_terminal)
    assert on_page == sorted(on_page)
    assert main(["show", str(tmp_path / "out" / "latest")]) == 0
    assert f"– {warnings[0]}" in capsys.readouterr().out
    assert f"- {warnings[0]}" in " ".join(pack.summary().split())


def test_a_run_names_the_peers_that_have_no_prices(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices", ("AAA", "BBB"))
    (tmp_path / "prices" / "BBB.csv").rename(tmp_path / "prices" / "BBB (1).csv")
    events, config = write_events(tmp_path, [event_row("E1", "2021-06-09")]), write_study(tmp_path)
    given = [str(events), "--config", str(config), "--prices", str(tmp_path / "prices")]
    assert main(["run", *given, "--set", 'report.formats=["json"]', "--out", str(tmp_path / "out"), "--quiet"]) == 0
    told = read_pack(tmp_path / "out" / "latest").facts["warnings"]
    said = "their 2 firm-event(s) are dropped (no file BBB.csv in the folder prices, but there is BBB (1).csv)"
    assert [text for text in told if "No prices" in text] == [f"No prices for BBB, CCC: {said}"]


def test_a_check_tells_what_a_run_would(study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *study, "--prices", str(tmp_path / "prices")]) == 0
    printed = capsys.readouterr().out
    order = ("BBB: no adj_close", "NOPE, named by E1", "'aaa' read as")
    places = [printed.index(said) for said in order]
    assert places == sorted(places)
    assert printed.count("read as 'AAA'") == 1
    assert main(["check", *study, "--prices", str(tmp_path / "prices"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["warnings"]
    assert told[0].startswith("1 no news event(s) without label_asof")
    assert sum("E1, E2 have the same day 0, 2021-06-09, for 1 peers" in text for text in told) == 1


def test_a_check_without_prices_names_tickers_that_are_no_peers(
    study: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *study]) == 0
    assert (
        "NOPE, named by E1, is not a peer of this study and is left out: add it to the study file"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_a_check_that_finds_nothing_to_use_ends_as_the_run_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    events = write_events(tmp_path, [event_row("E1", "2021-06-09", tickers="NOPE")])
    given = [str(events), "--config", str(write_study(tmp_path)), *(["--json"] if as_json else [])]
    assert main(["check", *given]) == 3
    found = capsys.readouterr()
    assert "no event × peer can be studied (no event has a peer with a day 0)" in found.err
    assert "NOPE, named by E1" in found.out
    write_prices(tmp_path / "prices")
    assert main(["check", *given, "--prices", str(tmp_path / "prices")]) == 3
    assert "no event × peer can be studied (not_a_peer 1)" in capsys.readouterr().err


def test_prices_beside_the_events_go_before_those_of_the_working_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    home.mkdir()
    write_prices(home / "prices")
    # Another study's folder of the same name, with none of these tickers.
    (elsewhere / "prices").mkdir(parents=True)
    events, config = write_events(home, ROWS), write_study(home)
    monkeypatch.chdir(elsewhere)
    assert main(["check", str(events), "--config", str(config), "--set", 'prices.source="prices"']) == 0
    assert "7 event × peer pairs used" in capsys.readouterr().out


def test_a_long_list_of_warnings_stops_at_the_terminal_and_says_where_the_rest_is() -> None:
    written = io.StringIO()
    warnings = [f"warning {i}" for i in range(MOST_WARNINGS + 3)]
    console = Console(file=written, width=100)
    print_warnings(warnings, console, catalogue("en"), most=MOST_WARNINGS)
    lines = written.getvalue().splitlines()
    assert lines[0] == f"Warnings ({MOST_WARNINGS + 3}), the most serious first"
    assert [line for line in lines if line.startswith("– ")] == [f"– {text}" for text in warnings[:MOST_WARNINGS]]
    assert lines[-1] == "3 further rows are in summary.json."
    print_warnings(warnings, Console(file=(whole := io.StringIO()), width=100), catalogue("en"))
    assert whole.getvalue().count("– ") == MOST_WARNINGS + 3
