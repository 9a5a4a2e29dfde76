"""What a script has printed, kept as its section of RESULTS-more.md with the machine and the versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS-more.md"
TITLE = "# Results of the other benchmarks\n"


def machine(packages: Sequence[str]) -> str:
    """Processor, cores, system and versions in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    there = [name for name in packages if importlib.util.find_spec(name)]
    versions = (f"{name} {importlib.metadata.version(name)}" for name in there)
    system = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    return ", ".join([model, system, *versions])


def with_section(text: str, command: str, body: str) -> str:
    """Return a results file with the section of one command replaced, sections in alphabetical order."""
    found = dict(re.findall(r"^## `(.+?)`\n(.*?)(?=^## `|\Z)", text, flags=re.MULTILINE | re.DOTALL))
    found[command] = f"\n{body.strip()}\n\n"
    return (TITLE + "\n" + "".join(f"## `{name}`\n{found[name]}" for name in sorted(found))).rstrip() + "\n"


class _Both(io.StringIO):
    """Text that is kept and shown at once."""

    def write(self, text: str) -> int:
        sys.__stdout__.write(text)
        sys.__stdout__.flush()
        return super().write(text)


def recorded(main: Callable[[], None], packages: Sequence[str]) -> None:
    """Run a script's main and write what it prints into `RESULTS`."""
    with contextlib.redirect_stdout(_Both()) as printed:
        main()
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    body = f"{machine(packages)}.\n\n```\n{printed.getvalue().rstrip()}\n```"
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    RESULTS.write_text(with_section(old, command, body), encoding="utf-8")
