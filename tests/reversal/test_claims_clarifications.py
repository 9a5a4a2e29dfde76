"""The post window parted at the answer, and what may be put down to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reversal_studies import ENDS, drop_days, misread, study
from studies import event_row

from eventstudy.core.estimation import Computed
from eventstudy.events import Events, read_events
from eventstudy.messages import text
from eventstudy.reversal import Shocks
from eventstudy.reversal.claims import clarifications


def clarified(tmp_path: Path, delay: int) -> tuple[Computed, Shocks, Events]:
    day = drop_days(1)[0]
    _, plain = study(tmp_path, [misread("E0", day), *ENDS])
    grid = plain.history.days(("AAA",))
    at = int(np.searchsorted(grid, int(np.datetime64(day, "D").astype(int))))
    later = str(np.datetime64(int(grid[at + delay]), "D"))
    answer = event_row("C0", later, kind="clarification", label="clarification", shock_id="E0", clarifies="E0")
    computed, shocks = study(tmp_path, [misread("E0", day), answer, *ENDS])
    return computed, shocks, read_events(tmp_path / "events.csv")


def test_the_post_window_is_parted_at_the_answer(tmp_path: Path) -> None:
    computed, shocks, events = clarified(tmp_path, 6)
    row = clarifications(shocks, events, computed.alignments, shocks.history.config)[0]
    k = list(shocks.drops.shock_id).index("E0")
    portfolios = shocks.portfolios
    assert row.delay == 6
    assert row.car_before == pytest.approx(portfolios.car((2, 5))[k])
    assert row.car_at == pytest.approx(portfolios.car((6, 7))[k])
    assert row.car_after == pytest.approx(portfolios.car((8, 20))[k])
    assert row.car_before + row.car_at + row.car_after == pytest.approx(shocks.drops.post[k])
    assert row.speedup == pytest.approx((row.car_at + row.car_after) / 15 - row.car_before / 4)
    assert row.n_placebos >= 5
    assert (row.attributed, text(row.reason)) == (False, "1 answer after a drop, too few for a test over dates")


@pytest.mark.parametrize(
    ("delay", "flag", "reason"),
    [
        (-3, "PRECEDES_DROP", "it precedes the drop"),
        (0, "SAME_SESSION", "daily prices cannot separate it from the drop"),
        (1, "", "day +1 is in the drop window"),
    ],
)
def test_answers_that_can_turn_nothing(tmp_path: Path, delay: int, flag: str, reason: str) -> None:
    computed, shocks, events = clarified(tmp_path, delay)
    row = clarifications(shocks, events, computed.alignments, shocks.history.config)[0]
    assert (row.flag, text(row.reason), row.attributed) == (flag, reason, False)
    assert np.isnan(row.car_at)
