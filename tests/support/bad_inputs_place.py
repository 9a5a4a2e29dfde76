"""Where the bad inputs are tried: a small study on disk beside results of an earlier run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_yahoo import FakeYahoo
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main

TICKERS = ("AAA", "BBB")
E1, E2 = "2021-06-09", "2021-09-08"
TABLES_ONLY = ("--set", 'report.formats=["csv","json"]')


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command gave: exit code and both outputs, each on one line."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return f"{self.out} {self.err}"


@dataclass(slots=True)
class Place:
    """A folder with events.csv, study.toml, prices/, and results/ of an earlier run."""

    folder: Path
    patch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    earlier: dict[str, str] = field(default_factory=dict)

    @property
    def events(self) -> Path:
        return self.folder / "events.csv"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def latest(self) -> Path:
        return (self.results / "latest").resolve()

    def rows(self, *rows: str) -> None:
        """Write events.csv with the good header and these rows."""
        write_events(self.folder, rows)

    def bytes(self, content: bytes) -> None:
        """Write events.csv as it is given."""
        self.events.write_bytes(content)

    def prices(self, ticker: str, change: Callable[[list[str]], Iterable[str]]) -> None:
        """Rewrite the data lines of a ticker's prices."""
        path = self.folder / "prices" / f"{ticker}.csv"
        header, *body = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([header, *change(body), ""]), encoding="utf-8")

    def cli(self, *arguments: object) -> Answer:
        """Run the command in this process."""
        self.capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = self.capsys.readouterr()
        return Answer(code, " ".join(printed.out.split()), " ".join(printed.err.split()))

    def inputs(self, prices: object = "prices") -> list[object]:
        """Arguments that name the study and its prices."""
        return [self.events, "--config", self.folder / "study.toml", "--prices", self.path(prices)]

    def path(self, prices: object) -> object:
        here = self.folder / str(prices)
        return here if here.exists() else prices

    def run(self, *more: object, prices: object = "prices") -> Answer:
        return self.cli("run", *self.inputs(prices), "--out", self.results, *TABLES_ONLY, *more)

    def check(self, *more: object, prices: object = "prices") -> Answer:
        return self.cli("check", *self.inputs(prices), *more)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the newest pack, cells as text."""
        path = self.latest / ("ledger.csv" if name == "ledger" else f"tables/{name}.csv")
        return pd.read_csv(path, dtype=str, keep_default_na=False)

    def reason(self, ticker: str, event: str = "E1") -> str:
        """Status and reason of one event × ticker in the newest ledger."""
        ledger = self.table("ledger").set_index(["event_id", "ticker"])
        return f"{ledger.loc[(event, ticker), 'status']} {ledger.loc[(event, ticker), 'reason']}"

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.latest / "summary.json").read_text(encoding="utf-8"))
        return found

    def yahoo(self, server: FakeYahoo, **options: Any) -> None:
        """Let ``--prices yahoo`` reach a server on this machine."""
        from eventstudy.prices import get_provider, table

        real = get_provider("yahoo")
        settings: dict[str, Any] = {"deadline": 3.0, "pause": 0.01, "cache_dir": self.folder / "cache", **options}

        def factory(**given: Any) -> Any:
            return real(session=server.session(), **settings, **given)

        self.patch.setitem(table.PROVIDERS, "yahoo", factory)
        self.patch.setenv("XDG_DATA_HOME", str(self.folder / "data"))

    def snapshots(self) -> list[Path]:
        return sorted((self.folder / "data" / "eventstudy" / "snapshots").glob("*"))

    def assert_earlier_results_intact(self) -> None:
        """The first pack is byte-identical and ``latest`` is a whole pack; nothing half written is left."""
        assert digests(self.results / self.earlier["name"]) == json.loads(self.earlier["digests"])
        assert (self.results / "latest").is_symlink()
        assert whole(self.latest)
        assert not list(self.results.glob(".unfinished*"))


def digests(pack: Path) -> dict[str, str]:
    """sha256 of every file of a pack by relative name."""
    files = sorted(path for path in pack.rglob("*") if path.is_file())
    return {p.relative_to(pack).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def whole(pack: Path) -> bool:
    """Whether a pack holds exactly what its manifest lists."""
    found = digests(pack)
    found.pop("manifest.json", None)
    listed: dict[str, str] = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))["outputs"]
    return found == listed


def make_study(folder: Path) -> Path:
    """A study of two tickers with prices of a year and a half, and one finished run."""
    write_prices(folder / "prices", TICKERS, start="2020-06-01", end="2021-12-30")
    write_study(folder, TICKERS)
    write_events(folder, [event_row("E1", E1), event_row("E2", E2)])
    arguments = [folder / "events.csv", "--config", folder / "study.toml", "--prices", folder / "prices"]
    assert main(["run", *map(str, arguments), "--out", str(folder / "results"), *TABLES_ONLY, "--quiet"]) == 0
    return folder


def settle(template: Path, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    """A copy of the template with the earlier pack noted."""
    shutil.copytree(template, folder, symlinks=True, dirs_exist_ok=True)
    place = Place(folder, patch, capsys)
    name = str((folder / "results" / "latest").readlink())
    place.earlier = {"name": name, "digests": json.dumps(digests(folder / "results" / name))}
    patch.chdir(folder)
    return place
