"""Records of more than six fields are built by name: no two of their numbers can be swapped unseen."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import eventstudy

MOST_BY_POSITION = 6
#: A registry finds a figure by the name in the first place of its declaration.
DECLARED = {"eventstudy.plots.kinds.Kind"}


def modules() -> list[ModuleType]:
    names = [module.name for module in pkgutil.walk_packages(eventstudy.__path__, "eventstudy.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def records() -> list[type]:
    """Every dataclass that the package defines."""
    found = {
        item
        for module in modules()
        for item in vars(module).values()
        if inspect.isclass(item) and dataclasses.is_dataclass(item) and item.__module__.startswith("eventstudy.")
    }
    return sorted(found, key=lambda item: (item.__module__, item.__qualname__))


def by_position(record: type) -> list[str]:
    return [field.name for field in dataclasses.fields(record) if field.init and not field.kw_only]


def test_records_of_many_fields_are_built_by_name() -> None:
    every = records()
    assert len(every) > 100
    many = [record for record in every if len(dataclasses.fields(record)) > MOST_BY_POSITION]
    assert len(many) > 50
    loose = [f"{r.__module__}.{r.__qualname__}" for r in many if len(by_position(r)) > 0]
    assert set(loose) == DECLARED


def test_a_record_of_many_fields_refuses_positions() -> None:
    from eventstudy.reversal.measures import Measure

    values = ("car_drop", "all", -0.03, -0.05, -0.01, 0.02, 7)
    names = ("measure", "group", "estimate", "lower", "upper", "p_value", "n_dates")
    measure = Measure(**dict(zip(names, values, strict=True)))
    assert (measure.lower, measure.upper) == (-0.05, -0.01)
    with pytest.raises(TypeError, match="positional"):
        Measure(*values)
