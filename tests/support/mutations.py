"""Inputs damaged at random, and what the commands make of them: ``python mutations.py [--count 2000] [--seed 1]``.

Each try copies a small study, damages one file, and runs one command on it in this process. It must end with exit
code 0, 2, 3, 4 or 5, say nothing on stderr but its own sentences, and leave only whole packs. ``--only KIND:NUMBER``
repeats one try and keeps its folder.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet
from bad_inputs_place import TABLES_ONLY, make_study, whole
from scripted import Scripted
from small_study import small_study

from eventstudy.cli import main
from eventstudy.errors import DEBUG
from eventstudy.prices import PROVIDERS
from eventstudy.report.pack import write_pack
from eventstudy.report.packs import sealed

ALLOWED = (0, 2, 3, 4, 5)
#: Seconds after which a command hangs.
PATIENCE = 120
#: Cells and values that have broken readers before.
NASTY = (
    *("", "NaN", "inf", "-inf", "-1", "0", "1e308", "1e-320", "1e5", "9" * 400, "0x10", "1,5", "1_000", "٣", "TRUE"),
    *("0001-01-01", "9999-12-31", "2021-02-30", "2021-06-09T10:00:00+14:01", "2021-06-09T10:00:00-23:59"),
    *("../../etc/passwd", "A" * 5000, "=cmd()", "\x00", "\ufeff", "\u202e", '"', "'", ";", ",", "\r", "[", "{", "%s"),
)
#: The same for JSON.
NASTY_JSON: tuple[Any, ...] = (None, True, 0, -1, 1.5, 1e308, 10**30, "", "x", "2031-02-30", [], {}, [[]], {"a": {}})


@dataclass(frozen=True, slots=True)
class World:
    """Where the undamaged files are, by kind of input."""

    folder: Path

    @property
    def study(self) -> Path:
        return self.folder / "study"


def make_world(folder: Path) -> World:
    """Write a study with a pack, a snapshot, a pack with all tables, and a market's files."""
    PROVIDERS["scripted"] = Scripted()
    study = make_study(folder / "study")
    options = ["--config", study / "study.toml", "--prices", "scripted", "--out", study / "snap", "--quiet"]
    assert _quietly("fetch", study / "events.csv", *options)[0] == 0
    (study / "full").mkdir()
    write_pack(small_study(), study / "full", formats=("csv", "json"))
    closes = [
        f"{path.stem},{line.split(',')[0]},{line.split(',')[2]}"
        for path in sorted((study / "prices").glob("*.csv"))
        for line in path.read_text(encoding="utf-8").splitlines()[1:]
    ]
    (study / "long.csv").write_text("\n".join(["ticker,date,adj_close", *closes, ""]), encoding="utf-8")
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(study / "long.csv"), study / "long.parquet")
    days = ("2021-06-09", "2021-07-14", "2021-09-08")
    rows = [f"{ticker},{day}" for ticker in ("AAA", "BBB") for day in days]
    (study / "market.csv").write_text("\n".join(["ticker,date", *rows, ""]), encoding="utf-8")
    return World(folder)


Try = tuple[Path, list[Any]]


def _study(command: str, folder: Path, prices: object) -> list[Any]:
    out = ["--out", folder / "out", *TABLES_ONLY, "--quiet"] if command == "run" else []
    return [command, folder / "events.csv", "--config", folder / "study.toml", "--prices", prices, *out]


def events(folder: Path, dice: random.Random) -> Try:
    return folder / "events.csv", _study(dice.choice(("check", "check", "run")), folder, folder / "prices")


def toml(folder: Path, dice: random.Random) -> Try:
    names = ("[windows]", "[model]", "[tests]", "[reversal]", "[backtest]", "[report]", "[prices]", "[returns]")
    values = ("minimum = 60", "lags = 2", "draws = 99", "drop_k = 1", "stop = 0.1", 'formats = ["csv"]', "x = 1", "")
    path = folder / "study.toml"
    more = "".join(f"\n{name}\n{value}\n" for name, value in zip(names, values, strict=True) if dice.random() < 0.3)
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    return path, _study(dice.choice(("check", "check", "run")), folder, folder / "prices")


def prices(folder: Path, dice: random.Random) -> Try:
    path = folder / "prices" / f"{dice.choice(('AAA', 'IDX'))}.csv"
    return path, _study(dice.choice(("check", "run")), folder, folder / "prices")


def snapshot(folder: Path, dice: random.Random) -> Try:
    path = folder / "snap" / dice.choice(("manifest.json", "manifest.json", "AAA.parquet"))
    whole_one = shutil.copytree(folder / "snap", folder / "snap-before")
    commands: list[list[Any]] = [
        ["snapshot", "verify", folder / "snap"],
        ["snapshot", "diff", whole_one, folder / "snap"],
        _study("check", folder, folder / "snap"),
    ]
    return path, dice.choice(commands)


def pack(folder: Path, dice: random.Random) -> Try:
    real = (folder / "results" / "latest").resolve()
    home = dice.choice((real, folder / "full"))
    # The pack of the study without labels answers no question about reversals and lacks its tables.
    own = (
        ["tables/reversal.csv", "tables/placebo.csv"] if home != real else ["tables/tests.csv", "tables/event_days.csv"]
    )
    path = home / dice.choice(["manifest.json", "summary.json", "summary.json", "ledger.csv", "tables/car.csv", *own])
    again = ["verify", real, "--no-pages", "--events", folder / "events.csv", "--prices", folder / "prices"]
    commands = [["show", home], ["compare", home, folder / "full"], ["pool", home, "--out", folder / "out"], again]
    weights = [5, 3, 3, 1 if home == real else 0]
    return path, dice.choices(commands, weights)[0]


def market(folder: Path, dice: random.Random) -> Try:
    source = folder / dice.choice(("long.csv", "long.parquet"))
    path = dice.choice((folder / "market.csv", source))
    out = ["--out", folder / "out", "--quiet", "--set", "tests.draws=99"]
    return path, ["market", folder / "market.csv", "--prices", source, "--benchmark", "IDX", *out]


KINDS: dict[str, Callable[[Path, random.Random], Try]] = {
    made.__name__: made for made in (events, toml, prices, snapshot, pack, market)
}


def damage(path: Path, dice: random.Random) -> None:
    """Change a file at one to three spots: bytes, cells, lines, or values of JSON."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        raw = path.read_bytes()
        if path.suffix == ".json" and dice.random() < 0.8:
            raw = _json_changed(raw, dice)
        elif path.suffix == ".parquet" or dice.random() < 0.35:
            raw = _bytes_changed(raw, dice)
        else:
            raw = _cells_changed(raw, dice)
        path.write_bytes(raw)


def _bytes_changed(raw: bytes, dice: random.Random) -> bytes:
    at, width = dice.randrange(len(raw) + 1), dice.choice((1, 1, 4, 40, 400))
    noise = bytes(dice.randrange(256) for _ in range(width))
    ways = (raw[:at], raw[:at] + raw[at + width :], raw[:at] + noise + raw[at + width :], raw[:at] + noise + raw[at:])
    return dice.choice((*ways, raw[:at] + raw[at : at + width] * 3 + raw[at + width :], b""))


def _cells_changed(raw: bytes, dice: random.Random) -> bytes:
    lines = raw.decode("utf-8", "surrogateescape").split("\n")
    at = dice.choice((0, dice.randrange(len(lines)), dice.randrange(len(lines))))
    cells = re.split(r"([,=\s\[\]]+)", lines[at])
    spot = dice.randrange(len(cells))
    how = dice.randrange(6)
    if how < 3:
        cells[spot] = dice.choice(NASTY)
        lines[at] = "".join(cells)
    elif how == 3:
        lines.insert(at, lines[dice.randrange(len(lines))])
    elif how == 4:
        del lines[at]
    else:
        cells[spot] = cells[dice.randrange(len(cells))]
        lines[at] = "".join(cells)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _json_changed(raw: bytes, dice: random.Random) -> bytes:
    try:
        content = json.loads(raw)
    except ValueError:
        return _bytes_changed(raw, dice)
    spots = list(_spots(content))
    if not spots:
        return raw
    holder, key = dice.choice(spots)
    if dice.random() < 0.3:
        del holder[key]
    else:
        holder[key] = dice.choice(NASTY_JSON)
    return json.dumps(content).encode()


def _spots(content: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        yield content, key
        yield from _spots(content[key])


def seal(path: Path) -> None:
    """Give a pack's manifest the digests of what a forger has changed."""
    home = path.parent if (path.parent / "manifest.json").exists() else path.parent.parent
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        manifest = json.loads((home / "manifest.json").read_bytes())
        if path.name != "manifest.json":
            manifest["outputs"][path.relative_to(home).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        (home / "manifest.json").write_text(json.dumps(sealed(manifest)), encoding="utf-8")


def attempt(world: World, kind: str, number: int, seed: int, folder: Path) -> str:
    """Return what is wrong with one try; empty where all is as it should be."""
    dice = random.Random(f"{seed}-{kind}-{number}")
    shutil.copytree(world.study, folder, symlinks=True)
    path, arguments = KINDS[kind](folder, dice)
    damage(path, dice)
    if kind == "pack" and dice.random() < 0.6:
        seal(path)
    code, _, error = _quietly(*arguments)
    faults = []
    if code not in ALLOWED:
        faults.append(f"exit {code}")
    if re.search(r"Warning|Traceback|internal error", error):
        faults.append("said what is not its own")
    if code and not error.strip():
        faults.append("said nothing")
    for out in (folder / "out", folder / "results"):
        left = [item.name for item in out.glob(".unfinished*")] if out.is_dir() else []
        faults += [f"left {name}" for name in left]
        packs = list(out.glob("*/manifest.json")) if out.is_dir() and kind != "pack" else []
        faults += [f"half a pack {item.parent.name}" for item in packs if not whole(item.parent)]
    if not faults:
        return ""
    shown = " ".join(str(argument).replace(str(folder), "") for argument in arguments[:2])
    return f"{kind}:{number} {shown} ({path.name}): {', '.join(faults)}: {error.strip()[:300]}"


def _quietly(*arguments: object) -> tuple[int, str, str]:
    """Exit code, and what was printed on both streams; 124 where the command hangs."""
    out, error = io.StringIO(), io.StringIO()

    def late(*_: object) -> None:
        raise RuntimeError("hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), warnings.catch_warnings():
            warnings.resetwarnings()
            return main([str(argument) for argument in arguments]), out.getvalue(), error.getvalue()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(count: int, *, seed: int = 1, say: Callable[[str], None] = print) -> list[str]:
    """Try ``count`` mutations over all kinds in turn; return what is wrong."""
    found, codes = [], Counter[str]()
    with tempfile.TemporaryDirectory() as scratch, without_debug():
        world = make_world(Path(scratch) / "world")
        for number in range(count):
            kind = list(KINDS)[number % len(KINDS)]
            folder = Path(scratch) / "try"
            fault = attempt(world, kind, number // len(KINDS), seed, folder)
            shutil.rmtree(folder)
            codes[kind] += bool(fault)
            if fault:
                found.append(fault)
                say(fault)
    say(f"{count} mutations, {len(found)} wrong {dict(codes)}")
    return found


@contextlib.contextmanager
def without_debug() -> Iterator[None]:
    """Run the commands as a user does: mistakes within optional parts are told, not raised."""
    before = os.environ.pop(DEBUG, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[DEBUG] = before


def _from_command_line() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="KIND:NUMBER of one try, shown with its folder")
    given = parser.parse_args()
    if not given.only:
        return bool(run(given.count, seed=given.seed, say=lambda text: print(text, flush=True)))
    kind, number = given.only.split(":")
    scratch = Path(tempfile.mkdtemp())
    with without_debug():
        print(attempt(make_world(scratch / "world"), kind, int(number), given.seed, scratch / "try"))
    print(scratch / "try")
    return 0


if __name__ == "__main__":
    sys.exit(_from_command_line())
