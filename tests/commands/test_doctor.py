"""What doctor says of a machine; it never fails and leaves nothing behind."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from pathlib import Path

import pytest
from studies import write_prices

from eventstudy.cli import main
from eventstudy.commands.doctor import examine as doctor
from eventstudy.exchanges.calendars import exchange_sessions

NOW = dt.datetime(2024, 2, 1, 12, tzinfo=dt.UTC)


def refuse(place: tuple[str, int]) -> None:
    raise ConnectionRefusedError(111, "Connection refused")


def test_doctor_prints_one_line_each_and_exits_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(doctor, "_connect", refuse)
    write_prices(tmp_path / "prices", end="2020-06-30")
    assert main(["doctor", "--out", str(tmp_path / "r"), "--prices", str(tmp_path / "prices")]) == 0
    lines = capsys.readouterr().out.splitlines()
    subjects = [line.split(":")[0].split()[1] for line in lines]
    assert list(dict.fromkeys(s for s in subjects if s != "extras")) == [
        "versions",
        "tested",
        "name",
        "folder",
        "fonts",
        "exchanges",
        "calendars",
        "network",
        "clock",
    ]
    assert {line[:6] for line in lines} <= {"ok    ", "warn  "}
    assert "the newest price is of 2020-06-30: old prices, or a clock that runs ahead" in lines[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prices"]


def test_offline_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    finding = doctor.network(refuse)
    assert finding.state == "warning"
    assert finding.text == (
        "offline: query1.finance.yahoo.com cannot be reached (Connection refused); give prices with --prices DIR"
    )
    assert doctor.network(lambda _: None).text == "query1.finance.yahoo.com answers"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.bank:3128")
    asked: list[tuple[str, int]] = []
    assert doctor.network(asked.append).text == "the proxy proxy.bank answers"
    assert asked == [("proxy.bank", 3128)]


def test_the_look_at_the_network_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 0.05)
    begun = time.monotonic()
    finding = doctor.network(lambda _: time.sleep(1.0))
    assert time.monotonic() - begun < 0.9
    assert "(no answer in 0.05 s)" in finding.text


def test_another_distribution_with_the_same_module() -> None:
    mine = {"eventstudy": ["eventstudy-kit"], "numpy": ["numpy"]}
    assert [f.state for f in doctor.name_clashes(lambda: mine)] == ["ok"]
    both = {"eventstudy": ["eventstudy_kit", "eventstudy"]}
    (finding,) = doctor.name_clashes(lambda: both)
    assert finding.text == "eventstudy also installs a module eventstudy; uninstall one of the two"
    assert finding.state == "warning"


def test_versions_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name in ("typst", "dask") else "9.9")
    findings = list(doctor.versions())
    assert "numpy 9.9" in findings[0].text
    assert findings[1].text == "not installed: typst; install eventstudy-kit again"
    assert findings[2].text == "not installed, not needed: dask"


def test_folders(tmp_path: Path) -> None:
    assert doctor.writable(tmp_path / "a" / "b").state == "ok"
    (tmp_path / "file").write_text("x", encoding="utf-8")
    finding = doctor.writable(tmp_path / "file" / "results")
    assert finding.state == "warning"
    assert "cannot be written (Not a directory); give another one with --out" in finding.text
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_fonts() -> None:
    assert doctor.fonts(lambda: Path("/f/NotoSansCJK-Regular.ttc")).text.endswith("NotoSansCJK-Regular.ttc")
    assert doctor.fonts(lambda: None).state == "warning"


def test_calendars_that_end_soon() -> None:
    last = {mic: exchange_sessions(mic).days[-1].astype(dt.date) for mic in ("XSHG", "XNYS")}
    far = {f.text.split(" know")[0]: f.state for f in doctor.calendars(last["XSHG"] - dt.timedelta(days=90))}
    assert far["XSHG, XSHE"] == "ok"
    near = [f for f in doctor.calendars(last["XSHG"] - dt.timedelta(days=10)) if f.text.startswith("XSHG")]
    assert near[0].state == "warning"
    assert f"to {last['XSHG']}; events after it have no session" in near[0].text


@pytest.mark.parametrize(
    ("newest", "state", "said"),
    [
        (dt.date(2024, 2, 1), "ok", "the newest price is of 2024-02-01"),
        (dt.date(2024, 2, 9), "warning", "but there is a price of 2024-02-09: set the clock"),
        (dt.date(2023, 12, 1), "warning", "old prices, or a clock that runs ahead"),
        (None, "ok", "--prices sets it against the newest price"),
    ],
)
def test_clock(newest: dt.date | None, state: str, said: str) -> None:
    finding = doctor.clock(newest, NOW)
    assert finding.state == state
    assert said in finding.text
    assert finding.text.startswith("the clock says 2024-02-01 12:00 UTC")


def test_newest_price_of_a_snapshot_and_prices_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scripted import Scripted
    from test_snapshot import REQUEST, fetched

    monkeypatch.setattr(doctor, "_connect", refuse)
    fetched(tmp_path / "s", Scripted())
    assert doctor.newest_price(tmp_path / "s") == dt.date(2021, 12, 31)
    fetched(tmp_path / "n", Scripted(dict.fromkeys(REQUEST.tickers, "no_prices")))
    assert doctor.newest_price(tmp_path / "n") is None
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "AAA.csv").write_text("date,close\n2024-01-02,-1\n", encoding="utf-8")
    last = list(doctor.examine(prices=tmp_path / "bad", now=lambda: NOW))[-1]
    assert (last.subject, last.state) == ("prices", "warning")
    assert "is zero or negative" in last.text


def test_a_calendar_that_is_unknown_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_mics", lambda: ("XNOT",))
    (finding,) = doctor.calendars(NOW.date())
    assert "market 'XNOT' has no trading calendar" in finding.text
    assert replace(finding, text="").state == "warning"


def test_versions_are_set_against_those_of_the_tests() -> None:
    known = doctor.tested_versions()
    assert known["numpy"].count(".") == 2
    assert not any(char in text for text in known.values() for char in "/@:")
    same = doctor.tested(known, lambda name: known[name])
    assert (same.state, same.text) == ("ok", f"{len(doctor.PACKAGES)} packages are those of the tests")
    newer = {**known, "numpy": f"{known['numpy']}1"}
    assert doctor.tested(known, newer.__getitem__).state == "ok"
    assert f"numpy {known['numpy']}1 (tests: {known['numpy']})" in doctor.tested(known, newer.__getitem__).text
    later = {**known, "pandas": "99.0"}
    finding = doctor.tested(known, later.__getitem__)
    assert finding.state == "warning"
    assert f"pandas 99.0 (tests: {known['pandas']}); where something fails: " in finding.text
    assert doctor.tested({}, lambda _: "1").text == "no constraints.txt to compare with"
