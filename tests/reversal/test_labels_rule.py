"""When a label counts as known: by the first close of day +1; a date counts once it is over everywhere."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from studies import event_row, write_events, write_prices

from eventstudy.api import Study
from eventstudy.results.result import StudyResult

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
