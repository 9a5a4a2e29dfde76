"""Kills, signals and a real proxy: what is left on disk is whole, and the same command goes on."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_inputs_place import TABLES_ONLY, Place, make_study, settle, whole
from blackbox import COMMAND, behind, finish, make_certificate, start
from fake_yahoo import FakeYahoo
from strike import HOW, Driver, kills, strike
from studies import event_row, write_events, write_study

from eventstudy.cli import main
from eventstudy.errors import Reason
from eventstudy.prices.snapshot import open_snapshot, verify_snapshot

TRIES = 60


@pytest.mark.slow
def test_a_run_killed_at_any_moment_leaves_a_whole_latest(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (tmp_path / "results" / "latest").unlink()
    with Driver("run", study) as driver:
        for _ in kills(driver, 60, TRIES):
            assert whole((study / "results" / "latest").resolve())
        assert driver.strike_after(120) == 0
    packs = [path for path in (study / "results").iterdir() if path.is_dir() and not path.is_symlink()]
    assert all(whole(pack) for pack in packs)
    assert not list((study / "results").glob(".unfinished*"))


@pytest.mark.slow
def test_a_fetch_killed_at_any_moment_resumes(tmp_path: Path) -> None:
    tickers = [f"T{n:02d}" for n in range(8)]
    write_study(tmp_path, tickers)
    folder = tmp_path / "snap"
    with FakeYahoo(n_bars=120, varied=True) as server:
        write_events(tmp_path, [event_row("E1", server.days()[100].isoformat())])
        with Driver("fetch", tmp_path, server.url) as driver:
            before: set[str] = set()
            resumed = 0
            # How many kills strike between two tickers depends on the machine: more rounds until enough have.
            rounds = itertools.chain.from_iterable(kills(driver, seed, TRIES) for seed in (60, 61, 62, 63))
            for number, _ in enumerate(rounds):
                kept = _kept(folder)
                assert before <= kept
                assert not set(server.asked) & before
                resumed += bool(before) and before < kept
                if len(kept) == len(tickers) + 1:
                    assert verify_snapshot(folder) == len(kept)
                    folder.rename(tmp_path / f"done-{number}")
                    kept = set()
                before = kept
                server.asked.clear()
                if number >= 2 * TRIES and resumed > 5:
                    break
            assert driver.strike_after(120) == 0
    assert verify_snapshot(folder) == len(tickers) + 1
    assert not list(folder.glob(".part-*"))
    assert resumed > 5


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("task", ["run", "fetch", "market", "pool"])
def test_four_strikes_leave_nothing_broken(tmp_path: Path, task: str, how: str) -> None:
    assert strike(task, how, 4, tmp_path, seed=4) == []


def _kept(folder: Path) -> set[str]:
    """Tickers that a snapshot holds; every one of them must be as it was stored."""
    if not (folder / "manifest.json").exists():
        return set()
    snapshot = open_snapshot(folder)
    for entry in snapshot.tickers.values():
        assert (folder / entry.file).is_file()
    return set(snapshot.tickers)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    return settle(make_study(tmp_path / "template"), tmp_path / "here", monkeypatch, capsys)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FakeYahoo]:
    pair = make_certificate(tmp_path / "ca")
    if pair is None:
        pytest.skip("needs openssl")
    with FakeYahoo(n_bars=260, varied=True, tls=pair) as server:
        server.certificate = pair[0]  # type: ignore[attr-defined]
        yield server


def command(place: Place, server: FakeYahoo, *more: object) -> tuple[list[object], dict[str, str]]:
    """A fetch through the proxy and its environment."""
    place.rows(event_row("E1", server.days()[200].isoformat()))
    env = behind(server.url, place.folder, server.certificate)  # type: ignore[attr-defined]
    return ["fetch", *place.inputs("yahoo"), *more], env


def test_fetch_and_run_through_a_proxy_with_a_certificate_of_its_own(place: Place, proxy: FakeYahoo) -> None:
    proxy.modes = {"BBB": "404"}
    fetch, env = command(place, proxy)
    code, out, err = finish(fetch, env=env)
    assert (code, err) == (0, "")
    assert "2 of 3 tickers with prices" in out
    assert "No data found, symbol may be delisted" in " ".join(out.split())
    asked = proxy.asked.copy()
    run = ["run", *fetch[1:], "--out", place.results, *TABLES_ONLY, "--quiet"]
    code, out, err = finish(run, env=env)
    assert (code, err) == (0, "")
    assert proxy.asked == asked
    assert place.reason("AAA") == "used "
    assert place.reason("BBB").startswith("dropped no_prices: Yahoo has no prices of BBB")
    assert finish(["verify", place.latest, "--events", place.events], env=env)[0] == 0
    place.assert_earlier_results_intact()


def test_429_then_the_same_command_through_a_proxy(place: Place, proxy: FakeYahoo) -> None:
    proxy.modes = {"BBB": "429"}
    fetch, env = command(place, proxy)
    code, _, err = finish(fetch, env=env)
    assert code == 4
    assert "too many requests" in err
    assert "1 of 3 tickers are fetched and kept in" in err
    proxy.modes = {}
    proxy.asked.clear()
    assert finish(fetch, env=env)[0] == 0
    assert sorted(proxy.asked) == ["BBB", "IDX"]


def test_a_line_that_dies_after_k_tickers_through_a_proxy(place: Place, proxy: FakeYahoo) -> None:
    proxy.dies_after = 2
    fetch, env = command(place, proxy)
    code, _, err = finish(fetch, env=env)
    assert code == 4
    assert "2 of 3 tickers are fetched and kept in" in err
    proxy.dies_after = None
    proxy.asked.clear()
    assert finish(fetch, env=env)[0] == 0
    assert list(proxy.asked) == ["IDX"]


def test_rewritten_history_through_a_proxy(place: Place, proxy: FakeYahoo) -> None:
    for name, modes in (("a", {}), ("b", {"AAA": "dividend", "BBB": "split"})):
        proxy.modes = modes
        fetch, env = command(place, proxy, "--out", place.folder / name)
        assert finish(fetch, env=env)[0] == 0
    place.capsys.readouterr()
    assert main(["snapshot", "diff", "a", "b", "--json"]) == 0
    rows = json.loads(place.capsys.readouterr().out)
    assert [(row["ticker"], row["day"]) for row in rows] == [("AAA", proxy.days()[40].isoformat())]
    splits = open_snapshot(place.folder / "b").tickers["BBB"].outcome.notes
    assert splits == (Reason("yahoo.split", ratio="4", day=str(proxy.days()[30])),)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_fetch_keeps_what_it_has(place: Place, proxy: FakeYahoo) -> None:
    proxy.modes = {"BBB": "hang"}
    fetch, env = command(place, proxy)
    process = start(fetch, env={**os.environ, **env}, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not proxy.asked["BBB"] and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b"eventstudy: stopped; 1 of 3 tickers are fetched and kept in" in err
    assert b"Traceback" not in err
    proxy.modes = {}
    proxy.asked.clear()
    assert finish(fetch, env=env)[0] == 0
    assert sorted(proxy.asked) == ["BBB", "IDX"]


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_leaves_earlier_results(place: Place) -> None:
    place.rows(event_row("E1", "2021-06-09"))
    hold = "import time, eventstudy.study as s\ns.compute = lambda *a: (print('here', flush=True), time.sleep(30))\n"
    process = subprocess.Popen(
        [*COMMAND[:2], hold + COMMAND[2], "run", *map(str, [*place.inputs(), "--out", place.results])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"eventstudy: stopped; no result was written, earlier ones are as they were" in err
    place.assert_earlier_results_intact()


def test_a_job_that_ignores_interrupts_goes_on(place: Place) -> None:
    place.rows(event_row("E1", "2021-06-09"))
    hold = (
        "import signal, time, eventstudy.study as s\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
        "real = s.compute\n"
        "s.compute = lambda *a: (print('here', flush=True), time.sleep(1), real(*a))[2]\n"
    )
    arguments = [*place.inputs(), *TABLES_ONLY, "--out", place.results, "--quiet"]
    process = subprocess.Popen(
        [*COMMAND[:2], hold + COMMAND[2], "run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # As a shell starts a job in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    assert whole(place.folder / out.decode().strip())
