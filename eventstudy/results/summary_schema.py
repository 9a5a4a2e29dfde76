"""JSON Schema of a run's summary.json, made from the records that it is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from eventstudy.backtest.resampling import Superiority
from eventstudy.backtest.track_record import Record
from eventstudy.config import Model, Windows
from eventstudy.config.ranges import Form
from eventstudy.config.schema import DIALECT, schema_of
from eventstudy.optional import Missing
from eventstudy.results.diagnostics import StudyDiagnostics
from eventstudy.results.records import EffectRow
from eventstudy.reversal.measures import Gate
from eventstudy.reversal.verdict import Verdict

WindowName = Annotated[str, Form(r"\[-?\d+,-?\d+\]", "is a window such as [2,20]")]
Day = Annotated[str, Form(r"\d{4}-\d\d-\d\d", "is an ISO date")]
Texts = tuple[str, ...]
#: Fields that exist only in studies about reversals, and fields that only some runs have.
REVERSALS = (
    "verdict exploratory verdicts case_study endpoints gates sign_flips leave_one_out balance unbalanced "
    "specification_curve asked claims chronology labels small_table more_data backtest"
).split()
OF_SOME_RUNS = ("messages", "prereg", "alternative", "label_evidence")


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of firm-events: used, used with a moved day 0, dropped, merged, and dropped by reason."""

    used: int
    shifted: int
    dropped: int
    reasons: Mapping[str, int]
    merged: int = 0


@dataclass(frozen=True, slots=True)
class Worth:
    """Information in the dates of a group in one window (k_eff), and the smallest mean found with 80 % power."""

    n_dates: int
    k_eff: float
    df: float
    sd: float
    mde: float
    cvr: float


@dataclass(frozen=True, slots=True)
class Headline:
    """Firm-events and dates of the headline group, by window."""

    n_events: int
    n_dates: int
    k_eff: float
    rbar: float
    n_effective: float
    windows: Mapping[str, Worth]


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Events, shocks and peers of the files, before anything was left out."""

    n_events: int
    n_shocks: int
    n_peers: int
    by_label: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio of variances with its 95 % interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class TestValue:
    """One test in one window."""

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """One peer: names, exchange, group and region."""

    name: str
    name_local: str
    market: str
    group: str
    region: str


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the summary by its key and fields in the catalogues."""

    key: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A row of page 1's table: the mean over dates of one group in one window."""

    group: str
    window: WindowName
    n_events: int
    n_dates: int
    k_eff: float
    cvr: float
    n_late: int
    estimate: float
    lower: float
    upper: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Numbers of shocks with the label in question and of drops among them; the drop itself if there is only one."""

    label: str
    n_shocks: int
    n_drops: int
    n_late: int = 0
    n_overlapping: int = 0
    n_uncompared: int = 0
    shock_id: str = ""
    day0: Day = ""
    car_drop: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The case study: its fall, the return after it, and its rank if it was compared."""

    shock_id: str
    label: str
    day0: Day
    car_drop: float
    s_drop: float
    qualifies: bool
    car_post: float
    excess: float
    n_placebos: int
    rank: int | None
    among: int = 0
    p_rank: float = 0.0
    p_rank_floor: float = 0.0
    sentence: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Drops by day 0, the number of them that had recovered by the next close, and the case by day 0."""

    n_day0: int = 0
    n_bounced: int = 0
    case: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Influence:
    """Range of the effect if one date is left out, and the shocks of the date that changes it most."""

    lower: float
    upper: float
    most_influential: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """One characteristic of drops and matched control drops."""

    group: str
    variable: str
    mean_events: float
    mean_placebos: float
    smd: float
    n_events: int
    n_placebos: int


@dataclass(frozen=True, slots=True)
class Clarification:
    """A clarification and its event; the flag is empty if it came after the drop."""

    event_id: str
    clarifies: str
    flag: Literal["", "PRECEDES_DROP", "SAME_SESSION"]
    sentence: str


@dataclass(frozen=True, slots=True)
class LabelTimes:
    """Numbers of labels known before the post window, set afterwards, and without a time."""

    ex_ante: int
    post_hoc: int
    post_hoc_events: Texts
    undated: int
    undated_events: Texts


@dataclass(frozen=True, slots=True)
class LabelEvidence:
    """Number of labels that the verdict uses, and of those without an archived text."""

    n: int
    n_self_declared: int
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Results of the trading rule besides `record`; ``comparison`` and ``walk_forward`` have records of other runs."""

    capacity_withheld: Mapping[str, str]
    rule: str
    gate: str
    label: str
    currency: str
    n_trials: int
    trials: str
    trials_run: int
    trials_logged: int
    trials_declared: int
    against: tuple[Superiority, ...]
    snooping: str
    gap: float
    pbo: float
    pbo_reason: str
    caveats: Texts
    why_none: str
    caution: str
    sentence: str
    unverified_fees: Texts


@dataclass(frozen=True, slots=True)
class DepartureRow:
    """One setting that differs from the locked one; ``strict`` departures need --allow-departures."""

    key: str
    locked: str
    found: str
    strict: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Prereg:
    """The locked question and the departures of the run."""

    file: str
    sha256: str
    n_departures: int
    departures: tuple[DepartureRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Page 1 of a run for programs. Returns are decimals; a missing number is null."""

    run_id: str
    study: str
    simulated: bool
    language: Literal["en", "zh"]
    data_date: Day
    price_source: str
    counts: Counts
    rbar: float
    n_effective: float
    trust: str
    headline: Headline
    cvr: Interval
    headline_group: str
    events: EventCounts
    model: Model
    kind: Literal["return", "volume", "volatility"]
    returns: Literal["simple", "log"]
    weights: Literal["market-balanced", "equal", "value"]
    warnings: Texts
    peers: Mapping[str, PeerFacts]
    not_available: tuple[Missing, ...]
    trials: int
    messages: Mapping[str, Said]
    alternative: Literal["less", "greater"]
    prereg: Prereg
    case_study: Case | None
    endpoints: Endpoints
    gates: tuple[Gate, ...]
    sign_flips: Texts
    leave_one_out: Influence | None
    balance: tuple[BalanceRow, ...]
    unbalanced: Texts
    specification_curve: int
    asked: Asked
    claims: Mapping[str, int]
    chronology: tuple[Clarification, ...]
    labels: LabelTimes
    label_evidence: LabelEvidence
    small_table: tuple[TableRow, ...]
    more_data: str


_NUMBER = schema_of(float, written=True)
_TEXT, _COUNT = schema_of(str), schema_of(int)
#: Content of ``backtest`` if it could not be computed.
_NO_TRADE = {
    "type": "object",
    "properties": {"n_trades": {"const": 0}, "sentence": _TEXT},
    "additionalProperties": False,
}


def summary_schema() -> dict[str, Any]:
    """Return the JSON Schema of the summary.json that a run writes.

    The schema of this version is strict: unknown fields are refused. The fields of `REVERSALS` are all present in a
    study about reversals, ``verdict`` always.
    """
    schema = _written(Summary)
    effect = _with(_written(EffectRow), {"window": schema_of(WindowName), "n_effective": _NUMBER})
    answer = _with(verdict_schema(), {"inside": _TEXT, "n_shared_placebos": _COUNT})
    tests = _written(Mapping[str, TestValue])
    late = {"n_late": _COUNT, "n_undated": _COUNT}
    record = _record()
    others = {"comparison": {"type": "object", "additionalProperties": record}, "walk_forward": record}
    own = {
        "windows": _written(Windows),
        "diagnostics": {"anyOf": [_written(StudyDiagnostics), {"const": {}}]},
        "effect": effect,
        "effects": {"type": "array", "items": _with(_without(effect, "group", "sentence"), {"tests": tests})},
        "verdict": answer,
        "exploratory": _with(answer, late),
        "verdicts": {"type": "object", "additionalProperties": answer},
        "backtest": {"anyOf": [_with(record, {**_written(Backtest)["properties"], **others}), _NO_TRADE]},
    }
    schema = _with(schema, own)
    always = [name for name in schema["properties"] if name not in (*REVERSALS, *OF_SOME_RUNS)]
    together = {"verdict": [name for name in REVERSALS if name != "verdict"]}
    title = "summary.json of a run of eventstudy"
    return {"$schema": DIALECT, "title": title, **schema, "required": always, "dependentRequired": together}


def verdict_schema() -> dict[str, Any]:
    """Return the schema of a verdict, as `reversal.findings.verdict_facts` writes it."""
    own = {"ci": _written(tuple[float, float]), "group": _TEXT, "window": schema_of(WindowName)}
    return _with(_without(_written(Verdict), "more_data", "needed", "interval"), own)


def _written(hint: Any) -> dict[str, Any]:
    return schema_of(hint, written=True)


def _with(table: dict[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with some properties added or replaced."""
    return {**table, "properties": {**table["properties"], **properties}}


def _without(table: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the schema of an object without some properties."""
    properties = {name: rule for name, rule in table["properties"].items() if name not in names}
    return {**table, "properties": properties, "required": [n for n in table.get("required", ()) if n not in names]}


def _record() -> dict[str, Any]:
    """Return the schema of a track record, as `backtest.outcome.record_row` writes it."""
    own = _without(_written(Record), "name", "ratio")
    renamed = {name: name.replace("_interval", "_ci") for name in own["properties"]}
    properties = {renamed[name]: rule for name, rule in own["properties"].items()}
    ratios = dict.fromkeys(("sharpe", "sharpe_lo", "sharpe_se", "psr", "dsr", "min_track_record_days"), _NUMBER)
    return {
        **own,
        "properties": {**properties, **ratios, "n_days": _COUNT},
        "required": [*(renamed[name] for name in own["required"]), *ratios, "n_days"],
    }
