"""Settings of a study without a file, from a few names in Python."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eventstudy.config.json_values import plain_json
from eventstudy.config.load import config_from_dict
from eventstudy.config.settings import StudyConfig, Windows
from eventstudy.errors import ConfigError, nearest
from eventstudy.exchanges.exchange import HOME, exchanges
from eventstudy.exchanges.tickers import spelled

#: File name endings of an index file.
_FILES = (".csv", ".csv.gz", ".parquet", ".xlsx", ".dta", ".feather", ".tsv", ".txt")
#: Accepted names in addition to the sections of a study file.
_NAMES = ("peers", "benchmark", "exchange", "windows", "estimation", "model")


def exchange_of(ticker: str, exchange: str = HOME) -> str:
    """Return the MIC that follows from a ticker's ending, or ``exchange`` if it has none.

    >>> exchange_of("600519.SS"), exchange_of("BRK.B")
    ('XSHG', 'XNYS')
    """
    endings = {
        known.suffix: mic for mic, known in exchanges().items() if known.suffix and ticker.endswith(known.suffix)
    }
    return endings[max(endings, key=len)] if endings else exchange


def index_file(benchmark: str) -> bool:
    """Whether an index is given as a file, not as a ticker."""
    return benchmark.lower().endswith(_FILES) and Path(benchmark).is_file()


def study_settings(names: Mapping[str, Any], tickers: Sequence[str] | None = None) -> StudyConfig:
    """Return the checked settings of `study_table`; without ``tickers`` peers are not required yet.

    Raises
    ------
    ConfigError
        With every problem found.
    """
    table = study_table(names, tickers or ())
    known = tickers is not None or names.get("peers") is not None
    if known and not table["peers"]:
        raise ConfigError("no peers: name them, Study(peers=['JNJ', 'PFE']), or the tickers in the events")
    return config_from_dict(table, source="Study()", peers=known)


def study_table(names: Mapping[str, Any], tickers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the content of the study file, as plain values, that is equivalent to some names.

    Parameters
    ----------
    names
        The arguments of ``Study(…)``: ``benchmark``, ``windows``, the sections of a study file.
    tickers
        The tickers of the events; they are the peers if ``names`` has none. Their endings give the exchange.

    Raises
    ------
    ConfigError
        For an unknown name, an unknown exchange or one without an index, one index for several exchanges.

    Examples
    --------
    >>> from eventstudy.config.plain import study_table
    >>> study_table({}, ["JNJ", "SAN.PA"])["markets"]
    [{'mic': 'XNYS', 'benchmark': '^GSPC'}, {'mic': 'XPAR', 'benchmark': '^FCHI'}]
    """
    sections = [item.name for item in dataclasses.fields(StudyConfig)]
    for name in names:
        if name not in (*_NAMES, *sections):
            raise ConfigError(f"unknown name {name!r}; {nearest(name, {*_NAMES, *sections})}")
    table = {name: names[name] for name in sections if name in names and name not in _NAMES}
    if not isinstance(table.get("tests", {}), Mapping):
        table["tests"] = {"names": table["tests"]}
    model = names.get("model", "market")
    table["model"] = model if isinstance(model, Mapping) else {"name": model}
    table["windows"] = _windows(names.get("windows"), names.get("estimation"))
    given = names.get("peers")
    table["peers"] = _peer_tables(tickers if given is None else given, names.get("exchange", HOME))
    mics = [str(peer["market"]) for peer in table["peers"]]
    table.setdefault("markets", _markets(mics, names.get("benchmark", "")))
    plain: dict[str, Any] = plain_json(table)
    return plain


def assumed_table(tickers: Sequence[str], exchange: str, benchmark: str) -> dict[str, Any]:
    """Return markets and peers of a study of only these tickers; raises as `study_table`."""
    table = study_table({"exchange": exchange or HOME, "benchmark": benchmark}, tickers)
    return {name: table[name] for name in ("markets", "peers")}


def toml_of(table: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """Return markets and peers as the text of a study file.

    >>> print(toml_of({"peers": [{"ticker": "SAN.PA", "market": "XPAR"}]}))
    [[peers]]
    ticker = "SAN.PA"
    market = "XPAR"
    <BLANKLINE>
    """
    lines = [
        "\n".join([f"[[{name}]]", *(f"{key} = {toml_text(cell)}" for key, cell in row.items())])
        for name, rows in table.items()
        for row in rows
    ]
    return "\n\n".join(lines) + "\n"


def toml_text(text: str) -> str:
    """Return a text as TOML writes it."""
    # As in JSON, except for DEL, which does not occur in tickers or names.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "")


def _peer_tables(peers: Any, exchange: str) -> list[dict[str, Any]]:
    """Peers in the form of a study file, from tickers, dicts, or a frame with one row for each."""
    if hasattr(peers, "__arrow_c_stream__") and hasattr(peers, "columns"):
        import pyarrow as pa

        peers = pa.table(peers).to_pylist()
    given = [peers] if isinstance(peers, str | Mapping) else () if peers is None else peers
    try:
        tables = [dict(peer) if isinstance(peer, Mapping) else {"ticker": str(peer)} for peer in given]
    except TypeError as error:
        raise ConfigError(
            f"peers of the type {type(peers).__name__}: accepted are tickers, dicts such as "
            "{'ticker': 'JNJ', 'group': 'core'}, and a frame with a column 'ticker'"
        ) from error
    # An empty cell of a frame is None or NaN; NaN is not equal to itself.
    kept = [{name: cell for name, cell in table.items() if cell is not None and cell == cell} for table in tables]
    return [{"market": exchange_of(str(table.get("ticker", "")), exchange), **table} for table in kept]


def _markets(mics: Sequence[str], benchmark: str | Mapping[str, str]) -> list[dict[str, Any]]:
    """The markets of some peers, each with its index."""
    mics, known = list(dict.fromkeys(mics)), exchanges()
    unknown = [mic for mic in mics if mic not in known]
    if unknown:
        raise ConfigError(f"exchange {unknown[0]!r}; {nearest(str(unknown[0]), known)}")
    if isinstance(benchmark, str) and benchmark and len({known[mic].index for mic in mics}) > 1:
        one = ", ".join(f"{mic!r}: {known[mic].index!r}" for mic in mics)
        raise ConfigError(f"one benchmark, {benchmark}, for {len(mics)} exchanges: give one for each, {{{one}}}")
    of_mic = benchmark if isinstance(benchmark, Mapping) else dict.fromkeys(mics, benchmark)
    indices = {mic: of_mic.get(mic) or known[mic].index for mic in mics}
    lacking = [mic for mic, index in indices.items() if not index]
    if lacking:
        raise ConfigError(f"no index is known for {', '.join(lacking)}: give it as benchmark, {{{lacking[0]!r}: …}}")
    return [{"mic": mic, "benchmark": _index(index)} for mic, index in indices.items()]


def _index(name: str) -> str:
    """A file unchanged; a ticker in the spelling in which tickers of prices are read, such as VWRETD for vwretd."""
    if index_file(name):
        return name
    if name.lower().endswith(_FILES):
        raise ConfigError(f"benchmark {name!r}: there is no such file; give the file of an index, or its ticker")
    return spelled(name)


def _windows(windows: Any, estimation: Any) -> dict[str, Any]:
    """The section of windows: as given, or derived from the requested event windows."""
    default = Windows()
    table: dict[str, Any] = dict(windows) if isinstance(windows, Mapping) else {}
    if windows is not None and not isinstance(windows, Mapping):
        table["car"] = [windows] if _is_pair(windows) else windows
    if estimation is not None:
        table["estimation"] = estimation
    if _is_pair(table.get("estimation")):
        first, last = table["estimation"]
        table.setdefault("minimum", max(10, min(default.minimum, (last - first + 1) * 4 // 5)))
    car = table.get("car", ())
    if "car" in table and isinstance(car, list | tuple) and car and all(map(_is_pair, car)):
        # `cut_to_event` fits the other windows to this one if they are defaults.
        table.setdefault("event", (min(0, *(w[0] for w in car)), max(1, *(w[1] for w in car))))
    return table


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(end, int) for end in value)
