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
            "With a beta that changed since the estimation window; with an index that the event moves too; "
            "after a run-up, whose alpha is no forecast: a study that asks about reversals drops it after day +1."
        ),
    ),
    "mean_adjusted": (
        "E[R] = mean of R over the estimation window",
        "Whenever the market moves on the event day: all of that move is called abnormal.",
    ),
    "market_adjusted": (
        "E[R] = R_m",
        (
            "For betas far from one, and for groups of them: on a day of a falling market high-beta "
            "shares look as if they had bad news. It needs no estimation window, which is why listings "
            "are studied with it."
        ),
    ),
    "raw": (
        "E[R] = 0",
        (
            "Whenever the market moves on the event day, and over long windows, where shares earn something "
            "without any news. It shows what was earned, and is the base for one-day windows without an index."
        ),
    ),
    "market_robust": (
        "E[R] = alpha + beta R_m, beta by Huber's M-estimator",
        "It protects beta from single days, not from a second regime; with few outliers it costs precision.",
    ),
    "scholes_williams": (
        "beta = (b_-1 + b_0 + b_+1) / (1 + 2 rho)",
        "Where trading is synchronous it only adds noise; undefined where 1 + 2 rho is not positive.",
    ),
    "dimson": (
        "beta = sum of the slopes on R_m,t-k ... R_m,t+k, k = model.lags",
        (
            "Each lead and lag adds estimation error; where the index is autocorrelated the sum is biased "
            "(Fowler and Rorke 1983)."
        ),
    ),
    "rolling": (
        "E[R] = alpha + beta R_m over the last model.span sessions",
        "Sixty days make a noisy beta; an event that leaked moves it.",
    ),
    "garch": (
        "E[R] = alpha + beta R_m, h_t = omega + a e_{t-1}^2 + b h_{t-1}",
        (
            "With fewer than about 500 days the variance parameters are weakly identified: in half of the "
            "windows of 240 days another optimum lies within one point of log-likelihood, and the fit says "
            "so. Fits that fail fall back to OLS and say so too. Updating the variance through the event "
            "would call its own shock normal."
        ),
    ),
    "egarch": (
        "ln h_t = omega + a (|z_{t-1}| - sqrt(2/pi)) + g z_{t-1} + b ln h_{t-1}",
        (
            "As `garch`, with one parameter more. `arch` also lets a be negative: its optima there can be a "
            "dozen points higher, but each start ends at another one, and they make the variance fall after "
            "news."
        ),
    ),
    "capm": (
        "E[R] = R_f + alpha + beta (R_m - R_f)",
        (
            "Over days R_f hardly moves, so it differs little from `market`; the factor file must be of "
            "the same calendar days."
        ),
    ),
    "factors": (
        "E[R] = R_f + alpha + sum_j b_j F_j",
        (
            "Factors of one country on shares of another: a market that closes earlier sees them a day late. "
            "More factors than the estimation window bears."
        ),
    ),
    "two_index": (
        "E[R] = alpha + beta R_L + beta_world (R_W - its fit on R_L)",
        (
            "The world index at the local close is yesterday's news in Asia; where the local index is the "
            "world's it is the market model."
        ),
    ),
    "leave_one_out": (
        "E[R] = alpha + beta mean of the other peers",
        (
            "For sector events: what all peers share is expected, and nothing is left to find. It is for "
            "news of one firm."
        ),
    ),
    "synthetic_peer": (
        "E[R] = sum_j w_j R_j, w_j >= 0, sum w_j = 1",
        (
            "Where donors are hit by the event, too; where no mix of donors tracked the security, which the "
            "R-squared shows."
        ),
    ),
}

STATISTIC_NOTES = {
    "calendar_time": (
        "t = mean(r_d) / se_NW(r_d) over the D days that lie in some window",
        "Days of few firms weigh as much as days of many, however many dates hold them.",
    ),
    "cross_sectional_t": (
        "t = CAAR / (s(CAR) / sqrt(N))",
        "On common dates: firms that move together are counted as independent. 22 % instead of 5 % here.",
    ),
    "skewness_t": (
        "t = sqrt(N) (S + g S^2/3 + g^2 S^3/27 + g/(6N))",
        "On common dates, and on strong effects, where it explodes.",
    ),
    "bhar_t": (
        (
            "t = mean(BHAR) / (s(BHAR) / sqrt(N)), BHAR = prod(1+R) - prod(1+E[R]), of log returns "
            "exp(sum R) - exp(sum E[R])"
        ),
        "On common dates; over long windows, where BHARs are skewed.",
    ),
    "patell": ("Z = sum SCAR / sqrt(sum (M-k)/(M-k-2))", "When the event raises the variance, and on common dates."),
    "patell_kp": ("Z / sqrt(1 + (N-1) rbar)", "When the event raises the variance."),
    "bmp": (
        "t = mean(SCAR) / (s(SCAR) / sqrt(N))",
        "On common dates. Allows for a variance that the event raises in each firm.",
    ),
    "bmp_kp": (
        "t_BMP sqrt((1-rbar) / (1 + (N-1) rbar))",
        (
            "When the *common* variance rises on the event day, as it does on sector news: see the "
            "common-volatility ratio in the summary."
        ),
    ),
    "portfolio_t": (
        "t = CAAR / (s(mean AR over the estimation days) sqrt(W))",
        "When volatility is higher around events than in the estimation window.",
    ),
    "date_t": (
        (
            "t = mean(S_k) / (s(S_k) / sqrt(K)), S_k the standardised CAR of date k's peer portfolio; with "
            "overlap t = sum(S) / sqrt(e'e sum(W) / (K - sum(W)/K))"
        ),
        "With fewer than about six dates' worth (`k_eff`) it has little power.",
    ),
    "sign_flip": (
        "p = share of the 2^K sign vectors with |mean| at least as large",
        (
            "With five dates or fewer it cannot reach 5 %; where windows chain the dates into fewer than six "
            "blocks it is refused; an asymmetric distribution of dates."
        ),
    ),
    "ibragimov_mueller": (
        "t = mean(CAR_k) / (s(CAR_k) / sqrt(K)) over dates",
        "Volatile dates weigh most; little power with few dates.",
    ),
    "ar_t": (
        "t = AR / sqrt(prediction-error variance)",
        "It describes one firm: with fat tails a normal day in twenty is not a t of two.",
    ),
    "car_t": ("t = CAR / sqrt(g'Vg)", "As `ar_t`; a variance that the event raised is not in V."),
    "corrado": (
        "Z = sum_t d_t / (S sqrt(W)), d_t the mean rank deviation of day t",
        ("When event days are more volatile than the estimation window; little power where long windows overlap."),
    ),
    "corrado_zivney": ("Z = sum_t d_t / (S sqrt(W)), ranks over (1 + M_i)", "As `corrado`."),
    "grank_t": (
        "t = Z sqrt((T-2) / (T-1-Z^2)), Z = Ubar_0 / S",
        "With one date and few firms, and when common volatility rises.",
    ),
    "grank_z": (
        "Z = Ubar_0 / its standard deviation under independence",
        "On common dates it does not apply and says so.",
    ),
    "wilcoxon": ("W+ = sum of the ranks of |CAR| over positive CARs", "On common dates; skewed CARs."),
    "bootstrap": (
        "J = sqrt(n) (S + g S^2/3 + g/(6n)) against its resampled distribution",
        "On common dates: resampling firms does not make them independent.",
    ),
    "bootstrap_dates": (
        "t over dates against t* of dates drawn with replacement",
        "With fewer than ten dates it is refused; with few more it rejects too rarely.",
    ),
    "bootstrap_blocks": (
        "CAAR against sums of W resampled days of the mean residual",
        "When volatility is higher around events.",
    ),
    "permutation": (
        "mean S_k against placebo windows of the estimation residuals",
        "When volatility is higher around events; its placebos are all days, not matched drops.",
    ),
    "sq": (
        "p = 2 min((1 + #{<= CAR}) / (1+M), (1 + #{>= CAR}) / (1+M))",
        "For one date only; windows overlap, and a longer one has fewer independent placebos.",
    ),
    "sign": ("z = (w - N/2) / sqrt(N/4)", "On common dates; returns whose median is not zero."),
    "generalized_sign": ("z = (w - N p) / sqrt(N p (1-p))", "On common dates."),
}

MODELS_HEAD = """# Models of the expected return

Set with `model.name`. Each gives a prediction for every event day and the variance of its error over any
window, estimation error included; every test is built on that and knows no model. `R` is a security's return,
`R_m` its own market's index, `e` a residual. This page is written by `docs/make_reference.py` from the
registry.
"""
STATISTICS_HEAD = """# Tests

Chosen with `tests.names`; all of them run by default, on every group and window. `CAR` is a firm-event's
cumulative abnormal return, `SCAR` that over its standard error, N firm-events fall on K dates, W is the
length of the window, M the number of estimation days, `rbar` the mean residual correlation. A test that does
not apply gives NaN with a reason. [Which to trust](choosing-a-test.md) is a page of its own. This one is
written by `docs/make_reference.py` from the registry.
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
