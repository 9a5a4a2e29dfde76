"""Check whether the settings of a study are consistent."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from eventstudy.config.ranges import faults
from eventstudy.config.settings import StudyConfig, Windows
from eventstudy.errors import ConfigError, Problem, nearest
from eventstudy.workers import engine_problem

#: Models whose regression can weight a return over n sessions by 1/n.
TRADE_TO_TRADE = ("raw", "mean_adjusted", "market_adjusted", "market", "capm", "factors")


def check(config: StudyConfig, *, peers: bool = True, written: Container[str] = ("drop", "post")) -> None:
    """Refuse settings outside their limits and settings that contradict each other.

    Parameters
    ----------
    peers
        Whether the study needs peers; the study of a whole market names none.
    written
        Windows that the study names itself. A drop or post window that it does not name may lie outside a short
        event window, unless `Reversal.ask` says ``yes``.
    """
    found = [
        *faults(config, StudyConfig),
        *_windows(config.windows, ("drop", "post") if config.reversal.ask == "yes" else written),
        *((*_peers(config), *_donors(config)) if peers else ()),
        *_model(config),
        *_entry(config),
        *_markets(config),
        *_fx(config),
    ]
    if found:
        raise ConfigError([Problem(text) for text in found])


def _windows(windows: Windows, written: Container[str]) -> Iterator[str]:
    estimation, event = windows.estimation, windows.event
    asked = [name for name in ("drop", "post") if windows.hold_reversal or name in written]
    named = {"estimation": estimation, **{name: getattr(windows, name) for name in asked}, "event": event}
    named |= {f"car[{i}]": window for i, window in enumerate(windows.car)}
    for name, (first, last) in named.items():
        if first > last:
            yield f"windows.{name} = [{first}, {last}] runs backwards; write [{last}, {first}]"
        elif name != "estimation" and not event[0] <= first <= last <= event[1]:
            yield (
                f"windows.{name} = [{first}, {last}] lies outside windows.event = {list(event)}; widen the event window"
            )
    if estimation[1] >= event[0]:
        yield (
            f"windows.estimation = {list(estimation)} overlaps windows.event = {list(event)}; "
            f"end the estimation before day {event[0]}"
        )
    if windows.minimum > max(_length(windows), 10):
        yield f"windows.minimum = {windows.minimum}: accepted is 10 to {_length(windows)}"
    if asked and windows.drop[1] >= windows.post[0]:
        yield f"windows.post starts at {windows.post[0]}, before the drop has ended"


def _length(windows: Windows) -> int:
    return windows.estimation[1] - windows.estimation[0] + 1


#: Settings that a model requires, with an example.
_NEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "capm": (("factors_file", "a CSV with a date column"), ("risk_free", 'the risk-free column, such as "RF"')),
    "factors": (("factors_file", "a CSV with a date column"), ("factors", 'such as ["Mkt-RF", "SMB", "HML"]')),
    "two_index": (("world", 'such as "^GSPC"'),),
}


def _model(config: StudyConfig) -> Iterator[str]:
    model, longest = config.model, max(_length(config.windows), 20)
    for name, example in _NEEDS.get(model.name, ()):
        if not getattr(model, name):
            yield f"model.name = {model.name!r} needs model.{name}, {example}"
    if config.reversal.ask == "yes" and config.study.kind != "return":
        yield (
            f"reversal.ask = 'yes' with study.kind = {config.study.kind!r}: drops and reversals are questions about "
            "returns; accepted is auto or no"
        )
    if problem := engine_problem(model.engine, model.scheduler):
        yield f"model: {problem}"
    if model.name == "raw" and config.study.kind != "return":
        yield f"model.name = 'raw' calls the whole {config.study.kind} abnormal; accepted is mean_adjusted"
    if model.name == "rolling" and model.span > longest:
        yield f"model.span = {model.span}: accepted is 20 to {longest}"
    if model.beta_path and model.name != "rolling":
        yield f"model.beta_path with model.name = {model.name!r}: accepted is rolling"
    if config.returns.gaps == "trade_to_trade" and model.name not in TRADE_TO_TRADE:
        yield (
            f"returns.gaps = 'trade_to_trade' with model.name = {model.name!r}: accepted are "
            f"{', '.join(TRADE_TO_TRADE)}"
        )


def _donors(config: StudyConfig) -> Iterator[str]:
    names = {name for peer in config.peers for name in (peer.ticker, peer.group, *peer.aliases)}
    for donor in config.reversal.donors:
        if donor not in names:
            yield f"reversal.donors: {donor!r} is neither a peer nor a group of peers; {nearest(donor, sorted(names))}"


def _entry(config: StudyConfig) -> Iterator[str]:
    """Yield problems that make a trade impossible: decided before the drop, or sold before it is bought."""
    trade, drop = config.backtest, config.windows.drop
    entry = int(trade.entry.partition("+")[2])
    if entry - 1 < drop[0]:
        yield (
            f"backtest.entry = {trade.entry!r} is decided at the close of day {entry - 1}, before the drop "
            f"window [{drop[0]}, {drop[1]}] has begun; enter on day {drop[0] + 1} or later"
        )
    if trade.horizon <= entry:
        yield f"backtest.horizon = {trade.horizon}: accepted is {entry + 1} to 250"


def _markets(config: StudyConfig) -> Iterator[str]:
    """Yield problems with exchanges and peers: names that the study uses but does not define."""
    mics = [market.mic for market in config.markets]
    yield from (f"market {mic} is described twice" for mic in _twice(mics))
    for row in config.costs:
        if row.market not in mics:
            yield f"costs: market {row.market!r}; {nearest(row.market, mics)}"
    known = mics + [peer.ticker for peer in config.peers]
    for key in ("volume_unit", "price_unit"):
        for name in getattr(config.prices, key):
            if name not in known:
                yield f"prices.{key}: {name!r}; {nearest(name, known)}"


def _fx(config: StudyConfig) -> Iterator[str]:
    """Yield exchange rates that do not convert a currency into that of the study."""
    base = config.study.currency
    for currency, ticker in config.backtest.fx.items():
        if currency == base:
            yield f"backtest.fx.{currency}: that is study.currency itself; leave it out"
        elif {ticker[:3], ticker[3:6]} != {currency, base}:
            yield (
                f"backtest.fx.{currency} = {ticker!r} does not turn {currency} into study.currency = "
                f"{base!r}; accepted is a ticker that begins with {base}{currency} or {currency}{base}, such "
                f"as {base}{currency}=X, or backtest.fx={{}} to count in local currencies"
            )


def _peers(config: StudyConfig) -> Iterator[str]:
    mics = [market.mic for market in config.markets]
    if not config.peers:
        yield ("no peers: name a sector with --sector, or a study file with --config, or give the events tickers")
    for peer in config.peers:
        if peer.market not in mics:
            yield f"peer {peer.ticker}: market {peer.market!r}; {nearest(peer.market, mics)}"
        if peer.from_ and peer.until and peer.from_ > peer.until:
            yield f"peer {peer.ticker}: from {peer.from_} is after until {peer.until}"
        if any(peer.ticker == market.benchmark for market in config.markets):
            yield f"peer {peer.ticker} is also a benchmark: its abnormal return would be zero"
    names = [name for peer in config.peers for name in (peer.ticker, *peer.aliases)]
    yield from (f"peer {name} is named twice" for name in sorted(_twice(names)))


def _twice(names: list[Any]) -> list[Any]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]
