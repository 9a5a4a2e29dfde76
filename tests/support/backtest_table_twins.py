"""Every numeric column of the tables of the backtest once more, trade by trade, see `table_twins`."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import contract_world as plan
import numpy as np
from contract_world import CAPITAL, DROP, MARKETS, PEERS, Shock
from numpy.typing import NDArray
from reversal_table_twins import Reversal, qualifies, reversal_of
from scipy import special, stats
from table_twins import NAN, Book, Columns, Fit, Floats, Portfolio, stack, usable

PER_SHOCK, GROSS_CAP, CAPACITY_SHARE, ADV_DAYS, EMBARGO = 0.5, 1.0, 0.05, 20, 5
#: Calendar days after which a quote of a rate is none.
FX_STALE_DAYS = 7
BPS = (0.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0)
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One specification: entry, last event day, and whether labels count."""

    at: str = "close"
    day: int = 2
    horizon: int = 20
    strict: bool = True

    @property
    def signal(self) -> tuple[int, int]:
        return DROP[0], min(DROP[1], self.day - 1)


@dataclass(frozen=True, kw_only=True)
class Met:
    """A shock as the rule meets it: an event's or a placebo's."""

    name: str
    label: str
    asof: float
    known: float
    day0: dict[str, int]
    tickers: tuple[str, ...]
    answers: tuple[Shock, ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(kw_only=True)
class Trade:
    """One filled order: legs by session in the exchange's currency and in dollars."""

    shock: str
    ticker: str
    entry: int
    exit: int
    value: float
    rate_in: float
    rate_out: float
    beta: float
    room: float
    left: int
    entry_price: float
    exit_price: float
    local: dict[str, Floats]
    base: dict[str, Floats]

    @property
    def mic(self) -> str:
        return PEERS[self.ticker]


def total(legs: dict[str, Floats], part: str) -> float:
    hedged = float(legs["gross"].sum() + legs["hedge"].sum())
    cost = float(legs["cost"].sum() + legs["hedge_cost"].sum())
    return {"gross": float(legs["gross"].sum()), "hedged": hedged, "cost": cost, "net": hedged - cost}[part]


@dataclass(kw_only=True)
class Decided:
    """What was made of one shock."""

    met: Met
    time: int
    car: float
    s: float
    share: float
    n: int
    qualifies: bool
    n_orders: int = 0


@dataclass(kw_only=True)
class Run:
    """All decisions and trades of one run."""

    decided: list[Decided] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)

    def shocks(self) -> list[str]:
        return list(dict.fromkeys(t.shock for t in self.trades))


class Backtest:
    """The study's rule and the runs beside it."""

    def __init__(self, book: Book) -> None:
        self.book, self.world, self.study = book, book.world, book.study
        self.found: Reversal = reversal_of(book)
        self.met = [self._of_event(book.study.leads[name]) for name in self._in_file_order()]
        first = [min(self.world.days[mic][row] for mic, row in met.day0.items()) for met in self.met]
        self.first, self.last = min(first), max(days[-1] for days in self.world.days.values())
        self.placebos = [p for p in self._placebos() if self._start(p) >= self.first]
        self.days = np.unique(np.concatenate(list(self.world.days.values())))
        self.days = self.days[(self.days >= self.first) & (self.days <= self.last)]
        own = Rule()
        self.rules = [own]
        for (at, day), horizon in itertools.product(
            (("close", 2), ("open", 2), ("close", 1), ("open", 1)), (5, 10, 20)
        ):
            rule = Rule(at=at, day=day, horizon=horizon)
            if rule != own:
                self.rules.append(rule)
        self.runs = {
            "rule": self.run([own] * len(self.met), self.met),
            "every_drop": self.run([Rule(strict=False)] * len(self.met), self.met),
            "placebo_drops": self.run([Rule(strict=False)] * len(self.placebos), self.placebos),
        }
        self.tried = {
            "rule": [self.run([rule] * len(self.met), self.met) for rule in self.rules],
            "every_drop": [self.run([_open(rule)] * len(self.met), self.met) for rule in self.rules],
        }
        self.runs["walk_forward"] = self._walk_forward()

    def _in_file_order(self) -> list[str]:
        return list(dict.fromkeys(s.shock_id for s in self.world.shocks if s.label != "clarification"))

    def _start(self, met: Met) -> np.datetime64:
        return min(self.world.days[mic][row] for mic, row in met.day0.items())

    def _of_event(self, lead: Shock) -> Met:
        answers = tuple(s for s in self.world.shocks if s.clarifies == lead.event_id)
        return Met(
            name=lead.shock_id,
            label=lead.label,
            asof=_seconds(lead.asof) if lead.asof else math.inf,
            known=_seconds(lead.moment),
            day0={mic: self.world.at(mic, day) for mic, day in lead.day0.items()},
            tickers=lead.tickers or tuple(PEERS),
            answers=answers,
        )

    def _placebos(self) -> list[Met]:
        """Dates of the placebo drops of misread drops, each traded once."""
        found: dict[str, Met] = {}
        for name in self.found.names:
            if self.found.lead[name].label != "misreading" or not self.found.qualifies[name]:
                continue
            for day in self.found.matched[name]:
                rows = {mic: int(np.searchsorted(self.world.days[mic], np.datetime64(day))) for mic in MARKETS}
                met = Met(
                    name=f"{name}@{day}",
                    label=f"placebo of {name}",
                    asof=math.inf,
                    known=-math.inf,
                    day0=rows,
                    tickers=self.found.lead[name].tickers or tuple(PEERS),
                )
                found.setdefault(day, met)
        return [found[day] for day in sorted(found)]

    # --- one rule over shocks

    def run(self, rules: Sequence[Rule], shocks: Sequence[Met]) -> Run:
        made = Run()
        timed = [(self.time(rule, met), met, rule) for rule, met in zip(rules, shocks, strict=True)]
        for time, met, rule in sorted(timed, key=lambda item: (item[0], item[1].name)):
            decided, orders = self.decide(rule, met)
            busy = sum(t.value * (1 + abs(t.beta)) for t in made.trades if t.left > time) / CAPITAL
            room = min(PER_SHOCK, GROSS_CAP - busy)
            made.decided.append(decided)
            if room <= 1e-12:
                continue
            decided.n_orders = len(orders)
            whole = sum(1 + abs(f.theta[1]) for f in orders)
            made.trades += [self.trade(rule, met, f, room / whole, time) for f in orders]
        return made

    def time(self, rule: Rule, met: Met) -> int:
        """The last close of the signal window."""
        homes = {PEERS[ticker] for ticker in met.tickers}
        return max(int(self.world.closes[mic][met.day0[mic] + rule.signal[1]]) for mic in homes)

    def decide(self, rule: Rule, met: Met) -> tuple[Decided, list[Fit]]:
        time = self.time(rule, met)
        p = self.portfolio(met)
        car, window = p.car(rule.signal), rule.signal
        good = qualifies(p, window)
        decided = Decided(
            met=met,
            time=time,
            car=car,
            s=p.s(window),
            share=p.share_negative(window),
            n=p.count(window),
            qualifies=good,
        )
        known = met.known * 1e9 <= time
        labelled = not rule.strict or (met.label == "misreading" and met.asof * 1e9 <= time)
        if not (good and known and labelled):
            return decided, []
        pairs = zip(p.firms, p.weights(window), p.cars(window), strict=True)
        return decided, [f for f, weight, own in pairs if weight > 0 and own < 0]

    @functools.cache  # noqa: B019 - lives as long as the test
    def portfolio(self, met: Met) -> Portfolio:
        fits = [self.study.fit(ticker, met.day0[PEERS[ticker]]) for ticker in met.tickers]
        return Portfolio([f for f in fits if f.n >= 40])

    @functools.cache  # noqa: B019 - lives as long as the test
    def fx(self, mic: str) -> Floats:
        """Dollars for one unit of an exchange's currency, as quoted on a day before each session."""
        if MARKETS[mic][2] == "USD":
            return np.ones(len(self.world.days[mic]))
        rates = np.full(len(self.world.days[mic]), NAN)
        for row, opened in enumerate(self.world.opens[mic].tolist()):
            today = np.datetime64(dt.datetime.fromtimestamp(opened / 1e9, dt.UTC).date())
            before = np.flatnonzero(self.world.fx_day < today)
            if len(before) and today - self.world.fx_day[before[-1]] <= np.timedelta64(FX_STALE_DAYS, "D"):
                rates[row] = 1 / self.world.fx[before[-1]]
        return rates

    def trade(self, rule: Rule, met: Met, f: Fit, weight: float, time: int) -> Trade:
        world, mic = self.world, f.mic
        struck = world.opens[mic] if rule.at == "open" else world.closes[mic]
        seen = int((world.closes[mic] <= time).sum())
        daily = world.price[f.ticker] * world.volume[f.ticker]
        adv = float(daily[max(seen - ADV_DAYS, 0) : seen].mean())
        entry = max(f.position + rule.day, seen)
        while struck[entry] <= time:
            entry += 1
        end = max(f.position + rule.horizon, entry + 1)
        for answer in met.answers:
            row = world.at(mic, answer.day0[mic]) + 1
            if _seconds(answer.moment) * 1e9 > struck[entry] and entry < row < end:
                end = row
        end = self._sold(f, end)
        rate = float(self.fx(mic)[entry])
        limit = CAPACITY_SHARE * adv
        value = min(weight * CAPITAL, limit * rate)
        money, price = value / rate, world.price[f.ticker]
        start = world.opening[f.ticker][entry] if rule.at == "open" else price[entry]
        levels = self._carried(f.ticker, entry, end) / start
        index = world.price[MARKETS[mic][1]][entry : end + 1] / world.price[MARKETS[mic][1]][entry]
        sigma = float(np.nanstd(usable(f, world), ddof=1))
        cost, hedge_cost = np.zeros(len(levels)), np.zeros(len(levels))
        cost[0] += money * _share(mic, "buy", money, adv, sigma, at_open=rule.at == "open")
        cost[-1] += money * levels[-1] * _share(mic, "sell", money * levels[-1], adv, sigma, at_open=False)
        beta = float(f.theta[1])
        side = abs(beta) * plan.HEDGE_BPS / 1e4 * money
        hedge_cost[0] += side
        hedge_cost[-1] += side * index[-1]
        local = {
            "gross": np.diff(levels, prepend=1.0) * money,
            "hedge": -beta * np.diff(index, prepend=1.0) * money,
            "cost": cost,
            "hedge_cost": hedge_cost,
        }
        rates = self.fx(mic)[entry : end + 1]
        base = {name: part * rates for name, part in local.items()}
        # The money in the share gains and loses with the currency too.
        base["gross"] = np.diff(np.concatenate([[rates[0]], levels * rates])) * money
        return Trade(
            shock=met.name,
            ticker=f.ticker,
            entry=entry,
            exit=end,
            value=value,
            rate_in=rate,
            rate_out=float(rates[-1]),
            beta=beta,
            room=limit / weight,
            left=int(world.closes[mic][end]),
            entry_price=float(start),
            exit_price=float(price[end]),
            local=local,
            base=base,
        )

    def _sold(self, f: Fit, row: int) -> int:
        """First session from ``row`` on with a trade and no lock, else the last there is."""
        locked = {self.world.at(f.mic, day) for day in self.world.locked.get(f.ticker, ())}
        while row < len(self.world.days[f.mic]):
            if self.world.volume[f.ticker][row] > 0 and row not in locked:
                return row
            row += 1
        return len(self.world.days[f.mic]) - 1

    def _carried(self, ticker: str, entry: int, end: int) -> Floats:
        found, last = [], NAN
        for row in range(entry, end + 1):
            last = self.world.price[ticker][row] if self.world.volume[ticker][row] > 0 else last
            found.append(last)
        return np.array(found)

    # --- walk-forward

    def _walk_forward(self) -> Run:
        alone = [[self.run([rule], [met]) for rule in self.rules] for met in self.met]
        net = np.array([[sum(total(t.base, "net") for t in r.trades) / CAPITAL for r in row] for row in alone])
        ends = []
        for met, row in zip(self.met, alone, strict=True):
            homes = {PEERS[ticker] for ticker in met.tickers}
            last = {mic: met.day0[mic] + max(r.horizon for r in self.rules) + EMBARGO for mic in homes}
            if any(at >= len(self.world.days[mic]) for mic, at in last.items()):
                ends.append(math.inf)
                continue
            over = max(int(self.world.closes[mic][at]) for mic, at in last.items())
            ends.append(max([over, *(t.left for r in row for t in r.trades)]))
        chosen = []
        for met in self.met:
            soonest = min(self.time(rule, met) for rule in self.rules)
            known = [j for j, end in enumerate(ends) if end <= soonest]
            enough = sum(bool(net[j].any()) for j in known) >= 5
            chosen.append(self.rules[int(net[known].mean(axis=0).argmax())] if enough else self.rules[0])
        return self.run(chosen, self.met)

    # --- days

    def daily(self, run: Run, part: str) -> Floats:
        """A part of all legs by calendar day, in dollars."""
        series = np.zeros(len(self.days))
        for t in run.trades:
            for offset, amount in enumerate(t.base[part].tolist()):
                series[self._day(t, t.entry + offset)] += amount
        return series

    def _day(self, t: Trade, row: int) -> int:
        return int(np.searchsorted(self.days, self.world.days[t.mic][row]))

    def net(self, run: Run) -> Floats:
        costs = self.daily(run, "cost") + self.daily(run, "hedge_cost")
        return self.daily(run, "gross") + self.daily(run, "hedge") - costs


def _open(rule: Rule) -> Rule:
    return Rule(at=rule.at, day=rule.day, horizon=rule.horizon, strict=False)


def _seconds(moment: str) -> float:
    """A bare date is known when it is over everywhere."""
    if "T" in moment:
        return dt.datetime.fromisoformat(moment).timestamp()
    day = dt.datetime.fromisoformat(f"{moment}T00:00:00Z")
    return (day + dt.timedelta(days=1, hours=12)).timestamp()


def _share(mic: str, side: str, order: float, adv: float, sigma: float, *, at_open: bool) -> float:
    rows = [(name, bps) for home, name, which, bps, _ in plan.FEES if home == mic and which in (side, "both")]
    fees = sum(bps for name, bps in rows if name != "half_spread")
    spread = sum(bps for name, bps in rows if name == "half_spread")
    slip = spread / 1e4 + plan.IMPACT * sigma * math.sqrt(order / adv)
    return fees / 1e4 + slip * (2 if at_open else 1)


_KEPT: dict[int, Backtest] = {}


def backtest_of(book: Book) -> Backtest:
    if id(book.study) not in _KEPT:
        _KEPT[id(book.study)] = Backtest(book)
    return _KEPT[id(book.study)]


PARTS = ("gross", "hedged", "cost", "net")


def _trade_row(t: Trade) -> Row:
    money = t.value / t.rate_in
    path = np.cumsum(t.local["gross"] + t.local["hedge"])
    return {
        "entry_price": t.entry_price,
        "exit_price": t.exit_price,
        "value": money,
        "beta": t.beta,
        **{part: total(t.local, part) / money for part in PARTS},
        "adverse_excursion": min(path.min(), 0.0) / money,
        "capacity": t.room,
        "rate_in": t.rate_in,
        "rate_out": t.rate_out,
        "value_base": t.value,
        **{f"{part}_base": total(t.base, part) / t.value for part in PARTS},
    }


def trades(book: Book) -> Columns:
    made = {(t.shock, t.ticker): t for t in backtest_of(book).runs["rule"].trades}
    assert len(made) == len(book.tables["trades"])
    return stack(_checked(book, made[row.shock_id, row.ticker], row) for row in book.rows("trades"))


def comparison_trades(book: Book) -> Columns:
    runs = backtest_of(book).runs
    made = {(run, t.shock, t.ticker): t for run in ("every_drop", "placebo_drops") for t in runs[run].trades}
    assert len(made) == len(book.tables["comparison_trades"])
    rows = book.rows("comparison_trades")
    return stack(_checked(book, made[row.run, row.shock_id, row.ticker], row) for row in rows)


def _checked(book: Book, t: Trade, row: Any) -> Row:
    """The numbers of a trade, whose days are checked as well."""
    days = book.world.days[t.mic]
    assert (row.entry_session, row.exit_session) == (str(days[t.entry]), str(days[t.exit])), row
    return _trade_row(t)


def _below(level: Any) -> list[float]:
    return [float(value - max(0.0, *level[: at + 1])) for at, value in enumerate(level)]


def pnl(book: Book) -> Columns:
    made = backtest_of(book)
    run = made.runs["rule"]
    positions, exposure = np.zeros(len(made.days)), np.zeros(len(made.days))
    for t in run.trades:
        inside = slice(made._day(t, t.entry), made._day(t, t.exit) + 1)
        positions[inside] += 1
        exposure[inside] += t.value * (1 + abs(t.beta)) / CAPITAL
    columns: Columns = {
        "gross": made.daily(run, "gross"),
        "hedge": made.daily(run, "hedge"),
        "cost": made.daily(run, "cost") + made.daily(run, "hedge_cost"),
        "net": made.net(run),
        "equity": CAPITAL + np.cumsum(made.net(run)),
        "drawdown": [min(0.0, value) for value in _below(np.cumsum(made.net(run)) / CAPITAL)],
        "n_positions": positions,
        "gross_exposure": exposure,
    }
    for name in ("every_drop", "placebo_drops"):
        columns[f"{name}_net"] = made.net(made.runs[name])
        columns[f"{name}_equity"] = CAPITAL + np.cumsum(made.net(made.runs[name]))
    assert book.tables["pnl"]["date"].tolist() == [str(day) for day in made.days]
    return columns


def backtest(book: Book) -> Columns:
    made, rows = backtest_of(book), []
    decided = {
        (name, item.met.name): item for name, run in made.runs.items() if name != "walk_forward" for item in run.decided
    }
    for row in book.rows("backtest"):
        item = decided[row.run, row.shock_id]
        mine = [t for t in made.runs[row.run].trades if t.shock == row.shock_id]
        value = sum(t.value for t in mine)
        local = sum(total(t.local, "net") / (t.value / t.rate_in) * t.value for t in mine)
        post = made.found.post.get(row.shock_id, NAN)
        net_local = local / value if mine else NAN
        rows.append(
            {
                "car_signal": item.car,
                "s_signal": item.s,
                "share_negative": item.share,
                "n_peers": item.n,
                "qualifies": item.qualifies,
                "n_orders": item.n_orders,
                "n_filled": len(mine),
                "value": value,
                **{part: sum(total(t.base, part) for t in mine) / value if mine else NAN for part in PARTS},
                "car_post": post,
                "gap": net_local - post,
                "net_local": net_local,
            }
        )
    return stack(rows)


def _ratio(returns: Floats) -> float:
    return float(returns.mean() / returns.std(ddof=1)) if returns.std() > 0 else NAN


def _per_trade(run: Run, part: str = "net") -> float:
    return float(np.mean([total(t.base, part) / t.value for t in run.trades])) if run.trades else NAN


def specifications(book: Book) -> Columns:
    made = backtest_of(book)
    rows: dict[tuple[str, str, int], Row] = {}
    for name, runs in made.tried.items():
        for place, (rule, run) in enumerate(zip(made.rules, runs, strict=True)):
            net = made.net(run)
            rows[name, f"{rule.at}+{rule.day}", rule.horizon] = {
                "horizon": rule.horizon,
                "n_trades": len(run.trades),
                "n_shocks": len(run.shocks()),
                "net_per_trade": _per_trade(run),
                "net_total": net.sum() / CAPITAL,
                "sharpe": _ratio(net / CAPITAL) * math.sqrt(252),
                "own": place == 0,
            }
    return stack(rows[row.run, row.entry, row.horizon] for row in book.rows("specifications"))


def cost_sensitivity(book: Book) -> Columns:
    made, rows = backtest_of(book), []
    for name in dict.fromkeys(book.tables["cost_sensitivity"]["run"]):
        run = made.runs[name]
        hedge_cost = made.daily(run, "hedge_cost")
        free = made.daily(run, "gross") + made.daily(run, "hedge") - hedge_cost
        for bps in BPS:
            net = free.copy()
            for t in run.trades:
                for row in (t.entry, t.exit):
                    net[made._day(t, row)] -= t.value * bps / 1e4
            earned = [(total(t.base, "hedged") - t.base["hedge_cost"].sum()) / t.value for t in run.trades]
            rows.append(
                {
                    "cost_bps": bps,
                    "net_per_trade": np.mean(earned) - 2 * bps / 1e4,
                    "net_total": net.sum(),
                    "sharpe": _ratio(net / CAPITAL) * math.sqrt(252),
                }
            )
    return stack(rows)


def track_record(book: Book) -> Columns:
    made = backtest_of(book)
    ratios = {name: [_ratio(made.net(run) / CAPITAL) for run in runs] for name, runs in made.tried.items()}
    rows = []
    for row in book.rows("track_record"):
        of = "rule" if row.run in ("rule", "walk_forward") else "every_drop"
        rows.append(_record(made, made.runs[row.run], ratios[of]))
    return stack(rows)


def _record(made: Backtest, run: Run, ratios: Sequence[float]) -> Row:
    names = run.shocks()
    grouped = [[t for t in run.trades if t.shock == name] for name in names]
    profit = [sum(total(t.base, "net") for t in mine) for mine in grouped]
    share = [[total(t.base, "net") / t.value for t in mine] for mine in grouped]
    n, hits = len(names), sum(p > 0 for p in profit)
    wilson = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    gains, losses = sum(p for p in profit if p > 0), -sum(p for p in profit if p < 0)
    returns = made.net(run) / CAPITAL
    days, ratio = len(returns), _ratio(returns)
    skew, kurtosis = float(stats.skew(returns)), float(stats.kurtosis(returns, fisher=False))
    held = np.array([t.exit - t.entry for t in run.trades], dtype=float)
    low, high = _shock_interval(share)
    (ratio_low, ratio_high), (fall_low, fall_high) = _moving_intervals(returns, n)
    earned = [(total(t.base, "hedged") - t.base["hedge_cost"].sum()) / t.value for t in run.trades]
    deepest = [np.cumsum(t.local["gross"] + t.local["hedge"]).min() * t.rate_in / t.value for t in run.trades]
    spread = math.sqrt(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2)
    best = _expected_best(float(np.var(ratios, ddof=1)), len(ratios))
    return {
        "n_decided": len(run.decided),
        "n_trades": len(run.trades),
        "n_shocks": n,
        "n_blocked": 0,
        "net_per_trade": _per_trade(run),
        "net_lower": low,
        "net_upper": high,
        "net_per_shock": np.mean([p / sum(t.value for t in mine) for p, mine in zip(profit, grouped, strict=True)]),
        "gross_per_trade": _per_trade(run, "gross"),
        "hedged_per_trade": _per_trade(run, "hedged"),
        "cost_per_trade": _per_trade(run, "cost"),
        "hits": hits,
        "hit_rate": hits / n,
        "hit_lower": wilson.low,
        "hit_upper": wilson.high,
        "hit_rate_trades": np.mean([total(t.base, "net") > 0 for t in run.trades]),
        "profit_factor": gains / losses,
        "adverse_excursion": np.mean([min(value, 0.0) for value in deepest]),
        "sharpe": ratio * math.sqrt(252),
        "sharpe_lower": ratio_low,
        "sharpe_upper": ratio_high,
        "sharpe_lo": ratio * _lo_factor(returns, math.ceil(held.mean())),
        "sharpe_se": math.sqrt((1 + ratio**2 / 2) / days * 252),
        "psr": stats.norm.cdf(ratio * math.sqrt(days - 1) / spread),
        "dsr": stats.norm.cdf((ratio - best) * math.sqrt(days - 1) / spread),
        "n_trials": len(ratios),
        "min_track_record_days": 1 + (spread * stats.norm.ppf(0.95) / ratio) ** 2 if ratio > 0 else math.inf,
        "n_days": days,
        "max_drawdown": _drawdown(returns),
        "drawdown_lower": fall_low,
        "drawdown_upper": fall_high,
        "break_even_bps": np.mean(earned) / 2 * 1e4,
        "days_held": held.mean(),
    }


def _shock_interval(share: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Whole shocks drawn; the draws are given."""
    if len(share) < 6:
        return NAN, NAN
    rows = np.random.default_rng(plan.SEED).integers(0, len(share), (plan.DRAWS, len(share)))
    means = [np.mean([value for i in row for value in share[i]]) for row in rows.tolist()]
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def _moving_intervals(returns: Floats, n_shocks: int) -> list[tuple[float, float]]:
    """Stationary bootstrap of the days with the block length of `arch`; the draws are given."""
    if n_shocks < 6:
        return [(NAN, NAN)] * 2
    from arch.bootstrap import optimal_block_length

    block = max(float(optimal_block_length(returns)["stationary"].iloc[0]), 1.0)
    rng, n = np.random.default_rng(plan.SEED), len(returns)
    jump = rng.random((plan.DRAWS, n)) < 1 / block
    starts = rng.integers(n, size=(plan.DRAWS, n))
    at: NDArray[np.int64] = starts[:, 0]
    resampled = np.empty((plan.DRAWS, n))
    for day in range(n):
        at = np.where(jump[:, day] | (day == 0), starts[:, day], (at + 1) % n)
        resampled[:, day] = returns[at]
    found = []
    for measure in (lambda x: _ratio(x) * math.sqrt(252), _drawdown):
        values = np.array([measure(row) for row in resampled])
        values = values[np.isfinite(values)]
        found.append((float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))))
    return found


def _drawdown(returns: Floats) -> float:
    level = np.concatenate([[0.0], np.cumsum(returns)])
    return float((level - np.maximum.accumulate(level)).min())


def _lo_factor(returns: Floats, lags: int) -> float:
    centred = returns - returns.mean()
    rho = [float((centred[k:] * centred[:-k]).sum() / (centred**2).sum()) for k in range(1, lags + 1)]
    return 252 / math.sqrt(252 + 2 * sum((252 - k) * r for k, r in enumerate(rho, 1)))


def _expected_best(variance: float, trials: int) -> float:
    euler = -float(special.digamma(1))
    first, second = stats.norm.ppf(1 - 1 / trials), stats.norm.ppf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * float((1 - euler) * first + euler * second)
