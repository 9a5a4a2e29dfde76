"""Three shocks, two peers on each of two exchanges, worked by hand: every cash flow to the cent."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from tapes import HOUR, make_tape

from eventstudy.backtest.costs import cost_table
from eventstudy.backtest.execution import Trade, execute
from eventstudy.backtest.past_view import Tape
from eventstudy.backtest.portfolio import Run, daily, run
from eventstudy.backtest.rule import Answer, Decision, Order, Rule, Shock
from eventstudy.backtest.tapes import _in_range
from eventstudy.messages import text

# Estimation: the index runs +1 %, +1 %, -1 %, -1 %, each peer that plus e = +b, -b, +b, -b. Over 240 days
# sums of x, e and x e are zero: alpha 0, beta 1, and the peer's variance (ddof 1) is
# (1 %^2 + b^2) 240/239 = 2 %^2.
B = np.sqrt(0.02**2 * 239 / 240 - 0.01**2)
LENGTH = 920
SHOCKS = (270, 570, 870)
US, CN = "XNYS", "XSHE"


def quiet() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Peer and index returns with nothing happening from ten days before a shock to 25 after it."""
    row = np.arange(LENGTH)
    index = np.where(row % 4 < 2, 0.01, -0.01)
    peer = index + np.where(row % 2 == 0, B, -B)
    for day0 in SHOCKS:
        index[day0 - 10 : day0 + 26] = 0.0
        peer[day0 - 10 : day0 + 26] = 0.0
    return {m: np.column_stack([peer, peer]) for m in (US, CN)}, {m: index.copy() for m in (US, CN)}


@pytest.fixture(scope="module")
def example() -> tuple[Run, dict[str, Tape]]:
    peers, index = quiet()
    three = SHOCKS[2]
    for mic in (US, CN):
        peers[mic][list(SHOCKS), :] = -0.10
    peers[US][three, 1] = 0.01
    # Shock 1, bought at the close of +2 (row 272), sold at the close of +20 (row 290).
    peers[US][280] = 0.21, -0.19
    peers[CN][280, 1] = 0.44
    index[US][280] = 0.04
    # Shock 2, bought at the open of +2 (row 572): two peers fall 12 % that day, CN0 5 % more overnight.
    peers[US][572, 0] = peers[CN][572, 0] = -0.12
    peers[CN][573, 0] = -0.05
    # Shock 3, bought at the close of +2 (row 872), a clarification on row 875.
    peers[US][874, 0] = 0.06
    peers[CN][874, 0] = 0.03
    peers[CN][877, 1] = -0.02
    tapes = {mic: make_tape(mic, peers[mic], index[mic]) for mic in (US, CN)}
    # The entry session opens where the day before closed, and the low is the close.
    for mic in (US, CN):
        tapes[mic].open[572] = tapes[mic].close[571]
    tapes[CN].locked_up[272, 0] = True
    tapes[CN].locked_down[876, 1] = True
    columns = {US: (0, 1), CN: (0, 1)}
    answer = Answer("C3", int(tapes[US].closes[874]) + HOUR, {US: 875, CN: 875})
    shocks = [
        Shock(
            shock_id=f"S{k}",
            label="misreading",
            label_known=0,
            day0=dict.fromkeys((US, CN), row),
            columns=columns,
            answers=(answer,) if k == 3 else (),
        )
        for k, row in enumerate(SHOCKS, 1)
    ]
    rule = Rule(per_shock=1.0)
    rules = [rule, replace(rule, entry_at="open", stop=0.10), rule]
    return run(rules, tapes, shocks, cost_table([US, CN])), tapes


def trade(example: tuple[Run, dict[str, Tape]], shock: str, ticker: str) -> Trade:
    return next(t for t in example[0].trades if (t.shock_id, t.ticker) == (shock, ticker))


def cents(value: float) -> float:
    return round(value, 2)


def test_the_dates_fall_where_the_fees_change(example: tuple[Run, dict[str, Tape]]) -> None:
    tape = example[1][CN]
    assert [tape.day(row) for row in (272, 290)] == ["2022-01-19", "2022-02-14"]
    assert [tape.day(row) for row in (572, 573, 590)] == ["2023-03-15", "2023-03-16", "2023-04-10"]
    assert [tape.day(row) for row in (872, 876, 877)] == ["2024-05-08", "2024-05-14", "2024-05-15"]


def test_shock_1_at_the_close(example: tuple[Run, dict[str, Tape]]) -> None:
    # Four orders with beta 1: 1,000,000 / (4 x 2) = 125,000 each, index short 125,000 each.
    # Order over value traded 125,000 / 12,500,000 = 0.01, root 0.1: impact 0.1 x 2 % x 0.1 = 2 bp.
    # US0: +21 % = 26,250.00; index +4 % on the short = -5,000.00.
    #   in: 5 + 2 = 7 bp = 87.50; hedge 2 bp = 25.00
    #   out on 151,250: Section 31 0.051 + 5 + 2 sqrt(1.21) = 2.2: 7.251 bp = 109.671375;
    #   hedge 2 bp on 130,000 = 26.00                               costs 248.171375
    us0 = trade(example, "S1", "YS0")
    assert us0.value == pytest.approx(125_000.0, abs=1e-6)
    assert us0.order.beta == pytest.approx(1.0, abs=1e-12)
    assert (cents(us0.gross), cents(us0.hedged), cents(us0.cost)) == (26_250.00, 21_250.00, 248.17)
    assert cents(us0.net) == 21_001.83
    # US1: -19 % = -23,750.00; hedge -5,000.00.
    #   out on 101,250: 0.051 + 5 + 2 x 0.9 = 6.851 bp = 69.366375; 87.50 + 25.00 + 69.366375 + 26.00
    us1 = trade(example, "S1", "YS1")
    assert (cents(us1.gross), cents(us1.hedged), cents(us1.cost)) == (-23_750.00, -28_750.00, 207.87)
    # Deepest at -28,750 of 125,000.
    assert us1.adverse_excursion == pytest.approx(-0.23, abs=1e-12)
    # CN1: +44 % = 55,000.00; its index did not move.
    #   in: transfer 0.2 + commission 2.5 + 5 + 2 = 9.7 bp = 121.25; hedge 25.00
    #   out on 180,000: stamp 10 + 0.2 + 2.5 + 5 + 2 x 1.2 = 20.1 bp = 361.80; hedge 25.00
    cn1 = trade(example, "S1", "HE1")
    assert (cents(cn1.gross), cents(cn1.hedged), cents(cn1.cost)) == (55_000.00, 55_000.00, 533.05)
    assert {text(t.why_left) for t in (us0, us1, cn1)} == {"day +20"}


def test_shock_1_limit_up_is_not_filled(example: tuple[Run, dict[str, Tape]]) -> None:
    blocked = trade(example, "S1", "HE0")
    assert not blocked.filled
    assert (blocked.value, blocked.net) == (0.0, 0.0)
    assert text(blocked.blocked) == "no fill: limit-up at the close on 2022-01-19"


def test_shock_2_stops_and_settlement(example: tuple[Run, dict[str, Tape]]) -> None:
    # At the open spread and impact count twice: 2 x (5 + 2) = 14 bp.
    # US0: stopped at -10 % on the day it was bought: -12,500.00.
    #   in 14 bp = 175.00; out on 112,500: 0.08 + 5 + 2 sqrt(0.9) = 6.977367 bp = 78.495373; hedge 2 x 25.00
    us0 = trade(example, "S2", "YS0")
    assert (us0.entry_row, us0.exit_row, text(us0.why_left), text(us0.blocked)) == (572, 572, "stop at -10%", "")
    assert (cents(us0.gross), cents(us0.cost)) == (-12_500.00, 303.50)
    # CN0: the stop is reached too, but a share bought today cannot be sold today. It opens the next day
    # at 0.88 x 0.95 = 0.836: -16.4 % = -20,500.00.
    #   in: 0.1 + 2.5 + 14 = 16.6 bp = 207.50
    #   out on 104,500 at the open: 10 + 0.1 + 2.5 + 2 x (5 + 2 sqrt(0.836)) = 26.257323 bp = 274.389025
    #   hedge 50.00
    cn0 = trade(example, "S2", "HE0")
    assert (cn0.entry_row, cn0.exit_row, text(cn0.why_left)) == (572, 573, "stop at -10%")
    assert text(cn0.blocked) == "sale delayed from 2023-03-15 by T+1"
    assert (cents(cn0.gross), cents(cn0.cost)) == (-20_500.00, 531.89)
    # US1 and CN1 do not move: costs alone.
    #   US1: 175.00 + (0.08 + 5 + 2 = 7.08 bp) 88.50 + 50.00
    #   CN1: 207.50 + (10 + 0.1 + 2.5 + 5 + 2 = 19.6 bp) 245.00 + 50.00
    assert cents(trade(example, "S2", "YS1").net) == -313.50
    assert cents(trade(example, "S2", "HE1").net) == -502.50


def test_shock_3_fallen_peers_clarification_and_limit_down(example: tuple[Run, dict[str, Tape]]) -> None:
    # US1 rose on the day and is not bought: three orders of 1,000,000 / (3 x 2) = 166,666.67.
    # Order over value traded 1/75: impact 0.1 x 2 % x 0.1154701 = 2.309401 bp.
    assert [t.ticker for t in example[0].trades if t.shock_id == "S3"] == ["YS0", "HE0", "HE1"]
    # US0: +6 % = 10,000.00, sold at the close after the clarification's day, row 876.
    #   in 7.309401 bp = 121.823351; out on 176,666.67: 0.278 too early (from 2024-05-22), so 0.08
    #   + 5 + 2.309401 sqrt(1.06) = 7.457678 bp = 131.752307; hedge 2 x 33.333333
    us0 = trade(example, "S3", "YS0")
    assert us0.value == pytest.approx(166_666.6667, abs=1e-4)
    assert (us0.exit_row, text(us0.why_left)) == (876, "clarification C3")
    assert (cents(us0.gross), cents(us0.cost)) == (10_000.00, 320.24)
    # CN0: +3 % = 5,000.00
    #   in: 0.1 + 2.5 + 5 + 2.309401 = 9.909401 bp = 165.156684
    #   out on 171,666.67: 5 + 0.1 + 2.5 + 5 + 2.309401 sqrt(1.03) = 14.943787 bp = 256.535015; 66.666667
    cn0 = trade(example, "S3", "HE0")
    assert (cn0.exit_row, cents(cn0.gross), cents(cn0.cost)) == (876, 5_000.00, 488.36)
    # CN1 is locked limit-down on row 876 and sold a day later, 2 % lower: -3,333.33.
    #   out on 163,333.33: 12.6 + 2.309401 sqrt(0.98) = 14.886191 bp = 243.141115
    cn1 = trade(example, "S3", "HE1")
    assert (cn1.exit_row, cents(cn1.gross), cents(cn1.cost)) == (877, -3_333.33, 474.96)
    assert text(cn1.blocked) == "no sale: limit-down at the close on 2024-05-14"


def test_the_daily_series_holds_every_cent(example: tuple[Run, dict[str, Tape]]) -> None:
    result, tapes = example
    series = daily(result, tapes, int(tapes[US].sessions[260]), int(tapes[US].sessions[-1]))
    # 21,001.83 - 28,957.87 + 54,466.95 - 12,803.50 - 21,031.89 - 313.50 - 502.50
    #   + 9,679.76 + 4,511.64 - 3,808.29
    assert series.net.sum() == pytest.approx(22_242.63, abs=0.03)
    assert series.net.sum() == pytest.approx(sum(t.net for t in result.filled), abs=1e-8)
    assert series.equity[-1] == pytest.approx(1_000_000.0 + series.net.sum(), abs=1e-8)
    assert len(series.day) == LENGTH - 260
    held = np.isin(series.day, tapes[US].sessions[[*range(272, 291), *range(572, 591), *range(872, 878)]])
    assert (series.net[~held] == 0.0).all()
    assert (series.n_positions[~held] == 0).all()
    # Shock 1 holds three of four orders, longs and hedges of 125,000 each.
    assert series.exposure[15] == pytest.approx(0.75, abs=1e-12)


def foreign(rates: dict[int, float], *, index_up: float = 0.0) -> list[Trade]:
    """Two Shenzhen peers bought at row 272 and sold at row 290; both rise 10 % on row 280."""
    peers, index = quiet()
    peers[CN][270] = -0.10
    peers[CN][280] = 0.10
    index[CN][280] = index_up
    tape = make_tape(CN, peers[CN], index[CN], value_traded=1e9)
    for row, rate in rates.items():
        tape.fx[row:] = rate
    shock = Shock(shock_id="S", label="misreading", label_known=0, day0={CN: 270}, columns={CN: (0, 1)})
    return list(run(Rule(per_shock=1.0), {CN: tape}, [shock], cost_table([CN])).filled)


def test_both_legs_in_yuan_and_in_dollars() -> None:
    # Betas are 1: 1,000,000 / 4 = 250,000 dollars each, at 0.125 two million yuan, index short as much.
    # +10 % on 280 = 200,000.00 yuan; index +4 % = -80,000.00 yuan.
    #   in: 0.2 + 2.5 + 5 + 0.1 x 200 x sqrt(0.002) = 0.894427 bp: 8.594427 bp = 1,718.885438; hedge 400.00
    #   out on 2,200,000: 10 + 7.7 + 0.894427 sqrt(1.1) = 18.638082 bp = 4,100.378142; hedge 2 bp of
    #   2,080,000 = 416.00
    # Dollars: the long is worth 2,200,000 x 0.16 = 352,000.00 at the end: +102,000.00. The index leg's
    # loss is converted on day 280, at 0.15: -12,000.00. Costs: 2,118.885438 x 0.125 + 4,516.378142 x 0.16.
    one, other = foreign({0: 0.125, 280: 0.15, 285: 0.16}, index_up=0.04)
    assert (one.value, one.local_value) == pytest.approx((250_000.0, 2_000_000.0), abs=1e-6)
    assert cents(one.local.total("gross")) == 200_000.00
    assert cents(one.local.total("hedged")) == 120_000.00
    assert cents(one.local.total("cost")) == 6_635.26
    assert (cents(one.gross), cents(one.hedged), cents(one.cost)) == (102_000.00, 90_000.00, 987.48)
    assert cents(one.net) == 89_012.52
    assert (one.rate_in, one.rate_out) == (0.125, 0.16)
    assert other.net == pytest.approx(one.net, abs=1e-9)


def test_capacity_is_counted_in_the_currency_of_the_exchange() -> None:
    peers, index = quiet()
    peers[CN][270] = -0.10
    tape = make_tape(CN, peers[CN], index[CN])
    tape.fx[:] = 0.14
    shock = Shock(shock_id="S", label="misreading", label_known=0, day0={CN: 270}, columns={CN: (0, 1)})
    found = run(Rule(per_shock=1.0, hedge=False), {CN: tape}, [shock], cost_table([CN])).filled
    # Half a million dollars are 3,571,428.57 yuan, 28.6 % of the value traded: cut to 5 % of 12.5 million
    # yuan, 87,500 dollars. With weights of a half, 1.25 million yuan of capital would meet the limit.
    assert [cents(t.value) for t in found] == [87_500.00, 87_500.00]
    assert [cents(t.room) for t in found] == [1_250_000.00, 1_250_000.00]
    assert text(found[0].blocked) == "cut to 5% of the value traded in 20 days"


def test_without_a_rate_a_trade_counts_in_its_own_currency() -> None:
    nan = float("nan")
    none, (late, _) = foreign({0: nan})[0], foreign({0: 0.125, 285: nan})
    assert none.base is None
    assert (none.value, none.local_value) == pytest.approx((250_000.0, 250_000.0), abs=1e-6)
    assert (cents(none.gross), text(none.blocked)) == (25_000.00, "")
    # The size was fixed with the rate of the entry; the result is the local return on it.
    assert late.base is None
    assert (late.value, late.local_value) == pytest.approx((250_000.0, 2_000_000.0), abs=1e-6)
    assert cents(late.gross) == 25_000.00
    assert text(late.blocked) == "no exchange rate for CNY on 2022-02-07: local currency"


def test_fees_by_date() -> None:
    table = cost_table([US, CN, "XTAI"])
    sale = [table.fee_bps(CN, "sell", dt.date(*day)) for day in ((2022, 4, 28), (2023, 8, 27), (2023, 8, 28))]
    assert sale == pytest.approx([12.7, 12.6, 7.6], abs=1e-12)
    assert table.fee_bps(CN, "buy", dt.date(2024, 1, 2)) == pytest.approx(2.6, abs=1e-12)
    assert table.fee_bps("XTAI", "sell", dt.date(2024, 1, 2)) == pytest.approx(44.25, abs=1e-12)
    assert table.fee_bps(US, "sell", dt.date(2025, 5, 13)) == pytest.approx(0.278, abs=1e-12)
    assert table.fee_bps(US, "sell", dt.date(2025, 5, 14)) == 0.0


def test_no_fill_outside_the_day_s_range() -> None:
    """An open of 1e5 on a day between 9 and 11 is no price; without a high and a low nothing contradicts it."""
    nan = float("nan")
    opened, high = [1e5, 8.0, 11.004, 1e5, 10.0], [11.0, 11.0, 11.0, nan, 11.0]
    opened, low = _in_range(*np.array([opened, high, [9.0, 9.0, 9.0, nan, 10.5], [10.0] * 5]))
    assert opened == pytest.approx([nan, nan, 11.004, 1e5, 10.0], nan_ok=True)
    assert low == pytest.approx([9.0, 9.0, 9.0, nan, nan], nan_ok=True)
    tape = make_tape(US, np.full((300, 1), 0.001), np.full(300, 0.001))
    order = Order(mic=US, column=0, row=260, horizon_row=280, beta=0.0, sigma=0.01, adv=1e9, car=-0.1)
    decision = Decision(shock_id="S", label="misreading", time=int(tape.closes[259]))
    unknown = replace(tape, open=np.where(np.arange(300)[:, None] == 260, nan, tape.open))
    blocked = execute(order, 0.1, Rule(entry_at="open"), decision, unknown, cost_table([US])).blocked
    assert (blocked.codes, blocked.fields["day"]) == (("order.no_open",), tape.day(260))
