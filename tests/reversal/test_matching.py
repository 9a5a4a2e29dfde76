"""Placebo drops: the look at all days, the matching, what is refused, and the lists."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from reversal_studies import ENDS, drop_days, made_drops, misread, portfolio_on, study
from studies import event_row, write_prices

from eventstudy.messages import text
from eventstudy.reversal.controls import far_from, screen, sessions_apart
from eventstudy.reversal.drops import VARIABLES, PeerDrops, peer_drops
from eventstudy.reversal.history import History, PeerDay
from eventstudy.reversal.matching import distances, match, placebo_balance, placebo_rows
from eventstudy.reversal.permutation import matched_permutation


def test_sessions_are_counted_on_the_exchange_where_they_are_fewest() -> None:
    weekdays, sparse = np.arange(100), np.arange(0, 100, 3)
    days = np.array([30, 60, 90])
    assert sessions_apart(days, 60, (weekdays,)).tolist() == [30, 0, 30]
    assert sessions_apart(days, 60, (weekdays, sparse)).tolist() == [10, 0, 10]
    assert far_from(days, [60], (weekdays,), 21).tolist() == [True, False, True]
    assert far_from(days, [60], (weekdays, sparse), 21).tolist() == [False, False, False]


def pool(s: list[float], days: list[int], **columns: list[float]) -> PeerDrops:
    values = np.zeros((len(s), len(VARIABLES)))
    values[:, 0] = s
    for name, column in columns.items():
        values[:, VARIABLES.index(name)] = column
    n = len(s)
    return made_drops(np.array(days), values, np.zeros(n), np.zeros(n))


GRIDS = (np.arange(5000),)


def test_nearest_within_the_calipers_and_apart() -> None:
    candidates = pool([-2.1, -2.2, -2.4, -3.5, -2.3, -2.15, -2.45], [100, 110, 200, 300, 400, 500, 600])
    found = match(np.array([[-2.0, 0, 0, 0, 0]]), [candidates], [GRIDS], many=False)[0]
    assert candidates.day[found.rows].tolist() == [100, 500, 400, 200, 600]
    np.testing.assert_allclose(found.distance, [0.2, 0.3, 0.6, 0.8, 0.9])
    assert not found.widened


def test_calipers_widen_once_and_then_there_is_no_benchmark() -> None:
    candidates = pool([-2.1, -2.6, -2.7, -2.8, -2.9, -3.2], [100, 200, 300, 400, 500, 600])
    found = match(np.array([[-2.0, 0, 0, 0, 0]]), [candidates], [GRIDS], many=False)[0]
    assert found.widened
    assert candidates.day[found.rows].tolist() == [100, 200, 300, 400, 500]
    few = match(np.array([[-4.6, 0, 0, 0, 0]]), [candidates], [GRIDS], many=False)[0]
    assert len(few.rows) == 0


def test_no_date_serves_two_shocks_and_they_take_turns() -> None:
    s = np.linspace(-2.0, -2.3, 30).tolist()
    days = (100 + 21 * np.arange(30)).tolist()
    found = match(np.array([[-2.1, 0, 0, 0, 0]] * 3), [pool(s, days)] * 3, [GRIDS] * 3, many=True)
    taken = [row for each in found for row in each.rows.tolist()]
    assert [len(each.rows) for each in found] == [10, 10, 10]
    assert len(set(taken)) == 30
    alone = match(np.array([[-2.1, 0, 0, 0, 0]]), [pool(s, days)], [GRIDS], many=False)[0]
    assert len(alone.rows) == 30


def test_distances_are_in_calipers() -> None:
    scale = np.array([0.5, 1.0, 1.0, 1.0, 3.0])
    values = np.array([[-2.3, 0.5, 0, 0, 1.5], [-2.6, 0, 0, 0, 0]])
    found = distances(np.array([-2.0, 0, 0, 0, 0]), values, scale)
    assert found[0] == pytest.approx(np.sqrt(0.6**2 + 0.5**2 + 0.5**2))
    assert np.isinf(found[1])
    assert distances(np.array([-2.0, 0, 0, 0, 0]), values, scale, wide=2.0)[1] == pytest.approx(1.2)


def test_balance_by_hand() -> None:
    targets = np.array([[-2.0, 0, 0, 0, 10.0], [-3.0, 0, 0, 0, 12.0]])
    sets = [np.array([[-2.0, 0, 0, 0, 9.0], [-2.4, 0, 0, 0, 11.0]]), np.array([[-3.2, 0, 0, 0, 12.0]])]
    row = placebo_balance(targets, sets)[0]
    assert row["mean_events"] == pytest.approx(-2.5)
    assert row["mean_placebos"] == pytest.approx((-2.2 - 3.2) / 2)
    pooled = np.sqrt((np.var([-2.0, -3.0], ddof=1) + np.var([-2.0, -2.4, -3.2], ddof=1)) / 2)
    assert row["smd"] == pytest.approx(0.2 / pooled)


def test_placebos_are_estimated_as_the_events_are(tmp_path: Path) -> None:
    computed, shocks = study(tmp_path, [misread("E1", "2021-06-09")])
    history = shocks.history
    tickers = ("AAA", "BBB", "CCC")
    days = history.days(tickers)
    at = days[(days > days[600]) & (days < days[-40])][::37]
    found = portfolio_on(history, tickers, at)
    (screened,) = screen(history, tickers, [history.config.windows])
    rows = np.searchsorted(days, found.day)
    np.testing.assert_allclose(found.drop, screened.drop()[rows], atol=1e-12)
    day0 = int(np.datetime64("2021-06-09").astype("datetime64[D]").astype(int))
    alone = history.portfolios(history.fits(history.requests([PeerDay("X", tickers, day0)])))
    judged = shocks.portfolios
    for window in ((0, 1), (2, 20)):
        np.testing.assert_allclose(alone.car(window), judged.car(window))
        np.testing.assert_allclose(alone.standardised(window), judged.standardised(window))
    np.testing.assert_allclose(peer_drops(alone, history.config).traits, shocks.traits)
    assert computed.abnormal.panel.ticker.tolist() == list(tickers)


def test_traits_by_hand(tmp_path: Path) -> None:
    computed, shocks = study(tmp_path, [misread("E1", "2021-06-09")])
    market = computed.returns.markets["XNYS"]
    day0 = market.position(np.datetime64("2021-06-09").astype(object))
    portfolio = market.returns.mean(axis=1)
    estimation = slice(day0 - 250, day0 - 10)
    x = np.column_stack([np.ones(240), market.market_return[estimation]])
    coefficients = np.linalg.lstsq(x, portfolio[estimation], rcond=None)[0]
    before = slice(day0 - 250, day0)
    x = np.column_stack([np.ones(250), market.market_return[before]])
    error = portfolio[before] - x @ coefficients
    s, vol_ratio, run_up, market_move, year = shocks.traits[0]
    assert vol_ratio == pytest.approx(np.log(error[-20:].std(ddof=1) / error[:240].std(ddof=1)))
    assert run_up == pytest.approx(portfolio[day0 - 60 : day0].sum())
    assert market_move == pytest.approx(market.market_return[day0 : day0 + 2].sum())
    assert year == pytest.approx(2021.44 - 1970, abs=0.01)
    assert s == pytest.approx(shocks.drops.drop_s[0])


def test_matched_dates_keep_away_from_events_and_from_each_other(tmp_path: Path) -> None:
    days = drop_days(3)
    _, shocks = study(tmp_path, [misread(f"E{i}", day) for i, day in enumerate(days)])
    assert shocks.drops.qualifies.all()
    grid = shocks.history.days(("AAA",))
    events = [int(np.datetime64(day, "D").astype(int)) for day in days]
    everything = [*events, *(int(d) for k in range(3) for d in shocks.benchmarks.days(k))]
    places = np.sort(np.searchsorted(grid, everything))
    assert len(everything) >= 3 + 15
    assert np.diff(places).min() >= 21
    for k in range(3):
        near = shocks.benchmarks.placebo_traits(k)
        edge = 1.0 if shocks.benchmarks.matched[k].widened else 0.5
        assert np.abs(near[:, 0] - shocks.traits[k, 0]).max() <= edge


def test_every_tier_is_listed_and_the_excess_can_be_recomputed(tmp_path: Path) -> None:
    days = drop_days(2)
    rows = [misread("E0", days[0]), event_row("E1", days[1], label="genuine", label_asof=days[1])]
    _, shocks = study(tmp_path, rows, "reversal.estimator=matched")
    day = int(shocks.benchmarks.days(0)[0])
    listed = placebo_rows(
        shocks.benchmarks,
        shocks.drops.shock_id,
        shocks.endpoints[0].drops,
        shocks.label == "genuine",
        np.array([day + 1]),
    )
    tier = {name: [r for r in listed if r.shock_id == "E0" and r.tier == name] for name in ("P0", "P1", "P3")}
    over = shocks.drops.post[0] - np.mean([r.car_post for r in tier["P1"]])
    assert over == pytest.approx(shocks.excess[0])
    assert {r.day for r in tier["P1"]} - {r.day for r in tier["P3"]} == {day}
    assert len(tier["P0"]) > 45
    assert np.mean([r.car_drop for r in tier["P0"]]) == pytest.approx(0.0, abs=0.005)
    test = matched_permutation(shocks.drops.post[:1], [np.array([r.car_post for r in tier["P1"]])], draws=99, seed=1)
    assert shocks.verdict.p_value == pytest.approx(test.two_sided)


def test_a_huge_drop_has_no_valid_benchmark(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices", start="2013-01-02", end="2022-12-30")
    for ticker in ("AAA", "BBB", "CCC"):
        path = tmp_path / "prices" / f"{ticker}.csv"
        lines = path.read_text().splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("2021-06-09"))
        for i in range(at, len(lines)):
            day, close, adjusted, volume = lines[i].split(",")
            lines[i] = f"{day},{float(close) * 0.6!r},{float(adjusted) * 0.6!r},{volume}"
        path.write_text("\n".join([*lines, ""]))
    settings = ("prices.accept_suspect=true", "reversal.estimator=matched")
    _, shocks = study(tmp_path, [misread("E1", "2021-06-09")], *settings)
    assert shocks.drops.qualifies.tolist() == [True]
    assert [text(why) for why in shocks.benchmarks.reasons] == ["no valid benchmark: 0 control drops, fewer than 5"]
    assert np.isnan(shocks.excess[0])
    assert text(shocks.verdict.sentence).startswith("Inconclusive: no valid benchmark")


def test_eight_years_of_twenty_peers_take_less_than_three_seconds() -> None:
    rng = np.random.default_rng(8)
    from eventstudy.config import Market, Peer, StudyConfig
    from eventstudy.core.returns import MarketPanel, ReturnsPanel

    length, tickers = 2016, tuple(f"T{i:02d}" for i in range(20))
    market = rng.normal(0, 0.01, length)
    common = rng.standard_t(5, length) * 0.012
    returns = market[:, None] + common[:, None] + rng.standard_t(5, (length, 20)) * 0.02
    sessions = np.datetime64("2015-01-01") + np.arange(length)
    panel = MarketPanel(
        mic="XNYS",
        benchmark="IDX",
        sessions=sessions,
        tickers=tickers,
        returns=returns,
        market_return=market,
        flags=np.zeros(returns.shape, dtype=np.uint8),
    )
    config = StudyConfig(
        markets=(Market("XNYS", "IDX", "US"),), peers=tuple(Peer(ticker=name, market="XNYS") for name in tickers)
    )
    nothing = {"XNYS": np.zeros(returns.shape, dtype=bool)}
    history = History(ReturnsPanel("simple", {"XNYS": panel}), nothing, config)
    begin = time.process_time()
    days = history.days(tickers)
    (screened,) = screen(history, tickers, [history.config.windows])
    falls = screened.complete() & (screened.drop() <= -0.03) & (screened.share_negative() >= 0.6)
    found = portfolio_on(history, tickers, days[falls])
    drops = found.take(found.qualifies)
    targets = np.repeat(np.median(drops.traits, axis=0)[None], 6, axis=0)
    sets = match(targets, [drops] * len(targets), [history.grids(tickers)] * len(targets), many=True)
    posts = [drops.post[:10] for _ in sets]
    test = matched_permutation(np.zeros(len(posts)), posts, draws=10_000, seed=1)
    assert time.process_time() - begin < 3.0
    assert len(drops) > 30
    assert not test.exact
    assert test.draws == 10_000


def test_a_fall_that_is_no_drop_is_compared_with_falls_of_its_size(tmp_path: Path) -> None:
    day = drop_days(1)[0]
    _, shocks = study(tmp_path, [misread("E0", day), *ENDS], "reversal.drop_k=9.0", 'reversal.case="E0"')
    k = list(shocks.drops.shock_id).index("E0")
    assert not shocks.drops.qualifies[k]
    assert shocks.asked.tolist() == [False] * len(shocks.asked)
    chosen = shocks.benchmarks.placebo_traits(k)
    assert len(chosen) >= 5
    assert np.abs(chosen[:, 0] - shocks.traits[k, 0]).max() <= 1.0
