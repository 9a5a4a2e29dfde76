"""Four verdicts and no fifth, each sentence word for word."""

from __future__ import annotations

import numpy as np
import pytest

from eventstudy.core.statistics.dates import dates_needed, detectable
from eventstudy.errors import Reason
from eventstudy.messages import text
from eventstudy.reversal.estimator import Excess
from eventstudy.reversal.permutation import NO_TEST, PermutationTest, placebo_spread
from eventstudy.reversal.verdict import Evidence, Verdict, verdict


def permutation(p: float) -> PermutationTest:
    return PermutationTest(greater=p / 2, less=1 - p / 2, two_sided=p, floor=0.001, draws=9_999, exact=False)


PLACEBOS = np.linspace(-0.06, 0.06, 10)


def answer(
    values: np.ndarray, *, p: float = 0.5, drop: float = -0.10, other: tuple[float, ...] = (), **counts: int
) -> Verdict:
    test = permutation(p) if len(values) else NO_TEST
    evidence = Evidence(
        subject=Reason("subject.labelled", label="misreading"),
        window=(2, 20),
        excess=values,
        drop=np.full(len(values), drop),
        permutation=test,
        spread=placebo_spread([PLACEBOS] * len(values)),
        other_measures=other,
        n_events=8 * len(values),
        n_effective=2.1 * len(values),
        n_placebos=10 * len(values),
        **counts,
    )
    return verdict(evidence, seed=1, draws=999)


SPREAD = np.array([-0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.0])


def test_reversal() -> None:
    found = answer(0.08 + SPREAD, p=0.004, other=(0.07, 0.09))
    assert found.kind == "reversal"
    assert text(found.sentence) == (
        "Reversal: after misreading-labelled drops the peers' abnormal return over days +2 to +20 was "
        "8.0% above that after matched control drops (95 % CI +6.3% to +9.7%; permutation p = 0.004, "
        "sign-flip p = 0.008; 8 shocks, 64 firm-events, N_eff 16.8; smallest detectable effect 2.3%)."
    )


def test_drift() -> None:
    found = answer(-0.05 + SPREAD, p=0.010, other=(-0.04, -0.06))
    assert found.kind == "drift"
    assert text(found.sentence) == (
        "Drift: after misreading-labelled drops the peers' abnormal return over days +2 to +20 was 5.0% "
        "below that after matched control drops (95 % CI -6.7% to -3.3%; permutation p = 0.010, "
        "sign-flip p = 0.008; 8 shocks, 64 firm-events, N_eff 16.8; smallest detectable effect 2.3%)."
    )


def test_equivalent_to_none() -> None:
    found = answer(0.001 + SPREAD, drop=-0.20)
    assert found.kind == "equivalent to none"
    assert found.margin == pytest.approx(0.05)
    assert found.equivalence_p < 0.05
    assert text(found.sentence) == (
        "Equivalent to none: after misreading-labelled drops the peers' abnormal return over days +2 to "
        "+20 differed by +0.1% from that after matched control drops, and a difference beyond ±5.0% can "
        "be ruled out (95 % CI -1.6% to +1.8%; permutation p = 0.500, sign-flip p = 0.852; 8 shocks, 64 "
        "firm-events, N_eff 16.8; smallest detectable effect 2.3%)."
    )


def test_inconclusive() -> None:
    found = answer(0.02 + 4 * SPREAD)
    assert found.kind == "inconclusive"
    assert text(found.sentence) == (
        "Inconclusive: after misreading-labelled drops the peers' abnormal return over days +2 to +20 "
        "differed by +2.0% from that after matched control drops, which is not distinguishable from "
        "zero with these dates (95 % CI -4.7% to +8.7%; permutation p = 0.500, sign-flip p = 0.555; 8 shocks, 64 "
        "firm-events, N_eff 16.8; smallest detectable effect 9.2%)."
    )


def test_one_date_is_a_case_study() -> None:
    found = answer(np.array([0.05]), p=0.18, rank=1)
    assert text(found.sentence) == (
        "Inconclusive: one misreading-labelled drop only, after which the peers' abnormal return over "
        "days +2 to +20 was 5.0% above that of 10 matched control drops (rank 1 of 11; permutation p = "
        "0.18; 8 firm-events). One date cannot separate an effect from chance: with 10 control drops no p "
        "below 0.001 is possible, and given their spread the smallest detectable effect is 13.3%."
    )
    assert text(found.more_data) == (
        "To find a true difference of 2, 5 or 10 points (80 % power at the 5 % level) takes about 38, 8 or 4 dates; "
        "more peers on the same dates do not help. This holds if a date varies as its control drops do (standard "
        "error of one date's excess 4.2%)."
    )
    assert text(found.ladder) == (
        "Case study. One shock. Rank 1 of 11, itself and its 10 matched control drops. No claim about "
        "misreadings in general."
    )


def test_nothing_to_test_says_why() -> None:
    none = np.zeros(0)
    assert text(answer(none).sentence) == (
        "Inconclusive: there are no misreading-labelled drops with prices, so the reversal test was not run."
    )
    assert text(answer(none, n_candidates=4).sentence) == (
        "Inconclusive: none of the 4 shocks behind the misreading-labelled drops was a fall large enough "
        "to count as a drop, so there is no reversal to test."
    )
    assert text(answer(none, n_candidates=4, n_drops=2, n_unmatched=2).sentence) == (
        "Inconclusive: no valid benchmark, since none of the misreading-labelled drops has five "
        "control drops in the price history."
    )
    assert text(answer(none, n_candidates=4, n_drops=2, n_late=2).sentence) == (
        "Inconclusive: the labels of all 2 misreading-labelled drops were set after the drop had ended, "
        "so there is no confirmatory test."
    )
    assert text(answer(none, n_candidates=4, n_drops=1, n_late=1).sentence) == (
        "Inconclusive: the label of the one misreading-labelled drop was set after the drop had ended, so "
        "there is no confirmatory test."
    )
    assert text(answer(none).ladder) == "No drop of this kind entered the comparison."


DESCRIPTIVE = (
    "Descriptive. With so few dates no test over dates can reach 5% two-sided; the matched-permutation p "
    "assumes that the control drops are comparable."
)


@pytest.mark.parametrize(
    ("k", "ladder"),
    [
        (2, DESCRIPTIVE),
        (5, DESCRIPTIVE),
        (10, "Low power: the smallest detectable effect is 1.00 standard deviations, 6.3%."),
        (15, "Moderate power."),
        (29, "Moderate power."),
        (30, ""),
    ],
)
def test_the_ladder_of_messages(k: int, ladder: str) -> None:
    values = np.arange(k) * 0.0 + 0.01 + 0.06 * np.where(np.arange(k) % 2, 1.0, -1.0)
    assert text(answer(values).ladder) == ladder


def test_a_reversal_needs_every_piece_of_evidence() -> None:
    strong = 0.08 + SPREAD
    assert answer(strong, p=0.004, other=(0.07, 0.09)).kind == "reversal"
    assert answer(strong, p=0.06, other=(0.07, 0.09)).kind == "inconclusive"
    assert answer(strong, p=0.004, other=(-0.01, 0.09)).kind == "inconclusive"
    assert answer(strong[:5], p=0.004, other=(0.07, 0.09)).kind == "inconclusive"


def test_two_dates_that_happen_to_agree_are_no_equivalence() -> None:
    assert answer(np.array([0.0001, -0.0001]), drop=-0.20).kind == "inconclusive"
    assert answer(np.array([0.0001, -0.0001] * 3), drop=-0.20).kind == "equivalent to none"


def test_no_reversal_is_claimed_from_a_large_p() -> None:
    assert answer(4 * SPREAD, p=0.9, drop=-0.05).kind == "inconclusive"


def test_more_data_names_the_dates_needed() -> None:
    assert text(answer(0.02 + 4 * SPREAD).more_data) == (
        "To find a true difference of 2, 5 or 10 points (80 % power at the 5 % level) takes about 130, 23 or 8 dates; "
        "more peers on the same dates do not help. This holds if dates vary as those seen here (standard error of "
        "one date's excess 8.0%)."
    )


def test_the_dates_needed_and_the_smallest_effect_of_a_regression_agree() -> None:
    """Four dates that can show 12.2 points are too few for ten, and enough for 12.3."""
    own = np.array([0.02, -0.03, 0.01, -0.04])
    found = Excess(effect=-0.01, se=0.02868, df=2.4, own=own, entered=np.ones(4, bool), n_events=4, n_weeks=4)
    evidence = Evidence(
        subject=Reason("subject.labelled", label="misreading"),
        window=(2, 20),
        excess=own,
        drop=np.full(4, -0.1),
        regression=found,
        n_events=4,
    )
    judged = verdict(evidence, seed=1, draws=999)
    between, share = found.per_date(4)
    assert judged.mde == pytest.approx(detectable(0.02868, 2.4))
    assert dates_needed(between, 1.001 * judged.mde, df_share=share) == 4
    assert dates_needed(between, 0.999 * judged.mde, df_share=share) == 5
    assert judged.needed == {"two": 67, "five": 13, "ten": 6}
    assert "takes about 67, 13 or 6 dates" in text(judged.more_data)


def test_the_smallest_effect_of_one_date_is_found_four_times_in_five() -> None:
    mde = answer(np.array([0.05]), p=0.18, rank=1).mde
    rng = np.random.default_rng(3)
    sd, draws = PLACEBOS.std(ddof=1), 20_000
    event, placebos = mde + sd * rng.standard_normal(draws), sd * rng.standard_normal((draws, 10))
    t = (event - placebos.mean(axis=1)) / (placebos.std(axis=1, ddof=1) * np.sqrt(1 + 1 / 10))
    critical = 2.2621571628  # 97.5 % of Student's t with 9 degrees of freedom
    assert np.mean(np.abs(t) > critical) == pytest.approx(0.80, abs=0.01)


def test_the_spread_of_placebos_is_pooled_within_their_sets() -> None:
    found = placebo_spread([np.array([0.0, 0.2]), np.array([1.0, 1.3, 1.6])])
    assert (found.sd, found.df) == (pytest.approx(np.sqrt((0.02 + 0.18) / 3)), 3)
    assert found.se == pytest.approx(found.sd * np.sqrt(1.5 + 4 / 3) / 2)
    assert np.isnan(placebo_spread([np.array([0.4])]).sd)
