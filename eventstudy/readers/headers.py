"""Recognise the columns of price files by their headers, in the spelling of many programs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from eventstudy.errors import EventStudyError, Problem

#: Header, reduced by `reduced`, to the name used here: exports of CRSP/WRDS, Compustat, CSMAR, Wind, akshare,
#: tushare, baostock, Stooq, nasdaq.com, investing.com, Bloomberg and yfinance.
MEANINGS: Mapping[str, str] = {
    name: meaning
    for meaning, names in (
        ("date", "date day tradedate tradingdate tradingday datadate trddt dlycaldt caldt timestamp datetime index"),
        ("date", "日期 交易日期 交易日"),
        ("open", "open openprice openingprice opnprc openprc pxopen 开盘 开盘价"),
        ("high", "high highprice hiprc askhi pxhigh 最高 最高价"),
        ("low", "low lowprice loprc bidlo pxlow 最低 最低价"),
        ("close", "close closeprice closingprice closelast last lastprice prc dlyprc clsprc prccd pxlast"),
        ("close", "收盘 收盘价"),
        ("adj_close", "adj adjusted adjcp adjprc closeadj closeadjusted adjprccd adjclsprc"),
        ("adj_close", "复权收盘价 后复权收盘价 前复权收盘价"),
        ("volume", "volume vol shvol dlyvol pxvolume cshtrd 成交量"),
        ("amount", "amount turnovervalue dnvaltrd 成交额 成交金额"),
        ("delisting", "dlret delistingreturn"),
        ("return", "return returns ret dlyret dretwd retdlstadj retadj simplereturn 日收益率 收益率"),
        ("dividends", "dividends dividend divcash divamt cashdividend exdividend"),
        ("splits", "stocksplits stocksplit splits split splitfactor splitratio"),
        ("status", "tradestatus 交易状态"),
    )
    for name in names.split()
}
#: Columns that identify a security, the most permanent one first.
IDENTIFIERS = (
    "permno",
    "tscode",
    "stkcd",
    "股票代码",
    "证券代码",
    "代码",
    "code",
    "windcode",
    "gvkey",
    "ticker",
    "symbol",
    "tic",
    "stocksymbol",
    "tickersymbol",
    "subjectid",
)
#: Optional columns; if there are two of one kind, neither is read.
OPTIONAL = ("amount", "dividends", "splits", "status")
#: Beginnings of headers of columns that are not read but may matter; a note names them.
TELLING = ("adj", "div", "split", "stocksplit", "ret", "tradestatus", "分红", "复权")
_ADJUSTED_CLOSE = re.compile(r"adj.*clos|clos.*adj|adj.*price")


def reduced(header: str) -> str:
    """Return a header cell as letters only, lower case, without full-width forms."""
    plain = unicodedata.normalize("NFKC", header).lower()
    return "".join(character for character in plain if character.isalpha())


def meaning(header: str) -> str:
    """Return the package's name for a header cell (``ticker`` for identifiers), else an empty string."""
    cell = reduced(header)
    if cell in IDENTIFIERS:
        return "ticker"
    return "adj_close" if _ADJUSTED_CLOSE.search(cell) else MEANINGS.get(cell, "")


def columns_of(
    header: Sequence[str], file: str, error: type[EventStudyError], *, line: int | None = 1
) -> dict[str, int]:
    """Return the position of every recognised column, by name.

    Raises
    ------
    EventStudyError
        Of the type ``error``, if two columns have the same meaning; the message says which one to keep.
    """
    places: dict[str, list[int]] = {}
    for place, cell in enumerate(header):
        name = meaning(cell)
        if name:
            places.setdefault(name, []).append(place)
    if "close" not in places and "adj_close" not in places:
        # investing.com calls the close "Price".
        prices = [at for at, cell in enumerate(header) if reduced(cell) == "price"]
        places |= {"close": prices} if prices else {}
    problems = []
    for name, found in places.items():
        if len(found) > 1 and name not in OPTIONAL:
            cells = [header[at].strip() for at in found]
            keep = min(cells, key=lambda cell: IDENTIFIERS.index(reduced(cell))) if name == "ticker" else ""
            advice = f"keep {keep}, which stays with a security" if keep else "keep one"
            problems.append(Problem(f"has two columns for {name}: {', '.join(cells)}; {advice}", file, line))
    if problems:
        raise error(problems)
    return {name: found[0] for name, found in places.items() if len(found) == 1}


def unread(header: Sequence[str], used: Mapping[str, int]) -> list[str]:
    """Return the columns that are not read although they may say how prices were adjusted."""
    taken = set(used.values())
    return [cell.strip() for at, cell in enumerate(header) if at not in taken and reduced(cell).startswith(TELLING)]
