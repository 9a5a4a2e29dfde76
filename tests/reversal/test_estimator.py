"""The regression of falls against a slow twin written from its formulas, and its size where nothing happened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg, stats
from statsmodels.api import OLS

from eventstudy.reversal.estimator import (
    APART,
    Excess,
    Falls,
    clusters,
    estimate,
    is_control,
    outcome,
    ruled_out,
    slides,
)

LENGTH = 19


def falls_of(
    returns: NDArray[np.float64], events: NDArray[np.int64], *, stratum: str = "A", effect: float = 0.0
) -> Falls:
    """Every fall of one portfolio's abnormal returns, in loops, with ``effect`` after the events."""
    rows = []
    recent = np.empty(len(returns))
    variance = float(returns[:60].var())
    for t, value in enumerate(returns):
        variance = 0.94 * variance + 0.06 * value**2
        recent[t] = np.sqrt(variance)
    for t in range(260, len(returns) - 21):
        sigma = returns[t - 250 : t - 10].std(ddof=2)
        drop = returns[t : t + 2].sum()
        s = drop / sigma / np.sqrt(2)
        event = t in events
        if event or (is_control(s, drop) and (np.abs(events - t) >= APART).all()):
            post = returns[t + 2 : t + 21].sum() + effect * event
            rows.append((event, stratum, t, t // 5, s, returns[t - 60 : t].sum(), post, sigma, recent[t + 1]))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    names = ("event", "stratum", "session", "week", "drop_s", "run_up", "post", "sigma", "recent")
    return Falls(**dict(zip(names, columns, strict=True)), length=LENGTH)


def portfolio(seed: int, days: int = 1_500) -> NDArray[np.float64]:
    """GARCH(1,1)-t(5) abnormal returns of about 1.8 % a day."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(5, days) / np.sqrt(5 / 3)
    variance, found = 1.0, np.empty(days)
    for t in range(days):
        found[t] = np.sqrt(variance) * shocks[t]
        variance = 0.02 + 0.08 * found[t] ** 2 + 0.90 * variance
    return 0.018 * found


def drops_of(returns: NDArray[np.float64], k: int, seed: int) -> NDArray[np.int64]:
    """Days of k qualifying drops, drawn at random, each more than a post window after the one before."""
    rng = np.random.default_rng(seed)
    sigma = np.array([returns[t - 250 : t - 10].std(ddof=2) for t in range(260, len(returns) - 21)])
    drop = np.array([returns[t : t + 2].sum() for t in range(260, len(returns) - 21)])
    days = 260 + np.flatnonzero((drop / sigma / np.sqrt(2) <= -2) & (drop <= -0.03))
    kept: list[int] = []
    for day in rng.permutation(days).tolist():
        if len(kept) < k and all(abs(day - other) > LENGTH for other in kept):
            kept.append(day)
    return np.array(sorted(kept))


def fitted(x: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level and slopes of ``z`` on level, depth and run-up, the slope of the depth drawn towards none."""
    return np.linalg.solve(x.T @ x + np.diag([0.0, 100.0, 0.0]), x.T @ z)


def twin(falls: Falls, *, moderated: bool) -> tuple[float, float, float]:
    """Effect, standard error and degrees of freedom from whole matrices."""
    m = (falls.sigma + falls.recent) / 2 * np.sqrt(falls.length)
    z = falls.post / m
    centre = np.median(z[~falls.event])
    edge = 2 * 1.4826 * np.median(np.abs(z[~falls.event] - centre))
    z = np.minimum(np.maximum(z, centre - edge), centre + edge)
    levels = [(falls.stratum == name).astype(float) for name in sorted(set(falls.stratum.tolist()))]
    x = np.column_stack([*levels, falls.drop_s.clip(-5, 0), falls.run_up.clip(-0.6, 0.6), falls.event / m])
    group, traits, control, weight_of_usual = clusters(falls), x[:, :-1], ~falls.event, 0
    usual = OLS(z[control], traits[control]).fit().mse_resid
    if moderated:
        weight_of_usual = 2
        left = z[control] - traits[control] @ fitted(traits[control], z[control])
        usual = left @ left / (control.sum() - 3)
        x, z, group = np.vstack([x, [0, 10, 0, 0]]), np.append(z, 0), np.append(group, group.max() + 1)
    bread = np.linalg.inv(x.T @ x)
    hat = x @ bread @ x.T
    residual = z - hat @ z
    columns = []
    variance, of_events, expected = 0.0, 0.0, 0.0
    weeks = set(clusters(falls)[falls.event].tolist())
    for g in np.unique(group):
        rows = np.flatnonzero(group == g)
        root = linalg.pinv(np.real(linalg.sqrtm(np.eye(len(rows)) - hat[np.ix_(rows, rows)])))
        weight = root @ x[rows] @ bread[:, -1]
        part = float(weight @ residual[rows]) ** 2
        if g in weeks:
            of_events += part
            expected += len(rows) * usual * ((x[rows] @ bread[:, -1]) ** 2).sum()
        else:
            variance += part
        columns.append((np.eye(len(z)) - hat)[:, rows] @ weight)
    gram = np.array([[a @ b for b in columns] for a in columns])
    df, own = np.trace(gram) ** 2 / (gram**2).sum(), len(weeks) - 1
    variance += (weight_of_usual * expected + own * of_events) / (weight_of_usual + own)
    return float((bread @ x.T @ z)[-1]), float(np.sqrt(variance)), min(df, own) + weight_of_usual


@pytest.mark.parametrize("moderated", [True, False])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_regression_is_its_slow_twin(seed: int, moderated: bool) -> None:
    returns = portfolio(seed)
    events = drops_of(returns, 6, seed)
    falls = falls_of(returns, events)
    week = falls.week.copy()
    # Two events of one week.
    week[np.flatnonzero(falls.event)[1]] = week[np.flatnonzero(falls.event)[0]]
    falls = replace(falls, week=week)
    found = estimate(falls, moderated=moderated)
    effect, se, df = twin(falls, moderated=moderated)
    assert found.effect == pytest.approx(effect, rel=1e-9)
    assert found.se == pytest.approx(se, rel=1e-6)
    assert found.df == pytest.approx(df, rel=1e-6)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(effect / se), df), rel=1e-6)
    assert (found.lower, found.upper) == pytest.approx(stats.t.interval(0.95, df, effect, se), rel=1e-6)
    assert found.n_events + found.n_controls == len(falls)


def test_the_shrunken_effect_is_the_mean_of_prior_times_likelihood() -> None:
    """On a grid: normal around none with the controls' spread, times normal around the effect."""
    returns = portfolio(5)
    falls = falls_of(returns, drops_of(returns, 6, 5), effect=0.08)
    found = estimate(falls)
    control = falls.take(~falls.event)
    m = (control.sigma + control.recent) / 2 * np.sqrt(LENGTH)
    x = np.column_stack([np.ones(len(m)), control.drop_s.clip(-5, 0), control.run_up.clip(-0.6, 0.6)])
    z = outcome(falls)[~falls.event]
    residual = ((z - x @ fitted(x, z)) * m).tolist()
    assert found.prior_sd == pytest.approx(np.sqrt(sum(r**2 for r in residual) / (len(residual) - 3)), rel=1e-9)
    grid = np.linspace(-1, 1, 400_001)
    weight = stats.norm.pdf(grid, 0, found.prior_sd) * stats.norm.pdf(grid, found.effect, found.se)
    shrunk, above = found.shrunken(0.008)
    assert shrunk == pytest.approx((grid * weight).sum() / weight.sum(), rel=1e-6)
    assert above == pytest.approx(weight[grid > 0.008].sum() / weight.sum(), abs=1e-4)
    assert 0 < abs(shrunk) < abs(found.effect)
    # One date has no standard error: its rank, and no more.
    assert np.isnan(estimate(falls.take(np.cumsum(falls.event) * falls.event <= 1)).shrunken(0.008)).all()


def test_the_effect_is_that_of_statsmodels() -> None:
    returns = portfolio(4)
    falls = falls_of(returns, drops_of(returns, 5, 4))
    x = np.column_stack(
        [np.ones(len(falls)), falls.drop_s.clip(-5, 0), falls.run_up.clip(-0.6, 0.6), falls.event / falls.scale()]
    )
    plain = OLS(outcome(falls), x).fit()
    assert estimate(falls, moderated=False).effect == pytest.approx(plain.params[-1], rel=1e-9)


def test_a_planted_effect_is_found_again_in_points() -> None:
    returns = portfolio(5)
    events = drops_of(returns, 6, 5)
    calm, moved = (estimate(falls_of(returns, events, effect=effect)) for effect in (0.0, 0.01))
    # Far from the winsorised edges an effect of a point moves the estimate by a point.
    assert moved.effect - calm.effect == pytest.approx(0.01, abs=0.002)


def test_strata_have_levels_of_their_own_and_weeks_join_events() -> None:
    parts = [falls_of(portfolio(s), drops_of(portfolio(s), 2, s), stratum=name) for s, name in ((6, "A"), (7, "B"))]
    arrays = {n: np.concatenate([getattr(p, n) for p in parts]) for n in Falls.__slots__ if n != "length"}
    # A stratum whose falls are all followed by 5 points more changes nothing: its level takes it up.
    other = {
        **arrays,
        "post": arrays["post"] + 0.05 * (arrays["stratum"] == "B") * (arrays["sigma"] + arrays["recent"]),
    }
    found, level = (estimate(Falls(**a, length=LENGTH)) for a in (arrays, other))
    week = arrays["week"].copy()
    week[arrays["event"]] = (900, 900, 910, 920)
    joined = estimate(Falls(**{**arrays, "week": week}, length=LENGTH))
    assert found.n_events == 4
    assert np.isfinite(level.effect)
    assert joined.effect == pytest.approx(found.effect)
    assert joined.df <= 4.0 < found.n_weeks + 2
    assert joined.n_weeks == 3
    assert joined.n_clusters == found.n_clusters - 1
    # Weeks ten apart share no day of the post windows; four in a row share most of them.
    assert joined.k_eff == 3.0
    week[arrays["event"]] = (900, 901, 902, 903)
    shared = [[1 - 5 * abs(i - j) / LENGTH for j in range(4)] for i in range(4)]
    near = estimate(Falls(**{**arrays, "week": week}, length=LENGTH))
    assert near.k_eff == pytest.approx(16 / np.maximum(shared, 0).sum())


def test_events_of_two_weeks_are_ranked_however_many_they_are() -> None:
    returns = portfolio(10)
    falls = falls_of(returns, drops_of(returns, 4, 10))
    week = falls.week.copy()
    week[falls.event] = (900, 900, 910, 910)
    found = estimate(replace(falls, week=week))
    assert (found.n_events, found.n_weeks) == (4, 2)
    assert np.isnan(found.se)
    assert found.effect == pytest.approx((found.own[:2].mean() + found.own[2:].mean()) / 2)
    # One week is ranked among single controls.
    week[falls.event] = 900
    one = estimate(replace(falls, week=week))
    assert one.among == one.n_controls + 1
    assert one.effect == pytest.approx(one.own.mean())
    assert one.spread > 0


def test_slides_of_strata_with_common_peers_are_one() -> None:
    returns = portfolio(11)
    events = drops_of(returns, 4, 11)
    one, other = (falls_of(returns, events, stratum=name) for name in "AB")
    other = other.take(~other.event)
    names = ("event", "stratum", "session", "week", "drop_s", "run_up", "post", "sigma", "recent")
    arrays = {n: np.concatenate([getattr(one, n), getattr(other, n)]) for n in names}
    apart = Falls(**arrays, length=LENGTH)
    linked = replace(apart, family=np.full(len(apart), "A"))
    assert len(np.unique(clusters(apart))) == 2 * len(np.unique(clusters(linked))) - 4
    code, twice = clusters(linked), len(one)
    assert (code[:twice][~one.event] == code[twice:]).all()


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    returns = portfolio(12)
    found = estimate(falls_of(returns, drops_of(returns, 6, 12)))
    margin = abs(found.effect) + 0.02
    below, above = ((found.effect + side * margin) / found.se for side in (1, -1))
    expected = max(stats.t.sf(below, found.df), stats.t.cdf(above, found.df))
    assert found.equivalence_p(margin) == pytest.approx(expected)
    assert found.equivalence_p(abs(found.effect) / 2) > 0.5
    assert found.p_greater == pytest.approx(stats.t.sf(found.statistic, found.df))


def test_one_drop_is_ranked_among_controls_by_size() -> None:
    returns = portfolio(8)
    events = drops_of(returns, 1, 8)
    falls = falls_of(returns, events, effect=0.60)
    found = estimate(falls)
    assert found.n_events == 1
    assert np.isnan(found.se)
    assert found.among == found.n_controls + 1
    # Winsorised: the largest is as large as those that were moved in, or its level adds to them. Nothing is expected
    # of a control by falls of its own slide: their windows have days in common.
    z, rows = outcome(falls), np.flatnonzero(~falls.event)
    x = np.column_stack([np.ones(len(falls)), falls.drop_s.clip(-5, 0), falls.run_up.clip(-0.6, 0.6)])
    slide = slides(falls.session[rows])
    alone = []
    for i, own_slide in zip(rows.tolist(), slide.tolist(), strict=True):
        others = rows[slide != own_slide]
        alone.append(z[i] - x[i] @ fitted(x[others], z[others]))
    event = int(np.flatnonzero(falls.event)[0])
    own = z[event] - x[event] @ fitted(x[rows], z[rows])
    assert found.rank == 1 + sum(abs(value) >= abs(own) * (1 - 1e-12) for value in alone)
    assert found.p_value == found.rank / found.among
    assert found.p_floor == 1 / found.among


def test_two_drops_are_ranked_among_pairs_without_the_slides_of_both() -> None:
    returns = portfolio(8)
    falls = falls_of(returns, drops_of(returns, 2, 8), effect=0.02)
    found = estimate(falls, draws=300, seed=4)
    z, rows = outcome(falls), np.flatnonzero(~falls.event)
    x = np.column_stack([np.ones(len(falls)), falls.drop_s.clip(-5, 0), falls.run_up.clip(-0.6, 0.6)])
    slide = slides(falls.session[rows])
    pairs = np.random.default_rng(4).integers(len(rows), size=(300, 2))
    means = []
    for first, second in pairs[slide[pairs[:, 0]] != slide[pairs[:, 1]]].tolist():
        others = rows[(slide != slide[first]) & (slide != slide[second])]
        slope = fitted(x[others], z[others])
        means.append(np.mean([z[rows[i]] - x[rows[i]] @ slope for i in (first, second)]))
    own = (found.own / falls.scale()[falls.event]).mean()
    assert found.among == 1 + len(means)
    assert found.rank == 1 + sum(abs(value) >= abs(own) * (1 - 1e-12) for value in means)


def test_falls_from_the_day_before_an_event_to_the_end_of_its_window_are_no_controls() -> None:
    near = ruled_out(np.arange(90, 130), np.array([100]))
    assert (90 + np.flatnonzero(near)).tolist() == list(range(99, 121))


def test_slides_are_chains_of_near_falls() -> None:
    assert slides(np.array([0, 5, 20, 41, 100, 120])).tolist() == [0, 0, 0, 1, 2, 2]


def test_without_controls_there_is_no_estimate_but_a_reason() -> None:
    returns = portfolio(9)
    falls = falls_of(returns, drops_of(returns, 3, 9))
    few = np.flatnonzero(falls.event).tolist() + np.flatnonzero(~falls.event)[:5].tolist()
    found = estimate(falls.take(np.array(few)))
    assert np.isnan(found.effect)
    assert found.reason.codes == ("excess.no_controls",)


def test_where_nothing_happened_it_rejects_at_most_its_level() -> None:
    """Six drops at random in one sector's own history; 200 draws bound the share to 5 % ± 4 points."""
    found: list[Excess] = []
    for seed in range(200):
        returns = portfolio(100 + seed, 1_100)
        falls = falls_of(returns, drops_of(returns, 6, seed))
        if falls.event.sum() >= 3:
            found.append(estimate(falls))
    rejected = np.mean([row.p_value <= 0.05 for row in found])
    assert len(found) > 150
    assert rejected <= 0.09


def test_with_many_controls_the_prior_of_the_slope_says_nothing() -> None:
    """Each control four hundred times."""
    returns = portfolio(13)
    falls = falls_of(returns, drops_of(returns, 6, 13))
    control = np.flatnonzero(~falls.event)
    many = falls.take(np.concatenate([np.flatnonzero(falls.event), np.tile(control, 400)]))
    free, drawn = (estimate(many, moderated=moderated).effect for moderated in (False, True))
    few = [estimate(falls, moderated=moderated).effect for moderated in (False, True)]
    assert abs(free - drawn) < 0.02 * abs(few[0] - few[1])
