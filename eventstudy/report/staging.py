"""Lock a results folder for one run at a time, and write its content atomically."""

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
    """Create the results folder, check that it is writable, and lock it for one run.

    Raises
    ------
    ConfigError
        If the folder is not writable, or another run has locked it.
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
                # An interrupt may have stopped an earlier removal.
                _clear(out)
    except Timeout as error:
        raise ConfigError(f"--out {out}: another run is writing there; wait for it or give another folder") from error


def _clear(out: Path) -> None:
    """Remove unfinished files of an earlier run or of this one."""
    for left in out.glob(f"{UNFINISHED}*"):
        if left.is_symlink():
            left.unlink()
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def moved_in(out: Path, name: str) -> Iterator[Path]:
    """Context that yields a folder and moves it to ``out/name`` at the end; an existing folder is kept.

    Raises
    ------
    OSError
        If the disk is full or not writable; partly written files are removed.
    """
    with aside(out) as unfinished:
        yield unfinished
        settle(unfinished, out / name)


@contextmanager
def aside(out: Path) -> Iterator[Path]:
    """Context that yields a temporary folder in ``out``, which is removed at the end unless `settle` moved it."""
    around = Path(tempfile.mkdtemp(dir=out, prefix=UNFINISHED))
    # A subfolder, because mkdtemp makes the outer folder private regardless of the umask.
    unfinished = around / "pack"
    unfinished.mkdir()
    try:
        yield unfinished
    finally:
        shutil.rmtree(around, ignore_errors=True)


def settle(unfinished: Path, target: Path) -> None:
    """Move a folder to its final path; an existing folder is kept."""
    if not target.exists():
        unfinished.rename(target)
