"""Market-wide fits and tests against QR, against the model of a study and against its statistics."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from market_panels import LAYOUT, as_sample, as_study, firm_events, reduce_events, run_battery, wide_panel
from numpy.typing import NDArray
from scipy import special

from eventstudy.config import Model, StudyConfig
from eventstudy.core.abnormal import Alpha
from eventstudy.core.statistics import STATISTICS
from eventstudy.errors import ConfigError
from eventstudy.large import days, prefix
from eventstudy.large.battery import AT_ANY_SIZE, average_returns
from eventstudy.large.by_model import fit_by_model
from eventstudy.large.days import DaySums, session_correlation
from eventstudy.large.engine import layout_of
from eventstudy.large.fit import fit_events
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, empty_fit
from eventstudy.large.prefix import fit_prefix
from eventstudy.results.tables import aar_table


def by_qr(panel: WidePanel, events: FirmEvents, i: int, layout: Layout) -> tuple[float, float, float]:
    """(alpha, beta, sigma) of one firm-event by QR."""
    rows = slice(
        max(int(events.position[i]) + layout.estimation[0], 0),
        max(int(events.position[i]) + layout.estimation[1] + 1, 0),
    )
    y, x = panel.returns[events.security[i], rows], panel.indices[events.index[i], rows]
    used = np.isfinite(y) & np.isfinite(x)
    design = np.column_stack([np.ones(used.sum()), x[used]])
    q, r = np.linalg.qr(design)
    theta = np.linalg.solve(r, q.T @ y[used])
    error = y[used] - q @ (q.T @ y[used])
    error -= q @ (q.T @ error)
    return float(theta[0]), float(theta[1]), float(np.sqrt(error @ error / (used.sum() - 2)))


def sorted_events(events: FirmEvents) -> FirmEvents:
    return events.take(np.lexsort((events.position, events.index, events.security)))


def filled(fill: object, panel: WidePanel, events: FirmEvents, layout: Layout = LAYOUT) -> MarketFit:
    out = empty_fit(len(events), len(layout.car))
    fill(panel, events, layout, out)  # type: ignore[operator]
    return out


def hard(kind: str) -> WidePanel:
    """A panel on which prefix sums lose digits."""
    panel = wide_panel(3)
    rng = np.random.default_rng(4)
    returns = panel.returns.copy()
    if kind == "outliers":
        returns *= np.where(rng.random(returns.shape) < 0.002, 100.0, 1.0)
    elif kind == "tiny variance":
        returns = 0.001 + 1e-8 * returns
    elif kind == "bad tick":
        returns[np.arange(len(returns)), rng.integers(60, 200, len(returns))] = 1e4
    elif kind == "levels":
        prices = 100.0 * np.exp(np.cumsum(np.nan_to_num(returns), axis=1)) + 0.0 * returns
        return WidePanel(prices, 3000.0 * np.exp(np.cumsum(np.nan_to_num(panel.indices), axis=1)))
    elif kind == "calm after a storm":
        returns[:, :150] *= 1e5
    return WidePanel(returns, panel.indices)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("clean", 1e-10),
        ("outliers", 1e-8),
        ("tiny variance", 1e-8),
        ("bad tick", 1e-8),
        ("levels", 1e-8),
        ("calm after a storm", 1e-8),
    ],
)
def test_sigma_equals_that_of_qr_on_clean_and_on_hard_panels(kind: str, error: float) -> None:
    panel, layout = hard(kind), LAYOUT
    events = firm_events(panel, 3_000, dates=80)
    fitted = fit_events(panel, events, layout)
    rows = np.arange(0, 3_000, 10)
    expected = np.array([by_qr(panel, events, i, layout) for i in rows if fitted.n[i] > 2])
    rows = rows[fitted.n[rows] > 2]
    assert len(rows) > 200
    assert np.abs(fitted.sigma[rows] / expected[:, 2] - 1.0).max() < error
    assert np.abs(fitted.beta[rows] / expected[:, 1] - 1.0).max() < max(error, 1e-7)
    reference = filled(fit_by_model, panel, events)
    np.testing.assert_allclose(fitted.variance, reference.variance, rtol=1e-8)
    off = np.abs(fitted.car - reference.car) / np.sqrt(reference.variance)
    # Returns of 1e-3 with errors of 1e-10: the sum of the days and the days of the sum differ by rounding.
    assert np.nanmax(off) < 2e-8
    assert (np.isnan(fitted.car) == np.isnan(reference.car)).all()


def test_prefix_sums_without_the_guard_would_be_wrong() -> None:
    """The guard is what keeps the digits: the bad tick's panel shows what they are without it."""
    panel = hard("calm after a storm")
    events = sorted_events(firm_events(panel, 2_000, dates=80))
    with mock.patch.object(prefix, "TOLERANCE", np.inf):
        blind = filled(fit_prefix, panel, events)
    guarded, reference = filled(fit_prefix, panel, events), filled(fit_by_model, panel, events)
    assert np.nanmax(np.abs(blind.sigma / reference.sigma - 1)) > 1e-6
    assert np.nanmax(np.abs(guarded.sigma / reference.sigma - 1)) < 1e-10


@pytest.mark.parametrize("alpha", ["auto", "estimated", "zero"])
def test_figures_equal_those_of_a_study(alpha: str) -> None:
    layout = replace(LAYOUT, alpha=alpha)  # type: ignore[arg-type]
    panel = wide_panel()
    events = firm_events(panel, 400)
    fitted = fit_events(panel, events, layout)
    with np.errstate(all="ignore"):
        study = as_study(panel, events, layout)
        cars = [study.car(window) for window in layout.car]
        variances = [study.variance(window) for window in layout.car]
    assert (fitted.n == study.expected.n_estimation).all()
    tight = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(fitted.alpha, study.expected.theta[:, 0], **tight)
    np.testing.assert_allclose(fitted.beta, study.expected.theta[:, 1], **tight)
    np.testing.assert_allclose(fitted.sigma, np.sqrt(study.expected.sigma2), rtol=1e-10)
    np.testing.assert_allclose(fitted.car, cars, **tight)
    np.testing.assert_allclose(fitted.variance, np.where(np.isnan(cars), np.nan, variances), rtol=1e-10)
    assert np.isnan(fitted.car).any()
    assert np.isfinite(fitted.car).sum() > 500


def test_order_and_block_sizes_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    panel, events = wide_panel(), firm_events(wide_panel(), 1_500)
    once = fit_events(panel, events, LAYOUT)
    order = np.random.default_rng(5).permutation(len(events))
    monkeypatch.setattr(prefix, "BYTES", 1)
    again = fit_events(panel, events.take(order), LAYOUT)
    for name in ("alpha", "beta", "sigma", "n", "car", "variance"):
        np.testing.assert_array_equal(getattr(again, name), getattr(once, name)[..., order])


def test_a_constant_index_has_no_beta_and_no_events_make_no_figures() -> None:
    panel = wide_panel()
    flat = WidePanel(panel.returns, np.full_like(panel.indices, 0.001))
    events = firm_events(flat, 50, dates=5)
    assert np.isnan(fit_events(flat, events, LAYOUT).beta).all()
    assert len(fit_events(panel, events.take(slice(0, 0)), LAYOUT)) == 0


def test_windows_outside_the_event_window_and_shrunk_intercepts_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[2,21\] lie outside the event window \[-10,20\]"):
        Layout(car=((0, 1), (2, 21)))
    with pytest.raises(ConfigError, match="accept auto"):
        Layout(alpha="shrink")


def reduced(panel: WidePanel, events: FirmEvents, fitted: MarketFit, blocks: int, layout: Layout = LAYOUT) -> DaySums:
    """Day sums over blocks of dates, each with the halo that it must see."""
    order = np.argsort(events.position, kind="stable")
    events, fitted = events.take(order), fitted.take(order)
    dates = len(np.unique(events.position))
    with mock.patch.multiple(days, BLOCK_DATES=-(-dates // blocks), BLOCK_EVENTS=1):
        return reduce_events(panel, events, fitted, layout)


CASES = {
    "common dates": {"gaps": 0.01, "dates": 12},
    "one date": {"gaps": 0.01, "dates": 1},
    "overlapping windows": {"gaps": 0.0, "dates": 60},
}


MODELS = {
    "market": Model(),
    "market_adjusted": Model(name="market_adjusted"),
    "mean_adjusted": Model(name="mean_adjusted"),
    "raw": Model(name="raw"),
    "capm": Model(name="capm", risk_free="rf"),
    "factors": Model(name="factors", factors=("market", "size", "value")),
    "excess factors": Model(name="factors", factors=("market", "size"), risk_free="rf"),
}


def with_series(panel: WidePanel, model: Model) -> WidePanel:
    """The panel with the series that a model wants beside the index; days around its own events are cut."""
    rng = np.random.default_rng(21)
    names = [*(name for name in model.factors if name != "market"), *(["risk_free"] if model.risk_free else [])]
    clean = panel.returns.copy()
    clean[:, rng.random(panel.sessions) < 0.05] = np.nan
    return replace(panel, clean=clean, factors={name: 0.004 * rng.standard_normal(panel.sessions) for name in names})


@pytest.mark.parametrize("alpha", ["auto", "estimated"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_the_figures_and_the_tests_of_a_study(model: str, alpha: Alpha) -> None:
    layout = replace(LAYOUT, model=MODELS[model], alpha=alpha)
    panel = with_series(wide_panel(7, gaps=0.01), layout.model)
    events = firm_events(panel, 120, dates=10)
    fitted = fit_events(panel, events, layout)
    enough = fitted.n >= 20
    events, fitted = events.take(enough), fitted.take(enough)
    study = as_study(panel, events, layout)
    assert (fitted.n == study.expected.n_estimation).all()
    np.testing.assert_allclose(fitted.sigma, np.sqrt(study.expected.sigma2), rtol=1e-9)
    for w, window in enumerate(layout.car):
        there = np.isfinite(study.car(window))
        np.testing.assert_allclose(fitted.car[w], study.car(window), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(fitted.variance[w][there], study.variance(window)[there], rtol=1e-9)
    sample = as_sample(study).ranked()
    for result in run_battery(fitted, reduced(panel, events, fitted, 3, layout), layout):
        expected = STATISTICS[result.name](replace(sample.at(result.window), rbar=result.rbar))
        assert (result.n_events, result.n_dates, result.reason) == (
            expected.n_events,
            expected.n_dates,
            expected.reason,
        )
        for name in ("estimate", "statistic", "df", "p_value"):
            value = pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-12, nan_ok=True)
            assert getattr(result, name) == value, (result.name, result.window, name)


@pytest.mark.parametrize("n", [60, 3_000])
def test_days_that_no_estimation_uses_are_left_out_of_it_alone(n: int) -> None:
    """Whether a security has few events or many; the windows of the events keep these days."""
    panel = with_series(wide_panel(7), Model())
    events = firm_events(panel, n, dates=50)
    fitted, study = fit_events(panel, events, LAYOUT), as_study(panel, events)
    assert (fitted.n == study.expected.n_estimation).all()
    assert (fitted.n <= fit_events(replace(panel, clean=None), events, LAYOUT).n).all()
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(fitted.car, [study.car(w) for w in LAYOUT.car], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(fitted.sigma, np.sqrt(study.expected.sigma2), rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_every_test_equals_the_statistic_of_a_study(case: str) -> None:
    panel = wide_panel(7, gaps=CASES[case]["gaps"])
    events = firm_events(panel, 150, dates=int(CASES[case]["dates"]))
    fitted = fit_events(panel, events, LAYOUT)
    enough = fitted.n >= 20
    events, fitted = events.take(enough), fitted.take(enough)
    sums = reduced(panel, events, fitted, 3)
    sample = as_sample(as_study(panel, events)).ranked()
    observed = {window: sample.at(window) for window in LAYOUT.car}
    results = run_battery(fitted, sums, LAYOUT)
    assert len(results) == len(AT_ANY_SIZE) * len(LAYOUT.car)
    for result in results:
        there = observed[result.window]
        # r-bar has its own definition here; with it the two adjusted tests must be the study's.
        there = replace(there, rbar=result.rbar if np.isfinite(result.rbar) else there.rbar)
        expected = STATISTICS[result.name](there)
        assert (result.n_events, result.n_dates) == (expected.n_events, expected.n_dates)
        assert (result.reason, result.distribution) == (expected.reason, expected.distribution)
        for name in ("estimate", "statistic", "df", "p_value"):
            value = pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-12, nan_ok=True)
            assert getattr(result, name) == value, (result.name, result.window, name)
    assert sum(not result.reason for result in results) >= (50 if case == "one date" else 70)


def test_mean_abnormal_returns_and_their_band_equal_the_table_of_a_study() -> None:
    panel = wide_panel(7)
    events = firm_events(panel, 150, dates=12)
    fitted = fit_events(panel, events, LAYOUT)
    enough = fitted.n >= 20
    events, fitted = events.take(enough), fitted.take(enough)
    found = average_returns(reduced(panel, events, fitted, 2), LAYOUT, sessions=panel.returns.shape[1])
    table = aar_table([as_sample(as_study(panel, events))])
    assert (found.n == table["n"]).all()
    np.testing.assert_allclose(found.aar, table["aar"], rtol=1e-10)
    np.testing.assert_allclose(found.caar, table["caar"], rtol=1e-10)
    half = (table["upper"] - table["caar"]).to_numpy()
    np.testing.assert_allclose(found.half_width, half, rtol=1e-9)
    plain = special.stdtrit(11, 0.975) * np.sqrt(clustered_variance(reduced(panel, events, fitted, 2)))
    assert found.half_width[0] == pytest.approx(plain[0], rel=1e-12)
    assert (found.half_width[-5:] > 1.25 * plain[-5:]).all()


def clustered_variance(sums: DaySums) -> NDArray[np.float64]:
    """Variance of the CAAR with dates as clusters that have nothing in common."""
    n = sums.date_n.sum(axis=0)
    deviation = sums.date_ar - sums.date_n * (sums.date_ar.sum(axis=0) / n)
    dates = len(sums.date)
    variance: NDArray[np.float64] = dates / (dates - 1) * (np.cumsum(deviation / n, axis=1) ** 2).sum(axis=0)
    return variance


def test_the_band_of_dates_apart_has_them_as_clusters() -> None:
    panel = wide_panel(7)
    security = np.tile(np.arange(4), 4)
    events = FirmEvents(np.repeat([100, 140, 200, 260], 4), security, security % 2)
    fitted = fit_events(panel, events, LAYOUT)
    enough = fitted.n >= 20
    events, fitted = events.take(enough), fitted.take(enough)
    sums = reduced(panel, events, fitted, 2)
    found = average_returns(sums, LAYOUT, sessions=panel.returns.shape[1])
    table = aar_table([as_sample(as_study(panel, events))])
    np.testing.assert_allclose(found.caar + found.half_width, table["upper"], rtol=1e-9)
    plain = special.stdtrit(len(sums.date) - 1, 0.975) * np.sqrt(clustered_variance(sums))
    np.testing.assert_allclose(found.half_width, plain, rtol=1e-12)


def rbars(panel: WidePanel, events: FirmEvents) -> list[tuple[float, float]]:
    """Mean residual correlation by sessions and by pairs, of every window."""
    fitted = fit_events(panel, events, LAYOUT)
    sums = reduced(panel, events, fitted, 3)
    sample = as_sample(as_study(panel, events))
    counts = [int(np.isfinite(fitted.scar(w)).sum()) for w in range(len(LAYOUT.car))]
    return [
        (session_correlation(float(sums.pairs[w]), counts[w]), sample.at(window).rbar)
        for w, window in enumerate(LAYOUT.car)
    ]


def test_session_correlation_is_the_mean_of_the_pairs_where_dates_share_their_days() -> None:
    whole = wide_panel(8, gaps=0.0, index_gap=False)
    panel = WidePanel(whole.returns[1:5], whole.indices)
    position = np.repeat([100, 140, 200, 260], 4)
    security = np.tile(np.arange(4), 4)
    for by_sessions, by_pairs in rbars(panel, FirmEvents(position, security, security % 2)):
        assert by_pairs > 0.01
        assert by_sessions == pytest.approx(by_pairs, abs=1e-12)


def test_session_correlation_stays_near_the_pairs_with_gaps_and_overlapping_windows() -> None:
    """With missing days and windows that meet the two definitions differ, by far less than they vary."""
    panel = wide_panel(9, gaps=0.05)
    events = firm_events(panel, 300, dates=40)
    enough = fit_events(panel, events, LAYOUT).n >= 50
    found = rbars(panel, events.take(enough))
    for by_sessions, by_pairs in found:
        assert by_sessions == pytest.approx(by_pairs, rel=0.03)
    assert any(abs(a - b) > 1e-9 for a, b in found)


def test_blocks_of_dates_add_up_to_one() -> None:
    panel = wide_panel(7)
    events = firm_events(panel, 400, dates=90)
    fitted = fit_events(panel, events, LAYOUT)
    enough = fitted.n >= 20
    events, fitted = events.take(enough), fitted.take(enough)
    one, many = reduced(panel, events, fitted, 1), reduced(panel, events, fitted, 7)
    for name in DaySums.__dataclass_fields__:
        values: NDArray[np.float64] = getattr(one, name)
        np.testing.assert_allclose(getattr(many, name), values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_blocks_have_enough_dates_and_firm_events_and_see_what_shares_a_window() -> None:
    """Dense dates are cut after 128; sparse ones when 1,024 firm-events or 512 dates are reached."""
    for each, sizes in {10: [128, 128, 44], 4: [256, 44], 1: [300]}.items():
        position = np.repeat(np.arange(300), each)
        blocks = days.date_blocks(position, LAYOUT)
        assert [own // each for _, own in blocks] == sizes
        starts = np.cumsum([0, *(own for _, own in blocks)])
        for (rows, own), start in zip(blocks, starts, strict=False):
            assert rows.start == start
            assert rows.stop == min(start + own + 30 * each, len(position))
    assert [own for _, own in days.date_blocks(np.arange(1_000), LAYOUT)] == [512, 488]


def test_an_unknown_test_names_the_nearest() -> None:
    config = StudyConfig()
    with pytest.raises(ConfigError, match="did you mean 'corrado'"):
        layout_of(replace(config, tests=replace(config.tests, names=("corado",))))
