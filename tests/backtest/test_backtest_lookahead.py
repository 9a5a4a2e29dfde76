"""A decision knows the past alone: by construction, and with the future replaced by garbage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tapes import random_shocks, random_tapes

from eventstudy.backtest.costs import CostTable, cost_table
from eventstudy.backtest.evaluate import choose, ended_at
from eventstudy.backtest.past_view import Floats, LookAheadError, PastView, Tape
from eventstudy.backtest.portfolio import daily, run
from eventstudy.backtest.rule import Decision, Rule, Shock, decision_time, judge_shock, orders_of
from eventstudy.backtest.statistics import sharpe
from eventstudy.config import Reversal
from eventstudy.errors import Reason
from eventstudy.messages import text

US, CN = "XNYS", "XSHE"
FREE = CostTable(())
#: Half of all random shocks count as drops, so that orders are there to compare.
LAX = Rule(criteria=Reversal(drop_k=0.0, drop_min=0.0, share_negative=0.0))
PRICES = ("price", "open", "low", "close", "volume", "index", "fx")


def decide(rule: Rule, past: PastView, shock: Shock) -> Decision:
    return orders_of(rule, past, shock, judge_shock(rule, past, shock))


def poisoned(tapes: dict[str, Tape], now: int, rng: np.random.Generator) -> dict[str, Tape]:
    """The same tapes with every value of a session that closes after ``now`` replaced."""
    found = {}
    for mic, tape in tapes.items():
        later = tape.closes > now
        changed = {}
        for name in PRICES:
            values = getattr(tape, name).copy()
            values[later] = rng.choice([np.nan, np.inf, -1.0, 1e9], values[later].shape)
            changed[name] = values
        for name in ("locked_up", "locked_down", "member", "usable"):
            values = getattr(tape, name).copy()
            values[later] = ~values[later]
            changed[name] = values
        found[mic] = replace(tape, **changed)
    return found


def test_orders_do_not_change_when_the_future_is_poisoned_on_200_dates() -> None:
    tapes = random_tapes(1)
    rng = np.random.default_rng(2)
    ordered = 0
    for number, shock in enumerate(random_shocks(tapes, 3, 200)):
        rule = replace(LAX, entry_day=1 + number % 2)
        now = decision_time(rule, tapes, shock)
        assert now is not None
        honest = decide(rule, PastView(tapes, now), shock)
        spoilt = poisoned(tapes, now, rng)
        assert decide(rule, PastView(spoilt, now), shock) == honest
        ordered += bool(honest.orders)
    assert ordered > 60


def test_earlier_decisions_of_a_whole_book_do_not_change_either() -> None:
    tapes = random_tapes(4)
    shocks = random_shocks(tapes, 5, 25)
    honest = run(LAX, tapes, shocks, FREE)
    rng = np.random.default_rng(6)
    for cut in (5, 12, 20):
        now = honest.decisions[cut].time
        spoilt = poisoned(tapes, now, rng)
        again = run(LAX, spoilt, shocks, FREE)
        assert again.decisions[: cut + 1] == honest.decisions[: cut + 1]


def test_the_poison_would_be_noticed() -> None:
    tapes = random_tapes(1)
    shock = random_shocks(tapes, 3, 1)[0]
    now = decision_time(LAX, tapes, shock)
    assert now is not None
    spoilt = poisoned(tapes, now - 1, np.random.default_rng(2))
    honest = decide(LAX, PastView(tapes, now), shock)
    with np.errstate(all="ignore"):
        assert repr(decide(LAX, PastView(spoilt, now), shock)) != repr(honest)


def test_the_view_ends_with_the_last_closed_session() -> None:
    tapes = random_tapes(7, length=300)
    now = int(tapes[CN].closes[100])
    view = PastView(tapes, now)
    # Shanghai has closed session 100 at 07:00 UTC, New York has not.
    assert (view.known(CN), view.known(US)) == (101, 100)
    assert len(view.closed(CN)) == 101
    assert view.through(CN, 100).price.shape == (101, 4)
    with pytest.raises(LookAheadError, match="XNYS: session 100 had not closed at 2021-05-24T07:00"):
        view.through(US, 100)
    with pytest.raises(ValueError, match="read-only"):
        view.closed(CN).price[0, 0] = 1.0
    assert not view.knows(now + 1)
    assert view.knows(now)
    assert not view.knows(None)


def test_the_tape_itself_stays_writable_and_whole() -> None:
    tapes = random_tapes(7, length=300)
    PastView(tapes, int(tapes[CN].closes[100])).closed(CN)
    tapes[CN].price[200, 0] = 5.0
    assert tapes[CN].price[200, 0] == 5.0


def test_events_one_session_later_change_the_result() -> None:
    tapes = random_tapes(8)
    shocks = random_shocks(tapes, 9, 20)
    later = [replace(s, day0={mic: row + 1 for mic, row in s.day0.items()}) for s in shocks]
    first, last = int(tapes[US].sessions[250]), int(tapes[US].sessions[-1])
    here, there = (daily(run(LAX, tapes, s, FREE), tapes, first, last).net for s in (shocks, later))
    assert np.abs(here - there).max() > 1_000.0


def test_no_fill_precedes_its_decision() -> None:
    tapes = random_tapes(10)
    for at, day in (("close", 2), ("open", 2), ("close", 1), ("open", 1)):
        rule = replace(LAX, entry_at=at, entry_day=day)
        result = run(rule, tapes, random_shocks(tapes, 11, 30), FREE)
        assert len(result.filled) > 20
        for trade in result.filled:
            struck = (tapes[trade.mic].opens if at == "open" else tapes[trade.mic].closes)[trade.entry_row]
            assert struck > trade.decision.time


def test_an_entry_on_day_1_is_judged_by_day_0_alone() -> None:
    tapes = random_tapes(1)
    shock = random_shocks(tapes, 3, 1)[0]
    rule = replace(LAX, entry_day=1)
    now = decision_time(rule, tapes, shock)
    assert rule.signal == (0, 0)
    assert now == max(int(tapes[mic].closes[row]) for mic, row in shock.day0.items())


def test_an_order_that_will_not_be_filled_takes_room_until_that_is_known() -> None:
    tapes = random_tapes(1)
    one = random_shocks(tapes, 3, 1)[0]
    # Both are decided at the same close; the first is tried for three sessions.
    shocks = [replace(one, shock_id="A"), replace(one, shock_id="B")]
    rule = replace(LAX, per_shock=1.0, retry=2)
    first = run(rule, tapes, shocks, FREE)
    assert [d.refusal.code for d in first.decisions] == ["", "refusal.no_room"]
    locked = {mic: replace(tape, locked_up=tape.locked_up.copy()) for mic, tape in tapes.items()}
    for mic, tape in locked.items():
        tape.locked_up[one.day0[mic] + 2 :] = True
    again = run(rule, locked, shocks, FREE)
    assert not again.filled
    # That nobody sells tomorrow is not known today.
    assert again.decisions == first.decisions
    # Three sessions later the room is free again: the last attempt failed at the close of day +4.
    assert {trade.left for trade in again.trades} == {
        int(tapes[trade.mic].closes[one.day0[trade.mic] + 4]) for trade in again.trades
    }


def planted(seed: int, n_good: int = 4) -> tuple[dict[str, Tape], list[Shock]]:
    """Eight drops: some marked misreading that rise 8 % on day +5, others that fall 8 %."""
    rng = np.random.default_rng(seed)
    tapes = random_tapes(seed, length=720)
    rows = 260 + 55 * np.arange(8)
    mine = rng.permutation(np.arange(8) < n_good)
    shocks = []
    for row, good in zip(rows, mine, strict=True):
        for tape in tapes.values():
            step = np.ones(len(tape))
            step[row] *= 0.88
            step[row + 5] *= 1.08 if good else 0.92
            for name in ("price", "open", "low", "close"):
                getattr(tape, name)[:] *= np.cumprod(step)[:, None]
        columns = {mic: tuple(range(4)) for mic in tapes}
        label = "misreading" if good else "genuine"
        shocks.append(
            Shock(shock_id=f"S{row}", label=label, label_known=0, day0=dict.fromkeys(tapes, int(row)), columns=columns)
        )
    return tapes, shocks


def ratio(tapes: dict[str, Tape], shocks: list[Shock]) -> float:
    result = run(Rule(), tapes, shocks, FREE)
    series = daily(result, tapes, int(tapes[US].sessions[255]), int(tapes[US].sessions[-1]))
    return sharpe(series.returns) * np.sqrt(252)


def test_permuted_labels_earn_nothing() -> None:
    true, permuted = [], []
    for seed in range(60):
        tapes, shocks = planted(seed)
        order = np.random.default_rng(1_000 + seed).permutation(len(shocks))
        shuffled = [replace(s, label=shocks[j].label) for s, j in zip(shocks, order, strict=True)]
        true.append(ratio(tapes, shocks))
        permuted.append(ratio(tapes, shuffled))
    mean, se = np.mean(permuted), np.std(permuted, ddof=1) / np.sqrt(len(permuted))
    assert abs(mean) < 3 * se
    assert np.mean(true) > mean + 5 * se


def test_a_label_counts_once_it_was_known() -> None:
    tapes, shocks = planted(0)
    shock = next(s for s in shocks if s.label == "misreading")
    now = decision_time(Rule(), tapes, shock)
    assert now is not None
    view = PastView(tapes, now)
    assert decide(Rule(), view, replace(shock, label_known=now)).refusal == Reason()
    late = replace(shock, label_known=now + 1)
    assert text(decide(Rule(), view, late).refusal) == "its label was not known when the trade was decided"
    assert decide(Rule(), view, replace(shock, label_known=None)).orders == ()
    assert decide(replace(Rule(), gate="post_hoc"), view, late).refusal == Reason()
    other = replace(shock, label="genuine")
    assert text(decide(Rule(), view, other).refusal) == "labelled genuine, not misreading"
    assert decide(replace(Rule(), gate="off"), view, other).refusal == Reason()


def test_a_shock_is_traded_once_its_event_was_public_for_certain() -> None:
    tapes, shocks = planted(0)
    now = decision_time(Rule(), tapes, shocks[0])
    assert now is not None
    view, off = PastView(tapes, now), replace(Rule(), gate="off")
    assert decide(off, view, replace(shocks[0], known=now)).refusal == Reason()
    # A date without a time: the news may have come after the close of day 0.
    late = decide(off, view, replace(shocks[0], known=now + 1))
    assert text(late.refusal) == "the event was not certainly public when the trade was decided"
    assert late.orders == ()


def test_a_later_split_changes_nothing() -> None:
    tapes, shocks = planted(1)
    halved = {
        mic: replace(
            tape,
            **{name: getattr(tape, name) / 2 for name in ("price", "open", "low", "close")},
            volume=tape.volume * 2,
        )
        for mic, tape in tapes.items()
    }
    here, there = (run(Rule(stop=0.15), t, shocks, cost_table([US, CN])) for t in (tapes, halved))
    assert len(here.filled) > 10
    for one, other in zip(here.trades, there.trades, strict=True):
        ends = [(t.entry_row, t.exit_row, t.why_left) for t in (one, other)]
        assert ends[0] == ends[1]
        assert one.net == pytest.approx(other.net, abs=1e-8)


def test_only_members_of_the_day_are_bought() -> None:
    tapes, shocks = planted(2)
    shock = next(s for s in shocks if s.label == "misreading")
    bought = {(t.mic, t.ticker) for t in run(Rule(), tapes, [shock], FREE).filled}
    assert ("XSHE", "HE2") in bought
    tapes[CN].member[: shock.day0[CN] + 1, 2] = False
    assert {(t.mic, t.ticker) for t in run(Rule(), tapes, [shock], FREE).filled} == bought - {("XSHE", "HE2")}


def test_the_walk_forward_learns_only_from_what_had_ended() -> None:
    tapes, shocks = planted(3, n_good=0)
    shocks = [replace(s, label="misreading") for s in shocks]
    rules = [Rule(), Rule(horizon=4)]
    chosen = choose(rules, tapes, shocks, FREE, embargo=5)
    # All fall on day +5: to sell on day +4 is better, which five ended shocks have shown.
    assert chosen == [rules[0]] * 5 + [rules[1]] * 3
    end = ended_at(shocks[4], rules[0], tapes, 5)
    assert end == max(int(t.closes[shocks[4].day0[mic] + 25]) for mic, t in tapes.items())
    # Poison after the decision on the sixth shock: its choice and the earlier ones stay.
    now = decision_time(rules[0], tapes, shocks[5])
    assert now is not None
    spoilt = {mic: truncated(tape, now) for mic, tape in tapes.items()}
    assert choose(rules, spoilt, shocks[:6], FREE, embargo=5) == chosen[:6]
    # The embargo keeps the fifth shock out where it reaches past the sixth's decision.
    outcome = choose(rules, tapes, shocks, FREE, embargo=60)
    assert outcome[5] == rules[0]


def test_the_walk_forward_waits_for_a_sale_that_the_exchange_held_back() -> None:
    tapes, shocks = planted(3, n_good=0)
    shocks = [replace(s, label="misreading") for s in shocks]
    rules = [Rule(), Rule(horizon=4)]
    assert choose(rules, tapes, shocks, FREE, embargo=5)[5] == rules[1]
    # The fifth shock's peers do not trade from day +15 to day +60: on the sixth it has not ended.
    day0 = shocks[4].day0[CN]
    tapes[CN].price[day0 + 15 : day0 + 60] = np.nan
    assert choose(rules, tapes, shocks, FREE, embargo=5)[5] == rules[0]


def truncated(tape: Tape, now: int) -> Tape:
    """The tape with prices after ``now`` flat: nothing happens any more."""
    last = int(np.searchsorted(tape.closes, now, side="right")) - 1
    changed: dict[str, Floats] = {}
    for name in PRICES:
        values = getattr(tape, name).copy()
        values[last + 1 :] = values[last]
        changed[name] = values
    return replace(tape, **changed)
