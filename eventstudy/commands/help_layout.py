"""Layout of the help: commands in sections, each with examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import click

#: Sections in the order of the help; a command file names its section in ``SECTION``.
SECTIONS = ("Study", "Set up", "Prices", "Results")


def examples(*lines: str) -> str:
    """Return the end of a command's help: one unwrapped line for each example."""
    return "\n".join(("\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)))


def write_sections(formatter: click.HelpFormatter, commands: Mapping[str, tuple[str, click.Command]]) -> None:
    """Write the list of commands, by ``SECTION``."""
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, (section, command) in commands.items():
        rows[section].append((name, command.get_short_help_str(limit=90)))
    for section in sorted(rows, key=lambda name: SECTIONS.index(name) if name in SECTIONS else len(SECTIONS)):
        with formatter.section(section):
            formatter.write_dl(rows[section])
