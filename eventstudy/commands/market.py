"""`eventstudy market`: another name of `eventstudy run`."""

from __future__ import annotations

from eventstudy.commands.run import SECTION, command

__all__ = ["SECTION", "command"]
