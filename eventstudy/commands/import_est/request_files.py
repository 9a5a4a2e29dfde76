"""Read the three request files of EventStudyTools into a study: events, settings, prices and a report of changes.

The files have no header and semicolons between the cells; days are written 30.04.1997. The request file has
nine columns (event, firm, market, day, group, first and last day of the event window, last day and length of
the estimation window), the data files three (name, day, closing price).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eventstudy.commands.init.new_sector import EVENTS_FILE, PRICES_FOLDER, STUDY_FILE, write_new
from eventstudy.config import Window
from eventstudy.config.plain import toml_of
from eventstudy.errors import ConfigError, Problem
from eventstudy.events import COLUMNS, TICKER
from eventstudy.exchanges.calendars import exchange_sessions
from eventstudy.exchanges.exchange import FIRST_DAY, WORLD_MARKET
from eventstudy.exchanges.exchange import exchanges as known_exchanges
from eventstudy.readers.text import read_file

REQUEST_COLUMNS = (
    *("event ID", "firm ID", "market ID", "event date", "grouping variable", "start of the event window"),
    *("end of the event window", "end of the estimation window", "length of the estimation window"),
)
MINIMUM = 120
_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """One event of the request file; ``windows`` are the event and the estimation window."""

    event_id: str
    firm: str
    market: str
    day: dt.date
    group: str
    windows: tuple[Window, Window]
    line: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The study's files by their path in its folder, and sentences on what was imported and what was not."""

    files: Mapping[str, str]
    remarks: tuple[str, ...]


def import_est(request: Path, firms: Path, market: Path, *, exchanges: Mapping[str, str]) -> Imported:
    """Read the three files into a study.

    Parameters
    ----------
    exchanges
        MIC by market ID, such as ``{"DAX": "XETR"}``; without it the MIC follows from the firms' ticker endings as
        Yahoo writes them, or from a known index.
    """
    problems: list[Problem] = []
    remarks: list[str] = []
    rows = _request(request, problems)
    series = {path: _series(path, problems, remarks) for path in (firms, market)}
    problems += _absent(rows, series[firms], series[market], request)
    if problems:
        raise ConfigError(problems)
    names = _tickers([*dict.fromkeys(r.firm for r in rows), *dict.fromkeys(r.market for r in rows)], remarks)
    mics = {name: _mic(name, rows, exchanges) for name in dict.fromkeys(row.market for row in rows)}
    windows = _common_windows(rows, remarks)
    files = {STUDY_FILE: _study(rows, names, mics, windows, remarks), EVENTS_FILE: _events(rows, names, remarks)}
    remarks += _repeated(rows, mics)
    wanted = {row.firm: firms for row in rows} | {row.market: market for row in rows}
    for name, path in wanted.items():
        lines = [f"{day},{value}" for day, value in sorted(series[path][name].items())]
        files[f"{PRICES_FOLDER}/{names[name]}.csv"] = "\n".join(["date,close", *lines, ""])
    left = [name for path, part in series.items() for name in part if wanted.get(name) != path]
    remarks += [f"Prices of {', '.join(left)} are in no request and were left out"] if left else []
    remarks.append("Closing prices were taken as they are: they must be adjusted for splits and dividends")
    return Imported(files, tuple(remarks))


def write_import(found: Imported, folder: Path) -> None:
    """Write the study's files and ``import-report.txt``; `ConfigError` if any of them already exists."""
    report = "\n".join([*(f"- {text}" for text in found.remarks), ""])
    content = {folder / name: text for name, text in {**found.files, "import-report.txt": report}.items()}
    write_new(content)


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Lines with their numbers, blanks stripped; UTF-8, or the Windows text that spreadsheets save."""
    raw = read_file(path, ConfigError)
    if raw[:2] in (b"PK", b"\xd0\xcf"):
        raise ConfigError(Problem("is a workbook or an archive; save it as CSV with semicolons", str(path)))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    return [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]


def _request(path: Path, problems: list[Problem]) -> list[RequestRow]:
    rows: list[RequestRow] = []
    seen: dict[str, int] = {}
    for line, cells in _records(path):
        row = _request_row(path, line, cells, problems)
        if row is None:
            continue
        if row.event_id in seen:
            text = f"event ID {row.event_id!r} is already on line {seen[row.event_id]}; ids are unique"
            problems.append(Problem(text, str(path), line))
        seen.setdefault(row.event_id, line)
        rows.append(row)
    if not rows and not problems:
        problems.append(Problem("has no event", str(path)))
    return rows


def _request_row(path: Path, line: int, cells: Sequence[str], problems: list[Problem]) -> RequestRow | None:
    if len(cells) != len(REQUEST_COLUMNS):
        text = f"has {len(cells)} cells; a request has nine, with semicolons: {', '.join(REQUEST_COLUMNS)}"
        problems.append(Problem(text, str(path), line))
        return None
    before = len(problems)
    day = _day(cells[3], path, line, problems)
    numbers = []
    for name, cell in zip(REQUEST_COLUMNS[5:], cells[5:], strict=True):
        if re.fullmatch(r"[+-]?\d{1,4}", cell):
            numbers.append(int(cell))
        else:
            problems.append(Problem(f"{name} {cell!r} is not a whole number", str(path), line))
    if len(problems) > before or day is None:
        return None
    first, last, stop, length = numbers
    if not first <= 0 <= last or stop >= first or length < 1:
        text = (
            f"event window [{first}, {last}] and {length} estimation days up to {stop}: the event window "
            "holds day 0, and the estimation window ends before it"
        )
        problems.append(Problem(text, str(path), line))
        return None
    windows = ((first, last), (stop - length + 1, stop))
    return RequestRow(
        event_id=cells[0], firm=cells[1], market=cells[2], day=day, group=cells[4], windows=windows, line=line
    )


def _day(cell: str, path: Path, line: int, problems: list[Problem]) -> dt.date | None:
    found = _DAY.fullmatch(cell)
    try:
        if found:
            return dt.date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        pass
    problems.append(Problem(f"day {cell!r}: accepted is 30.04.1997 (day, month, year)", str(path), line))
    return None


def _series(path: Path, problems: list[Problem], remarks: list[str]) -> dict[str, dict[dt.date, str]]:
    """Prices by name and day, as text; each kind of problem once with its first line."""
    found: dict[str, dict[dt.date, str]] = {}
    faults: list[Problem] = []
    more = commas = 0
    for line, cells in _records(path):
        if len(cells) < 3:
            text = f"has {len(cells)} cells; needed are name, day and closing price, with semicolons"
            faults.append(Problem(text, str(path), line))
            continue
        more += len(cells) > 3
        day = _day(cells[1], path, line, faults)
        value = cells[2].replace(",", ".") if cells[2].count(",") == 1 and "." not in cells[2] else cells[2]
        commas += value != cells[2]
        if not re.fullmatch(r"\d+\.?\d*|\.\d+|", value):
            faults.append(Problem(f"closing price {cells[2]!r} is not a number", str(path), line))
        elif day is not None and day in found.setdefault(cells[0], {}):
            faults.append(Problem(f"{cells[0]} has {day} twice; keep one row", str(path), line))
        elif day is not None:
            found[cells[0]][day] = value
    kinds = Counter(re.sub(r"'[^']*'|\d+", "…", fault.message) for fault in faults)
    for fault in faults:
        count = kinds.pop(re.sub(r"'[^']*'|\d+", "…", fault.message), 0)
        if count:
            like = f" (and {count - 1} more lines like it)" if count > 1 else ""
            problems.append(Problem(f"{fault.message}{like}", fault.file, fault.line))
    if more:
        remarks.append(f"{path.name}: columns after the third, on {more} lines, were not taken over")
    if commas:
        remarks.append(f"{path.name}: {commas} prices with a decimal comma were read with a point")
    return found


def _absent(
    rows: Iterable[RequestRow], firms: Mapping[str, object], markets: Mapping[str, object], request: Path
) -> list[Problem]:
    """Firms and markets of the request without a price, and firms with two markets."""
    problems: list[Problem] = []
    home: dict[str, str] = {}
    for row in rows:
        for kind, name, data in (("firm", row.firm, firms), ("market", row.market, markets)):
            if name not in data and not any(f"{kind} {name!r} " in p.message for p in problems):
                text = f"{kind} {name!r} has no row in the {kind} data; names must be written alike"
                problems.append(Problem(text, str(request), row.line))
        if home.setdefault(row.firm, row.market) != row.market:
            text = f"firm {row.firm} is set against {home[row.firm]} and {row.market}; a peer has one market"
            problems.append(Problem(text, str(request), row.line))
    return problems


def _tickers(names: Iterable[str], remarks: list[str]) -> dict[str, str]:
    """A ticker for each name: capitals, digits and dashes; equal ones are numbered."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Z0-9.\-=^]+", "-", name.upper()).strip("-") or "X"
        ticker = plain[:20] if TICKER.fullmatch(plain[:20]) else re.sub(r"[^A-Z0-9]", "", plain)[:20] or "X"
        number = 2
        while ticker in found.values():
            ticker, number = f"{plain[:16]}-{number}", number + 1
        found[name] = ticker
        if ticker != name:
            remarks.append(f"{name!r} is now the ticker {ticker}")
    return found


def _mic(market: str, rows: Iterable[RequestRow], exchanges: Mapping[str, str]) -> str:
    """The exchange of a market ID: as given, by the endings of its firms, or by the index's name."""
    if market in exchanges:
        exchange_sessions(exchanges[market])
        return exchanges[market]
    firms = {row.firm for row in rows if row.market == market}
    for mic, known in known_exchanges().items():
        if known.suffix and all(firm.endswith(known.suffix) for firm in firms):
            return mic
    by_index = {known.index: mic for mic, known in reversed(list(known_exchanges().items())) if known.index}
    if market in by_index:
        return by_index[market]
    raise ConfigError(
        f"market {market!r}: the request does not say on which exchange its firms trade; give --market "
        f"{market!r}:MIC, such as {json.dumps(market + ':' + WORLD_MARKET)}"
    )


def _common_windows(rows: Sequence[RequestRow], remarks: list[str]) -> tuple[Window, Window]:
    """The windows that most events have; a study has one pair."""
    counted = Counter(row.windows for row in rows)
    windows = counted.most_common(1)[0][0]
    others = [row.event_id for row in rows if row.windows != windows]
    if others:
        remarks.append(
            f"Events {', '.join(others)} ask for other windows than event {list(windows[0])} and estimation "
            f"{list(windows[1])}, as {counted[windows]} do: a study has one pair, and they get it too"
        )
    return windows


def _study(
    rows: Sequence[RequestRow],
    names: Mapping[str, str],
    mics: Mapping[str, str],
    windows: tuple[Window, Window],
    remarks: list[str],
) -> str:
    (first, last), estimation = windows
    minimum = min(MINIMUM, estimation[1] - estimation[0] + 1)
    remarks.append(
        f"Windows: event [{first}, {last}] with its CAR, estimation {list(estimation)}; the estimation window needs "
        f"{minimum} returns"
    )
    remarks.append(
        "As EventStudyTools has it by default: log returns, the market model with its intercept on all days, "
        "estimation windows that keep days around other events. Without the lines in [returns], [model] and "
        "clean_estimation the study has this package's own defaults"
    )
    settings = {"event": [first, last], "estimation": list(estimation), "minimum": minimum}
    tables = {"markets": _markets(names, mics, remarks), "peers": _peers(rows, names, mics, remarks)}
    template = Path(__file__).with_name("study_template.toml").read_text(encoding="utf-8")
    return template.format(prices=PRICES_FOLDER, **settings) + toml_of(tables)


def _markets(names: Mapping[str, str], mics: Mapping[str, str], remarks: list[str]) -> list[dict[str, str]]:
    """Rows of the exchanges' tables."""
    if len(set(mics.values())) < len(mics):
        raise ConfigError(f"markets {', '.join(mics)} are on one exchange; a study has one index an exchange")
    rows = []
    for market, mic in mics.items():
        known = known_exchanges().get(mic)
        told = {"region": known.country, "currency": known.currency} if known else {}
        rows.append({"mic": mic, "benchmark": names[market], **told})
        remarks.append(f"Market {market}: sessions of {mic}")
    return rows


def _peers(
    rows: Sequence[RequestRow], names: Mapping[str, str], mics: Mapping[str, str], remarks: list[str]
) -> list[dict[str, str]]:
    """Rows of the firms' tables, with the grouping variable as group of peers where it belongs to the firm."""
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(row.firm, set()).add(row.group)
    values = set().union(*groups.values())
    own = len(values) > 1 and all(len(group) == 1 for group in groups.values())
    if len(values) == 1:
        remarks.append(f"The grouping variable is {values.pop()!r} throughout: the title of every event")
    elif own:
        remarks.append("The grouping variable is each firm's group of peers, tested apart as peers=…")
    else:
        remarks.append(
            "The grouping variable differs between events of one firm: it is the title of the events, and no "
            "tests are made by it; give labels to events to have them tested apart"
        )
    tables = []
    for firm, market in {row.firm: row.market for row in rows}.items():
        group = "".join(groups[firm]) if own else ""
        tables.append(
            {"ticker": names[firm], "market": mics[market], "name": firm, **({"group": group} if group else {})}
        )
    return tables


def _events(rows: Sequence[RequestRow], names: Mapping[str, str], remarks: list[str]) -> str:
    """One event for each day and group, with its firms; the reader makes events with one day 0 one shock."""
    together: dict[tuple[dt.date, str], list[RequestRow]] = {}
    for row in rows:
        together.setdefault((row.day, row.group), []).append(row)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for (day, group), alike in together.items():
        writer.writerow(
            {
                "event_id": f"EST-{alike[0].event_id}",
                "timestamp": day.isoformat(),
                "precision": "date",
                "kind": "other",
                "label": "unknown",
                "tickers": ";".join(dict.fromkeys(names[row.firm] for row in alike)),
                "title": group,
                "notes": f"EventStudyTools: {', '.join(row.event_id for row in alike)}",
            }
        )
    days = len({row.day for row in rows})
    remarks.append(
        f"{len(rows)} events of the request became {len(together)} on {days} days: firms with one day and "
        "group are one event, and one day is one shock, since firms that move together on it are no "
        "independent cases"
    )
    remarks.append("Only days are known: day 0 is that day's session or the next one")
    remarks.append("No event has a label: the study asks for the effect of the events, not about reversals")
    early = [row.event_id for row in rows if row.day < FIRST_DAY]
    if early:
        remarks.append(f"Events {', '.join(early)} are before {FIRST_DAY}, when the calendars begin: dropped")
    return buffer.getvalue()


def _repeated(rows: Iterable[RequestRow], mics: Mapping[str, str]) -> list[str]:
    """List firms with the same day 0 in several rows: they have the same returns and count once."""
    found: dict[tuple[str, dt.date], list[str]] = {}
    for row in rows:
        table = exchange_sessions(mics[row.market])
        at = table.position(row.day)
        day0 = table.days[at].astype(dt.date) if at < len(table.days) else row.day
        found.setdefault((row.firm, day0), []).append(row.event_id)
    return [
        f"Events {', '.join(ids)} are all {firm} with day 0 on {day0}: one return, which counts once; the "
        "ledger shows the others as merged"
        for (firm, day0), ids in found.items()
        if len(ids) > 1
    ]
