"""Parse columns of numbers in many spellings."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Words for "no value", lower case.
MISSING = frozenset(
    ["", "null", "none", "nan", "na", "n/a", "n.a.", "#n/a", "#n/a n/a", "#na", "<na>", "nat", ".", "-", "--", "—"]
)
#: Spellings of `MISSING` that a reader must know beforehand.
MISSING_SPELLINGS = tuple(sorted({form for word in MISSING for form in (word, word.upper(), word.title())} | {"NaN"}))
MULTIPLES = {"k": 1e3, "m": 1e6, "b": 1e9, "万": 1e4, "亿": 1e8}
NO_NUMBER = "is not a number; write it as 1234.5, or leave it empty if there is none"
_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_GROUPED_COMMA = re.compile(r"[+-]?[0-9]{1,3}([.'\u00a0 ][0-9]{3})+(,[0-9]*)?")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_RATIO = re.compile(r"([0-9.]*[0-9])\s*(?::|/|-?for-?)\s*([0-9.]*[0-9])")
NUMBER_MARKS = frozenset("0123456789.+-eE")


@dataclass(frozen=True, slots=True)
class Numbers:
    """Values of T cells, NaN for a missing value.

    ``wrong`` maps the index of a cell to its problem, ``missing`` a word for "no value" to the number of its
    occurrences, without empty cells.
    """

    values: NDArray[np.float64]
    wrong: Mapping[int, str]
    missing: Mapping[str, int]


def parse_numbers(cells: Sequence[str], *, multiples: bool = False) -> Numbers:
    """Read a column of numbers.

    Accepted are 1234.5, 1e3, words for a missing value, $ and other currency signs, 1,234.50 and, if the whole column
    is written in this way, 1234,5 or 1.234,50. With ``multiples`` also 1.2M. A per cent sign divides by
    a hundred.
    """
    if frozenset("".join(cells)) <= NUMBER_MARKS:
        try:
            column = np.array([cell or "nan" for cell in cells], dtype=np.float64)
        except ValueError:
            column = np.array([np.inf])
        if not np.isinf(column).any():
            return Numbers(column, {}, {})
    known = {cell: cell.strip().strip("$€£¥").strip() for cell in dict.fromkeys(cells)}
    comma = _decimal_comma(known.values())
    read = {cell: _number(bare, comma=comma, multiples=multiples) for cell, bare in known.items()}
    values = np.array([read[cell][0] for cell in cells], dtype=np.float64)
    wrong = {at: read[cell][1] for at, cell in enumerate(cells) if read[cell][1]}
    missing: dict[str, int] = {}
    for cell in cells:
        if known[cell] and known[cell].lower() in MISSING:
            missing[known[cell]] = missing.get(known[cell], 0) + 1
    return Numbers(values, wrong, missing)


def parse_ratios(cells: Sequence[str]) -> NDArray[np.float64]:
    """Read splits as new shares for one old share: 4, 4:1, 4/1 or 4-for-1; NaN for any other cell."""
    pairs = [_RATIO.fullmatch(cell.strip()) for cell in cells]
    values = parse_numbers(["" if pair else cell for cell, pair in zip(cells, pairs, strict=True)]).values
    ratios = [float(pair[1]) / float(pair[2]) if pair and float(pair[2]) else np.nan for pair in pairs]
    return np.where([pair is not None for pair in pairs], ratios, values)


def _decimal_comma(cells: Collection[str]) -> bool | None:
    """Whether commas mark the decimals of a column; None if they could also separate thousands."""
    with_comma = [cell for cell in cells if "," in cell]
    if not with_comma:
        return False
    european = [cell for cell in with_comma if _COMMA.fullmatch(cell) or _GROUPED_COMMA.fullmatch(cell)]
    if len(european) < len(with_comma):
        return False
    if all(_EITHER.fullmatch(cell) for cell in with_comma):
        # 12,345 alone could be either; if the column also has 987.5, the comma separates thousands.
        return False if any("." in cell for cell in cells) else None
    return True


def _number(text: str, *, comma: bool | None, multiples: bool) -> tuple[float, str]:
    """Value of a cell, and its problem if there is one."""
    if text.lower() in MISSING:
        return float("nan"), ""
    factor, bare = 1.0, text
    if bare.endswith("%"):
        factor, bare = 0.01, bare[:-1].strip()
    elif multiples and bare[-1:].lower() in MULTIPLES:
        factor, bare = MULTIPLES[bare[-1].lower()], bare[:-1].strip()
    if comma is None and _EITHER.fullmatch(bare):
        plain = bare.replace(",", "")
        return float("nan"), f"could be {bare.replace(',', '.')} or {plain}; write it with a decimal point"
    if comma and (_COMMA.fullmatch(bare) or _GROUPED_COMMA.fullmatch(bare)):
        bare = re.sub(r"[.'\u00a0 ]", "", bare).replace(",", ".")
    elif _GROUPED.fullmatch(bare):
        bare = bare.replace(",", "")
    value = float(bare) * factor if _PLAIN.fullmatch(bare) else float("inf")
    if np.isinf(value):
        return float("nan"), NO_NUMBER
    return value, ""
