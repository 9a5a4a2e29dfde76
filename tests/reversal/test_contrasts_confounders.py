"""Other news and other events around the shocks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from reversal_studies import ENDS, drop_days, many, misread, study
from studies import event_row

from eventstudy.errors import EventsError
from eventstudy.events import read_events
from eventstudy.exchanges.calendars import sessions
from eventstudy.messages import text
from eventstudy.reversal import findings, reversal_summary
from eventstudy.reversal.contrasts import confounder_runs, read_confounders, touched


def test_events_in_the_post_window_are_named_beside_the_verdict(tmp_path: Path) -> None:
    days = sessions("XNYS", dt.date(2014, 1, 2), dt.date(2022, 12, 30))
    at = int(np.searchsorted(days, np.datetime64(drop_days(1)[0])))
    first, *after = (str(days[at + tau]) for tau in (0, 1, 2, 9, 20, 21))
    rows = [
        misread("E0", first, tickers="AAA;BBB"),
        event_row("TOO_EARLY", after[0]),
        event_row("NEXT", after[1]),
        event_row("OTHERS", after[2], tickers="CCC"),
        event_row("OWN", after[2], label="clarification", clarifies="E0", shock_id="E0"),
        event_row("END", after[3], tickers="BBB;CCC"),
        event_row("TOO_LATE", after[4]),
        *ENDS,
    ]
    computed, shocks = study(tmp_path, rows)
    events = read_events(tmp_path / "events.csv")
    found = findings(shocks, events, computed.alignments, shocks.history.config)
    mine = [(item.event_id, item.day) for item in found.other_events if item.shock_id == "E0"]
    assert mine == [("NEXT", after[1]), ("END", after[3])]
    assert text(reversal_summary(found, shocks.history.config)["verdict"]["inside"]) == (
        f"Other events of the same peers lie in the post window: E0 has NEXT ({after[1]}), END ({after[3]}). "
        "The control drops have no such events."
    )


def test_three_runs_around_other_news(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 6)
    path = tmp_path / "confounders.csv"
    asked = np.flatnonzero(shocks.asked)
    days = [str(np.datetime64(int(shocks.drops.day0[k]), "D")) for k in asked[:2]]
    path.write_text(f"date,ticker,kind,note\n{days[0]},BBB,earnings,\n{days[1]},*,macro,rates\n")
    news = read_confounders(path, shocks.history.config)
    rows = {row.group.split("=")[-1]: row for row in confounder_runs(shocks, news, shocks.history.config)}
    assert rows["all"].estimate == pytest.approx(shocks.excess[shocks.asked].mean())
    assert rows["without_dates"].n_dates == len(asked) - 2
    kept = [k for k in asked if k not in asked[:2]]
    assert rows["without_dates"].estimate == pytest.approx(shocks.excess[kept].mean())
    assert rows["without_peers"].n_dates == len(asked)
    assert text(rows["without_peers"].note) == "1 firm-events and 0 dates left out"
    panel = shocks.portfolios.abnormal.panel
    marked = touched(shocks, [item for item in news if item.ticker != "*"])
    assert panel.ticker[marked].tolist() == ["BBB"]
    alone = int(asked[0])
    car = {
        t: c
        for t, c, s in zip(panel.ticker, shocks.portfolios.abnormal.car((2, 20)), panel.shock_id, strict=True)
        if s == shocks.drops.shock_id[alone]
    }
    change = rows["without_peers"].estimate - rows["all"].estimate
    event_part = (car["AAA"] + car["CCC"]) / 2 - sum(car.values()) / 3
    assert change != 0
    assert abs(change * len(asked) - event_part) < 0.2


def test_every_problem_of_a_confounders_file(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 1)
    path = tmp_path / "confounders.csv"
    path.write_text("date,ticker,kind\nsoon,AAA,earnings\n2021-01-04,ZZZ,earnings\n")
    with pytest.raises(EventsError) as error:
        read_confounders(path, shocks.history.config)
    assert [str(p).removeprefix(str(path)) for p in error.value.problems] == [
        ":2: date 'soon' is not a date; write it as 2026-06-09",
        ":3: ticker 'ZZZ' is not a peer of this study; name a peer, or * for all of them",
    ]
