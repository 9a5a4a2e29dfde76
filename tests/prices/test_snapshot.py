"""Snapshots: what is kept of a fetch, how it resumes, and how damage and rewritten history are found."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from scripted import Scripted, bars
from studies import event_row, write_events, write_study

from eventstudy.cli import main
from eventstudy.errors import ConfigError, IntegrityError, PriceError
from eventstudy.messages import text
from eventstudy.prices import PROVIDERS, PriceRequest, PriceSeries
from eventstudy.prices.fetch import fetch_snapshot, snapshots_folder
from eventstudy.prices.snapshot import (
    ARRAYS,
    Snapshot,
    content_sha256,
    diff_snapshots,
    is_snapshot,
    open_snapshot,
    read_series,
    read_snapshot,
    verify_snapshot,
    write_manifest,
)

NOW = dt.datetime(2024, 2, 1, 12, tzinfo=dt.UTC)
REQUEST = PriceRequest(("AAA", "BBB", "IDX"), dt.date(2021, 1, 4), dt.date(2021, 12, 31))


def fetched(folder: Path, provider: Scripted, request: PriceRequest = REQUEST) -> Snapshot:
    return fetch_snapshot(request, "scripted", folder, factory=provider, now=lambda: NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete snapshot of three tickers."""
    fetched(tmp_path / "snap", Scripted())
    return tmp_path / "snap"


def test_every_array_comes_back_bit_by_bit(folder: Path) -> None:
    table = read_snapshot(folder, REQUEST)
    assert table.source == "scripted"
    assert table.origin == {"kind": "snapshot", "name": "snap"}
    for ticker in REQUEST.tickers:
        stored, made = table.series[ticker], bars(ticker, REQUEST)
        np.testing.assert_array_equal(stored.dates, made.dates)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(stored, name), getattr(made, name))
        assert (stored.currency, stored.source) == ("USD", "scripted 1")
        assert stored.sha256 == content_sha256(made)
        assert table.outcomes[ticker].rows == 252


def test_manifest_says_what_was_asked_received_and_when(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    entry = manifest["tickers"]["AAA"]
    assert entry["asked"] == ["2021-01-04", "2021-12-31"]
    assert (entry["outcome"]["first"], entry["outcome"]["last"]) == ("2021-01-04", "2021-12-31")
    assert entry["fetched_at"] == "2024-02-01T12:00:00+00:00"
    assert entry["sha256"] == hashlib.sha256((folder / "AAA.parquet").read_bytes()).hexdigest()
    assert {"eventstudy", "numpy", "pyarrow"} <= manifest["versions"].keys()
    assert pq.read_table(folder / "AAA.parquet").column_names == ["date", *ARRAYS]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nan_and_a_source_without_dividends_come_back(tmp_path: Path) -> None:
    def holes(series: PriceSeries) -> PriceSeries:
        close = series.close.copy()
        close[3] = np.nan
        return replace(series, close=close, dividends=np.empty(0), splits=np.empty(0))

    provider = Scripted()
    provider.history["AAA"] = holes
    fetched(tmp_path / "snap", provider)
    series = read_snapshot(tmp_path / "snap", REQUEST).series["AAA"]
    assert np.flatnonzero(np.isnan(series.close)).tolist() == [3]
    assert len(series.dividends) == len(series.splits) == 0


def test_narrower_and_wider_requests(folder: Path) -> None:
    narrow = replace(REQUEST, start=dt.date(2021, 3, 1), end=dt.date(2021, 3, 5))
    table = read_snapshot(folder, narrow)
    assert [str(day) for day in table.series["AAA"].dates] == [f"2021-03-0{day}" for day in range(1, 6)]
    assert len(table.series["AAA"].dividends) == 5
    assert table.outcomes["AAA"].notes == ()
    wide = read_snapshot(folder, replace(REQUEST, start=dt.date(2020, 1, 1)))
    assert tuple(map(text, wide.outcomes["AAA"].notes)) == (
        "the snapshot contains only the requested days 2021-01-04..2021-12-31",
    )
    outside = PriceRequest(("AAA", "ZZZ"), dt.date(2022, 1, 3), dt.date(2022, 2, 1))
    table = read_snapshot(folder, outside)
    assert table.series == {}
    assert text(table.outcomes["AAA"].message) == (
        "the snapshot has 2021-01-04..2021-12-31, nothing in 2022-01-03..2022-02-01"
    )
    assert text(table.outcomes["ZZZ"].message) == "ZZZ is not in the snapshot snap; 'eventstudy fetch' adds it"


def test_a_refusal_stops_keeps_and_the_same_call_resumes(tmp_path: Path) -> None:
    first = Scripted({"BBB": "rate_limited"})
    with pytest.raises(PriceError) as caught:
        fetched(tmp_path / "snap", first)
    assert [p.message for p in caught.value.problems] == [
        "BBB: the provider's own words of BBB",
        f"1 of 3 tickers are fetched and kept in {tmp_path / 'snap'}; the same command resumes",
    ]
    kept = (tmp_path / "snap" / "AAA.parquet").read_bytes()
    second = Scripted()
    assert set(fetched(tmp_path / "snap", second).tickers) == set(REQUEST.tickers)
    assert second.asked == ["BBB", "IDX"]
    assert (tmp_path / "snap" / "AAA.parquet").read_bytes() == kept
    third = Scripted()
    fetched(tmp_path / "snap", third)
    assert third.asked == []


def test_a_provider_that_raises_keeps_what_had_come(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="2 of 3 tickers are fetched and kept"):
        fetched(tmp_path / "snap", Scripted({"IDX": PriceError("the line went down")}))
    with pytest.raises(KeyboardInterrupt, match=r"2 of 3 tickers are fetched and kept in .*; the same"):
        fetched(tmp_path / "snap", Scripted({"IDX": KeyboardInterrupt()}))
    with pytest.raises(KeyboardInterrupt, match="nothing had been fetched"):
        fetched(tmp_path / "none", Scripted({"AAA": KeyboardInterrupt()}))
    assert not (tmp_path / "none").exists()


def test_answers_are_kept_and_not_asked_for_again(tmp_path: Path) -> None:
    snapshot = fetched(tmp_path / "snap", Scripted({"AAA": "no_prices", "BBB": "refused"}))
    assert snapshot.tickers["AAA"].file == ""
    again = Scripted()
    fetched(tmp_path / "snap", again)
    assert again.asked == []
    table = read_snapshot(tmp_path / "snap", REQUEST)
    assert text(table.outcomes["BBB"].message) == "the provider's own words of BBB"
    assert set(table.series) == {"IDX"}
    assert verify_snapshot(tmp_path / "snap") == 1


def test_nothing_fetched_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="the provider's own words of AAA"):
        fetched(tmp_path / "snap", Scripted(dict.fromkeys(REQUEST.tickers, "provider_broken")))
    assert list(tmp_path.iterdir()) == []


def test_a_provider_without_progress_is_kept_at_its_end(tmp_path: Path) -> None:
    class Plain:
        def fetch(self, request: PriceRequest) -> Any:
            return Scripted()().fetch(request)

    snapshot = fetch_snapshot(REQUEST, "plain", tmp_path / "s", factory=lambda **_: Plain(), now=lambda: NOW)
    assert verify_snapshot(tmp_path / "s") == len(snapshot.tickers) == 3


def test_more_days_are_asked_for_as_one_range_that_holds_both(folder: Path) -> None:
    again = Scripted()
    later = replace(REQUEST, start=dt.date(2021, 6, 1), end=dt.date(2022, 3, 31))
    fetched(folder, again, later)
    assert again.asked == list(REQUEST.tickers)
    assert again.ranges == [(dt.date(2021, 1, 4), dt.date(2022, 3, 31))]
    series = read_snapshot(folder, PriceRequest(("AAA",), dt.date(2021, 1, 1), dt.date(2022, 12, 31))).series["AAA"]
    assert (str(series.dates[0]), str(series.dates[-1])) == ("2021-01-04", "2022-03-31")


def test_a_damaged_or_missing_file_is_fetched_again(folder: Path) -> None:
    flip(folder / "AAA.parquet", 500)
    (folder / "IDX.parquet").unlink()
    (folder / ".part-left").write_bytes(b"half")
    again = Scripted()
    fetched(folder, again)
    assert again.asked == ["AAA", "IDX"]
    assert verify_snapshot(folder) == 3
    assert not list(folder.glob(".part-*"))


def test_progress_names_the_ticker_that_is_asked_for(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    fetch_snapshot(
        REQUEST,
        "scripted",
        tmp_path / "s",
        factory=Scripted(),
        now=lambda: NOW,
        watch=lambda done, total, ticker: seen.append((done, total, ticker)),
    )
    assert seen == [(0, 3, "AAA"), (1, 3, "BBB"), (2, 3, "IDX"), (3, 3, "")]


def test_folders_that_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match="holds prices from scripted, not from other"):
        fetch_snapshot(REQUEST, "other", folder, factory=Scripted())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError, match="mine: is neither empty nor a snapshot"):
        fetched(tmp_path / "mine", Scripted())
    with pytest.raises(ConfigError, match=r"thesis.txt/s: cannot be written \(Not a directory\)"):
        fetched(tmp_path / "mine" / "thesis.txt" / "s", Scripted())
    with FileLock(folder / ".eventstudy.lock"), pytest.raises(ConfigError, match="another fetch is writing"):
        fetched(folder, Scripted())
    with pytest.raises(ConfigError, match="is no snapshot"):
        open_snapshot(tmp_path / "mine")
    with pytest.raises(ConfigError, match=r"ticker '\.\./x' is not a ticker"):
        fetched(tmp_path / "new", Scripted(), replace(REQUEST, tickers=("../x",)))
    assert not (tmp_path / "new").exists()


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_one_flipped_byte_anywhere_is_found_and_its_file_named(folder: Path) -> None:
    tried = 0
    for name in ("AAA.parquet", "IDX.parquet", "manifest.json"):
        path = folder / name
        for at in range(0, path.stat().st_size, 250 if name == "manifest.json" else 1000):
            flip(path, at)
            with pytest.raises(IntegrityError) as caught:
                verify_snapshot(folder)
            assert [Path(p.file).name for p in caught.value.problems] == [name]
            if is_snapshot(folder):
                with pytest.raises(IntegrityError):
                    read_snapshot(folder, REQUEST)
            flip(path, at)
            tried += 1
    assert tried > 30
    assert verify_snapshot(folder) == 3


def test_a_file_that_was_exchanged_together_with_its_digest_is_found(folder: Path) -> None:
    snapshot = open_snapshot(folder)
    (folder / "AAA.parquet").write_bytes((folder / "BBB.parquet").read_bytes())
    entry = replace(snapshot.tickers["AAA"], sha256=snapshot.tickers["BBB"].sha256)
    write_manifest(replace(snapshot, tickers={**snapshot.tickers, "AAA": entry}))
    with pytest.raises(IntegrityError, match=r"AAA\.parquet: is not what was stored"):
        read_series(open_snapshot(folder), "AAA")


def test_a_manifest_cannot_name_a_file_elsewhere(folder: Path) -> None:
    snapshot = open_snapshot(folder)
    entry = replace(snapshot.tickers["AAA"], file="../AAA.parquet")
    write_manifest(replace(snapshot, tickers={**snapshot.tickers, "AAA": entry}))
    with pytest.raises(IntegrityError, match=r"manifest\.json: is damaged or was edited"):
        open_snapshot(folder)


def test_missing_and_surplus_files_are_named(folder: Path) -> None:
    (folder / "AAA.parquet").rename(folder / "XXX.parquet")
    with pytest.raises(IntegrityError) as caught:
        verify_snapshot(folder)
    assert [(Path(p.file).name, p.message.split(":")[0]) for p in caught.value.problems] == [
        ("AAA.parquet", "cannot be read"),
        ("XXX.parquet", "is not in the manifest; delete it"),
    ]


def test_what_is_a_snapshot(folder: Path, tmp_path: Path) -> None:
    assert is_snapshot(folder)
    assert not is_snapshot(tmp_path)
    (tmp_path / "manifest.json").write_text('{"settings": {}}', encoding="utf-8")
    assert not is_snapshot(tmp_path)


def test_diff_tells_rewritten_returns_and_rows_by_day(tmp_path: Path) -> None:
    def paid(series: PriceSeries) -> PriceSeries:
        factor = np.where(np.arange(len(series.dates)) < 40, 0.98, 1.0)
        return replace(series, adj_close=series.adj_close * factor)

    def scaled(series: PriceSeries) -> PriceSeries:
        return replace(series, adj_close=series.adj_close * 3.7)

    def without_a_day(series: PriceSeries) -> PriceSeries:
        keep = np.arange(len(series.dates)) != 20
        return replace(series, dates=series.dates[keep], **{name: getattr(series, name)[keep] for name in ARRAYS})

    fetched(tmp_path / "a", Scripted({"GONE": "ok"}), replace(REQUEST, tickers=("AAA", "BBB", "GONE", "IDX")))
    new = Scripted()
    new.history = {"AAA": paid, "BBB": scaled, "IDX": without_a_day}
    fetched(tmp_path / "b", new)
    rows = diff_snapshots(tmp_path / "a", tmp_path / "b")
    assert [(r.ticker, r.day, r.kind) for r in rows] == [
        ("AAA", "2021-03-03", "return"),
        ("GONE", "", "absent"),
        ("IDX", "2021-02-02", "absent"),
    ]
    close = bars("AAA", REQUEST).close
    assert rows[0].before == pytest.approx(close[40] / close[39] - 1, rel=1e-12)
    assert rows[0].after == pytest.approx(close[40] / close[39] / 0.98 - 1, rel=1e-12)
    back = diff_snapshots(tmp_path / "b", tmp_path / "a")
    assert [(r.ticker, r.kind) for r in back] == [("AAA", "return"), ("GONE", "new"), ("IDX", "new")]
    assert diff_snapshots(tmp_path / "a", tmp_path / "a") == ()


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of a study, a data folder of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    events = write_events(tmp_path, [event_row("E1", "2021-06-09"), event_row("E2", "2021-09-08")])
    return [str(events), "--config", str(write_study(tmp_path)), "--prices", "scripted"]


def use(monkeypatch: pytest.MonkeyPatch, provider: Scripted) -> Scripted:
    monkeypatch.setitem(PROVIDERS, "scripted", provider)
    return provider


def test_fetch_then_run_reads_the_snapshot_only(
    study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Scripted({"CCC": "no_prices"}))
    assert main(["fetch", *study]) == 0
    out = capsys.readouterr().out
    assert "CCC: the provider's own words of CCC" in out
    assert "3 of 4 tickers with prices" in out
    kept = next(snapshots_folder().iterdir())
    assert kept.name.startswith("small-study-20")
    offline = use(monkeypatch, Scripted(dict.fromkeys(("AAA", "BBB", "CCC", "IDX"), "provider_broken")))
    arguments = [*study, "--out", str(tmp_path / "r"), "--set", 'report.formats=["csv"]', "--quiet"]
    assert main(["run", *arguments]) == 0
    assert offline.asked == []
    manifest = json.loads((tmp_path / "r" / "latest" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["prices"]["source"] == "scripted"
    assert manifest["prices"]["origin"] == {"kind": "snapshot", "name": kept.name}
    inputs = {row["name"]: row["sha256"] for row in manifest["inputs"]}
    assert inputs["AAA"] == open_snapshot(kept).tickers["AAA"].content_sha256
    assert str(tmp_path) not in json.dumps(manifest)


def test_fetch_prints_json_or_the_folder(
    study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Scripted())
    assert main(["fetch", *study, "--out", str(tmp_path / "s"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["snapshot"] == str(tmp_path / "s")
    assert found["outcomes"]["AAA"]["status"] == "ok"
    assert main(["fetch", *study, "--out", str(tmp_path / "s"), "--quiet"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 's'}\n"
    assert main(["fetch", *study[:3], "--prices", "simulated"]) == 2
    assert "'simulated' is not a source to fetch from; accepted: " in capsys.readouterr().err


def test_run_on_a_snapshot_checks_it(
    study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Scripted())
    main(["fetch", *study, "--out", str(tmp_path / "s"), "--quiet"])
    arguments = [
        "run",
        *study[:3],
        "--prices",
        str(tmp_path / "s"),
        "--out",
        str(tmp_path / "r"),
        "--set",
        'report.formats=["csv"]',
    ]
    assert main(arguments) == 0
    assert main(["snapshot", "verify", str(tmp_path / "s")]) == 0
    assert "4 files are as they were stored" in capsys.readouterr().out
    flip(tmp_path / "s" / "BBB.parquet", 777)
    for command in (arguments, ["snapshot", "verify", str(tmp_path / "s")]):
        assert main(command) == 5
        assert "BBB.parquet: is not what was stored" in capsys.readouterr().err


def test_diff_on_the_command_line(
    study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = use(monkeypatch, Scripted())
    main(["fetch", *study, "--out", str(tmp_path / "a"), "--quiet"])
    provider.history["AAA"] = lambda s: replace(s, adj_close=np.where(s.dates < s.dates[30], 0.9, 1) * s.adj_close)
    main(["fetch", *study, "--out", str(tmp_path / "b"), "--quiet"])
    capsys.readouterr()
    assert main(["snapshot", "diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("AAA 20")
    assert "1 difference(s) in 1 ticker(s)" in out
    assert main(["snapshot", "diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)] == ["return"]
    assert main(["snapshot", "diff", str(tmp_path / "a"), str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out == "no difference\n"


def test_part_of_the_prices_is_never_replaced_by_simulated_ones(
    study: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        *study[:3],
        "--set",
        "prices.offline=simulated",
        "--set",
        "prices.source=scripted",
        "--out",
        str(tmp_path / "r"),
        "--set",
        'report.formats=["csv"]',
    ]
    use(monkeypatch, Scripted(dict.fromkeys(("AAA", "BBB", "CCC", "IDX"), "provider_broken")))
    assert main(["run", *arguments]) == 0
    assert "SIMULATED PRICES: AAA: the provider's own words" in " ".join(capsys.readouterr().out.split())
    use(monkeypatch, Scripted({"BBB": "rate_limited"}))
    assert main(["run", *arguments]) == 4
    assert "1 of 4 tickers are fetched and kept in" in capsys.readouterr().err
