"""Recognise the columns of an events file by their headers, in the spelling of many programs."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from eventstudy.readers.headers import IDENTIFIERS

#: Columns with the event's own benchmark and windows.
OWN_SETTINGS = ("benchmark", "estimation_start", "estimation_end", "event_start", "event_end")
#: Headers of codes that are plain numbers; no exchange ending is added to them.
NUMBERED = frozenset(("permno", "permco", "gvkey", "cusip", "isin"))
#: Headers of mainland China's codes, six digits each.
MAINLAND = frozenset(("stkcd", "tscode", "股票代码", "证券代码", "代码"))
_MEANINGS: Mapping[str, str] = {
    name: column
    for column, names in (
        ("event_id", "eventid id eventno eventnumber 事件编号"),
        ("timestamp", "timestamp date datetime day eventdate eventday eventtime announcementdate announcedate"),
        ("timestamp", "announcementday announcementtime anndate anndats edate datadate rdq tradedate trddt filingdate"),
        ("timestamp", "filedate evtdate evdate reportdate declarationdate dclrdt annodate"),
        ("timestamp", "日期 公告日 公告日期 事件日 事件日期 交易日 交易日期 发布日期"),
        ("tickers", "tickers symbols cusip isin ric oftic " + " ".join(IDENTIFIERS)),
        ("title", "title headline 标题"),
        ("source_url", "sourceurl url link"),
        ("notes", "notes note"),
        ("benchmark", "benchmark marketindex referenceindex"),
        ("estimation_start", "estimationstart startestimationwindow startofestimationwindow"),
        ("estimation_end", "estimationend endestimationwindow endofestimationwindow"),
        ("event_start", "eventstart starteventwindow startofeventwindow eventwindowstart"),
        ("event_end", "eventend endeventwindow endofeventwindow eventwindowend"),
    )
    for name in names.split()
}
#: Headers that mean the security if no other column does.
_SECURITIES = ("firm", "firmid", "subjectid", "stock", "security", "company", "股票", "证券")
#: Similarity to a known header from which on a header counts as misspelt.
_SLIP = 0.8


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Positions of the columns of an events file.

    ``known`` maps the package's names to positions, ``own`` the user's headers to positions. ``identifier`` is the
    reduced header of the tickers; ``problems`` lists problems of the header.
    """

    known: Mapping[str, int]
    own: Mapping[str, int]
    identifier: str
    problems: tuple[str, ...]


def reduced(header: str) -> str:
    """Return a header as letters and digits, lower case, without full-width forms."""
    plain = unicodedata.normalize("NFKC", header).lower()
    return "".join(character for character in plain if character.isalnum())


def event_columns(header: Sequence[str], names: Collection[str]) -> EventColumns:
    """Return the positions of the columns with these names; a header that is nearly one of them is refused."""
    short = {reduced(name): name for name in names} | {k: v for k, v in _MEANINGS.items() if v in names}
    places: dict[str, list[int]] = {}
    for at, cell in enumerate(header):
        places.setdefault(short.get(reduced(cell), ""), []).append(at)
    if "tickers" in names and "tickers" not in places:
        securities = [at for at in places.get("", ()) if reduced(header[at]) in _SECURITIES]
        places |= {"tickers": securities[:1]} if securities else {}
    problems, known = [], {}
    for name, found in places.items():
        if not name:
            continue
        exact = [at for at in found if header[at].strip().lower() == name]
        if len(exact) > 1:
            problems.append(f"column {name!r} occurs twice")
        elif len(found) > 1 and not exact:
            cells = ", ".join(header[at] for at in found)
            problems.append(f"has {len(found)} columns for {name}: {cells}; keep one, or name the right one {name!r}")
        known[name] = (exact or found)[0]
    own = {cell: at for at, cell in enumerate(header) if at not in known.values()}
    problems += [f"column {cell!r} occurs twice" for cell in own if header.count(cell) > 1]
    for cell in own:
        close = difflib.get_close_matches(cell.lower(), names, n=1, cutoff=_SLIP)
        if close and close[0] not in known:
            problems.append(f"column {cell!r} is unknown; did you mean {close[0]!r}? Else give it another name")
    identifier = reduced(header[known["tickers"]]) if "tickers" in known else ""
    return EventColumns(known, own, identifier, tuple(problems))
