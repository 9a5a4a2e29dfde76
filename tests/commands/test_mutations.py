"""Inputs damaged at random end in an exit code for whoever must act, never in a fault of the program."""

from __future__ import annotations

import pytest
from mutations import KINDS, run


def test_a_small_share_of_the_mutations(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        assert run(4 * len(KINDS), seed=2, say=lambda _: None) == []
