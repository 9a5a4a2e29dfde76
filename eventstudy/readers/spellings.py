"""Read the tickers of an events file in their various spellings."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from eventstudy.errors import Reason
from eventstudy.exchanges.exchange import with_suffix
from eventstudy.exchanges.tickers import spelled
from eventstudy.readers.event_columns import MAINLAND, NUMBERED

#: Up to this number spellings are listed; further ones are counted.
_LISTED = 5


class Spellings:
    """The spellings of the tickers of one column, and how they were read.

    Parameters
    ----------
    identifier : str
        The reduced header of the column: numbers of CRSP and the like have no exchange, codes of mainland
        China have six digits.
    """

    def __init__(self, identifier: str = "") -> None:
        self.numbered = identifier in NUMBERED
        self._mainland = identifier in MAINLAND
        self._read: dict[str, str] = {}
        self._lines: dict[str, int] = {}

    def read(self, given: str, line: int) -> str:
        """Return the ticker in a cell: in capitals, with the ending of its exchange if it is known."""
        if given not in self._read:
            ticker = spelled(unicodedata.normalize("NFKC", given))
            if self._mainland and ticker.isdigit():
                ticker = ticker.zfill(6)
            self._read[given] = ticker if self.numbered else with_suffix(ticker) or ticker
            self._lines[given] = line
        return self._read[given]

    def remarks(self) -> Iterator[Reason]:
        """Yield the tickers that were read in another spelling than in the file."""
        changed = [(given, ticker) for given, ticker in self._read.items() if ticker != given]
        for given, ticker in changed[:_LISTED]:
            capitals = unicodedata.normalize("NFKC", given).upper()
            code, shown = ("ticker", given) if capitals == ticker else ("ticker_means", capitals)
            yield Reason(f"events.{code}", line=self._lines[given], given=shown, ticker=ticker)
        if len(changed) > _LISTED:
            yield Reason("events.tickers", n=len(changed) - _LISTED)
