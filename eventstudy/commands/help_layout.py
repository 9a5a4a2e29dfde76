"""How the help is laid out: commands by the kind of work, each with examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import click

#: Kinds of work, in the order of the help; a command file says its own in ``SECTION``.
SECTIONS = ("Study", "Set up", "Prices", "Results")


def examples(*lines: str) -> str:
    """Return the end of a command's help: examples, a line each, not wrapped."""
    return "\n".join(("\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)))


def write_sections(formatter: click.HelpFormatter, commands: Mapping[str, tuple[str, click.Command]]) -> None:
    """Write the list of commands, each with its ``SECTION``, those of one kind together."""
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, (section, command) in commands.items():
        rows[section].append((name, command.get_short_help_str(limit=90)))
    for section in sorted(rows, key=lambda name: SECTIONS.index(name) if name in SECTIONS else len(SECTIONS)):
        with formatter.section(section):
            formatter.write_dl(rows[section])
