"""Write a new study folder: the study file, an events file with two example rows, a folder for prices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from eventstudy.config import sector_names
from eventstudy.config.plain import toml_of, toml_text
from eventstudy.config.schema import study_schema
from eventstudy.errors import ConfigError, Problem, nearest
from eventstudy.events import TICKER
from eventstudy.exchanges.calendars import exchange_sessions
from eventstudy.exchanges.examples import EXAMPLE_INDEX, EXAMPLE_PEER
from eventstudy.exchanges.exchange import by_common_name, exchanges, quotes_hundredths, with_suffix

STUDY_FILE, EVENTS_FILE, PRICES_FOLDER = "eventstudy.toml", "events.csv", "prices"
SCHEMA_FILE = "eventstudy.schema.json"
PRICE_UNIT = """\
# These exchanges quote hundredths of their currency (London pence); write 1 if your files have whole units.
price_unit = {{{pence}}}
"""
SECTOR_NAME = re.compile(r"[a-z0-9][a-z0-9_\-]{0,39}")


@dataclass(frozen=True, slots=True)
class NewSector:
    """The content of the files.

    ``peers`` are rows of the study's table: ticker, name, market. ``benchmarks`` maps a MIC to its index.
    """

    name: str
    peers: tuple[dict[str, str], ...]
    benchmarks: dict[str, str]
    currency: str

    @property
    def mics(self) -> tuple[str, ...]:
        """The exchanges, each once, in the order of the peers."""
        return tuple(dict.fromkeys(peer["market"] for peer in self.peers))

    @property
    def tickers(self) -> tuple[str, ...]:
        """Peers and benchmarks: all series for which prices are needed."""
        indices = (self.benchmarks[mic] for mic in self.mics)
        return tuple(dict.fromkeys((*(peer["ticker"] for peer in self.peers), *indices)))


def new_sector(name: str, peers: Iterable[str], *, benchmarks: Iterable[str] = (), currency: str = "") -> NewSector:
    """Return a checked plan of a sector, as the options of `eventstudy init` describe it."""
    problems = []
    if name in sector_names():
        problems.append(f"sector {name!r} ships with the package: run it with --sector, or choose another name")
    elif not SECTOR_NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "airlines"
        problems.append(f"sector {name!r}: accepted are 1 to 40 small letters, digits, _ and -, such as {near!r}")
    found = [_peer(text, problems) for text in peers]
    kept = tuple(peer for peer in found if peer is not None)
    if not found:
        problems.append(f"sector {name}: no peers; give --peer {EXAMPLE_PEER} for each of them")
    tickers = [peer["ticker"] for peer in kept]
    problems += [f"peer {t}: named twice" for t in dict.fromkeys(tickers) if tickers.count(t) > 1]
    indices = dict(filter(None, (_benchmark(text, problems) for text in benchmarks)))
    plan = NewSector(name, kept, indices, currency.upper())
    problems += [f"benchmark of {mic}: it has no peer" for mic in indices if mic not in plan.mics]
    for mic in plan.mics:
        index = indices.setdefault(mic, exchanges()[mic].index if mic in exchanges() else "")
        if not index:
            problems.append(f"market {mic}: no usual index is known; give --benchmark {mic}:TICKER")
        elif index in tickers:
            problems.append(f"benchmark {index} of {mic}: is a peer too, whose abnormal return would be zero")
    if not re.fullmatch("[A-Z]{3}|", plan.currency):
        problems.append(f"--currency {currency!r}: accepted are three letters, such as USD")
    if problems:
        raise ConfigError([Problem(text) for text in problems])
    known = exchanges().get(plan.mics[0])
    return plan if plan.currency else replace(plan, currency=known.currency if known else "USD")


def _peer(text: str, problems: list[str]) -> dict[str, str] | None:
    ticker, mic, name = (*(part.strip() for part in text.split(":", 2)), "", "")[:3]
    before = len(problems)
    given, ticker = ticker, ticker.upper()
    market = exchanges().get(by_common_name().get(mic.upper(), mic.upper()))
    if market and market.first_digits and with_suffix(ticker):
        problems.append(f"peer {text!r}: the ticker has no exchange; did you mean '{with_suffix(ticker)}'?")
    elif not TICKER.fullmatch(ticker):
        problems.append(f"peer {text!r}: ticker {given!r}: accepted are letters, digits and . - = _ ^")
    if not mic:
        problems.append(f"peer {text!r}: no exchange; write TICKER:MIC:Name, such as {EXAMPLE_PEER}")
    else:
        mic = _mic(mic, f"peer {text!r}", problems)
    row = {"ticker": ticker, **({"name": name} if name else {}), "market": mic}
    return row if len(problems) == before else None


def _benchmark(text: str, problems: list[str]) -> tuple[str, str] | None:
    mic, _, ticker = (part.strip().upper() for part in text.partition(":"))
    before = len(problems)
    if not TICKER.fullmatch(ticker):
        problems.append(f"benchmark {text!r}: write MIC:TICKER, such as {EXAMPLE_INDEX}")
    else:
        mic = _mic(mic, f"benchmark {text!r}", problems)
    return (mic, ticker) if len(problems) == before else None


def _mic(text: str, where: str, problems: list[str]) -> str:
    """The MIC, if it has a calendar of sessions."""
    mic = text.upper()
    meant, known = by_common_name().get(mic), exchanges().get(mic)
    if meant:
        problems.append(f"{where}: exchange {text!r}; did you mean its MIC {meant!r}?")
    elif known is None or not known.index:
        try:
            exchange_sessions(mic)
        except ConfigError as error:
            import exchange_calendars

            calendar = known.calendar if known else mic
            unknown = calendar not in exchange_calendars.get_calendar_names(include_aliases=True)
            said = f"exchange {text!r} has no trading calendar; {nearest(mic, exchanges())}"
            problems.append(f"{where}: {said if unknown else error}")
    return mic


def write_sector(plan: NewSector, folder: Path) -> tuple[Path, ...]:
    """Write the parts of a sector and the schema of its study file into ``folder`` and return them."""
    files = "\n".join(f"    {ticker}.csv" for ticker in plan.tickers)
    content = {
        folder / STUDY_FILE: study_toml(plan),
        folder / SCHEMA_FILE: json.dumps(study_schema(), indent=1, ensure_ascii=False) + "\n",
        folder / EVENTS_FILE: _template("events_template.csv"),
        folder / PRICES_FOLDER / "README.txt": _template("prices_template.txt").format(files=files),
    }
    write_new(content)
    return tuple(content)


def write_new(content: Mapping[Path, str]) -> None:
    """Write new text files; `ConfigError`, and nothing is written, if any of them exists."""
    there = [path for path in content if path.exists()]
    if there:
        text = "is there already and is not overwritten; move it away, or give another --dir"
        raise ConfigError([Problem(text, str(path)) for path in there])
    try:
        for path, text in content.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(Problem(f"cannot be written: {error.strerror}", str(error.filename))) from error


def study_toml(plan: NewSector) -> str:
    """The study's TOML: the required keys, with comments on optional ones."""
    markets = "\n".join(_market(mic, plan.benchmarks[mic]) for mic in plan.mics)
    title = plan.name.replace("-", " ").replace("_", " ").capitalize()
    names = {"name": toml_text(title), "sector": toml_text(plan.name), "currency": toml_text(plan.currency)}
    pence = ", ".join(f"{mic} = 0.01" for mic in plan.mics if quotes_hundredths(mic))
    names["units"] = PRICE_UNIT.format(pence=pence) if pence else ""
    tables = {"markets": markets, "peers": toml_of({"peers": plan.peers})}
    return _template("study_template.toml").format(**names, market=plan.mics[0], **tables)


def _template(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _market(mic: str, benchmark: str) -> str:
    known = exchanges().get(mic)
    lines = [
        "[[markets]]",
        f'mic = "{mic}"',
        f"benchmark = {toml_text(benchmark)}",
        f'region = "{known.country if known else mic}"   # each region has the same weight in a shock',
    ]
    if known:
        lines.append(f'currency = "{known.currency}"')
    if known and known.board:
        lines.append(f'board = "{known.board}"   # price limits; see docs/market-rules.md')
    else:
        lines.append("# board: price limits of this exchange are not known, so no day is marked as locked")
    return "\n".join([*lines, ""])


def yahoo_notes(plan: NewSector) -> list[str]:
    """Tickers for which Yahoo uses another ending than the given one."""
    found = []
    for peer in plan.peers:
        known = exchanges().get(peer["market"])
        suffix = known.suffix if known and known.on_yahoo else ""
        if suffix and not peer["ticker"].endswith(suffix):
            found.append(
                f"{peer['ticker']}: Yahoo writes shares on {peer['market']} with {suffix}, such as "
                f"{peer['ticker']}{suffix}; with files of your own the name only has to be the file's"
            )
    return found


def next_steps(plan: NewSector, folder: Path) -> list[str]:
    """Sentences on the next steps, with the commands."""
    events, prices = folder / EVENTS_FILE, folder / PRICES_FOLDER
    files = f"Put {len(plan.tickers)} price files into {prices}/ (its README.txt names them)"
    return [
        f"Written: {folder / STUDY_FILE}, {events}, {prices}/",
        f"1. Replace the two example rows of {events} with your events.",
        f'2. {files}, or set source = "yahoo" in the TOML.',
        f"3. eventstudy check {events}",
        f"4. eventstudy run {events}",
    ]
