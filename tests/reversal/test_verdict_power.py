"""Lists of pseudo-events: which falls they take, which controls are left, and how often the verdict finds an effect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from eventstudy.config import Reversal, Windows
from eventstudy.reversal import verdict as module
from eventstudy.reversal.estimator import Excess, Falls, estimate
from eventstudy.reversal.verdict import REVERSAL, Past, as_list, draw_events, judged, kind_of, margin_for, power, shares
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
    share = shares(listed)
    assert share[listed.event].tolist() == [1.0] * len(events)
    # A control n sessions before an event shares 19 - n of its 19 days.
    before = np.where(gap < 0, -gap, 99).min(axis=1)
    assert share[~listed.event] == pytest.approx(np.maximum(19 - before, 0) / 19)
    assert (before < 19).any()


def test_a_list_is_judged_by_the_estimator_and_the_rule_of_the_verdict(past: Past) -> None:
    events = draw_events(past, {"S00": 8}, np.random.default_rng(5))
    listed = as_list(past.falls, events)
    for effect, (found, kind) in zip((0.0, 0.3), judged(past, events, (0.0, 0.3), seed=1), strict=True):
        own = estimate(replace(listed, post=listed.post + effect * shares(listed)))
        assert (found.effect, found.se, found.df) == pytest.approx((own.effect, own.se, own.df), rel=1e-10)
        assert (found.p_value, found.prior_sd) == pytest.approx((own.p_value, own.prior_sd), rel=1e-9)
        np.testing.assert_allclose(found.own, own.own, rtol=1e-9)
        assert kind == kind_of(own, margin_for(past.drop[events]))
    assert kind == REVERSAL


def with_effect(past: Past, events: np.ndarray, effect: float) -> Falls:
    """A list with an effect in it, day by day: what `as_list` and `shares` do, in plain loops."""
    falls, rows, post = past.falls, [], []
    starts = [int(falls.session[row]) for row in events]
    for row in range(len(falls)):
        session, event = int(falls.session[row]), row in set(events.tolist())
        if not event and any(-1 <= session - start <= 20 for start in starts):
            continue
        days = set(range(session + 2, session + 21))
        hit = max(len(days & set(range(start + 2, start + 21))) for start in starts)
        rows.append(row)
        post.append(falls.post[row] + effect / 19 * hit)
    listed = replace(falls, event=np.isin(np.arange(len(falls)), events)).take(np.array(rows))
    return replace(listed, post=np.array(post))


def test_power_is_the_share_of_lists_whose_regressions_find_the_effect(past: Past) -> None:
    quiet = {name: getattr(past.falls, name) / 3 for name in ("post", "sigma", "recent")}
    past = replace(past, falls=replace(past.falls, **quiet))
    found = power(past, {"S00": 8}, seed=1, draws=40)
    assert list(found) == ["0.02", "0.05", "0.10"]
    rng, hits = np.random.default_rng(1), np.zeros(3)
    for _ in range(40):
        events = draw_events(past, {"S00": 8}, rng)
        own = [estimate(with_effect(past, events, effect)) for effect in (0.02, 0.05, 0.10)]
        hits += [one.effect / one.se > stats.t.ppf(0.975, one.df) for one in own]
    assert list(found.values()) == (hits / 40).tolist()
    assert found["0.02"] < 0.2
    assert found["0.10"] > 0.8


def test_power_is_paid_for_once_and_long_lists_are_drawn_fewer_times(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> list[tuple[Excess, str]]:
        asked.append(1)
        return judged(*args, **kwargs)

    monkeypatch.setattr(module, "judged", counted)
    monkeypatch.setattr(module, "_POWER", {})
    found = power(past, {"S00": 7}, seed=1, draws=12)
    assert power(past, {"S00": 7}, seed=1, draws=12) == found
    assert len(asked) == 12
    assert power(past, {}, seed=1) == {}
    own = int((past.falls.stratum == "S00").sum())
    monkeypatch.setattr(module, "FEWEST_DRAWS", 5)
    for most, draws in ((own // 2 + 1, 6), (1, 5), (2 * own, 12)):
        asked.clear()
        monkeypatch.setattr(module, "_POWER", {})
        monkeypatch.setattr(module, "MOST_FALLS", most)
        power(past, {"S00": 7}, seed=1, draws=12)
        assert len(asked) == draws, most


def test_falls_of_other_peers_change_no_power(past: Past) -> None:
    both = together([past, Past(replace(past.falls, stratum=np.full(len(past.falls), "B")), past.drop, past.can)])
    assert power(both, {"S00": 8}, seed=3, draws=10) == power(past, {"S00": 8}, seed=3, draws=10)


def test_one_or_two_dates_never_find_anything(past: Past) -> None:
    assert power(past, {"S00": 2}, seed=1, draws=5) == {"0.02": 0.0, "0.05": 0.0, "0.10": 0.0}
