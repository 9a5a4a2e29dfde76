"""Here every list of tickers and dates is too long for memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

#: The settings last: a module that is first imported here takes the number from them.
PLACES = ("large.event_list", "large.length", "large.engine", "results.long_list", "config")


@pytest.fixture(scope="module", autouse=True)
def _long_lists() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for place in PLACES:
            patch.setattr(f"eventstudy.{place}.IN_MEMORY", 0)
        yield
