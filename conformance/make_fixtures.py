"""Make conformance/fixtures: simulated returns, and what an event study has to say of them.

``python conformance/make_fixtures.py`` writes every fixture anew, ``… FOLDER`` into another folder. All numbers
come from seeds. What is expected is computed by loops over plain numbers, written from the papers
(tests/support/twins.py and model_twins.py), or by a library (library_models.py); the package under test computes
none of it.
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import json
import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum, sqrt
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests" / "support"), str(HERE)]

import library_models  # noqa: E402
import model_twins  # noqa: E402
import twins  # noqa: E402

#: Days from Monday to Friday on which the New York Stock Exchange was closed.
CLOSED = (
    "2021-01-01 2021-01-18 2021-02-15 2021-04-02 2021-05-31 2021-07-05 2021-09-06 2021-11-25 2021-12-24 2022-01-17 "
    "2022-02-21 2022-04-15 2022-05-30 2022-06-20 2022-07-04 2022-09-05 2022-11-24 2022-12-26 2023-01-02 2023-01-16 "
    "2023-02-20 2023-04-07 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-11-23 2023-12-25 2024-01-01 2024-01-15 "
    "2024-02-19 2024-03-29 2024-05-27 2024-06-19 2024-07-04 2024-09-02 2024-11-28 2024-12-25"
).split()
ESTIMATION = (-110, -11)
TICKERS = ("ABLE", "BOND", "CORK", "DALE", "EDGE", "FIRN", "GALE", "HALL", "IRIS", "JADE", "KNOT", "LARK")
TESTS = (
    "cross_sectional_t skewness_t bhar_t patell bmp portfolio_t date_t ibragimov_mueller sign_flip corrado "
    "corrado_zivney grank_t grank_z wilcoxon sign generalized_sign calendar_time"
).split()
Window = tuple[int, int]


def sessions(first: str, count: int) -> list[str]:
    """Return days on which the exchange was open, from ``first`` on."""
    day, days = dt.date.fromisoformat(first), []
    while len(days) < count:
        if day.weekday() < 5 and day.isoformat() not in CLOSED:
            days.append(day.isoformat())
        day += dt.timedelta(days=1)
    return days


@dataclass(frozen=True)
class Event:
    """One row of events.csv, and the position of its day 0 among the sessions."""

    event_id: str
    ticker: str
    date: str
    day0: int


@dataclass(frozen=True, kw_only=True)
class Fixture:
    """Inputs of one fixture. ``returns`` are simple, in ``unit``; ``prices`` stand in for them where given."""

    name: str
    catches: str
    days: list[str]
    returns: dict[str, list[float]]
    market: list[float]
    events: list[Event]
    prices: dict[str, list[float]] = field(default_factory=dict)
    windows: tuple[Window, ...] = ((0, 0), (-2, 2))
    event: Window = (-5, 5)
    tests: tuple[str, ...] = ()
    singles: tuple[str, ...] = ("car",)
    model: Mapping[str, Any] = field(default_factory=lambda: {"name": "market"})
    factors: dict[str, list[float]] = field(default_factory=dict)
    world: list[float] = field(default_factory=list)
    kind: str = "simple"
    unit: str = "decimal"


@dataclass(frozen=True)
class Panel:
    """Windows of N firm-events as plain arrays, with the names that the twins read."""

    event_id: list[str]
    shock_id: list[str]
    region: list[str]
    lead: list[bool]
    tau: np.ndarray
    estimation_returns: np.ndarray
    estimation_factors: np.ndarray
    estimation_sessions: np.ndarray
    event_returns: np.ndarray
    event_factors: np.ndarray
    event_sessions: np.ndarray

    def __len__(self) -> int:
        return len(self.event_id)


def panel(made: Fixture) -> Panel:
    """Cut each event's windows, one day after the other."""
    before, around = range(ESTIMATION[0], ESTIMATION[1] + 1), range(made.event[0], made.event[1] + 1)

    def cut(series: Sequence[Sequence[float]], days: range) -> np.ndarray:
        return np.array([[s[e.day0 + d] for d in days] for s, e in zip(series, made.events, strict=True)], dtype=float)

    ids = [e.event_id for e in made.events]
    firms = [made.returns[e.ticker] for e in made.events]
    index, positions = [made.market] * len(ids), [range(len(made.days))] * len(ids)
    return Panel(
        ids,
        ids,
        ["US"] * len(ids),
        [True] * len(ids),
        np.array(around),
        cut(firms, before),
        cut(index, before)[:, :, None],
        cut(positions, before).astype(int),
        cut(firms, around),
        cut(index, around)[:, :, None],
        cut(positions, around).astype(int),
    )


def simulate(
    seed: int, tickers: Sequence[str], count: int, *, rho: float = 0.0, fat: bool = False
) -> tuple[dict[str, list[float]], list[float]]:
    """Return simple returns of the tickers and of the index, rounded to five decimals.

    ``rho`` is the correlation of the residuals; the index is autocorrelated a little, so that the betas of
    Scholes-Williams and of Dimson are not that of the market model.
    """
    rng = np.random.default_rng(seed)
    shock = rng.normal(0.0004, 0.011, count)
    market = shock + 0.15 * np.concatenate([[0.0], shock[:-1]])
    common = rng.normal(size=count)
    found = {}
    for ticker in tickers:
        own = rng.standard_t(5, count) * sqrt(3 / 5) if fat else rng.normal(size=count)
        noise = rng.uniform(0.012, 0.024) * (sqrt(rho) * common + sqrt(1 - rho) * own)
        late = np.concatenate([[0.0], market[:-1]])
        moved = rng.uniform(-0.0004, 0.0006) + rng.uniform(0.6, 1.4) * market + rng.uniform(0, 0.4) * late + noise
        found[ticker] = [round(float(r), 5) for r in moved]
    return found, [round(float(r), 5) for r in market]


def with_changing_variance(seeds: Sequence[int], market: Sequence[float]) -> dict[str, list[float]]:
    """Return simple returns whose residuals are GARCH(1,1) with Student's t errors, a seed a firm."""
    found = {}
    for ticker, seed in zip(TICKERS, seeds, strict=False):
        rng = np.random.default_rng(seed)
        h, error, row = 1.5e-4, 0.0, []
        for m in market:
            h = 0.3e-4 + 0.3 * error**2 + 0.5 * h
            error = sqrt(h * 5 / 7) * float(rng.standard_t(7))
            row.append(round(0.0003 + 1.1 * m + error, 5))
        found[ticker] = row
    return found


def common_events(days: list[str], tickers: Sequence[str], day0: int) -> list[Event]:
    """One event of each ticker, all on one day."""
    return [Event(f"E{i:02d}", t, days[day0], day0) for i, t in enumerate(tickers, 1)]


def spread_events(days: list[str], tickers: Sequence[str], first: int, step: int) -> list[Event]:
    """One event of each ticker, ``step`` sessions apart."""
    return [Event(f"E{i + 1:02d}", t, days[first + i * step], first + i * step) for i, t in enumerate(tickers)]


def moved(returns: dict[str, list[float]], events: Sequence[Event], by: Mapping[int, Sequence[float]]) -> None:
    """Add ``by[tau]``, one number for each event in turn, to the returns around the events."""
    for i, e in enumerate(events):
        for tau, sizes in by.items():
            row = returns[e.ticker]
            row[e.day0 + tau] = round(row[e.day0 + tau] + sizes[i % len(sizes)], 5)


#: Tolerance, as a share of the number, of models whose fits stop near the optimum.
FITTED = {"garch": 1e-4, "egarch": 1e-4}
#: For these all starts of arch that converge end at one optimum, within the bounds of the parameters.
VARIANCE_SEEDS = (3, 4, 7, 14)
EFFECT = {0: (-0.05, -0.02, 0.01, -0.03, -0.06, 0.02, -0.01), 1: (-0.01, 0.02, -0.02), 2: (0.01, 0.0)}


def plain(
    name: str, catches: str, seed: int, *, n: int = 6, start: str = "2021-06-01", apart: int = 0, **options: Any
) -> Fixture:
    """A fixture of ``n`` firms, each with one event: on one date, or ``apart`` sessions from each other."""
    simulated = {key: options.pop(key) for key in ("rho", "fat") if key in options}
    count = 118 + 13 + apart * (n - 1)
    days, tickers = sessions(start, count), TICKERS[:n]
    returns, market = simulate(seed, tickers, count, **simulated)
    events = spread_events(days, tickers, 118, apart) if apart else common_events(days, tickers, 118)
    moved(returns, events, EFFECT)
    return Fixture(name=name, catches=catches, days=days, returns=returns, market=market, events=events, **options)


def with_prices(
    made: Fixture, absent: Sequence[tuple[str, int]] = (), changed: Mapping[str, Any] | None = None
) -> Fixture:
    """The same as prices of four decimals; ``absent`` (ticker or "MKT", position) have no price that day.

    A return needs the price of its own and of the session before: a missing price takes two returns.
    """
    prices = {}
    for ticker, row in {**made.returns, "MKT": made.market}.items():
        level, path = 100.0, []
        for r in row:
            level *= 1 + r
            path.append(round(level, 4))
        for day, price in (changed or {}).get(ticker, {}).items():
            path[day] = price
        prices[ticker] = [math.nan if (ticker, day) in absent else p for day, p in enumerate(path)]
    returns = {}
    for ticker, path in prices.items():
        change = [b / a for a, b in itertools.pairwise(path)]
        returns[ticker] = [math.nan, *(math.log(c) if made.kind == "log" else c - 1 for c in change)]
    market = returns.pop("MKT")
    return replace(made, returns=returns, market=market, prices=prices)


def model_fixtures() -> list[Fixture]:
    """One for every model that returns, an index and a file of factors can state."""
    names = ("market", "market_adjusted", "mean_adjusted", "raw", "scholes_williams", "dimson")
    base = plain("", "", 11, n=4, apart=7, singles=("car", "car_se"))
    made = [replace(base, name=f"model_{n}", model={"name": n}, catches=MODELS[n]) for n in names]
    rng = np.random.default_rng(12)
    rf = [round(float(r), 6) for r in 0.00008 + 0.00004 * rng.random(len(base.days))]
    smb, hml = ([round(float(r), 5) for r in rng.normal(0, 0.005, len(base.days))] for _ in range(2))
    factors = {"Mkt-RF": [round(m - f, 6) for m, f in zip(base.market, rf, strict=True)]}
    factors |= {"SMB": smb, "HML": hml, "RF": rf}
    tilted = {
        t: [round(r + b * s + c * h, 5) for r, s, h in zip(row, smb, hml, strict=True)]
        for (t, row), b, c in zip(base.returns.items(), (0.5, -0.3, 0.8, 0.1), (0.2, 0.6, -0.5, -0.1), strict=True)
    }
    world = [
        round(0.5 * r + float(e), 5) for r, e in zip(base.market, rng.normal(0, 0.008, len(base.days)), strict=True)
    ]
    others = {"two_index": {"world": "WORLD"}, "leave_one_out": {}, "rolling": {"span": 60}}
    made += [replace(base, name=f"model_{n}", model={"name": n, **o}, catches=MODELS[n]) for n, o in others.items()]
    made[-3] = replace(made[-3], world=world)
    wild = with_changing_variance(VARIANCE_SEEDS, base.market)
    moved(wild, base.events, EFFECT)
    for name in ("garch", "egarch"):
        made.append(replace(base, name=f"model_{name}", model={"name": name}, catches=MODELS[name], returns=wild))
    made[-1] = replace(made[-1], singles=("car",))
    for name in ("market_robust", "synthetic_peer"):
        made.append(replace(base, name=f"model_{name}", model={"name": name}, catches=MODELS[name]))
    for name in ("capm", "factors"):
        made.append(
            replace(
                base, name=f"model_{name}", model={"name": name}, catches=MODELS[name], factors=factors, returns=tilted
            )
        )
    return made


MODELS = {
    "market": "the market model; standard errors include the estimation error and use n - 2 degrees of freedom",
    "market_adjusted": "the return minus that of the index; only the variance is estimated",
    "mean_adjusted": "the mean return of the estimation window",
    "raw": "the expected return is zero",
    "scholes_williams": "betas for non-synchronous trading (Scholes and Williams 1977)",
    "dimson": "betas summed over one lag, the day and one lead (Dimson 1979)",
    "two_index": "a local and a world index (Park 2004)",
    "leave_one_out": "a regression on the mean return of the other firms",
    "rolling": "the market model over the last 60 sessions of the estimation window",
    "garch": "GARCH(1,1) errors, Student t (Bollerslev 1987); the right numbers come from the library arch",
    "egarch": "EGARCH(1,1,1) errors, Student t (Nelson 1991); the right numbers come from the library arch",
    "market_robust": "Huber's M-estimator; the right numbers come from RLM in statsmodels",
    "synthetic_peer": "the weighted mean of other firms that tracked the firm best (Abadie and others 2010)",
    "capm": "returns in excess of the risk-free rate",
    "factors": "three factors (Fama and French 1993)",
}


def defect_fixtures() -> list[Fixture]:
    """One for each defect that was seen in some package."""
    made = [
        plain("event_on_sunday", "day 0 of an event on a Sunday is the next session, Monday", 21, n=3),
        plain(
            "event_on_holiday",
            "day 0 of an event on a day without trading is the next session",
            22,
            n=3,
            start="2021-06-10",
        ),
        plain(
            "window_of_7",
            "event windows that are 7 sessions long",
            23,
            n=8,
            event=(-3, 3),
            windows=((-3, 3), (0, 0)),
            tests=("cross_sectional_t", "bmp", "bmp_kp"),
            rho=0.2,
        ),
        plain(
            "returns_in_percent",
            "returns times 100: no statistic and no correlation may change",
            24,
            n=8,
            rho=0.3,
            tests=("cross_sectional_t", "patell", "bmp", "bmp_kp", "patell_kp", "corrado"),
        ),
        plain(
            "late_dates",
            "events of 2024; the built-in calendar of event-study-toolkit ends in July 2023",
            25,
            n=3,
            start="2023-11-01",
        ),
        plain(
            "mean_and_crash",
            "a crash on day 0 must not enter the variance of the constant-mean model",
            26,
            n=3,
            model={"name": "mean_adjusted"},
            singles=("car", "car_se"),
        ),
    ]
    made[0] = replace(made[0], events=[replace(e, date=shifted(e.date, -1)) for e in monday(made[0])])
    made[1] = replace(made[1], events=[replace(e, date=shifted(e.date, -1)) for e in made[1].events])
    percent = made[3]
    grown = {t: [round(100 * r, 3) for r in row] for t, row in percent.returns.items()}
    made[3] = replace(percent, unit="percent", returns=grown, market=[round(100 * r, 3) for r in percent.market])
    for e in made[5].events:
        made[5].returns[e.ticker][e.day0] = -0.37
    return [*made, *repeated(), *missing(), *of_prices()]


def shifted(day: str, by: int) -> str:
    """The calendar day ``by`` days later."""
    return (dt.date.fromisoformat(day) + dt.timedelta(days=by)).isoformat()


def monday(made: Fixture) -> list[Event]:
    """The events on the first Monday from their day on; the effect stays where it is."""
    first = next(
        d for d in range(made.events[0].day0 - 4, len(made.days)) if dt.date.fromisoformat(made.days[d]).weekday() == 0
    )
    return [replace(e, date=made.days[first], day0=first) for e in made.events]


def repeated() -> list[Fixture]:
    """A firm that comes back, an event that stands twice, names in another order, dates that overlap."""
    base = plain(
        "firm_recurs",
        "a firm with three events: each has its own estimation window and its own ranks",
        31,
        n=4,
        apart=12,
        tests=("cross_sectional_t", "patell", "bmp", "corrado", "generalized_sign"),
    )
    tickers = ("ABLE", "BOND", "ABLE", "ABLE")
    recurs = replace(base, events=[replace(e, ticker=t) for e, t in zip(base.events, tickers, strict=True)])
    twice = plain(
        "row_twice", "a row that occurs twice is one event", 32, n=5, tests=("cross_sectional_t", "patell", "sign")
    )
    order = plain(
        "names_permuted",
        "the firms of tests_common_date under other names, in another order",
        42,
        n=8,
        rho=0.3,
        windows=((0, 0), (-1, 1)),
        tests=COMMON,
    )
    renamed = dict(zip(TICKERS, ("ZINC", "YARN", "XYST", "WREN", "VALE", "URNS", "TEAL", "SAGE"), strict=False))
    order = replace(
        order,
        returns={renamed[t]: order.returns[t] for t in reversed(order.returns)},
        events=[replace(e, ticker=renamed[e.ticker]) for e in reversed(order.events)],
    )
    overlap = plain(
        "dates_overlap",
        "windows of neighbouring dates share sessions, so the dates are not independent",
        33,
        n=8,
        apart=4,
        windows=((0, 0), (-2, 3)),
        tests=("date_t", "ibragimov_mueller", "cross_sectional_t"),
    )
    return [recurs, twice, order, overlap]


def missing() -> list[Fixture]:
    """Days without a price: of a firm, of a whole event, of the index."""
    tests = ("cross_sectional_t", "patell", "bmp", "sign", "generalized_sign")
    varies = plain(
        "n_varies",
        "two firms have no price on day +2, so N differs from day to day",
        51,
        n=7,
        windows=((0, 1), (2, 2), (4, 5)),
        tests=tests,
    )
    lost = plain(
        "event_without_data",
        "one event has no return in its window; this must not count as a return of zero",
        52,
        n=6,
        tests=tests,
    )
    index = plain(
        "index_missing",
        "the index has no price on some days on which the firms have one; the regression uses only days with both",
        53,
        n=4,
        singles=("car", "car_se"),
        tests=("patell",),
    )
    gone = [(t, varies.events[0].day0 + 2) for t in ("ABLE", "DALE")]
    day0 = lost.events[0].day0
    return [
        with_prices(varies, gone),
        with_prices(lost, [("CORK", day) for day in range(day0 - 6, day0 + 7)]),
        with_prices(index, [("MKT", index.events[0].day0 + day) for day in (-80, -47, -46, -20)]),
    ]


def of_prices() -> list[Fixture]:
    """Simple and log returns made of prices."""
    simple = plain(
        "price_falls_and_returns",
        "100, 63, 100 are returns of -37 % and +58.7 %",
        61,
        n=2,
        windows=((0, 0), (1, 1), (-2, 2)),
    )
    day0 = simple.events[0].day0
    path = {t: {day0 - 1: 100.0, day0: 63.0, day0 + 1: 100.0} for t in simple.returns}
    logs = plain("log_returns", "log returns of prices", 62, n=3, kind="log", singles=("car", "car_se"))
    return [with_prices(simple, changed=path), with_prices(logs)]


COMMON = ("patell_kp", "bmp_kp", "cross_sectional_t", "patell", "bmp", "portfolio_t", "corrado", "sign")


def test_fixtures() -> list[Fixture]:
    """Every test, on dates that differ; those for one common date on it."""
    windows: tuple[Window, ...] = ((0, 0), (-1, 1))
    even = (*windows, (-5, 4))
    held = plain(
        "buy_and_hold",
        "buy-and-hold abnormal returns are products over the window, and are not summed",
        43,
        n=8,
        windows=((0, 0), (-2, 2), (-5, 5)),
        singles=("car", "bhar"),
        tests=("bhar_t",),
    )
    differ = plain(
        "tests_dates_differ",
        "every test on twelve dates whose windows share no session",
        41,
        n=12,
        apart=12,
        windows=windows,
        tests=tuple(TESTS),
        fat=True,
    )
    common = plain(
        "tests_common_date",
        "tests of eight firms on one date, whose residuals are correlated",
        42,
        n=8,
        rho=0.3,
        windows=even,
        tests=COMMON,
    )
    double = plain(
        "shock_doubled",
        "day 0 of tests_common_date moves twice as far: the statistic of Brown and Warner too",
        42,
        n=8,
        rho=0.3,
        windows=((0, 0),),
        tests=("portfolio_t",),
    )
    doubled = twins.Group(panel(common), (0, 0), last_alpha_day=None, weighting="equal", seed=1, draws=1)
    for e, f in zip(double.events, doubled.firms, strict=True):
        double.returns[e.ticker][e.day0] = round(double.returns[e.ticker][e.day0] + f.ar[5], 8)
    return [differ, common, double, held]


def fixtures() -> list[Fixture]:
    """Return all of them."""
    return [*model_fixtures(), *test_fixtures(), *defect_fixtures()]


def model_twin(made: Fixture, e: Event) -> model_twins.Twin:
    """The expected return of one event's days under the fixture's model."""
    before = slice(e.day0 + ESTIMATION[0], e.day0 + ESTIMATION[1] + 1)
    around = slice(e.day0 + made.event[0], e.day0 + made.event[1] + 1)
    y, m = np.array(made.returns[e.ticker]), np.array(made.market)
    lag, lead = np.concatenate([[np.nan], m[:-1]]), np.concatenate([m[1:], [np.nan]])
    lead[e.day0 + ESTIMATION[1]] = np.nan  # nothing after the estimation window is used
    length = made.event[1] - made.event[0] + 1
    name = made.model["name"]
    if name in ("capm", "factors"):
        columns = [np.array(made.factors[c]) for c in ("Mkt-RF", "SMB", "HML")[: 1 if name == "capm" else 3]]
        rf = np.array(made.factors["RF"])
        inside = [c[before] for c in columns], [c[around] for c in columns]
        return model_twins.excess(y[before], rf[before], *inside, rf[around])
    world = np.array(made.world or made.market)
    if name in ("garch", "egarch"):
        gap = made.event[0] - ESTIMATION[1] - 1
        return library_models.by_arch(y[before], m[before], m[around], name.upper(), gap)
    donors = np.array([row for ticker, row in made.returns.items() if ticker != e.ticker]).T
    others = np.mean([row for ticker, row in made.returns.items() if ticker != e.ticker], axis=0)
    last = slice(e.day0 + ESTIMATION[1] + 1 - made.model.get("span", 0), before.stop)
    return {
        "two_index": lambda: model_twins.two_index(y[before], m[before], world[before], (m[around], world[around])),
        "leave_one_out": lambda: model_twins.ols(y[before], [others[before]], [others[around]]),
        "rolling": lambda: model_twins.ols(y[last], [m[last]], [m[around]]),
        "market_robust": lambda: library_models.huber(y[before], m[before], m[around]),
        "synthetic_peer": lambda: library_models.synthetic(y[before], donors[before], donors[around]),
        "market": lambda: model_twins.ols(y[before], [m[before]], [m[around]]),
        "market_adjusted": lambda: model_twins.market_adjusted(y[before], m[before], m[around]),
        "mean_adjusted": lambda: model_twins.mean_adjusted(y[before], length),
        "raw": lambda: model_twins.raw(y[before], length),
        "scholes_williams": lambda: model_twins.scholes_williams(
            y[before], lag[before], m[before], lead[before], m[around]
        ),
        "dimson": lambda: model_twins.dimson(y[before], [lag[before], m[before], lead[before]], m[before], m[around]),
    }[name]()


def without_risk_free(made: Fixture, window: Window, row: Mapping[str, Any]) -> float | None:
    """CAR of a regression of the return itself on the factors, the risk-free rate not taken off."""
    if not made.factors:
        return None
    plain_return = replace(made, factors={**made.factors, "RF": [0.0] * len(made.days)})
    cars = []
    for e in made.events:
        fit = model_twin(plain_return, e)
        days = range(window[0] - made.event[0], window[1] - made.event[0] + 1)
        car = fsum(made.returns[e.ticker][e.day0 + made.event[0] + d] - fit.mean[d] for d in days)
        if row.get("event_id") == e.event_id:
            return car
        cars.append(car)
    return fsum(cars) / len(cars)


def of_the_window(made: Fixture, window: Window, _: Mapping[str, Any]) -> float | None:
    """CAAR over the mean standard deviation, with the mean correlation of the event window's abnormal returns."""
    group = twins.Group(panel(made), window, last_alpha_day=None, weighting="equal", seed=1, draws=1)
    rows = [[f.ar[d] for d in group.inside] for f in group.firms]
    if len(group.inside) < 5:
        return None
    sd = fsum(twins.mean_and_sd(list(f.residual.values()))[1] for f in group.firms) / group.n
    r = (float(np.corrcoef(rows).sum()) - group.n) / (group.n * (group.n - 1))
    return fsum(group.car) / group.n / (sd * sqrt(group.width / group.n)) / sqrt(1 + (group.n - 1) * r)


def of_the_window_p(made: Fixture, window: Window, row: Mapping[str, Any]) -> float | None:
    """Its p-value, with as many degrees of freedom as estimation days less firms."""
    value = of_the_window(made, window, row)
    days = ESTIMATION[1] - ESTIMATION[0] + 1
    outcome = None if value is None else twins.by_t(value, len(made.events) * (days - 1))
    return outcome[1] if outcome else None


#: What another definition of a quantity gives, by its name; a package may document it.
OTHERS: dict[str, dict[str, Callable[[Fixture, Window, Mapping[str, Any]], float | None]]] = {
    "car": {"return not in excess of the risk-free rate": without_risk_free},
    "caar": {"return not in excess of the risk-free rate": without_risk_free},
    "bmp_kp": {"correlation of the event window's abnormal returns": of_the_window},
    "bmp_kp_p": {"correlation of the event window's abnormal returns": of_the_window_p},
}


def expected(made: Fixture) -> list[dict[str, Any]]:
    """Return every number that is asked, one mapping each."""
    found: list[dict[str, Any]] = []

    def add(quantity: str, window: Window, value: float, **names: Any) -> None:
        share = FITTED.get(made.model["name"], 1e-6)
        tolerance = float(f"{max(share / 1000, share * abs(value)):.1g}")
        found.append({"quantity": quantity, **names, "window": list(window), "value": value, "tolerance": tolerance})
        other = {name: of(made, window, found[-1]) for name, of in OTHERS.get(quantity, {}).items()}
        if any(value is not None for value in other.values()):
            found[-1]["other"] = {name: value for name, value in other.items() if value is not None}

    cars: dict[Window, list[float]] = {window: [] for window in made.windows}
    for e in made.events:
        fit = model_twin(made, e)
        real = made.returns[e.ticker][e.day0 + made.event[0] : e.day0 + made.event[1] + 1]
        for window in made.windows:
            weights = np.array([float(window[0] <= d <= window[1]) for d in range(made.event[0], made.event[1] + 1)])
            car = fsum(r - x for r, x, w in zip(real, fit.mean, weights, strict=True) if w)
            if not math.isfinite(car):
                continue
            cars[window].append(car)
            named = {"event_id": e.event_id, "ticker": e.ticker}
            values = {"car": car, "car_se": sqrt(fit.variance(weights)) if "car_se" in made.singles else math.nan}
            if "bhar" in made.singles:
                days = [d for d, w in enumerate(weights) if w]
                values["bhar"] = math.prod(1 + real[d] for d in days) - math.prod(1 + fit.mean[d] for d in days)
            for quantity in made.singles:
                add(quantity, window, values[quantity], **named)
    for window, values in cars.items():
        add("n", window, len(values))
        add("caar", window, fsum(values) / len(values))
    for window in made.windows if made.tests else ():
        group = twins.Group(panel(made), window, last_alpha_day=None, weighting="equal", seed=1, draws=1)
        for test in made.tests:
            outcome = twins.TWINS[test](group)
            if outcome is not None:
                add(test, window, outcome[0])
                add(test + "_p", window, outcome[1])
    return found


def write(made: Fixture, folder: Path) -> None:
    """Write one fixture's files."""
    folder.mkdir(parents=True)
    series = "prices" if made.prices else "returns"
    columns = dict(made.prices or made.returns)
    market = columns.pop("MKT", made.market)
    table(folder / f"{series}.csv", {"date": made.days, **columns})
    world = {"WORLD": made.world} if made.world else {}
    table(folder / "market.csv", {"date": made.days, "MKT": market, **world})
    if made.factors:
        table(folder / "factors.csv", {"date": made.days, **made.factors})
    events = [*made.events, made.events[1]] if made.name == "row_twice" else made.events
    table(folder / "events.csv", {key: [getattr(e, key) for e in events] for key in ("event_id", "ticker", "date")})
    study = {
        "catches": made.catches,
        "model": made.model,
        "estimation": ESTIMATION,
        "event": made.event,
        "windows": made.windows,
        "input": series,
        "returns": made.kind,
        "unit": made.unit,
        "asked": list(dict.fromkeys(row["quantity"] for row in expected(made))),
    }
    (folder / "study.json").write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")
    lines = ",\n".join(json.dumps(row) for row in expected(made))
    (folder / "expected.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns as CSV; NaN is an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            out.writerow("" if cell != cell else cell for cell in row)


def main(target: Path) -> None:
    """Write all fixtures into ``target``, which they are the whole content of."""
    shutil.rmtree(target, ignore_errors=True)
    for made in fixtures():
        write(made, target / made.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "fixtures")
