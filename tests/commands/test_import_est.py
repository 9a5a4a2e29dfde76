"""EventStudyTools' three files become a study whose CARs are those of their settings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eventstudy import Study
from eventstudy.cli import main
from eventstudy.exchanges.calendars import sessions

REQUEST = (
    "1;Alpha AG;DAX;16.03.2021;Group A;-2;5;-11;120\n"
    "2;BETA.DE;DAX;16.03.2021;Group A;-2;5;-11;120\n"
    "3;Gamma & Co;DAX;12.06.2021;Group B;-2;5;-11;120\n"
)
SETTINGS = {"report.formats": ["csv"], "reversal.specification_curve": False}


def german(day: np.datetime64) -> str:
    return dt.date.fromisoformat(str(day)).strftime("%d.%m.%Y")


def write_files(folder: Path, request: str = REQUEST) -> list[str]:
    """The three files, half a year before the first event; firms in a mixed order of rows."""
    days = sessions("XETR", dt.date(2020, 8, 3), dt.date(2021, 7, 30))
    rng = np.random.default_rng(3)
    market = rng.normal(0, 0.01, len(days))
    prices = {"DAX": 15_000 * np.exp(np.cumsum(market))}
    for name in ("Alpha AG", "BETA.DE", "Gamma & Co", "Unused"):
        prices[name] = 80 * np.exp(np.cumsum(0.9 * market + rng.normal(0, 0.012, len(days))))
    rows = {
        name: [f"{name};{german(d)};{v:.8f}" for d, v in zip(days, path, strict=True)] for name, path in prices.items()
    }
    firms = [row for name, part in rows.items() if name != "DAX" for row in part]
    (folder / "request.csv").write_text(request, encoding="cp1252")
    (folder / "firms.csv").write_text("\n".join(firms), encoding="utf-8")
    (folder / "market.csv").write_text("\n".join(reversed(rows["DAX"])), encoding="utf-8")
    return [str(folder / name) for name in ("request.csv", "firms.csv", "market.csv")]


def test_a_request_becomes_a_study_with_the_same_cars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_files(tmp_path)
    out = tmp_path / "study"
    assert main(["import-est", *files, "--dir", str(out), "--market", "DAX:XETR"]) == 0
    said = capsys.readouterr().out
    assert main(["check", str(out / "events.csv")]) == 0
    checked = " ".join(capsys.readouterr().out.split())
    assert "3 event × peer pairs used (1 with day 0 shifted), 0 dropped" in checked
    result = Study.from_toml(out / "eventstudy.toml", overrides=SETTINGS).run(out / "events.csv")
    car = result.to_frame("car").query("window == '[-2,5]'").set_index("ticker")["car"]
    # By hand, from the files: log returns, OLS on the 120 sessions that end on day -11, day 0 on the session.
    market = pd.read_csv(files[2], sep=";", header=None).set_index(1)[2]
    firm_data = pd.read_csv(files[1], sep=";", header=None)
    found = {"ALPHA-AG": ("Alpha AG", "16.03.2021"), "GAMMA-CO": ("Gamma & Co", "14.06.2021")}
    for ticker, (name, day0) in found.items():
        firm = firm_data[firm_data[0] == name].set_index(1)[2]
        both = np.log(pd.concat([firm, market.reindex(firm.index)], axis=1)).diff().to_numpy()
        zero = list(firm.index).index(day0)
        y, x = both[zero - 130 : zero - 10].T
        slope, intercept = np.polyfit(x, y, 1)
        event = both[zero - 2 : zero + 6]
        by_hand = (event[:, 0] - intercept - slope * event[:, 1]).sum()
        assert car[ticker] == pytest.approx(by_hand, abs=1e-6)
    events = pd.read_csv(out / "events.csv", dtype=str)
    assert events["tickers"].tolist() == ["ALPHA-AG;BETA.DE", "GAMMA-CO"]
    assert events["shock_id"].isna().all()
    report = (out / "import-report.txt").read_text(encoding="utf-8")
    for part in (
        "'Gamma & Co' is now the ticker GAMMA-CO",
        "Windows: event [-2, 5] with its CAR, estimation [-130, -11]; the estimation window needs 120 returns",
        "3 events of the request became 2 on 2 days",
        "The grouping variable is each firm's group of peers",
        "Prices of Unused are in no request and were left out",
        "Closing prices were taken as they are",
        "No event has a label",
    ):
        assert part in report
        assert part in said
    assert main(["import-est", *files, "--dir", str(out), "--market", "DAX:XETR"]) == 2
    assert "is there already and is not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("request_text", "said"),
    [
        (REQUEST.replace("DAX", "MDAX"), "market 'MDAX' has no row in the market data"),
        (REQUEST.replace("Alpha AG", "Alpha"), "request.csv:1: firm 'Alpha' has no row in the firm data"),
        (REQUEST.replace("16.03.2021", "2021-03-16"), "day '2021-03-16': accepted is 30.04.1997"),
        (REQUEST.replace("31.06", "31.06").replace("12.06", "31.06"), "day '31.06.2021'"),
        (REQUEST.replace(";", ","), "has 1 cells; a request has nine, with semicolons: event ID"),
        (REQUEST.replace("\n2;", "\n1;"), "event ID '1' is already on line 1"),
        (REQUEST.replace("-11", "-2"), "the estimation window ends before it"),
        (REQUEST.replace("120", "x"), "length of the estimation window 'x' is not a whole number"),
        ("", "has no event"),
        (REQUEST, "give --market 'DAX':MIC"),
    ],
)
def test_what_is_not_of_the_form_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request_text: str, said: str
) -> None:
    files = write_files(tmp_path, request_text)
    assert main(["import-est", *files, "--dir", str(tmp_path / "study")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_the_exchange_follows_from_endings_or_the_index(tmp_path: Path) -> None:
    files = write_files(tmp_path, "7;BETA.DE;DAX;16.03.2021;A;-2;0;-11;120\n")
    assert main(["import-est", *files, "--dir", str(tmp_path / "study")]) == 0
    assert 'mic = "XETR"' in (tmp_path / "study" / "eventstudy.toml").read_text(encoding="utf-8")
    result = Study.from_toml(tmp_path / "study" / "eventstudy.toml").run(tmp_path / "study" / "events.csv")
    assert result.verdict is None
    assert (result.effect.window, result.effect.n_events) == ((-2, 0), 1)
    assert result.effect.estimate == result.car.one(window=(-2, 0)).car


def test_faults_of_the_data_files_are_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_files(tmp_path)
    path = Path(files[1])
    text = path.read_text(encoding="utf-8").splitlines()
    text[3:6] = ["Alpha AG;06.08.2020;n/a", "Alpha AG;07.08.2020;-", text[2]]
    path.write_text("\n".join(text), encoding="utf-8")
    assert main(["import-est", *files, "--dir", str(tmp_path / "s"), "--market", "DAX:XETR"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("firms.csv:4: closing price 'n/a' is not a number (and 1 more lines like it)")
    assert lines[1].endswith("firms.csv:6: Alpha AG has 2020-08-05 twice; keep one row")


def test_commas_columns_and_other_windows_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = REQUEST.replace("Group B;-2;5", "Group A;-1;1").replace("Gamma & Co", "Alpha AG")
    files = write_files(tmp_path, request)
    path = Path(files[1])
    text = path.read_text(encoding="utf-8").splitlines()
    text[0], text[1] = text[0].replace(".", ",").replace(",", ".", 2), f"{text[1]};9"
    path.write_text("\n".join(text), encoding="utf-8")
    assert main(["import-est", *files, "--dir", str(tmp_path / "s"), "--market", "DAX:XETR"]) == 0
    said = capsys.readouterr().out
    assert "firms.csv: 1 prices with a decimal comma were read with a point" in said
    assert "firms.csv: columns after the third, on 1 lines, were not taken over" in said
    assert "Events 3 ask for other windows than event [-2, 5] and estimation [-130, -11], as 2 do" in said
    assert "The grouping variable is 'Group A' throughout" in said


def test_one_firm_and_day_in_two_groups_counts_once_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 12 June 2021 was a Saturday: its day 0 is that of the 14th.
    more = "4;BETA.DE;DAX;16.03.2021;Group B;-2;5;-11;120\n5;Gamma & Co;DAX;14.06.2021;Group A;-2;5;-11;120\n"
    files = write_files(tmp_path, REQUEST + more)
    out = tmp_path / "study"
    assert main(["import-est", *files, "--dir", str(out), "--market", "DAX:XETR"]) == 0
    said = capsys.readouterr().out
    assert "Events 2, 4 are all BETA.DE with day 0 on 2021-03-16: one return, which counts once" in said
    assert "Events 3, 5 are all Gamma & Co with day 0 on 2021-06-14: one return, which counts once" in said
    assert "Alpha AG with day 0" not in said
    result = Study.from_toml(out / "eventstudy.toml", overrides=SETTINGS).run(out / "events.csv")
    car = result.to_frame("car").query("window == '[-2,5]'")
    assert sorted(car["ticker"]) == ["ALPHA-AG", "BETA.DE", "GAMMA-CO"]
    tests = result.to_frame("tests").query("group == 'all' and name == 'cross_sectional_t'")
    assert set(tests["n_events"]) == {3}
    ledger = result.to_frame("ledger").set_index(["event_id", "ticker"])
    merged = ledger[ledger["status"] == "merged"]
    assert sorted(merged.index) == [("EST-4", "BETA.DE"), ("EST-5", "GAMMA-CO")]
    assert merged["reason"].str.startswith("repeated: ").all()
    assert result.facts["headline"]["n_dates"] == 2
    assert sorted(set(ledger["shock_id"])) == ["EST-1", "EST-3"]
