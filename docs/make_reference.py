"""Write docs/models.md and docs/statistics.md from the registries: ``python docs/make_reference.py``.

Null hypothesis, source and notes are the registries' and the docstrings' own; formula and where it fails are
written here. A name that is missing here stops the script.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

from eventstudy.core.models import MODELS
from eventstudy.core.statistics import STATISTICS

DOCS = Path(__file__).parent

#: Name: (formula, where it fails).
MODEL_NOTES = {
    "market": (
        "E[R] = alpha + beta R_m",
        (
            "If beta has changed since the estimation window; if the event also moves the index; after a run-up, "
            "because its alpha is not a forecast (a study that asks about reversals leaves alpha out after day +1)."
        ),
    ),
    "mean_adjusted": (
        "E[R] = mean of R over the estimation window",
        "If the market moves on the event day: the whole move counts as abnormal.",
    ),
    "market_adjusted": (
        "E[R] = R_m",
        (
            "For betas far from one, and for groups of such shares: when the market falls, high-beta shares "
            "look as if they had bad news. alpha and beta are not estimated, but the variance still needs an "
            "estimation window of `windows.minimum` days."
        ),
    ),
    "raw": (
        "E[R] = 0",
        (
            "If the market moves on the event day; in long windows, in which shares have a return without any "
            "news. It shows the return that was earned. Use it for one-day windows if there is no index."
        ),
    ),
    "market_robust": (
        "E[R] = alpha + beta R_m, beta by Huber's M-estimator",
        "If a second regime lasts many days: it protects only from single days. With few outliers OLS is better.",
    ),
    "scholes_williams": (
        "beta = (b_-1 + b_0 + b_+1) / (1 + 2 rho)",
        "If trading is synchronous: then it only adds noise. Undefined if 1 + 2 rho is not positive.",
    ),
    "dimson": (
        "beta = sum of the slopes on R_m,t-k ... R_m,t+k, k = model.lags",
        (
            "With many leads and lags, since each adds estimation error; if the index is autocorrelated, since "
            "the sum is then biased (Fowler and Rorke 1983)."
        ),
    ),
    "rolling": (
        "E[R] = alpha + beta R_m over the last model.span sessions",
        "With few days: sixty days give a noisy beta, and news that leaked before the event changes it.",
    ),
    "garch": (
        "E[R] = alpha + beta R_m, h_t = omega + a e_{t-1}^2 + b h_{t-1}",
        (
            "With fewer than about 500 days, since the variance parameters are then weakly identified: in half "
            "of the windows of 240 days another optimum lies within one point of log-likelihood, and a remark "
            "says so. A fit that fails is replaced by OLS, with a remark. If the variance is updated through "
            "the event (`conditional`), the event's own shock counts as normal volatility."
        ),
    ),
    "egarch": (
        "ln h_t = omega + a (|z_{t-1}| - sqrt(2/pi)) + g z_{t-1} + b ln h_{t-1}",
        (
            "As `garch`, with one more parameter. `arch` also allows a negative a. Its optima there can be a "
            "dozen points higher, but each starting value leads to a different one, and with them the variance "
            "falls after news."
        ),
    ),
    "capm": (
        "E[R] = R_f + alpha + beta (R_m - R_f)",
        (
            "If the factor file has other calendar days than the prices. Over some days R_f hardly changes, so "
            "results differ little from `market`."
        ),
    ),
    "factors": (
        "E[R] = R_f + alpha + sum_j b_j F_j",
        (
            "With factors of one country and shares of another: a market that closes earlier reacts to them a "
            "day later. With too many factors for the length of the estimation window."
        ),
    ),
    "two_index": (
        "E[R] = alpha + beta R_L + beta_world (R_W - its fit on R_L)",
        (
            "In Asia, where the world index of the same date closes after the local market. If the local index "
            "is the world index, it is the market model."
        ),
    ),
    "leave_one_out": (
        "E[R] = alpha + beta mean of the other peers",
        (
            "For sector events: the common move of all peers counts as expected, so no effect remains. Use it "
            "for news about one firm."
        ),
    ),
    "synthetic_peer": (
        "E[R] = sum_j w_j R_j, w_j >= 0, sum w_j = 1",
        ("If the event also affects the donors; if no mix of donors tracked the security (see its R-squared)."),
    ),
}

STATISTIC_NOTES = {
    "calendar_time": (
        "t = mean(r_d) / se_NW(r_d) over the D days that lie in some window",
        "If the number of firms differs much between days: days with few firms have the same weight as days with many.",
    ),
    "cross_sectional_t": (
        "t = CAAR / (s(CAR) / sqrt(N))",
        "On common dates: it counts firms that move together as independent. It rejects 22 % instead of 5 %.",
    ),
    "skewness_t": (
        "t = sqrt(N) (S + g S^2/3 + g^2 S^3/27 + g/(6N))",
        "On common dates, and with strong effects, for which it becomes extremely large.",
    ),
    "bhar_t": (
        (
            "t = mean(BHAR) / (s(BHAR) / sqrt(N)), BHAR = prod(1+R) - prod(1+E[R]), of log returns "
            "exp(sum R) - exp(sum E[R])"
        ),
        "On common dates; in long windows, in which BHARs are skewed.",
    ),
    "patell": ("Z = sum SCAR / sqrt(sum (M-k)/(M-k-2))", "If the event raises the variance; on common dates."),
    "patell_kp": ("Z / sqrt(1 + (N-1) rbar)", "If the event raises the variance."),
    "bmp": (
        "t = mean(SCAR) / (s(SCAR) / sqrt(N))",
        "On common dates. It allows for a variance that the event raises in each firm.",
    ),
    "bmp_kp": (
        "t_BMP sqrt((1-rbar) / (1 + (N-1) rbar))",
        (
            "If the event raises the *common* variance, as sector news does: see the common-volatility ratio in "
            "the summary."
        ),
    ),
    "portfolio_t": (
        "t = CAAR / (s(mean AR over the estimation days) sqrt(W))",
        "If volatility is higher around events than in the estimation window.",
    ),
    "date_t": (
        (
            "t = mean(S_k) / (s(S_k) / sqrt(K)), S_k the standardised CAR of date k's peer portfolio; with "
            "overlap t = sum(S) / sqrt(e'e sum(W) / (K - sum(W)/K))"
        ),
        "If `k_eff` is below about six: it then has little power.",
    ),
    "sign_flip": (
        "p = share of the 2^K sign vectors with |mean| at least as large",
        (
            "With five dates or fewer, since its p cannot be 5 % or less; if the dates' CARs have an asymmetric "
            "distribution. It is refused if overlapping windows join the dates into fewer than six blocks."
        ),
    ),
    "ibragimov_mueller": (
        "t = mean(CAR_k) / (s(CAR_k) / sqrt(K)) over dates",
        "If volatility differs between dates: volatile dates have most weight. Little power with few dates.",
    ),
    "ar_t": (
        "t = AR / sqrt(prediction-error variance)",
        "With fat tails, since |t| is then above 2 more often than once in twenty. It describes one firm only.",
    ),
    "car_t": ("t = CAR / sqrt(g'Vg)", "As `ar_t`. V does not include a variance that the event raised."),
    "corrado": (
        "Z = sum_t d_t / (S sqrt(W)), d_t the mean rank deviation of day t",
        "If event days are more volatile than the estimation window. It has little power if long windows overlap.",
    ),
    "corrado_zivney": ("Z = sum_t d_t / (S sqrt(W)), ranks over (1 + M_i)", "As `corrado`."),
    "grank_t": (
        "t = Z sqrt((T-2) / (T-1-Z^2)), Z = Ubar_0 / S",
        "With one date and few firms; if common volatility rises.",
    ),
    "grank_z": (
        "Z = Ubar_0 / its standard deviation under independence",
        "On common dates: it does not apply and gives the reason.",
    ),
    "wilcoxon": ("W+ = sum of the ranks of |CAR| over positive CARs", "On common dates; with skewed CARs."),
    "bootstrap": (
        "J = sqrt(n) (S + g S^2/3 + g/(6n)) against its resampled distribution",
        "On common dates: resampling firms does not make them independent.",
    ),
    "bootstrap_dates": (
        "t over dates against t* of dates drawn with replacement",
        "With few dates: it is refused below ten dates, and with few more than ten it rejects too rarely.",
    ),
    "bootstrap_blocks": (
        "CAAR against sums of W resampled days of the mean residual",
        "If volatility is higher around events.",
    ),
    "permutation": (
        "mean S_k against placebo windows of the estimation residuals",
        "If volatility is higher around events; its placebos are all days, not matched drops.",
    ),
    "sq": (
        "p = 2 min((1 + #{<= CAR}) / (1+M), (1 + #{>= CAR}) / (1+M))",
        "With long windows, since placebo windows overlap and few of them are independent. For one date only.",
    ),
    "sign": ("z = (w - N/2) / sqrt(N/4)", "On common dates; if the median return is not zero."),
    "generalized_sign": ("z = (w - N p) / sqrt(N p (1-p))", "On common dates."),
}

MODELS_HEAD = """# Models of the expected return

The setting `model.name` selects a model. Each model predicts the return of every event day and gives the variance
of the prediction error over any window, including the estimation error. Tests use only these, so every test works with
every model. `R` is the return of a security, `R_m` the return of the index of its market, `e` a residual.
`docs/make_reference.py` writes this page from the registry.
"""
STATISTICS_HEAD = """# Tests

The setting `tests.names` selects tests; by default all run, on every group and window. A test that does not apply
gives NaN with a reason. [Choosing a test](choosing-a-test.md) says which test to trust for which data.

`CAR` is the cumulative abnormal return of a firm-event, `SCAR` is CAR over its standard error. N firm-events occur on K
dates. W is the number of days in the window, M the number of estimation days, `rbar` the mean residual correlation. In
formulas for [overlapping windows](choosing-a-test.md#dates-whose-windows-overlap), which `DateOverlap` computes, n is
the vector of the dates' numbers of firm-events and W the matrix of their overlap. `docs/make_reference.py` writes this
page from the registry.
"""


def models_page() -> str:
    """Return the page of all models."""
    parts = [MODELS_HEAD]
    for name, fit in sorted(MODELS.items()):
        formula, fails = MODEL_NOTES[name]
        parts.append(_section(name, formula, [], _text(fit), fails))
    return "\n".join(parts)


def statistics_page() -> str:
    """Return the page of all statistics."""
    parts = [STATISTICS_HEAD]
    for name, compute in sorted(STATISTICS.items()):
        formula, fails = STATISTIC_NOTES[name]
        given = inspect.getclosurevars(compute).nonlocals
        needs = f"at least {given['minimum']} firm-events" if given["minimum"] > 1 else ""
        needs = f"at least {given['dates']} dates" if given["dates"] > 1 else needs
        facts = [("Null", given["null"]), ("Source", given["source"]), ("Needs", needs)]
        parts.append(_section(name, formula, facts, _text(compute), fails))
    return "\n".join(parts)


def _section(name: str, formula: str, facts: list[tuple[str, str]], text: str, fails: str) -> str:
    lines = [f"## {name}", "", f"    {formula}"]
    lines += [""] if facts else []
    lines += [f"- {key}: {value}" for key, value in facts if value]
    lines += ["", *textwrap.wrap(_escaped(text), 116, break_on_hyphens=False), "", "**Fails:** " + fails, ""]
    return "\n".join(lines)


def _text(function: Callable[..., object]) -> str:
    """The docstring as one paragraph, without the heading of its notes."""
    kept = [line for line in (inspect.getdoc(function) or "").splitlines() if line not in ("Notes", "-----")]
    return " ".join(" ".join(kept).split())


def _escaped(text: str) -> str:
    return text.replace("``", "`").replace("*", "\\*").replace("<", "&lt;")


def main() -> None:
    """Write both pages."""
    for name, page in (("models.md", models_page()), ("statistics.md", statistics_page())):
        (DOCS / name).write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
