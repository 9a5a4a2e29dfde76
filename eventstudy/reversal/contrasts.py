"""Do drops on misread news come back more than drops on genuine news?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.checks.regression import regress
from eventstudy.messages import say
from eventstudy.reversal.measured import NAN, Measure, not_measured
from eventstudy.reversal.permutation import difference_p
from eventstudy.reversal.shocks import Judgement

#: Fewer dates on either side and a contrast says nothing: one date fits a line of its own without error.
FEWEST_SIDE = 3
#: Fewer dates in all and every cluster-robust error fails (method table C.5).
FEWEST_CLUSTERS = 10
GROUP = "misreading-genuine"
TERMS = ("car_drop", "misreading", "misreading_x_car_drop")


def label_difference(judgement: Judgement) -> Measure:
    """Mean excess of the label in question less that of genuine news, labels permuted over dates."""
    config = judgement.history.config
    ours, theirs = _masks(judgement)
    x, other = judgement.by_date(judgement.excess, ours), judgement.by_date(judgement.excess, theirs)
    g1, g0 = len(x), len(other)
    if min(g1, g0) < FEWEST_SIDE:
        label = say(f"label.{config.reversal.label}")
        note = say("note.difference_blocked", treated=g1, label=label, others=g0, fewest=FEWEST_SIDE)
        return Measure(
            measure="difference",
            group=GROUP,
            estimate=NAN,
            lower=NAN,
            upper=NAN,
            p_value=NAN,
            n_dates=g1 + g0,
            note=note,
        )
    gap, p, floor = difference_p(x, other, draws=config.tests.draws, seed=config.study.seed)
    note = say("note.difference", treated=g1, others=g0, floor=floor)
    return Measure(
        measure="difference", group=GROUP, estimate=gap, lower=NAN, upper=NAN, p_value=p, n_dates=g1 + g0, note=note
    )


def no_difference(why: str) -> Measure:
    """Return the row of a difference that cannot be had."""
    return not_measured("difference", GROUP, 0, why)


def no_regression(why: str) -> list[Measure]:
    """Return the rows of a regression that cannot be had."""
    return [not_measured(f"regression_{name}", GROUP, 0, why) for name in TERMS]


def _masks(judgement: Judgement) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    genuine = judgement.members.get("label=genuine", np.zeros(len(judgement.label), dtype=bool))
    return judgement.asked, genuine


def regression(judgement: Judgement) -> list[Measure]:
    """Regress peers' CAR_post on CAR_drop, the label and their product, dates as clusters.

    Notes
    -----
    CAR_post = a + b CAR_drop + c MIS + d MIS x CAR_drop + u with CAR_drop centred on its mean, so that
    c is the contrast at the mean drop. p is that of CR2 with Bell and McCaffrey's degrees of freedom,
    the wild bootstrap's stands in the note. Shocks need not have a benchmark here. Blocked with fewer
    than three dates of either label or ten in all.
    """
    config = judgement.history.config
    judged, label = judgement.drops, judgement.label
    usable = judged.qualifies & np.isfinite(judged.post) & judgement.in_time
    ours, theirs = usable & (label == config.reversal.label), usable & (label == "genuine")
    g1, g0, g = (len(np.unique(judged.day0[mask])) for mask in (ours, theirs, ours | theirs))
    if min(g1, g0) < FEWEST_SIDE or g < FEWEST_CLUSTERS:
        note = say(
            "note.regression_blocked",
            treated=g1,
            label=say(f"label.{config.reversal.label}"),
            others=g0,
            fewest=FEWEST_SIDE,
            clusters=FEWEST_CLUSTERS,
        )
        return [not_measured(f"regression_{name}", GROUP, g, note) for name in TERMS]
    y, x, cluster = _firm_rows(judgement, ours, theirs)
    fit = regress(y, x, cluster, names=TERMS, draws=config.tests.draws, seed=config.study.seed)
    rows = []
    for j, name in enumerate(fit.names):
        half = fit.se_cr2[j] * _quantile(fit.df_cr2[j])
        note = say("note.regression", df=fit.df_cr2[j], p=fit.p_wild[j], weights=fit.wild_weights, n=fit.n)
        value = float(fit.coefficient[j])
        p = float(fit.p_cr2[j])
        rows.append(
            Measure(
                measure=f"regression_{name}",
                group=GROUP,
                estimate=value,
                lower=value - half,
                upper=value + half,
                p_value=p,
                n_dates=g,
                note=note,
            )
        )
    return rows


def _firm_rows(
    judgement: Judgement, ours: NDArray[np.bool_], theirs: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
    portfolios, windows = judgement.portfolios, judgement.history.config.windows
    members = portfolios.members
    shock = np.repeat(np.arange(len(portfolios)), np.diff(np.append(portfolios.starts, len(members))))
    drop = portfolios.abnormal.car(windows.drop)[members]
    post = portfolios.abnormal.car(windows.post)[members]
    kept = (ours | theirs)[shock] & np.isfinite(drop) & np.isfinite(post)
    drop, post, treated = drop[kept], post[kept], ours[shock][kept].astype(float)
    centred = drop - drop.mean()
    x = np.column_stack([centred, treated, treated * centred])
    return post, x, portfolios.day0[shock][kept]


def _quantile(df: float) -> float:
    from scipy import special

    return float(special.stdtrit(df, 0.975))
