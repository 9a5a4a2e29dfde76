"""Checks of the returns of a long list: collected by block, evaluated together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.returns import one_session_returns
from eventstudy.errors import PriceError, Problem, Reason
from eventstudy.large.panel import FirmEvents, Layout
from eventstudy.large.tables import Market
from eventstudy.messages import text
from eventstudy.prices.quality.moves import nearest_split
from eventstudy.prices.quality.quantities import better_lag, unit_of
from eventstudy.prices.quality.wide import SUSPECT, SuspectDays, covered, repeated_to_the_end, suspect_days

#: Largest number of listed problems; further ones are counted.
_LISTED = 20
#: Returns are clipped to this size in means over securities, to limit the effect of wrong prices.
_CLIPPED = 0.2


@dataclass(frozen=True, slots=True)
class Checked:
    """Results of the checks of a block of securities.

    Attributes
    ----------
    suspects
        Suspect days.
    ends, cut : (S,)
        Session of each one's last trade, and whether its price was repeated after it.
    mean : (2, T)
        Sums of clipped returns by session, and their numbers.
    """

    suspects: SuspectDays
    ends: NDArray[np.intp]
    cut: NDArray[np.bool_]
    mean: NDArray[np.float64]


def checked_block(
    values: NDArray[np.float64], kind: str, events: FirmEvents, layout: Layout, *, are_returns: bool
) -> tuple[NDArray[np.float64], Checked]:
    """Return the returns of a block (S, T) of prices or returns without those of repeated prices, and its checks."""
    last = repeated_to_the_end(values, returns=are_returns)
    cut = np.zeros(len(values), dtype=bool)
    for row in np.flatnonzero(last < values.shape[1] - 1).tolist():
        rest = values[row, last[row] + 1 :]
        cut[row] = np.isfinite(rest).any()
        rest[:] = np.nan
    returns = values if are_returns else one_session_returns(values, kind)
    begin, end = min(layout.estimation[0], layout.event[0]), max(layout.estimation[1], layout.event[1])
    wanted = covered(returns.shape, events.security, events.position + begin, events.position + end)
    suspects = suspect_days(returns, kind, from_prices=not are_returns, wanted=wanted)
    there = np.isfinite(returns)
    clipped = np.clip(np.where(there, returns, 0.0), -_CLIPPED, _CLIPPED)
    return returns, Checked(suspects, last, cut, np.stack([clipped.sum(axis=0), there.sum(axis=0)]))


def stop_or_tell(
    blocks: Sequence[tuple[int, Checked]],
    sigma: NDArray[np.float64],
    market: Market,
    tickers: Sequence[str],
    benchmark: str,
    config: StudyConfig,
) -> list[Reason]:
    """Return remarks on suspect prices, or stop.

    Parameters
    ----------
    blocks
        First security of each block, and its checks.
    sigma : (N,)
        Standard errors of the fits; their median shows the unit.

    Raises
    ------
    PriceError
        For returns in another unit and impossible returns; unless ``prices.accept_suspect`` is set, also for splits,
        changes of the unit, and returns that fit the index better on another day. ``prices.accept_days`` lists days
        whose splits and changes of unit are accepted.
    """
    _check_units(sigma, market, benchmark)
    security = np.concatenate([first + part.suspects.security for first, part in blocks])
    session, check, move = (
        np.concatenate([getattr(part.suspects, name) for _, part in blocks]) for name in ("session", "check", "move")
    )
    days = np.datetime_as_string(market.sessions[session].astype("datetime64[D]"))
    named = np.array([f"{tickers[int(row)]}:{day}" for row, day in zip(security, days, strict=True)], dtype=np.str_)

    def shown(wanted: NDArray[np.bool_], most: int) -> list[Reason]:
        """The first of the selected findings, the worst first."""
        places = np.flatnonzero(wanted)
        worst = places[np.argsort(-np.abs(move[places]), kind="stable")][:most]
        return [
            _found(tickers[int(security[at])], str(days[at]), SUSPECT[int(check[at])], float(move[at])) for at in worst
        ]

    accept, impossible, doubtful = config.prices.accept_suspect, check == 0, (check == 1) | (check == 2)
    passed = doubtful & (accept | np.isin(named, config.prices.accept_days))
    refused = doubtful & ~passed
    totals = np.sum([part.mean for _, part in blocks], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        lag = better_lag(totals[0] / totals[1], market.index)
    shifted = [Reason("market.lag", benchmark=benchmark, lag=lag)] if lag else []
    stops = [*shown(impossible, _LISTED), *(() if accept else shifted), *shown(refused, _LISTED)]
    if stops:
        n = int((impossible | refused).sum()) + (len(shifted) if not accept else 0)
        _stop(stops, n, named[refused].tolist(), market.prices.path)
    told = [*shifted, *shown(passed, 1)]
    remarks = [Reason("market.accepted", n=int(passed.sum()) + len(shifted), text=told[0])] if told else []
    if (extreme := check == 3).any():
        remarks.append(Reason("market.extreme", n=int(extreme.sum()), text=shown(extreme, 1)[0]))
    cut = [tickers[first + row] for first, part in blocks for row in np.flatnonzero(part.cut).tolist()]
    if cut:
        remarks.append(Reason("market.padded", n=len(cut), tickers=", ".join(cut[:5]) + (" …" if len(cut) > 5 else "")))
    return remarks


def _check_units(sigma: NDArray[np.float64], market: Market, benchmark: str) -> None:
    """Refuse returns that are not decimals, by the median standard error of the fits and by that of the index."""
    known = sigma[np.isfinite(sigma)]
    spread = {
        "market.unit": (float(np.median(known)) if len(known) else 0.0, market.prices),
        "market.unit_index": (float(np.nanstd(market.index)), market.benchmark),
    }
    problems = [
        Problem(text(Reason(key, sigma=sd, unit=unit_of(sd), ticker=benchmark)), file.path)
        for key, (sd, file) in spread.items()
        if unit_of(sd)
    ]
    if problems:
        raise PriceError(problems)


def _found(ticker: str, day: str, check: str, move: float) -> Reason:
    """Return the sentence on one suspect day."""
    usual = Reason("quality.no_turnover")
    told = {
        "impossible": Reason("market.impossible"),
        "currency_slip": Reason("quality.currency_slip", factor=float(np.exp(move))),
        "unadjusted_split": Reason("quality.split_likely", move=np.expm1(move), ratio=nearest_split(move), usual=usual),
        "extreme_return": Reason("market.moved", move=np.expm1(move)),
    }
    return Reason("quality.found", tickers=ticker, check=Reason(f"check.{check}"), day=day, text=told[check])


def _stop(reasons: Sequence[Reason], n: int, days: Sequence[str], file: str) -> None:
    """Refuse the prices; the message lists ``days`` that can be accepted singly."""
    problems = [Problem(text(reason), file) for reason in reasons[:_LISTED]]
    if n > len(problems):
        problems.append(Problem(text(Reason("market.more", n=n - len(problems))), file))
    problems += [Problem(text(Reason("market.accept_day", day=day)), file) for day in days[:1]]
    problems.append(Problem(text(Reason("market.accept")), file))
    raise PriceError(problems)
