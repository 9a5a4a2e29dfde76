"""Write a pack atomically: stage, rename, repoint ``latest``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from eventstudy.report.pack import write_pack
from eventstudy.report.staging import UNFINISHED, aside, settle
from eventstudy.results.result import StudyResult
from eventstudy.workers import Start, in_turn


def publish(
    result: StudyResult,
    out: Path,
    *,
    formats: Sequence[str],
    progress: Callable[[str], None] | None = None,
    start: Start = in_turn,
) -> Path:
    """Write the pack into ``out/<run-id>`` and point ``out/latest`` to it.

    A pack of the same run id with the same content is left as it is; one with other content keeps
    its name and the new one gets a number. Earlier packs are never touched.

    Raises
    ------
    OSError
        If the disk is full or refuses; what was half written is removed.
    """
    with aside(out) as unfinished:
        write_pack(result, unfinished, formats=formats, progress=progress, start=start)
        target = _target(out, result.run_id, unfinished)
        settle(unfinished, target)
    _point(out / "latest", target.name)
    return target


def _target(out: Path, run_id: str, unfinished: Path) -> Path:
    manifest = (unfinished / "manifest.json").read_bytes() if (unfinished / "manifest.json").exists() else b""
    number = 1
    while True:
        target = out / (run_id if number == 1 else f"{run_id}-{number}")
        there = target / "manifest.json"
        if not target.exists() or (manifest and there.exists() and there.read_bytes() == manifest):
            return target
        number += 1


def _point(link: Path, name: str) -> None:
    """Swap a symbolic link in one step; where links are not allowed, a text file names the pack."""
    aside = link.with_name(f"{UNFINISHED}latest")
    aside.unlink(missing_ok=True)
    try:
        aside.symlink_to(name, target_is_directory=True)
        aside.replace(link)
    except OSError:
        aside.unlink(missing_ok=True)
        link.with_suffix(".txt").write_text(f"{name}\n", encoding="utf-8")
