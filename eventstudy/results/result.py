"""What a finished study is: tables, a summary, and where they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from eventstudy.config import Model, Windows
from eventstudy.registry import VIEWS
from eventstudy.results.from_tables import counts_of, rows_of, settings_of, tests_of, verdict_of, warnings_of
from eventstudy.results.records import (
    AarRow,
    CarRow,
    Counts,
    DropRow,
    LedgerRow,
    Records,
    ShockRow,
    Tests,
    TradeRow,
    VerdictRow,
    WarningRow,
)

if TYPE_CHECKING:
    import pandas as pd

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, eq=False)
class StudyResult:
    """Everything a run found; equal to itself only, so that what is read from it can be kept by it.

    Attributes with types, such as ``result.verdict.effect``, are read from the tables and the summary when
    they are first asked for. A pack that was read back without its tables has those of the summary alone.

    Attributes
    ----------
    run_id : str
        Name of the run: sector, newest price, digest of inputs and settings.
    tables : Mapping[str, DataFrame]
        By a name of `columns.TABLES`, with at least those columns; returns as decimals.
    facts : Mapping[str, Any]
        The content of summary.json, plain JSON.
    manifest : Mapping[str, Any]
        The content of manifest.json, plain JSON.

    Examples
    --------
    >>> from eventstudy import Study
    >>> quick = {"reversal.specification_curve": False, "tests.names": ["date_t", "ibragimov_mueller"]}
    >>> study = Study.from_sector("healthcare", overrides=quick)
    >>> result = study.run(study.events_file, prices="example:healthcare")
    >>> result.verdict.kind, result.model.name, result.simulated
    ('inconclusive', 'market', False)
    >>> test = result.tests.get("ibragimov_mueller", window=(0, 1))
    >>> low, high = test.conf_int()
    >>> low < test.estimate < high
    True
    >>> row = result.car.one(event_id="CLIN15", ticker="PFE", window=(0, 1))
    >>> f"{row.car:.3f} in {row.se:.3f}"
    '-0.012 in 0.010'
    >>> [warning.severity for warning in result.warnings]
    ['caution']
    """

    run_id: str
    tables: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any]
    manifest: Mapping[str, Any]
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def simulated(self) -> bool:
        """Whether the prices were simulated: then every page, figure and table says so."""
        return bool(self.facts["simulated"])

    @property
    def verdict(self) -> VerdictRow:
        """The answer to the study's question: effect, interval, p-value, counts, sentence."""
        return self._once("verdict", lambda: verdict_of(self.facts["verdict"], self._tests()))

    @property
    def verdicts(self) -> Mapping[str, VerdictRow]:
        """All answers by group: the verdict, the exploratory one, and those on the other labels."""
        return self._once("verdicts", self._all_verdicts)

    @property
    def tests(self) -> Tests:
        """Every test: ``result.tests.get("date_t", window=(0, 1))``, or as a frame."""
        return self._once("tests", lambda: tests_of(self._table("tests")))

    @property
    def car(self) -> Records[CarRow]:
        """Cumulative abnormal return of each firm-event over each window."""
        return self._once("car", lambda: rows_of(self._table("car"), CarRow))

    @property
    def aar(self) -> Records[AarRow]:
        """Mean abnormal return of each group on each event day, and its running sum with a 95 % band."""
        return self._once("aar", lambda: rows_of(self._table("aar"), AarRow))

    @property
    def shocks(self) -> Records[ShockRow]:
        """Peer portfolio of each shock of the headline group over each window."""
        return self._once("shocks", lambda: rows_of(self._table("shocks"), ShockRow))

    @property
    def drops(self) -> Records[DropRow]:
        """Each shock as a drop: what came after it, and how that ranks among matched placebo drops."""
        return self._once("drops", lambda: rows_of(self._table("reversal"), DropRow))

    @property
    def trades(self) -> Records[TradeRow]:
        """Orders of the backtest's rule and their ends."""
        return self._once("trades", lambda: rows_of(self._table("trades"), TradeRow))

    @property
    def ledger(self) -> Records[LedgerRow]:
        """What became of each event × peer, and why."""
        return self._once("ledger", lambda: rows_of(self._table("ledger"), LedgerRow))

    @property
    def counts(self) -> Counts:
        """How many events, shocks, peers, firm-events and dates."""
        return self._once("counts", lambda: counts_of(self.facts))

    @property
    def warnings(self) -> Records[WarningRow]:
        """What a reader must know before the numbers, worst first."""
        return self._once("warnings", lambda: warnings_of(self.facts.get("warnings") or ()))

    @property
    def windows(self) -> Windows:
        """Windows of the settings, pairs of event days: ``result.windows.post`` is (2, 20)."""
        return self._once("windows", lambda: settings_of(self.facts["windows"], Windows))

    @property
    def model(self) -> Model:
        """Model of the expected return and its settings: ``result.model.name`` is "market"."""
        return self._once("model", lambda: settings_of(self.facts["model"], Model))

    def to_frame(self, name: str) -> pd.DataFrame:
        """Return a copy of one table.

        Parameters
        ----------
        name : str
            A name of `columns.TABLES`.

        Raises
        ------
        KeyError
            With the names there are.
        """
        return self._table(name).copy()

    @property
    def plot(self) -> Any:
        """Figures of this result by methods, an `eventstudy.plots.Plots`: ``result.plot.caar(ax=ax)``."""
        return VIEWS["plot"](self)

    def summary(self) -> str:
        """Return verdict, counts and the table of page 1 as text of at most 100 columns."""
        text: str = VIEWS["summary"](self)
        return text

    def write_pack(self, folder: str | Path, *, formats: Sequence[str] = ()) -> Path:
        """Write the pack of `eventstudy run` into a new or empty folder and return it.

        Without ``formats`` it has the parts that the settings name; `ConfigError` for an unknown one, or
        where the folder holds anything.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        settings = self.manifest["settings"]["report"]
        own = Path(settings["templates"]) if settings["templates"] else None
        VIEWS["pack"](self, place, formats=tuple(formats) or tuple(settings["formats"]), templates=own)
        return place

    def _repr_html_(self) -> str:
        """Return verdict and small table for a notebook."""
        shown: str = VIEWS["notebook"](self)
        return shown

    def __repr__(self) -> str:
        """Return verdict, counts and the first window's mean in at most ten lines."""
        shown: str = VIEWS["repr"](self)
        return shown

    def _table(self, name: str) -> pd.DataFrame:
        if name not in self.tables:
            raise KeyError(f"no table {name!r}; there are {', '.join(sorted(self.tables))}")
        return self.tables[name]

    def _once(self, name: str, make: Callable[[], Made]) -> Made:
        if name not in self._made:
            self._made[name] = make()
        made: Made = self._made[name]
        return made

    def _tests(self) -> Tests | None:
        # A measured headline alone is one of them; of the others the summary says all.
        measured = self.facts["verdict"].get("kind") == "measured"
        return self.tests if measured and "tests" in self.tables else None

    def _all_verdicts(self) -> dict[str, VerdictRow]:
        others = self.facts.get("verdicts") or {}
        answers = [self.facts["verdict"], self.facts.get("exploratory") or {}, *others.values()]
        found = [verdict_of(facts, self._tests()) for facts in answers if facts]
        return {answer.group: answer for answer in found}
