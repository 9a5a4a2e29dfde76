"""Fixtures for tests of every folder, each with mistakes of the program let through.

No optional part may hide one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from eventstudy.optional import DEBUG

# In the environment, so that commands which tests start have it too.
os.environ[DEBUG] = "1"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let an interrupt reach this process and its children, as in a terminal.

    A shell starts background jobs with SIGINT ignored; Python leaves that so, and children inherit it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print as into a file, 80 columns wide and without colours, whatever the machine's own terminal."""
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
