"""Other events of the file within the days after a drop that a verdict counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.events import Event, Events
from eventstudy.exchanges.calendars import Alignment
from eventstudy.messages import Message, joined, say
from eventstudy.reversal.history import day_codes
from eventstudy.reversal.shocks import Judgement


@dataclass(frozen=True, slots=True)
class Inside:
    """One event of another shock in a shock's post window, on the first session that it has there."""

    shock_id: str
    event_id: str
    day: str


def inside(judgement: Judgement, events: Events, alignments: Mapping[tuple[str, str], Alignment]) -> list[Inside]:
    """List the events of other shocks that meet a shock's peers within its post window, by their day.

    Placebos keep 21 sessions away from every event, the shocks themselves do not keep away from each
    other: what is listed here moved the one and cannot have moved the other.
    """
    found = []
    for k, shock in enumerate(judgement.drops.shock_id):
        days = [
            (min(met), event.event_id)
            for event in events
            if event.shock_id != shock and (met := list(_met(judgement, k, event, alignments)))
        ]
        found += [Inside(str(shock), name, str(day)) for day, name in sorted(days)]
    return found


def _met(
    judgement: Judgement, k: int, event: Event, alignments: Mapping[tuple[str, str], Alignment]
) -> Iterator[np.datetime64]:
    """Sessions of an event that a peer of shock k which it is about has in the post window."""
    panel, config = judgement.portfolios.abnormal.panel, judgement.history.config
    first, stop = judgement.portfolios.spans()[k]
    post = (panel.tau >= config.windows.post[0]) & (panel.tau <= config.windows.post[1])
    for row in judgement.portfolios.members[first:stop]:
        peer = config.peer(str(panel.ticker[row]))
        alignment = alignments.get((event.event_id, str(panel.market[row])))
        about = not event.tickers or set(event.tickers) & {peer.ticker, *peer.aliases}
        if alignment is not None and about:
            day = np.datetime64(alignment.session, "D")
            if day_codes(np.array([day]))[0] in panel.event_sessions[row, post]:
                yield day


def inside_words(found: Sequence[Inside], shocks: NDArray[np.str_]) -> Message | str:
    """Say which events lie in the post windows of these shocks, empty where none does."""
    texts = []
    for shock in shocks.tolist():
        named = [f"{item.event_id} ({item.day})" for item in found if item.shock_id == shock]
        if named:
            texts.append(say("inside.shock", shock=shock, events=", ".join(named)))
    return say("inside.all", shocks=joined(texts)) if texts else ""
