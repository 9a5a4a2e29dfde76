"""The falls of a study against loops over its own returns, and the verdict that rests on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reversal_studies import drop_days, many, misread, study
from studies import event_row

from eventstudy.messages import text
from eventstudy.reversal import Shocks, findings, reversal_summary, tables
from eventstudy.reversal.controls import Comparison
from eventstudy.reversal.estimator import APART, CONTROL_DROP, CONTROL_S, estimate

PEERS = ("AAA", "BBB", "CCC")


def slow_fall(shocks: Shocks, session: int, tickers: tuple[str, ...]) -> dict[str, float]:
    """What a day's portfolio did, by least squares on its own series: the peers share one index and all days."""
    market = shocks.history.panel.markets["XNYS"]
    columns = [market.tickers.index(name) for name in tickers]
    own, index = market.returns[:, columns].mean(axis=1), market.market_return
    usable = ~shocks.history.excluded["XNYS"][:, columns[0]]
    days = [t for t in range(max(session - 250, 1), session - 10) if usable[t]]
    design = np.column_stack([np.ones(len(days)), index[days]])
    alpha, beta = np.linalg.lstsq(design, own[days], rcond=None)[0]
    errors = own[days] - design @ (alpha, beta)
    sigma = np.sqrt(errors @ errors / (len(days) - 2))
    lately = [own[t] - alpha - beta * index[t] for t in range(session - 10, session + 2)]
    drop = sum(lately[-2:])
    # The prediction error of the sum: its own noise, and that of the two coefficients.
    x = np.array([2.0, index[session : session + 2].sum()])
    error = sigma * np.sqrt(2 + x @ np.linalg.inv(design.T @ design) @ x)
    squares = [*(errors**2), *(value**2 for value in lately)]
    weights = [0.94 ** (len(squares) - 1 - i) for i in range(len(squares))]
    # Zero intercept after the drop: what the estimation window drifted is no forecast.
    post = sum(own[t] - beta * index[t] for t in range(session + 2, session + 21))
    return {
        "drop": drop,
        "drop_s": drop / error,
        "sigma": float(sigma),
        "recent": float(np.sqrt(np.average(squares, weights=weights))),
        # Days that no estimation may use, those of other events, are left out of the run-up too.
        "run_up": sum(own[t] for t in range(session - 60, session) if usable[t] or t >= session - 10),
        "post": float(post),
    }


def session_of(shocks: Shocks, day: int) -> int:
    days = shocks.history.panel.markets["XNYS"].sessions.astype("datetime64[D]").astype(int)
    return int(np.flatnonzero(days == day)[0])


def numbers(found: Comparison, row: int) -> dict[str, float]:
    falls = found.falls
    own = {name: float(getattr(falls, name)[row]) for name in ("drop_s", "sigma", "recent", "run_up", "post")}
    return {**own, "drop": float(found.drop[row])}


def test_events_and_controls_are_what_loops_over_the_returns_give(tmp_path: Path) -> None:
    _, shocks = study(tmp_path, [misread(f"E{i}", day) for i, day in enumerate(drop_days(3))])
    found = shocks.comparison
    assert found.shock[:4].tolist() == [0, 1, 2, -1]
    assert found.falls.event.sum() == 3
    rows = [0, 1, 2, *np.random.default_rng(5).choice(np.flatnonzero(found.shock < 0), 12, replace=False)]
    for row in rows:
        slow = slow_fall(shocks, session_of(shocks, int(found.day[row])), PEERS)
        assert numbers(found, int(row)) == pytest.approx(slow, rel=1e-7), row


def test_every_day_that_fell_far_enough_from_the_events_is_a_control(tmp_path: Path) -> None:
    _, shocks = study(tmp_path, [misread(f"E{i}", day) for i, day in enumerate(drop_days(3))])
    found, control = shocks.comparison, shocks.comparison.shock < 0
    events = [session_of(shocks, int(day)) for day in found.day[~control]]
    sessions = {session_of(shocks, int(day)) for day in found.day[control]}
    wanted = set()
    for session in range(300, 1_200):
        # A fall before an event stays, though the event lies in its post window; the day before is the same fall.
        if any(-1 <= session - event < APART for event in events):
            continue
        slow = slow_fall(shocks, session, PEERS)
        if slow["drop_s"] <= CONTROL_S and slow["drop"] <= CONTROL_DROP:
            wanted.add(session)
    assert len(wanted) > 20
    assert {session for session in sessions if 300 <= session < 1_200} == wanted


def test_peer_sets_that_events_name_are_strata_and_one_family_where_they_share_peers(tmp_path: Path) -> None:
    days = drop_days(3)
    rows = [misread("E0", days[0]), misread("E1", days[1], tickers="AAA;BBB"), misread("E2", days[2], tickers="CCC")]
    _, shocks = study(tmp_path, rows, "reversal.share_negative=0", "reversal.drop_k=0.1", "reversal.drop_min=0.0001")
    falls = shocks.comparison.falls
    assert set(falls.stratum.tolist()) == {"AAA, BBB, CCC", "AAA, BBB", "CCC"}
    assert len(set(falls.family.tolist())) == 1
    # A stratum's falls are its own peers'.
    row = int(np.flatnonzero((shocks.comparison.shock < 0) & (falls.stratum == "CCC"))[3])
    slow = slow_fall(shocks, session_of(shocks, int(shocks.comparison.day[row])), ("CCC",))
    assert numbers(shocks.comparison, row) == pytest.approx(slow, rel=1e-7)


def test_controls_keep_away_from_events_of_their_own_peers_alone(tmp_path: Path) -> None:
    days = drop_days(3)
    easy = ("reversal.share_negative=0", "reversal.drop_k=0.1", "reversal.drop_min=0.0001")
    lone = [misread("E0", days[0], tickers="AAA"), misread("E1", days[2], tickers="CCC")]
    _, shocks = study(tmp_path, lone, *easy)
    falls, of = shocks.comparison.falls, event_days_of(shocks)
    assert set(falls.stratum.tolist()) == {"AAA", "CCC"}
    for own, other in (("AAA", "CCC"), ("CCC", "AAA")):
        gap = falls.session[~falls.event & (falls.stratum == own)] - of[own]
        assert not ((gap >= -1) & (gap < APART)).any()
        # The other company's event takes none of these falls away.
        near = falls.session[~falls.event & (falls.stratum == own)] - of[other]
        assert ((near >= -1) & (near < APART)).any()
    # One event of both: each keeps away from both days.
    _, joined = study(tmp_path, [*lone, misread("E2", days[1], tickers="AAA;CCC")], *easy)
    falls, of = joined.comparison.falls, event_days_of(joined)
    gap = falls.session[~falls.event][:, None] - np.array(list(of.values()))
    assert not ((gap >= -1) & (gap < APART)).any()


def event_days_of(shocks: Shocks) -> dict[str, int]:
    """Session of each stratum's event."""
    falls = shocks.comparison.falls
    return {str(falls.stratum[row]): int(falls.session[row]) for row in np.flatnonzero(falls.event)}


def test_the_verdict_is_the_regression_on_page_1_in_the_table_and_the_summary(tmp_path: Path) -> None:
    computed, shocks, events = many(tmp_path)
    config = shocks.history.config
    found = findings(shocks, events, computed.alignments, config)
    rows, facts = tables(found, config), reversal_summary(found, config)["verdict"]
    answer = estimate(shocks.comparison.of(shocks.counted[shocks.question]), draws=config.tests.draws)
    assert (facts["estimator"], facts["p_name"]) == ("moderated", "regression_t")
    assert (facts["effect"], facts["se"], facts["df"], facts["p_value"]) == (
        answer.effect,
        answer.se,
        answer.df,
        answer.p_value,
    )
    assert facts["ci"] == [answer.lower, answer.upper]
    assert facts["equivalence_p"] == answer.equivalence_p(facts["margin"])
    assert (facts["n_controls"], facts["n_clusters"]) == (answer.n_controls, answer.n_clusters)
    assert facts["n_dates"] == int(shocks.counted[shocks.question].sum()) == answer.n_events
    assert facts["attainable"] > facts["n_dates"]
    assert (facts["shrunk"], facts["p_costs"]) == answer.shrunken(0.008)
    assert facts["prior_sd"] == answer.prior_sd
    measured = {(row["measure"], row["group"]): row for row in rows["reversal_measures"]}
    for name in ("excess_post", "excess_regression"):
        row = measured[name, "label=misreading"]
        assert (row["estimate"], row["lower"], row["upper"], row["p_value"], row["n_dates"]) == (
            *(answer.effect, answer.lower, answer.upper, answer.p_value),
            facts["n_dates"],
        )
    assert f"{facts['n_controls']} control drops" in text(facts["sentence"])
    listed = rows["falls"]
    assert sum(row["event"] != "" for row in listed) == int((shocks.comparison.shock >= 0).sum())
    assert {row["label"] for row in listed} == {"", "misreading", "genuine"}
    # Falls of the table give the verdict again.
    post = np.array([row["post"] for row in listed])
    np.testing.assert_array_equal(post, shocks.comparison.falls.post)


def test_drops_without_a_set_of_their_own_count_in_the_regression_alone(tmp_path: Path) -> None:
    days = drop_days(6)
    rows = [misread(f"E{i}", day) for i, day in enumerate(days)]
    _, shocks = study(tmp_path, [*rows, event_row("X", "2019-01-09", label="macro")])
    _, matched = study(tmp_path, rows, "reversal.estimator=matched")
    counted, with_sets = shocks.counted[shocks.question], shocks.members[shocks.question]
    assert counted.sum() == shocks.verdict.n_dates >= with_sets.sum()
    assert matched.verdict.estimator == "matched"
    _, plain = study(tmp_path, rows, "reversal.estimator=regression")
    assert (shocks.verdict.estimator, plain.verdict.estimator) == ("moderated", "regression")
    assert matched.verdict.n_dates == matched.asked.sum() == matched.counted[matched.question].sum()
    # A placebo set is used by one event; a control by all of them.
    assert shocks.verdict.n_controls > 100


def test_one_date_is_ranked_and_never_more_than_inconclusive(tmp_path: Path) -> None:
    _, shocks = study(tmp_path, [misread("E0", drop_days(1)[0])])
    answer = shocks.verdict
    assert (answer.kind, answer.estimator, answer.p_name) == ("inconclusive", "rank", "rank_among_controls")
    assert (answer.n_dates, answer.among) == (1, answer.n_controls + 1)
    assert answer.p_value == answer.rank / answer.among
    assert np.isnan(answer.se)
    assert np.isnan(answer.interval).all()
    assert answer.mde > 2.5 * answer.se_placebos > 0
    sentence = text(answer.sentence)
    assert f"rank {answer.rank} of {answer.among} by size" in sentence
    assert text(answer.ladder).startswith("Case study. One shock.")


def test_controls_before_an_event_do_not_change_with_what_comes_after_it(tmp_path: Path) -> None:
    days = sorted(drop_days(8))
    rows = [misread(f"E{i}", day) for i, day in enumerate(days)]
    _, shocks = study(tmp_path, rows, "reversal.controls=before")
    found, last = shocks.comparison, len(days) - 1
    # Its whole aftermath, to day +20, is over before day 0.
    assert found.lead == 21
    only = np.arange(len(days)) == last
    falls = found.of(only)
    assert (falls.session[~falls.event] + 20 < falls.session[falls.event][0]).all()
    every = found.of(np.ones(len(days), dtype=bool))
    alone = {name: (every.stratum == name).sum() for name in np.unique(every.stratum)}
    assert len(alone) == len(days)
    # Each control counts once, however many events it stands beside.
    beside = every.take(~every.event)
    assert shocks.verdict.n_controls == len(set(beside.session.tolist())) < len(beside)
    # An early event has fewer controls than a late one.
    assert alone[every.stratum[0]] < alone[every.stratum[last]]
    assert shocks.verdict.n_dates == found.comparable(len(days)).sum()
    # A control that stands beside several events is one cluster all the same.
    assert shocks.verdict.n_clusters < shocks.verdict.n_controls / 4
    _, usual = study(tmp_path, rows)
    assert usual.comparison.lead == 0
    assert usual.verdict.effect != shocks.verdict.effect
