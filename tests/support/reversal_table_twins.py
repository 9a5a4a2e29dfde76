"""Every numeric column of the tables of the reversal analysis once more, see `table_twins`."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import contract_world as plan
import numpy as np
import reversal_twins as slow
import table_twins
import twins
from contract_world import DROP, POST, RULE, WINDOWS, Shock
from numpy.typing import NDArray
from scipy import optimize, stats
from table_twins import NAN, TAU, Book, Columns, Fit, Floats, Portfolio, moved, stack, window_of

#: How far a placebo may differ in each trait: standard errors, years, else standard deviations.
CALIPERS = {"s_drop": 0.5, "vol_ratio": 1.0, "run_up": 1.0, "market_return": 1.0, "year": 3.0}
ASKED, EXPLORATORY = "label=misreading", "label=misreading;exploratory"
Row = dict[str, Any]


class Reversal:
    """The shocks as drops: who counts, against which placebo dates."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.names = [row.shock_id for row in book.rows("reversal")]
        self.portfolio = {name: book.study.shock(name) for name in self.names}
        days = {name: self.portfolio[name].day(book.world) for name in self.names}
        assert list(days.values()) == sorted(days.values())
        self.lead: dict[str, Shock] = {name: book.study.leads[name] for name in self.names}
        self.drop = {name: p.car(DROP) for name, p in self.portfolio.items()}
        self.post = {name: p.car(POST) for name, p in self.portfolio.items()}
        self.qualifies = {name: qualifies(p) for name, p in self.portfolio.items()}
        self.in_time = {name: self._in_time(name) for name in self.names}
        self.days: dict[str, list[str]] = {name: [] for name in self.names}
        for row in book.rows("placebo"):
            if row.tier == "P1":
                self.days[row.shock_id].append(row.placebo_date)
        self.matched = {name: days if len(days) >= 5 else [] for name, days in self.days.items()}
        self.groups = self._groups([n for n in self.names if self.qualifies[n] and math.isfinite(self.excess(n))])
        # The regression needs no set of a drop's own.
        self.counted = self._groups([n for n in self.names if self.qualifies[n] and math.isfinite(self.post[n])])

    def _in_time(self, name: str) -> bool:
        """Known by the first close of day +1 on any exchange; a label without a date never is."""
        lead = self.lead[name]
        if not lead.asof:
            return False
        world = self.book.world
        close = min(int(world.closes[mic][world.at(mic, day) + DROP[1]]) for mic, day in lead.day0.items())
        return dt.datetime.fromisoformat(lead.asof).timestamp() * 1e9 <= close

    def others(self, name: str, window: tuple[int, int] = POST) -> list[float]:
        """CARs of the matched placebos."""
        found = [self.book.study.placebo(name, day).car(window) for day in self.matched[name]]
        return [value for value in found if math.isfinite(value)]

    @functools.cache  # noqa: B019 - lives as long as the test
    def excess(self, name: str) -> float:
        others = self.others(name)
        return self.post[name] - float(np.mean(others)) if others else NAN

    def _groups(self, good: Sequence[str]) -> dict[str, list[str]]:
        """Those of the shocks that each kind of drop counts."""
        label = {n: self.lead[n].label for n in self.names}
        found = {
            ASKED: [n for n in good if label[n] == "misreading" and self.in_time[n]],
            EXPLORATORY: [n for n in good if label[n] == "misreading"],
            "label=genuine": [n for n in good if label[n] == "genuine" and self.in_time[n]],
            "all": list(good),
        }
        return {group: self._apart(names) for group, names in found.items()}

    def _apart(self, names: Sequence[str]) -> list[str]:
        """Leave out what starts before the post window of an earlier one with a common peer is over."""
        kept = list(names)
        for k, name in enumerate(self.names):
            earlier = self.overlapped(k)
            if earlier and earlier in kept and name in kept:
                kept.remove(name)
        return kept

    def overlapped(self, k: int) -> str:
        """The last earlier shock of common peers whose post window holds day 0 of shock k."""
        own = self.portfolio[self.names[k]]
        for earlier in self.names[:k][::-1]:
            other = self.portfolio[earlier]
            common = {f.ticker for f in own.firms} & {f.ticker for f in other.firms}
            if common and other.last(self.book.world, POST[1]) >= own.day(self.book.world):
                return earlier
        return ""

    def case(self) -> str:
        """The newest drop of the label asked about, else its newest fall, else the newest fall."""
        fell = [name for name in self.names if self.drop[name] < 0 and math.isfinite(self.post[name])]
        own = [name for name in fell if self.lead[name].label == "misreading"]
        return ([name for name in own if qualifies(self.portfolio[name])] or own or fell)[-1]


_KEPT: dict[int, Reversal] = {}


def reversal_of(book: Book) -> Reversal:
    return _KEPT.setdefault(id(book.study), Reversal(book))


def qualifies(portfolio: Portfolio, window: tuple[int, int] = DROP) -> bool:
    car = portfolio.car(window)
    if not math.isfinite(car) or car > -RULE["drop_min"] or portfolio.s(window) > -RULE["drop_k"]:
        return False
    return portfolio.share_negative(window) >= RULE["share_negative"]


def reversal(book: Book) -> Columns:
    found = reversal_of(book)
    widened = {row.shock_id: row.widened for row in book.rows("placebo") if row.tier == "P1"}
    rows = []
    for name in found.names:
        p, others = found.portfolio[name], found.others(name)
        rows.append(
            {
                "n_peers": p.count(DROP),
                "car_drop": found.drop[name],
                "s_drop": p.s(DROP),
                "share_negative": p.share_negative(DROP),
                "qualifies": found.qualifies[name],
                "car_post": found.post[name],
                "s_post": p.s(POST),
                "n_locked": sum(late > 0 for late in p.late),
                "n_placebos": len(others),
                "placebo_mean": np.mean(others) if others else NAN,
                "excess": found.excess(name),
                **ranked(found, name),
                # Without a single match the calipers were widened as well, where it was looked for.
                "widened": widened.get(name, found.qualifies[name] or name == found.case()),
                "label_in_time": found.in_time[name],
                **{f"excess_{kind}": excess_as(found, name, kind) for kind in KINDS},
            }
        )
    return stack(rows)


KINDS = ("simple", "log", "bhar", "alpha_zero", "alpha_estimated")


def excess_as(found: Reversal, name: str, kind: str) -> float:
    """X_k measured in another way."""
    study = found.book.study

    def measure(p: Portfolio) -> float:
        return p.bhar(POST) if kind == "bhar" else p.car(POST, kind.removeprefix("alpha_") if "_" in kind else "auto")

    returns = "log" if kind == "log" else "simple"
    others = [measure(study.placebo(name, day, returns)) for day in found.matched[name]]
    return measure(study.shock(name, returns)) - float(np.mean(others)) if others else NAN


def placebo(book: Book) -> Columns:
    found, rows = reversal_of(book), []
    dates = {str(p.day(book.world)): name for name, p in found.portfolio.items()}
    for row in book.rows("placebo"):
        # Tier P2 are other shocks, with their own peers; the others the same peers at another date.
        genuine = row.tier == "P2"
        p = found.portfolio[dates[row.placebo_date]] if genuine else book.study.placebo(row.shock_id, row.placebo_date)
        trait = p.traits(book.world)
        rows.append(
            {
                "s_drop": trait["s_drop"],
                "car_drop": p.car(DROP),
                "car_post": p.car(POST),
                "vol_ratio": trait["vol_ratio"],
                "run_up": trait["run_up"],
                "market_return": trait["market_return"],
                "distance": NAN if row.tier == "P0" else _distance(found, row.shock_id, trait),
                "widened": False if row.tier == "P0" else _widened(found, row),
            }
        )
    return stack(rows)


def _widened(found: Reversal, row: Any) -> bool:
    """Whether fewer than five of the shock's matches lie within the narrow calipers."""
    if row.tier == "P2":
        return True
    return sum(_gaps(found, row.shock_id, day) <= 1 for day in found.days[row.shock_id]) < 5


def _gaps(found: Reversal, name: str, day: str) -> float:
    own, scale = found.portfolio[name].traits(found.book.world), _scale(found, name)
    trait = found.book.study.placebo(name, day).traits(found.book.world)
    return max(abs(trait[key] - own[key]) / scale[key] for key in scale)


def _distance(found: Reversal, name: str, trait: dict[str, float]) -> float:
    own, scale = found.portfolio[name].traits(found.book.world), _scale(found, name)
    return math.sqrt(sum(((trait[key] - own[key]) / scale[key]) ** 2 for key in scale))


_SCALES: dict[tuple[int, tuple[str, ...], bool], dict[str, float]] = {}


def _scale(found: Reversal, name: str) -> dict[str, float]:
    """Calipers of the shock's peers: standard deviations over all candidate falls of these peers."""
    tickers = tuple(sorted(found.lead[name].tickers or plan.PEERS))
    case = not found.qualifies[name]
    key = (id(found), tickers, case)
    if key not in _SCALES:
        traits = [p.traits(found.book.world) for p in candidates(found, name, case=case)]
        _SCALES[key] = {
            k: width if k in ("s_drop", "year") else width * float(np.std([t[k] for t in traits], ddof=1))
            for k, width in CALIPERS.items()
        }
    return _SCALES[key]


def candidates(found: Reversal, name: str, *, case: bool) -> list[Portfolio]:
    """Comparable falls of a shock's peers on every day that is 21 sessions from all events.

    ``case`` takes every falling day, as for a shock that is no drop.
    """
    study, world = found.book.study, found.book.world
    tickers = tuple(sorted(found.lead[name].tickers or plan.PEERS))
    mics = {plan.PEERS[t] for t in tickers}
    days = np.unique(np.concatenate([world.days[mic] for mic in mics]))
    events = np.array([day for shock in world.shocks for day in shock.day0.values()], "datetime64[D]")
    good = []
    for day in days:
        at = {mic: np.searchsorted(world.days[mic], [day, *events]) for mic in mics}
        if min(int(np.abs(rows[1:] - rows[0]).min()) for rows in at.values()) < 21:
            continue
        p = study.placebo(name, str(day))
        falls = p.car(DROP) < 0 if case else qualifies(p)
        if falls and _complete(p, tickers) and math.isfinite(p.car(POST)):
            good.append(p)
    return good


def _complete(p: Portfolio, tickers: tuple[str, ...]) -> bool:
    """At least half the peers with both windows, and one of every region."""
    both = [math.isfinite(f.car(DROP) + f.car(POST)) for f in p.firms]
    regions = {plan.MARKETS[f.mic][0] for f, has in zip(p.firms, both, strict=True) if has}
    wanted = {plan.MARKETS[plan.PEERS[t]][0] for t in tickers}
    return sum(both) / len(tickers) >= 0.5 and regions == wanted


def placebo_balance(book: Book) -> Columns:
    found, world = reversal_of(book), book.world
    groups = {**found.groups, f"shock_id={found.case()}": [found.case()] if found.others(found.case()) else []}
    traits = {
        name: [book.study.placebo(name, day).traits(world) for day in days] for name, days in found.matched.items()
    }
    rows = []
    for row in book.rows("placebo_balance"):
        names = groups[row.group]
        own = [found.portfolio[name].traits(world)[row.variable] for name in names]
        others = [[trait[row.variable] for trait in traits[name]] for name in names]
        every = list(itertools.chain(*others))
        spread = np.var(every, ddof=1)
        both = (spread + (np.var(own, ddof=1) if len(own) > 1 else spread)) / 2
        mean = float(np.mean([np.mean(values) for values in others]))
        rows.append(
            {
                "mean_events": np.mean(own),
                "mean_placebos": mean,
                "smd": (np.mean(own) - mean) / math.sqrt(both),
                "n_events": len(names),
                "n_placebos": len(every),
            }
        )
    return stack(rows)


# --- measures


def mean_row(values: Sequence[float]) -> Row:
    """Mean over dates, its t interval and p."""
    x = np.array(values, dtype=float)
    k = len(x)
    row: Row = {"estimate": x.mean() if k else NAN, "lower": NAN, "upper": NAN, "p_value": NAN, "n_dates": k}
    if k > 1:
        se = x.std(ddof=1) / math.sqrt(k)
        half = stats.t.ppf(0.975, k - 1) * se
        row |= {"lower": x.mean() - half, "upper": x.mean() + half}
        row["p_value"] = 2 * stats.t.sf(abs(x.mean() / se), k - 1)
    return row


def only(value: float, k: int, low: float = NAN, high: float = NAN, p: float = NAN) -> Row:
    return {"estimate": value, "lower": low, "upper": high, "p_value": p, "n_dates": k}


def permutation_p(events: Sequence[float], others: Sequence[Sequence[float]]) -> float:
    """Two-sided p of the matched permutation."""
    return permutation(events, others)["p_value"] if events else NAN


def permutation(events: Sequence[float], others: Sequence[Sequence[float]]) -> dict[str, float]:
    """Share of choices of one member a set at least as far from zero, or as high, and the least it can be.

    All choices up to 100,000; beyond, the random draws are given, as no formula says what they are.
    """
    sets = [_as_event([e, *o]) for e, o in zip(events, others, strict=True)]
    observed = sum(float(members[0]) for members in sets)
    if math.prod(len(members) for members in sets) <= 100_000:
        sums, own = np.array([0.0]), 0
        for members in sets:
            sums = np.add.outer(sums, members).ravel()
        smallest = int((np.abs(sums) >= np.abs(sums).max() - 1e-12).sum()) / len(sums)
    else:
        rng, sums, own = np.random.default_rng(plan.SEED), np.zeros(plan.DRAWS), 1
        for members in sets:
            sums += members[rng.integers(0, len(members), size=plan.DRAWS)]
        smallest = 1 / (plan.DRAWS + 1)
    count = len(sums) + own
    return {
        "p_value": (own + int((np.abs(sums) >= abs(observed) - 1e-12).sum())) / count,
        "p_greater": (own + int((sums >= observed - 1e-12).sum())) / count,
        "p_floor": smallest,
    }


def _as_event(members: Sequence[float]) -> Floats:
    """Each member less the mean of the others."""
    total, m = sum(members), len(members) - 1
    return np.array([value - (total - value) / m for value in members])


def power(shift: float, df: float) -> float:
    critical = stats.t.ppf(0.975, df)
    return float(stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift))


def smallest_effect(se: float, df: float) -> float:
    high = 1.0
    while power(high, df) < 0.8:
        high *= 2
    return float(optimize.brentq(lambda d: power(d, df) - 0.8, 0.0, high, xtol=1e-14) * se)


def dates_needed(sd: float, effect: float, df_share: float) -> int:
    return next(k for k in range(2, 10**5) if power(effect / sd * math.sqrt(k), max(df_share * (k - 1), 1.0)) >= 0.8)


def margin_of(found: Reversal, names: Sequence[str]) -> float:
    return max(0.25 * abs(float(np.mean([found.drop[n] for n in names]))), 0.008)


def falls(book: Book) -> Columns:
    """What each fall's portfolio did; which days are controls is held in tests/reversal/test_controls.py."""
    found, rows = reversal_of(book), []
    days = np.unique(np.concatenate(list(book.world.days.values())))
    for row in book.rows("falls"):
        own = row.stratum.split(", ")
        p = found.portfolio[row.event] if row.event else book.study.at_day(own, np.datetime64(row.day0))
        error, weight = p.residual(DROP), np.array(p.weights(DROP))
        until = [j for j in TAU if j <= DROP[1]]
        pairs = list(zip(p.firms, p.late, strict=True))
        ar = np.array([[f.real(j, u) - f.normal(j, late=u) for j in until] for f, u in pairs])
        daily = np.concatenate([error, table_twins._mean(weight, ar)])
        daily = daily[np.isfinite(daily)]
        fading = [0.94**age for age in range(len(daily))][::-1]
        rows.append(
            {
                "drop": p.car(DROP),
                "drop_s": p.s(DROP),
                "run_up": p.traits(book.world)["run_up"],
                "post": p.car(POST),
                "sigma": math.sqrt(np.nansum(error**2) / (np.isfinite(error).sum() - 2)),
                "recent": math.sqrt(np.average(daily**2, weights=fading)),
                "session": int(np.searchsorted(days, np.datetime64(row.day0))),
            }
        )
    return stack(rows)


def _comparable(found: Reversal, names: Sequence[str]) -> tuple[Any, ...]:
    """Outcomes, traits, scales, which are the drops named, and clusters: of these and the falls of their peer sets."""
    listed = [row for row in found.book.rows("falls") if not row.event or row.event in names]
    used = {row.stratum for row in listed if row.event}
    listed = [row for row in listed if row.stratum in used]
    event = np.array([bool(row.event) for row in listed])
    m = np.array([(row.sigma + row.recent) / 2 * math.sqrt(POST[1] - POST[0] + 1) for row in listed])
    z = np.array([row.post for row in listed]) / m
    centre = np.median(z[~event])
    edge = 2 * 1.4826 * np.median(np.abs(z[~event] - centre))
    z = np.minimum(np.maximum(z, centre - edge), centre + edge)
    traits = np.array(
        [
            [*(float(row.stratum == name) for name in sorted(used)), min(max(row.drop_s, -5), 0), row.run_up]
            for row in listed
        ]
    )
    traits[:, -1] = traits[:, -1].clip(-0.6, 0.6)
    days = np.array([np.datetime64(row.day0).astype(int) for row in listed])
    session = np.array([row.session for row in listed])
    cluster = np.array(["" for _ in listed], dtype=object)
    for family in {row.family for row in listed}:
        rows = [i for i in np.argsort(session, kind="stable") if not event[i] and listed[i].family == family]
        slide = 0
        for place, i in enumerate(rows):
            slide += place > 0 and session[i] - session[rows[place - 1]] >= 21
            cluster[i] = f"{family} {slide:04d}"
    for i in np.flatnonzero(event):
        # Weeks begin on Mondays.
        cluster[i] = f"week {(days[i] + 3) // 7}"
    return z, traits, m, event, np.array(cluster, dtype=str), listed


def _drawn(traits: Floats, z: Floats) -> Floats:
    """Coefficients of the traits, that of the depth with a normal prior of 0 and 0.1."""
    prior = np.zeros(traits.shape[1])
    prior[-2] = 100
    return np.linalg.solve(traits.T @ traits + np.diag(prior), traits.T @ z)


def ranked(found: Reversal, name: str) -> dict[str, float]:
    """The rank of one drop among falls that are each held against a fit without their slide."""
    if name not in {row.event for row in found.book.rows("falls")}:
        return dict.fromkeys(("rank", "among", "p_rank", "p_rank_floor"), NAN)
    z, traits, _, event, cluster, _ = _comparable(found, [name])
    (own,) = z[event] - traits[event] @ _drawn(traits[~event], z[~event])
    others = []
    for i in np.flatnonzero(~event):
        kept = ~event & (cluster != cluster[i])
        others.append(z[i] - traits[i] @ _drawn(traits[kept], z[kept]))
    rank = 1 + sum(abs(other) >= abs(own) for other in others)
    among = 1 + len(others)
    return {"rank": rank, "among": among, "p_rank": rank / among, "p_rank_floor": 1 / among}


@functools.cache
def regressed(found: Reversal, group: str) -> dict[str, Any]:
    """The moderated regression of a kind of drop on the falls of the table, with whole matrices."""
    z, traits, m, event, code, listed = _comparable(found, found.counted[group])
    left = z - traits @ _drawn(traits[~event], z[~event])
    usual = float((left[~event] ** 2).sum()) / (sum(~event) - traits.shape[1])
    prior = [*(0.0 for _ in traits.T[:-2]), 10.0, 0.0, 0.0]
    x, y = np.vstack([np.column_stack([traits, event / m]), prior]), np.append(z, 0)
    bread = np.linalg.inv(x.T @ x)
    residual, maker = y - x @ bread @ x.T @ y, np.eye(len(y)) - x @ bread @ x.T
    codes, weeks = np.append(code, "prior"), set(code[event].tolist())
    columns, of_controls, of_weeks, expected = [], 0.0, 0.0, 0.0
    for name in sorted(set(codes.tolist())):
        rows = np.flatnonzero(codes == name)
        values, vectors = np.linalg.eigh(maker[np.ix_(rows, rows)])
        root = vectors @ np.diag([value**-0.5 if value > 1e-10 else 0 for value in values]) @ vectors.T
        weight = root @ x[rows] @ bread[:, -1]
        columns.append(maker[:, rows] @ weight)
        part = float(weight @ residual[rows]) ** 2
        if name in weeks:
            of_weeks += part
            expected += len(rows) * usual * float(((x[rows] @ bread[:, -1]) ** 2).sum())
        else:
            of_controls += part
    gram, spare = np.array([[a @ b for b in columns] for a in columns]), len(weeks) - 1
    variance = of_controls + (2 * expected + spare * of_weeks) / (2 + spare)
    df = min(float(np.trace(gram) ** 2 / (gram**2).sum()), spare) + 2
    kept = {"z": z, "m": m, "event": event, "traits": traits, "cluster": code, "weeks": len(weeks), "listed": listed}
    effect = float((bread @ x.T @ y)[-1])
    return {"effect": effect, "se": math.sqrt(variance), "df": df, "own": left[event] * m[event], **kept}


def weighted_row(found: Reversal, group: str) -> Row:
    """Excess over entropy weights, these by general least squares of the moments."""
    fit = regressed(found, group)
    z, m, event, x = fit["z"], fit["m"], fit["event"], fit["traits"]
    c = x[~event] - x[event].mean(axis=0)

    def tilted(slope: Floats) -> Floats:
        return np.exp(-c @ slope) / np.exp(-c @ slope).sum()

    start, exact = np.zeros(c.shape[1]), {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    w = tilted(optimize.least_squares(lambda slope: tilted(slope) @ c, start, **exact).x)
    assert np.abs(w @ c).max() < 1e-10
    unit = float(np.mean(1 / m[event]))
    mean, level = z[event].mean(), float(w @ z[~event])
    parts: dict[str, float] = dict.fromkeys(fit["cluster"].tolist(), 0.0)
    weights = iter(w)
    for name, value, is_event in zip(fit["cluster"].tolist(), z, event, strict=True):
        parts[name] += (value - mean) / event.sum() if is_event else -next(weights) * (value - level)
    effect, se = (mean - level) / unit, math.sqrt(sum(part**2 for part in parts.values())) / unit
    df = fit["weeks"] - 1
    half = float(stats.t.ppf(0.975, df)) * se
    return only(effect, len(found.counted[group]), effect - half, effect + half, 2 * stats.t.sf(abs(effect / se), df))


def calendar_row(found: Reversal, names: Sequence[str]) -> Row:
    """Mean abnormal return over the calendar days on which a post window is open, times its days."""
    days: dict[np.datetime64, list[float]] = {}
    for name in names:
        own: dict[np.datetime64, list[tuple[float, float]]] = {}
        p = found.portfolio[name]
        for f, late, weight in zip(p.firms, p.late, p.weights(POST), strict=True):
            for j in range(POST[0], POST[1] + 1):
                value = f.real(j, late) - f.normal(j, late=late)
                if weight and math.isfinite(value):
                    # A day of a locked peer that is several days counts on the last of them.
                    at = f.position + moved(j, late)[-1]
                    own.setdefault(found.book.world.days[f.mic][at], []).append((weight, value))
        for day, pairs in own.items():
            total = sum(weight for weight, _ in pairs)
            days.setdefault(day, []).append(sum(weight * value for weight, value in pairs) / total)
    length = POST[1] - POST[0] + 1
    return {**mean_row([length * float(np.mean(values)) for values in days.values()]), "n_dates": len(names)}


def falls_balance(book: Book) -> Columns:
    found, rows = reversal_of(book), []
    for row in book.rows("falls_balance"):
        fit = regressed(found, row.group)
        event = fit["event"]
        values = np.array([getattr(fall, row.variable) for fall in fit["listed"]])
        own, others = values[event], values[~event]
        both = math.sqrt((stats.tvar(others) + (stats.tvar(own) if len(own) > 1 else stats.tvar(others))) / 2)
        # Frisch and Waugh: what the other traits leave of the drops' mark explains what they leave of the trait.
        x = fit["traits"]
        # The prior of the depth's slope is one more row.
        prior = np.zeros(x.shape[1])
        prior[-2] = 10
        x, mark, left = np.vstack([x, prior]), np.append(event, 0.0), np.append(values, 0.0)
        mark, left = (y - x @ (np.linalg.pinv(x) @ y) for y in (mark, left))
        rows.append(
            {
                "mean_events": own.mean(),
                "mean_controls": others.mean(),
                "smd_before": (own.mean() - others.mean()) / both,
                "smd_after": float(mark @ left) / float(mark @ mark) / both,
                "n_events": len(own),
                "n_controls": len(others),
            }
        )
    return stack(rows)


def regression_measures(found: Reversal, group: str) -> dict[str, Row]:
    """Page 1's answer and what follows from its standard error."""
    names, fit = found.counted[group], regressed(found, group)
    k, effect, se, df = len(names), fit["effect"], fit["se"], fit["df"]
    half, p = float(stats.t.ppf(0.975, df)) * se, float(2 * stats.t.sf(abs(effect / se), df))
    margin = margin_of(found, names)
    answer = only(effect, k, effect - half, effect + half, p)
    nearer = (margin - abs(effect)) / se
    return {
        "car_drop": mean_row([found.drop[n] for n in names]),
        "car_post": mean_row([found.post[n] for n in names]),
        "excess_post": answer,
        "excess_regression": answer,
        "equivalence": only(effect, k, -margin, margin, float(stats.t.sf(nearer, df))),
        "smallest_detectable_effect": only(smallest_effect(se, df), k),
        **{
            f"dates_needed_{e:.0%}": only(dates_needed(se * math.sqrt(k), e, df / (k - 1)), k)
            for e in (0.02, 0.05, 0.10)
        },
    }


def group_measures(found: Reversal, group: str) -> dict[str, Row]:
    """All measures of one kind of drop, by name."""
    names, k = found.groups[group], len(found.groups[group])
    x = np.array([found.excess(n) for n in names])
    post, others = [found.post[n] for n in names], [found.others(n) for n in names]
    p = permutation_p(post, others)
    rows = {
        **regression_measures(found, group),
        "excess_weighted": weighted_row(found, group),
        "calendar_time_alpha": calendar_row(found, found.counted[group]),
        "excess_matched": {**mean_row(x), "p_value": p},
        # No donors are named; their formula has a twin in tests/reversal/test_robustness_synthetic.py.
        "excess_synthetic": only(NAN, 0),
        "excess_post_date_t": mean_row(x),
        "excess_post_sign_flip": only(x.mean(), k, p=_sign_flip_p(x)),
        **{f"excess_{kind}": mean_row([excess_as(found, n, kind) for n in names]) for kind in KINDS},
        **{f"excess_[{w[0]},{w[1]}]": window_row(found, names, w) for w in WINDOWS if w not in (DROP, POST)},
        **{f"excess_{tier}": _tier(found, names, tier) for tier in ("P0", "P1", "P2", "P3")},
        "post_random_days": mean_row(random := _by_day(found, names, "P0")),
        "matched_less_random": _welch(_by_day(found, names, "P1"), random),
        "reversal_ratio": _fieller([found.drop[n] for n in names], post),
        "reversal_ratio_placebos": _fieller(*_placebo_means(found, names)),
        "share_positive": _share(x),
        **_recovery(found, names),
    }
    left_out = [(x.sum() - value) / (k - 1) for value in x]
    rows["excess_leave_one_out"] = only(x.mean(), k, min(left_out), max(left_out))
    return rows


def _sign_flip_p(x: Floats) -> float:
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(x))))
    return float((np.abs(signs @ x) >= abs(x.sum()) * (1 - 1e-12)).mean())


def window_row(found: Reversal, names: Sequence[str], window: tuple[int, int]) -> Row:
    post = [found.portfolio[n].car(window) for n in names]
    others = [found.others(n, window) for n in names]
    x = [value - float(np.mean(o)) for value, o in zip(post, others, strict=True)]
    return {**mean_row(x), "p_value": permutation_p(post, others)}


def _tier(found: Reversal, names: Sequence[str], tier: str) -> Row:
    posts = {name: _posts(found, name, tier) for name in names}
    return mean_row([found.post[name] - float(np.mean(values)) for name, values in posts.items() if values])


def _posts(found: Reversal, name: str, tier: str) -> list[float]:
    """CARs after the placebos of one tier of a shock."""
    days = [row.placebo_date for row in found.book.rows("placebo") if row.tier == tier and row.shock_id == name]
    if tier == "P2":
        dates = {str(p.day(found.book.world)): other for other, p in found.portfolio.items()}
        return [found.post[dates[day]] for day in days]
    return [found.book.study.placebo(name, day).car(POST) for day in days]


def _by_day(found: Reversal, names: Sequence[str], tier: str) -> list[float]:
    """CARs after the days of one tier, each day once."""
    days: dict[str, list[float]] = {}
    for name in names:
        listed = [row for row in found.book.rows("placebo") if row.tier == tier and row.shock_id == name]
        for row, value in zip(listed, _posts(found, name, tier), strict=True):
            days.setdefault(row.placebo_date, []).append(value)
    return [float(np.mean(values)) for values in days.values()]


def _welch(one: Sequence[float], other: Sequence[float]) -> Row:
    test = stats.ttest_ind(one, other, equal_var=False)
    low, high = test.confidence_interval(0.95)
    return only(float(np.mean(one) - np.mean(other)), len(one), float(low), float(high), float(test.pvalue))


def _placebo_means(found: Reversal, names: Sequence[str]) -> tuple[list[float], list[float]]:
    drop = [float(np.mean(found.others(n, DROP))) for n in names]
    return drop, [float(np.mean(found.others(n))) for n in names]


def _fieller(drop: Sequence[float], post: Sequence[float]) -> Row:
    """The ratio and where Fieller's inequality turns, found by bisection."""
    k = len(drop)
    t = float(stats.t.ppf(0.975, k - 1))
    m_d, m_p = float(np.mean(drop)), float(np.mean(post))
    cov = np.cov(drop, post) / k

    def gap(rho: float) -> float:
        return (m_p + rho * m_d) ** 2 - t**2 * (cov[1, 1] + 2 * rho * cov[0, 1] + rho**2 * cov[0, 0])

    ends = np.sort(np.roots([m_d**2 - t**2 * cov[0, 0], 2 * (m_p * m_d - t**2 * cov[0, 1]), m_p**2 - t**2 * cov[1, 1]]))
    if np.iscomplex(ends).any():
        return only(-m_p / m_d, k, -math.inf, math.inf)
    assert all(abs(gap(end)) < 1e-12 for end in ends)
    return only(-m_p / m_d, k, float(ends[0]), float(ends[1]))


def _share(x: Floats) -> Row:
    hits, n = int((x > 0).sum()), len(x)
    interval = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    return only(hits / n, n, float(interval.low), float(interval.high))


def _log_path(p: Portfolio) -> Floats:
    """Cumulative log abnormal return of a portfolio from day 0 on."""
    days = [j for j in TAU if j >= 0]

    def daily(f: Fit, j: int, late: int) -> float:
        return math.log1p(f.real(j, late)) - math.log1p(f.normal(j, late=late))

    return np.cumsum([p.daily(daily, j, (DROP[0], POST[1])) for j in days])


def _recovery(found: Reversal, names: Sequence[str]) -> dict[str, Row]:
    study = found.book.study
    placebos = [study.placebo(n, day) for n in names for day in found.matched[n]]
    rows = {}
    for suffix, portfolios in (("", [found.portfolio[n] for n in names]), ("_placebos", placebos)):
        paths = [_log_path(p) for p in portfolios if sum(p.weights((DROP[0], POST[1])))]
        for share in (0.5, 1.0):
            time, seen = [], []
            for path in paths:
                target = -(1 - share) * abs(path[DROP[1]])
                at = next((j for j in range(DROP[1] + 1, POST[1] + 1) if path[j] >= target), None)
                time.append(float(POST[1] if at is None else at))
                seen.append(at is not None)
            half = [t for t in sorted(set(time)) if slow.survival_loop(time, seen, t) <= 0.5]
            rows[f"recovery_{share:.0%}{suffix}"] = only(half[0] if half else NAN, len(paths))
        rows[f"half_life{suffix}"] = only(_half_life(np.mean(paths, axis=0)[DROP[1] :]), len(paths))
    return rows


def _half_life(path: Floats) -> float:
    steps = np.diff(path)
    if not ((steps > 0).all() or (steps < 0).all()):
        return NAN
    grid = np.linspace(0.01, 0.99, 981)
    errors = []
    for phi in grid:
        design = np.column_stack([np.ones(len(path)), phi ** np.arange(len(path))])
        errors.append(((path - design @ np.linalg.lstsq(design, path, rcond=None)[0]) ** 2).sum())
    best = int(np.argmin(errors))
    return NAN if best == len(grid) - 1 else math.log(0.5) / math.log(grid[best])


def difference(found: Reversal) -> Row:
    """Misread less genuine, over all ways to choose who was misread."""
    ours, theirs = ([found.excess(n) for n in found.groups[g]] for g in (ASKED, "label=genuine"))
    gap = float(np.mean(ours) - np.mean(theirs))
    return only(gap, len(ours) + len(theirs), p=slow.difference_loop(ours, theirs))


def regression_rows(found: Reversal) -> dict[str, Row]:
    """CAR_post on CAR_drop, label and product over the peers of all drops labelled in time."""
    y, x, treated, cluster = [], [], [], []
    for name in found.names:
        label = found.lead[name].label
        if found.qualifies[name] and found.in_time[name] and label in ("misreading", "genuine"):
            p = found.portfolio[name]
            y += p.cars(POST)
            x += p.cars(DROP)
            treated += [float(label == "misreading")] * len(p.firms)
            cluster += [name] * len(p.firms)
    names = ("const", "car_drop", "misreading", "misreading_x_car_drop")
    g = len(set(cluster))
    if len({c for c, t in zip(cluster, treated, strict=True) if t}) < 3 or g < 10:
        return {f"regression_{name}": only(NAN, g) for name in names[1:]}
    centred = np.array(x) - np.mean(x)
    design = np.column_stack([np.ones(len(y)), centred, treated, np.array(treated) * centred])
    fit = twins.cluster_regression(np.array(y), design, np.array(cluster), np.ones((1, g)))
    beta = np.linalg.lstsq(design, np.array(y), rcond=None)[0]
    rows = {}
    for j, name in enumerate(names):
        se, df = fit.se_cr2[j], fit.df_cr2[j]
        half = stats.t.ppf(0.975, df) * se
        p = 2 * stats.t.sf(abs(beta[j] / se), df)
        rows[f"regression_{name}"] = only(beta[j], g, beta[j] - half, beta[j] + half, p)
    return rows


def dimension_rows(found: Reversal) -> Iterator[tuple[tuple[str, str], Row]]:
    for side in ("engineering", "cross_industry", "policy"):
        names = [n for n in found.names if found.lead[n].dimension == side and math.isfinite(found.post[n])]
        group = f"dimension={side}"
        yield ("car_drop", group), mean_row([found.drop[n] for n in names])
        yield ("car_post", group), mean_row([found.post[n] for n in names])
        over = [found.excess(n) for n in names if found.qualifies[n]]
        yield ("excess_post", group), mean_row([v for v in over if math.isfinite(v)])


def exposure_rows(found: Reversal) -> Iterator[tuple[tuple[str, str], Row]]:
    for name, window in (("car_drop", DROP), ("car_post", POST)):
        high, low, y, x, cluster = [], [], [], [], []
        for shock in found.names:
            p = found.portfolio[shock]
            pairs = [(plan.EXPOSURE[f.ticker], c) for f, c in zip(p.firms, p.cars(window), strict=True)]
            sides = [[c for e, c in pairs if (e >= 0.75) is wanted] for wanted in (True, False)]
            means = [float(np.mean(side)) if side else NAN for side in sides]
            high.append(means[0])
            low.append(means[1])
            y += [c - np.mean([c for _, c in pairs]) for _, c in pairs]
            x += [e - np.mean([e for e, _ in pairs]) for e, _ in pairs]
            cluster += [shock] * len(pairs)
        yield (name, "exposure=high"), mean_row([v for v in high if math.isfinite(v)])
        yield (name, "exposure=low"), mean_row([v for v in low if math.isfinite(v)])
        gaps = [a - b for a, b in zip(high, low, strict=True) if math.isfinite(a + b)]
        yield (f"{name}_difference", "exposure=high-low"), mean_row(gaps)
        design = np.column_stack([np.ones(len(y)), x])
        g = len(set(cluster))
        fit = twins.cluster_regression(np.array(y), design, np.array(cluster), np.ones((1, g)))
        beta = float(np.linalg.lstsq(design, np.array(y), rcond=None)[0][1])
        half = stats.t.ppf(0.975, fit.df_cr2[1]) * fit.se_cr2[1]
        p = 2 * stats.t.sf(abs(beta / fit.se_cr2[1]), fit.df_cr2[1])
        yield (f"{name}_slope", "exposure"), only(beta, g, beta - half, beta + half, p)


def reversal_measures(book: Book) -> Columns:
    found = reversal_of(book)
    rows: dict[tuple[str, str], Row] = {
        (name, group): row for group in found.groups for name, row in group_measures(found, group).items()
    }
    rows["difference", "misreading-genuine"] = difference(found)
    rows |= {(name, "misreading-genuine"): row for name, row in regression_rows(found).items()}
    rows |= dict(dimension_rows(found))
    rows |= dict(exposure_rows(found))
    return stack(rows[row.measure, row.group] for row in book.rows("reversal_measures"))


def gates(book: Book) -> Columns:
    found = reversal_of(book)
    names = found.groups[ASKED]
    s = np.array([found.portfolio[n].s(DROP) for n in names])
    t = s.mean() / s.std(ddof=1) * math.sqrt(len(s))
    measures = group_measures(found, ASKED)
    steps = [
        (float(np.mean([found.drop[n] for n in names])), 2 * stats.t.sf(abs(t), len(s) - 1)),
        (measures["excess_post"]["estimate"], measures["excess_post"]["p_value"]),
        (difference(found)["estimate"], difference(found)["p_value"]),
    ]
    # One window is left beside drop and post, so Holm leaves its p as it is.
    (window,) = [w for w in WINDOWS if w not in (DROP, POST)]
    secondary = window_row(found, names, window)
    steps.append((secondary["estimate"], secondary["p_value"]))
    rows, open_ = [], True
    for place, (estimate, p) in enumerate(steps, 1):
        passed = open_ and p <= 0.05
        row = {"step": place, "estimate": estimate, "p_value": p, "level": 0.05, "reached": open_, "passed": passed}
        rows.append(row)
        open_ = passed
    return stack(rows)


def reversal_paths(book: Book) -> Columns:
    found = reversal_of(book)
    window = (DROP[0], POST[1])

    def abnormal(f: Fit, j: int, late: int) -> float:
        # Before the window a day without trade is one without a move.
        return float(np.nan_to_num(f.real(j, late) - f.normal(j, late=late)))

    @functools.cache
    def path(name: str, day: str) -> Floats:
        p = found.book.study.placebo(name, day) if day else found.portfolio[name]
        if not sum(p.weights(window)):
            return np.full(len(TAU), NAN)
        return np.cumsum([p.daily(abnormal, j, window) for j in TAU])

    rows: dict[tuple[str, str, int], Row] = {}
    for group, names in found.groups.items():
        paths = [[p for day in found.matched[n] if np.isfinite(p := path(n, day)).all()] for n in names]
        lines = {
            "events": ([path(n, "") for n in names], len(names)),
            "placebos": ([np.mean(lines, axis=0) for lines in paths], sum(map(len, paths))),
        }
        for series, (values, count) in lines.items():
            for place, tau in enumerate(TAU):
                row = mean_row([line[place] for line in values if math.isfinite(line[place])])
                rows[group, series, tau] = {
                    "tau": tau,
                    "n_dates": row["n_dates"],
                    "n_paths": count,
                    "car": row["estimate"],
                    "lower": row["lower"],
                    "upper": row["upper"],
                }
    order: dict[tuple[str, str], Iterator[int]] = {}
    keys = [(row.group, row.series) for row in book.rows("reversal_paths")]
    return stack(rows[*key, next(order.setdefault(key, iter(TAU)))] for key in keys)


def clarifications(book: Book) -> Columns:
    found, rows = reversal_of(book), []
    for row in book.rows("clarifications"):
        answer = book.study.events[row.event_id]
        lead = found.lead[row.shock_id]
        delay = max(book.world.at(mic, answer.day0[mic]) - book.world.at(mic, lead.day0[mic]) for mic in lead.day0)
        before, at, after, speedup = _parts(found.portfolio[row.shock_id], delay)
        others = [_parts(book.study.placebo(row.shock_id, day), delay)[3] for day in found.matched[row.shock_id]]
        rows.append(
            {
                "delay": delay,
                "car_before": before,
                "car_at": at,
                "car_after": after,
                "speedup": speedup,
                "speedup_placebos": np.mean(others),
                "n_placebos": len(others),
                "p_value": permutation_p([speedup], [others]),
                # One answer alone is too few for the test over dates.
                "attributed": False,
            }
        )
    return stack(rows)


def _parts(p: Portfolio, delay: int) -> tuple[float, float, float, float]:
    before, at, after = p.car((POST[0], delay - 1)), p.car((delay, delay + 1)), p.car((delay + 2, POST[1]))
    speedup = (at + after) / (POST[1] - delay + 1) - before / (delay - POST[0])
    return before, at, after, speedup


def specification_curve(book: Book) -> Columns:
    found = reversal_of(book)
    names, study = found.groups[ASKED], book.study
    sets = []
    for row in book.rows("specification_curve"):
        window = window_of(row.window)

        def car(p: Portfolio, window: tuple[int, int] = window, row: Any = row) -> float:
            # The mean return is the whole of its model: no policy of the intercept takes it out.
            alpha = "estimated" if row.model == "mean_adjusted" else row.alpha
            return p.car(window, alpha)

        sets.append(
            [
                [
                    car(study.shock(n, row.returns, row.model)),
                    *(car(study.placebo(n, day, row.returns, row.model)) for day in found.matched[n]),
                ]
                for n in names
            ]
        )
    over = [np.array([s[0] - np.mean(s[1:]) for s in one]) for one in sets]
    means = [float(x.mean()) for x in over]
    halves = [float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x))) for x in over]
    median, share = float(np.median(means)), float(np.mean([m > 0 for m in means]))
    p = _joint_p(sets)
    return stack(
        {"estimate": mean, "lower": mean - half, "upper": mean + half}
        | {"n_dates": len(names), "median": median, "share_positive": share, "joint_p": p}
        for mean, half in zip(means, halves, strict=True)
    )


def _joint_p(sets: Sequence[Sequence[Sequence[float]]]) -> float:
    """Median over specifications, one permutation for all of them; the draws are given."""
    over = [np.array([_as_event(one[k]) for one in sets]) for k in range(len(sets[0]))]
    ways = math.prod(values.shape[1] for values in over)
    rng = np.random.default_rng(plan.SEED)
    if ways <= 1_999:
        picks: Any = np.array(list(itertools.product(*(range(v.shape[1]) for v in over)))).T
        added = 0
    else:
        picks, added = [rng.integers(0, v.shape[1], size=1_999) for v in over], 1
    drawn = np.mean([values[:, pick] for values, pick in zip(over, picks, strict=True)], axis=0)
    medians: NDArray[np.float64] = np.abs(np.median(drawn, axis=0))
    observed = abs(float(np.median(np.mean([values[:, 0] for values in over], axis=0))))
    return float(((medians >= observed * (1 - 1e-12)).sum() + added) / (len(medians) + added))
