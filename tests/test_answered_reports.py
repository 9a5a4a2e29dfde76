"""The shipped list of answered reports: it is read without a problem, and its labels follow from its columns."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from eventstudy.config import load_config, sector_file
from eventstudy.events import Event, Events, over_everywhere, read_events
from eventstudy.exchanges.calendars import align, exchange_sessions, session_close
from eventstudy.reversal.labels import LATE, UNDATED, untimely

FILE = sector_file("answered_reports").with_name("events.csv")
ROOT = Path(__file__).parents[1]
PACK = ROOT / "results" / "answered-reports-2024"
NEW_YORK = ZoneInfo("America/New_York")
#: What the company did, as the list records it: these leave the report undenied.
SILENT = ("none_found", "no_comment", "investigates", "acknowledges")


@pytest.fixture(scope="module")
def events() -> Events:
    return read_events(FILE)


def cell(event: Event, column: str) -> str:
    value = event.own[column]
    assert isinstance(value, str)
    return value


def closes(event: Event) -> tuple[dt.datetime, dt.datetime]:
    """Closes of day 0 and day +1 in New York."""
    found, table = align(event, "XNYS"), exchange_sessions("XNYS")
    assert found is not None
    at = table.position(found.session)
    first, second = (session_close("XNYS", table.days[at + k].astype(dt.date)) for k in (0, 1))
    return first, second


def moment(text: str) -> dt.datetime | dt.date | None:
    if not text:
        return None
    return dt.datetime.fromisoformat(text) if "T" in text else dt.date.fromisoformat(text)


def begun(answer: dt.datetime | dt.date) -> dt.datetime:
    """First moment that an answer may have been given: the day's first in New York where the hour is unknown."""
    return answer if isinstance(answer, dt.datetime) else dt.datetime.combine(answer, dt.time.min, NEW_YORK)


def by_rule(event: Event) -> tuple[str, dt.datetime | dt.date | None, str]:
    """Label, time of the label and lag of the answer, from report time, answer and answer time alone."""
    (first, second), answer = closes(event), moment(cell(event, "answer_at"))
    if cell(event, "answer") in SILENT:
        return "silent", second, "none"
    if answer is None:
        return "contested", None, "undated"
    in_time = begun(answer) <= second
    label = "denied" if cell(event, "answer") == "denies" and in_time else "contested"
    if over_everywhere(answer) <= second:
        return label, answer, "first_close" if over_everywhere(answer) <= first else "second_close"
    return label, answer, "hour_unknown" if in_time else "later"


def test_the_list_is_read_and_every_row_has_its_source(events: Events) -> None:
    assert not events.remarks
    assert len(events) == 606
    assert Counter(event.label for event in events) == {"denied": 293, "silent": 155, "contested": 158}
    assert all(event.source_url.startswith("http") for event in events)
    assert all(cell(event, "answer_url").startswith("http") for event in events if event.label == "denied")
    assert {event.timestamp.year for event in events} == set(range(2008, 2025))
    assert all(len(event.tickers) == 1 and event.shock_id == event.event_id for event in events)
    assert {cell(event, "evidence") for event in events} == {"self-declared"}


def test_labels_follow_from_report_time_answer_and_answer_time(events: Events) -> None:
    for event in events:
        label, asof, lag = by_rule(event)
        assert (event.label, event.label_asof, cell(event, "answer_lag")) == (label, asof, lag), event.event_id


def test_no_label_knows_what_became_of_the_report(events: Events) -> None:
    outcomes = {name: {cell(e, "later_truth") for e in events if e.label == name} for name in ("denied", "silent")}
    assert all(known >= {"true", "false", "partly", "open"} for known in outcomes.values())
    config = load_config(FILE, sector="answered_reports")
    assert "later_truth" not in config.tests.group
    assert not any("later_truth" in formula for formula in config.tests.regression)


def test_each_company_is_a_peer_of_one_exchange_and_the_question_is_about_denials(events: Events) -> None:
    config = load_config(FILE, sector="answered_reports")
    assert {peer.ticker for peer in config.peers} == {event.tickers[0] for event in events}
    assert {peer.market for peer in config.peers} == {"XNYS"}
    assert config.reversal.label == "denied"


def test_a_denial_of_unknown_hour_on_day_one_cannot_be_shown_to_be_in_time(events: Events) -> None:
    config = load_config(FILE, sector="answered_reports")
    days = {(e.event_id, "XNYS"): found for e in events if (found := align(e, "XNYS"))}
    why = {event.event_id: untimely(event, days, config, {event.event_id: ["XNYS"]}) for event in events}
    for event in events:
        late = {"hour_unknown": LATE, "later": LATE, "undated": UNDATED}.get(cell(event, "answer_lag"), "")
        assert why[event.event_id] == late, event.event_id
    in_time = [event for event in events if event.label == "denied" and not why[event.event_id]]
    assert len(in_time) == 273


def signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def said_in(name: str) -> str:
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_readme_and_page_say_what_the_pack_says_and_the_pack_keeps_to_the_question() -> None:
    facts = json.loads((PACK / "summary.json").read_text(encoding="utf-8"))
    assert facts["prereg"]["n_departures"] == 0
    denied, silent, every = facts["verdict"], facts["verdicts"]["label=silent"], facts["verdicts"]["all"]
    readme, page, asked = said_in("README.md"), said_in("docs/answered-reports.md"), facts["asked"]
    assert (denied["kind"], every["kind"]) == ("equivalent to none", "equivalent to none")
    (low, high), (least, most) = denied["ci"], silent["ci"]
    mean = f"{-100 * denied['effect']:.1f} points less than after control drops of their own"
    mean += f" (95 % interval {signed(low)} to {signed(high)} points, p = {denied['p_value']:.2f})"
    assert mean in readme
    assert mean in page
    assert f"{asked['n_shocks']} of the 293 denied reports could be used." in readme
    assert f"In {asked['n_drops']} of these cases the share fell" in readme
    assert f"{denied['n_events']} enter the test" in readme
    told = f"{denied['n_events']} drops on {denied['n_dates']} dates enter the test, with the information of"
    assert f"{told} {denied['k_eff']:.1f} separate dates" in page
    after = f"After {silent['n_events']} drops for which no denial was found the return was"
    assert f"{after} {-100 * silent['effect']:.1f} points less" in readme
    assert f"−{-100 * silent['effect']:.1f} points ({signed(least)} to {signed(most)})" in page
    whole = f"**All {every['n_dates']} dates of any label** ({every['n_events']} drops): {signed(every['effect'])}"
    assert whole in page
