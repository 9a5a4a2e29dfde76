"""Diagnostics of each fit: tests of the model's assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from eventstudy.core.abnormal import AbnormalReturns
from eventstudy.core.arrays import Bools, Counts, Floats, Reasons, centred
from eventstudy.core.models.ols import inverses
from eventstudy.errors import Reason

#: Lags of the Ljung-Box and ARCH tests: one week.
LAGS = 5
#: A fit with a p-value below this gets advice; a study has hundreds of fits, so 5 % would flag many by chance.
FIT_LEVEL = 0.01
#: Share of fits with p < 5 % from which the study gets advice; chance alone gives 5 %.
SHARE = 0.15
#: Share of returns that are exactly zero from which a security counts as thinly traded.
THIN = 0.05
#: Models that allow for clustered variance; their raw residuals are clustered nevertheless.
MOVING_VARIANCE = ("garch", "egarch")
PRE_TREND = (-10, -1)
PRE_TREND_T = 2.58


@dataclass(frozen=True, slots=True, kw_only=True)
class FitDiagnostics:
    """Diagnostics of N fits, all of shape (N,); NaN where a test has too few days.

    ``rho1`` is the first autocorrelation of the residuals; the p-values are those of `ljung_box`, `arch_lm`,
    `jarque_bera` and `beta_shift`. ``zero_share`` is the share of estimation returns that are exactly zero,
    ``pre_trend_t`` the t of CAR[-10,-1], NaN if the event window lacks these days. ``advice`` (N,) is a `Reason` with
    one part for each crossed threshold.
    """

    n_estimation: Counts
    rho1: Floats
    ljung_box_p: Floats
    arch_p: Floats
    jarque_bera_p: Floats
    beta_shift_p: Floats
    zero_share: Floats
    pre_trend_t: Floats
    advice: Reasons

    def values(self) -> dict[str, Floats]:
        """Return the measures of each problem by its name: p-values, the share of zeros, the t of the days before."""
        tests = {"autocorrelation": self.ljung_box_p, "arch": self.arch_p, "normality": self.jarque_bera_p}
        tests["beta_shift"] = self.beta_shift_p
        return {**tests, "thin_trading": self.zero_share, "pre_trend": self.pre_trend_t}

    def troubles(self, level: float = FIT_LEVEL) -> dict[str, Bools]:
        """Return by name of each problem which fits have it; p-values are compared with ``level``."""
        limits = {"thin_trading": self.zero_share > THIN, "pre_trend": np.abs(self.pre_trend_t) > PRE_TREND_T}
        return {name: limits.get(name, value < level) for name, value in self.values().items()}


def diagnose(abnormal: AbnormalReturns) -> FitDiagnostics:
    """Return the diagnostics of every fit of a study."""
    panel, residuals = abnormal.panel, abnormal.expected.residuals
    returns = panel.estimation_returns
    there = np.isfinite(returns)
    with np.errstate(invalid="ignore"):
        zero_share = (there & (returns == 0.0)).sum(axis=1) / there.sum(axis=1)
    rho, pairs = autocorrelations(residuals, LAGS)
    has_trend = abnormal.tau[0] <= PRE_TREND[0] and abnormal.tau[-1] >= PRE_TREND[1]
    found = FitDiagnostics(
        n_estimation=abnormal.expected.n_estimation,
        rho1=rho[:, 0],
        ljung_box_p=ljung_box(rho, pairs, residuals)[1],
        arch_p=arch_lm(residuals)[1],
        jarque_bera_p=jarque_bera(residuals)[1],
        beta_shift_p=beta_shift(returns, panel.factor("market")[0])[1],
        zero_share=zero_share,
        pre_trend_t=abnormal.scar(PRE_TREND) if has_trend else np.full(len(abnormal), np.nan),
        advice=np.full(len(panel), Reason(), dtype=object),
    )
    troubles = found.troubles()
    if abnormal.expected.model in MOVING_VARIANCE:
        del troubles["arch"]
    for i in range(len(panel)):
        found.advice[i] = Reason.join(Reason(f"advice.{name}") for name, has in troubles.items() if has[i])
    return found


def autocorrelations(residuals: Floats, lags: int) -> tuple[Floats, Counts]:
    """Return autocorrelations at 1..lags and the number of pairs behind each, both (N, lags).

    Pairs across a missing day are not used. Deviations are from the residuals' mean; divided by the sum of squares
    (Box and Jenkins 1976, eq. 2.1.11).
    """
    there = np.isfinite(residuals)
    about_mean = centred(residuals, there)
    total = (about_mean**2).sum(axis=1)
    rho, pairs = np.empty((len(residuals), lags)), np.empty((len(residuals), lags), dtype=np.int64)
    for lag in range(1, lags + 1):
        with np.errstate(divide="ignore", invalid="ignore"):
            rho[:, lag - 1] = (about_mean[:, lag:] * about_mean[:, :-lag]).sum(axis=1) / total
        pairs[:, lag - 1] = (there[:, lag:] & there[:, :-lag]).sum(axis=1)
    return rho, pairs


def ljung_box(rho: Floats, pairs: Counts, residuals: Floats) -> tuple[Floats, Floats]:
    """Return Q and its p-value for no autocorrelation, both (N,) (Ljung and Box 1978).

    Q = n (n+2) sum_j rho_j^2 / n_j, chi-square over the lags; n_j, the pairs at lag j, is n - j
    without missing days.
    """
    n = np.isfinite(residuals).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = n * (n + 2.0) * (rho**2 / pairs).sum(axis=1)
    return q, special.chdtrc(rho.shape[1], q)


def arch_lm(residuals: Floats, lags: int = LAGS) -> tuple[Floats, Floats]:
    """Return Engle's (1982) LM statistic for ARCH and its p-value, both (N,).

    T R^2 of the regression of e_t^2 on a constant and its lags, on the days with all of them.
    """
    squared = residuals**2
    length = squared.shape[1]
    lagged = np.stack([squared[:, lags - j : length - j] for j in range(1, lags + 1)], axis=2)
    now = squared[:, lags:]
    used = np.isfinite(now) & np.isfinite(lagged).all(axis=2)
    y = centred(now, used)
    x = np.stack([centred(lagged[:, :, j], used) for j in range(lags)], axis=2)
    moments, products = np.einsum("nlj,nlk->njk", x, x), np.einsum("nlj,nl->nj", x, y)
    # Solved with unit diagonals; NaN if there is no solution.
    root = np.sqrt(np.einsum("njj->nj", moments))
    unit = np.where(root > 0, root, 1.0)
    inverse = inverses(moments / (unit[:, :, None] * unit[:, None, :]))
    slope = np.einsum("njk,nk->nj", inverse, products / unit) / unit
    with np.errstate(divide="ignore", invalid="ignore"):
        r_squared = np.einsum("nj,nj->n", slope, products) / (y**2).sum(axis=1)
    lm = used.sum(axis=1) * r_squared
    return lm, special.chdtrc(lags, lm)


def jarque_bera(residuals: Floats) -> tuple[Floats, Floats]:
    """Return n/6 (S^2 + (K-3)^2/4) and its chi-square(2) p-value, both (N,) (Jarque and Bera 1987)."""
    there = np.isfinite(residuals)
    n = there.sum(axis=1)
    about_mean = centred(residuals, there)
    with np.errstate(divide="ignore", invalid="ignore"):
        m2, m3, m4 = ((about_mean**power).sum(axis=1) / n for power in (2, 3, 4))
        statistic = n / 6.0 * (m3**2 / m2**3 + (m4 / m2**2 - 3.0) ** 2 / 4.0)
    return statistic, special.chdtrc(2, statistic)


def beta_shift(returns: Floats, market: Floats) -> tuple[Floats, Floats]:
    """Return the Wald statistic for one beta in both halves of the used days, and its p-value, (N,).

    Notes
    -----
    Regression on [1, R_m, d, d R_m] with d the second half (Chow 1960), the covariance robust to
    heteroscedasticity and autocorrelation with Bartlett weights up to floor(4 (T/100)^(2/9)) lags
    (Newey and West 1987), no small-sample factor. The index is the peer's benchmark for every model of the study.
    Missing days count as days in the lags.
    """
    used = np.isfinite(returns) & np.isfinite(market)
    half = (np.cumsum(used, axis=1) > used.sum(axis=1)[:, None] // 2).astype(float)
    m = np.where(used, market, 0.0)
    columns = np.stack([used.astype(float), m, half * used, half * m], axis=2)
    # Regressors are scaled, because the moments of the slopes are ten thousand times smaller than those of constants.
    size = np.sqrt((columns**2).mean(axis=1, keepdims=True))
    x = columns / np.where(size > 0, size, 1.0)
    y = np.where(used, returns, 0.0)
    bread = inverses(np.einsum("nlj,nlk->njk", x, x))
    theta = np.einsum("njk,nlk,nl->nj", bread, x, y, optimize=True)
    score = x * (y - np.einsum("nlj,nj->nl", x, theta))[:, :, None]
    meat = _long_run(score, used.sum(axis=1))
    variance = np.einsum("njk,nkl,nlm->njm", bread, meat, bread, optimize=True)[:, 3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        wald = theta[:, 3] ** 2 / variance
    return wald, special.chdtrc(1, wald)


def _long_run(score: Floats, days: Counts) -> Floats:
    """Bartlett-weighted sum of the scores' autocovariances, (N, k, k), each row with its own lag length."""
    most = np.floor(4.0 * (days / 100.0) ** (2.0 / 9.0))
    total: Floats = np.einsum("nlj,nlk->njk", score, score)
    for lag in range(1, int(most.max(initial=0)) + 1):
        weight = np.maximum(1.0 - lag / (most + 1.0), 0.0)
        product = np.einsum("nlj,nlk->njk", score[:, lag:], score[:, :-lag])
        total += weight[:, None, None] * (product + product.transpose(0, 2, 1))
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDiagnostics:
    """Shares of fits with each problem at the 5 % level, and advice.

    ``lower`` and ``upper`` are the range of the mean shock CAR when each date is left out in turn,
    ``most_influential`` the date that moves it most.
    """

    n_fits: int
    shares: dict[str, float]
    rbar: float
    n_effective: float
    common_volatility_ratio: float
    lower: float
    upper: float
    most_influential: str
    advice: tuple[Reason, ...]


def diagnose_study(
    fits: FitDiagnostics,
    *,
    rbar: float,
    n_effective: float,
    common_volatility_ratio: float,
    shock_car: Floats,
    shock_id: Sequence[str],
    model: str = "market",
) -> StudyDiagnostics:
    """Summarise a study's fits and dates; shares are over the fits for which the test was possible."""
    values = fits.values()
    shares = {}
    for name, has in fits.troubles(0.05).items():
        possible = np.isfinite(values[name])
        shares[name] = float(has[possible].mean()) if possible.any() else float("nan")
    lower, upper, most = leave_one_date_out(shock_car, shock_id)
    advice = tuple(
        Reason("advice.share", share=share, text=Reason(f"advice.{name}"))
        for name, share in shares.items()
        if share > SHARE and not (name == "arch" and model in MOVING_VARIANCE)
    )
    return StudyDiagnostics(
        n_fits=len(fits.rho1),
        shares=shares,
        rbar=rbar,
        n_effective=n_effective,
        common_volatility_ratio=common_volatility_ratio,
        lower=lower,
        upper=upper,
        most_influential=most,
        advice=advice,
    )


def leave_one_date_out(shock_car: Floats, shock_id: Sequence[str]) -> tuple[float, float, str]:
    """Return the range of the mean when each date is left out, and the date that moves it most.

    NaN and an empty name for fewer than three dates. Dates without a CAR do not count.
    """
    there = np.isfinite(shock_car)
    values = shock_car[there]
    names = [name for name, has in zip(shock_id, there, strict=True) if has]
    if len(values) < 3:
        return float("nan"), float("nan"), ""
    means = (values.sum() - values) / (len(values) - 1)
    worst = int(np.abs(means - values.mean()).argmax())
    return float(means.min()), float(means.max()), names[worst]
