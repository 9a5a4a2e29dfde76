"""A new sector from the command alone: init, prices of one's own, check, run; and what init refuses."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from pathlib import Path

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

from eventstudy.cli import main
from eventstudy.commands.init.new_sector import new_sector, study_toml
from eventstudy.config import load_config
from eventstudy.events import COLUMNS, read_events
from eventstudy.exchanges.calendars import exchange_sessions, sessions
from eventstudy.exchanges.exchange import exchanges
from eventstudy.exchanges.rules import board_of

PEERS = "IAG.L:XLON:IAG,EZJ.L:XLON,DAL:XNYS:Delta,UAL:XNYS"
SIX = ["--peers", PEERS, "--peer", "LHA.F:XFRA:Lufthansa", "--peer", "003490.KS:XKRX"]
FILES = {
    "XLON": ("^FTSE", "IAG.L", "EZJ.L"),
    "XNYS": ("^GSPC", "DAL", "UAL"),
    "XFRA": ("^GDAXI", "LHA.F"),
    "XKRX": ("^KS11", "003490.KS"),
}


def write_csvs(folder: Path, *, day0: str = "2024-03-12", skip: str = "") -> None:
    """Two years of prices of every exchange; the peers lose 10 % on the example rows' drop."""
    rng = np.random.default_rng(11)
    for mic, tickers in FILES.items():
        days = sessions(mic, dt.date(2022, 6, 1), dt.date(2024, 6, 28))
        market = rng.normal(0.0003, 0.009, len(days))
        for ticker in tickers:
            returns = market.copy()
            if ticker != tickers[0]:
                returns += rng.normal(0, 0.015, len(days))
                returns[np.searchsorted(days, np.datetime64(day0) + int(mic == "XKRX"))] -= 0.10
            close = (50 * np.cumprod(1 + returns)).tolist()
            rows = "".join(f"{day},{p!r},{p!r},1000\n" for day, p in zip(days, close, strict=True))
            if ticker != skip:
                text = f"date,close,adj_close,volume\n{rows}"
                (folder / f"{ticker}.csv").write_text(text, encoding="utf-8")


def test_six_tickers_on_four_exchanges_go_from_init_to_a_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "airlines", *SIX]) == 0
    assert "eventstudy run airlines/events.csv" in capsys.readouterr().out
    # No price is there yet: nothing could be used.
    assert main(["check", "airlines/events.csv"]) == 3
    said = capsys.readouterr().out
    assert "no prices for DAL (Delta, XNYS): no file DAL.csv in the folder prices; write one with the" in said
    assert "^FTSE, the benchmark of XLON, without which its 2 peers cannot be used" in said
    assert "EX1, EX1-C: example rows of 'eventstudy init'" in said
    assert main(["run", "airlines/events.csv", "--quiet"]) == 4
    assert "'eventstudy check' lists those that it needs" in capsys.readouterr().err

    write_csvs(tmp_path / "airlines" / "prices", skip="UAL")
    assert main(["check", "airlines/events.csv"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "10 event × peer pairs used (1 with day 0 shifted), 2 dropped: no_prices 2" in said
    assert said.count("no prices for ") == 1
    write_csvs(tmp_path / "airlines" / "prices")
    settings = ["--set", 'report.formats=["csv", "json"]', "--set", "reversal.specification_curve=false"]
    assert main(["run", "airlines/events.csv", "--quiet", *settings]) == 0
    pack = Path("results/latest").resolve()
    assert pack.name.startswith("airlines-2024")
    ledger = pd.read_csv(pack / "ledger.csv")
    assert ledger["status"].isin(["used", "shifted"]).all()
    assert len(ledger) == 12
    drop = pd.read_csv(pack / "tables" / "car.csv").query("event_id == 'EX1' and window == '[0,0]'")
    assert drop["car"].mean() == pytest.approx(-0.10, abs=0.02)
    warnings = json.loads((pack / "summary.json").read_text(encoding="utf-8"))["warnings"]
    for mic in ("XLON", "XFRA", "XKRX"):
        assert f"{mic}: price limits are not known, so no day is marked as locked" in warnings
        assert any(text.startswith(f"{mic}: fees and rules for sales are not known") for text in warnings)
    assert not any(text.startswith("XNYS") for text in warnings)
    assert main(["verify", str(pack), "--events", "airlines/events.csv"]) == 0
    fees = pd.read_csv(pack / "tables" / "fees.csv").query("market == 'XLON'")
    assert fees["source"].unique().tolist() == ["This market is not in the table: a round figure"]


def test_london_is_written_in_pence(tmp_path: Path) -> None:
    units = {}
    for name, peers in (("uk", "IAG.L:XLON,DAL:XNYS"), ("us", "DAL:XNYS")):
        assert main(["init", name, "--peers", peers, "--dir", str(tmp_path / name)]) == 0
        units[name] = load_config(tmp_path / name / "events.csv").prices.price_unit
    assert units == {"uk": {"XLON": 0.01}, "us": {}}


def test_beijing_and_bucharest_are_told_apart() -> None:
    assert board_of("830799.BJ", "BJSE") == "bse"
    assert board_of("TLV.RO", "XBSE") == ""
    assert exchange_sessions("BJSE").zone == "Asia/Shanghai"


def test_a_calendar_that_begins_late_knows_no_session_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    riyadh = ["--peer", "2222.SR:XSAU", "--benchmark", "XSAU:^TASI", "--currency", "SAR"]
    assert main(["init", "oil", *riyadh, "--dir", str(tmp_path)]) == 0
    events = tmp_path / "events.csv"
    text = events.read_text(encoding="utf-8").replace("EX1-C,2024-03-14", "EX1-C,2014-03-14")
    events.write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert main(["check", str(events)]) == 3
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("EX1")]
    assert [row[-2:] for row in rows[:2]] == [["2024-03-13", "+"], ["session", "known"]]


def test_a_calendar_that_does_not_work_is_refused_by_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("exchange_calendars.get_calendar", broken)
    arguments = ["--peer", "BOCH:XCYS", "--benchmark", "XCYS:^CYMAIN", "--dir", str(tmp_path / "b")]
    assert main(["init", "cyprus", *arguments]) == 2
    said = capsys.readouterr().err
    assert "peer 'BOCH:XCYS': market 'XCYS': its calendar in exchange_calendars does not work here" in said
    assert not (tmp_path / "b").exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "events.csv").write_text("mine", encoding="utf-8")
    assert main(["init", "airlines", "--peer", "DAL:XNYS", "--dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("is there already and is not overwritten") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]
    assert (tmp_path / "events.csv").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Air Lines", "--peer", "DAL:XNYS"], "such as 'air-lines'"),
        (["optical", "--peer", "DAL:XNYS"], "'optical' ships with the package"),
        (["airlines"], "no peers; give --peer DAL:XNYS:Delta"),
        (["airlines", "--peer", "DAL"], "write TICKER:MIC:Name"),
        (["airlines", "--peer", "DAL:NYSE"], "did you mean its MIC 'XNYS'?"),
        (["airlines", "--peer", "DAL:XNYZ"], "did you mean 'XNYS'?"),
        (["airlines", "--peer", "D/L:XNYS"], "ticker 'D/L': accepted are letters"),
        (["airlines", "--peer", "600115:XSHG"], "did you mean '600115.SS'?"),
        (["airlines", "--peers", "DAL:XNYS,DAL:XNAS"], "peer DAL: named twice"),
        (["airlines", "--peer", "A:XWAR"], "give --benchmark XWAR:TICKER"),
        (["airlines", "--peer", "DAL:XNYS", "--market", "XNYS:DAL"], "DAL of XNYS: is a peer too"),
        (["airlines", "--peer", "DAL:XNYS", "--benchmark", "XLON:^FTSE"], "of XLON: it has no peer"),
        (["airlines", "--peer", "DAL:XNYS", "--benchmark", "^GSPC"], "write MIC:TICKER"),
        (["airlines", "--peer", "DAL:XNYS", "--currency", "dollars"], "accepted are three letters"),
    ],
)
def test_wrong_answers_are_named_with_what_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_answers_are_asked_for_at_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = iter(["banks", "JPM:XNYS:JPMorgan", "sap.de:XETR", "", "XNYS:^BKX", ""])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    assert main(["init"]) == 0
    config = load_config(tmp_path / "banks" / "events.csv")
    assert [(peer.ticker, peer.market, peer.name) for peer in config.peers] == [
        ("JPM", "XNYS", "JPMorgan"),
        ("SAP.DE", "XETR", ""),
    ]
    assert [market.benchmark for market in config.markets] == ["^BKX", "^GDAXI"]
    assert "Yahoo" not in capsys.readouterr().out


def test_names_with_quotes_and_other_letters_are_kept(tmp_path: Path) -> None:
    plan = new_sector("x", ['A:XNYS:The "A" \\ Co', "2330.TW:XTAI:台積電"], currency="eur")
    read = tomllib.loads(study_toml(plan))
    assert [peer["name"] for peer in read["peers"]] == ['The "A" \\ Co', "台積電"]
    assert read["study"]["currency"] == "EUR"
    assert [market["board"] for market in read["markets"]] == ["us", "twse"]


def test_every_known_exchange_has_a_calendar_and_is_written_as_known(tmp_path: Path) -> None:
    usual = {mic: exchange for mic, exchange in exchanges().items() if exchange.index}
    assert len(usual) >= 25
    peers = [f"A{number}:{mic}" for number, mic in enumerate(usual)]
    assert main(["init", "world", "--peers", ",".join(peers), "--dir", str(tmp_path / "w")]) == 0
    config = load_config(tmp_path / "w" / "events.csv")
    assert {market.mic: market.currency for market in config.markets} == {
        mic: exchange.currency for mic, exchange in usual.items()
    }
    events = tmp_path / "w" / "events.csv"
    assert len(read_events(events)) == 2
    assert events.read_text(encoding="utf-8").startswith(",".join(COLUMNS) + "\n")
    known = exchange_calendars.get_calendar_names(include_aliases=False)
    assert {exchange.calendar for exchange in exchanges().values()} <= set(known)
