"""Check whether the settings of a study are consistent."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eventstudy.config.ranges import faults
from eventstudy.config.settings import StudyConfig, Windows
from eventstudy.errors import ConfigError, Problem, nearest
from eventstudy.exchanges.exchange import boards
from eventstudy.workers import engine_problem

#: Models whose regression can weight a return over n sessions by 1/n.
TRADE_TO_TRADE = ("raw", "mean_adjusted", "market_adjusted", "market", "capm", "factors")


#: Path of a setting, and what is wrong with it.
Faults = Iterator[tuple[str, str]]


def check(
    config: StudyConfig,
    *,
    peers: bool = True,
    written: Container[str] = ("drop", "post"),
    where: Callable[[str], tuple[str, int | None]] = lambda _: ("", None),
) -> None:
    """Refuse settings outside their limits and settings that contradict each other.

    Parameters
    ----------
    peers
        Whether the study needs peers; the study of a whole market names none.
    written
        Windows that the study names itself. A drop or post window that it does not name may lie outside a short
        event window, unless `Reversal.ask` says ``yes``.
    where
        Gives the file and line of a setting by its path.
    """
    found = [
        *faults(config, StudyConfig),
        *_windows(config.windows, ("drop", "post") if config.reversal.ask == "yes" else written),
        *((*_peers(config), *_donors(config)) if peers else ()),
        *_model(config),
        *_entry(config),
        *_markets(config),
        *_fx(config),
        *_report(config),
    ]
    if found:
        raise ConfigError([Problem(text, *where(path)) for path, text in found])


def _windows(windows: Windows, written: Container[str]) -> Faults:
    estimation, event = windows.estimation, windows.event
    asked = [name for name in ("drop", "post") if windows.hold_reversal or name in written]
    named = {"estimation": estimation, **{name: getattr(windows, name) for name in asked}, "event": event}
    named |= {f"car[{i}]": window for i, window in enumerate(windows.car)}
    for name, (first, last) in named.items():
        if first > last:
            yield f"windows.{name}", f"windows.{name} = [{first}, {last}] runs backwards; write [{last}, {first}]"
        elif name != "estimation" and not event[0] <= first <= last <= event[1]:
            text = (
                f"windows.{name} = [{first}, {last}] lies outside windows.event = {list(event)}; widen the event window"
            )
            yield f"windows.{name}", text
    if estimation[1] >= event[0]:
        text = (
            f"windows.estimation = {list(estimation)} overlaps windows.event = {list(event)}; "
            f"end the estimation before day {event[0]}"
        )
        yield "windows.estimation", text
    if windows.minimum > max(_length(windows), 10):
        yield "windows.minimum", f"windows.minimum = {windows.minimum}: accepted is 10 to {_length(windows)}"
    if asked and windows.drop[1] >= windows.post[0]:
        yield "windows.post", f"windows.post starts at {windows.post[0]}, before the drop has ended"


def _length(windows: Windows) -> int:
    return windows.estimation[1] - windows.estimation[0] + 1


#: Settings that a model requires, with an example.
_NEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "capm": (("factors_file", "a CSV with a date column"), ("risk_free", 'the risk-free column, such as "RF"')),
    "factors": (("factors_file", "a CSV with a date column"), ("factors", 'such as ["Mkt-RF", "SMB", "HML"]')),
    "two_index": (("world", 'such as "^GSPC"'),),
}


def _model(config: StudyConfig) -> Faults:
    model, longest = config.model, max(_length(config.windows), 20)
    for name, example in _NEEDS.get(model.name, ()):
        if not getattr(model, name):
            yield "model.name", f"model.name = {model.name!r} needs model.{name}, {example}"
    if config.reversal.ask == "yes" and config.study.kind != "return":
        text = (
            f"reversal.ask = 'yes' with study.kind = {config.study.kind!r}: drops and reversals are questions about "
            "returns; accepted is auto or no"
        )
        yield "reversal.ask", text
    if problem := engine_problem(model.engine, model.scheduler):
        yield "model.engine", f"model: {problem}"
    if model.name == "raw" and config.study.kind != "return":
        text = f"model.name = 'raw' calls the whole {config.study.kind} abnormal; accepted is mean_adjusted"
        yield "model.name", text
    if model.name == "rolling" and model.span > longest:
        yield "model.span", f"model.span = {model.span}: accepted is 20 to {longest}"
    if model.beta_path and model.name != "rolling":
        yield "model.beta_path", f"model.beta_path with model.name = {model.name!r}: accepted is rolling"
    if config.returns.gaps == "trade_to_trade" and model.name not in TRADE_TO_TRADE:
        text = (
            f"returns.gaps = 'trade_to_trade' with model.name = {model.name!r}: accepted are "
            f"{', '.join(TRADE_TO_TRADE)}"
        )
        yield "returns.gaps", text


def _donors(config: StudyConfig) -> Faults:
    names = {name for peer in config.peers for name in (peer.ticker, peer.group, *peer.aliases)}
    for donor in config.reversal.donors:
        if donor not in names:
            text = f"{donor!r} is neither a peer nor a group of peers; {nearest(donor, sorted(names))}"
            yield "reversal.donors", f"reversal.donors: {text}"


def _entry(config: StudyConfig) -> Faults:
    """Yield problems that make a trade impossible: decided before the drop, or sold before it is bought."""
    trade, drop = config.backtest, config.windows.drop
    entry = int(trade.entry.partition("+")[2])
    if entry - 1 < drop[0]:
        text = (
            f"backtest.entry = {trade.entry!r} is decided at the close of day {entry - 1}, before the drop "
            f"window [{drop[0]}, {drop[1]}] has begun; enter on day {drop[0] + 1} or later"
        )
        yield "backtest.entry", text
    if trade.horizon <= entry:
        yield "backtest.horizon", f"backtest.horizon = {trade.horizon}: accepted is {entry + 1} to 250"


def _markets(config: StudyConfig) -> Faults:
    """Yield problems with exchanges and peers: names that the study uses but does not define."""
    mics = [market.mic for market in config.markets]
    yield from (("markets", f"market {mic} is described twice") for mic in _twice(mics))
    stated = [(f"markets[{at}].board", market.board) for at, market in enumerate(config.markets)]
    stated += [(f"peers[{at}].board", peer.board) for at, peer in enumerate(config.peers)]
    for path, board in stated:
        if board and board not in boards():
            yield path, f"{path} = {board!r} is unknown; {nearest(board, boards())}"
    for at, row in enumerate(config.costs):
        if row.market not in mics:
            yield f"costs[{at}].market", f"costs: market {row.market!r}; {nearest(row.market, mics)}"
    known = mics + [peer.ticker for peer in config.peers]
    for key in ("volume_unit", "price_unit"):
        for name in getattr(config.prices, key):
            if name not in known:
                yield f"prices.{key}", f"prices.{key}: {name!r}; {nearest(name, known)}"
    tickers = [name for peer in config.peers for name in (peer.ticker, *peer.aliases)]
    tickers += [*(market.benchmark for market in config.markets), *config.backtest.fx.values(), config.model.world]
    for day in config.prices.accept_days if config.peers else ():
        if (ticker := day.rpartition(":")[0]) not in tickers:
            yield "prices.accept_days", f"prices.accept_days: {ticker!r}; {nearest(ticker, tickers)}"


def _fx(config: StudyConfig) -> Faults:
    """Yield exchange rates that do not convert a currency into that of the study."""
    base = config.study.currency
    for currency, ticker in config.backtest.fx.items():
        if currency == base:
            yield "backtest.fx", f"backtest.fx.{currency}: that is study.currency itself; leave it out"
        elif {ticker[:3], ticker[3:6]} != {currency, base}:
            text = (
                f"backtest.fx.{currency} = {ticker!r} does not turn {currency} into study.currency = "
                f"{base!r}; accepted is a ticker that begins with {base}{currency} or {currency}{base}, such "
                f"as {base}{currency}=X, or backtest.fx={{}} to count in local currencies"
            )
            yield "backtest.fx", text


def _report(config: StudyConfig) -> Faults:
    """Yield what the pages need and this machine lacks: a folder of templates, a package."""
    report = config.report
    if report.templates and not Path(report.templates).is_dir():
        text = f"{report.templates!r} is not a folder; it is one with report.typ or report.html.j2"
        yield "report.templates", f"report.templates = {text}"
    if "docx" in report.formats and find_spec("docx") is None:
        text = "docx needs the package python-docx; pip install 'eventstudy-kit[word]'"
        yield "report.formats", f"report.formats: {text}"


def _peers(config: StudyConfig) -> Faults:
    mics = [market.mic for market in config.markets]
    if not config.peers:
        yield "", "no peers: name a sector with --sector, or a study file with --config, or give the events tickers"
    for at, peer in enumerate(config.peers):
        if peer.market not in mics:
            yield f"peers[{at}].market", f"peer {peer.ticker}: market {peer.market!r}; {nearest(peer.market, mics)}"
        if peer.from_ and peer.until and peer.from_ > peer.until:
            yield f"peers[{at}].from", f"peer {peer.ticker}: from {peer.from_} is after until {peer.until}"
        if any(peer.ticker == market.benchmark for market in config.markets):
            yield f"peers[{at}].ticker", f"peer {peer.ticker} is also a benchmark: its abnormal return would be zero"
    names = [name for peer in config.peers for name in (peer.ticker, *peer.aliases)]
    yield from (("peers", f"peer {name} is named twice") for name in sorted(_twice(names)))


def _twice(names: list[Any]) -> list[Any]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]
