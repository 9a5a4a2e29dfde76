"""Labels in time: what was known when, and which label a shock has."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from reversal_studies import drop_days, study
from studies import HEADER, event_row, write_events, write_prices

from eventstudy.api import Study
from eventstudy.backtest.tapes import shocks_of, tapes_of
from eventstudy.config import Market, Peer, StudyConfig, Windows
from eventstudy.errors import Reason
from eventstudy.events import Event, over_everywhere, parse_events, read_events
from eventstudy.exchanges.calendars import align_all
from eventstudy.messages import text
from eventstudy.prices.sources import get_prices
from eventstudy.results.result import StudyResult
from eventstudy.reversal import findings, label_timing, reversal_summary, tables
from eventstudy.reversal.labels import LATE, UNDATED, drop_over, label_evidence, untimely

CONFIG = StudyConfig(
    markets=(Market("XNYS", "IDX", "US"), Market("XSHG", "SSE", "CN")),
    peers=(Peer(ticker="AAA", market="XNYS"), Peer(ticker="600000.SS", market="XSHG")),
)


#: After New York's close: day 0 is 10 June on both exchanges. Day +1 ends at 07:00 UTC in Shanghai, at 20:00
#: in New York.
AFTER_CLOSE = "2021-06-09T20:30:00+00:00"


BOTH, US = ["XNYS", "XSHG"], ["XNYS"]


def reason(asof: str, counted: list[str], timestamp: str = AFTER_CLOSE, config: StudyConfig = CONFIG) -> str:
    row = event_row("E1", timestamp, label="misreading", label_asof=asof)
    events = parse_events(f"{HEADER}\n{row}\n".encode(), "events.csv")
    return untimely(events.rows[0], align_all(events, config), config, {"E1": counted})


@pytest.mark.parametrize(
    ("asof", "both", "us"),
    [
        ("2021-06-11T07:00:00Z", "", ""),
        ("2021-06-11T07:00:01Z", LATE, ""),
        ("2021-06-11T20:00:00Z", LATE, ""),
        ("2021-06-11T20:00:01Z", LATE, LATE),
    ],
)
def test_a_label_is_in_time_at_the_earliest_close_of_day_1_that_counts(asof: str, both: str, us: str) -> None:
    assert reason(asof, BOTH) == both
    assert reason(asof, US) == us


def test_a_holiday_elsewhere_gives_no_label_more_time() -> None:
    # New York's day +1 is 12 February; Shanghai comes back from New Year on the 18th.
    published = "2021-02-10T22:00:00+00:00"
    assert reason("2021-02-12T21:00:00Z", BOTH, published) == ""
    assert reason("2021-02-12T21:00:01Z", BOTH, published) == LATE
    assert reason("2021-02-19T06:00:00Z", ["XSHG"], published) == ""


def test_a_bare_date_is_known_when_its_last_zone_has_ended_it() -> None:
    assert over_everywhere(dt.date(2021, 6, 10)) == dt.datetime(2021, 6, 11, 12, tzinfo=dt.UTC)
    assert over_everywhere(dt.date(9999, 12, 31)).year == 9999
    # 10 June ends at noon of the 11th, UTC: after Shanghai's close of day +1 and before New York's.
    assert reason("2021-06-10", BOTH) == LATE
    assert reason("2021-06-10", US) == ""
    assert reason("2021-06-09", BOTH) == ""
    # The 11th is day +1 itself: it was not over anywhere when New York closed.
    assert reason("2021-06-11", US) == LATE


def test_the_gate_is_the_close_of_the_last_drop_day() -> None:
    same_day = replace(CONFIG, windows=Windows(drop=(0, 0), post=(1, 20)))
    events = parse_events(
        (f"event_id,timestamp,precision,kind,label\nE1,{AFTER_CLOSE},minute,report,unknown\n").encode(), "e.csv"
    )
    aligned = align_all(events, CONFIG)
    at = {
        days: drop_over(events.rows[0], aligned, replace(CONFIG, windows=Windows(drop=days)), US)
        for days in ((0, 0), (0, 1))
    }
    assert at[0, 0] == dt.datetime(2021, 6, 10, 20, tzinfo=dt.UTC)
    assert at[0, 1] == dt.datetime(2021, 6, 11, 20, tzinfo=dt.UTC)
    # A label of day +1 counts where the drop has two days, and not where it has one.
    assert reason("2021-06-10T20:00:00Z", US, config=same_day) == ""
    assert reason("2021-06-11T06:00:00Z", US, config=same_day) == LATE
    assert reason("2021-06-11T06:00:00Z", US) == ""


@pytest.mark.parametrize("label", ["no_news", "contested", "denied", "silent", "macro", "good_news", "unknown"])
def test_a_verdict_on_labels_without_a_time_is_exploratory(tmp_path: Path, label: str) -> None:
    days = drop_days(3)
    dated = event_row("E2", days[2], label=label, label_asof=days[2])
    rows = [*(event_row(f"E{i}", day, label=label) for i, day in enumerate(days[:2])), dated]
    computed, shocks = study(tmp_path, rows, f"reversal.label={label}")
    assert shocks.label_reason.tolist() == [UNDATED, UNDATED, ""]
    assert shocks.in_time.tolist() == [False, False, True]
    assert (shocks.verdict.n_dates, shocks.exploratory.n_dates) == (1, 3)
    events = read_events(tmp_path / "events.csv")
    config = shocks.history.config
    found = findings(shocks, events, computed.alignments, config)
    role = {
        row["shock_id"]: (row["role"], row["label_reason"]) for row in tables(found, shocks.history.config)["reversal"]
    }
    assert role == {"E0": ("exploratory", UNDATED), "E1": ("exploratory", UNDATED), "E2": ("confirmatory", "")}
    summary = reversal_summary(found, config)
    assert summary["verdict"]["reason"] == ""
    assert (summary["exploratory"]["n_late"], summary["exploratory"]["n_undated"]) == (0, 2)
    timing = label_timing(events, computed.alignments, config, {})
    assert (timing["ex_ante"], timing["post_hoc"], timing["undated_events"]) == (1, 0, ["E0", "E1"])


def test_labels_without_a_time_alone_leave_the_verdict_nothing_and_it_says_why(tmp_path: Path) -> None:
    days = drop_days(2)
    rows = [event_row(f"E{i}", day, label="no_news") for i, day in enumerate(days)]
    _, shocks = study(tmp_path, rows, "reversal.label=no_news")
    assert (shocks.verdict.n_dates, shocks.verdict.reason) == (0, "label_undated")
    assert text(shocks.verdict.sentence) == (
        "Inconclusive: none of the 2 no news-labelled drops says when its label could first be known "
        "(label_asof), so there is no confirmatory test."
    )
    assert "(labels without label_asof included)" in text(shocks.exploratory.sentence)
    assert shocks.exploratory.n_dates == 2
    late = event_row("E1", days[1], label="no_news", label_asof="2022-12-01")
    _, shocks = study(tmp_path, [rows[0], late], "reversal.label=no_news")
    assert shocks.label_reason.tolist() == [UNDATED, LATE]
    assert shocks.verdict.reason == LATE
    assert "of the 2 no news-labelled drops, 1 got their label after the drop had ended and 1 do not say" in (
        text(shocks.verdict.sentence)
    )


def test_the_backtest_reads_a_bare_date_by_the_same_clock(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices", start="2020-01-02", end="2021-12-30")
    day = "2021-06-09"
    computed, shocks = study(tmp_path, [event_row("E1", day, label="misreading", label_asof=day)])
    events = read_events(write_events(tmp_path, [event_row("E1", day, label="misreading", label_asof=day)]))
    config = shocks.history.config
    prices = get_prices(events, config, str(tmp_path / "prices"), tell=print)
    tapes = tapes_of(computed.returns, computed.selection.excluded, prices, config)
    (shock,) = shocks_of(events, config, tapes, computed.alignments)
    noon = dt.datetime(2021, 6, 10, 12, tzinfo=dt.UTC)
    assert shock.label_known == int(noon.timestamp()) * 10**9


def test_a_label_at_a_moment_is_known_at_that_moment() -> None:
    moment = dt.datetime(2021, 6, 10, 3, tzinfo=dt.UTC)
    event = Event(
        event_id="E1", timestamp=moment, precision="minute", kind="report", label="no_news", label_asof=moment
    )
    assert over_everywhere(moment) == moment
    assert untimely(replace(event, label_asof=None), {}, CONFIG, {}) == UNDATED
    # On no exchange is there a day 0: nothing says that the label came before a post window.
    assert untimely(event, {}, CONFIG, {}) == LATE


#: Wednesdays of a winter on which both exchanges trade, on the day after as well. New York closes at 21:00
#: UTC, Oslo at 15:20 UTC.
DAYS = ("2021-01-13", "2021-01-20", "2021-01-27", "2021-02-03", "2021-02-10", "2021-02-24")


REGIONS = {"XNYS": "US", "XOSL": "NO"}


def run(folder: Path, asof: dict[str, str], *mics: str) -> StudyResult:
    """A study of two peers on each exchange, one shock a day, each with a label of its own time."""
    lines = ["[study]", 'name = "Labels"', "[reversal]", "specification_curve = false"]
    lines += ["[tests]", "draws = 99", 'names = ["date_t"]']
    for mic in mics:
        tickers = (f"{mic}A", f"{mic}B")
        write_prices(folder / "prices", tickers, start="2019-06-03", end="2021-06-30", mic=mic)
        (folder / "prices" / "IDX.csv").rename(folder / "prices" / f"{mic}.IDX.csv")
        lines += ["[[markets]]", f'mic = "{mic}"', f'region = "{REGIONS[mic]}"', f'benchmark = "{mic}.IDX"']
        for ticker in tickers:
            lines += ["[[peers]]", f'ticker = "{ticker}"', f'market = "{mic}"']
    study = folder / "study.toml"
    study.write_text("\n".join([*lines, ""]), encoding="utf-8")
    rows = [
        # At 15:00 UTC both exchanges are open: it is day 0 on either.
        event_row(name, f"{name}T15:00:00Z", label="misreading", label_asof=text, shock_id=name)
        for name, text in asof.items()
    ]
    return Study.from_toml(study).run(write_events(folder, rows), prices=str(folder / "prices"))


def after(day: str, days: int, clock: str = "") -> str:
    """A date or moment so many days after another date."""
    date = (dt.date.fromisoformat(day) + dt.timedelta(days=days)).isoformat()
    return f"{date}T{clock}Z" if clock else date


def in_time(result: StudyResult) -> list[bool]:
    table = result.tables["reversal"]
    assert table["day0"].tolist() == table["shock_id"].tolist()
    return [bool(value) for value in table["label_in_time"]]


def test_on_one_exchange_its_close_of_day_1_decides(tmp_path: Path) -> None:
    labels = (
        after(DAYS[0], 1, "20:59:59"),
        after(DAYS[1], 1, "21:00:00"),
        after(DAYS[2], 1, "21:00:01"),
        # Day 0 is over everywhere at 12:00 UTC of day +1, nine hours before the close.
        after(DAYS[3], 0),
        # Day +1 is over only after its own close: what is dated so may have been written after it.
        after(DAYS[4], 1),
        after(DAYS[5], 2),
    )
    result = run(tmp_path, dict(zip(DAYS, labels, strict=True)), "XNYS")
    assert in_time(result) == [True, True, False, True, False, False]


def test_of_several_exchanges_the_first_close_decides(tmp_path: Path) -> None:
    labels = (
        after(DAYS[0], 1, "15:20:00"),
        # What New York knew before its close was too late in Oslo, whose peers are in the portfolio.
        after(DAYS[1], 1, "15:20:01"),
        after(DAYS[2], 1, "20:00:00"),
        # Over everywhere at 12:00 UTC, 3 hours and 20 minutes before Oslo's close.
        after(DAYS[3], 0),
        after(DAYS[4], 1),
        after(DAYS[5], -1),
    )
    result = run(tmp_path, dict(zip(DAYS, labels, strict=True)), "XNYS", "XOSL")
    assert in_time(result) == [True, False, False, True, False, True]


@pytest.mark.parametrize(("label", "known"), [(-1, True), (0, False)])
def test_a_date_is_over_only_in_the_last_time_zone(tmp_path: Path, label: int, known: bool) -> None:
    """Shanghai closes at 07:00 UTC of day +1, when day 0 lasts five more hours at UTC-12."""
    day = "2021-01-13"
    lines = event_row(day, f"{day}T01:00:00Z", label="misreading", label_asof=after(day, label), shock_id=day)
    study, prices = tmp_path / "study.toml", tmp_path / "prices"
    write_prices(prices, ("600000.SS", "600001.SS"), start="2019-06-03", end="2021-06-30", mic="XSHG")
    text = '[study]\nname = "Labels"\n[tests]\nnames = ["date_t"]\n'
    text += '[[markets]]\nmic = "XSHG"\nbenchmark = "IDX"\n'
    peers = "".join(f'[[peers]]\nticker = "{name}"\nmarket = "XSHG"\n' for name in ("600000.SS", "600001.SS"))
    study.write_text(text + peers, encoding="utf-8")
    result = Study.from_toml(study).run(write_events(tmp_path, [lines]), prices=str(prices))
    assert in_time(result) == [known]


def test_a_label_without_an_archived_text_is_self_declared() -> None:
    """A sha256 with the page that it is of, a sha256 without one, another text, and nothing."""
    page, digest = "https://example.com/a", "0f" * 32
    cells = (page, digest), ("", digest), (page, "self-declared"), ("", "")
    rows = [event_row(f"E{i}", AFTER_CLOSE, source_url=url) + f",{given}" for i, (url, given) in enumerate(cells)]
    events = parse_events("\n".join([f"{HEADER},evidence", *rows, ""]).encode(), "events.csv")
    found = label_evidence(events, ["E0", "E1", "E2", "E3"])
    assert (found["n"], found["n_self_declared"]) == (4, 3)
    assert text(found["sentence"]) == (
        "3 of the 4 labels that the verdict uses are self-declared: their events have no source_url with the "
        "sha256 of an archived text in the column evidence"
    )
    assert label_evidence(events, ["E0"])["sentence"] == Reason()


def test_the_pack_counts_the_self_declared_labels_of_its_verdict(tmp_path: Path) -> None:
    result = run(tmp_path, {day: after(day, 0) for day in DAYS[:4]}, "XNYS")
    counted = result.verdict.n_dates if result.verdict else 0
    assert result.facts["label_evidence"]["n_self_declared"] == result.facts["label_evidence"]["n"] == counted
