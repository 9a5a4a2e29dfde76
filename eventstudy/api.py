"""The study in Python: `Study` reads settings, checks events, and runs to a `StudyResult`.

``Study.from_toml("x.toml").run("events.csv")`` gives the same tables as the command
``eventstudy run events.csv --config x.toml``.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.config import StudyConfig, load_config, sector_file
from eventstudy.core.estimation import trusted
from eventstudy.core.returns import to_returns
from eventstudy.core.selection import USED, LedgerRow, select
from eventstudy.covariates import read_covariates
from eventstudy.errors import ConfigError
from eventstudy.events import Events, events_of_frame, read_events
from eventstudy.exchanges.calendars import Alignment, align_all, sessions
from eventstudy.messages import text
from eventstudy.prices import PROVIDERS, PriceProvider, PriceTable, provider_names
from eventstudy.prices.quality import QualityFinding, with_special_sessions
from eventstudy.prices.sources import frame_prices, get_prices, prices_of
from eventstudy.results.columns import row_of, with_codes
from eventstudy.results.result import StudyResult
from eventstudy.results.severity import worst_first
from eventstudy.results.warnings import event_warnings, input_warnings
from eventstudy.shocks import with_shocks
from eventstudy.study import run_study

if TYPE_CHECKING:
    import pandas as pd

#: Titles of the worked rows that 'eventstudy init' writes begin with it.
EXAMPLE = "EXAMPLE"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a run would use: day 0 of every event on every exchange, and with prices the ledger.

    ``missing`` says in sentences which prices there are none of, and what to do; ``warnings`` what else a
    reader must know, worst first. ``usable`` is whether a run could use anything: without prices, whether an
    event has a day 0 on the exchange of one of its peers.

    Examples
    --------
    >>> from eventstudy import Study
    >>> study = Study.from_sector("healthcare")
    >>> found = study.check(study.events_file, prices="example:healthcare")
    >>> found.usable, found.missing
    (True, ())
    >>> found.alignments["CLIN15", "XNYS"].session
    datetime.date(2015, 9, 21)
    >>> found.ledger[0].ticker, found.ledger[0].status
    ('JNJ', 'used')
    """

    alignments: Mapping[tuple[str, str], Alignment]
    ledger: tuple[LedgerRow, ...] = ()
    quality: tuple[QualityFinding, ...] = ()
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    usable: bool = True

    def to_frame(self, name: str = "ledger") -> pd.DataFrame:
        """Return one of the tables.

        Parameters
        ----------
        name : str
            ``alignment``, ``ledger`` or ``quality``.

        Returns
        -------
        DataFrame
            A row an event × exchange, an event × peer, or a finding.

        Raises
        ------
        KeyError
            For another name.
        """
        import pandas as pd

        found: dict[str, Sequence[Any]] = {
            "alignment": tuple(self.alignments.values()),
            "ledger": self.ledger,
            "quality": self.quality,
        }
        if name not in found:
            raise KeyError(f"no table {name!r}; there are {', '.join(found)}")
        return pd.DataFrame([with_codes(row_of(row)) for row in found[name]])


@dataclass(frozen=True, slots=True)
class Study:
    """A study's settings, ready to be run on events.

    Attributes
    ----------
    settings : StudyConfig
        All settings together.
    file, sector, overrides
        The layers that they are read from.

    Examples
    --------
    >>> from eventstudy import Study
    >>> quick = {"reversal.specification_curve": False, "tests.names": ["date_t"]}
    >>> study = Study.from_sector("healthcare", overrides=quick)
    >>> study.settings.windows.post
    (2, 20)
    >>> result = study.run(study.events_file, prices="example:healthcare")
    >>> result.verdict.kind
    'inconclusive'
    """

    settings: StudyConfig
    file: Path | None = None
    sector: str | None = None
    overrides: tuple[str, ...] = ()

    @classmethod
    def from_toml(
        cls, path: str | Path, sector: str | None = None, *, overrides: Mapping[str, Any] | Sequence[str] = ()
    ) -> Study:
        """Read a study's TOML.

        Parameters
        ----------
        sector
            A shipped sector that the file builds on.
        overrides
            ``{"windows.minimum": 150}``, or texts such as ``"windows.minimum=150"``.

        Returns
        -------
        Study
            Ready to be run.

        Raises
        ------
        ConfigError
            With every problem of the file and the overrides.
        """
        return cls._read(Path(path), sector, _as_texts(overrides))

    @classmethod
    def from_sector(cls, name: str, *, overrides: Mapping[str, Any] | Sequence[str] = ()) -> Study:
        """Take a shipped sector's settings; `ConfigError` names the nearest one."""
        return cls._read(None, name, _as_texts(overrides))

    @classmethod
    def _read(cls, file: Path | None, sector: str | None, overrides: tuple[str, ...]) -> Study:
        # Beside a file that does not exist there is no eventstudy.toml either: the layers given, alone.
        alone = Path("no such folder") / "events.csv"
        settings = load_config(alone, sector=sector, config_file=file, overrides=overrides)
        return cls(settings, file, sector, overrides)

    @property
    def events_file(self) -> Path:
        """The events that ship with the study's sector; `ConfigError` where there is none."""
        return sector_file(self.settings.study.sector).with_name("events.csv")

    def check(self, events: str | Path | Events | pd.DataFrame, prices: Any = None) -> Checked:
        """Say what a run would use, estimating nothing.

        Parameters
        ----------
        events, prices
            As for `run`; without ``prices`` day 0 alone is looked at.

        Returns
        -------
        Checked
            Day 0 by exchange, the ledger, what is missing, and warnings.
        """
        read, config = self._inputs(events, 1)
        return check_study(read, config, None if prices is None else _table(read, config, prices))

    def run(
        self,
        events: str | Path | Events | pd.DataFrame,
        prices: str | Path | PriceTable | PriceProvider | pd.DataFrame | None = None,
        *,
        jobs: int = 1,
    ) -> StudyResult:
        """Run the study.

        Parameters
        ----------
        events
            Path of an events CSV, or a frame with its columns. An ``eventstudy.toml`` beside a path is
            read as the command reads it.
        prices
            A folder or file, the name of a provider, a provider, a `PriceTable`, or a frame: wide (days ×
            tickers, adjusted closes) or long (``date``, ``ticker``, ``close`` and so on). By default the
            source of the settings.
        jobs
            Processes for models that are fitted one by one; the result is the same.

        Returns
        -------
        StudyResult
            Verdict, tests and tables, each with its type.

        Raises
        ------
        ConfigError, EventsError, PriceError, EstimationError
            As the command's exit codes 2, 2, 4 and 3.
        """
        read, config = self._inputs(events, jobs)
        return run_study(read, config, _table(read, config, prices))

    def _inputs(self, events: str | Path | Events | pd.DataFrame, jobs: int) -> tuple[Events, StudyConfig]:
        read = _events(events)
        overrides = (*self.overrides, f"model.jobs={jobs}") if jobs > 1 else self.overrides
        config = load_config(Path(read.path), sector=self.sector, config_file=self.file, overrides=overrides)
        read_covariates(read, config)
        return read, config


def check_study(events: Events, config: StudyConfig, prices: PriceTable | None = None) -> Checked:
    """Return what a run on these inputs would use, estimating nothing."""
    events = with_shocks(events, config)
    alignments = align_all(events, config)
    if prices is None:
        told = worst_first(event_warnings(events, config))
        return Checked(alignments, warnings=tuple(told), usable=_may_be_used(events, config, alignments))
    missing = tuple(missing_prices(config, prices))
    trusted_prices, findings = trusted(prices, config, alignments)
    panel = to_returns(trusted_prices, config, sessions=with_special_sessions(prices, config, sessions))
    ledger = select(events, config, trusted_prices, panel, alignments).ledger
    told = worst_first(input_warnings(events, config, prices, panel, findings, ledger))
    usable = any(row.status in USED for row in ledger)
    return Checked(alignments, tuple(ledger), tuple(findings), missing, tuple(told), usable)


def _may_be_used(events: Events, config: StudyConfig, alignments: Mapping[tuple[str, str], Alignment]) -> bool:
    """Whether some event has a day 0 on the exchange of a peer that it is about."""
    return any(
        (event.event_id, peer.market) in alignments
        for event in events
        for peer in config.peers
        if not event.tickers or set(event.tickers) & {peer.ticker, *peer.aliases}
    )


def missing_prices(config: StudyConfig, prices: PriceTable) -> list[str]:
    """Say of every ticker without prices what it is, where it was looked for, and what to do."""
    local = prices.origin.get("kind", "")
    found = []
    for ticker, outcome in prices.outcomes.items():
        remedy = "write one with the columns date,close,adj_close" if local == "folder" else "add its rows"
        if outcome.message.code not in ("price.no_file", "price.no_row"):
            remedy = "look at its days" if local else f"look up how {prices.source} writes it"
        if outcome.status != "ok":
            found.append(f"no prices for {_role(ticker, config)}: {text(outcome.message)}; {remedy}")
    return found


def remarks_on(found: Checked, events: Events, source: str) -> list[str]:
    """Say what is missing and what else keeps a run from meaning anything, beside ``found.warnings``."""
    remarks = list(found.missing)
    examples = [event.event_id for event in events if event.title.startswith(EXAMPLE)]
    if examples:
        remarks.append(f"{', '.join(examples)}: worked rows of 'eventstudy init'; put yours in their place")
    if not found.ledger and source in provider_names():
        remarks.append(f"Prices come from {source}; 'check' asks for them with --prices {source} only")
    return remarks


def _role(ticker: str, config: StudyConfig) -> str:
    for market in config.markets:
        if market.benchmark == ticker:
            count = sum(peer.market == market.mic for peer in config.peers)
            peers = "peer" if count == 1 else f"{count} peers"
            return f"{ticker}, the benchmark of {market.mic}, without which its {peers} cannot be used"
    try:
        peer = config.peer(ticker)
    except KeyError:
        return ticker
    return f"{ticker} ({peer.name}, {peer.market})" if peer.name else f"{ticker} ({peer.market})"


def _events(source: str | Path | Events | pd.DataFrame) -> Events:
    if isinstance(source, Events):
        return source
    if isinstance(source, str | Path):
        return read_events(Path(source))
    return events_of_frame(source)


def _table(events: Events, config: StudyConfig, source: Any) -> PriceTable:
    """Return prices from whatever names or holds them."""
    if isinstance(source, PriceTable):
        return source
    if isinstance(source, str) and _at_hand(source):
        return prices_of(events, config, PROVIDERS[source]())
    if source is None or isinstance(source, str | Path):
        asked = None if source is None else str(source)
        return get_prices(events, config, asked, tell=lambda text: warnings.warn(text, stacklevel=4))
    if hasattr(source, "fetch"):
        return prices_of(events, config, source)
    if hasattr(source, "columns"):
        return frame_prices(events, config, source)
    raise ConfigError(
        f"prices of the type {type(source).__name__}: accepted are a folder, a file, the name of a provider, "
        "a provider, a PriceTable, and a wide or long frame"
    )


def _at_hand(name: str) -> bool:
    """Whether a provider was registered here that asks over no network, so that no snapshot is kept of it."""
    factory = PROVIDERS.get(name)
    return (
        factory is not None
        and name not in PROVIDERS.declared
        and "progress" not in inspect.signature(factory).parameters
    )


def _as_texts(overrides: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Overrides as the command takes them; JSON's numbers, texts and lists are TOML's."""
    if not isinstance(overrides, Mapping):
        return tuple(overrides)
    return tuple(
        f"{key}={value.isoformat() if hasattr(value, 'isoformat') else json.dumps(value, ensure_ascii=False)}"
        for key, value in overrides.items()
    )
