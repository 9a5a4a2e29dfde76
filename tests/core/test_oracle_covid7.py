"""Every row of the reference values for seven US stocks in March 2020."""

from __future__ import annotations

import csv
import datetime as dt
import functools
from pathlib import Path

import numpy as np
import pytest

from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample, residual_correlations
from eventstudy.core.statistics.firm import car_tests
from eventstudy.core.statistics.rank_tests import grank_z_value
from eventstudy.core.statistics.sample import two_sided
from eventstudy.core.windows import EventPanel
from eventstudy.messages import text

ORACLE = Path(__file__).parents[3] / "shared" / "oracles" / "covid7"
REASON = f"the reference values are not here: {ORACLE.parent.name}/{ORACLE.name} is missing"
DAY0, FIRST, LAST = "2020-03-16", "2019-04-02", "2020-03-13"
DAYS = 5
TOLERANCE = 1e-9


def reference_rows() -> list[dict[str, str]]:
    if not ORACLE.is_dir():
        return []
    with (ORACLE / "reference.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@functools.lru_cache(maxsize=1)
def covid7() -> tuple[tuple[str, ...], AbnormalReturns]:
    """Cut the panel by position from the prices and fit it; log returns, alpha estimated on all days."""
    with (ORACLE / "prices.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    names, dates = tuple(header[1:-1]), [row[0] for row in rows]
    prices = np.array([[float(cell) if cell else np.nan for cell in row[1:]] for row in rows])
    returns = np.vstack([np.full(prices.shape[1], np.nan), np.diff(np.log(prices), axis=0)])
    day0, estimation = dates.index(DAY0), slice(dates.index(FIRST), dates.index(LAST) + 1)
    event = slice(day0, day0 + DAYS)
    codes = np.array([(dt.date.fromisoformat(d) - dt.date(1970, 1, 1)).days for d in dates], dtype=np.int32)
    n = len(names)

    def same(text: str) -> np.ndarray:
        return np.array([text] * n)

    def factor(days: slice) -> np.ndarray:
        return np.tile(returns[days, -1][None, :, None], (n, 1, 1))

    panel = EventPanel(
        event_id=same("COVID"),
        shock_id=same("COVID"),
        ticker=np.array(names),
        market=same("XNAS"),
        region=same("US"),
        lead=np.ones(n, dtype=bool),
        tau=np.arange(DAYS),
        estimation_returns=returns[estimation, :-1].T,
        estimation_factors=factor(estimation),
        estimation_sessions=np.tile(codes[estimation], (n, 1)),
        event_returns=returns[event, :-1].T,
        event_factors=factor(event),
        event_sessions=np.tile(codes[event], (n, 1)),
        event_flags=np.zeros((n, DAYS), dtype=np.uint8),
    )
    return names, abnormal_returns(panel, fit(panel), alpha="estimated")


@functools.lru_cache(maxsize=1)
def sample() -> Sample:
    _, abnormal = covid7()
    correlations = residual_correlations(abnormal.expected.residuals, abnormal.panel.estimation_sessions)
    return Sample(group="all", abnormal=abnormal, correlations=correlations).ranked()


def firm_values(row: dict[str, str]) -> tuple[float, float, float]:
    """Value, p-value and degrees of freedom of one firm's row."""
    names, abnormal = covid7()
    i, name = names.index(row["ticker"]), row["name"]
    expected = abnormal.expected
    if row["window"] == "est":
        values = {
            "alpha": expected.theta[i, 0],
            "beta": expected.theta[i, 1],
            "n_estimation": expected.n_estimation[i],
            "sigma": np.sqrt(expected.sigma2[i]),
        }
        return float(values[name]), np.nan, np.nan
    first, last = window_of(row)
    test = car_tests(abnormal, (first, last))
    value = test.t[i] if name.endswith("_t") else test.value[i]
    return float(value), float(test.p_value[i]), float(test.df[i])


def group_values(row: dict[str, str]) -> tuple[float, float, float]:
    """Value, p-value and degrees of freedom of one row of the whole group."""
    if row["name"] == "rbar":
        return sample().at((0, 0)).rbar, np.nan, np.nan
    observed = sample().at(window_of(row))
    if row["name"] == "grank_z":
        value = grank_z_value(observed)
        return value, two_sided(value, "normal"), np.nan
    if row["name"] in ("caar", "bhar"):
        name = {"caar": "cross_sectional_t", "bhar": "bhar_t"}[row["name"]]
        return STATISTICS[name](observed).estimate, np.nan, np.nan
    result = STATISTICS[row["name"]](observed)
    assert not result.reason
    return result.statistic, result.p_value, result.df


def window_of(row: dict[str, str]) -> tuple[int, int]:
    first, last = row["window"].strip("[]").split(",")
    return int(first), int(last)


@pytest.mark.skipif(not ORACLE.is_dir(), reason=REASON)
@pytest.mark.parametrize("row", reference_rows(), ids=lambda r: f"{r['ticker']}-{r['window']}-{r['name']}")
def test_reference_row(row: dict[str, str]) -> None:
    value, p_value, df = (group_values if row["ticker"] == "ALL" else firm_values)(row)
    assert value == pytest.approx(float(row["value"]), rel=TOLERANCE)
    if row["p_value"]:
        assert p_value == pytest.approx(float(row["p_value"]), rel=TOLERANCE)
    if row["df"]:
        assert df == float(row["df"])


@pytest.mark.skipif(not ORACLE.is_dir(), reason=REASON)
def test_every_statistic_of_the_reference_is_compared() -> None:
    names = {row["name"] for row in reference_rows()}
    assert len(reference_rows()) == 277
    assert {"patell_kp", "bmp_kp", "grank_t", "grank_z", "corrado_zivney", "wilcoxon", "skewness_t"} <= names


@pytest.mark.skipif(not ORACLE.is_dir(), reason=REASON)
def test_grank_z_is_refused_where_firm_events_share_their_date() -> None:
    result = STATISTICS["grank_z"](sample().at((0, 0)))
    assert np.isnan(result.statistic)
    assert np.isnan(result.p_value)
    assert text(result.reason) == "n/a, the test assumes independent firm-events; 7 of them share 1 dates"
