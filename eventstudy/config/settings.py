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
from eventstudy.registry import MODELS, STATISTICS

#: What an event may be called; the study's question may be about any of them.
LABELS = tuple("misreading genuine contested denied silent clarification no_news macro good_news unknown".split())
#: Twenty years: windows are cut as arrays of this length for every event.
MAX_SESSIONS = 5_000
#: Firm-events up to which a list of tickers and dates is studied in memory, with every model and setting.
IN_MEMORY = 50_000
#: An event day, in sessions from day 0.
Tau = Annotated[int, Range(-MAX_SESSIONS, MAX_SESSIONS)]
Window = tuple[Tau, Tau]
Text = Annotated[str, FREE]
Day = Annotated[dt.date, Range(dt.date(1900, 1, 1), dt.date(2199, 12, 31))]
#: Sections of the pages, in order.
PAGE_SECTIONS = (
    *("answer", "event_days", "verdicts", "placebos", "reversal", "claims", "clarifications", "backtest", "tests"),
    *("shocks", "multiplicity", "reversal_measures", "regressions", "group_differences", "specifications"),
    *("diagnostics", "quality", "prereg", "alignment", "ledger", "method", "settings", "notes", "peers", "read"),
    "references",
)
#: Names of packs and snapshots begin with a sector's: it must not lead to another folder.
SECTOR = r"([a-z0-9][a-z0-9_\-]{0,39})?"
Currency = Annotated[str, Form("[A-Z]{3}", "are three capital letters such as USD")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is studied; ``sector`` names the shipped study that this one builds on.

    ``kind`` is what is abnormal: the return, the logarithm of the volume, or the absolute return as
    a day's volatility. The last two are tested in the same windows; drops, reversals and trades are
    questions about returns.
    """

    name: Text = "Event study"
    kind: Literal["return", "volume", "volatility"] = "return"
    sector: Annotated[str, Form(SECTOR, "are 1 to 40 small letters, digits, _ and -")] = ""
    currency: Currency = "USD"
    language: Literal["en", "zh"] = "en"
    headline: Text = ""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 20260624


@dataclass(frozen=True, slots=True)
class Market:
    """One exchange: its calendar (MIC), its index, and the region whose weight it shares."""

    mic: Text
    benchmark: Text
    region: Text = ""
    currency: Annotated[str, Form("([A-Z]{3})?", "are three capital letters such as USD")] = ""
    board: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One security with its membership in time.

    ``from_`` and ``until`` are the first and last trading day, ``deal_bound_from`` the first
    session at a bid price: from then on the price follows the deal, not the sector. ``benchmark`` is an
    index of its own in place of its exchange's, ``weight`` its size, such as its market value, for means by
    value. ``own`` holds what else the peer's table says: covariates and groups of the user's own.
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
    """A CSV with columns of the user's own: a path from the working directory.

    Its rows belong to firm-events by ``ticker``, ``event_id`` or both; with a ``date`` the newest row on or
    before day 0 holds.
    """

    file: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Sessions relative to day 0, both ends included.

    ``same_day``: firm-events of one peer and day 0 in different shocks are each counted, or ``merge`` into
    the first; within a shock they always count once.
    ``overlapping``: events of one peer whose event windows overlap are each counted, or the later one
    is dropped.
    Windows that a study does not name are cut to its ``event`` window, see `load.cut_to_event`.
    """

    estimation: Window = (-250, -11)
    minimum: Annotated[int, Range(10, MAX_SESSIONS)] = 120
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
        """Windows of ``car``, and ``drop`` and ``post`` where there is room for them, each once, in this order."""
        return tuple(dict.fromkeys((*self.car, *((self.drop, self.post) if self.hold_reversal else ()))))

    def tested(self, *, asked: bool) -> tuple[Window, ...]:
        """Windows that are tested, the headline's first: without the question about reversals those of ``car``."""
        return (self.all_car if asked else tuple(dict.fromkeys(self.car))) or (self.event,)

    @property
    def hold_reversal(self) -> bool:
        """Whether the event window holds the drop and what follows it."""
        return self.event[0] <= self.drop[0] and self.post[1] <= self.event[1]


@dataclass(frozen=True, slots=True)
class Returns:
    """How returns are made of adjusted prices.

    ``gaps``: after sessions without a trade the first return is ``missing``, or with
    ``trade_to_trade`` the return since the last trade, set against the index's return over the same
    sessions (Maynes and Rumsey 1993).
    ``currency``: of each exchange, or with ``study`` the study's, by the rates of ``backtest.fx``: the last quote
    up to the day of the session.
    """

    kind: Literal["simple", "log"] = "simple"
    gaps: Literal["missing", "trade_to_trade"] = "missing"
    currency: Literal["local", "study"] = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Expected-return model, its options, and what happens to its intercept after the drop.

    Attributes
    ----------
    alpha
        ``estimated`` and ``zero`` hold for all days. ``auto`` is ``estimated`` in a study of the events' effect; where
        reversals are asked about it drops the intercept after day +1. ``shrink`` draws it towards zero as far as the
        peers of the event differ by chance alone.
    factors_file, factors, risk_free, percent
        CSV of daily factors by calendar day (a path from the working directory), its columns to use,
        its risk-free column, and whether it holds percent. The factor ``market`` is the peer's own
        benchmark. For ``factors`` and ``capm``.
    lags
        Leads and lags of the index in ``dimson``.
    span
        Sessions at the end of the estimation window that ``rolling`` uses.
    beta_path
        With ``rolling``, a table ``beta_path``: beta over the ``span`` sessions up to each one.
    world, world_market
        World index of ``two_index`` and the MIC of the exchange at whose close it is struck.
    variance
        ``frozen`` forecasts the variance of ``garch`` and ``egarch`` from the end of the estimation
        window, ``conditional`` updates it through the event.
    jobs, engine, scheduler
        Workers for models that are fitted one by one (``garch``, ``egarch``): processes on this machine,
        or a Dask cluster's by the address of its scheduler. They change no result.
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
    """Names of the statistics; none named means all that are registered.

    ``regression`` lists statsmodels formulas for the CARs of the headline's firm-events, such as
    ``car ~ exposure + C(country)``, estimated by each of ``estimators``: ``ols`` with errors clustered by
    date, ``gls`` by the firms' past covariance. ``group`` names columns whose values are groups of
    firm-events, tested each and against each other. Both know `covariates.BUILT_IN` and the columns of the
    user's own, see `covariates`.
    ``alternative`` is what the statistics hold their null against: ``less`` that the mean abnormal return is
    below zero, ``greater`` that it is above. Intervals, regressions and the question of reversal keep both
    sides. ``weights`` weigh the peers of one date; with ``value`` every mean over firm-events is by the column
    ``weight`` of the events file, else by the peer's.
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
    """When a shock counts as a drop, and what is asked about drops.

    Attributes
    ----------
    ask
        Whether the study asks about reversals: ``auto`` where an event has the label in question. Without the
        question it answers what the effect of the events was, over the windows of ``windows.car``.
    drop_k, drop_min, share_negative
        At least so many standard errors, so large a fall, and this share of the peers falling.
    label
        Events that the question is about.
    case
        Shock shown as a case study; by default the newest fall of the label asked about that
        counts as a drop, else its newest fall, else the newest fall of all.
    estimator
        What the verdict rests on: ``regression`` over all comparable falls of the peers, or ``matched``, the
        permutation over sets of placebo drops.
    controls
        Falls that a drop is compared with: ``all`` of the history, or ``before``, those whose aftermath was over
        before the drop began.
    donors
        Tickers or groups of ``[[peers]]`` from outside the sector, of which a portfolio is weighted to move as the
        peers did: a row of the robustness table, never the verdict.
    history_years
        Years before the newest event in which placebo drops are looked for, at least.
    specification_curve
        Repeat the measurement over windows, models, returns and intercepts.
    """

    ask: Literal["auto", "yes", "no"] = "auto"
    drop_k: Annotated[float, Range(0, 100)] = 2.0
    drop_min: Annotated[float, Range(0, 1)] = 0.03
    share_negative: Annotated[float, Range(0, 1)] = 0.6
    label: Annotated[str, OneOf(LABELS)] = "misreading"
    case: Text = ""
    estimator: Literal["regression", "matched"] = "regression"
    controls: Literal["all", "before"] = "all"
    donors: Annotated[tuple[Text, ...], Distinct()] = ()
    history_years: Annotated[int, Range(1, 200)] = 8
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
    """One charge of one market that replaces the shipped ones of its name, in basis points of value."""

    market: Text
    name: Text
    bps: Annotated[float, Range(-100, 1_000)]
    side: Literal["buy", "sell", "both"] = "both"
    from_: Day | None = None
    until: Day | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Where prices come from and what happens when they cannot be had or trusted.

    ``accept_suspect`` goes on with all that the quality checks refuse, ``accept_days`` with what they refuse of
    single tickers on single days: ``["JNJ:2021-06-09"]``.
    ``volume_unit`` is how many shares one unit of volume stands for, by MIC or by ticker, which wins:
    ``{XSHE = 100}`` where the source counts lots. ``price_unit`` is, likewise, how much of the market's
    currency one unit of price stands for: ``{XLON = 0.01}`` for pence.
    """

    source: Text = "yahoo"
    offline: Literal["fail", "simulated"] = "fail"
    benchmark_gaps: Literal["stop", "drop"] = "stop"
    accept_suspect: bool = False
    accept_days: tuple[Annotated[str, Form(r"\S+:\d{4}-\d\d-\d\d", "is TICKER:YYYY-MM-DD")], ...] = ()
    volume_unit: Mapping[str, Annotated[int, Range(1, 1_000_000, "shares")]] = field(default_factory=dict)
    price_unit: Mapping[str, Annotated[float, Range(0.0001, 10_000, "of the market's currency")]] = field(
        default_factory=dict
    )

    def shares(self, ticker: str, mic: str) -> int:
        """Shares in one unit of a security's volume."""
        return self.volume_unit.get(ticker, self.volume_unit.get(mic, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Which parts of the pack are written, and what the pages say of themselves.

    Attributes
    ----------
    formats, templates
        ``parquet`` and ``docx`` are further formats. ``templates`` is a folder, from the working directory, whose
        report.typ and report.html.j2 stand in for the shipped ones.
    sections
        Sections that the pages have, in the pages' own order; empty for all.
    title, author
        Of the pages; the title is the study's name where there is none.
    brackets, stars
        Tables for a paper: what stands in brackets beneath an estimate, its t or its standard error; whether stars
        mark the levels of 10, 5 and 1 %.
    """

    formats: Annotated[tuple[Text, ...], Distinct()] = ("pdf", "html", "png", "xlsx", "csv", "json", "tex", "md")
    templates: Text = ""
    sections: Annotated[tuple[Annotated[str, OneOf(PAGE_SECTIONS)], ...], Distinct()] = ()
    title: Text = ""
    author: Text = ""
    brackets: Literal["t", "se"] = "t"
    stars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """All settings of a study, one attribute a section of its TOML; frozen.

    ``sources`` names the files they came from, with their sha256.

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
        """The settings where reversals are not asked about: the estimated intercept counts on every day."""
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
