"""Prices from a DuckDB file: ``--prices "duckdb:prices.duckdb?SELECT … FROM …"``.

The query returns the columns of a long price file: ticker, date, close or adj_close, and optional ones. Without a
query the table ``prices`` is read. Needs the extra ``sql``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eventstudy.errors import ConfigError, PriceError, Problem
from eventstudy.prices.files import prices_of_arrow
from eventstudy.prices.table import PriceRequest, PriceTable, check_tickers


def query_prices(text: str, request: PriceRequest) -> PriceTable:
    """Return the rows of ``FILE?QUERY`` for the request, with the same checks as for a file.

    The file is opened read-only; the query has no access to other files or the network.
    """
    check_tickers(request.tickers)
    name, _, query = text.partition("?")
    path = Path(name)
    if not path.is_file():
        raise ConfigError(Problem("no such DuckDB file; write duckdb:FILE?QUERY", str(path)))
    table = prices_of_arrow(_run(path, query.strip() or "FROM prices", request), request, name=path.name)
    return PriceTable(
        source="duckdb",
        series=table.series,
        outcomes=table.outcomes,
        origin={"kind": "duckdb", "name": f"{path.name}?{query}"},
    )


def _run(path: Path, query: str, request: PriceRequest) -> Any:
    duckdb = _duckdb()
    wrapped = (
        f"SELECT * FROM ({query.rstrip(';')}) AS asked "  # noqa: S608 - the user's own query is the point
        "WHERE ticker IN (SELECT unnest(?)) AND CAST(date AS DATE) BETWEEN ? AND ? ORDER BY ticker, date"
    )
    closed_in = {"enable_external_access": "false", "lock_configuration": "true"}
    try:
        with duckdb.connect(str(path), read_only=True, config=closed_in) as database:
            wanted = [list(request.tickers), request.start, request.end]
            return database.sql(wrapped, params=wanted).to_arrow_table()
    except duckdb.Error as error:
        reason = str(error).split("\n")[0]
        message = f"the query failed ({reason}); it must give columns ticker, date and close or adj_close"
        raise PriceError(Problem(message, str(path))) from error


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        message = "--prices duckdb:FILE needs the package duckdb; pip install 'eventstudy-kit[sql]'"
        raise ConfigError(message) from error
    return duckdb
