"""Limit-locked days: the drop lasts to the first session on which one could trade."""

from __future__ import annotations

import numpy as np
import pytest
from panels import make_panel

from eventstudy.core.abnormal import abnormal_returns
from eventstudy.core.models import fit
from eventstudy.reversal.drops import after_locks, delays

TAU = np.arange(-2, 12)
DOWN, UP = 64, 32


def flags(*locked: int, bit: int = DOWN) -> np.ndarray:
    return np.where(np.isin(TAU, locked), bit, 0).astype(np.uint8)[None]


@pytest.mark.parametrize(
    ("locked", "delay"),
    [((), 0), ((0,), 1), ((1,), 2), ((0, 1), 2), ((0, 1, 2, 3), 4), ((2, 3), 0), ((-1,), 0), (tuple(range(9)), 5)],
)
def test_the_aftermath_starts_two_sessions_after_the_first_unlocked_one(locked: tuple[int, ...], delay: int) -> None:
    assert delays(flags(*locked), TAU, (0, 1)).tolist() == [delay]
    assert delays(flags(*locked, bit=UP), TAU, (0, 1)).tolist() == [delay]


def test_other_flags_lock_nothing() -> None:
    assert delays(flags(0, 1, bit=31), TAU, (0, 1)).tolist() == [0]


def locked_panel(locked: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """CARs over [0,1] and [2,6] of two firms, the first one locked."""
    rng = np.random.default_rng(5)
    returns, market = rng.normal(0, 0.02, (2, 60 + len(TAU))), rng.normal(0, 0.01, 60 + len(TAU))
    panel = make_panel(returns, market, n_estimation=60)
    panel.event_flags[0] = flags(*locked)[0]
    moved, expected = after_locks(panel, fit(panel), drop=(0, 1), event=(-2, 6))
    abnormal = abnormal_returns(moved, expected, alpha="estimated")
    plain = abnormal_returns(panel, fit(panel), alpha="estimated")
    assert abnormal.tau.tolist() == list(range(-2, 7))
    np.testing.assert_allclose(abnormal.car((0, 1))[1], plain.car((0, 1))[1])
    np.testing.assert_allclose(abnormal.variance((2, 6))[1], plain.variance((2, 6))[1])
    return (np.array([abnormal.car((0, 1))[0], abnormal.car((2, 6))[0], abnormal.variance((0, 1))[0]]), plain.ar[0])


def test_three_locked_days_are_one_drop() -> None:
    found, ar = locked_panel((0, 1, 2))
    zero = 2
    np.testing.assert_allclose(found[0], ar[zero : zero + 4].sum())
    np.testing.assert_allclose(found[1], ar[zero + 5 : zero + 10].sum())


def test_a_lock_on_day_0_alone_moves_the_aftermath_by_one() -> None:
    found, ar = locked_panel((0,))
    np.testing.assert_allclose(found[0], ar[2:4].sum())
    np.testing.assert_allclose(found[1], ar[5:10].sum())


def test_the_variance_counts_every_session_of_the_longer_drop() -> None:
    found, _ = locked_panel((0, 1, 2))
    rng = np.random.default_rng(5)
    returns, market = rng.normal(0, 0.02, (2, 60 + len(TAU))), rng.normal(0, 0.01, 60 + len(TAU))
    plain = abnormal_returns(
        make_panel(returns, market, n_estimation=60),
        fit(make_panel(returns, market, n_estimation=60)),
        alpha="estimated",
    )
    np.testing.assert_allclose(found[2], plain.variance((0, 3))[0])


@pytest.mark.parametrize("rule", [True, False])
def test_clipped_falls_look_like_drift_unless_the_drop_is_extended(rule: bool) -> None:
    """A 10 % limit splits one fall over days; without the rule its rest counts as continuation."""
    rng = np.random.default_rng(11)
    n, length = 400, 60 + len(TAU)
    latent = rng.normal(0, 0.02, (n, length))
    latent[:, 62] -= 0.25
    shown, locked, carry = np.empty_like(latent), np.zeros(latent.shape, dtype=bool), np.zeros(n)
    for day in range(length):
        wanted = latent[:, day] + carry
        shown[:, day] = np.clip(wanted, -0.10, 0.10)
        carry = wanted - shown[:, day]
        locked[:, day] = np.abs(carry) > 1e-12
    panel = make_panel(shown, np.random.default_rng(1).normal(0, 0.01, length), n_estimation=60)
    if rule:
        panel.event_flags[:] = np.where(locked[:, 60:], DOWN, 0)
    moved, expected = after_locks(panel, fit(panel), drop=(0, 1), event=(-2, 6))
    post = abnormal_returns(moved, expected).car((2, 6))
    z = post.mean() / (post.std(ddof=1) / np.sqrt(n))
    assert abs(z) < 2.6 if rule else z < -10
