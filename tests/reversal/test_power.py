"""Lists of pseudo-events: which falls they take, which controls are left, and how often the verdict finds an effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eventstudy.config import Reversal, Windows
from eventstudy.reversal import power as module
from eventstudy.reversal.estimator import estimate
from eventstudy.reversal.power import Past, as_list, draw_events, judged, planted, power
from eventstudy.reversal.verdict import REVERSAL, kind_of, smallest_margin
from eventstudy.simulate.sectors import pasts, sector_returns, together


@pytest.fixture(scope="module")
def past() -> Past:
    return pasts(sector_returns(1, np.random.default_rng(2)), Windows(), Reversal())[0]


@pytest.mark.parametrize("placement", ["day", "first", "slide"])
def test_a_list_holds_drops_whose_windows_do_not_overlap(past: Past, placement: str) -> None:
    rng = np.random.default_rng(1)
    session, drop = past.falls.session, np.flatnonzero(past.can)
    first = [row for row in drop if not ((session[drop] < session[row]) & (session[drop] > session[row] - 21)).any()]
    for _ in range(20):
        events = draw_events(past, {"S00": 10}, rng, placement=placement)
        assert past.can[events].all()
        assert (np.diff(session[events]) >= 21).all()
        if placement == "first":
            assert len(events) == min(10, len(first))
            assert set(events.tolist()) <= set(first)


def test_of_two_strata_of_one_family_the_first_of_overlapping_events_stays(past: Past) -> None:
    both = together([past, Past(replace(past.falls, stratum=np.full(len(past.falls), "B")), past.drop, past.can)])
    linked = replace(both, falls=replace(both.falls, family=np.full(len(both.falls), "S00")))
    apart = draw_events(both, {"S00": 60, "B": 60}, np.random.default_rng(3))
    joined = draw_events(linked, {"S00": 60, "B": 60}, np.random.default_rng(3))
    assert len(apart) == 2 * len(joined)
    assert (np.diff(linked.falls.session[joined]) >= 21).all()


def test_controls_near_an_event_go_and_share_what_is_planted(past: Past) -> None:
    events = draw_events(past, {"S00": 3}, np.random.default_rng(4))
    listed = as_list(past.falls, events)
    assert listed.event.sum() == len(events)
    gap = listed.session[~listed.event][:, None] - listed.session[listed.event]
    assert not ((gap >= -1) & (gap < 21)).any()
    moved = planted(listed, 0.19).post - listed.post
    assert moved[listed.event] == pytest.approx(0.19)
    # A control n sessions before an event shares 19 - n of its 19 days: a point a day.
    before = np.where(gap < 0, -gap, 99).min(axis=1)
    assert moved[~listed.event] == pytest.approx(0.01 * np.maximum(19 - before, 0))
    assert (before < 19).any()


def test_a_list_is_judged_by_the_estimator_and_the_rule_of_the_verdict(past: Past) -> None:
    events = draw_events(past, {"S00": 8}, np.random.default_rng(5))
    listed = as_list(past.falls, events)
    for effect, (found, kind) in zip((0.0, 0.3), judged(past, events, (0.0, 0.3), seed=1), strict=True):
        own = estimate(planted(listed, effect))
        assert found.effect == own.effect
        assert kind == kind_of(own, smallest_margin(past.drop[events]))
    assert kind == REVERSAL


def test_power_is_the_share_of_lists_with_a_reversal_and_is_paid_for_once(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = power(past, {"S00": 8}, seed=1, draws=40)
    assert list(found) == ["0.02", "0.05", "0.10"]
    assert found["0.02"] <= found["0.05"] <= found["0.10"]
    assert 0 < found["0.10"] < 1
    rng = np.random.default_rng(1)
    kinds = [judged(past, draw_events(past, {"S00": 8}, rng), (0.05,), seed=1)[0][1] for _ in range(40)]
    assert found["0.05"] == kinds.count(REVERSAL) / 40
    monkeypatch.setattr(module, "judged", None)
    assert power(past, {"S00": 8}, seed=1, draws=40) == found
    with pytest.raises(TypeError):
        power(past, {"S00": 9}, seed=1, draws=40)
    assert power(past, {}, seed=1) == {}
    monkeypatch.setattr(module, "MOST_FALLS", int((past.falls.stratum == "S00").sum()) - 1)
    assert power(past, {"S00": 8}, seed=1, draws=40) == {}
    monkeypatch.undo()


def test_one_or_two_dates_never_find_anything(past: Past) -> None:
    assert power(past, {"S00": 2}, seed=1, draws=5) == {"0.02": 0.0, "0.05": 0.0, "0.10": 0.0}
