"""The settings of a study, with their accepted values."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from eventstudy.config.json_values import plain_json
from eventstudy.config.ranges import FREE, Distinct, Form, OneOf, Range, Registered
from eventstudy.exchanges.exchange import WORLD_MARKET
from eventstudy.registry import FORMATS, MODELS, STATISTICS

#: Labels of an event; the study can ask about any of them.
LABELS = tuple("misreading genuine contested denied silent clarification no_news macro good_news unknown".split())
#: Twenty years; limits the length of the arrays into which windows are cut.
MAX_SESSIONS = 5_000
#: Up to this number of firm-events a list is studied in memory, with every model and setting.
IN_MEMORY = 50_000
#: An event day, in sessions from day 0.
Tau = Annotated[int, Range(-MAX_SESSIONS, MAX_SESSIONS)]
#: First and last event day of a window; `Days` is one that the settings check.
Window = tuple[int, int]
Days = tuple[Tau, Tau]
Text = Annotated[str, FREE]
Day = Annotated[dt.date, Range(dt.date(1900, 1, 1), dt.date(2199, 12, 31))]
#: Sections of the pages, in order.
PAGE_SECTIONS = (
    *("answer", "event_days", "verdicts", "placebos", "reversal", "claims", "clarifications", "backtest", "tests"),
    *("shocks", "multiplicity", "reversal_measures", "regressions", "group_differences", "specifications"),
    *("diagnostics", "quality", "prereg", "alignment", "ledger", "method", "settings", "notes", "peers", "read"),
    "references",
)
FORMATS_BY_DEFAULT = ("pdf", "html", "png", "xlsx", "csv", "json", "tex", "md")
DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
#: Names of packs and snapshots begin with that of a sector, so it must not contain a path.
SECTOR = r"([a-z0-9][a-z0-9_\-]{0,39})?"
Currency = Annotated[str, Form("[A-Z]{3}", "are three capital letters such as USD")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Name, kind and language of the study; ``sector`` names a sector of the package that it builds on.

    ``kind`` is the quantity of the study: the return, the logarithm of the volume, or the absolute return as
    the volatility of a day. The last two are tested in the same windows. Drops, reversals and trades concern
    returns only. ``name_local`` is the name on pages in Chinese.
    """

    name: Text = "Event study"
    name_local: Text = ""
    kind: Literal["return", "volume", "volatility"] = "return"
    sector: Annotated[str, Form(SECTOR, "are 1 to 40 small letters, digits, _ and -")] = ""
    currency: Currency = "USD"
    language: Literal["en", "zh"] = "en"
    headline: Text = ""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 20260624


@dataclass(frozen=True, slots=True)
class Market:
    """One exchange: its calendar (MIC), its index, and its region. Exchanges of a region share one weight."""

    mic: Text
    benchmark: Text
    region: Text = ""
    currency: Annotated[str, Form("([A-Z]{3})?", "are three capital letters such as USD")] = ""
    board: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One security, with the period in which it is a member.

    ``from_`` and ``until`` are the first and last trading day. ``deal_bound_from`` is the first session of a
    takeover bid: from then on the price follows the bid, not the sector. ``benchmark`` is an index of its own,
    instead of that of its exchange. ``weight`` is its size, such as its market value, for value weights. ``own``
    has the other keys of the peer's table: your own covariates and groups.
    """

    ticker: Text
    market: Text
    name: Text = ""
    name_local: Text = ""
    from_: Day | None = None
    until: Day | None = None
    deal_bound_from: Day | None = None
    aliases: tuple[Text, ...] = ()
    exposure: Annotated[float, Range(-100, 100)] = 1.0
    group: Text = "core"
    board: Text = ""
    benchmark: Text = ""
    weight: Annotated[float, Range(1e-12, 1e15)] | None = None
    note: Text = ""
    own: Mapping[str, Text | float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Covariates:
    """A CSV file with your own columns; the path is relative to the working directory.

    Rows are matched to firm-events by ``ticker``, ``event_id`` or both. With a column ``date`` the newest row on
    or before day 0 is used.
    """

    file: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Sessions relative to day 0, both ends included.

    ``same_day``: firm-events of one peer with the same day 0 in different shocks all count (``keep``), or
    ``merge`` into the first; within a shock they always count once.
    ``overlapping``: events of one peer with overlapping event windows all count (``keep``), or the later one is
    dropped (``drop_later``).
    Default windows are cut to the ``event`` window, see `load.cut_to_event`.
    """

    estimation: Days = (-250, -11)
    minimum: Annotated[int, Range(10, MAX_SESSIONS)] = 120
    drop: Days = (0, 1)
    post: Days = (2, 20)
    event: Days = (-10, 20)
    car: tuple[Days, ...] = ((0, 0), (0, 1), (-1, 1), (2, 5), (2, 10), (2, 20))
    clean_estimation: bool = True
    allow_partial: bool = False
    same_day: Literal["keep", "merge"] = "keep"
    overlapping: Literal["keep", "drop_later"] = "keep"

    @property
    def all_car(self) -> tuple[Window, ...]:
        """Windows of ``car``, then ``drop`` and ``post`` if the event window contains them; each once."""
        return tuple(dict.fromkeys((*self.car, *((self.drop, self.post) if self.hold_reversal else ()))))

    def tested(self, *, asked: bool) -> tuple[Window, ...]:
        """Windows that are tested, the headline's first; without the question about reversals those of ``car``."""
        return (self.all_car if asked else tuple(dict.fromkeys(self.car))) or (self.event,)

    @property
    def hold_reversal(self) -> bool:
        """Whether the event window contains the drop and post windows."""
        return self.event[0] <= self.drop[0] and self.post[1] <= self.event[1]


@dataclass(frozen=True, slots=True)
class Returns:
    """How returns are computed from adjusted prices.

    ``gaps``: after sessions without a trade the first return is ``missing``. With ``trade_to_trade`` it is the
    return since the last trade, compared with the index's return over the same sessions (Maynes and Rumsey 1993).
    ``currency``: ``local`` is that of each exchange, ``study`` that of the study, at the rates of ``backtest.fx``:
    the last quote up to the day of the session.
    """

    kind: Literal["simple", "log"] = "simple"
    gaps: Literal["missing", "trade_to_trade"] = "missing"
    currency: Literal["local", "study"] = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Model of the expected return, its options, and the use of its intercept after the drop.

    Attributes
    ----------
    alpha
        ``estimated`` and ``zero`` apply to all days. ``auto`` is ``estimated`` in a study of the events' effect; in a
        study about reversals it leaves out the intercept after day +1. ``shrink`` shrinks the intercept towards zero,
        by the part of its variation among the event's peers that is due to chance.
    factors_file, factors, risk_free, percent
        For ``factors`` and ``capm``: CSV file of daily factors by calendar day (path relative to the working
        directory), its columns to use, its risk-free column, and whether its values are percent. The factor
        ``market`` is the peer's own benchmark.
    lags
        Leads and lags of the index in ``dimson``.
    span
        Number of sessions at the end of the estimation window that ``rolling`` uses.
    beta_path
        With ``rolling``: write a table ``beta_path`` with beta over the ``span`` sessions up to each session.
    world, world_market
        World index of ``two_index``, and the MIC of the exchange at whose close it is computed.
    variance
        ``frozen`` forecasts the variance of ``garch`` and ``egarch`` from the end of the estimation window;
        ``conditional`` updates it on the event days.
    jobs, engine, scheduler
        Workers for models that are fitted series by series (``garch``, ``egarch``): processes on this machine, or
        those of a Dask cluster, given by the address of its scheduler. Results are identical.
    """

    name: Annotated[str, Registered(MODELS)] = "market"
    alpha: Literal["auto", "estimated", "zero", "shrink"] = "auto"
    factors_file: Text = ""
    factors: Annotated[tuple[Text, ...], Distinct()] = ()
    risk_free: Text = ""
    percent: bool = True
    lags: Annotated[int, Range(1, 10)] = 1
    span: Annotated[int, Range(20, MAX_SESSIONS)] = 60
    beta_path: bool = False
    world: Text = "^GSPC"
    world_market: Text = WORLD_MARKET
    variance: Literal["frozen", "conditional"] = "frozen"
    jobs: Annotated[int, Range(1, 64)] = 1
    engine: Literal["local", "dask"] = "local"
    scheduler: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """Names of the statistics; an empty list means all.

    ``regression`` lists formulas (syntax of statsmodels) for the CARs of the headline's firm-events, such as
    ``car ~ exposure + C(country)``. Each is estimated by all ``estimators``: ``ols`` with errors clustered by date,
    ``gls`` with the firms' past covariance. ``group`` lists columns whose values are groups of firm-events; each
    group is tested, and groups are compared. Both can use `covariates.BUILT_IN` and your own columns, see
    `covariates`.
    ``alternative`` is the alternative hypothesis of the tests: ``less`` for a mean abnormal return below zero,
    ``greater`` for one above. Intervals, regressions and the question about reversals stay two-sided. ``weights``
    are those of the peers of one date; with ``value`` every mean over firm-events is weighted by the column
    ``weight`` of the events file, else by that of the peers.
    """

    names: Annotated[tuple[Annotated[str, Registered(STATISTICS)], ...], Distinct()] = ()
    regression: Annotated[tuple[Text, ...], Distinct()] = ()
    estimators: Annotated[tuple[Literal["ols", "gls"], ...], Distinct()] = ("ols", "gls")
    group: Annotated[tuple[Text, ...], Distinct()] = ()
    alternative: Literal["two-sided", "less", "greater"] = "two-sided"
    weights: Literal["market-balanced", "equal", "value"] = "market-balanced"
    level: Annotated[float, Range(0.0001, 0.5)] = 0.05
    draws: Annotated[int, Range(1, 1_000_000)] = 9_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """When a shock counts as a drop, and how drops are compared.

    Attributes
    ----------
    ask
        Whether the study asks about reversals; ``auto`` means yes if an event has the label in question. If not, the
        study measures the effect of the events over the windows of ``windows.car``.
    drop_k, drop_min, share_negative
        Thresholds of a drop: its size in standard errors, its size as a decimal, and the share of peers that fell.
    label
        The label in question.
    case
        Shock shown as a case study; by default the newest fall with the label in question that counts as a drop,
        else the newest fall with this label, else the newest fall of all.
    estimator
        What the verdict rests on: ``moderated``, a regression over all control drops of the peers in which the slope
        of the depth is shrunk towards zero and the spread of the controls enters the standard error; ``regression``,
        the same without these two additions; or ``matched``, a permutation test over sets of matched control drops.
    controls
        Control drops of a drop: ``all`` of the history, or ``before``, those whose post window had ended before the
        drop began.
    donors
        Tickers or groups of ``[[peers]]`` from outside the sector. Their portfolio is weighted to move as the peers
        did before a drop. It gives one row of the robustness table and never enters the verdict.
    history_years
        Smallest number of years before the newest event that are searched for control drops.
    specification_curve
        Repeat the measurement over windows, models, returns and intercepts.
    """

    ask: Literal["auto", "yes", "no"] = "auto"
    drop_k: Annotated[float, Range(0, 100)] = 2.0
    drop_min: Annotated[float, Range(0, 1)] = 0.03
    share_negative: Annotated[float, Range(0, 1)] = 0.6
    label: Annotated[str, OneOf(LABELS)] = "misreading"
    case: Text = ""
    estimator: Literal["moderated", "regression", "matched"] = "moderated"
    controls: Literal["all", "before"] = "all"
    donors: Annotated[tuple[Text, ...], Distinct()] = ()
    history_years: Annotated[int, Range(1, 200)] = 8
    specification_curve: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """The trading rule of the study.

    Attributes
    ----------
    entry
        Price and event day of the purchase. The decision is made at the close of the day before: an entry on day +1
        uses only the drop of day 0.
    horizon
        Latest event day at whose close a position is sold.
    clarification_exit
        Sell at the close of the session after a clarification that came after the purchase.
    stop
        Loss at which a stop order sells, as a decimal; 0 for no stop.
    label_gate
        ``strict`` trades drops whose label is `Reversal.label` and was known at the decision. ``post_hoc`` also trades
        those labelled later, which nobody could have traded. ``off`` trades every drop.
    hedge
        Sell short the exchange's index, with the peer's pre-event beta.
    gross_cap, per_shock
        Limits, as shares of ``capital``, for longs and hedges together: of all shocks, and of one shock.
    capacity_share, adv_days
        Largest order, as a share of the mean value traded, and the number of sessions of this mean.
    retry
        Number of further sessions on which an unfilled purchase is tried again.
    capital
        Capital in the study's currency; without an exchange rate, in the currency of the exchange. Profits are not
        reinvested.
    fx, fx_stale_days
        Ticker of the exchange rate for each currency, read with the prices. Its six letters give the direction:
        ``USDCNY=X`` is yuan for one dollar. A rate older than ``fx_stale_days`` calendar days is not used.
    impact, hedge_bps
        Coefficient of the square-root price impact, and cost of the index leg per side, in basis points.
    embargo
        Sessions after a shock's last day before the walk-forward may use it.
    trials
        Number of specifications tried elsewhere; those of this run and of the log in the results folder are added.
    """

    entry: Literal["close+2", "open+2", "close+1", "open+1"] = "close+2"
    horizon: Annotated[int, Range(2, 250)] = 20
    clarification_exit: bool = True
    stop: Annotated[float, Range(0.0, 0.99)] = 0.0
    label_gate: Literal["strict", "post_hoc", "off"] = "strict"
    hedge: bool = True
    gross_cap: Annotated[float, Range(0.01, 10)] = 1.0
    per_shock: Annotated[float, Range(0.01, 1)] = 0.5
    capacity_share: Annotated[float, Range(0.0001, 1)] = 0.05
    adv_days: Annotated[int, Range(1, 250)] = 20
    retry: Annotated[int, Range(0, 20)] = 0
    capital: Annotated[float, Range(1, 1e12)] = 1_000_000.0
    fx: Mapping[str, Text] = field(default_factory=dict)
    fx_stale_days: Annotated[int, Range(1, 30)] = 7
    impact: Annotated[float, Range(0, 10)] = 0.1
    hedge_bps: Annotated[float, Range(0, 1_000)] = 2.0
    embargo: Annotated[int, Range(0, 250)] = 5
    trials: Annotated[int, Range(0, 1_000_000)] = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """One cost of one market, in basis points of value; it replaces the package's costs with the same name."""

    market: Text
    name: Text
    bps: Annotated[float, Range(-100, 1_000)]
    side: Literal["buy", "sell", "both"] = "both"
    from_: Day | None = None
    until: Day | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Source of the prices, and what happens if they are missing or suspect.

    ``accept_suspect`` accepts everything that the quality checks refuse, ``accept_days`` what they refuse for
    single tickers on single days: ``["JNJ:2021-06-09"]``.
    ``volume_unit`` is the number of shares in one unit of volume, by MIC or by ticker (the ticker has priority):
    ``{XSHE = 100}`` if the source counts lots. ``price_unit`` is the amount of the market's currency in one unit of
    price: ``{XLON = 0.01}`` for pence.
    """

    source: Text = "yahoo"
    offline: Literal["fail", "simulated"] = "fail"
    benchmark_gaps: Literal["stop", "drop"] = "stop"
    accept_suspect: bool = False
    accept_days: tuple[Annotated[str, Form(rf"\S+:{DATE}", "is TICKER:YYYY-MM-DD")], ...] = ()
    volume_unit: Mapping[str, Annotated[int, Range(1, 1_000_000, "shares")]] = field(default_factory=dict)
    price_unit: Mapping[str, Annotated[float, Range(0.0001, 10_000, "of the market's currency")]] = field(
        default_factory=dict
    )

    def shares(self, ticker: str, mic: str) -> int:
        """Shares in one unit of a security's volume."""
        return self.volume_unit.get(ticker, self.volume_unit.get(mic, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Parts of the pack, and title and layout of the pages.

    Attributes
    ----------
    formats, templates
        Formats to write; ``parquet`` and ``docx`` are also available. ``templates`` is a folder (relative to the
        working directory) with report.typ and report.html.j2 that replace those of the package.
    sections
        Sections of the pages, in the usual order; an empty list means all.
    title, author
        Title and author of the pages; the default title is the name of the study.
    brackets, stars
        Tables for a paper: the value in brackets beneath an estimate (its t or its standard error), and whether
        stars mark the levels of 10, 5 and 1 %.
    """

    formats: Annotated[tuple[Annotated[str, Registered(FORMATS)], ...], Distinct()] = FORMATS_BY_DEFAULT
    templates: Text = ""
    sections: Annotated[tuple[Annotated[str, OneOf(PAGE_SECTIONS)], ...], Distinct()] = ()
    title: Text = ""
    author: Text = ""
    brackets: Literal["t", "se"] = "t"
    stars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """All settings of a study, one attribute for each section of its TOML; frozen.

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
    covariates: tuple[Covariates, ...] = ()
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

    @property
    def of_effect(self) -> StudyConfig:
        """The settings for a study that does not ask about reversals: the estimated intercept is used on every day."""
        model = self.model
        return replace(self, model=replace(model, alpha="estimated")) if model.alpha == "auto" else self

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values, for the manifest."""
        # ``from_`` is ``from`` in a study file.
        plain: dict[str, Any] = plain_json(
            dataclasses.asdict(self, dict_factory=lambda pairs: {name.rstrip("_"): value for name, value in pairs})
        )
        plain["peers"] = [{**peer, **peer.pop("own")} for peer in plain["peers"]]
        return plain
