"""Normalise tickers of other programs: 600519.SH, sh.600519, SH600519, 600519.XSHG, lost zeros, case."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ENDINGS = {
    **dict.fromkeys(("SH", "SS", "XSHG", "SSE"), "SS"),
    **dict.fromkeys(("SZ", "XSHE", "SZSE"), "SZ"),
    **dict.fromkeys(("BJ", "XBSE"), "BJ"),
}
_NAMES = "|".join(sorted(_ENDINGS, key=len, reverse=True))
_MAINLAND = re.compile(rf"(?:({_NAMES})[.:_]?([0-9]{{6}})|([0-9]{{6}})[.:_]?({_NAMES}))")
#: Ending of American tickers at Stooq and other vendors; Yahoo uses none.
_AMERICAN = ".US"
_FLOAT = re.compile(r"([0-9]+)\.0+")


def spelled(name: str) -> str:
    """Return a ticker in Yahoo's spelling if its spelling is known; else in capitals without blanks.

    Examples
    --------
    >>> [spelled(name) for name in ("sh.600519", "300308.XSHE", " aapl ", "14593.0", "mu.us")]
    ['600519.SS', '300308.SZ', 'AAPL', '14593', 'MU']
    """
    bare = _FLOAT.sub(r"\1", name.strip().upper()).removesuffix(_AMERICAN)
    match = _MAINLAND.fullmatch(bare)
    if not match:
        return bare
    return f"{match[2]}.{_ENDINGS[match[1]]}" if match[1] else f"{match[3]}.{_ENDINGS[match[4]]}"


def of_ticker(names: Iterable[str], ticker: str) -> str:
    """Return the name that means a given ticker, or an empty string.

    A name of digits means the ticker with the same digits before its ending; leading zeros that a spreadsheet removed
    are restored.
    """
    names = list(names)
    if ticker in names:
        return ticker
    wanted = spelled(ticker)
    same = [name for name in names if spelled(name) == wanted]
    code = wanted.partition(".")[0]
    if not same and code.isdigit():
        same = [name for name in names if spelled(name).isdigit() and spelled(name).zfill(len(code)) == code]
    return same[0] if len(same) == 1 else ""
