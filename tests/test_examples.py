"""Every public name has a docstring with an example that runs; functions say what they return."""

from __future__ import annotations

import doctest
import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panels import make_panel

import eventstudy
from eventstudy.core.abnormal import abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import Sample

PROPERTIES = (property, functools.cached_property)
NAMES = sorted(set(eventstudy.__all__) - {"__version__"})


@pytest.fixture
def registries() -> Iterator[None]:
    """The registries without what an example adds; what is of the package may stay loaded."""
    yield
    for part in (eventstudy.STATISTICS, eventstudy.MODELS, eventstudy.PROVIDERS):
        for name in set(part) - set(part.declared):
            del part[name]


def given() -> dict[str, Any]:
    """What examples of a model and of a statistic speak of: the panel or sample that one is given."""
    rng = np.random.default_rng(5)
    market = rng.normal(0.0, 0.01, 65)
    returns = market + rng.normal(0.0, 0.02, (6, 65))
    shocks = ("A", "A", "B", "B", "C", "C")
    starts = (18_000, 18_000, 18_200, 18_200, 18_400, 18_400)
    panel = make_panel(returns, market, n_estimation=60, shock_id=shocks, starts=starts)
    abnormal = abnormal_returns(panel, fit(panel), alpha="estimated")
    return {
        "panel": panel,
        "sample": Sample(group="all", abnormal=abnormal, correlations=np.eye(6), draws=99).at((0, 1)),
    }


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(getattr(eventstudy, name)) or ""
    assert "\nExamples\n--------\n" in text
    test = doctest.DocTestParser().get_doctest(text, given(), name, None, 0)
    assert test.examples
    said: list[str] = []
    outcome = doctest.DocTestRunner().run(test, out=said.append)
    assert outcome.attempted == len(test.examples)
    assert not outcome.failed, "".join(said)


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isfunction(getattr(eventstudy, name))])
def test_a_public_function_says_what_it_takes_and_returns(name: str) -> None:
    text = inspect.getdoc(getattr(eventstudy, name)) or ""
    for head in ("Parameters\n----------\n", "Returns\n-------\n"):
        assert head in text
    for parameter in inspect.signature(getattr(eventstudy, name)).parameters:
        assert f"{parameter} " in text or f"{parameter}\n" in text or f"{parameter}," in text


def test_every_attribute_of_a_result_says_what_it_is() -> None:
    shown = [name for name in dir(eventstudy.StudyResult) if not name.startswith("_")]
    members = {name: inspect.getattr_static(eventstudy.StudyResult, name) for name in shown}
    properties = [name for name, member in members.items() if isinstance(member, PROPERTIES)]
    assert {"verdict", "tests", "car", "aar", "shocks", "drops", "trades", "ledger"} < set(properties)
    assert {"counts", "warnings", "windows", "model", "plot", "simulated"} < set(properties)
    for name, member in members.items():
        if isinstance(member, PROPERTIES) or inspect.isfunction(member):
            assert (inspect.getdoc(member) or "").endswith((".", "``")), name
