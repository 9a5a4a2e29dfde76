"""The backtest of whole studies: what it says, that it agrees with the study, and that it repeats."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from studies import event_row, write_events, write_prices, write_study
from tapes import random_shocks, random_tapes

from eventstudy.backtest import RULE, Traded, rows, summarise, trade_study
from eventstudy.backtest.costs import cost_table
from eventstudy.backtest.evaluate import EVERY_DROP, PLACEBO, evaluate
from eventstudy.backtest.portfolio import daily, run
from eventstudy.backtest.rule import Rule, rule_of
from eventstudy.backtest.statistics import deflated_sharpe, sharpe, skewness_kurtosis
from eventstudy.backtest.tapes import placebo_shocks
from eventstudy.backtest.trading import comparable
from eventstudy.backtest.trials import question_of, rule_digest
from eventstudy.config import Reversal, StudyConfig, load_config
from eventstudy.core.estimation import Computed, compute, groups, headline_group
from eventstudy.errors import ConfigError
from eventstudy.events import Events, read_events
from eventstudy.messages import catalogue, text
from eventstudy.messages import said as said_in
from eventstudy.prices import PriceTable
from eventstudy.prices.sources import get_prices
from eventstudy.report.sections.trade import backtest_strip
from eventstudy.results.columns import TABLES, with_codes
from eventstudy.reversal import Shocks, study_shocks
from eventstudy.shocks import with_shocks

#: Half of all random shocks are drops by this.
LAX = Rule(criteria=Reversal(drop_k=0.0, drop_min=0.0, share_negative=0.0), gate="off")
SHARED = Path(__file__).parents[3] / "shared" / "data" / "prices"
PROJECT = Path(__file__).parents[2]


def traded(events_path: Path, prices: str, *overrides: str, study: Path | None = None) -> tuple[Traded, Shocks]:
    events = read_events(events_path)
    config = load_config(events_path, config_file=study, overrides=overrides)
    table = get_prices(events, config, prices, tell=print)
    computed = compute(with_shocks(events, config), config, table)
    samples = list(groups(computed.sample, events, config))
    headline = next(sample for sample in samples if sample.group == headline_group(config))
    shocks = study_shocks(computed, headline, config)
    return trade_study(computed, shocks, events, config, table), shocks


def small(tmp_path: Path, rows_: list[str], *overrides: str, fall: str = "") -> tuple[Traded, Shocks]:
    """A study of three US peers; on the day ``fall`` all of them lose a tenth and keep it lost."""
    write_prices(tmp_path / "prices")
    for ticker in ("AAA", "BBB", "CCC") if fall else ():
        path = tmp_path / "prices" / f"{ticker}.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        changed = [lines[0]]
        for line in lines[1:]:
            day, close, _, volume = line.split(",")
            price = float(close) * (0.9 if day >= fall else 1.0)
            changed.append(f"{day},{price!r},{price!r},{volume}")
        path.write_text("\n".join([*changed, ""]), encoding="utf-8")
    return traded(
        write_events(tmp_path, rows_),
        str(tmp_path / "prices"),
        *overrides,
        "tests.draws=199",
        study=write_study(tmp_path),
    )


MISREADING = {"label": "misreading", "label_asof": "2021-06-09T15:00Z"}


def test_without_a_drop_it_says_why_there_is_no_trade(tmp_path: Path) -> None:
    event = [event_row("E1", "2021-06-09T14:00Z", **MISREADING)]
    found, _ = small(tmp_path, event, "reversal.drop_min=0.5")
    assert summarise(found)["sentence"] == (
        "No trades: of 1 shock labelled misreading, 1 was not large enough to count as a drop; "
        "no drop of any label qualified."
    )
    tables = rows(found)
    assert tables["trades"] == []
    assert summarise(found)["n_trades"] == 0
    assert summarise(found)["dsr"] != summarise(found)["dsr"]


def test_a_label_that_came_later_is_not_traded_and_the_gate_can_be_opened(tmp_path: Path) -> None:
    late = event_row("E1", "2021-06-09T14:00Z", label="misreading", label_asof="2021-07-20")
    found, _ = small(tmp_path, [late], fall="2021-06-09")
    said = summarise(found)["sentence"]
    assert "of 1 shock labelled misreading, 1 was labelled too late to trade" in said
    assert "(3 trades, 1 shock)" in said
    opened, _ = small(tmp_path, [late], "backtest.label_gate=post_hoc", fall="2021-06-09")
    assert summarise(opened)["sentence"].startswith("3 trades on 1 shock with labels that were not known at the time")


def test_a_traded_shock_in_tables_and_summary(tmp_path: Path) -> None:
    row = event_row("E1", "2021-06-09T14:00Z", **MISREADING)
    answer = event_row(
        "C1", "2021-06-21T14:00Z", kind="clarification", label="clarification", shock_id="E1", clarifies="E1"
    )
    found, shocks = small(tmp_path, [row, answer], fall="2021-06-09")
    tables = rows(found)
    assert [(r["ticker"], r["entry_session"], r["exit_session"]) for r in tables["trades"]] == [
        (name, "2021-06-11", "2021-06-22") for name in ("AAA", "BBB", "CCC")
    ]
    assert {text(r["why_left"]) for r in tables["trades"]} == {"clarification C1"}
    shock = next(r for r in tables["backtest"] if r["run"] == RULE)
    assert shock["car_signal"] == pytest.approx(float(shocks.drops.drop[0]), abs=1e-12)
    assert shock["s_signal"] == pytest.approx(float(shocks.drops.drop_s[0]), abs=1e-12)
    assert shock["gap"] == pytest.approx(shock["net"] - float(shocks.drops.post[0]), abs=1e-12)
    money = sum(r["net"] * r["value"] for r in tables["trades"])
    assert sum(r["net"] for r in tables["pnl"]) == pytest.approx(money, abs=1e-8)
    assert tables["pnl"][0]["date"] == "2021-06-09"
    # The last session that the prices asked for can have.
    assert tables["pnl"][-1]["date"] == "2021-08-06"
    told = summarise(found)
    assert (told["n_trades"], told["n_shocks"], told["n_trials"]) == (3, 1, 12)
    assert told["caution"].startswith("PSR and DSR count days, but the record has only 1 shock")
    assert told["sentence"].startswith("3 trades on 1 shock earned ")


def test_the_ratio_is_deflated_by_every_trial_there_was(tmp_path: Path) -> None:
    event = [event_row("E1", "2021-06-09T14:00Z", **MISREADING)]
    alone, _ = small(tmp_path, event, fall="2021-06-09")
    grid = rows(alone)["specifications"]
    own = {row["specification"]: row["sharpe"] / np.sqrt(252) for row in grid if row["run"] == RULE}
    assert len(own) == 12
    assert summarise(alone)["trials"] == "12 trading specifications: 12 of this run, 0 more in trials.jsonl"

    logged = {"elsewhere": 0.2, "never": float("nan"), **own}
    found = trade_study(*study_of(tmp_path, "backtest.trials=3"), logged=logged)
    told = summarise(found)
    counted = [told[name] for name in ("n_trials", "trials_run", "trials_logged", "trials_declared")]
    assert counted == [17, 12, 2, 3]
    assert told["trials"] == "17 trading specifications: 12 of this run, 2 more in trials.jsonl, 3 declared"
    assert set(found.evaluation.before) == {"elsewhere", "never"}
    report, returns = found.evaluation.records[RULE].ratio, found.evaluation.series[RULE].returns
    ratios = [value for value in (*own.values(), 0.2) if np.isfinite(value)]
    assert report.dsr == pytest.approx(
        deflated_sharpe(sharpe(returns), len(returns), *skewness_kurtosis(returns), trial_ratios=ratios, trials=17)
    )
    assert report.dsr < alone.evaluation.records[RULE].ratio.dsr
    # Another question makes the same rules other trials; another unit of the volume does not.
    same = trade_study(*study_of(tmp_path, "prices.volume_unit={XNYS=100}"))
    assert set(own) <= {row["specification"] for row in rows(same)["specifications"]}
    other = trade_study(*study_of(tmp_path, "backtest.hedge_bps=3"))
    assert not set(own) & {row["specification"] for row in rows(other)["specifications"]}


BASE = {"label": "misreading", "label_asof": "2021-06-09T15:00Z", "notes": "seen"}
ANSWER = {"kind": "clarification", "label": "clarification", "shock_id": "E1", "clarifies": "E1"}


@pytest.mark.parametrize(
    ("cells", "study", "overrides", "other"),
    [
        ({"notes": "read again"}, ("", ""), (), False),
        ({"title": "Another title", "kind": "rumour"}, ("", ""), (), False),
        ({}, ('ticker = "BBB"', 'ticker = "BBB"\nname = "B"\nexposure = 0.5'), (), False),
        ({}, ("", ""), ("reversal.case=E1", "reversal.history_years=9", "windows.car=[[0,0]]"), False),
        ({}, ("", ""), ("prices.volume_unit={XNYS=100}", "backtest.embargo=7"), False),
        ({"timestamp": "2021-06-10T14:00Z"}, ("", ""), (), True),
        ({"label": "genuine"}, ("", ""), (), True),
        ({"label_asof": "2021-07-09T15:00Z"}, ("", ""), (), True),
        ({"tickers": "AAA;BBB"}, ("", ""), (), True),
        ({}, ('benchmark = "IDX"', 'benchmark = "IDY"'), (), True),
        ({}, ('region = "US"', 'region = "CA"'), (), True),
        ({}, ('ticker = "BBB"', 'ticker = "BBB"\nuntil = 2021-12-31'), (), True),
        ({}, ("", ""), ("windows.clean_estimation=false",), True),
        ({}, ("", ""), ("returns.gaps=trade_to_trade",), True),
        ({}, ("", ""), ("study.currency=EUR",), True),
        ({}, ("", ""), ('backtest.fx={EUR="EURUSD=X"}',), True),
        ({}, ("", ""), ("prices.accept_suspect=true",), True),
        ({}, ("", ""), ("windows.minimum=130",), True),
        ({}, ("", ""), ("reversal.drop_k=1.5",), True),
    ],
)
def test_a_trial_is_whatever_decides_what_a_rule_earns(
    tmp_path: Path, cells: dict[str, str], study: tuple[str, str], overrides: tuple[str, ...], other: bool
) -> None:
    def digest(name: str, cells: dict[str, str], change: tuple[str, str], overrides: tuple[str, ...]) -> str:
        (tmp_path / name).mkdir()
        row = {"timestamp": "2021-06-09T14:00Z", **BASE, **cells}
        path = write_events(
            tmp_path / name,
            [event_row("E1", row.pop("timestamp"), **row), event_row("C1", "2021-06-21T14:00Z", **ANSWER)],
        )
        file = write_study(tmp_path / name)
        text = file.read_text(encoding="utf-8")
        assert change[0] in text
        file.write_text(text.replace(*change) if change[0] else text, encoding="utf-8")
        config = load_config(path, config_file=file, overrides=overrides)
        return rule_digest(rule_of(config), question_of(read_events(path), config))

    base = digest("base", {}, ("", ""), ())
    assert (digest("changed", cells, study, overrides) != base) == other


def study_of(tmp_path: Path, *overrides: str) -> tuple[Computed, Shocks, Events, StudyConfig, PriceTable]:
    """What `trade_study` takes, of the study that `small` has written."""
    events = read_events(tmp_path / "events.csv")
    config = load_config(
        tmp_path / "events.csv", config_file=tmp_path / "study.toml", overrides=[*overrides, "tests.draws=199"]
    )
    table = get_prices(events, config, str(tmp_path / "prices"), tell=print)
    computed = compute(with_shocks(events, config), config, table)
    samples = list(groups(computed.sample, events, config))
    headline = next(sample for sample in samples if sample.group == headline_group(config))
    return computed, study_shocks(computed, headline, config), events, config, table


def test_costs_of_the_curve_and_break_even_by_hand(tmp_path: Path) -> None:
    found, _ = small(tmp_path, [event_row("E1", "2021-06-09T14:00Z", **MISREADING)], fall="2021-06-09")
    trades = found.evaluation.runs[RULE].filled
    # The index leg pays its 2 bp in and out in every picture, whatever the long leg costs.
    short = sum(t.hedge_cost / t.value for t in trades) / len(trades)
    assert short == pytest.approx(4e-4, rel=0.25)
    hedged = sum(t.hedged / t.value for t in trades) / len(trades)
    curve = {row["cost_bps"]: row for row in rows(found)["cost_sensitivity"] if row["run"] == RULE}
    for bps in (0.0, 50.0):
        assert curve[bps]["net_per_trade"] == pytest.approx(hedged - short - 2 * bps / 1e4, abs=1e-12)
        money = sum(t.hedged - t.hedge_cost - 2 * bps / 1e4 * t.value for t in trades)
        assert curve[bps]["net_total"] == pytest.approx(money, abs=1e-6)
    assert summarise(found)["break_even_bps"] == pytest.approx((hedged - short) / 2 * 1e4)


def test_tables_have_the_columns_of_the_pack(tmp_path: Path) -> None:
    found, _ = small(tmp_path, [event_row("E1", "2021-06-09T14:00Z", **MISREADING)], fall="2021-06-09")
    for name, table in rows(found).items():
        assert table, name
        assert set(with_codes(table[0])) == set(TABLES[name])


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    event = [event_row("E1", "2021-06-09T14:00Z", **MISREADING)]
    one, other = (small(tmp_path, event, fall="2021-06-09")[0] for _ in range(2))
    assert repr(rows(one)) == repr(rows(other))
    assert repr(summarise(one)) == repr(summarise(other))


def test_a_rate_before_its_source_is_from_memory() -> None:
    table = cost_table(["XNYS"])
    for day, certainty in ((dt.date(2017, 7, 3), "memory"), (dt.date(2017, 7, 4), "source")):
        (fee,) = [fee for fee in table.in_force("XNYS", "sell", day) if fee.name == "section_31"]
        assert (fee.bps, fee.certainty) == (0.231, certainty)


def test_costs_of_the_settings_replace_the_shipped_ones(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    study.write_text(
        study.read_text(encoding="utf-8") + '[[costs]]\nmarket = "XNYS"\nname = "half_spread"\nbps = 12.5\n',
        encoding="utf-8",
    )
    config = load_config(write_events(tmp_path, [event_row("E", "2021-06-09")]), config_file=study)
    table = cost_table(["XNYS"], config.costs)
    spreads = [fee for fee in table.fees if fee.name == "half_spread"]
    assert [(fee.bps, fee.source) for fee in spreads] == [(12.5, "The study's settings")]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("backtest.entry=close+3", "accepted is 'close+2'"),
        ("backtest.horizon=2", "backtest.horizon = 2: accepted is 3 to 250"),
        ("backtest.stop=1.5", "backtest.stop = 1.5: accepted is 0.0 to 0.99"),
        ("backtest.per_shoc=1", "did you mean 'per_shock'"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, override: str, said: str) -> None:
    path = write_events(tmp_path, [event_row("E", "2021-06-09")])
    with pytest.raises(ConfigError, match=said.replace("+", r"\+")):
        load_config(path, config_file=write_study(tmp_path), overrides=[override])


def test_an_entry_before_the_drop_is_over_needs_a_drop_that_has_begun(tmp_path: Path) -> None:
    path = write_events(tmp_path, [event_row("E", "2021-06-09")])
    overrides = ["windows.drop=[1,1]", "backtest.entry=close+1"]
    with pytest.raises(ConfigError, match="is decided at the close of day 0, before the drop window"):
        load_config(path, config_file=write_study(tmp_path), overrides=overrides)
    config = load_config(path, config_file=write_study(tmp_path), overrides=["backtest.entry=open+1"])
    assert rule_of(config).signal == (0, 0)


def test_overlapping_shocks_share_the_cap() -> None:
    tapes = random_tapes(1)
    shocks = random_shocks(tapes, 3, 120)
    result = run(LAX, tapes, shocks, cost_table(list(tapes)))
    first, last = int(tapes["XNYS"].sessions[0]), int(tapes["XNYS"].sessions[-1])
    series = daily(result, tapes, first, last)
    assert series.exposure.max() <= 1.0 + 1e-12
    assert series.exposure.max() > 0.9
    assert any("refusal.no_room" in d.refusal.codes for d in result.decisions)


def test_placebo_drops_are_traded_with_the_parents_peers() -> None:
    tapes = random_tapes(1)
    shocks = random_shocks(tapes, 3, 4)
    days = tapes["XNYS"].sessions[[400, 500]].tolist()
    name = shocks[0].shock_id
    found = placebo_shocks([(name, days[0]), (name, days[1]), (name, days[0]), ("?", 5)], shocks, tapes)
    assert [s.day0["XNYS"] for s in found] == [400, 500]
    assert [s.columns for s in found] == [shocks[0].columns] * 2
    result = evaluate(LAX, tapes, shocks, cost_table(list(tapes)), placebos=found, draws=99, seed=1)
    assert {d.shock_id for d in result.runs["placebo_drops"].decisions} == {
        s.shock_id for s in found if s.day0["XNYS"] >= shocks[0].day0["XNYS"]
    }
    assert [item.benchmark for item in result.against] == [EVERY_DROP, "placebo_drops", "zero"]


def test_placebo_drops_are_those_of_the_labels_that_the_rule_trades(tmp_path: Path) -> None:
    events = [
        event_row("E1", "2020-06-10T14:00Z", label="misreading", label_asof="2020-06-10T15:00Z"),
        event_row("E2", "2021-06-09T14:00Z", label="genuine", label_asof="2021-06-09T15:00Z"),
    ]
    path, study = write_events(tmp_path, events), write_study(tmp_path)
    gates = {
        gate: traded(path, "simulated", f"backtest.label_gate={gate}", "tests.draws=99", study=study)
        for gate in ("strict", "off")
    }
    shocks = gates["off"][1]
    matched = {
        (str(shock), int(day)) for k, shock in enumerate(shocks.drops.shock_id) for day in shocks.benchmarks.days(k)
    }
    assert {shock for shock, _ in matched} == {"E1", "E2"}
    for gate, asked in (("strict", {"E1"}), ("off", {"E1", "E2"})):
        pairs = comparable(shocks, gates[gate][0].evaluation.rule)
        assert set(pairs) == {pair for pair in matched if pair[0] in asked}
        decisions = gates[gate][0].evaluation.runs[PLACEBO].decisions
        assert {d.shock_id.partition("@")[0] for d in decisions} == asked


def test_with_controls_before_the_placebo_drops_were_over_when_the_drop_began(tmp_path: Path) -> None:
    events = [
        event_row("E1", "2019-06-12T14:00Z", label="misreading", label_asof="2019-06-12T15:00Z"),
        event_row("E2", "2021-06-09T14:00Z", label="misreading", label_asof="2021-06-09T15:00Z"),
    ]
    path, study = write_events(tmp_path, events), write_study(tmp_path)
    before, shocks = traded(path, "simulated", "reversal.controls=before", "tests.draws=99", study=study)
    pairs = comparable(shocks, before.evaluation.rule)
    assert {name for name, _ in pairs} == {"E1", "E2"}
    for k, name in enumerate(shocks.drops.shock_id.tolist()):
        pool, start = shocks.benchmarks.pools[k], shocks.drops.day0[k].astype(np.int64)
        ends = np.busday_offset(pool.day.astype("datetime64[D]"), 20, roll="forward").astype(np.int64)
        chosen = np.isin(pool.day, [day for of, day in pairs if of == name])
        assert chosen.sum() == sum(of == name for of, _ in pairs) >= 5
        assert (ends[chosen] < start).all()
    # The whole sample has later ones as well.
    assert (shocks.benchmarks.days(0) > shocks.drops.day0[0].astype(np.int64)).any()


@pytest.fixture(scope="module")
def real() -> tuple[Traded, Shocks]:
    if not SHARED.is_dir():
        pytest.skip("needs the daily prices beside the project")
    return traded(PROJECT / "events.csv", str(SHARED), "tests.draws=199")


def test_real_decisions_agree_with_the_study(real: tuple[Traded, Shocks]) -> None:
    found, shocks = real
    of = {str(name): k for k, name in enumerate(shocks.drops.shock_id)}
    delayed = shocks.portfolios.abnormal.panel
    compared = 0
    for decision in found.evaluation.runs[EVERY_DROP].decisions:
        k = of.get(decision.shock_id)
        if k is None or not np.isfinite(decision.car) or decision.n_peers != shocks.drops.n_peers[k]:
            continue
        mine = delayed.shock_id == decision.shock_id
        drop = delayed.event_flags[mine][:, (delayed.tau >= 0) & (delayed.tau <= 1)]
        if (drop & 96).any():
            continue  # The study waits for the unlock, the trade is decided at the close of +1.
        assert decision.car == pytest.approx(float(shocks.drops.drop[k]), abs=1e-12)
        assert decision.s == pytest.approx(float(shocks.drops.drop_s[k]), abs=1e-9)
        compared += 1
    assert compared >= 10


def test_real_trades_hold_the_rules(real: tuple[Traded, Shocks]) -> None:
    found, _ = real
    evaluation = found.evaluation
    series = evaluation.series[EVERY_DROP]
    filled = evaluation.runs[EVERY_DROP].filled
    assert len(filled) > 20
    assert series.net.sum() == pytest.approx(sum(trade.net for trade in filled), abs=1e-6)
    assert series.exposure.max() <= 1.0 + 1e-12
    for trade in filled:
        tape = found.tapes[trade.mic]
        assert tape.closes[trade.entry_row] > trade.decision.time
        assert trade.exit_row > trade.entry_row
        column = tape.tickers.index(trade.ticker)
        assert not tape.locked_up[trade.entry_row, column]
        level = tape.price[trade.exit_row, column] / tape.price[trade.entry_row, column]
        assert trade.gross == pytest.approx(trade.value * (level - 1.0), rel=1e-9)
        index = tape.index[trade.exit_row] / tape.index[trade.entry_row]
        short = -trade.order.beta * trade.value * (index - 1.0)
        assert trade.hedged - trade.gross == pytest.approx(short, rel=1e-9)
    assert f"{evaluation.records[RULE].n_trades} trade" in summarise(found)["sentence"] or (
        evaluation.records[RULE].n_trades == 0 and "No trades" in summarise(found)["sentence"]
    )


def mainland(folder: Path, *, later_dividend: bool = False, volume: int = 9_000_000, unit: str = "{}") -> Traded:
    """Three Shenzhen shares that fall a tenth on the event's day; 000001.SZ is limit-up when it is bought.

    A later dividend lowers every adjusted close before its ex-date and no traded one.
    """
    tickers = ("000001.SZ", "000002.SZ", "000063.SZ")
    write_prices(folder / "prices", tickers, mic="XSHE", end="2021-12-30")
    for ticker in tickers:
        path = folder / "prices" / f"{ticker}.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        previous, changed = 0.0, ["date,close,adj_close,volume"]
        for line in lines[1:]:
            day, close = line.split(",")[:2]
            price = round(float(close) * (0.9 if day >= "2021-06-10" else 1.0), 2)
            if (ticker, day) == ("000001.SZ", "2021-06-15"):
                price = round(previous * 1.1, 2)
            factor = 0.99 if day < "2020-06-01" else 1.0
            factor *= 0.97 if later_dividend and day < "2021-08-20" else 1.0
            changed.append(f"{day},{price!r},{price * factor!r},{volume}")
            previous = price
        path.write_text("\n".join([*changed, ""]), encoding="utf-8")
    study = write_study(folder, tickers)
    text = study.read_text(encoding="utf-8").replace('"XNYS"', '"XSHE"')
    text = text.replace('region = "US"', 'region = "CN"\nboard = "szse_main"')
    study.write_text(text, encoding="utf-8")
    event = event_row("E1", "2021-06-09T14:00Z", label="misreading", label_asof="2021-06-09T15:00Z")
    return traded(
        write_events(folder, [event]),
        str(folder / "prices"),
        "tests.draws=99",
        "study.currency=CNY",
        "backtest.stop=0.05",
        f"prices.volume_unit={unit}",
        study=study,
    )[0]


def test_no_capacity_where_the_unit_of_the_volume_is_in_doubt(tmp_path: Path) -> None:
    # Some 90,000 shares a day at about 100 yuan, quoted in lots: under ten million yuan as it stands.
    lots, said, shares = (
        mainland(tmp_path, volume=volume, unit=unit)
        for volume, unit in ((90_000, "{}"), (90_000, "{XSHE = 100}"), (9_000_000, "{}"))
    )
    told = summarise(lots)
    assert told["n_trades"] == 2
    assert told["capacity"] == told["comparison"][EVERY_DROP]["capacity"] == {}
    (why,) = told["capacity_withheld"].values()
    assert why.startswith("No capacity is given in CNY: the unit of volume or price is in doubt for 3 of th")
    assert why in told["caveats"]
    for row in rows(lots)["trades"]:
        assert np.isnan(row["capacity"])
        assert text(row["blocked"]).endswith("unit of volume or price in doubt: no capacity known")
    for words in map(catalogue, ("en", "zh")):
        strip = backtest_strip({"backtest": told}, words)
        assert ("", said_in(why, words)) in strip
        assert words["backtest.capacity"] not in [name for name, _ in strip]
    for found in (said, shares):
        clear = summarise(found)
        assert clear["capacity_withheld"] == {}
        assert clear["capacity"]["CNY"] == pytest.approx(summarise(shares)["capacity"]["CNY"])
        assert np.isfinite([row["capacity"] for row in rows(found)["trades"]]).all()


def test_a_dividend_after_the_trade_changes_neither_limits_nor_orders(tmp_path: Path) -> None:
    (tmp_path / "then").mkdir()
    (tmp_path / "later").mkdir()
    then = mainland(tmp_path / "then", later_dividend=False)
    later = mainland(tmp_path / "later", later_dividend=True)
    one, other = rows(then)["trades"], rows(later)["trades"]
    assert [text(row["blocked"]).partition(" on ")[0] for row in one] == ["no fill: limit-up at the close", "", ""]
    assert "2021-06-16" <= one[1]["exit_session"] <= "2021-07-09"
    for a, b in zip(one, other, strict=True):
        words = [name for name, value in a.items() if isinstance(value, str)]
        assert [a[name] for name in words] == [b[name] for name in words]
        assert (a["entry_price"], a["value"]) == pytest.approx((b["entry_price"], b["value"]), nan_ok=True)
        assert a["net"] == pytest.approx(b["net"], abs=1e-9, nan_ok=True)
    locked = then.tapes["XSHE"].locked_up
    np.testing.assert_array_equal(locked, later.tapes["XSHE"].locked_up)
    assert locked.any()
