"""The study's settings: TOML layers read into frozen dataclasses.

Layers, later ones win: defaults, the sector's TOML (``--sector`` or ``study.sector``), the
``eventstudy.toml`` in the folder of the events file, ``--config FILE``, ``--set key=value``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import functools
import re
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

from eventstudy.config.consistency import check
from eventstudy.config.settings import Peer, StudyConfig, Windows
from eventstudy.errors import ConfigError, Problem, nearest

SECTORS = Path(__file__).parents[1] / "sectors"
#: If a key of a peer's table is at least this similar to a setting (difflib's ratio), it is misspelt and no covariate.
SLIP = 0.8


def sector_names() -> tuple[str, ...]:
    """Names of the sectors that ship with the package."""
    return tuple(sorted(path.parent.name for path in SECTORS.glob("*/study.toml")))


def sector_file(name: str) -> Path:
    """Path of a shipped sector's TOML; `ConfigError` names the nearest one."""
    if name not in sector_names():
        raise ConfigError(f"sector {name!r} is not shipped; {nearest(name, sector_names())}")
    return SECTORS / name / "study.toml"


def sector_prices(name: str) -> Path | None:
    """Path of the prices of a shipped sector, None if it has none; `ConfigError` as in `sector_file`."""
    path = sector_file(name).with_name("prices.parquet")
    return path if path.is_file() else None


def load_config(
    events_path: Path,
    *,
    sector: str | None = None,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    peers: bool = True,
    assumed: Callable[[], Mapping[str, Any]] | None = None,
) -> StudyConfig:
    """Read and check all layers of settings for a study of ``events_path``.

    ``assumed`` is the lowest layer of a study whose peers are named by no sector and no file. Without ``peers`` the
    study is that of a whole market, which names none. One `ConfigError` lists every problem.
    """
    layers, named = _files(events_path, sector, config_file)
    if assumed and not any("peers" in table for _, table in layers):
        layers.insert(0, ("what is assumed", dict(assumed())))
    layers.append(("--set", _parse_overrides(overrides)))
    if named:
        layers.append(("sector", {"study": {"sector": named}}))
    problems: list[Problem] = []
    merged: dict[str, Any] = {}
    for source, table in layers:
        problems += unknown_keys(source, table)
        for section, values in table.items():
            known = isinstance(values, dict) and isinstance(merged.get(section, {}), dict)
            merged[section] = {**merged.get(section, {}), **values} if known else values
    if problems:
        raise ConfigError(problems)
    shipped = str(sector_file(named)) if named and named in sector_names() else ""
    named_windows = [table.get("windows") for source, table in layers if source != shipped]
    written = {name for section in named_windows if isinstance(section, Mapping) for name in section}
    merged["windows"] = cut_to_event(merged.get("windows", {}), written)
    where, faults = functools.partial(_where, layers), list[tuple[str, str]]()
    config = _build(StudyConfig, merged, "", faults)
    if faults:
        raise ConfigError([Problem(text, *where(path)) for path, text in faults])
    check(config, peers=peers, written=written, where=where)
    return typing.cast(StudyConfig, config)


def _where(layers: Sequence[tuple[str, Mapping[str, Any]]], path: str) -> tuple[str, int | None]:
    """Return file and line of a setting, such as ``report.formats[0]`` or ``peers[2].market``; else no file."""
    section, at, key = re.findall(r"^(\w*)(?:\[(\d+)\])?(?:\.(\w+))?", path)[0]
    for source, table in reversed(layers):
        values = table.get(section)
        if isinstance(values, list) or (isinstance(values, Mapping) and (key in values or not key)):
            return (source, _line_of(source, section, key, int(at or 0))) if Path(source).is_file() else ("", None)
    return "", None


def _line_of(source: str, section: str, key: str, at: int = 0) -> int | None:
    """Line of a key, or of the head of its section if there is no key, in the ``at``-th table of this name."""
    wanted, current, tables = f"{section}.{key}" if key else section, "", -1
    lines = Path(source).read_text(encoding="utf-8-sig").splitlines() if Path(source).is_file() else []
    for number, line in enumerate(lines, 1):
        if head := re.match(r"\s*\[{1,2}\s*([A-Za-z][\w.]*)\s*\]", line):
            path = current = head[1]
            tables += current == section
        elif name := re.match(r"\s*([\w.]+)\s*=", line):
            path = f"{current}.{name[1]}".lstrip(".")
        else:
            continue
        if f"{path}.".startswith(f"{wanted}.") and max(tables, 0) == at:
            return number
    return None


def cut_to_event(values: Any, written: Collection[str]) -> Any:
    """Return the section ``windows`` with the defaults fitted to the windows that the study names.

    The estimation window ends before the event window. Drop, post and CAR windows are cut at its end; a window without
    a day in it is not changed. Values that are no windows are not changed either; they are refused later.
    """
    if not isinstance(values, Mapping):
        return values
    windows: dict[str, Any] = {**dataclasses.asdict(Windows()), **values}
    named = [windows[name] for name in ("estimation", "drop", "post", "event")]
    pairs = [*named, *windows["car"]] if isinstance(windows["car"], list | tuple) else [None]
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 and {*map(type, pair)} == {int} for pair in pairs):
        return values
    first, last = windows["event"]

    def cut(start: int, end: int) -> list[int]:
        return [max(start, first), min(end, last)]

    start, end = windows["estimation"]
    fitted = {"estimation": [start, min(end, first - 1)]} | {name: cut(*windows[name]) for name in ("drop", "post")}
    fitted = {name: window for name, window in fitted.items() if window[0] <= window[1] and name not in written}
    if "car" not in written:
        inside = [window for window in (cut(*window) for window in windows["car"]) if window[0] <= window[1]]
        fitted["car"] = [list(window) for window in dict.fromkeys(map(tuple, inside))] or [[first, last]]
    return {**values, **fitted}


def _files(
    events_path: Path, sector: str | None, config_file: Path | None
) -> tuple[list[tuple[str, dict[str, Any]]], str | None]:
    """The layers that are files, the lowest first, and the named sector."""
    local = events_path.parent / "eventstudy.toml"
    layers = [_read(path) for path in (local if local.is_file() else None, config_file) if path is not None]
    named = sector or next((s for _, t in reversed(layers) if (s := _named_sector(t))), None)
    own_peers = any("peers" in table for _, table in layers)
    if named and not (own_peers and sector is None):
        layers.insert(0, _read(sector_file(named)))
    return layers, named


def config_from_dict(settings: Mapping[str, Any], *, source: str = "manifest.json", peers: bool = True) -> StudyConfig:
    """Return the settings that `StudyConfig.as_dict` wrote into a manifest or another ``source``."""
    faults = list[tuple[str, str]]()
    if problems := unknown_keys(source, settings):
        raise ConfigError(problems)
    finished, windows = source == "manifest.json", settings.get("windows", {})
    written = tuple(windows) if isinstance(windows, Mapping) and not finished else ()
    fitted = settings if finished else {**settings, "windows": cut_to_event(windows, written)}
    config = _build(StudyConfig, _revived(StudyConfig, fitted), "", faults)
    if faults:
        raise ConfigError([Problem(text) for _, text in faults])
    # A manifest does not say which windows the study named itself.
    check(config, peers=peers, written=written)
    return typing.cast(StudyConfig, config)


def _revived(hint: Any, value: Any) -> Any:
    """Undo `StudyConfig.as_dict` by the annotation: ISO texts become dates, absent values are removed."""
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        hints = {name.rstrip("_"): item for name, item in typing.get_type_hints(hint).items()}
        return {key: _revived(hints.get(key), item) for key, item in value.items() if item is not None}
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        return [_revived(typing.get_args(hint)[0], item) for item in value]
    if dt.date in typing.get_args(hint) and isinstance(value, str):
        return dt.date.fromisoformat(value)
    return value


def _named_sector(table: Mapping[str, Any]) -> str:
    """The ``study.sector`` of one layer; empty if it is absent or no text (which is refused later)."""
    study = table.get("study")
    sector = study.get("sector", "") if isinstance(study, Mapping) else ""
    return sector if isinstance(sector, str) else ""


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        return str(path), tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
    except UnicodeDecodeError as error:
        raise ConfigError(Problem("is not UTF-8 text; save it as UTF-8", str(path))) from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(Problem(f"is not TOML: {error}", str(path), int(line[1]) if line else None)) from error


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and name):
            raise ConfigError(f"--set {text!r}: write section.key=value, for example windows.minimum=150")
        try:
            told = tomllib.loads(f"value = {value.strip()}")["value"]
        except tomllib.TOMLDecodeError:
            told = value.strip()
        table.setdefault(section, {})[name] = told
    return table


def unknown_keys(source: str, table: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for every key that is no setting, with its line if ``source`` is a file."""
    problems = []
    hints = typing.get_type_hints(StudyConfig)
    for section, values in table.items():
        if section not in hints:
            problems.append(_unknown(source, section, "", hints))
            continue
        hint = hints[section]
        item = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
        accepted = {f.name.rstrip("_") for f in dataclasses.fields(item)}
        for at, row in enumerate(values if isinstance(values, list) else [values]):
            for key in row if isinstance(row, dict) else ():
                if key not in accepted and not (item is Peer and _is_own(key, row[key], accepted)):
                    problems.append(_unknown(source, section, key, accepted, at))
    return problems


def _is_own(key: str, value: Any, accepted: typing.Iterable[str]) -> bool:
    """Whether an entry of a peer's table is the user's own covariate or group."""
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return plain and not difflib.get_close_matches(key, accepted, 1, SLIP)


def _unknown(source: str, section: str, key: str, accepted: typing.Iterable[str], at: int = 0) -> Problem:
    """The problem of a key that is no setting, with its line where the source is a file."""
    path = f"{section}.{key}" if key else section
    text = f"unknown key {path!r}; {nearest(key or section, accepted)}"
    return Problem(text, source, _line_of(source, section, key, at))


def _build(kind: Any, table: Mapping[str, Any], path: str, faults: list[tuple[str, str]]) -> Any:
    hints = typing.get_type_hints(kind)
    if kind is Peer:
        settings = {name.rstrip("_") for name in hints}
        own = {key: value for key, value in table.items() if key not in settings}
        table = {**table, "own": {**own, **table.get("own", {})}}
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        key = item.name.rstrip("_")
        if key in table:
            values[item.name] = _coerce(hints[item.name], table[key], f"{path}{key}", faults)
    missing = [
        item.name
        for item in dataclasses.fields(kind)
        if item.default is dataclasses.MISSING
        and item.default_factory is dataclasses.MISSING
        and item.name not in values
    ]
    if missing:
        faults.append((path, f"{path.rstrip('.')}: {', '.join(missing)} missing"))
        return None
    return kind(**values)


def _coerce(hint: Any, value: Any, path: str, faults: list[tuple[str, str]]) -> Any:
    """Return ``value`` as the annotated type, or record a problem that says what is accepted."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in arguments if kind is not type(None)]
        return _coerce(str if str in kinds and isinstance(value, str) else kinds[-1], value, path, faults)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(hint, value, f"{path}.", faults)
    if origin is tuple and isinstance(value, list):
        return _coerce_tuple(arguments, value, path, faults)
    if origin is Mapping and isinstance(value, dict):
        return {key: _coerce(arguments[1], item, f"{path}.{key}", faults) for key, item in value.items()}
    if origin is Literal and value in arguments:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    accepted = " or ".join(map(repr, arguments)) if origin is Literal else _describe(hint)
    faults.append((path, f"{path} = {value!r}: accepted is {accepted}"))
    return None


def _coerce_tuple(arguments: Any, value: list[Any], path: str, faults: list[tuple[str, str]]) -> Any:
    if arguments[-1] is Ellipsis:
        return tuple(_coerce(arguments[0], item, f"{path}[{i}]", faults) for i, item in enumerate(value))
    if len(value) != len(arguments):
        faults.append((path, f"{path} = {value!r}: accepted are {len(arguments)} values"))
        return None
    return tuple(_coerce(a, v, path, faults) for a, v in zip(arguments, value, strict=True))


def _describe(hint: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    if hint is dt.date:
        return "a date such as 2026-06-09, without quotes"
    tabular = dataclasses.is_dataclass(hint) or typing.get_origin(hint) is Mapping
    return names.get(hint, "a table" if tabular else "a list")
