"""Price limits by board and date, the days locked at them, and what a study does with such days."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from studies import event_row, write_events, write_prices

from eventstudy.config import load_config
from eventstudy.core.estimation import Computed, compute
from eventstudy.core.returns import LOCKED_DOWN, LOCKED_UP, NO_LIMIT, MarketPanel, to_returns
from eventstudy.errors import ConfigError
from eventstudy.events import read_events
from eventstudy.exchanges.calendars import sessions
from eventstudy.exchanges.exchange import EVER, boards
from eventstudy.exchanges.rules import (
    board_of,
    free_sessions,
    in_yen,
    limit_bands,
    limit_fraction,
    limit_prices,
    locked,
    sessions_before_sale,
    tick_size,
    trade_rule,
)
from eventstudy.messages import text
from eventstudy.prices import PriceSeries
from eventstudy.prices.limits import limit_days
from eventstudy.prices.sources import get_prices
from eventstudy.results.tables import _cut_rows
from eventstudy.shocks import with_shocks

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared" / "data" / "prices"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real prices is not there")
NAN = float("nan")


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def days(*texts: str) -> NDArray[np.datetime64]:
    return np.array(texts, dtype="datetime64[D]")


@pytest.mark.parametrize(
    ("board", "on", "previous", "down", "up"),
    [
        ("chinext", "2025-04-07", 93.51, 74.81, 112.21),
        ("chinext", "2020-08-21", 10.05, 9.05, 11.06),
        ("chinext", "2020-08-24", 10.05, 8.04, 12.06),
        ("sse_main", "2024-10-08", 34.00, 30.60, 37.40),
        ("sse_main", "2003-01-06", 10.00, 9.00, 11.00),
        ("szse_main", "2024-10-08", 33.42, 30.08, 36.76),
        ("star", "2019-07-29", 100.03, 80.02, 120.04),
        ("bse", "2022-01-04", 10.01, 7.01, 13.01),
        # The last tick inside the limit; ticks change at 10, 50, 100, 500 and 1000.
        ("twse", "2026-02-05", 1135.0, 1025.0, 1245.0),
        ("twse", "2026-04-27", 604.0, 544.0, 664.0),
        ("twse", "2026-08-04", 407.0, 366.5, 447.5),
        ("twse", "2026-02-03", 999.0, 900.0, 1095.0),
        ("twse", "2015-05-29", 100.0, 93.0, 107.0),
        ("twse", "2015-06-01", 100.0, 90.0, 110.0),
        # Base prices and normal limits of JPX's notices of 2025-02-28, 2023-02-14 and 2023-04-18.
        ("tse", "2025-03-03", 3310.0, 2610.0, 4010.0),
        ("tse", "2025-03-03", 617.0, 517.0, 717.0),
        ("tse", "2025-03-03", 7870.0, 6370.0, 9370.0),
        ("tse", "2023-02-15", 1117.0, 817.0, 1417.0),
        ("tse", "2023-02-15", 495.0, 415.0, 575.0),
        ("tse", "2023-02-15", 19170.0, 15170.0, 23170.0),
        ("tse", "2023-04-19", 1769.0, 1369.0, 2169.0),
        ("tse", "2023-04-19", 20.0, 0.1, 50.0),
        ("us", "2025-04-07", 10.0, 0.0, np.inf),
        ("star", "2018-01-02", 10.0, NAN, NAN),
        ("twse", "1999-01-04", 10.0, NAN, NAN),
    ],
)
def test_limit_prices(board: str, on: str, previous: float, down: float, up: float) -> None:
    assert limit_prices(board, day(on), previous) == pytest.approx((down, up), abs=1e-9, nan_ok=True)


def test_the_limit_as_a_fraction() -> None:
    assert limit_fraction("chinext", days("2020-08-21", "2020-08-24")).tolist() == [0.10, 0.20]
    assert np.isnan(limit_fraction("tse", days("2024-01-04"))).all()


def test_a_limit_smaller_than_a_tick_is_one_tick() -> None:
    assert limit_prices("sse_main", day("2024-01-02"), 0.04) == (0.03, 0.05)
    assert limit_prices("sse_main", day("2024-01-02"), 0.01) == (0.01, 0.02)
    assert limit_prices("twse", day("2024-01-02"), 0.05) == (0.04, 0.06)


@pytest.mark.parametrize(
    ("board", "on", "listed", "free"),
    [
        ("star", "2024-01-02", 5, True),
        ("star", "2024-01-02", 6, False),
        ("star", "2024-01-02", 0, False),
        ("chinext", "2020-08-24", 5, True),
        ("chinext", "2020-08-21", 1, True),
        ("chinext", "2020-08-21", 2, False),
        ("sse_main", "2023-04-07", 1, True),
        ("sse_main", "2023-04-07", 2, False),
        ("sse_main", "2023-04-10", 5, True),
        ("szse_main", "2023-04-10", 6, False),
        ("bse", "2021-11-15", 1, True),
        ("bse", "2021-11-16", 2, False),
        ("twse", "2024-01-02", 5, True),
        ("us", "2024-01-02", 1, False),
    ],
)
def test_first_sessions_without_a_limit(board: str, on: str, listed: int, free: bool) -> None:
    assert free_sessions(board, days(on), np.array([listed])).tolist() == [free]
    expected = (0.0, np.inf) if free else limit_prices(board, day(on), 10.0)
    assert limit_prices(board, day(on), 10.0, days_listed=listed) == expected


def test_an_unknown_board_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"board 'chinxt' is unknown; accepted: .*did you mean 'chinext'"):
        limit_prices("chinxt", day("2024-01-02"), 10.0)
    with pytest.raises(ConfigError, match=r"300308\.SZ: board 'gem' is unknown; accepted: bse, chinext"):
        board_of("300308.SZ", "XSHE", peer="gem")


@pytest.mark.parametrize(
    ("ticker", "mic", "peer", "market", "board"),
    [
        ("300308.SZ", "XSHE", "", "szse_main", "chinext"),
        ("301001.SZ", "XSHE", "", "", "chinext"),
        ("002281.SZ", "XSHE", "", "", "szse_main"),
        ("688498.SS", "XSHG", "", "sse_main", "star"),
        ("603083.SS", "XSHG", "", "", "sse_main"),
        ("2330.TW", "XTAI", "", "", "twse"),
        ("3081.TWO", "ROCO", "", "", "twse"),
        ("5802.T", "XTKS", "", "", "tse"),
        ("LITE", "XNAS", "", "", "us"),
        ("300308.SZ", "XSHE", "szse_main", "chinext", "szse_main"),
        ("VOD.L", "XLON", "", "", ""),
    ],
)
def test_board_of_a_ticker(ticker: str, mic: str, peer: str, market: str, board: str) -> None:
    assert board_of(ticker, mic, peer=peer, market=market) == board


@given(cents=st.integers(1, 3_000_000), board=st.sampled_from(["sse_main", "chinext", "star", "bse"]))
def test_mainland_limits_round_half_up(cents: int, board: str) -> None:
    limit = {"sse_main": "0.10", "chinext": "0.20", "star": "0.20", "bse": "0.30"}[board]
    previous, tick = Decimal(cents) / 100, Decimal("0.01")
    for sign, got in zip((-1, 1), limit_prices(board, day("2024-01-02"), float(previous)), strict=True):
        exact = (previous * (1 + sign * Decimal(limit))).quantize(tick, ROUND_HALF_UP)
        if abs(exact - previous) < tick:
            exact = previous + sign * tick
        assert got == pytest.approx(float(max(exact, tick)), abs=1e-7)


@given(steps=st.integers(20, 4_000), base=st.sampled_from([0.01, 0.05, 0.1, 0.5, 1.0, 5.0]))
def test_taiwan_takes_the_last_tick_inside_the_limit(steps: int, base: float) -> None:
    previous = round(steps * base, 2)
    tick = Fraction(str(float(tick_size("twse", previous))))
    exact = Fraction(str(previous))
    if (exact / tick).denominator != 1:
        return
    down, up = (Fraction(str(price)) for price in limit_prices("twse", day("2024-01-02"), previous))
    assert exact * Fraction(9, 10) <= down < exact < up <= exact * Fraction(11, 10)
    step_up, step_down = (Fraction(str(float(tick_size("twse", float(price))))) for price in (up, down))
    assert (up / step_up).denominator == 1
    assert up + step_up > exact * Fraction(11, 10)
    assert down - step_down < exact * Fraction(9, 10)


def test_ticks() -> None:
    prices = [9.99, 10.0, 49.9, 50.0, 99.9, 100.0, 499.0, 500.0, 999.0, 1000.0]
    assert tick_size("twse", prices).tolist() == [0.01, 0.05, 0.05, 0.1, 0.1, 0.5, 0.5, 1.0, 1.0, 5.0]
    assert tick_size("tse", [999.0, 1000.0, 3000.0, 10_000.0]).tolist() == [0.1, 0.5, 1.0, 5.0]
    assert tick_size("sse_main", 1234.0) == 0.01


def test_yen_limits_grow_with_the_price() -> None:
    yen_limits = boards()["tse"].limits[0].amounts
    bounds, amounts = zip(*yen_limits, strict=True)
    assert list(bounds) == sorted(bounds)
    assert list(amounts) == sorted(amounts)
    assert [dict(yen_limits)[bound] for bound in (100, 1_500, 10_000, 1_000_000)] == [30, 300, 1_500, 150_000]


@pytest.mark.parametrize("kind", ["limits", "free_sessions", "selling", "ticks", "lots"])
def test_periods_of_a_board_follow_each_other(kind: str) -> None:
    for board in boards().values():
        own = getattr(board, kind)
        for earlier, later in itertools.pairwise(own):
            assert earlier.until == later.first - dt.timedelta(days=1)
        assert not own or own[-1].until is None


def test_every_rule_has_a_source_or_says_that_it_has_none() -> None:
    rules = [rule for board in boards().values() for rule in (*board.limits, *board.free_sessions, *board.selling)]
    assert len(rules) == 38
    for rule in rules:
        assert bool(rule.source) != (rule.certainty == "memory"), rule


def test_the_document_lists_every_rule() -> None:
    text = (PROJECT / "docs" / "market-rules.md").read_text(encoding="utf-8")
    for board in boards().values():
        for rule in board.limits:
            first = "" if rule.first == EVER else rule.first
            size = {"none": "none", "amounts": "table of amounts"}.get(rule.kind, f"{100 * rule.limit:.0f} %")
            assert f"| {board.name} | {first} | {rule.until or ''} | {size} | {rule.certainty} |" in text
        for rule in board.free_sessions:
            line = f"| {board.name} | {rule.first} | {rule.until or ''} | {rule.sessions} | {rule.certainty} |"
            assert line in text


def test_selling() -> None:
    assert sessions_before_sale("chinext", day("2024-01-02")) == 1
    assert [sessions_before_sale(board, day("2024-01-02")) for board in ("us", "twse", "tse")] == [0, 0, 0]
    assert "scarce" in trade_rule("star", day("2024-07-10")).short_sales
    assert "not available" in trade_rule("star", day("2024-07-11")).short_sales
    with pytest.raises(ConfigError, match="board 'lse' on 2024-01-02: no rule for selling is known"):
        trade_rule("lse", day("2024-01-02"))
    assert [in_yen(board) for board in ("tse", "twse", "us")] == [True, False, False]


def test_bands_of_many_days_are_those_of_each() -> None:
    dates, previous = days("2020-08-21", "2020-08-24", "2021-01-04"), np.array([10.05, 10.05, NAN])
    down, up = limit_bands("chinext", dates, previous)
    for i in range(2):
        assert (down[i], up[i]) == limit_prices("chinext", dates[i].astype(dt.date), previous[i])
    assert np.isnan([down[2], up[2]]).all()


def test_locked_days() -> None:
    dates = days(*["2024-01-02"] * 7)
    close = np.array([9.00, 11.00, 9.01, 9.00, 11.00, 8.50, NAN])
    low = np.array([9.00, 10.00, 9.00, 9.00, 11.00, 8.50, NAN])
    high = np.array([9.50, 11.00, 9.50, 9.00, 11.01, 8.50, NAN])
    found = locked("sse_main", dates, close, np.full(7, 10.0), high=high, low=low)
    assert found.down.tolist() == [True, False, False, True, False, False, False]
    assert found.up.tolist() == [False, True, False, False, False, False, False]
    assert not found.no_limit.any()


def test_locked_days_of_adjusted_prices() -> None:
    dates, previous = days(*["2024-01-02"] * 4), np.full(4, 100.0)
    close = np.array([90.14, 90.16, 110.1, 89.86])
    found = locked("sse_main", dates, close, previous, slack=0.0015)
    assert found.down.tolist() == [True, False, False, True]
    assert found.up.tolist() == [False, False, True, False]
    assert not locked("sse_main", dates, close, previous).down.any()


def test_nothing_is_locked_without_a_limit() -> None:
    dates, close = days("2024-01-02", "2024-01-03"), np.array([8.0, 12.0])
    assert not (locked("us", dates, close, np.full(2, 10.0))).down.any()
    free = locked("star", dates, close, np.full(2, 10.0), days_listed=np.array([5, 6]))
    assert free.no_limit.tolist() == [True, False]
    assert (free.down | free.up).tolist() == [False, True]


def series(
    ticker: str, dates: NDArray[np.datetime64], close: list[float], adjusted: list[float], **ohl: list[float]
) -> PriceSeries:
    empty = [NAN] * len(close)
    columns = {name: np.array(ohl.get(name, empty)) for name in ("open", "high", "low")}
    volume = np.full(len(close), 1000.0)
    return PriceSeries(
        ticker=ticker, dates=dates, close=np.array(close), adj_close=np.array(adjusted), volume=volume, **columns
    )


def test_the_last_close_is_lowered_on_an_ex_date() -> None:
    dates = sessions("XSHG", day("2024-01-02"), day("2024-01-05"))
    # Two new shares for one between the second and the third day, then a close at the upper limit.
    item = series("A", dates, [20.00, 20.02, 11.01, 11.00], [10.0, 10.01, 11.01, 11.00])
    locks, adjusted = limit_days(item, dates, "sse_main")
    assert locks.up.tolist() == [False, False, True, False]
    assert not adjusted


def test_adjusted_prices_are_judged_with_an_allowance() -> None:
    dates = sessions("XSHG", day("2024-01-02"), day("2024-01-05"))
    item = series("A", dates, [6.42, 7.07, 7.0, 7.0], [6.42, 7.07, 7.0, 7.0])
    locks, adjusted = limit_days(item, dates, "sse_main")
    assert (locks.up.tolist(), adjusted) == ([False, True, False, False], True)
    locks, adjusted = limit_days(series("A", dates, [6.42, 7.04, 7.0, 7.0], [6.42, 7.04, 7.0, 7.0]), dates, "sse_main")
    assert (locks.up.any(), adjusted) == (False, False)


def test_limits_in_yen_want_traded_prices() -> None:
    dates = sessions("XTKS", day("2024-01-04"), day("2024-01-09"))
    traded = series("A", dates, [3310.0, 4010.0, 4000.0], [3300.0, 3997.885, 3990.0])
    locks, adjusted = limit_days(traded, dates, "tse")
    assert (locks.up.tolist(), adjusted) == ([False, True, False], False)
    halved = series("A", dates, [1655.0, 2005.0, 2000.0], [1655.0, 2005.0, 2000.0])
    locks, adjusted = limit_days(halved, dates, "tse")
    assert (locks.up.any(), adjusted) == (False, True)


def test_first_sessions_count_only_for_a_new_listing() -> None:
    dates = sessions("XSHG", day("2024-01-02"), day("2024-01-19"))
    flat = [10.0] * len(dates)
    new, _ = limit_days(series("A", dates[2:], flat[2:], flat[2:]), dates, "star", listed=day("2024-01-04"))
    assert np.flatnonzero(new.no_limit).tolist() == [2, 3, 4, 5, 6]
    member, _ = limit_days(series("A", dates, flat, flat), dates, "star", listed=day("2024-01-04"))
    old, _ = limit_days(series("A", dates, flat, flat), dates, "star", listed=day("2023-01-04"))
    assert not (member.no_limit | old.no_limit).any()


# A study on a main board


def write_mainland(folder: Path, **extra: str) -> Path:
    lines = ["[study]", 'name = "Main board"', "[[markets]]", 'mic = "XSHG"', 'region = "CN"', 'benchmark = "IDX"']
    for ticker in ("AAA", "BBB", "CCC"):
        lines += ["[[peers]]", f'ticker = "{ticker}"', 'market = "XSHG"', extra.get(ticker, "")]
    path = folder / "study.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def move(path: Path, on: str, change: float) -> None:
    """Make the return of one day ``change`` and shift all later prices with it."""
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    at = next(i for i, row in enumerate(rows) if row[0] == on)
    factor = float(rows[at - 1][1]) * (1 + change) / float(rows[at][1])
    for row in rows[at:]:
        row[1] = row[2] = repr(float(row[1]) * factor)
    path.write_text("\n".join([",".join(row) for row in rows] + [""]), encoding="utf-8")


def drop_rows(path: Path, first: str, last: str) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not first <= line[:10] <= last]
    path.write_text("\n".join([*kept, ""]), encoding="utf-8")


@pytest.fixture
def mainland(tmp_path: Path) -> Path:
    write_prices(tmp_path / "prices", mic="XSHG")
    return tmp_path


def run(folder: Path, rows: list[str], *overrides: str, **extra: str) -> Computed:
    events = read_events(write_events(folder, rows))
    config = load_config(folder / "events.csv", config_file=write_mainland(folder, **extra), overrides=overrides)
    return compute(with_shocks(events, config), config, get_prices(events, config, str(folder / "prices"), tell=print))


def column(computed: Computed, ticker: str) -> tuple[MarketPanel, int]:
    market = computed.returns.markets["XSHG"]
    return market, market.tickers.index(ticker)


def reasons(computed: Computed) -> dict[str, tuple[str, str]]:
    return {row.ticker: (row.status, text(row.reason)) for row in computed.selection.ledger}


def cuts(computed: Computed) -> list[tuple[str, ...]]:
    """Days cut from estimation windows: event, ticker, session and why."""
    return [(cut["event_id"], cut["ticker"], cut["session"], text(cut["reason"])) for cut in _cut_rows(computed)]


def test_locked_days_are_flagged_cut_and_told(mainland: Path) -> None:
    for on, change in (("2021-03-02", 0.10), ("2021-06-09", -0.10)):
        move(mainland / "prices" / "AAA.csv", on, change)
    computed = run(mainland, [event_row("E1", "2021-06-09")])
    market, at = column(computed, "AAA")
    flags = {str(market.sessions[row]): int(market.flags[row, at]) for row in np.flatnonzero(market.flags[:, at])}
    assert flags == {"2021-03-02": LOCKED_UP, "2021-06-09": LOCKED_DOWN}
    assert np.isfinite(market.returns[market.position(day("2021-03-02")), at])
    assert reasons(computed)["AAA"] == ("used", "locked limit-down on day 0")
    assert reasons(computed)["BBB"] == ("used", "")
    assert computed.abnormal.expected.n_estimation.tolist() == [239, 240, 240]
    assert cuts(computed) == [("E1", "AAA", "2021-03-02", "limit-locked")]
    assert any(
        "limit-locked days of AAA are those whose adjusted close" in told
        for told in map(text, computed.returns.remarks)
    )
    whole = run(mainland, [event_row("E1", "2021-06-09")], "windows.clean_estimation=false")
    assert whole.abnormal.expected.n_estimation.tolist() == [240, 240, 240]


def test_free_days_and_resumptions_leave_the_estimation(mainland: Path) -> None:
    drop_rows(mainland / "prices" / "AAA.csv", "2020-01-01", "2020-07-31")
    drop_rows(mainland / "prices" / "BBB.csv", "2021-03-02", "2021-03-03")
    computed = run(mainland, [event_row("E1", "2021-06-09")], AAA="from = 2020-08-03\nboard = 'star'")
    market, at = column(computed, "AAA")
    free = market.sessions[(market.flags[:, at] & NO_LIMIT) > 0]
    assert free.astype(str).tolist() == ["2020-08-03", "2020-08-04", "2020-08-05", "2020-08-06", "2020-08-07"]
    cut = [found[1:] for found in cuts(computed)]
    assert cut == [*(("AAA", str(session), "no-limit day") for session in free), ("BBB", "2021-03-04", "resumption")]
    lumped = run(mainland, [event_row("E1", "2021-06-09")], "returns.gaps=trade_to_trade")
    assert "BBB" not in {ticker for _, ticker, *_ in cuts(lumped)}


def test_a_peer_back_after_day_3_is_lumped(mainland: Path) -> None:
    drop_rows(mainland / "prices" / "AAA.csv", "2021-06-08", "2021-06-15")
    drop_rows(mainland / "prices" / "BBB.csv", "2021-06-08", "2021-06-11")
    found = reasons(run(mainland, [event_row("E1", "2021-06-09")]))
    assert found["AAA"] == ("dropped", "lumped: no trade from day 0 to day +3; the return of day +4 covers them all")
    assert found["BBB"][0] == "used"


def test_a_window_that_runs_into_a_deal(mainland: Path) -> None:
    found = reasons(run(mainland, [event_row("E1", "2021-06-09")], AAA="deal_bound_from = 2021-06-15"))
    assert found["AAA"] == ("dropped", "deal_bound: the price is bound to a takeover bid from 2021-06-15, day +3")
    assert found["CCC"][0] == "used"


def test_an_exchange_without_rules_says_so(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices", mic="XLON")
    study = write_mainland(tmp_path).read_text(encoding="utf-8").replace("XSHG", "XLON")
    (tmp_path / "study.toml").write_text(study, encoding="utf-8")
    events = read_events(write_events(tmp_path, [event_row("E1", "2021-06-09")]))
    config = load_config(tmp_path / "events.csv", config_file=tmp_path / "study.toml")
    prices = get_prices(events, config, str(tmp_path / "prices"), tell=print)
    panel = to_returns(prices, config, sessions=sessions)
    assert "XLON: price limits are not known, so no day is marked as locked" in map(text, panel.remarks)


def test_an_unknown_board_in_the_study_is_refused(mainland: Path) -> None:
    with pytest.raises(ConfigError, match=r"peers\[0\].board = 'main' is unknown; accepted: bse, "):
        run(mainland, [event_row("E1", "2021-06-09")], AAA="board = 'main'")


@needs_data
def test_real_locked_days() -> None:
    events = read_events(PROJECT / "events.csv")
    config = load_config(PROJECT / "events.csv")
    panel = to_returns(get_prices(events, config, str(SHARED), tell=print), config, sessions=sessions)

    def flag(ticker: str, on: str) -> tuple[int, float]:
        market = next(m for m in panel.markets.values() if ticker in m.tickers)
        row, at = market.position(day(on)), market.tickers.index(ticker)
        return int(market.flags[row, at]), round(float(market.returns[row, at]), 3)

    assert flag("300308.SZ", "2025-04-07") == (LOCKED_DOWN, -0.2)
    assert flag("300308.SZ", "2024-10-08") == (LOCKED_UP, 0.2)
    assert flag("300502.SZ", "2024-10-08") == (LOCKED_UP, 0.2)
    assert flag("603083.SS", "2024-10-08") == (LOCKED_UP, 0.1)
    assert flag("2330.TW", "2025-04-07") == (LOCKED_DOWN, -0.1)
    assert flag("300308.SZ", "2025-01-27")[0] == 0
    american = panel.markets["XNAS"]
    assert not (american.flags & (LOCKED_UP | LOCKED_DOWN | NO_LIMIT)).any()
