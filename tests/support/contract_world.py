"""A small study of two exchanges made of arrays, for the contract of the tables.

Four peers, two on each exchange, over ten years from a seed. Of its shocks seven are misread drops
labelled in time, three genuine drops (in one of them a Chinese peer is locked at its limit), one is a drop
inside the post window of another, one was labelled late, one is no drop; one has a clarification. One peer
is halted for two sessions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from studies import event_row, write_events

from eventstudy.exchanges.calendars import exchange_sessions, sessions

Floats = NDArray[np.float64]
SEED, DRAWS = 11, 99
#: Board of each exchange's peers: its price limit is what locks one of them.
MARKETS = {"XNYS": ("US", "IDX", "USD", "us"), "XSHE": ("CN", "399001.SZ", "CNY", "szse_main")}
PEERS = {"AAA": "XNYS", "BBB": "XNYS", "000001.SZ": "XSHE", "000002.SZ": "XSHE"}
EXPOSURE = {"AAA": 1.0, "BBB": 0.5, "000001.SZ": 0.9, "000002.SZ": 0.3}
ESTIMATION, EVENT, DROP, POST = (-70, -11), (-10, 20), (0, 1), (2, 20)
WINDOWS = ((0, 1), (2, 10), (2, 20))
#: Fees by market: name, side, basis points, first day.
FEES = (
    ("XNYS", "commission", "both", 1.0, None),
    ("XNYS", "half_spread", "both", 4.0, None),
    ("XNYS", "section_31", "sell", 0.3, None),
    ("XSHE", "commission", "both", 2.5, None),
    ("XSHE", "half_spread", "both", 6.0, None),
    ("XSHE", "stamp_duty", "sell", 10.0, None),
    ("XSHE", "transfer", "both", 0.2, None),
)
IMPACT, HEDGE_BPS, CAPITAL = 0.1, 2.0, 1_000_000.0
RULE = {"drop_k": 1.0, "drop_min": 0.015, "share_negative": 0.6}


@dataclass(kw_only=True)
class Shock:
    """One shock as it was written: what it is called, its label, and day 0 on each exchange."""

    shock_id: str
    event_id: str
    label: str
    day0: dict[str, str]
    moment: str
    asof: str = ""
    kind: str = "report"
    tickers: tuple[str, ...] = ()
    dimension: str = ""
    clarifies: str = ""
    precision: str = "minute"
    drop: bool = True


@dataclass(kw_only=True, eq=False)
class World:
    """Arrays by exchange and ticker, all on the exchange's own sessions, and the shocks."""

    days: dict[str, NDArray[np.datetime64]] = field(default_factory=dict)
    closes: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    opens: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    price: dict[str, Floats] = field(default_factory=dict)
    opening: dict[str, Floats] = field(default_factory=dict)
    volume: dict[str, Floats] = field(default_factory=dict)
    fx_day: NDArray[np.datetime64] = field(default_factory=lambda: np.zeros(0, "datetime64[D]"))
    fx: Floats = field(default_factory=lambda: np.zeros(0))
    locked: dict[str, set[str]] = field(default_factory=dict)
    shocks: list[Shock] = field(default_factory=list)

    def at(self, mic: str, day: str) -> int:
        """Row of a session that there is."""
        row = int(np.searchsorted(self.days[mic], np.datetime64(day)))
        assert str(self.days[mic][row]) == day, f"{mic} was closed on {day}"
        return row


#: Within what the study asks for, so that all of it is used.
FIRST, LAST = "2010-10-20", "2020-09-18"
#: A peer without trade, and one whose price stands still, so many sessions before day 0 of M3.
HALTED, STILL = ("AAA", (40, 39)), ("BBB", 30)


def make_world() -> World:
    """Draw prices and plan the shocks."""
    world, rng = World(), np.random.default_rng(SEED)
    calendar = np.arange(np.datetime64(FIRST), np.datetime64(LAST) + 1)
    sector = dict(zip(calendar.tolist(), rng.standard_t(5, len(calendar)) * 0.007, strict=True))
    for mic in MARKETS:
        days = sessions(mic, dt.date.fromisoformat(FIRST), dt.date.fromisoformat(LAST))
        table = exchange_sessions(mic)
        rows = np.searchsorted(table.days, days.astype(table.days.dtype))
        world.days[mic] = days.astype("datetime64[D]")
        world.opens[mic], world.closes[mic] = table.opens[rows], table.closes[rows]
    world.shocks = _plan(world)
    for mic, (_, index, _, _) in MARKETS.items():
        market = rng.standard_t(5, len(world.days[mic])) * 0.007
        world.price[index] = 1000.0 * np.cumprod(1.0 + market)
        world.volume[index] = np.full(len(market), 1e9)
        world.opening[index] = world.price[index]
        for number, ticker in enumerate(name for name, home in PEERS.items() if home == mic):
            own = rng.standard_t(5, len(market)) * 0.009
            shared = np.array([sector[day] for day in world.days[mic].tolist()])
            returns = 0.0003 + (0.8 + 0.3 * number) * market + shared + own
            # Nobody moves beyond the limit of the stricter board.
            returns = np.clip(returns, -0.08, 0.08)
            _plant(world, mic, ticker, returns, rng)
            _price(world, mic, ticker, returns, rng)
    world.fx_day = calendar[np.is_busday(calendar)]
    world.fx = 6.6 * np.exp(np.cumsum(rng.normal(0, 0.002, len(world.fx_day))))
    return world


def _plan(world: World) -> list[Shock]:
    """Shocks 200 common sessions apart, before the open of both exchanges, so on one day 0."""
    both = np.intersect1d(world.days["XNYS"], world.days["XSHE"])
    names = [f"M{number}" for number in range(1, 8)]
    plan = [*(("misreading", name) for name in names), ("genuine", "G1"), ("genuine", "G2")]
    plan += [("genuine", "G3"), ("misreading", "LATE"), ("unknown", "FLAT")]
    order = (0, 7, 1, 2, 8, 3, 4, 9, 5, 10, 6, 11)
    shocks = []
    for place, which in enumerate(order):
        label, name = plan[which]
        day = both[78 + 200 * place]
        shocks.append(_shock(name, label, str(day)))
        if name == "M1":
            later = both[np.searchsorted(both, day) + 8]
            shocks.append(_shock("OVER", "misreading", str(later)))
    by_name = {shock.shock_id: shock for shock in shocks}
    by_name["LATE"].asof = "2022-06-01T00:00:00Z"
    by_name["FLAT"].drop, by_name["FLAT"].asof = False, ""
    by_name["M2"].tickers = ("AAA", "000001.SZ", "000002.SZ")
    for number, shock in enumerate(shocks):
        shock.dimension = ("engineering", "cross_industry", "policy", "")[number % 4]
    return [*shocks, _clarification(world, by_name["M5"]), _weekend(by_name["FLAT"])]


def _shock(name: str, label: str, day: str) -> Shock:
    moment = f"{day}T00:30:00Z"
    return Shock(
        shock_id=name, event_id=f"{name}-R", label=label, day0=dict.fromkeys(MARKETS, day), moment=moment, asof=moment
    )


def _clarification(world: World, shock: Shock) -> Shock:
    """Six sessions after day 0 on either exchange, before its open."""
    days = {mic: str(world.days[mic][world.at(mic, day) + 6]) for mic, day in shock.day0.items()}
    first = min(days.values())
    # Known before the open of the earlier of both days; on the other one it is day 0 just so.
    at = {mic: str(world.days[mic][np.searchsorted(world.days[mic], np.datetime64(first))]) for mic in days}
    return Shock(
        shock_id=shock.shock_id,
        event_id=f"{shock.shock_id}-C",
        label="clarification",
        day0=at,
        moment=f"{first}T00:30:00Z",
        kind="clarification",
        clarifies=shock.event_id,
        drop=False,
    )


def _weekend(before: Shock) -> Shock:
    """A bare date on the Saturday some weeks after a shock: day 0 is the Monday, or later."""
    day = np.datetime64(before.day0["XNYS"]) + 45
    saturday = day + (5 - (day.astype(int) + 3) % 7) % 7
    days = {}
    for mic in MARKETS:
        grid = sessions(mic, saturday.item(), (saturday + 20).item())
        days[mic] = str(grid[0].astype("datetime64[D]"))
    return Shock(
        shock_id="QUIET",
        event_id="QUIET-R",
        label="unknown",
        day0=days,
        moment=str(saturday),
        precision="date",
        drop=False,
    )


def _plant(world: World, mic: str, ticker: str, returns: Floats, rng: np.random.Generator) -> None:
    """Make every peer fall on days 0 and 1 of a shock, and come back a little after it."""
    if ticker == STILL[0]:
        returns[_before_m3(world, mic) - STILL[1]] = 0.0
    for shock in world.shocks:
        if not shock.drop or (shock.tickers and ticker not in shock.tickers):
            continue
        row = world.at(mic, shock.day0[mic])
        returns[row] = -0.020 + rng.normal(0, 0.003)
        returns[row + 1] = -0.006 + rng.normal(0, 0.003)
        if shock.label == "misreading":
            returns[row + 2 : row + 21] += 0.001


def _price(world: World, mic: str, ticker: str, returns: Floats, rng: np.random.Generator) -> None:
    """Chain returns to prices; one Chinese peer is locked at its limit on the day of G1."""
    locked = next(shock for shock in world.shocks if shock.shock_id == "G1").day0[mic]
    price = np.empty(len(returns))
    level = 20.0
    for row, change in enumerate(returns.tolist()):
        before, level = level, level * (1.0 + change)
        if ticker == "000001.SZ" and row == world.at(mic, locked):
            # Ten per cent below the close before, in whole fen: half a fen rounds up.
            level = np.floor(before * 0.9 * 100 + 0.5) / 100
            world.locked[ticker] = {locked}
        if mic == "XSHE":
            level = round(level, 2)
        price[row] = level
    world.price[ticker] = price
    world.opening[ticker] = price * (1.0 + rng.normal(0, 0.002, len(price)))
    world.volume[ticker] = np.round(rng.uniform(2e6, 4e6, len(price)))
    if ticker == "000001.SZ":
        row = world.at(mic, locked)
        world.opening[ticker][row] = price[row]
    if ticker == HALTED[0]:
        for before in HALTED[1]:
            world.volume[ticker][_before_m3(world, mic) - before] = 0.0


def _before_m3(world: World, mic: str) -> int:
    return world.at(mic, next(shock for shock in world.shocks if shock.shock_id == "M3").day0[mic])


def write_world(world: World, folder: Path) -> tuple[Path, Path, Path]:
    """Write study, events, claims and prices; returns the events, the study and the folder of prices."""
    prices = folder / "prices"
    prices.mkdir()
    homes = {**PEERS, **{index: mic for mic, (_, index, _, _) in MARKETS.items()}}
    for ticker, mic in homes.items():
        _write_prices(world, ticker, mic, prices)
    rates = (f"{day},{rate!r},{rate!r}," for day, rate in zip(world.fx_day, world.fx.tolist(), strict=True))
    (prices / "USDCNY=X.csv").write_text("\n".join(["date,close,adj_close,volume", *rates, ""]))
    rows = [
        event_row(
            shock.event_id,
            shock.moment,
            precision=shock.precision,
            kind=shock.kind,
            label=shock.label,
            label_asof=shock.asof if shock.label in ("misreading", "genuine") else "",
            shock_id=shock.shock_id,
            clarifies=shock.clarifies,
            tickers=";".join(shock.tickers),
            dimension=shock.dimension,
        )
        for shock in world.shocks
    ]
    (folder / "claims.csv").write_text(_claims(world), encoding="utf-8")
    study = folder / "study.toml"
    study.write_text(_study(), encoding="utf-8")
    return write_events(folder, rows), study, prices


def _write_prices(world: World, ticker: str, mic: str, folder: Path) -> None:
    close, opening, volume = world.price[ticker], world.opening[ticker], world.volume[ticker]
    high, low = np.maximum(close, opening) * 1.001, np.minimum(close, opening) * 0.999
    for day in world.locked.get(ticker, ()):
        row = world.at(mic, day)
        high[row] = low[row] = close[row]
    columns = (opening.tolist(), high.tolist(), low.tolist(), close.tolist(), close.tolist(), volume.tolist())
    lines = ["date,open,high,low,close,adj_close,volume"]
    lines += [f"{day},{','.join(map(repr, row))}" for day, *row in zip(world.days[mic], *columns, strict=True)]
    (folder / f"{ticker}.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _claims(world: World) -> str:
    day = world.shocks[0].day0["XNYS"]
    later = str(world.days["XNYS"][world.at("XNYS", day) + 2])
    return "\n".join(
        [
            "claim_id,ticker,name,date,date_to,claimed,comparison,source,source_url,notes",
            f"C1,AAA,A,{day},{later},-2%,about,,,",
            f"C2,BBB,B,{day},{later},-12%,at_least,,,",
            f"C3,ZZZ,Z,{day},,-5%,at_least,,,",
            "",
        ]
    )


def _study() -> str:
    lines = ["[study]", 'name = "Contract"', 'currency = "USD"', f"seed = {SEED}"]
    for mic, (region, index, currency, board) in MARKETS.items():
        lines += ["[[markets]]", f'mic = "{mic}"', f'region = "{region}"', f'benchmark = "{index}"']
        lines += [f'currency = "{currency}"', f'board = "{board}"']
    for ticker, mic in PEERS.items():
        lines += ["[[peers]]", f'ticker = "{ticker}"', f'market = "{mic}"', f"exposure = {EXPOSURE[ticker]}"]
    for mic, name, side, bps, _ in FEES:
        lines += ["[[costs]]", f'market = "{mic}"', f'name = "{name}"', f'side = "{side}"', f"bps = {bps}"]
    lines += ["[windows]", f"estimation = {list(ESTIMATION)}", "minimum = 40", f"event = {list(EVENT)}"]
    lines += [f"drop = {list(DROP)}", f"post = {list(POST)}", f"car = {[list(w) for w in WINDOWS]}"]
    lines += ["[tests]", f"draws = {DRAWS}", 'regression = ["car ~ exposure + misreading"]']
    lines += ['group = ["region", "label"]', "[reversal]"]
    lines += [f"{name} = {value}" for name, value in RULE.items()]
    lines += ["[backtest]", f"impact = {IMPACT}", f"hedge_bps = {HEDGE_BPS}", f"capital = {CAPITAL}"]
    lines += ["[backtest.fx]", 'CNY = "USDCNY=X"', ""]
    return "\n".join(lines)
