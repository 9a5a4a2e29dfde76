"""Quality checks of all price series of a study, and their consequences.

Each file holds the checks of one question. A check of one series takes a `Subject` and yields findings; it
joins `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.errors import PriceError, Problem, Reason
from eventstudy.messages import text
from eventstudy.prices.quality.adjustment import additive_adjustment, unlisted_adjustment
from eventstudy.prices.quality.days import day_shift, off_session, traded_alone, with_special_sessions, without_trade
from eventstudy.prices.quality.identity import currency, membership, price_unit
from eventstudy.prices.quality.levels import (
    adjusted_missing,
    close_outside_range,
    impossible,
    not_positive,
    open_outside_range,
    without_wrong_opens,
)
from eventstudy.prices.quality.moves import jumps
from eventstudy.prices.quality.neighbours import across
from eventstudy.prices.quality.subject import QualityFinding, SessionSource, Subject, subjects_of
from eventstudy.prices.quality.trade import stale, thin_bars, volume_unit
from eventstudy.prices.table import PriceOutcome, PriceSeries, PriceTable

__all__ = ["CHECKS", "QualityFinding", "check_quality", "sentences", "units_in_doubt", "vet", "with_special_sessions"]

Check = Callable[[Subject], Iterator[QualityFinding]]

#: All checks of one series, in the order in which they are reported.
CHECKS: tuple[Check, ...] = (
    not_positive,
    adjusted_missing,
    close_outside_range,
    open_outside_range,
    impossible,
    off_session,
    without_trade,
    additive_adjustment,
    jumps,
    unlisted_adjustment,
    stale,
    thin_bars,
    volume_unit,
    price_unit,
    membership,
    currency,
)
#: What is taken out of a series after a finding that does not stop: days and opens at which nobody traded.
REPAIRED: dict[str, Callable[[PriceSeries], PriceSeries]] = {
    "suspended": traded_alone,
    "repeated_prices": traded_alone,
    "open_outside_range": without_wrong_opens,
}
#: Checks after which nobody knows what was traded in money, unless the settings say it.
UNIT_CHECKS = ("volume_unit", "volume_step", "price_unit")


def check_quality(
    prices: PriceTable,
    config: StudyConfig,
    *,
    sessions: SessionSource,
    event_days: Mapping[str, NDArray[np.datetime64]] | None = None,
) -> tuple[QualityFinding, ...]:
    """Look at every series of a study and return what is suspect, market by market.

    Simulated prices are made, not delivered: there is nothing to find. ``event_days`` are days 0 by MIC: a large
    move near one is expected.
    """
    if prices.simulated:
        return ()
    found: list[QualityFinding] = []
    for market in config.markets:
        days0 = (event_days or {}).get(market.mic, np.array([], dtype="datetime64[D]"))
        subjects = subjects_of(market, config, prices, sessions, days0)
        for subject in subjects:
            for check in CHECKS:
                found += check(subject)
        found += across(subjects)
        found += day_shift(subjects)
    # An index may serve several markets; what it shows is said once.
    return tuple(dict.fromkeys(found))


def units_in_doubt(findings: Sequence[QualityFinding], config: StudyConfig) -> frozenset[str]:
    """Return the peers whose money traded may be off by a hundred, where the settings do not say the unit."""
    suspect = {(finding.ticker, finding.check) for finding in findings if finding.check in UNIT_CHECKS}
    market = {peer.ticker: peer.market for peer in config.peers}
    volume = config.prices.volume_unit
    return frozenset(
        ticker
        for ticker, check in suspect
        if ticker in market and (check == "price_unit" or (ticker not in volume and market[ticker] not in volume))
    )


def vet(
    prices: PriceTable, findings: Sequence[QualityFinding], *, accept: bool = False, days: Collection[str] = ()
) -> PriceTable:
    """Return the prices that a study may use.

    Series with a finding ``drop`` are left out and the reason becomes their outcome; `REPAIRED` says what is
    taken out of others. With ``accept`` everything is kept as it is, and so is what was found on one of the
    ``days``, ``TICKER:YYYY-MM-DD``.
    """
    if accept:
        return prices
    findings = [finding for finding in findings if _day_of(finding) not in days]
    stops = [finding for finding in findings if finding.severity == "stop"]
    if stops:
        raise PriceError(
            [
                Problem(
                    f"{stop.ticker} on {stop.day}: {stop.check} ({stop.value:.6g}): {text(stop.message)}; "
                    f"--set 'prices.accept_days=[\"{_day_of(stop)}\"]' goes on with this day as it is, "
                    "--accept-suspect with all",
                    file=prices.series[stop.ticker].source,
                )
                for stop in stops
            ]
        )
    if not any(finding.severity == "drop" or finding.check in REPAIRED for finding in findings):
        return prices
    outcomes, series = dict(prices.outcomes), dict(prices.series)
    for finding in findings:
        ticker = finding.ticker
        if finding.severity == "drop" and ticker in series:
            check = Reason(f"check.{finding.check}")
            why = Reason("reason.suspect", check=check, day=finding.day, text=finding.message)
            outcomes[ticker] = PriceOutcome(ticker=ticker, status="refused", message=why)
            del series[ticker]
        elif finding.check in REPAIRED and ticker in series:
            series[ticker] = REPAIRED[finding.check](series[ticker])
    return replace(prices, series=series, outcomes=outcomes)


def _day_of(finding: QualityFinding) -> str:
    """How ``prices.accept_days`` names the day of a finding."""
    return f"{finding.ticker}:{finding.day}"


def sentences(findings: Sequence[QualityFinding], *, accept: bool = False, days: Collection[str] = ()) -> list[Reason]:
    """Return one reason for each thing found, series with the same one together."""
    tickers: dict[tuple[str, str, str, Reason], list[str]] = {}
    for finding in findings:
        passed = finding.severity != "warn" and (accept or _day_of(finding) in days)
        kind = "quality.accepted" if passed else "quality.found"
        tickers.setdefault((kind, finding.check, finding.day, finding.message), []).append(finding.ticker)
    return [
        Reason(kind, tickers=", ".join(names), check=Reason(f"check.{check}"), day=day, text=seen)
        for (kind, check, day, seen), names in tickers.items()
    ]
