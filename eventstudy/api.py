"""The study in Python: `Study` has the settings, checks events, and runs; the result is a `StudyResult`.

``Study.from_toml("x.toml").run("events.csv")`` gives the same tables as the command
``eventstudy run events.csv --config x.toml``. ``Study(peers=["JNJ", "PFE"])`` and `car` need no study file.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import tempfile
import warnings
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eventstudy.config import IN_MEMORY, StudyConfig, load_config, sector_file
from eventstudy.config.plain import study_settings
from eventstudy.core.estimation import trusted
from eventstudy.core.returns import to_returns
from eventstudy.core.selection import USED, LedgerEntry, select
from eventstudy.errors import ConfigError, nearest
from eventstudy.events import Events, events_of_frame, read_events
from eventstudy.exchanges.calendars import Alignment, align_all, sessions
from eventstudy.exchanges.exchange import HOME
from eventstudy.large.length import is_long
from eventstudy.messages import text
from eventstudy.prices import PROVIDERS, PriceTable
from eventstudy.prices.covariates import read_covariates
from eventstudy.prices.quality import QualityFinding, with_special_sessions
from eventstudy.prices.sources import frame_prices, get_prices, prices_of
from eventstudy.results.columns import row_of, with_codes
from eventstudy.results.result import StudyResult
from eventstudy.results.severity import worst_first
from eventstudy.results.warnings import event_warnings, input_warnings
from eventstudy.reversal import asks_reversal
from eventstudy.shocks import with_shocks
from eventstudy.study import run_list, run_study

if TYPE_CHECKING:
    import pandas as pd

#: Accepted values of ``prices_are``.
PricesAre = Literal["prices", "returns"]
#: Attributes by which a frame of any library is recognised; asking a lazy polars query for its columns would warn.
_OF_FRAMES = ("collect", "__arrow_c_stream__", "columns", "index")
#: Beginning of the titles of the example rows that 'eventstudy init' writes.
EXAMPLE = "EXAMPLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The data that a run would use: day 0 of every event on every exchange, and with prices the ledger.

    ``missing`` lists missing prices in sentences, with what to do. ``warnings`` has the other warnings, the most
    serious
    first. ``usable`` says whether a run could use any event: without prices, whether an event has a day 0 on the
    exchange of one of its peers. Of more than 50,000 firm-events ``tables`` has alignment and ledger, and no other
    field has rows.

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
    ledger: tuple[LedgerEntry, ...] = ()
    quality: tuple[QualityFinding, ...] = ()
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    usable: bool = True
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def to_frame(self, name: str = "ledger") -> pd.DataFrame:
        """Return one of the tables.

        Parameters
        ----------
        name : str
            ``alignment``, ``ledger`` or ``quality``.

        Returns
        -------
        DataFrame
            One row for each event × exchange, event × peer, or finding.

        Raises
        ------
        KeyError
            For another name.
        """
        import pandas as pd

        if name in self.tables:
            return self.tables[name]
        found: dict[str, Sequence[Any]] = {
            "alignment": tuple(self.alignments.values()),
            "ledger": self.ledger,
            "quality": self.quality,
        }
        if name not in found:
            raise KeyError(f"no table {name!r}; there are {', '.join(found)}")
        return pd.DataFrame([with_codes(row_of(row)) for row in found[name]])


@dataclass(frozen=True, slots=True, init=False)
class Study:
    """The settings of a study, ready to run on events.

    Parameters
    ----------
    peers
        Tickers, dicts with the keys of ``[[peers]]``, or a frame with these columns; by default the tickers in the
        events.
    benchmark : str or Mapping[str, str]
        The index, or one for each MIC; by default the usual index of each exchange.
    exchange : str
        MIC of tickers without an ending such as ``.PA``.
    windows
        One event window such as ``(-1, 1)``, a list of windows, or a mapping like the section ``[windows]``.
    estimation : (int, int)
        First and last session of the estimation window. It needs 120 returns, or four fifths of its days if that is
        fewer.
    model : str or Mapping[str, Any]
        A name, or a mapping like the section ``[model]``.
    **sections
        Any other section of a study file as a mapping: ``tests={"weights": "equal"}``.

    Attributes
    ----------
    settings : StudyConfig
        All settings together.
    file, sector, overrides, names
        The source of the settings: the layers of a study file, or the arguments given here.

    Raises
    ------
    ConfigError
        For a name or value that is not accepted; the message suggests the most similar one.

    Examples
    --------
    >>> from eventstudy import Study
    >>> study = Study(peers=["JNJ", "PFE", "MRK"], benchmark="^GSPC", windows=[(0, 1), (-5, 5)])
    >>> study.settings.windows.event, study.settings.model.name
    ((-5, 5), 'market')

    A sector of the package, with its events:

    >>> quick = {"reversal.specification_curve": False, "tests.names": ["date_t"]}
    >>> study = Study.from_sector("healthcare", overrides=quick)
    >>> result = study.run(study.events_file, prices="example:healthcare")
    >>> result.verdict.kind
    'inconclusive'
    """

    settings: StudyConfig
    file: Path | None
    sector: str | None
    overrides: tuple[str, ...]
    names: Mapping[str, Any] | None

    def __init__(
        self,
        *,
        peers: Any = None,
        benchmark: str | Mapping[str, str] = "",
        exchange: str = HOME,
        windows: tuple[int, int] | Sequence[tuple[int, int]] | Mapping[str, Any] | None = None,
        estimation: tuple[int, int] | None = None,
        model: str | Mapping[str, Any] = "market",
        **sections: Any,
    ) -> None:
        given = {"peers": peers, "benchmark": benchmark, "exchange": exchange, "model": model, **sections}
        given |= {"windows": windows, "estimation": estimation}
        self._keep(study_settings(given), names=given)

    def _keep(
        self,
        settings: StudyConfig,
        *,
        file: Path | None = None,
        sector: str | None = None,
        overrides: tuple[str, ...] = (),
        names: Mapping[str, Any] | None = None,
    ) -> None:
        kept = {"settings": settings, "file": file, "sector": sector, "overrides": overrides, "names": names}
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_toml(
        cls, path: str | Path, sector: str | None = None, *, overrides: Mapping[str, Any] | Sequence[str] = ()
    ) -> Study:
        """Read a study file (TOML).

        Parameters
        ----------
        sector
            A sector of the package whose settings the file changes.
        overrides
            ``{"windows.minimum": 150}``, or texts such as ``"windows.minimum=150"``.

        Returns
        -------
        Study
            The study of the file.

        Raises
        ------
        ConfigError
            With all problems in the file and the overrides.
        """
        return cls._read(Path(path), sector, _as_texts(overrides))

    @classmethod
    def from_sector(cls, name: str, *, overrides: Mapping[str, Any] | Sequence[str] = ()) -> Study:
        """Return a study with the settings of a sector of the package; `ConfigError` for an unknown name."""
        return cls._read(None, name, _as_texts(overrides))

    @classmethod
    def _read(cls, file: Path | None, sector: str | None, overrides: tuple[str, ...]) -> Study:
        # The folder of this file does not exist, so no eventstudy.toml is read: only the given layers count.
        alone = Path("no such folder") / "events.csv"
        settings = load_config(alone, sector=sector, config_file=file, overrides=overrides)
        study = cls.__new__(cls)
        study._keep(settings, file=file, sector=sector, overrides=overrides)
        return study

    @property
    def events_file(self) -> Path:
        """The file of events of the study's sector; `ConfigError` if the study has no sector."""
        return sector_file(self.settings.study.sector).with_name("events.csv")

    def check(self, events: Any, prices: Any = None, *, prices_are: PricesAre = "prices") -> Checked:
        """Return the data that a run would use, without estimation.

        Parameters
        ----------
        events, prices, prices_are
            As for `run`; without ``prices`` only day 0 is checked.

        Returns
        -------
        Checked
            Day 0 by exchange, the ledger, what is missing, and warnings.

        Notes
        -----
        More than 50,000 firm-events are handled as in `run`, by sums over dates; they need prices.
        """
        source = Path(events) if isinstance(events, str) else events
        if not isinstance(source, Events) and is_long(source):
            result = self._run_list(source, prices, prices_are, 1, tests=False)
            tables = {name: result.to_frame(name) for name in ("alignment", "ledger")}
            return Checked(alignments={}, warnings=tuple(result.facts["warnings"]), tables=tables)
        read, config = self._inputs(events, 1)
        return check_study(read, config, None if prices is None else _table(read, config, prices, prices_are))

    def run(self, events: Any, prices: Any = None, *, prices_are: PricesAre = "prices", jobs: int = 1) -> StudyResult:
        """Run the study.

        Parameters
        ----------
        events
            Path of an events file, or a frame with its columns (pandas, polars, pyarrow or duckdb). A study from a file
            or sector also reads a file ``eventstudy.toml`` in the folder of the path, as the command does.
        prices
            A folder or file, the name of a provider, a provider, a `PriceTable`, or a frame of the same libraries: wide
            (days × tickers, adjusted closes), long (``date``, ``ticker``, ``close`` and so on), from yfinance, with
            days or days and tickers in the index, or a dict of frames by ticker. The default is the source in the
            settings.
        prices_are : {"prices", "returns"}
            ``returns`` if the numbers of a frame are simple returns, as decimals.
        jobs
            Number of processes for models that are fitted series by series; results are identical.

        Returns
        -------
        StudyResult
            Verdict, tests and tables, as typed attributes.

        Notes
        -----
        Like the command it decides by size: more than 50,000 rows of ``ticker`` and ``date`` are computed from sums
        over dates, with prices from a folder, a file or a frame. The tables with one row for each firm-event are then
        files in a temporary folder, which is deleted with the result.

        Raises
        ------
        ConfigError, EventsError, PriceError, EstimationError
            They correspond to the exit codes 2, 2, 4 and 3 of the command.
        """
        source = Path(events) if isinstance(events, str) else events
        if not isinstance(source, Events) and is_long(source):
            return self._run_list(source, prices, prices_are, jobs)
        read, config = self._inputs(events, jobs)
        return run_study(read, config, _table(read, config, prices, prices_are))

    def _run_list(
        self, events: Any, prices: Any, prices_are: PricesAre, jobs: int, *, tests: bool = True
    ) -> StudyResult:
        """Run the study of more firm-events than are held in memory."""
        from eventstudy.large.event_list import read_list

        _check_prices_are(prices, prices_are)
        source = Path(prices) if isinstance(prices, str) else prices
        if not (isinstance(source, PriceTable) or (source.exists() if isinstance(source, Path) else _is_frame(source))):
            raise ConfigError(
                f"prices = {prices!r}: more than {IN_MEMORY:,} firm-events need those of a folder, a file or a frame"
            )
        read = read_list(events, self.settings.tests.group)
        if self.names is not None:
            config = study_settings(self.names, read.tickers)
            # The tickers of the events need no table of peers.
            config = config if self.names.get("peers") is not None else replace(config, peers=())
        else:
            file, path = self.file, Path(read.path)
            config = load_config(path, sector=self.sector, config_file=file, overrides=self.overrides, peers=False)
        with contextlib.ExitStack() as undo:
            scratch = Path(undo.enter_context(tempfile.TemporaryDirectory()))
            how: dict[str, Any] = {"returns": prices_are == "returns", "workers": {"jobs": jobs}, "tests": tests}
            result = run_list(read, config, source, scratch=scratch, **how)
            weakref.finalize(result, undo.pop_all().close)
        return result

    def _inputs(self, events: Any, jobs: int) -> tuple[Events, StudyConfig]:
        read = _events(events)
        if self.names is not None:
            config = study_settings(self.names, sorted({ticker for event in read for ticker in event.tickers}))
            config = replace(config, model=replace(config.model, jobs=jobs)) if jobs > 1 else config
            read_covariates(read, config)
            return read, config
        overrides = (*self.overrides, f"model.jobs={jobs}") if jobs > 1 else self.overrides
        config = load_config(Path(read.path), sector=self.sector, config_file=self.file, overrides=overrides)
        read_covariates(read, config)
        return read, config


def car(
    events: Any,
    prices: Any,
    *,
    benchmark: str | Mapping[str, str] = "",
    window: tuple[int, int] = (-1, 1),
    estimation: tuple[int, int] | None = None,
    model: str = "market",
    prices_are: PricesAre = "prices",
    **names: Any,
) -> StudyResult:
    """Return the cumulative abnormal returns of events over one window, and their tests.

    Parameters
    ----------
    events, prices, prices_are
        As for `Study.run`; each event concerns the tickers in its row.
    benchmark, estimation, model, **names
        As for `Study`.
    window : (int, int)
        First and last event day.

    Returns
    -------
    StudyResult
        ``result.params`` and similar attributes describe the mean over dates; ``result.car`` has one row for each
        firm-event.

    Raises
    ------
    EventStudyError
        With all problems that prevent the run.

    Examples
    --------
    >>> import pandas as pd
    >>> import eventstudy
    >>> from eventstudy.config import sector_prices
    >>> prices = pd.read_parquet(sector_prices("healthcare"))
    >>> events = pd.DataFrame({"ticker": ["MRK", "PFE", "PFE"], "date": ["2015-09-21", "2015-09-21", "2016-11-09"]})
    >>> result = eventstudy.car(events, prices, benchmark="^GSPC", window=(-1, 1))
    >>> [(row.ticker, round(row.car, 4)) for row in result.car.where(window=(-1, 1))]
    [('MRK', -0.037), ('PFE', -0.0179), ('PFE', 0.0997)]
    >>> result.params.round(4).to_dict(), result.pvalues.round(3).to_dict()
    ({'[-1,1]': 0.0361}, {'[-1,1]': 0.671})
    """
    names = {"reversal": {"specification_curve": False}, **names}
    study = Study(benchmark=benchmark, windows=window, estimation=estimation, model=model, **names)
    return study.run(events, prices, prices_are=prices_are)


def check_study(events: Events, config: StudyConfig, prices: PriceTable | None = None) -> Checked:
    """Return the data that a run on these inputs would use, without estimation."""
    events = with_shocks(events, config)
    alignments = align_all(events, config)
    if prices is None:
        told = worst_first(event_warnings(events, config))
        return Checked(alignments=alignments, warnings=tuple(told), usable=_may_be_used(events, config, alignments))
    missing = tuple(missing_prices(config, prices))
    trusted_prices, findings = trusted(prices, config, alignments)
    panel = to_returns(trusted_prices, config, sessions=with_special_sessions(prices, config, sessions))
    ledger = select(events, config, trusted_prices, panel, alignments).ledger
    told = worst_first(
        input_warnings(events, config, prices, panel, findings, ledger, asked=asks_reversal(events, config))
    )
    return Checked(
        alignments=alignments,
        ledger=tuple(ledger),
        quality=tuple(findings),
        missing=missing,
        warnings=tuple(told),
        usable=any(row.status in USED for row in ledger),
    )


def _may_be_used(events: Events, config: StudyConfig, alignments: Mapping[tuple[str, str], Alignment]) -> bool:
    """Whether some event has a day 0 on the exchange of one of its peers."""
    return any(
        (event.event_id, peer.market) in alignments
        for event in events
        for peer in config.peers
        if not event.tickers or set(event.tickers) & {peer.ticker, *peer.aliases}
    )


def missing_prices(config: StudyConfig, prices: PriceTable) -> list[str]:
    """Return one sentence for each ticker without prices: what it is, where it was searched, and what to do."""
    local = prices.origin.get("kind", "")
    found = []
    for ticker, outcome in prices.outcomes.items():
        remedy = "write one with the columns date,close,adj_close" if local == "folder" else "add its rows"
        if outcome.message.code not in ("price.no_file", "price.no_file_like", "price.no_row", "price.no_row_like"):
            remedy = "look at its days" if local else f"look up how {prices.source} writes it"
        elif outcome.message.code == "price.no_file_like":
            remedy = f"call it {ticker}.csv if that is it"
        if any(market.benchmark == ticker for market in config.markets):
            remedy += ", or name another index: --benchmark, or benchmark in [[markets]]"
        if outcome.status != "ok":
            found.append(f"no prices for {_role(ticker, config)}: {text(outcome.message)}; {remedy}")
    return found


def remarks_on(found: Checked, events: Events, source: str) -> list[str]:
    """Return remarks on missing prices and on example rows, in addition to ``found.warnings``."""
    remarks = list(found.missing)
    examples = [event.event_id for event in events if event.title.startswith(EXAMPLE)]
    if examples:
        remarks.append(f"{', '.join(examples)}: example rows of 'eventstudy init'; replace them with your events")
    if not found.ledger and source in PROVIDERS.names():
        remarks.append(f"No prices were read: 'check' downloads them only with --prices {source}")
    return remarks


def why_nothing(events: Events, config: StudyConfig, prices: PriceTable) -> list[str]:
    """Return why no event can be used: the events name no peer of the study, or prices are missing."""
    named = list(dict.fromkeys(ticker for event in with_shocks(events, config) for ticker in event.tickers))
    peers = [name for peer in config.peers for name in (peer.ticker, *peer.aliases)]
    if named and not set(named) & set(peers):
        close = difflib.get_close_matches(named[0], peers, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return [f"the events are about {', '.join(named[:3])}, the study's peers are {', '.join(peers[:3])}{hint}"]
    return missing_prices(config, prices)[:3]


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


def _events(source: Any) -> Events:
    if isinstance(source, Events):
        return source
    if isinstance(source, str | Path):
        return read_events(Path(source))
    return events_of_frame(source)


def _is_frame(source: Any) -> bool:
    return isinstance(source, Mapping | list) or any(hasattr(source, name) for name in _OF_FRAMES)


def _check_prices_are(source: Any, prices_are: PricesAre) -> None:
    """Refuse another value, and ``returns`` for prices that are not a frame."""
    if prices_are not in ("prices", "returns"):
        raise ConfigError(f"prices_are = {prices_are!r}; {nearest(str(prices_are), ('prices', 'returns'))}")
    named = source is None or isinstance(source, str | Path | PriceTable) or hasattr(source, "fetch")
    if named and prices_are == "returns":
        raise ConfigError("prices_are='returns' is for frames; in a file, name the column of returns 'return'")


def _table(events: Events, config: StudyConfig, source: Any, prices_are: PricesAre = "prices") -> PriceTable:
    """Return the prices from any accepted source."""
    _check_prices_are(source, prices_are)
    if isinstance(source, PriceTable):
        return source
    if source is None or isinstance(source, str | Path):
        asked = None if source is None else str(source)
        return get_prices(events, config, asked, tell=lambda text: warnings.warn(text, stacklevel=4))
    if hasattr(source, "fetch"):
        return prices_of(events, config, source)
    if _is_frame(source):
        return frame_prices(events, config, source, returns=prices_are == "returns")
    raise ConfigError(
        f"prices of the type {type(source).__name__}: accepted are a folder, a file, the name of a provider, "
        "a provider, a PriceTable, a frame, and a dict of frames"
    )


def _as_texts(overrides: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Overrides as texts, as the command takes them; numbers, texts and lists of JSON are also TOML."""
    if not isinstance(overrides, Mapping):
        return tuple(overrides)
    return tuple(
        f"{key}={value.isoformat() if hasattr(value, 'isoformat') else json.dumps(value, ensure_ascii=False)}"
        for key, value in overrides.items()
    )
