"""A results folder, locked by one run at a time; its content is written atomically."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from eventstudy.errors import ConfigError

LOCK = ".eventstudy.lock"
UNFINISHED = ".unfinished-"


@contextmanager
def reserve(out: Path) -> Iterator[Path]:
    """Create the results folder, check that it can be written, and hold it for one run.

    Raises
    ------
    ConfigError
        If the folder cannot be written, or another run holds it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=UNFINISHED):
            pass
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written ({error.strerror}); give another folder") from error
    lock = FileLock(out / LOCK, timeout=0)
    try:
        with lock:
            _clear(out)
            try:
                yield out
            finally:
                # An interrupt may have struck while something was being removed.
                _clear(out)
    except Timeout as error:
        raise ConfigError(f"--out {out}: another run is writing there; wait for it or give another folder") from error


def _clear(out: Path) -> None:
    """Remove what an earlier run, or this one, left unfinished."""
    for left in out.glob(f"{UNFINISHED}*"):
        if left.is_symlink():
            left.unlink()
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def moved_in(out: Path, name: str) -> Iterator[Path]:
    """Give a folder to write into and move it to ``out/name`` whole; one that is there already stays.

    Raises
    ------
    OSError
        If the disk is full or refuses; what was half written is removed.
    """
    with aside(out) as unfinished:
        yield unfinished
        settle(unfinished, out / name)


@contextmanager
def aside(out: Path) -> Iterator[Path]:
    """Give a folder of ``out`` to write into, which is removed at the end unless `settle` has moved it."""
    around = Path(tempfile.mkdtemp(dir=out, prefix=UNFINISHED))
    # Within, as the folder around it is its owner's alone, whatever the umask.
    unfinished = around / "pack"
    unfinished.mkdir()
    try:
        yield unfinished
    finally:
        shutil.rmtree(around, ignore_errors=True)


def settle(unfinished: Path, target: Path) -> None:
    """Move a folder to its place whole; one that is there already stays."""
    if not target.exists():
        unfinished.rename(target)
