"""`StudyResult`: the tables and the summary of a study, with their origin."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.config import Model, Report, Windows
from eventstudy.registry import VIEWS
from eventstudy.results.from_tables import (
    counts_of,
    effect_of,
    effects_frame,
    effects_latex,
    no_rows,
    rows_of,
    settings_of,
    tests_of,
    verdict_of,
    warnings_of,
)
from eventstudy.results.records import (
    AarRow,
    CarRow,
    Counts,
    DropRow,
    EffectRow,
    EndpointRow,
    LedgerRow,
    Records,
    Row,
    ShockRow,
    Tests,
    TradeRow,
    VerdictRow,
    WarningRow,
)

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.study_run import Explored


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The result of a run; compared by identity, so it can be a cache key.

    Typed attributes, such as ``result.verdict.effect``, are read from the tables and the summary on first use. If a
    pack was read without its tables, only those of the summary are available.

    Attributes
    ----------
    run_id : str
        Name of the run: sector, newest price, digest of inputs and settings.
    tables : Mapping[str, DataFrame]
        By the names of `columns.TABLES`, with at least its columns; returns are decimals.
    facts : Mapping[str, Any]
        The content of summary.json, plain JSON.
    manifest : Mapping[str, Any]
        The content of manifest.json, plain JSON.
    files : Mapping[str, Path]
        Tables with too many rows for memory: Parquet files with the same names.
    explored : Explored, optional
        The firm-events of a small study, for the computations in its HTML page; None in a pack that was read.

    Examples
    --------
    >>> from eventstudy import Study
    >>> quick = {"reversal.specification_curve": False, "tests.names": ["date_t", "ibragimov_mueller"]}
    >>> study = Study.from_sector("healthcare", overrides=quick)
    >>> result = study.run(study.events_file, prices="example:healthcare")
    >>> result.verdict.kind, result.model.name, result.simulated
    ('inconclusive', 'market', False)
    >>> effect = result.effect
    >>> effect.window, effect.test, effect.lower < effect.estimate < effect.upper
    ((0, 0), 'ibragimov_mueller', True)
    >>> test = result.tests.get("ibragimov_mueller", window=(0, 1))
    >>> low, high = test.conf_int()
    >>> low < test.estimate < high
    True
    >>> row = result.car.one(event_id="CLIN15", ticker="PFE", window=(0, 1))
    >>> f"{row.car:.3f} in {row.se:.3f}"
    '-0.012 in 0.010'
    >>> [warning.severity for warning in result.warnings]
    ['caution', 'caution']

    By window, under the names of statsmodels:

    >>> f"{result.params['[0,1]']:.4f} in {result.bse['[0,1]']:.4f}"
    '-0.0269 in 0.0090'
    >>> f"t {result.tvalues['[0,1]']:.2f}, p {result.pvalues['[0,1]']:.3f}"
    't -3.00, p 0.005'
    >>> result.conf_int(alpha=0.05).loc["[0,1]"].round(4).tolist()
    [-0.0451, -0.0086]
    >>> result.to_frame()["n_dates"].unique().tolist()
    [33]
    >>> print(result.to_latex().splitlines()[5])
    $[0,1]$ & -2.69 & 0.90 & -4.51 & -0.86 & -3.00 & 0.005 & 77 & 33 \\\\
    >>> result.plot().get_ylabel()
    'CAAR, %'
    """

    run_id: str
    tables: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any]
    manifest: Mapping[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)
    explored: Explored | None = None

    @property
    def simulated(self) -> bool:
        """Whether the prices were simulated; every page, figure and table then says so."""
        return bool(self.facts["simulated"])

    @functools.cached_property
    def effect(self) -> EffectRow:
        """The effect of the events over the study's first window, for every kind of study."""
        return effect_of(self.facts["effect"])

    @functools.cached_property
    def verdict(self) -> VerdictRow | None:
        """The answer to the question about reversals; None if the study does not ask it, see `Reversal.ask`."""
        return verdict_of(self.facts["verdict"]) if "verdict" in self.facts else None

    @functools.cached_property
    def verdicts(self) -> Mapping[str, VerdictRow]:
        """All answers by group: the verdict, the exploratory verdict, and those on the other labels; may be empty."""
        others = self.facts.get("verdicts") or {}
        answers = [self.facts.get("verdict"), self.facts.get("exploratory"), *others.values()]
        verdicts = [verdict_of(facts) for facts in answers if facts]
        return {answer.group: answer for answer in verdicts}

    @functools.cached_property
    def tests(self) -> Tests:
        """All tests; ``result.tests.get("date_t", window=(0, 1))`` returns one."""
        return tests_of(self._table("tests"))

    @functools.cached_property
    def car(self) -> Records[CarRow]:
        """Cumulative abnormal return of each firm-event over each window."""
        return rows_of(self._table("car"), CarRow)

    @functools.cached_property
    def aar(self) -> Records[AarRow]:
        """Mean abnormal return of each group on each event day, and its running sum with a 95 % band."""
        return rows_of(self._table("aar"), AarRow)

    @functools.cached_property
    def shocks(self) -> Records[ShockRow]:
        """Peer portfolio of each shock of the headline group over each window."""
        return rows_of(self._table("shocks"), ShockRow)

    @functools.cached_property
    def drops(self) -> Records[DropRow]:
        """Each shock as a drop, with the return after it and its rank among control drops.

        Empty if the study does not ask about reversals.
        """
        return self._of_reversal("reversal", DropRow)

    @functools.cached_property
    def endpoints(self) -> Records[EndpointRow]:
        """The answer by each of the two endpoints; empty if the study does not ask about reversals."""
        return self._of_reversal("endpoints", EndpointRow)

    @functools.cached_property
    def trades(self) -> Records[TradeRow]:
        """Orders of the trading rule and their results; empty if the study does not ask about reversals."""
        return self._of_reversal("trades", TradeRow)

    @functools.cached_property
    def ledger(self) -> Records[LedgerRow]:
        """The status of each event × peer, with the reason."""
        return rows_of(self._table("ledger"), LedgerRow)

    @functools.cached_property
    def counts(self) -> Counts:
        """Numbers of events, shocks, peers, firm-events and dates."""
        return counts_of(self.facts)

    @functools.cached_property
    def warnings(self) -> Records[WarningRow]:
        """The warnings, the most serious first."""
        return warnings_of(self.facts.get("warnings") or ())

    @functools.cached_property
    def windows(self) -> Windows:
        """Windows of the settings, as pairs of event days: ``result.windows.post`` is (2, 20) by default."""
        return settings_of(self.facts["windows"], Windows)

    @functools.cached_property
    def model(self) -> Model:
        """Model of the expected return and its settings: ``result.model.name`` is "market" by default."""
        return settings_of(self.facts["model"], Model)

    @functools.cached_property
    def report(self) -> Report:
        """Settings of the pages and of the tables for a paper."""
        return settings_of(self.manifest["settings"].get("report") or {}, Report)

    @functools.cached_property
    def effects(self) -> tuple[EffectRow, ...]:
        """The effect over each event window; in a study about reversals also over the drop and post windows."""
        return tuple(effect_of(row) for row in self.facts["effects"])

    @property
    def params(self) -> pd.Series[float]:
        """Mean cumulative abnormal return by event window, a decimal; the index is ``[0,1]`` and so on.

        It is the mean over dates of the firm-events of page 1, as in `effect`. Its t has K - 1 degrees of freedom for K
        dates, fewer if windows overlap. With a single date t uses the prediction error of the date's portfolio.
        """
        return self.to_frame()["estimate"]

    @property
    def bse(self) -> pd.Series[float]:
        """Standard errors of `params`."""
        return self.to_frame()["se"]

    @property
    def tvalues(self) -> pd.Series[float]:
        """`params` over `bse`."""
        return self.to_frame()["statistic"]

    @property
    def pvalues(self) -> pd.Series[float]:
        """P-values of `tvalues`."""
        return self.to_frame()["p_value"]

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return the confidence interval of each window at the level 1 - ``alpha``: lower, upper."""
        return effects_frame(self._of_windows, alpha)[["lower", "upper"]]

    def to_latex(self) -> str:
        """Return the mean of each window with its test as a LaTeX table; it uses the package booktabs."""
        return effects_latex(self.to_frame())

    def to_frame(self, name: str = "effects") -> pd.DataFrame:
        """Return a copy of one table.

        Parameters
        ----------
        name : str
            A name of `columns.TABLES`; by default ``effects``, one row a window with `params`, `bse` and so on.

        Raises
        ------
        KeyError
            For an unknown name; the message lists the names.
        """
        return effects_frame(self._of_windows) if name == "effects" else self._table(name).copy()

    @property
    def _of_windows(self) -> list[EffectRow]:
        """The effects over the windows of ``windows.car``, in its order."""
        of_window = {row.window: row for row in self.effects}
        return [of_window[window] for window in self.windows.car]

    @property
    def plot(self) -> Any:
        """Figures of this result, an `eventstudy.plots.Plots` with one method each: ``result.plot.caar(ax=ax)``.

        ``result.plot()`` draws the first figure.
        """
        return VIEWS["plot"](self)

    def summary(self) -> str:
        """Return verdict, counts and the table of page 1 as text of at most 100 columns."""
        text: str = VIEWS["summary"](self)
        return text

    def write_pack(self, folder: str | Path, *, formats: Sequence[str] = ()) -> Path:
        """Write the pack of `eventstudy run` into a new or empty folder and return it.

        Without ``formats`` it has the formats of the settings. `ConfigError` for an unknown format, or if the folder is
        not empty.
        """
        pack = Path(folder)
        pack.mkdir(parents=True, exist_ok=True)
        VIEWS["pack"](self, pack, formats=tuple(formats) or self.report.formats)
        return pack

    def _repr_html_(self) -> str:
        """Return the verdict and a small table as HTML for a notebook."""
        shown: str = VIEWS["notebook"](self)
        return shown

    def __repr__(self) -> str:
        """Return verdict, counts and the mean of the first window in at most ten lines."""
        shown: str = VIEWS["repr"](self)
        return shown

    def _of_reversal(self, name: str, kind: type[Row]) -> Records[Row]:
        return no_rows(kind) if self.verdict is None else rows_of(self._table(name), kind)

    def _table(self, name: str) -> pd.DataFrame:
        if name in self.tables:
            return self.tables[name]
        if name not in self.files:
            raise KeyError(f"no table {name!r}; there are {', '.join(sorted([*self.tables, *self.files]))}")
        import pandas as pd

        table = pd.read_parquet(self.files[name])
        return table.astype(dict.fromkeys(table.select_dtypes("category"), "str"))
