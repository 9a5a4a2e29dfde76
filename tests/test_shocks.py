"""Shocks are sets of firm-events: what the layout of the file must not change."""

from __future__ import annotations

import ast
import datetime as dt
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from studies import event_row, write_events, write_prices

from eventstudy.api import Study
from eventstudy.backtest.trials import question_of
from eventstudy.config import StudyConfig, load_config
from eventstudy.core.estimation import compute, groups, headline_note, headline_of
from eventstudy.events import Events, read_events
from eventstudy.exchanges.calendars import align_all
from eventstudy.prices.sources import get_prices
from eventstudy.results.result import StudyResult
from eventstudy.shocks import leads_of, together, with_shocks
from eventstudy.study import run_study

PACKAGE = Path(__file__).parents[1] / "eventstudy"
TICKERS = {"AAA": "XNYS", "BBB": "XNYS", "CCC": "XNYS", "DDD": "XSHG", "EEE": "XSHG"}
GROUPS = {"AAA": "core", "BBB": "core", "CCC": "far", "DDD": "core", "EEE": "core"}
STUDY = """[study]
name = "Two exchanges"
[tests]
draws = 199
[[markets]]
mic = "XNYS"
region = "US"
benchmark = "IDX"
[[markets]]
mic = "XSHG"
region = "CN"
benchmark = "SSE"
"""


@dataclass(frozen=True, slots=True)
class News:
    """One piece of news before it is spread over rows."""

    name: str
    timestamp: str
    tickers: tuple[str, ...]
    shock: str
    label: str = "misreading"
    clarifies: str = ""

    def row(self, event_id: str, tickers: Sequence[str], *, given: bool, clarifies: str = "") -> str:
        cells = {"label": self.label, "tickers": ";".join(tickers), "clarifies": clarifies}
        if self.label in ("misreading", "genuine"):
            cells["label_asof"] = self.timestamp
        if self.clarifies:
            cells |= {"kind": "clarification"}
        return event_row(event_id, self.timestamp, shock_id=self.shock if given else "", **cells)


EVERY = tuple(TICKERS)
NEWS = (
    News("E1", "2021-04-07", EVERY, "S1"),
    # After the close in Shanghai: 9 June in New York, 10 June in Shanghai.
    News("E2", "2021-06-09T15:00-04:00", EVERY, "S2", "genuine"),
    News("C2", "2021-06-10T10:00-04:00", EVERY, "S2", "clarification", clarifies="E2"),
    News("E3", "2021-08-11", ("AAA", "CCC", "DDD"), "S3"),
    # After the close in New York: 14 October on both exchanges, as E5 says.
    News("E4", "2021-10-13T16:30-04:00", ("AAA", "BBB", "EEE"), "S4", "contested"),
    News("E5", "2021-10-14", ("CCC", "DDD"), "S4", "contested"),
)


def whole_rows(*, given: bool) -> list[str]:
    return [news.row(news.name, news.tickers, given=given, clarifies=news.clarifies) for news in NEWS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five tickers on two exchanges."""
    place = tmp_path_factory.mktemp("shocks")
    lines = [STUDY]
    for ticker, mic in TICKERS.items():
        lines.append(f'[[peers]]\nticker = "{ticker}"\nmarket = "{mic}"\ngroup = "{GROUPS[ticker]}"')
    (place / "study.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    prices = place / "prices"
    write_prices(prices, ("AAA", "BBB", "CCC"), start="2019-09-03", end="2021-12-30")
    index = (prices / "IDX.csv").read_text(encoding="utf-8")
    write_prices(prices, ("DDD", "EEE"), start="2019-09-03", end="2021-12-30", seed=8, mic="XSHG")
    (prices / "IDX.csv").rename(prices / "SSE.csv")
    (prices / "IDX.csv").write_text(index, encoding="utf-8")
    return place


def settings_of(folder: Path, *overrides: str) -> StudyConfig:
    return load_config(folder / "events.csv", config_file=folder / "study.toml", overrides=overrides)


def read(folder: Path, rows: Sequence[str]) -> Events:
    return read_events(write_events(folder, rows))


def run(folder: Path, rows: Sequence[str], *overrides: str) -> StudyResult:
    config, events = settings_of(folder, *overrides), read(folder, rows)
    return run_study(events, config, get_prices(events, config, str(folder / "prices"), tell=lambda _: None))


def texts(result: StudyResult) -> dict[str, str]:
    """Every table as text, with the names of rows and shocks replaced by those of the news."""
    found = {}
    for name, frame in result.tables.items():
        rows = frame[frame["status"] != "merged"] if name == "ledger" else frame
        text = re.sub(r"\b([EC]\d)\.\w+", r"\1", rows.to_csv(index=False))
        found[name] = re.sub(r"\bS(\d)\b", r"E\1", text)
    return found


@functools.cache
def plain(folder: Path) -> dict[str, str]:
    return texts(run(folder, whole_rows(given=True)))


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[str], int]:
    """Rows that say what `NEWS` says, and how many firm-events they repeat."""
    given_ids = draw(st.booleans())
    rows: list[str] = []
    ids: dict[str, list[str]] = {}
    repeated = 0
    for news in NEWS:
        part = draw(st.lists(st.integers(0, 2), min_size=len(news.tickers), max_size=len(news.tickers)))
        parts = [[t for t, p in zip(news.tickers, part, strict=True) if p == k] for k in range(3)]
        again = draw(st.lists(st.sampled_from(news.tickers), max_size=2, unique=True))
        repeated += len(again)
        spread = [tickers for tickers in (*parts, again) if tickers]
        names = draw(st.permutations([f"{news.name}.{k}" for k in range(len(spread))]))
        ids[news.name] = names
        for name, tickers in zip(names, spread, strict=True):
            answered = draw(st.sampled_from(ids[news.clarifies])) if news.clarifies else ""
            rows.append(news.row(name, draw(st.permutations(tickers)), given=given_ids, clarifies=answered))
    if draw(st.booleans()):
        # The very same row once more, its id included.
        extra = draw(st.sampled_from(rows))
        repeated += len(extra.split(",")[8].split(";"))
        rows.append(extra)
    return draw(st.permutations(rows)), repeated


@settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(layouts())
def test_no_layout_of_the_file_changes_a_table(folder: Path, layout: tuple[list[str], int]) -> None:
    rows, repeated = layout
    result = run(folder, rows)
    found, expected = texts(result), plain(folder)
    assert found.keys() == expected.keys()
    for name, text in expected.items():
        assert found[name] == text, name
    ledger = result.tables["ledger"]
    merged = ledger[ledger["status"] == "merged"]
    assert len(merged) == result.facts["counts"].get("merged", 0) == repeated
    assert set(merged["stage"]) <= {"shocks"}
    assert merged["reason"].str.startswith("repeated: ").all()
    assert len(result.tables["car"]) > 60


def test_one_row_a_firm_and_one_row_a_date_give_the_same_study(folder: Path) -> None:
    """All peers by an empty cell, by their names, and one row each with and without a shock_id."""
    days = ("2021-04-07", "2021-06-09", "2021-08-11", "2021-10-13")
    labelled = {"label": "misreading", "label_asof": "2021-01-04"}
    layouts = {
        "empty": [event_row(f"E{k}", day, **labelled) for k, day in enumerate(days)],
        "named": [event_row(f"E{k}", day, tickers=";".join(EVERY), **labelled) for k, day in enumerate(days)],
        "firms": [
            event_row(f"E{k}.{ticker}", day, tickers=ticker, **labelled)
            for ticker in reversed(EVERY)
            for k, day in enumerate(days)
        ],
    }
    layouts["shocks"] = [
        event_row(f"E{k}.{ticker}", day, tickers=ticker, shock_id=f"S{k}", **labelled)
        for k, day in enumerate(days)
        for ticker in EVERY
    ]
    found = {name: run(folder, rows) for name, rows in layouts.items()}
    for name in ("named", "firms", "shocks"):
        assert texts(found[name]) == texts(found["empty"]), name
    tests = found["firms"].tables["tests"].set_index(["group", "window", "name"])
    row = tests.loc["all", "[0,1]", "date_t"]
    car = found["firms"].tables["car"]
    assert (row["n_events"], row["n_dates"]) == (20, 4)
    drop = car[car["window"] == "[0,1]"].merge(pd.Series(TICKERS, name="mic"), left_on="ticker", right_index=True)
    by_region = drop.groupby(["shock_id", "mic"])["car"].mean().groupby("shock_id").mean()
    assert row["estimate"] == pytest.approx(by_region.mean(), rel=1e-10)


def test_the_counts_of_the_summary_are_of_events_and_not_of_rows(folder: Path) -> None:
    """One event in time, one late by the exchange that closes first, one without a time."""
    cells = (
        ("2021-04-07", "misreading", "2021-04-06"),
        # Over everywhere on 11 August 12:00 UTC: after Shanghai's close of day +1, before New York's.
        ("2021-08-09", "genuine", "2021-08-10"),
        ("2021-10-13", "contested", ""),
    )

    def row(k: int, name: str, tickers: Sequence[str]) -> str:
        day, label, asof = cells[k]
        return event_row(name, day, tickers=";".join(tickers), label=label, label_asof=asof, shock_id=f"S{k}")

    layouts = (
        [row(k, f"E{k}.0", EVERY) for k in range(3)],
        [row(k, f"E{k}.{i}", (ticker,)) for k in range(3) for i, ticker in enumerate(EVERY)],
        [row(k, f"E{k}.{i}", part) for k in (2, 0, 1) for i, part in enumerate((EVERY[3:], EVERY[:3], EVERY))],
    )
    for rows in layouts:
        facts = run(folder, rows).facts
        assert facts["events"] == {
            "n_events": 3,
            "n_shocks": 3,
            "n_peers": 5,
            "by_label": {"misreading": 1, "genuine": 1, "contested": 1},
        }
        assert facts["labels"] == {
            "ex_ante": 1,
            "post_hoc": 1,
            "post_hoc_events": ["E1.0"],
            "undated": 1,
            "undated_events": ["E2.0"],
        }
        late = {r["group"].rpartition("label=")[2]: r["n_late"] for r in facts["small_table"]}
        assert (late["misreading"], late["genuine"], late["contested"]) == (0, 1, 1)


def test_shock_ids_of_one_day_are_one_date_in_every_test_and_two_rows_in_the_tables(folder: Path) -> None:
    days = ("2021-04-07", "2021-06-09", "2021-08-11", "2021-10-13")
    labelled = {"label": "misreading", "label_asof": "2021-01-04"}
    one = run(folder, [event_row(f"E{k}", day, **labelled) for k, day in enumerate(days)])
    many = run(
        folder,
        [
            event_row(f"E{k}.{ticker}", day, tickers=ticker, shock_id=f"S{k}{ticker}", **labelled)
            for k, day in enumerate(days)
            for ticker in EVERY
        ],
    )
    assert len(many.tables["shocks"]["shock_id"].unique()) == 16  # Four dates, four peers of the group.
    assert len(many.tables["reversal"]) == 16
    first, second = (
        result.tables["tests"].query("not group.str.contains('shock_id')").reset_index(drop=True)
        for result in (one, many)
    )
    pd.testing.assert_frame_equal(first, second)
    aar = [r.tables["aar"].query("group == 'all'").reset_index(drop=True) for r in (one, many)]
    pd.testing.assert_frame_equal(*aar)
    multiple = [result.tables["multiplicity"] for result in (one, many)]
    pd.testing.assert_frame_equal(*multiple)
    assert any("have the same day 0" in text for text in many.facts["warnings"])


def test_the_lead_is_the_rows_of_the_first_day_and_no_answer(folder: Path) -> None:
    rows = [
        event_row("C", "2021-06-03", kind="clarification", label="clarification", shock_id="S", clarifies="A"),
        event_row("L", "2021-06-25", shock_id="S"),
        event_row("B", "2021-06-09T14:00-04:00", shock_id="S", tickers="BBB"),
        event_row("A", "2021-06-09", shock_id="S", tickers="AAA"),
        # Known in New York on 9 June after the close of Shanghai, where it is 10 June.
        event_row("D", "2021-06-09", shock_id="T", tickers="AAA"),
        event_row("F", "2021-06-10", shock_id="T", tickers="DDD"),
        event_row("G", "2021-07-07T15:00-04:00", shock_id="U", tickers="AAA"),
        event_row("H", "2021-07-07T15:00-04:00", shock_id="U", tickers="DDD"),
    ]
    config = settings_of(folder)
    events = with_shocks(read(folder, rows), config)
    leads = leads_of(events, config, align_all(events, config))
    assert {name: sorted(e.event_id for e in lead.rows) for name, lead in leads.items()} == {
        "S": ["A", "B"],
        "T": ["D"],
        "U": ["G", "H"],
    }
    assert leads["S"].event.tickers == ("AAA", "BBB")
    assert leads["U"].pairs == {("G", "XNYS"), ("H", "XSHG")}


def test_rows_without_a_shock_id_are_grouped_by_region_and_day_and_never_chain(folder: Path) -> None:
    rows = [
        event_row("tue", "2021-06-08T15:00-04:00"),
        event_row("tue-us", "2021-06-08", tickers="CCC"),
        # 9 June on both exchanges: the day of "tue" in Shanghai, another one in New York.
        event_row("wed", "2021-06-09T10:00+08:00"),
        event_row("wed-us", "2021-06-09T15:00-04:00", tickers="AAA"),
        event_row("thu-cn", "2021-06-10", tickers="DDD"),
        event_row("answer", "2021-06-11", kind="clarification", label="clarification", clarifies="wed-us"),
        event_row("loose", "2021-06-10", kind="clarification", label="clarification", tickers="EEE"),
        event_row("named", "2021-06-10", shock_id="N", tickers="DDD"),
        event_row("follows", "2021-06-22", shock_id="wed"),
    ]
    config = settings_of(folder)
    for order in (rows, rows[::-1]):
        events = with_shocks(read(folder, order), config)
        assert {event.event_id: event.shock_id for event in events} == {
            "tue": "tue",
            "tue-us": "tue",
            "wed": "wed",
            "wed-us": "wed-us",
            "thu-cn": "loose",
            "answer": "wed-us",
            "loose": "loose",
            "named": "N",
            "follows": "wed",
        }
        assert with_shocks(events, config) == events


def test_rows_that_disagree_on_the_label_make_the_shock_unknown_and_are_warned_of(folder: Path) -> None:
    rows = [
        event_row("A", "2021-06-09", label="misreading", label_asof="2021-06-09", tickers="AAA"),
        event_row("B", "2021-06-09", label="genuine", label_asof="2021-06-10", tickers="BBB"),
        event_row("D", "2021-08-11", label="genuine", label_asof="2021-08-12", tickers="AAA"),
        event_row("E", "2021-08-11", label="genuine", label_asof="2021-08-14", tickers="BBB"),
    ]
    for order in (rows, rows[::-1]):
        result = run(folder, order)
        labels = result.tables["reversal"].set_index("shock_id")["label"].to_dict()
        assert labels == {"A": "unknown", "D": "genuine"}
        said = [text for text in result.facts["warnings"] if "different labels" in text]
        text = "shock A: its first rows have different labels (genuine, misreading), so the shock "
        assert said == [text + "counts as unknown; give them one label"]
    config = settings_of(folder)
    events = with_shocks(read(folder, rows), config)
    lead = leads_of(events, config, align_all(events, config))["D"]
    assert lead.event.label_asof == dt.date(2021, 8, 14)


def test_rows_of_one_message_are_one_event(folder: Path) -> None:
    rows = [
        event_row("B", "2021-06-09", tickers="AAA", title="x"),
        event_row("A", "2021-06-09", tickers="DDD;BBB", title="x"),
        event_row("C", "2021-06-09", tickers="AAA", title="y"),
    ]
    whole = together(with_shocks(read(folder, rows), settings_of(folder)))
    assert whole["A"] is whole["B"]
    assert (whole["B"].event_id, whole["B"].tickers) == ("A", ("AAA", "BBB", "DDD"))
    assert whole["C"].event_id == "C"


def test_another_layout_is_no_other_trading_question(folder: Path) -> None:
    config = settings_of(folder)
    base = question_of(read(folder, whole_rows(given=True)), config)
    rows = [
        news.row(f"{news.name}.{t}", [t], given=False, clarifies=f"{news.clarifies}.AAA" * bool(news.clarifies))
        for news in NEWS
        for t in news.tickers
    ]
    assert question_of(read(folder, rows[::-1]), config) == base
    later = [replace(NEWS[0], timestamp="2021-04-08").row("E1", EVERY, given=False), *rows[5:]]
    assert question_of(read(folder, later), config) != base


def test_a_frame_gives_what_the_file_gives(folder: Path) -> None:
    days = ("2021-04-07", "2021-06-09", "2021-08-11")
    frame = pd.DataFrame(
        [
            {
                "event_id": f"E{k}.{ticker}",
                "timestamp": pd.Timestamp(day),
                "precision": "date",
                "kind": "report",
                "label": "unknown",
                "tickers": [ticker],
            }
            for k, day in enumerate(days)
            for ticker in EVERY
        ]
    )
    study = Study.from_toml(folder / "study.toml")
    found = study.run(frame, folder / "prices")
    expected = run(folder, [event_row(f"E{k}", day) for k, day in enumerate(days)])
    assert texts(found) == texts(expected)


def test_events_of_one_peer_group_alone_run_and_the_headline_says_whose_it_is(folder: Path) -> None:
    rows = [event_row("E1", "2021-06-09", tickers="CCC"), event_row("E2", "2021-08-11", tickers="CCC")]
    result = run(folder, rows)
    assert result.facts["headline_group"] == "all"
    assert result.facts["headline"]["n_dates"] == 2
    said = "no firm-event of the peer group core can be used; the headline is that of far"
    assert said in result.facts["warnings"]
    asked = run(folder, rows, "study.headline=core")
    assert asked.facts["headline_group"] == "peers=far"
    assert said in asked.facts["warnings"]
    assert len(asked.tables["multiplicity"])
    config, events = settings_of(folder), read(folder, [event_row("E1", "2021-06-09")])
    prices = get_prices(events, config, str(folder / "prices"), tell=lambda _: None)
    samples = list(groups(compute(with_shocks(events, config), config, prices).sample, events, config))
    assert headline_of(samples, config).group == "peers=core"
    assert not headline_note(headline_of(samples, config), config)


def test_no_next_without_a_default() -> None:
    """A bare next() on what a user can empty ends a run in a StopIteration that says nothing."""
    bare = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "next"
        and len(node.args) < 2
    ]
    assert bare == []
