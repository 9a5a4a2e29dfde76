"""Every numeric column of the study's tables once more, from the prices and the events alone.

Plain arrays and least squares; nothing here asks the package for a number. A twin gets the world and the
whole of the tables, reads from its own table only what a row is about (event, ticker, window, date …), and
returns every numeric column of it. Which placebo dates were chosen is read from the table: how they are
chosen is tested in tests/reversal/test_matching.py, what is said of them is computed here.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import contract_world as plan
import numpy as np
import pandas as pd
import twins
from contract_world import DROP, ESTIMATION, EVENT, MARKETS, PEERS, Shock, World
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Window = tuple[int, int]
Columns = dict[str, Sequence[Any] | NDArray[Any]]
NAN = math.nan
ZONES = {"XNYS": ZoneInfo("America/New_York"), "XSHE": ZoneInfo("Asia/Shanghai")}
TAU = range(EVENT[0], EVENT[1] + 1)
BEFORE = np.arange(ESTIMATION[0], ESTIMATION[1] + 1)
#: The intercept is carried to day +1.
ALPHA_TO = {"auto": 1, "estimated": 10**6, "zero": -(10**6)}


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One firm-event and its market model."""

    ticker: str
    mic: str
    position: int
    theta: Floats
    s2: float
    n: int
    inverse: Floats
    design: Floats
    residual: Floats
    returns: Floats
    index: Floats
    total: float
    kind: str = "simple"
    model: str = "market"

    def car(self, window: Window, *, alpha: str = "auto", late: int = 0) -> float:
        real = self._sum(self.returns, window, late)
        return float(real - self.star(window, alpha=alpha, late=late) @ self.theta)

    def real(self, j: int, late: int = 0) -> float:
        return self._sum(self.returns, (j, j), late)

    def market(self, j: int, late: int = 0) -> float:
        return self._sum(self.index, (j, j), late)

    def _sum(self, values: Floats, window: Window, late: int) -> float:
        """Sum over a window, NaN where a day is missing or lies beyond the data."""
        if late:
            return float(sum(_at(values, self.position + d) for j in _span(window) for d in moved(j, late)))
        start, stop = self.position + window[0], self.position + window[1] + 1
        return float(values[start:stop].sum()) if start >= 0 and stop <= len(values) else NAN

    def normal(self, j: int, alpha: str = "auto", late: int = 0) -> float:
        x = self.star((j, j), alpha=alpha, late=late)
        return float(x @ self.theta)

    def star(self, window: Window, *, alpha: str = "auto", late: int = 0) -> Floats:
        """Sum of the regressors over a window."""
        ones = sum(len(moved(j, late)) for j in _span(window) if j <= ALPHA_TO[alpha])
        return np.array([float(ones), self._sum(self.index, window, late)])

    def variance(self, window: Window) -> float:
        x = self.star(window)
        return self.s2 * (len(_span(window)) + float(x @ self.inverse @ x))

    def bhar(self, window: Window, *, alpha: str = "auto", late: int = 0) -> float:
        real = math.prod(1 + self.real(j, late) for j in _span(window))
        return real - math.prod(1 + self.normal(j, alpha, late) for j in _span(window))


def _span(window: Window) -> range:
    return range(window[0], window[1] + 1)


def _at(values: Floats, row: int) -> float:
    return float(values[row]) if 0 <= row < len(values) else NAN


def moved(j: int, late: int) -> list[int]:
    """Sessions that make up event day ``j`` where the drop lasted ``late`` sessions for a lock."""
    if not late or j < 0:
        return [j]
    return {0: list(range(late)), 1: [late]}.get(j, [j + late])


class Study:
    """The study's arrays, and portfolios of its peers at any day."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.returns = {ticker: self._returns(ticker) for ticker in world.price}
        self.excluded = {ticker: self._excluded(ticker) for ticker in PEERS}
        self.events = {shock.event_id: shock for shock in world.shocks}
        self.leads = {s.shock_id: s for s in world.shocks if s.label != "clarification"}

    def _returns(self, ticker: str) -> Floats:
        price = np.where(self.world.volume[ticker] > 0, self.world.price[ticker], np.nan)
        return np.append(np.nan, price[1:] / price[:-1] - 1.0)

    def _excluded(self, ticker: str) -> NDArray[np.bool_]:
        mic = PEERS[ticker]
        cut = np.zeros(len(self.world.days[mic]), dtype=bool)
        for shock in self.world.shocks:
            if not shock.tickers or ticker in shock.tickers:
                row = self.world.at(mic, shock.day0[mic])
                cut[max(row - 1, 0) : row + 3] = True
        for day in self.world.locked.get(ticker, ()):
            cut[self.world.at(mic, day)] = True
        return cut

    def locks(self, ticker: str, position: int) -> int:
        """Sessions by which the drop window is longer: to the first session without a lock."""
        rows = {self.world.at(PEERS[ticker], day) for day in self.world.locked.get(ticker, ())}
        inside = [j for j in _span(DROP) if position + j in rows]
        if not inside:
            return 0
        free = inside[-1]
        while position + free in rows:
            free += 1
        return free if free >= max(DROP[1], 1) else 0

    @functools.cache  # noqa: B019 - lives as long as the test
    def fit(self, ticker: str, position: int, kind: str = "simple", model: str = "market") -> Fit:
        """Fit by least squares on the complete days of the estimation window."""
        mic = PEERS[ticker]
        returns, index = self.returns[ticker], self.returns[MARKETS[mic][1]]
        if kind == "log":
            returns, index = np.log1p(returns), np.log1p(index)
        rows = position + BEFORE
        there = (rows >= 0) & ~self.excluded[ticker][np.maximum(rows, 0)]
        y = np.where(there, returns[np.maximum(rows, 0)], np.nan)
        x = np.where(rows >= 0, index[np.maximum(rows, 0)], np.nan)
        used = np.isfinite(y) & np.isfinite(x)
        design = np.column_stack([np.ones(len(rows)), np.where(used, x, 0.0)]) * used[:, None]
        if model == "market":
            theta = np.linalg.lstsq(design[used], y[used], rcond=None)[0]
        elif model == "market_adjusted":
            theta = np.array([0.0, 1.0])
        else:
            theta = np.array([y[np.isfinite(y)].mean(), 0.0])
        residual = np.where(used, y - theta[0] - theta[1] * x, np.nan)
        n = int(used.sum())
        return Fit(
            ticker=ticker,
            mic=mic,
            position=position,
            theta=theta,
            s2=float(np.nansum(residual**2)) / (n - 2) if n > 2 else NAN,
            n=n,
            inverse=np.linalg.inv(design.T @ design) if n > 2 else np.full((2, 2), NAN),
            design=design,
            residual=residual,
            returns=returns,
            index=index,
            total=float(((y[used] - y[used].mean()) ** 2).sum()) if n else NAN,
            kind=kind,
            model=model,
        )

    def firm(self, event_id: str, ticker: str) -> Fit:
        """The firm-event of an event of the file."""
        mic = PEERS[ticker]
        return self.fit(ticker, self.world.at(mic, self.events[event_id].day0[mic]))

    def members(self, shock: Shock) -> list[Fit]:
        return [self.firm(shock.event_id, ticker) for ticker in shock.tickers or tuple(PEERS)]

    def at_day(
        self, tickers: Iterable[str], day: np.datetime64, kind: str = "simple", model: str = "market"
    ) -> Portfolio:
        """The peers' portfolio at the first session of each on or after a day, as drops are measured."""
        found = []
        for ticker in tickers:
            mic = PEERS[ticker]
            position = int(np.searchsorted(self.world.days[mic], day))
            if position < len(self.world.days[mic]):
                fit = self.fit(ticker, position, kind, model)
                if fit.n >= 40:
                    found.append(fit)
        return Portfolio(found, [self.locks(f.ticker, f.position) for f in found])

    @functools.cache  # noqa: B019 - lives as long as the test
    def shock(self, shock_id: str, kind: str = "simple", model: str = "market") -> Portfolio:
        """The portfolio of a shock with its locked days put right."""
        lead = self.leads[shock_id]
        found = []
        for ticker in lead.tickers or tuple(PEERS):
            mic = PEERS[ticker]
            found.append(self.fit(ticker, self.world.at(mic, lead.day0[mic]), kind, model))
        return Portfolio(found, [self.locks(f.ticker, f.position) for f in found])

    @functools.cache  # noqa: B019 - lives as long as the test
    def placebo(self, shock_id: str, day: str, kind: str = "simple", model: str = "market") -> Portfolio:
        lead = self.leads[shock_id]
        tickers = sorted(lead.tickers or PEERS)
        return self.at_day(tickers, np.datetime64(day), kind, model)


class Portfolio:
    """One market-balanced portfolio of firm-events."""

    def __init__(self, firms: Sequence[Fit], late: Sequence[int] | None = None) -> None:
        self.firms = list(firms)
        self.late = list(late) if late is not None else [0] * len(self.firms)

    @functools.cache  # noqa: B019 - lives as long as the test
    def cars(self, window: Window, alpha: str = "auto") -> list[float]:
        return [f.car(window, alpha=alpha, late=u) for f, u in zip(self.firms, self.late, strict=True)]

    @functools.cache  # noqa: B019 - lives as long as the test
    def weights(self, window: Window) -> list[float]:
        there = [math.isfinite(value) for value in self.cars(window)]
        regions = [MARKETS[f.mic][0] if has else "" for f, has in zip(self.firms, there, strict=True)]
        count = len({name for name in regions if name})
        return [1 / regions.count(name) / count if name else 0.0 for name in regions]

    def mean(self, values: Sequence[float], window: Window) -> float:
        weight = self.weights(window)
        if not sum(weight):
            return NAN
        return math.fsum(w * v for w, v in zip(weight, values, strict=True) if w)

    def car(self, window: Window, alpha: str = "auto") -> float:
        return self.mean(self.cars(window, alpha), window)

    def bhar(self, window: Window) -> float:
        return self.mean([f.bhar(window, late=u) for f, u in zip(self.firms, self.late, strict=True)], window)

    def residual(self, window: Window) -> Floats:
        """Weighted mean residual by estimation day, NaN where no member has one."""
        weight = np.array(self.weights(window))
        errors = np.array([f.residual for f in self.firms])
        share = (weight[:, None] * np.isfinite(errors)).sum(axis=0)
        total = (weight[:, None] * np.nan_to_num(errors)).sum(axis=0)
        return np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan)

    def variance(self, window: Window) -> float:
        weight, error = self.weights(window), self.residual(window)
        own, lever = 0.0, np.zeros(len(BEFORE))
        for w, f, u in zip(weight, self.firms, self.late, strict=True):
            if not w:
                continue
            own += w * sum(len(moved(j, u)) for j in _span(window))
            lever += w * (f.design @ f.inverse @ f.star(window, late=u))
        days = int(np.isfinite(error).sum())
        return float(np.nansum(error**2) / (days - 2) * (own + (lever**2).sum()))

    def s(self, window: Window) -> float:
        return self.car(window) / math.sqrt(self.variance(window))

    def count(self, window: Window) -> int:
        return sum(w > 0 for w in self.weights(window))

    def share_negative(self, window: Window) -> float:
        pairs = zip(self.weights(window), self.cars(window), strict=True)
        fell = [car < 0 for w, car in pairs if w > 0]
        return sum(fell) / len(fell)

    def day(self, world: World) -> np.datetime64:
        """Earliest day 0 over the members."""
        return min(world.days[f.mic][f.position] for f in self.firms)

    def last(self, world: World, j: int) -> np.datetime64:
        """Latest session of event day ``j`` over the members."""
        pairs = zip(self.firms, self.late, strict=True)
        return max(world.days[f.mic][f.position + moved(j, u)[-1]] for f, u in pairs)

    def sessions(self, world: World, window: Window) -> list[int]:
        """Earliest session of each day of a window over the members, as days since 1970."""
        rows = [[int(world.days[f.mic][f.position + j].astype(int)) for f in self.firms] for j in _span(window)]
        return [min(days) for days in rows]

    def daily(self, values: Callable[[Fit, int, int], float], j: int, window: Window) -> float:
        """Weighted mean over members of something of event day ``j``, weights those of a window."""
        pairs = zip(self.weights(window), self.firms, self.late, strict=True)
        return math.fsum(w * values(f, j, u) for w, f, u in pairs if w)

    @functools.cache  # noqa: B019 - lives as long as the test
    def traits(self, world: World) -> dict[str, float]:
        """What placebos are matched on."""
        weight, error = np.array(self.weights(DROP)), self.residual(DROP)
        before = [j for j in TAU if j < DROP[0]]
        ar = np.array([[f.real(j) - f.normal(j) for j in before] for f in self.firms])
        past = np.array([[*usable(f, world), *(_at(f.returns, f.position + j) for j in before)] for f in self.firms])
        recent = np.concatenate([error, _mean(weight, ar)])[-20:]
        market = [sum(f.market(j, u) for j in _span(DROP)) for f, u in zip(self.firms, self.late, strict=True)]
        day = int(self.day(world).astype("datetime64[D]").astype(int))
        return {
            "s_drop": self.s(DROP),
            "vol_ratio": math.log(np.nanstd(recent, ddof=1) / np.nanstd(error, ddof=1)),
            "run_up": float(np.nansum(_mean(weight, past[:, -60:]))),
            "market_return": float(sum(w * m for w, m in zip(weight, market, strict=True) if w)),
            "year": day / 365.25,
        }


def usable(fit: Fit, world: World) -> Floats:
    """Returns of the estimation window, NaN where the fit left the day out for an event or a lock."""
    study = _STUDIES[id(world)]
    rows = fit.position + BEFORE
    there = (rows >= 0) & ~study.excluded[fit.ticker][np.maximum(rows, 0)]
    return np.where(there, fit.returns[np.maximum(rows, 0)], np.nan)


_STUDIES: dict[int, Study] = {}


def study_of(world: World) -> Study:
    return _STUDIES.setdefault(id(world), Study(world))


def _mean(weight: Floats, values: Floats) -> Floats:
    there = np.isfinite(values)
    share = (weight[:, None] * there).sum(axis=0)
    total = (weight[:, None] * np.where(there, values, 0.0)).sum(axis=0)
    return np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan)


def window_of(text: str) -> Window:
    first, last = text.strip("[]").split(",")
    return int(first), int(last)


@dataclass(frozen=True, kw_only=True, eq=False)
class Book:
    """What the twins work on: the arrays, and the tables for what their rows are about."""

    study: Study
    tables: Mapping[str, pd.DataFrame]

    @property
    def world(self) -> World:
        return self.study.world

    def rows(self, name: str) -> list[Any]:
        return list(self.tables[name].itertuples(index=False))


def stack(rows: Iterable[Mapping[str, Any]]) -> Columns:
    """Rows as columns."""
    listed = list(rows)
    return {name: [row[name] for row in listed] for name in (listed[0] if listed else ())}


# --- returns, fits, firm-events


def alignment(book: Book) -> Columns:
    rows = []
    for row in book.rows("alignment"):
        shock = book.study.events[row.event_id]
        told = np.datetime64(shock.moment[:10])
        if shock.precision != "date":
            # The day that it was at the exchange.
            moment = dt.datetime.fromisoformat(shock.moment).astimezone(ZONES[row.mic])
            told = np.datetime64(moment.date())
        rows.append({"days_after": int((np.datetime64(shock.day0[row.mic]) - told).astype(int))})
    return stack(rows)


def abnormal_returns(book: Book) -> Columns:
    rows = []
    places: dict[tuple[str, str], int] = {}
    for row in book.rows("abnormal_returns"):
        key = (row.event_id, row.ticker)
        tau = EVENT[0] + places.setdefault(key, 0)
        places[key] += 1
        f = book.study.firm(*key)
        assert row.session == str(book.world.days[f.mic][f.position + tau])
        ar = f.real(tau) - f.normal(tau)
        rows.append(
            {
                "tau": tau,
                "return": f.real(tau),
                "expected": f.normal(tau),
                "ar": ar,
                "sar": ar / math.sqrt(f.variance((tau, tau))),
            }
        )
    assert set(places.values()) == {len(TAU)}
    return stack(rows)


def estimation(book: Book) -> Columns:
    rows = []
    for row in book.rows("estimation"):
        f = book.study.firm(row.event_id, row.ticker)
        rows.append(
            {
                "alpha": f.theta[0],
                "beta": f.theta[1],
                "sigma": math.sqrt(f.s2),
                "n_estimation": f.n,
                "r_squared": 1 - np.nansum(f.residual**2) / f.total,
            }
        )
    return stack(rows)


def car(book: Book) -> Columns:
    rows = []
    for row in book.rows("car"):
        f, window = book.study.firm(row.event_id, row.ticker), window_of(row.window)
        value, se = f.car(window), math.sqrt(f.variance(window))
        rows.append(
            {
                "car": value,
                "se": se,
                "t": value / se,
                "p_value": 2 * stats.t.sf(abs(value / se), f.n - 2),
                "df": f.n - 2,
                "scar": value / se,
                "bhar": f.bhar(window),
            }
        )
    return stack(rows)


def diagnostics(book: Book) -> Columns:
    rows = []
    for row in book.rows("diagnostics"):
        f = book.study.firm(row.event_id, row.ticker)
        e = f.residual
        own = usable(f, book.world)
        rho = [_autocorrelation(e, lag) for lag in range(1, 6)]
        q = f.n * (f.n + 2) * sum(r**2 / pairs for r, pairs in rho)
        rows.append(
            {
                "n_estimation": f.n,
                "rho1": rho[0][0],
                "ljung_box_p": stats.chi2.sf(q, 5),
                "arch_p": _arch_p(e),
                "jarque_bera_p": float(stats.jarque_bera(e[np.isfinite(e)]).pvalue),
                "beta_shift_p": _beta_shift_p(own, f.index[f.position + BEFORE]),
                "zero_share": (own == 0).sum() / np.isfinite(own).sum(),
                "pre_trend_t": f.car((-10, -1)) / math.sqrt(f.variance((-10, -1))),
            }
        )
    return stack(rows)


def _autocorrelation(e: Floats, lag: int) -> tuple[float, int]:
    centred = e - np.nanmean(e)
    products = centred[lag:] * centred[:-lag]
    return float(np.nansum(products) / np.nansum(centred**2)), int(np.isfinite(products).sum())


def _arch_p(e: Floats, lags: int = 5) -> float:
    square = e**2
    design = np.column_stack([np.ones(len(e) - lags), *(square[lags - j : len(e) - j] for j in range(1, lags + 1))])
    now = square[lags:]
    used = np.isfinite(now) & np.isfinite(design).all(axis=1)
    x, y = design[used], now[used]
    # Squares of returns are small: unit columns for the least squares.
    size = np.sqrt((x**2).mean(axis=0))
    error = y - (x / size) @ np.linalg.lstsq(x / size, y, rcond=None)[0]
    r_squared = 1 - (error**2).sum() / ((y - y.mean()) ** 2).sum()
    return float(stats.chi2.sf(used.sum() * r_squared, lags))


def _beta_shift_p(y: Floats, m: Floats) -> float:
    """Wald test of d R_m with Newey and West's variance, missing days counted as days."""
    used = np.isfinite(y) & np.isfinite(m)
    n = int(used.sum())
    half = (np.cumsum(used) > n // 2).astype(float)
    x = np.column_stack([np.ones(len(y)), m, half, half * m])
    x[~used] = 0.0
    theta = np.linalg.lstsq(x[used], y[used], rcond=None)[0]
    score = np.where(used, y - np.nan_to_num(x @ theta), 0.0)[:, None] * x
    lags = int(4 * (n / 100) ** (2 / 9))
    meat = score.T @ score
    for lag in range(1, lags + 1):
        product = score[lag:].T @ score[:-lag]
        meat = meat + (1 - lag / (lags + 1)) * (product + product.T)
    bread = np.linalg.inv(x.T @ x)
    return float(stats.chi2.sf(theta[3] ** 2 / (bread @ meat @ bread)[3, 3], 1))


def quality(book: Book) -> Columns:
    rows = []
    for row in book.rows("quality"):
        assert (row.ticker, row.check) == (plan.HALTED[0], "gaps"), "a check that the twin does not know"
        rows.append({"value": float((book.world.volume[row.ticker] == 0).sum())})
    return stack(rows)


def fees(book: Book) -> Columns:
    known = {(mic, name, side): bps for mic, name, side, bps, _ in plan.FEES}
    return {"bps": [known[row.market, row.name, row.side] for row in book.rows("fees")]}


# --- groups


def firms_of(book: Book, group: str) -> list[tuple[Shock, Fit]]:
    """Firm-events of a group in the order of the file."""
    found = [
        (shock, book.study.firm(shock.event_id, ticker))
        for shock in book.world.shocks
        for ticker in shock.tickers or tuple(PEERS)
    ]
    if group == "all":
        return found
    for part in group.split(";"):
        key, _, value = part.partition("=")
        found = [pair for pair in found if _attribute(key, *pair) == value]
    return found


def _attribute(key: str, shock: Shock, f: Fit) -> str:
    return {
        "label": shock.label,
        "market": f.mic,
        "region": MARKETS[f.mic][0],
        "shock_id": shock.shock_id,
        "dimension": shock.dimension,
        "exposure": "high" if plan.EXPOSURE[f.ticker] >= 0.75 else "low",
    }[key]


def aar(book: Book) -> Columns:
    rows: list[dict[str, Any]] = []
    for group in dict.fromkeys(book.tables["aar"]["group"]):
        firms = firms_of(book, group)
        ar = np.array([[f.real(j) - f.normal(j) for j in TAU] for _, f in firms])
        n, mean = np.isfinite(ar).sum(axis=0), np.nanmean(ar, axis=0)
        names = np.array([shock.shock_id for shock, _ in firms])
        influence = np.where(np.isfinite(ar), ar - mean, 0.0) / n
        clusters, matrices = _growing(book, group)
        mine = [np.isin(names, shocks) for shocks in clusters]
        sums = np.array([np.cumsum(influence[rows].sum(axis=0)) for rows in mine])
        sizes = np.array([np.cumsum(np.isfinite(ar[rows]).sum(axis=0)) for rows in mine])
        half = np.array([_half(sums[:, j], sizes[:, j], w) for j, w in enumerate(matrices)])
        for j, tau in enumerate(TAU):
            total = mean[: j + 1].sum()
            rows.append(
                {
                    "tau": tau,
                    "n": n[j],
                    "aar": mean[j],
                    "caar": total,
                    "lower": total - half[j],
                    "upper": total + half[j],
                }
            )
    return stack(rows)


def _growing(book: Book, group: str) -> tuple[list[list[str]], list[Any]]:
    """Shocks of each date, and W of the windows from the first event day to each one."""
    panel = panel_of(book, group)
    made = Group(panel, (0, 0), last_alpha_day=1, weighting="market-balanced", seed=plan.SEED, draws=plan.DRAWS)
    days = sorted(set(made.date.values()))
    clusters = [[shock for shock, day in made.date.items() if day == date] for date in days]
    lead = [np.isin(panel.shock_id, shocks) & panel.lead for shocks in clusters]
    lead = [rows if rows.any() else np.isin(panel.shock_id, c) for rows, c in zip(lead, clusters, strict=True)]
    sessions = [panel.event_sessions[rows].min(axis=0) for rows in lead]
    matrices = []
    for j in range(len(TAU)):
        for portfolio, window in zip(made.portfolios, sessions, strict=True):
            object.__setattr__(portfolio, "window", window[: j + 1].tolist())
        made.width = j + 1
        with mock.patch.object(made, "overlaps", return_value=twins.Group.overlaps(made)):
            matrices.append(np.array(twins.Group.w(made)))
    return clusters, matrices


def _half(sums: Any, sizes: Any, w: Any) -> float:
    """Half width of the band of one day, from matrices in full; W's sums where dates overlap."""
    k = len(sums)
    if k < 2 or k**2 / w.sum() < 2:
        return NAN
    a, one = sizes / sizes.sum(), np.eye(k)

    def ratio(matrix: Any) -> float:
        d = np.diag(a) @ (one - np.outer(np.ones(k), a))
        return float(a @ matrix @ a / np.trace(d @ matrix @ d.T))

    m = (one - 1 / k) @ w
    df = float(np.trace(m) ** 2 / np.trace(m @ m))
    factor = k / (k - 1) * ratio(w) / ratio(one)
    return float(stats.t.ppf(0.975, df) * np.sqrt(factor * (sums**2).sum()))


def paths(book: Book) -> Columns:
    """Each date's portfolio, and their mean with its t interval, over the days since the close of day -1."""
    rows = []
    for row in book.rows("paths"):
        if row.tau == -1:
            n = 1 if row.shock_id else _since(book, row.group, 0)[1].k
            rows.append(
                {"tau": -1, "n_dates": n, "car": 0.0} | dict.fromkeys(("lower", "upper"), NAN if row.shock_id else 0.0)
            )
            continue
        sign, made = _since(book, row.group, row.tau)
        names = [[shock for shock, day in made.date.items() if day == date] for date in sorted(set(made.date.values()))]
        if row.shock_id:
            car = sign * made.portfolios[[", ".join(sorted(name)) for name in names].index(row.shock_id)].car
            rows.append({"tau": row.tau, "n_dates": 1, "car": car, "lower": NAN, "upper": NAN})
            continue
        cars = [sign * p.car for p in made.portfolios]
        mean, half = math.fsum(cars) / len(cars), NAN
        if len(cars) > 1:
            (t, _), df = twins.ibragimov_mueller(made), _df("ibragimov_mueller", made)
            half = abs(mean / t) * float(stats.t.ppf(0.975, df))
        rows.append({"tau": row.tau, "n_dates": len(cars), "car": mean, "lower": mean - half, "upper": mean + half})
    return stack(rows)


@functools.cache
def _since(book: Book, group: str, tau: int) -> tuple[int, Group]:
    window = (0, tau) if tau >= 0 else (tau + 1, -1)
    made = Group(
        panel_of(book, group), window, last_alpha_day=1, weighting="market-balanced", seed=plan.SEED, draws=plan.DRAWS
    )
    return (1 if tau >= 0 else -1), made


def sector_index(book: Book) -> Columns:
    """Means of the peers' daily returns and of their indices' from half a year before the first day 0."""
    world, level = book.world, np.array([100.0, 100.0])
    rows: dict[Any, dict[str, float]] = {}
    first = min(np.datetime64(day) for shock in world.shocks for day in shock.day0.values()) - 180
    firms = {f.ticker: f for _, f in firms_of(book, "all")}
    for day in sorted({d for mic in MARKETS for d in world.days[mic].tolist() if np.datetime64(d) >= first}):
        pairs = []
        for ticker, mic in PEERS.items():
            at = int(np.searchsorted(world.days[mic], np.datetime64(day)))
            if at < len(world.days[mic]) and world.days[mic][at] == np.datetime64(day):
                pair = firms[ticker].returns[at], firms[ticker].index[at]
                pairs += [pair] if np.isfinite(pair).all() else []
        level = level * (1.0 + (np.mean(pairs, axis=0) if pairs else 0.0))
        rows[day.isocalendar()[:2]] = {"peers": level[0], "benchmark": level[1]}
    return stack(rows.values())


def shocks(book: Book) -> Columns:
    rows = []
    for row in book.rows("shocks"):
        window = window_of(row.window)
        portfolio = Portfolio(book.study.members(book.study.leads[row.shock_id]))
        value, se = portfolio.car(window), math.sqrt(portfolio.variance(window))
        homes = {f.mic for f, w in zip(portfolio.firms, portfolio.weights(window), strict=True) if w}
        df = min(f.n - len(f.theta) for f, w in zip(portfolio.firms, portfolio.weights(window), strict=True) if w)
        half = float(stats.t.ppf(0.975, df)) * se
        rows.append(
            {"n_peers": portfolio.count(window), "n_markets": len(homes), "car": value, "se": se, "s": value / se}
            | {"lower": value - half, "upper": value + half}
        )
    return stack(rows)


class Group(twins.Group):
    """A group of the slow twins made from the world; what is asked often is kept."""

    @functools.cache  # noqa: B019 - lives as long as the test
    def rbar(self) -> float:
        return super().rbar()

    @functools.cache  # noqa: B019 - lives as long as the test
    def overlaps(self) -> list[tuple[int, int]]:
        return super().overlaps()

    @functools.cache  # noqa: B019 - lives as long as the test
    def w(self) -> list[list[float]]:
        return super().w()


def panel_of(book: Book, *groups: str) -> Any:
    """The windows of the firm-events of a group, or of several, as the slow twins read them."""
    wanted = {(s.event_id, f.ticker) for group in groups for s, f in firms_of(book, group)}
    pairs = [(s, f) for s, f in firms_of(book, "all") if (s.event_id, f.ticker) in wanted]
    days = {mic: book.world.days[mic].astype(int) for mic in MARKETS}
    before = [f.position + BEFORE for _, f in pairs]
    around = [f.position + np.array(TAU) for _, f in pairs]
    own = [usable(f, book.world) for _, f in pairs]

    class Panel(SimpleNamespace):
        def __len__(self) -> int:
            return len(pairs)

    return Panel(
        event_id=np.array([s.event_id for s, _ in pairs]),
        shock_id=np.array([s.shock_id for s, _ in pairs]),
        region=np.array([MARKETS[f.mic][0] for _, f in pairs]),
        lead=np.array([s.label != "clarification" for s, _ in pairs]),
        tau=np.array(TAU),
        estimation_returns=np.array(own),
        estimation_factors=np.array([f.index[r] for (_, f), r in zip(pairs, before, strict=True)])[:, :, None],
        estimation_sessions=np.array([days[f.mic][r] for (_, f), r in zip(pairs, before, strict=True)]),
        event_returns=np.array([f.returns[r] for (_, f), r in zip(pairs, around, strict=True)]),
        event_factors=np.array([f.index[r] for (_, f), r in zip(pairs, around, strict=True)])[:, :, None],
        event_sessions=np.array([days[f.mic][r] for (_, f), r in zip(pairs, around, strict=True)]),
    )


def _sign_flip(group: twins.Group) -> twins.Outcome:
    """As the slow twin, all sign vectors at once; where windows overlap, the slow twin itself."""
    if group.overlaps():
        return twins.sign_flip(group)
    values = np.array([p.s for p in group.portfolios])
    if len(values) < 2:
        return None
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
    flipped = signs * values
    t = flipped.mean(axis=1) / flipped.std(axis=1, ddof=1) * math.sqrt(len(values))
    plain = float(values.mean() / values.std(ddof=1) * math.sqrt(len(values)))
    return plain, float((np.abs(t) >= abs(plain) * (1 - 1e-9)).mean())


def _wilcoxon(group: twins.Group) -> twins.Outcome:
    """As the slow twin, the distribution of W+ by counting subsets rather than listing them."""
    rank = twins.ranks([abs(c) for c in group.car])
    w = sum(r for r, c in zip(rank, group.car, strict=True) if c > 0)
    n = group.n
    if n > 50:
        z = (w - n * (n + 1) / 4) / math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return w, float(2 * stats.norm.sf(abs(z)))
    ways = [1]
    for r in range(1, n + 1):
        ways = [(ways[s] if s < len(ways) else 0) + (ways[s - r] if s >= r else 0) for s in range(len(ways) + r)]
    lower, upper = sum(ways[: round(w) + 1]), sum(ways[round(w) :])
    return w, min(1.0, 2 * min(lower, upper) / 2**n)


def _estimate(name: str, group: twins.Group, outcome: twins.Outcome) -> float:
    """What a test says the effect is: the CAAR, but for the tests of something else."""
    caar = math.fsum(group.car) / group.n
    if outcome is None:
        return caar
    dates = math.fsum(p.car for p in group.portfolios) / group.k
    if name in ("bhar_t", "bootstrap"):
        return math.fsum(twins.bhars(group)) / group.n
    if name == "calendar_time":
        return float(np.mean(_calendar_series(group)))
    over_dates = ("date_t", "sign_flip", "ibragimov_mueller", "bootstrap_dates", "permutation", "sq")
    return dates if name in over_dates else caar


def _calendar_series(group: twins.Group) -> list[float]:
    by_day: dict[int, list[float]] = {}
    for f in group.firms:
        for d in group.inside:
            by_day.setdefault(f.event_session[d], []).append(f.ar[d])
    return [math.fsum(values) / len(values) for _, values in sorted(by_day.items())]


def _df(name: str, group: twins.Group) -> float:
    found: dict[str, Callable[[], float]] = {
        **dict.fromkeys(("ar_t", "car_t"), lambda: group.firms[0].dof),
        **dict.fromkeys(("cross_sectional_t", "bhar_t", "bmp", "bmp_kp"), lambda: group.n - 1),
        **dict.fromkeys(("date_t", "ibragimov_mueller"), lambda: _date_df(group)),
        "portfolio_t": lambda: len(twins.mean_residuals(group)) - 1,
        "calendar_time": lambda: len(_calendar_series(group)) - 1,
        "grank_t": lambda: len(twins.generalised_ranks(group)) - 2,
    }
    return float(found[name]()) if name in found else NAN


def _date_df(group: twins.Group) -> float:
    """K-1; where windows overlap tr(MW)^2 / tr(MWMW), M taking the mean out."""
    if not group.overlaps():
        return group.k - 1
    product = (np.eye(group.k) - 1 / group.k) @ np.array(group.w())
    return float(np.trace(product) ** 2 / np.trace(product @ product))


def outcomes(book: Book) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    """Every statistic of every group and window."""
    found = {}
    slow = {**twins.TWINS, "sign_flip": _sign_flip, "wilcoxon": _wilcoxon}
    table = book.tables["tests"]
    for group, window in dict.fromkeys(zip(table["group"], table["window"], strict=True)):
        made = Group(
            panel_of(book, group),
            window_of(window),
            last_alpha_day=1,
            weighting="market-balanced",
            seed=plan.SEED,
            draws=plan.DRAWS,
        )
        rbar = made.rbar()
        inflation = 1 + (made.n - 1) * rbar
        shared = {
            "n_events": made.n,
            "n_dates": made.k,
            "k_eff": made.k_eff(),
            "rbar": rbar,
            "n_effective": made.n / inflation if inflation > 0 else NAN,
        }
        found[group, window] = {}
        for name, twin in slow.items():
            # The ranks of the slow twins compare every value with every other: too slow for 84 groups.
            with mock.patch.object(twins, "ranks", lambda values: stats.rankdata(values).tolist()):
                outcome = twin(made)
            value, p = outcome if outcome is not None else (NAN, NAN)
            estimate, df = _estimate(name, made, outcome), _df(name, made) if outcome is not None else NAN
            row = {"estimate": estimate, "statistic": value, "df": df, "p_value": p, **shared}
            found[group, window][name] = row
    return found


_OUTCOMES: dict[int, Any] = {}


def _kept_outcomes(book: Book) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    key = id(book.study)
    if key not in _OUTCOMES:
        _OUTCOMES[key] = outcomes(book)
    return _OUTCOMES[key]


def tests(book: Book) -> Columns:
    found = _kept_outcomes(book)
    return stack(found[row.group, row.window][row.name] for row in book.rows("tests"))


def multiplicity(book: Book) -> Columns:
    found = _kept_outcomes(book)
    adjusted: dict[tuple[str, str, str], dict[str, float]] = {}
    table = book.tables["multiplicity"]
    for group, name in dict.fromkeys(zip(table["group"], table["name"], strict=True)):
        windows = table.loc[(table["group"] == group) & (table["name"] == name), "window"].tolist()
        p = np.array([found[group, window][name]["p_value"] for window in windows])
        known = np.isfinite(p)
        columns = {"p_value": p, **adjustments(p)}
        columns["romano_wolf"] = np.full(len(p), NAN)
        if name in ("date_t", "sign_flip") and known.any():
            columns["romano_wolf"] = np.where(known, _step_down(book, group, tuple(windows)), NAN)
        for place, window in enumerate(windows):
            row = {key: float(values[place]) for key, values in columns.items()}
            adjusted[group, window, name] = row
    return stack(adjusted[row.group, row.window, row.name] for row in book.rows("multiplicity"))


def adjustments(p: Floats) -> dict[str, Floats]:
    """Holm's, Benjamini and Hochberg's and Benjamini and Yekutieli's, from their definitions."""
    found = {name: np.full(len(p), NAN) for name in ("holm", "bh", "by")}
    order = [int(i) for i in np.argsort(p, kind="stable") if math.isfinite(p[i])]
    m = len(order)
    harmonic = math.fsum(1 / j for j in range(1, m + 1))
    for place, i in enumerate(order):
        found["holm"][i] = min(1.0, max((m - j) * p[order[j]] for j in range(place + 1)))
        smallest = min(m * p[order[j]] / (j + 1) for j in range(place, m))
        found["bh"][i], found["by"][i] = min(1.0, smallest), min(1.0, harmonic * smallest)
    return found


@functools.lru_cache(maxsize=64)
def _step_down(book: Book, group: str, windows: tuple[str, ...]) -> list[float]:
    """Romano and Wolf's step-down over all sign vectors, the largest of those left each time.

    Dates that share a session of any window are added up and flipped together.
    """
    pairs = firms_of(book, group)
    spans = [window_of(window) for window in windows]
    blocks: list[tuple[set[tuple[int, int]], Floats]] = []
    for name in sorted({shock.shock_id for shock, _ in pairs}):
        lead = book.study.leads[name].event_id
        mine = [f for s, f in pairs if s.event_id == lead] or [f for s, f in pairs if s.shock_id == name]
        portfolio = Portfolio(mine)
        days = {(place, day) for place, span in enumerate(spans) for day in portfolio.sessions(book.world, span)}
        values = np.array([portfolio.s(span) for span in spans])
        linked = [block for block in blocks if block[0] & days]
        blocks = [block for block in blocks if not block[0] & days]
        blocks.append((days.union(*(d for d, _ in linked)), values + sum(v for _, v in linked)))
    sums = np.array([values for _, values in blocks])
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(sums))))

    def t(drawn: Floats) -> Floats:
        return np.abs(drawn.mean(axis=1) / drawn.std(axis=1, ddof=1) * math.sqrt(len(sums)))

    observed = np.array([t(sums[None, :, w])[0] for w in range(len(windows))])
    flipped = np.array([t(signs * sums[:, w]) for w in range(len(windows))])
    left, adjusted, highest = list(np.argsort(-observed)), [NAN] * len(windows), 0.0
    while left:
        worst = left[0]
        share = float((flipped[left].max(axis=0) >= observed[worst] * (1 - 1e-9)).mean())
        highest = max(highest, share)
        adjusted[worst] = highest
        left = left[1:]
    return adjusted


def regressions(book: Book) -> Columns:
    """OLS with CR2 and GLS with dense matrices; their pre-event p-values from sums of past residuals."""
    from eventstudy.core.checks.regression import wild_weights

    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for window in dict.fromkeys(book.tables["regressions"]["window"]):
        span = window_of(window)
        pairs = [(s, f) for s, f in firms_of(book, "all") if math.isfinite(f.car(span))]
        y = np.array([f.car(span) for _, f in pairs])
        misread = [float(s.label == "misreading") for s, _ in pairs]
        x = np.column_stack([np.ones(len(y)), [plan.EXPOSURE[f.ticker] for _, f in pairs], misread])
        days = {name: str(Portfolio(book.study.members(s)).day(book.world)) for name, s in book.study.leads.items()}
        cluster = np.array([days[s.shock_id] for s, _ in pairs])
        past = np.nan_to_num([f.residual for _, f in pairs])
        # Random weights are given the same draws: no formula says what they are.
        weights = wild_weights(len(set(cluster.tolist())), draws=plan.DRAWS, seed=plan.SEED)[0]
        slow = twins.cluster_regression(y, x, cluster, weights)
        width, half, g = span[1] - span[0] + 1, past.shape[1] // 2, len(set(cluster.tolist()))
        omega = np.linalg.inv(twins.past_covariance(past[:, :half], cluster))
        ols = np.linalg.inv(x.T @ x) @ x.T
        gls = np.linalg.inv(x.T @ omega @ x) @ x.T @ omega
        later = gls @ past[:, half:]
        gls_se = np.sqrt((later**2).mean(axis=1) * (width + width**2 / past.shape[1]))
        error, level = y - x @ gls @ y, y - omega.sum(axis=0) @ y / omega.sum()
        plain, one = y - x @ ols @ y, np.eye(len(y))
        fits = {
            "ols_cr2": (ols, slow.se_cr2, slow.df_cr2, slow.p_wild, past, plain, y - y.mean(), one),
            "gls": (gls, gls_se, [past.shape[1] - half] * 3, [NAN] * 3, past[:, half:], error, level, omega),
        }
        for estimator, (pull, se, df, wild, before, residual, scatter, metric) in fits.items():
            blocks = before.shape[1] // width
            sums = pull @ before[:, : blocks * width].reshape(len(y), blocks, width).sum(axis=2)
            for j, term in enumerate(("Intercept", "exposure", "misreading")):
                beta = float(pull[j] @ y)
                rows[window, estimator, term] = {
                    "estimate": beta,
                    "se": se[j],
                    "t": beta / se[j],
                    "p_value": 2 * stats.t.sf(abs(beta / se[j]), df[j]),
                    "df": df[j],
                    "p_wild": wild[j],
                    "p_pre_event": (1 + (abs(sums[j]) >= abs(beta)).sum()) / (1 + blocks),
                    "n_events": len(y),
                    "n_left_out": 0,
                    "n_dates": g,
                    "r_squared": 1 - residual @ metric @ residual / (scatter @ metric @ scatter),
                }
    return stack(rows[row.window, row.estimator, row.term] for row in book.rows("regressions"))


def group_differences(book: Book) -> Columns:
    """The difference of two groups' portfolios of each date, or these on an indicator with blocks as clusters."""
    rows = []
    for row in book.rows("group_differences"):
        names = [f"{row.column}={value}" for value in (row.group, row.against)]
        one, other = (_window_group(book, [name], row.window) for name in names)
        union = _window_group(book, names, row.window)
        sides = [{union.date[shock]: _on(side, side.date[shock]) for shock in side.date} for side in (one, other)]
        common = set(sides[0]) & set(sides[1])
        found = _paired(union, *sides) if len(common) == union.k else _by_blocks(union, *sides)
        if not math.isfinite(row.estimate):
            found = dict.fromkeys(("estimate", "se", "t", "df", "p_value"), NAN)
            rows.append({**found, **dict.fromkeys(("n_events", "n_against", "n_dates", "n_common"), NAN)})
            continue
        found["p_value"] = 2 * stats.t.sf(abs(found["t"]), found["df"])
        rows.append(
            {**found, "n_events": one.n, "n_against": other.n, "n_dates": union.k, "n_common": float(len(common))}
        )
    return stack(rows)


def _window_group(book: Book, names: Sequence[str], window: str) -> Group:
    """The firm-events of one group, or of two side by side, that have a window complete."""
    panel = panel_of(book, *names)
    return Group(
        panel, window_of(window), last_alpha_day=1, weighting="market-balanced", seed=plan.SEED, draws=plan.DRAWS
    )


def _on(group: Group, date: int) -> Any:
    return next(p for p in group.portfolios if p.shock == str(date))


def _paired(union: Group, one: dict[int, Any], other: dict[int, Any]) -> dict[str, float]:
    dates = sorted(one)
    gap = np.array([one[d].car - other[d].car for d in dates])
    for portfolio, d in zip(union.portfolios, dates, strict=True):
        sessions = dict(zip(portfolio.residual, portfolio.by_session, strict=True))
        both = set(one[d].residual) & set(other[d].residual)
        object.__setattr__(
            portfolio, "by_session", {sessions[t]: one[d].residual[t] - other[d].residual[t] for t in sorted(both)}
        )
    w = np.array(twins.Group.w(union))
    k, total = len(gap), w.sum()
    m = (np.eye(k) - 1 / k) @ w
    t = gap.sum() / math.sqrt(((gap - gap.mean()) ** 2).sum() / (k - total / k) * total)
    return {"estimate": gap.mean(), "se": gap.mean() / t, "t": t, "df": np.trace(m) ** 2 / np.trace(m @ m)}


def _by_blocks(union: Group, one: dict[int, Any], other: dict[int, Any]) -> dict[str, float]:
    order = sorted(set(union.date.values()))
    block = {order[k]: b for b, members in enumerate(union.blocks()) for k in members}
    date = [*one, *other]
    y = np.array([p.car for side in (one, other) for p in side.values()])
    x = np.column_stack([np.ones(len(y)), [1.0] * len(one) + [0.0] * len(other)])
    slow = twins.cluster_regression(y, x, np.array([block[d] for d in date]), np.ones((1, len(set(block.values())))))
    gap = y[: len(one)].mean() - y[len(one) :].mean()
    return {"estimate": gap, "se": slow.se_cr2[1], "t": gap / slow.se_cr2[1], "df": slow.df_cr2[1]}


def claims(book: Book) -> Columns:
    rows = []
    asked = {"C1": -0.02, "C2": -0.12, "C3": -0.05}
    for row in book.rows("claims"):
        claimed = asked[row.claim_id]
        nothing = {"claimed": claimed, "actual": NAN, "off_by": NAN, "nearby_return": NAN}
        if row.ticker not in PEERS:
            rows.append(nothing)
            continue
        days, moves = book.world.days[PEERS[row.ticker]], book.study.returns[row.ticker]
        first = int(np.searchsorted(days, np.datetime64(row.date)))
        last = int(np.searchsorted(days, np.datetime64(row.date_to)))
        near = moves[first - 5 : last + 6]
        inside = moves[first : last + 1]

        def best(values: Floats, claimed: float = claimed, kind: str = row.comparison) -> float:
            return float(values.min() if kind == "at_least" else values[np.abs(values - claimed).argmin()])

        actual = best(inside)
        rows.append({"claimed": claimed, "actual": actual, "off_by": actual - claimed, "nearby_return": best(near)})
    return stack(rows)
