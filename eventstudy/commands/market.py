"""`eventstudy market`: another name of `eventstudy run`."""

from __future__ import annotations

import copy

from eventstudy.commands import run

SECTION = run.SECTION

command = copy.copy(run.command)
command.name = "market"
command.help = "Another name of 'eventstudy run'."
command.epilog = None
