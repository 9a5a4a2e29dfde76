"""JSON Schema (2020-12) of dataclasses, made from their annotations: of a study's TOML, for editors and programs."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from eventstudy.config.json_values import plain_json
from eventstudy.config.ranges import FREE, Distinct, Form, OneOf, Range, Registered
from eventstudy.config.settings import Peer, StudyConfig
from eventstudy.errors import Reason

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {str: "string", Reason: "string", int: "integer", float: "number", bool: "boolean"}


def study_schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file.

    Dates are texts of the form ``2026-06-09``, because TOML tools convert them to texts. Names of models and tests are
    those that are shipped or installed. Relations between settings, such as overlapping windows, are checked only by
    `load.load_config`: JSON Schema cannot express them.
    """
    return {"$schema": DIALECT, "title": "Study settings of eventstudy", **schema_of(StudyConfig)}


def schema_of(hint: Any, *, written: bool = False) -> dict[str, Any]:
    """Return the schema of a value with this annotation.

    ``written`` is for JSON that the package writes: missing values and NaN are null, and fields without a default are
    always present.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    of = functools.partial(schema_of, written=written)
    if hint is Any:
        return {}
    if origin is Annotated:
        return functools.reduce(_limited, arguments[1:], of(arguments[0]))
    if origin in (Union, types.UnionType):
        kinds = [of(kind) for kind in arguments if written or kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Mapping, dict):
        return {"type": "object", "additionalProperties": of(arguments[1])}
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"type": "array", "items": of(arguments[0])}
    if origin is tuple:
        items = [of(kind) for kind in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if dataclasses.is_dataclass(hint) and hint is not Reason:
        return _table(hint, written=written)
    if written and hint in (float, type(None)):
        return {"type": ["number", "null"]} if hint is float else {"type": "null"}
    return {"type": "string", "format": "date"} if hint is dt.date else {"type": _TYPES[hint]}


def _table(kind: Any, *, written: bool) -> dict[str, Any]:
    """Schema of one section: its keys, the required ones, and the defaults."""
    hints = typing.get_type_hints(kind, include_extras=True)
    properties, required = {}, []
    for item in dataclasses.fields(kind):
        key, rule = item.name.rstrip("_"), schema_of(hints[item.name], written=written)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            required.append(key)
        elif not written and item.default not in (dataclasses.MISSING, None):
            rule = {**rule, "default": plain_json(item.default)}
        properties[key] = rule
    # A peer's table may have the user's own covariates and groups.
    others: Any = {"type": ["string", "number"]} if kind is Peer else False
    lead = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("``", "").replace("\n", " ")
    table = {"type": "object", "description": lead, "properties": properties, "additionalProperties": others}
    return {**table, "required": required} if required else table


def _limited(schema: dict[str, Any], limit: Any) -> dict[str, Any]:
    """Return the schema with one limit of an annotation added."""
    match limit:
        case Range(least=dt.date()):
            return schema
        case Range(least=least, most=most):
            return {**schema, "minimum": least, "maximum": most}
        case Form() if limit != FREE:
            return {**schema, "pattern": f"^(?:{limit.pattern})$"}
        case OneOf(names=names):
            return {**schema, "enum": list(names)}
        case Registered(registry=registry):
            return {**schema, "enum": sorted(registry.names())}
        case Distinct():
            return {**schema, "uniqueItems": True}
    return schema
