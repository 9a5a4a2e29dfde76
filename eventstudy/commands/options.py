"""Options that several commands share: they name the inputs and the prices of a study."""

from __future__ import annotations

import functools
import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eventstudy.commands.output import teller, watching
from eventstudy.errors import ConfigError, EventStudyError, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from eventstudy.config import StudyConfig
    from eventstudy.events import Events
    from eventstudy.large.event_list import EventList
    from eventstudy.prices import PriceTable

Command = TypeVar("Command", bound=Callable[..., Any])


class InputFile(click.Path):
    """Path of a file to read. Pipes and devices are refused: they may have no end."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, whether or not the file exists."""
        path = Path(str(super().convert(value, param, ctx)))
        if path.exists() and not path.is_file() and not path.is_dir():
            self.fail(f"{path} is a pipe or a device, which may have no end; give a file", param, ctx)
        return path


def _events_given(context: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Raise an error that says what to give if neither an events file nor an example was named."""
    if path is None and not context.params.get("example"):
        here = " 'events.csv' in this folder is one:" if Path("events.csv").is_file() else ""
        raise click.UsageError(
            f"no events file given.{here} write 'eventstudy run events.csv'; 'eventstudy init SECTOR' writes "
            "one to start from with a study file, 'eventstudy run --example healthcare' needs none"
        )
    return path


EVENTS = click.argument("events", required=False, type=InputFile(), callback=_events_given, metavar="EVENTS")
SECTOR = click.option("--sector", help="Settings of a sector of the package; 'eventstudy sectors' lists them.")
CONFIG = click.option("--config", "config_file", type=InputFile(), help="Your own study file (TOML).")
PRICES = click.option(
    "--prices", help="yahoo, simulated, or a file or folder of prices; default: that of the study file."
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting, such as windows.minimum=150; may be repeated.",
)
JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of processes on this machine; results are identical.",
)
ENGINE = click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Where work is done: on this machine, or on a Dask cluster.",
)
SCHEDULER = click.option(
    "--scheduler", default="", metavar="URL", help="Address of the Dask scheduler, such as tcp://HOST:8786."
)
EXAMPLE = click.option(
    "--example",
    metavar="SECTOR",
    is_eager=True,
    help="Run a sector of the package with its events and, if it has them, its prices.",
)
#: Options that describe a study without a study file.
PLAIN = (
    click.option(
        "--exchange",
        default="",
        metavar="MIC",
        help="Without a study file: exchange of tickers without an ending such as .PA; default: New York.",
    ),
    click.option(
        "--benchmark",
        default="",
        help="Without a study file: ticker of the index; default: the usual index of the exchange.",
    ),
    click.option(
        "--write-config",
        type=click.Path(path_type=Path),
        help="Without a study file: write the assumed settings to this file.",
    ),
)
_PLAIN_NAMES = ("exchange", "benchmark", "write_config")
ACCEPT = click.option("--accept-suspect", is_flag=True, help="Continue with prices that the quality checks refuse.")
PACK = click.Path(path_type=Path)
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the result packs.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of a study as given on the command line: events, settings and prices.

    ``exchange``, ``benchmark`` and ``write_config`` are the options of `PLAIN`.
    """

    events: Path
    sector: str | None
    config_file: Path | None
    overrides: tuple[str, ...]
    prices: str | None = None
    exchange: str = ""
    benchmark: str = ""
    write_config: Path | None = None

    def changed(self, settings: Mapping[str, Any]) -> Inputs:
        """Return the same inputs with some settings changed, by their names in ``--set``."""
        more = (f"{name}={json.dumps(value)}" for name, value in settings.items())
        return replace(self, overrides=(*self.overrides, *more))

    def paths(self, prereg: Path | None) -> dict[str, str]:
        """Return where a run finds its inputs, for the log of runs."""
        return {"events": str(self.events), "prices": self.prices or "", "prereg": str(prereg or "")}

    def read(self) -> tuple[Events, StudyConfig]:
        """Read both inputs and report the problems of both together, then those of the columns that they name."""
        from eventstudy.config.plain import assumed_table
        from eventstudy.events import read_events
        from eventstudy.prices.covariates import read_covariates

        if self.sector and self.config_file:
            raise click.UsageError("give --sector or --config, not both; a study file can set study.sector")
        problems: list[Problem] = []
        outcome: list[Any] = []
        described = True

        def assumed() -> dict[str, Any]:
            nonlocal described
            described = False
            # If the events could not be read, the settings are still checked, with an arbitrary peer.
            if not outcome:
                return assumed_table(["A"], "", "")
            tickers = list(dict.fromkeys(ticker for event in outcome[0] for ticker in event.tickers))
            return self._assumed(tickers) if tickers else {}

        for read in (lambda: read_events(self.events), lambda: self._settings(assumed=assumed)):
            try:
                outcome.append(read())
            except EventStudyError as error:
                problems += error.problems
                kind = type(error)
        if problems:
            raise kind(problems)
        if described:
            self._refuse_plain()
        read_covariates(*outcome)
        return outcome[0], outcome[1]

    def read_list(self) -> tuple[EventList, StudyConfig]:
        """Read a list of more firm-events than fit in memory, and its settings, which name one market.

        If the settings name no peers, the tickers of the events are the peers.
        """
        from eventstudy.large.event_list import read_list

        config = self._settings(peers=False)
        read = read_list(self.events, config.tests.group)
        if config.markets:
            self._refuse_plain()
        else:
            markets = {"markets": self._assumed(read.tickers)["markets"]}
            config = self._settings(peers=False, assumed=lambda: markets)
        return read, config

    def refuse_short(self, prereg: Path | None = None) -> None:
        """Refuse options that a list of more firm-events than fit in memory does not support."""
        from eventstudy.config import IN_MEMORY

        if prereg or not self.prices or not Path(self.prices).exists():
            raise click.UsageError(
                f"{self.events} has more firm-events than are held in memory, which are {IN_MEMORY:,}: give --prices, "
                "a file or folder, and no --prereg; docs/market-wide.md says what else there is"
            )

    def _settings(self, **how: Any) -> StudyConfig:
        from eventstudy.config import load_config

        return load_config(
            self.events, sector=self.sector, config_file=self.config_file, overrides=self.overrides, **how
        )

    def _refuse_plain(self) -> None:
        """Refuse the options of a study without a file if this study has one."""
        given = [f"--{name.replace('_', '-')}" for name in _PLAIN_NAMES if getattr(self, name)]
        if given:
            raise click.UsageError(
                f"{', '.join(given)}: this study has a file or a sector; write it there, or use --set"
            )

    def _assumed(self, tickers: Sequence[str]) -> dict[str, Any]:
        """Return the assumed markets and peers of some tickers; print them, and write them for ``--write-config``."""
        from eventstudy.config.plain import assumed_table, toml_of

        table = assumed_table(tickers, self.exchange, self.benchmark)
        if self.write_config:
            self.write_config.write_text(toml_of(table), encoding="utf-8")
        told = click.get_current_context().params
        if not (told.get("quiet") or told.get("as_json")):
            markets = ", ".join(f"{market['mic']} against {market['benchmark']}" for market in table["markets"])
            peers = f"its {len(tickers)} tickers" if len(tickers) > 1 else tickers[0]
            path = self.write_config
            how = f"written to {path}" if path else "--write-config study.toml saves these settings"
            click.echo(f"no study file: {self.events.name} is studied for {peers} on {markets}; {how}", err=True)
        return table


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add to a command the options that name a study; the command receives one `Inputs`."""

    @functools.wraps(command)
    def with_inputs(*, example: str | None, accept_suspect: bool = False, **options: Any) -> Any:
        given = {item.name: options.pop(item.name) for item in fields(Inputs)}
        if example:
            given = _of_example(example, given)
        inputs = Inputs(**given)
        return command(inputs.changed({"prices.accept_suspect": True}) if accept_suspect else inputs, **options)

    wrapped: Callable[..., Any] = with_inputs
    for option in (*reversed(PLAIN), SET, PRICES, CONFIG, SECTOR, EXAMPLE, EVENTS):
        wrapped = option(wrapped)
    return wrapped


def _of_example(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a sector of the package; given events or prices replace those of the sector."""
    from eventstudy.config import sector_file, sector_prices

    if given["sector"] or given["config_file"]:
        raise click.UsageError("--example names the sector itself; leave --sector and --config out")
    events = given["events"] or sector_file(name).with_name("events.csv")
    prices = given["prices"] or (f"example:{name}" if sector_prices(name) else None)
    return {**given, "events": events, "sector": name, "prices": prices}


def worker_options(command: Command) -> Command:
    """Add the options for workers to a command; they do not change results."""
    for option in (SCHEDULER, ENGINE, JOBS):
        command = option(command)
    return command


def prices_of_study(events: Events, config: StudyConfig, asked: str | None, console: Console) -> PriceTable:
    from eventstudy.prices.sources import get_prices

    with watching(console.quiet) as watch:
        return get_prices(events, config, asked, watch=watch, tell=teller(config, console))


def locked_question(path: Path, events: Events, config: StudyConfig, *, allow: bool) -> dict[str, Any]:
    """Compare a run with its locked question and return the entry of the summary.

    Other events or windows raise an error without ``--allow-departures``.
    """
    from eventstudy.messages import text
    from eventstudy.results.prereg import departures, summary_of

    try:
        raw = path.read_bytes()
        locked = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
    except ValueError as error:
        what = f"is not TOML: {error}; 'eventstudy prereg' writes such a file"
        raise ConfigError(Problem(what, str(path))) from error
    found = departures(locked, events, config)
    strict = [item for item in found if item.strict]
    if strict and not allow:
        raise ConfigError(
            [
                Problem(f"{text(item.sentence)}; run the registered question, or give --allow-departures", str(path))
                for item in strict
            ]
        )
    return summary_of(found, path.name, hashlib.sha256(raw).hexdigest())
