"""The specification curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reversal_studies import many

from eventstudy.reversal.robustness import specification_curve


def test_the_specification_curve_has_the_primary_measure_in_it(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 6)
    rows = specification_curve(shocks, shocks.history.config)
    assert len(rows) == 24
    own = ("[2,20]", "market", "simple", "auto")
    primary = next(r for r in rows if (r.window, r.model, r.returns, r.alpha) == own)
    assert primary.estimate == pytest.approx(shocks.excess[shocks.asked].mean())
    estimates = [row.estimate for row in rows]
    assert rows[0].median == pytest.approx(np.median(estimates))
    assert rows[0].share_positive == pytest.approx(np.mean(np.array(estimates) > 0))
    assert len({row.joint_p for row in rows}) == 1
    assert 0 < rows[0].joint_p <= 1
