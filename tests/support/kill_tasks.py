"""What the kill tests kill: a run, and a fetch from a server on this machine."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

from bad_inputs_place import TABLES_ONLY

from eventstudy.cli import main


def prepare(arguments: Sequence[str]) -> None:
    """Import and cache once what every task needs."""
    folder = Path(arguments[1])
    if arguments[0] == "run":
        assert _run(folder, 0) == 0
        return
    import importlib

    if arguments[0] in ("market", "pool"):
        # Not run here: threads that set pages would be missing in every fork, which then waits for them.
        for name in ("pandas", "pyarrow.parquet", "matplotlib.pyplot", "eventstudy.report.bundle"):
            importlib.import_module(name)
        return

    from eventstudy.exchanges.calendars import exchange_sessions
    from eventstudy.prices import get_provider

    for name in ("curl_cffi.requests", "pyarrow.parquet", "yfinance"):
        importlib.import_module(name)
    get_provider("yahoo")
    exchange_sessions("XNYS")


def task(arguments: Sequence[str]) -> int:
    """One try; its own process id makes each run a new pack."""
    if arguments[0] == "run":
        return _run(Path(arguments[1]), os.getpid())
    if arguments[0] in ("market", "pool"):
        return _COMMANDS[arguments[0]](Path(arguments[1]))
    return _fetch(Path(arguments[1]), arguments[2])


def _run(folder: Path, number: int) -> int:
    inputs = [folder / "events.csv", "--config", folder / "study.toml", "--prices", folder / "prices"]
    options = ["--out", folder / "results", *TABLES_ONLY, "--set", f"study.seed={number + 1}", "--quiet"]
    return _quietly(["run", *map(str, inputs), *map(str, options)])


def _market(folder: Path) -> int:
    inputs = [folder / "market.csv", "--prices", folder / "long.csv", "--benchmark", "IDX"]
    return _quietly(["market", *map(str, inputs), "--out", str(folder / "results"), "--quiet"])


def _pool(folder: Path) -> int:
    packs = [str(folder / name / "results" / "latest") for name in ("one", "two")]
    return _quietly(["pool", *packs, "--out", str(folder / "results"), "--quiet"])


_COMMANDS = {"market": _market, "pool": _pool}


def _fetch(folder: Path, url: str) -> int:
    from fake_yahoo import FakeYahoo

    from eventstudy.prices import get_provider, table

    class Elsewhere(FakeYahoo):
        @property
        def url(self) -> str:
            return url

    real = get_provider("yahoo")
    table.PROVIDERS["yahoo"] = lambda **given: real(
        session=Elsewhere().session(), cache_dir=folder / "cache", pause=0.01, **given
    )
    os.environ["NO_PROXY"] = "127.0.0.1"
    inputs = [folder / "events.csv", "--config", folder / "study.toml", "--prices", "yahoo"]
    return _quietly(["fetch", *map(str, inputs), "--out", str(folder / "snap"), "--quiet"])


def _quietly(arguments: list[str]) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return main(arguments)
