"""Quality checks of all price series of a study, and their consequences.

Each file has the checks of one question. A check of one series takes a `Subject` and yields findings; it is listed in
`CHECKS`.
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

#: All checks of one series, in the order of the report.
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
#: Corrections of a series after findings that do not stop the run: days and opens without trade are removed.
REPAIRED: dict[str, Callable[[PriceSeries], PriceSeries]] = {
    "suspended": traded_alone,
    "repeated_prices": traded_alone,
    "open_outside_range": without_wrong_opens,
}
#: Checks after which the traded value is unknown unless the settings give the unit.
UNIT_CHECKS = ("volume_unit", "volume_step", "price_unit")


def check_quality(
    prices: PriceTable,
    config: StudyConfig,
    *,
    sessions: SessionSource,
    event_days: Mapping[str, NDArray[np.datetime64]] | None = None,
) -> tuple[QualityFinding, ...]:
    """Check every series of a study and return the findings, by market.

    Simulated prices are not checked. ``event_days`` are days 0 by MIC, near which large moves are expected.
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
    # An index of several markets is reported once.
    return tuple(dict.fromkeys(found))


def units_in_doubt(findings: Sequence[QualityFinding], config: StudyConfig) -> frozenset[str]:
    """Return the peers whose traded value may be wrong by a factor of 100 because the settings do not give the unit."""
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

    Series with a finding ``drop`` are left out, with the reason as their outcome; `REPAIRED` lists the corrections of
    others. With ``accept`` all series are kept unchanged; findings on one of the ``days`` (``TICKER:YYYY-MM-DD``) are
    ignored.
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
    """The form of a finding's day in ``prices.accept_days``."""
    return f"{finding.ticker}:{finding.day}"


def sentences(findings: Sequence[QualityFinding], *, accept: bool = False, days: Collection[str] = ()) -> list[Reason]:
    """Return one reason for each finding; series with the same finding are combined."""
    tickers: dict[tuple[str, str, str, Reason], list[str]] = {}
    for finding in findings:
        passed = finding.severity != "warn" and (accept or _day_of(finding) in days)
        kind = "quality.accepted" if passed else "quality.found"
        tickers.setdefault((kind, finding.check, finding.day, finding.message), []).append(finding.ticker)
    return [
        Reason(kind, tickers=", ".join(names), check=Reason(f"check.{check}"), day=day, text=seen)
        for (kind, check, day, seen), names in tickers.items()
    ]
