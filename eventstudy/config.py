"""The study's settings: TOML layers read into frozen dataclasses.

Layers, later ones win: defaults, the sector's TOML (``--sector`` or ``study.sector``), the
``eventstudy.toml`` beside the events file, ``--config FILE``, ``--set key=value``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eventstudy.errors import ConfigError, Problem, nearest
from eventstudy.exchanges.exchange import WORLD_MARKET
from eventstudy.json_values import plain_json
from eventstudy.registry import MODELS, STATISTICS
from eventstudy.workers import engine_problem

SECTORS = Path(__file__).parent / "sectors"
Window = tuple[int, int]
#: What an event may be called; the study's question may be about any of them.
LABELS = (
    "misreading",
    "genuine",
    "contested",
    "clarification",
    "no_news",
    "macro",
    "good_news",
    "unknown",
)
#: Twenty years: windows are cut as arrays of this length for every event.
MAX_SESSIONS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is studied; ``sector`` names the shipped study that this one builds on.

    ``kind`` is what is abnormal: the return, the logarithm of the volume, or the absolute return as
    a day's volatility. The last two are tested in the same windows; drops, reversals and trades are
    questions about returns.
    """

    name: str = "Event study"
    kind: Literal["return", "volume", "volatility"] = "return"
    sector: str = ""
    currency: str = "USD"
    language: Literal["en", "zh"] = "en"
    headline: str = ""
    seed: int = 20260624


@dataclass(frozen=True, slots=True)
class Market:
    """One exchange: its calendar (MIC), its index, and the region whose weight it shares."""

    mic: str
    benchmark: str
    region: str = ""
    currency: str = ""
    board: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One security with its membership in time.

    ``from_`` and ``until`` are the first and last trading day, ``deal_bound_from`` the first
    session at a bid price: from then on the price follows the deal, not the sector.
    """

    ticker: str
    market: str
    name: str = ""
    name_local: str = ""
    from_: dt.date | None = None
    until: dt.date | None = None
    deal_bound_from: dt.date | None = None
    aliases: tuple[str, ...] = ()
    exposure: float = 1.0
    group: str = "core"
    board: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Sessions relative to day 0, both ends included.

    ``same_day``: firm-events of one peer and day 0 in different shocks are each counted, or ``merge`` into
    the first; within a shock they always count once.
    ``overlapping``: events of one peer whose event windows overlap are each counted, or the later one
    is dropped.
    """

    estimation: Window = (-250, -11)
    minimum: int = 120
    drop: Window = (0, 1)
    post: Window = (2, 20)
    event: Window = (-10, 20)
    car: tuple[Window, ...] = ((0, 0), (0, 1), (-1, 1), (2, 5), (2, 10), (2, 20))
    clean_estimation: bool = True
    allow_partial: bool = False
    same_day: Literal["keep", "merge"] = "keep"
    overlapping: Literal["keep", "drop_later"] = "keep"

    @property
    def all_car(self) -> tuple[Window, ...]:
        """Windows of ``car`` with ``drop`` and ``post``, each once, in order of first mention."""
        return tuple(dict.fromkeys((*self.car, self.drop, self.post)))


@dataclass(frozen=True, slots=True)
class Returns:
    """How returns are made of adjusted prices.

    ``gaps``: after sessions without a trade the first return is ``missing``, or with
    ``trade_to_trade`` the return since the last trade, set against the index's return over the same
    sessions (Maynes and Rumsey 1993).
    """

    kind: Literal["simple", "log"] = "simple"
    gaps: Literal["missing", "trade_to_trade"] = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Expected-return model, its options, and what happens to its intercept after the drop.

    Attributes
    ----------
    alpha
        ``auto`` drops the intercept after day +1, ``estimated`` and ``zero`` hold for all days,
        ``shrink`` draws it towards zero as far as the peers of the event differ by chance alone.
    factors_file, factors, risk_free, percent
        CSV of daily factors by calendar day (a path from the working directory), its columns to use,
        its risk-free column, and whether it holds percent. The factor ``market`` is the peer's own
        benchmark. For ``factors`` and ``capm``.
    lags
        Leads and lags of the index in ``dimson``.
    span
        Sessions at the end of the estimation window that ``rolling`` uses.
    world, world_market
        World index of ``two_index`` and the MIC of the exchange at whose close it is struck.
    variance
        ``frozen`` forecasts the variance of ``garch`` and ``egarch`` from the end of the estimation
        window, ``conditional`` updates it through the event.
    jobs, engine, scheduler
        Workers for models that are fitted one by one (``garch``, ``egarch``): processes on this machine,
        or a Dask cluster's by the address of its scheduler. They change no result.
    """

    name: str = "market"
    alpha: Literal["auto", "estimated", "zero", "shrink"] = "auto"
    factors_file: str = ""
    factors: tuple[str, ...] = ()
    risk_free: str = ""
    percent: bool = True
    lags: int = 1
    span: int = 60
    world: str = "^GSPC"
    world_market: str = WORLD_MARKET
    variance: Literal["frozen", "conditional"] = "frozen"
    jobs: int = 1
    engine: Literal["local", "dask"] = "local"
    scheduler: str = ""


@dataclass(frozen=True, slots=True)
class Tests:
    """Names of the statistics; none named means all that are registered.

    ``regression`` lists statsmodels formulas for the CARs of the headline's firm-events, such as
    ``car ~ exposure + pre_trend``; `covariates.covariates` names the columns there are.
    """

    names: tuple[str, ...] = ()
    regression: tuple[str, ...] = ()
    weights: Literal["market-balanced", "equal"] = "market-balanced"
    level: float = 0.05
    draws: int = 9_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """When a shock counts as a drop, and what is asked about drops.

    Attributes
    ----------
    drop_k, drop_min, share_negative
        At least so many standard errors, so large a fall, and this share of the peers falling.
    label
        Events that the question is about.
    case
        Shock shown as a case study; by default the newest one that was a fall.
    history_years
        Years before the newest event in which placebo drops are looked for, at least.
    specification_curve
        Repeat the measurement over windows, models, returns and intercepts.
    """

    drop_k: float = 2.0
    drop_min: float = 0.03
    share_negative: float = 0.6
    label: str = "misreading"
    case: str = ""
    history_years: int = 8
    specification_curve: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """How the study's rule is traded.

    Attributes
    ----------
    entry
        Price and event day of the purchase. It is decided at the close of the day before: an entry on
        day +1 rests on the drop of day 0 alone.
    horizon
        Event day at whose close a position is sold at the latest.
    clarification_exit
        Sell at the close of the session after a clarification that came after the purchase.
    stop
        Loss at which a resting order sells, as a decimal; 0 for none.
    label_gate
        ``strict`` trades drops whose label is `Reversal.label` and was known when it decided,
        ``post_hoc`` also those labelled later, which nobody could have traded, ``off`` every drop.
    hedge
        Short the exchange's index with the peer's pre-event beta.
    gross_cap, per_shock
        Longs and hedges together, in units of ``capital``, and the part of it that one shock may take.
    capacity_share, adv_days
        Largest order as a share of the mean value traded over so many sessions.
    retry
        Sessions on which an order that found no seller is tried again.
    capital
        In the study's currency, and in units of an exchange's where there is no rate; profits are not
        reinvested.
    fx, fx_stale_days
        A ticker by currency that quotes it and the study's, read with the prices and by its six letters:
        ``USDCNY=X`` is yuan for one dollar. A rate older than so many calendar days is none.
    impact, hedge_bps
        Coefficient of the square-root impact and one-sided cost of the index leg.
    embargo
        Sessions after a shock's last day before the walk-forward may learn from it.
    trials
        Specifications tried elsewhere; those of the run and of the folder's log of runs are counted.
    """

    entry: Literal["close+2", "open+2", "close+1", "open+1"] = "close+2"
    horizon: int = 20
    clarification_exit: bool = True
    stop: float = 0.0
    label_gate: Literal["strict", "post_hoc", "off"] = "strict"
    hedge: bool = True
    gross_cap: float = 1.0
    per_shock: float = 0.5
    capacity_share: float = 0.05
    adv_days: int = 20
    retry: int = 0
    capital: float = 1_000_000.0
    fx: Mapping[str, str] = field(default_factory=dict)
    fx_stale_days: int = 7
    impact: float = 0.1
    hedge_bps: float = 2.0
    embargo: int = 5
    trials: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """One charge of one market that replaces the shipped ones of its name, in basis points of value."""

    market: str
    name: str
    bps: float
    side: Literal["buy", "sell", "both"] = "both"
    from_: dt.date | None = None
    until: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Where prices come from and what happens when they cannot be had or trusted.

    ``volume_unit`` is how many shares one unit of volume stands for, by MIC or by ticker, which wins:
    ``{XSHE = 100}`` where the source counts lots. ``price_unit`` is, likewise, how much of the market's
    currency one unit of price stands for: ``{XLON = 0.01}`` for pence.
    """

    source: str = "yahoo"
    offline: Literal["fail", "simulated"] = "fail"
    benchmark_gaps: Literal["stop", "drop"] = "stop"
    accept_suspect: bool = False
    volume_unit: Mapping[str, int] = field(default_factory=dict)
    price_unit: Mapping[str, float] = field(default_factory=dict)

    def shares(self, ticker: str, mic: str) -> int:
        """Shares in one unit of a security's volume."""
        return self.volume_unit.get(ticker, self.volume_unit.get(mic, 1))


@dataclass(frozen=True, slots=True)
class Report:
    """Which parts of the pack are written.

    ``templates`` is a folder, from the working directory, whose report.typ and report.html.j2 stand
    in for the shipped ones; ``parquet`` is one more format.
    """

    formats: tuple[str, ...] = ("pdf", "html", "png", "xlsx", "csv", "json", "tex", "md")
    templates: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """All settings of a study, one attribute a section of its TOML; frozen.

    Examples
    --------
    >>> from eventstudy import Study
    >>> settings = Study.from_sector("healthcare").settings
    >>> settings.model.name, settings.windows.drop
    ('market', (0, 1))
    >>> settings.peer("JNJ").market
    'XNYS'
    """

    study: Study = field(default_factory=Study)
    markets: tuple[Market, ...] = ()
    peers: tuple[Peer, ...] = ()
    windows: Windows = field(default_factory=Windows)
    returns: Returns = field(default_factory=Returns)
    model: Model = field(default_factory=Model)
    tests: Tests = field(default_factory=Tests)
    reversal: Reversal = field(default_factory=Reversal)
    backtest: Backtest = field(default_factory=Backtest)
    costs: tuple[Cost, ...] = ()
    prices: Prices = field(default_factory=Prices)
    report: Report = field(default_factory=Report)

    def market(self, mic: str) -> Market:
        """Return the market with this MIC."""
        for market in self.markets:
            if market.mic == mic:
                return market
        raise KeyError(mic)

    def traded_in(self, mic: str) -> str:
        """Currency of an exchange."""
        return self.market(mic).currency or self.study.currency

    def peer(self, ticker: str) -> Peer:
        """Return the peer with this ticker or alias; `KeyError` if there is none."""
        for peer in self.peers:
            if ticker == peer.ticker or ticker in peer.aliases:
                return peer
        raise KeyError(ticker)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values, for the manifest."""
        plain: dict[str, Any] = plain_json(dataclasses.asdict(self, dict_factory=_by_key))
        return plain


def sector_names() -> tuple[str, ...]:
    """Names of the sectors that ship with the package."""
    return tuple(sorted(path.parent.name for path in SECTORS.glob("*/study.toml")))


def sector_file(name: str) -> Path:
    """Path of a shipped sector's TOML; `ConfigError` names the nearest one."""
    if name not in sector_names():
        raise ConfigError(f"sector {name!r} is not shipped; {nearest(name, sector_names())}")
    return SECTORS / name / "study.toml"


def sector_prices(name: str) -> Path | None:
    """Path of the prices that ship with a sector, None where it has none; `ConfigError` as `sector_file`."""
    path = sector_file(name).with_name("prices.parquet")
    return path if path.is_file() else None


def load_config(
    events_path: Path,
    *,
    sector: str | None = None,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    peers: bool = True,
) -> StudyConfig:
    """Read and check all layers of settings for a study of ``events_path``.

    Raises
    ------
    ConfigError
        With every problem found: a file that is missing or not TOML, an unknown key (with the
        nearest valid one), a value of the wrong kind, windows that overlap or run backwards,
        a peer whose market is not described. Without ``peers`` a study of a whole market, which names
        none.
    """
    local = events_path.parent / "eventstudy.toml"
    layers = [_read(path) for path in (local, config_file) if path is not None and _wanted(path, local)]
    named = sector or next((s for _, t in reversed(layers) if (s := _named_sector(t))), None)
    own_peers = any("peers" in table for _, table in layers)
    if named and not (own_peers and sector is None):
        layers.insert(0, _read(sector_file(named)))
    layers.append(("--set", _parse_overrides(overrides)))
    if named:
        layers.append(("sector", {"study": {"sector": named}}))
    problems: list[Problem] = []
    merged: dict[str, Any] = {}
    for source, table in layers:
        problems += _unknown_keys(source, table)
        for section, values in table.items():
            known = isinstance(values, dict) and isinstance(merged.get(section, {}), dict)
            merged[section] = {**merged.get(section, {}), **values} if known else values
    if problems:
        raise ConfigError(problems)
    config = _build(StudyConfig, merged, "", problems)
    if problems:
        raise ConfigError(problems)
    _check(config, peers=peers)
    return typing.cast(StudyConfig, config)


def config_from_dict(settings: Mapping[str, Any]) -> StudyConfig:
    """Return the settings that `StudyConfig.as_dict` wrote into a manifest.

    Raises
    ------
    ConfigError
        If this version has no such setting or refuses its value.
    """
    problems = _unknown_keys("manifest.json", settings)
    if not problems:
        config = _build(StudyConfig, _revived(StudyConfig, settings), "", problems)
    if problems:
        raise ConfigError(problems)
    _check(config)
    return typing.cast(StudyConfig, config)


def _revived(hint: Any, value: Any) -> Any:
    """Undo `as_dict` by the annotation: ISO texts become dates, absent values leave."""
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        hints = {name.rstrip("_"): item for name, item in typing.get_type_hints(hint).items()}
        return {key: _revived(hints[key], item) for key, item in value.items() if item is not None}
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        return [_revived(typing.get_args(hint)[0], item) for item in value]
    if dt.date in typing.get_args(hint) and isinstance(value, str):
        return dt.date.fromisoformat(value)
    return value


def _named_sector(table: Mapping[str, Any]) -> str:
    """The ``study.sector`` of one layer; empty where it is absent or, to be refused later, no text."""
    study = table.get("study")
    sector = study.get("sector", "") if isinstance(study, Mapping) else ""
    return sector if isinstance(sector, str) else ""


def _wanted(path: Path, local: Path) -> bool:
    return path != local or path.is_file()


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        return str(path), tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
    except UnicodeDecodeError as error:
        raise ConfigError(Problem("is not UTF-8 text; save it as UTF-8", str(path))) from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(
            Problem(f"is not TOML: {error}", str(path), int(line[1]) if line else None)
        ) from error


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and name):
            raise ConfigError(f"--set {text!r}: write section.key=value, for example windows.minimum=150")
        table.setdefault(section, {})[name] = _toml_value(value.strip())
    return table


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _unknown_keys(source: str, table: Mapping[str, Any]) -> list[Problem]:
    problems = []
    sections = {item.name: item.type for item in dataclasses.fields(StudyConfig)}
    hints = typing.get_type_hints(StudyConfig)
    for section, values in table.items():
        if section not in sections:
            problems.append(_unknown(source, section, section, sections))
            continue
        item = _item_type(hints[section])
        accepted = {f.name.rstrip("_") for f in dataclasses.fields(item)}
        for row in values if isinstance(values, list) else [values]:
            for key in row if isinstance(row, dict) else ():
                if key not in accepted:
                    problems.append(_unknown(source, key, f"{section}.{key}", accepted))
    return problems


def _unknown(source: str, key: str, path: str, accepted: typing.Iterable[str]) -> Problem:
    line = _line_of(source, key)
    return Problem(f"unknown key {path!r}; {nearest(key, accepted)}", source, line)


def _line_of(source: str, key: str) -> int | None:
    if not Path(source).is_file():
        return None
    pattern = re.compile(rf"^\s*(\[+\s*)?{re.escape(key)}\s*(=|\])")
    lines = Path(source).read_text(encoding="utf-8-sig").splitlines()
    return next((number for number, line in enumerate(lines, 1) if pattern.match(line)), None)


def _item_type(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint


def _build(kind: Any, table: Mapping[str, Any], path: str, problems: list[Problem]) -> Any:
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        key = item.name.rstrip("_")
        if key in table:
            values[item.name] = _coerce(hints[item.name], table[key], f"{path}{key}", problems)
    missing = [
        item.name
        for item in dataclasses.fields(kind)
        if item.default is dataclasses.MISSING
        and item.default_factory is dataclasses.MISSING
        and item.name not in values
    ]
    if missing:
        problems.append(Problem(f"{path.rstrip('.')}: {', '.join(missing)} missing"))
        return None
    return kind(**values)


def _coerce(hint: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    """Return ``value`` as the annotated type, or note a problem that says what is accepted."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        hint, *_ = (a for a in arguments if a is not type(None))
        return _coerce(hint, value, path, problems)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(hint, value, f"{path}.", problems)
    if origin is tuple and isinstance(value, list):
        return _coerce_tuple(arguments, value, path, problems)
    if origin is Mapping and isinstance(value, dict):
        return {key: _coerce(arguments[1], item, f"{path}.{key}", problems) for key, item in value.items()}
    if origin is Literal and value in arguments:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    accepted = " or ".join(map(repr, arguments)) if origin is Literal else _describe(hint)
    problems.append(Problem(f"{path} = {value!r}: accepted is {accepted}"))
    return None


def _coerce_tuple(arguments: Any, value: list[Any], path: str, problems: list[Problem]) -> Any:
    if arguments[-1] is Ellipsis:
        return tuple(_coerce(arguments[0], item, f"{path}[{i}]", problems) for i, item in enumerate(value))
    if len(value) != len(arguments):
        problems.append(Problem(f"{path} = {value!r}: accepted are {len(arguments)} values"))
        return None
    return tuple(_coerce(a, v, path, problems) for a, v in zip(arguments, value, strict=True))


def _describe(hint: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    if hint is dt.date:
        return "a date such as 2026-06-09, without quotes"
    tabular = dataclasses.is_dataclass(hint) or typing.get_origin(hint) is Mapping
    return names.get(hint, "a table" if tabular else "a list")


def _check(config: StudyConfig, *, peers: bool = True) -> None:
    found = (
        *_check_study(config.study),
        *_check_windows(config.windows),
        *(_check_peers(config) if peers else ()),
        *_check_names(config),
        *_check_model(config),
        *_check_backtest(config),
        *_check_fx(config),
        *_check_units(config),
    )
    problems = [Problem(text) for text in found]
    if problems:
        raise ConfigError(problems)


def _check_study(study: Study) -> list[str]:
    # Names of packs and snapshots begin with it: it must not lead to another folder.
    if study.sector and not re.fullmatch(r"[a-z0-9][a-z0-9_\-]{0,39}", study.sector):
        return [f"study.sector = {study.sector!r}: accepted are 1 to 40 small letters, digits, _ and -"]
    return []


def _check_windows(windows: Windows) -> list[str]:
    problems = []
    named = {"estimation": windows.estimation, "drop": windows.drop, "post": windows.post}
    named |= {"event": windows.event} | {f"car[{i}]": w for i, w in enumerate(windows.car)}
    for name, (first, last) in named.items():
        if first > last:
            problems.append(f"windows.{name} = [{first}, {last}] runs backwards; write [{last}, {first}]")
        elif name != "estimation" and not windows.event[0] <= first <= last <= windows.event[1]:
            problems.append(
                f"windows.{name} = [{first}, {last}] lies outside windows.event = {list(windows.event)}; "
                "widen the event window"
            )
    if windows.estimation[1] >= windows.event[0]:
        problems.append(
            f"windows.estimation = {list(windows.estimation)} overlaps windows.event = "
            f"{list(windows.event)}; end the estimation before day {windows.event[0]}"
        )
    for name, (first, last) in (("estimation", windows.estimation), ("event", windows.event)):
        if first < -MAX_SESSIONS or last > MAX_SESSIONS:
            problems.append(
                f"windows.{name} = [{first}, {last}]: accepted is within {MAX_SESSIONS} sessions of day 0"
            )
    length = windows.estimation[1] - windows.estimation[0] + 1
    if not 10 <= windows.minimum <= max(length, 10):
        problems.append(f"windows.minimum = {windows.minimum}: accepted is 10 to {length}")
    if windows.drop[1] >= windows.post[0]:
        problems.append(f"windows.post starts at {windows.post[0]}, before the drop has ended")
    return problems


def _check_names(config: StudyConfig) -> list[str]:
    problems = []
    if not MODELS.knows(config.model.name):
        problems.append(f"model.name = {MODELS.unknown(config.model.name)}")
    if config.reversal.label not in LABELS:
        label = config.reversal.label
        problems.append(f"reversal.label = {label!r} is unknown; {nearest(label, LABELS)}")
    problems += [
        f"tests.names = {STATISTICS.unknown(name)}"
        for name in config.tests.names
        if not STATISTICS.knows(name)
    ]
    return problems


#: Models whose regression can weigh a return over several sessions by 1/n.
TRADE_TO_TRADE = ("mean_adjusted", "market_adjusted", "market", "capm", "factors")


def _check_model(config: StudyConfig) -> list[str]:
    model, problems = config.model, []
    if model.name in ("capm", "factors") and not model.factors_file:
        problems.append(f"model.name = {model.name!r} needs model.factors_file, a CSV with a date column")
    if model.name == "capm" and not model.risk_free:
        problems.append("model.name = 'capm' needs model.risk_free, the risk-free column, such as \"RF\"")
    if model.name == "factors" and not model.factors:
        problems.append('model.name = \'factors\' needs model.factors, such as ["Mkt-RF", "SMB", "HML"]')
    if model.name == "two_index" and not model.world:
        problems.append("model.name = 'two_index' needs model.world, such as \"^GSPC\"")
    if problem := engine_problem(model.engine, model.scheduler):
        problems.append(f"model: {problem}")
    problems += [
        f"model.factors names {name} twice"
        for name in dict.fromkeys(model.factors)
        if model.factors.count(name) > 1
    ]
    length = config.windows.estimation[1] - config.windows.estimation[0] + 1
    for name, value, least, most in (
        ("lags", model.lags, 1, 10),
        ("jobs", model.jobs, 1, 64),
        ("span", model.span if model.name == "rolling" else 20, 20, max(length, 20)),
    ):
        if not least <= value <= most:
            problems.append(f"model.{name} = {value}: accepted is {least} to {most}")
    if config.returns.gaps == "trade_to_trade" and model.name not in TRADE_TO_TRADE:
        problems.append(
            f"returns.gaps = 'trade_to_trade' with model.name = {model.name!r}: accepted are "
            f"{', '.join(TRADE_TO_TRADE)}"
        )
    return problems


def _check_backtest(config: StudyConfig) -> list[str]:
    rule, drop, problems = config.backtest, config.windows.drop, []
    entry = int(rule.entry.partition("+")[2])
    if entry - 1 < drop[0]:
        problems.append(
            f"backtest.entry = {rule.entry!r} is decided at the close of day {entry - 1}, before the drop "
            f"window [{drop[0]}, {drop[1]}] has begun; enter on day {drop[0] + 1} or later"
        )
    if not entry < rule.horizon <= 250:
        problems.append(f"backtest.horizon = {rule.horizon}: accepted is {entry + 1} to 250")
    for name, value, least, most in (
        ("stop", rule.stop, 0.0, 0.99),
        ("per_shock", rule.per_shock, 0.01, 1.0),
        ("capacity_share", rule.capacity_share, 0.0001, 1.0),
        ("retry", rule.retry, 0, 20),
        ("adv_days", rule.adv_days, 1, 250),
        ("gross_cap", rule.gross_cap, 0.01, 10.0),
        ("capital", rule.capital, 1.0, 1e12),
        ("impact", rule.impact, 0.0, 10.0),
        ("hedge_bps", rule.hedge_bps, 0.0, 1_000.0),
        ("embargo", rule.embargo, 0, 250),
        ("trials", rule.trials, 0, 1_000_000),
        ("fx_stale_days", rule.fx_stale_days, 1, 30),
    ):
        if not least <= value <= most:
            problems.append(f"backtest.{name} = {value}: accepted is {least} to {most}")
    mics = [market.mic for market in config.markets]
    for row in config.costs:
        if row.market not in mics:
            problems.append(f"costs: market {row.market!r}; {nearest(row.market, mics)}")
        if not -100.0 <= row.bps <= 1_000.0:
            problems.append(f"costs: {row.market} {row.name} bps = {row.bps}: accepted is -100 to 1000")
    return problems


def _check_fx(config: StudyConfig) -> list[str]:
    """Say which rates would not turn a currency of the study into its own."""
    base, problems = config.study.currency, []
    for currency, ticker in config.backtest.fx.items():
        if currency == base:
            problems.append(f"backtest.fx.{currency}: that is study.currency itself; leave it out")
        elif {ticker[:3], ticker[3:6]} != {currency, base}:
            problems.append(
                f"backtest.fx.{currency} = {ticker!r} does not turn {currency} into study.currency = "
                f"{base!r}; accepted is a ticker that begins with {base}{currency} or {currency}{base}, such "
                f"as {base}{currency}=X, or backtest.fx={{}} to count in local currencies"
            )
    return problems


def _check_units(config: StudyConfig) -> list[str]:
    known = [market.mic for market in config.markets] + [peer.ticker for peer in config.peers]
    problems = []
    for key, units, least, most, of in (
        ("volume_unit", config.prices.volume_unit, 1, 1_000_000, "shares"),
        ("price_unit", config.prices.price_unit, 0.0001, 10_000, "of the market's currency"),
    ):
        for name, unit in units.items():
            if name not in known:
                problems.append(f"prices.{key}: {name!r}; {nearest(name, known)}")
            if not least <= unit <= most:
                problems.append(f"prices.{key}.{name} = {unit}: accepted is {least} to {most} {of}")
    return problems


def _check_peers(config: StudyConfig) -> list[str]:
    problems = []
    mics = [market.mic for market in config.markets]
    if not config.peers:
        problems.append("no peers: name a sector with --sector, or a study file with --config")
    for peer in config.peers:
        if peer.market not in mics:
            problems.append(f"peer {peer.ticker}: market {peer.market!r}; {nearest(peer.market, mics)}")
        if peer.from_ and peer.until and peer.from_ > peer.until:
            problems.append(f"peer {peer.ticker}: from {peer.from_} is after until {peer.until}")
        if any(peer.ticker == market.benchmark for market in config.markets):
            problems.append(f"peer {peer.ticker} is also a benchmark: its abnormal return would be zero")
    names = [name for peer in config.peers for name in (peer.ticker, *peer.aliases)]
    problems += [f"peer {name} is named twice" for name in sorted({n for n in names if names.count(n) > 1})]
    return problems


def _by_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields by the names of the settings: ``from_`` is ``from`` there."""
    return {name.rstrip("_"): value for name, value in pairs}
