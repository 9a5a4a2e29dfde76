"""The long tables of the pages, brought down to what a reader looks up."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventstudy.core.selection import drop_kind
from eventstudy.messages import said, term
from eventstudy.report.wording import (
    Words,
    amount,
    count,
    group_words,
    kind_of,
    number,
    p_text,
    size,
    test_name,
    text,
    window_words,
)
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

#: Labels whose groups stand first.
MAIN_LABELS = ("misreading", "genuine", "contested")
#: The tests whose p-values the pages show, in order; tests.csv has all with their statistics.
LEADING_TESTS = ("date_t", "sign_flip", "permutation", "bmp_kp", "grank_t", "portfolio_t", "cross_sectional_t")
#: Two pages of small type.
TEST_ROWS = 120
ALIGNMENT_ROWS, MATRIX_ROWS, MATRIX_COLUMNS = 200, 150, 26
_MARKS = {"after_close": "+", "closed": "~"}
_DATE_NOTE = "only the date is known"


def tests(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return one row a group and window with the p-values of the leading tests."""
    table = result.tables["tests"]
    present = set(table["name"])
    names = [name for name in LEADING_TESTS if name in present]
    head = [words[f"small.{name}"] for name in ("group", "window", "n", "k", "caar", "date_mean")]
    head += [test_name(words, name) for name in names]
    order = _test_order(result)
    mine = table[table["group"].isin({group for group, _ in order})]
    found = mine.set_index(["group", "window", "name"])[["estimate", "p_value"]].to_dict("index")
    sizes = mine.groupby(["group", "window"])[["n_events", "n_dates"]].max().to_dict("index")
    rows = [_test_row(key, found, sizes.get(key, {}), names, words) for key in order]
    kept = rows[:TEST_ROWS]
    right = [place > 1 for place in range(len(head))]
    return {"head": head, "rows": kept, "right": right, "left_out": len(rows) - len(kept)}


def _test_row(
    key: tuple[str, str], found: Mapping[Any, Any], sizes: Mapping[Any, Any], names: Sequence[str], words: Words
) -> list[str]:
    def cell(name: str, column: str) -> Any:
        return found[(*key, name)][column] if (*key, name) in found else None

    return [
        group_words(key[0], words),
        window_words(key[1]),
        count(sizes.get("n_events")),
        count(sizes.get("n_dates")),
        amount(cell("cross_sectional_t", "estimate"), words, 2),
        amount(cell("date_t", "estimate"), words, 2),
        *(p_text(cell(name, "p_value")) for name in names),
    ]


def _test_order(result: StudyResult) -> list[tuple[str, str]]:
    """Return (group, window): headline groups with every window, the others with drop and post."""
    table = result.tables["tests"]
    groups = ordered_groups(result, [str(group) for group in dict.fromkeys(table["group"])])
    windows = result.facts.get("windows") or {}
    main = [f"[{w[0]},{w[1]}]" for w in (windows.get("drop"), windows.get("post")) if w]
    every = [str(window) for window in dict.fromkeys(table["window"])]
    return [
        (group, window)
        for group, headline in groups
        for window in (every if headline else [name for name in main if name in every])
    ]


def ordered_groups(result: StudyResult, groups: Sequence[str]) -> list[tuple[str, bool]]:
    """Return (group, whether it is a headline group); shocks are left to their own table."""
    head = str(result.facts.get("headline_group") or "all")
    prefix = "" if head == "all" else f"{head};"
    labels = [f"{prefix}label={label}" for label in MAIN_LABELS]
    verdict = str((result.facts.get("verdict") or {}).get("group") or "")
    first = [group for group in dict.fromkeys([head, *labels, verdict]) if group in groups]
    rest = [group for group in groups if group not in first and "shock_id=" not in group]
    return [(group, True) for group in first] + [(group, False) for group in rest]


def multiplicity(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return the headline groups' leading p-values with their adjustments over the windows."""
    table = result.tables.get("multiplicity")
    head = [words[f"small.{name}"] for name in ("group", "window", "k")]
    head += [words["column.name"], "p", "Holm", "BH", "BY", "Romano–Wolf"]
    right = [place > 1 and place != 3 for place in range(len(head))]
    if table is None or table.empty:
        return {"head": head, "rows": [], "right": right}
    group = str(result.facts.get("headline_group") or "all")
    mine = [group, f"{'' if group == 'all' else group + ';'}label=misreading"]
    rows = table[table["group"].isin(mine) & table["name"].isin(("date_t", "sign_flip"))]
    tests = result.tables["tests"]
    dates = tests[tests["group"].isin(mine)].set_index(["group", "window", "name"])["n_dates"].to_dict()
    cells = [
        [
            group_words(str(row["group"]), words),
            window_words(row["window"]),
            count(dates.get((row["group"], row["window"], row["name"]))),
            test_name(words, row["name"]),
            *(p_text(row[name]) for name in ("p_value", "holm", "bh", "by", "romano_wolf")),
        ]
        for row in rows.to_dict("records")
    ]
    return {"head": head, "rows": cells, "right": right}


def shocks(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return one row a shock: its fall, whether it qualifies, and what followed.

    Of volume and volatility there is no fall: then the abnormal values of the two windows alone.
    """
    if kind_of(result.facts) != "return":
        return _measured_shocks(result, words)
    titles = result.tables["shocks"].drop_duplicates("shock_id").set_index("shock_id")["title"].to_dict()
    windows = result.facts.get("windows") or {}
    drop, post = _window_heads(windows, words)
    names = ("shock", "day0", "label", "n_peers")
    head = [words[f"column.{name}"] for name in names] + [drop, words["column.s"], words["column.share_negative"]]
    head += [words["column.qualifies"], post, words["column.s"]]
    table = result.tables["reversal"].sort_values(["day0", "shock_id"], kind="stable")
    rows = [
        {
            "cells": [
                str(row["shock_id"]),
                str(row["day0"])[:10],
                term(words, "label", row["label"]),
                count(row["n_peers"]),
                amount(row["car_drop"], words),
                number(row["s_drop"]),
                size(row["share_negative"], 0),
                words["page.yes" if bool(row["qualifies"]) else "page.no"],
                amount(row["car_post"], words),
                number(row["s_post"]),
            ],
            "title": text(titles.get(row["shock_id"], "")),
            "why_not": _why_not(row, words),
        }
        for row in table.to_dict("records")
    ]
    return {"head": head, "rows": rows, "right": [3, 4, 5, 6, 8, 9]}


def _window_heads(windows: Mapping[str, Any], words: Words) -> list[str]:
    """Return the heads of the columns of the drop and the post window."""
    return [words["column.car_of"].format(window=window_words(windows.get(n))) for n in ("drop", "post")]


def _measured_shocks(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return one row a shock with its abnormal values in the two main windows."""
    windows = result.facts.get("windows") or {}
    drop, post = _window_heads(windows, words)
    head = [words[f"column.{name}"] for name in ("shock", "day0", "label", "n_peers")]
    head += [drop, words["column.s"], post, words["column.s"]]
    table = result.tables["shocks"].sort_values(["day0", "shock_id"], kind="stable")
    by_window = table.set_index(["shock_id", "window"])[["car", "s"]].to_dict("index")
    names = [f"[{w[0]},{w[1]}]" for w in (windows.get("drop"), windows.get("post")) if w]
    rows = []
    for row in table.drop_duplicates("shock_id").to_dict("records"):
        found = [by_window.get((row["shock_id"], name), {}) for name in names]
        cells = [str(row["shock_id"]), str(row["day0"])[:10], term(words, "label", row["label"])]
        cells += [count(row["n_peers"])]
        for part in found:
            cells += [amount(part.get("car"), words), number(part.get("s"))]
        rows.append({"cells": cells, "title": text(row["title"]), "why_not": ""})
    return {"head": head, "rows": rows, "right": [3, 4, 5, 6, 7]}


def _why_not(row: Mapping[Any, Any], words: Words) -> str:
    """Return why a shock is no drop, or, of one that is, why the verdict leaves it out."""
    why = said(row["why_not"], words) if text(row["why_not"]) else ""
    if not why:
        return ""
    return words["page.left_out" if bool(row["qualifies"]) else "page.not_qualifies"].format(why=why)


def alignment(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return one row an event with day 0 in each region; what is unusual has a mark or a footnote."""
    table = result.tables["alignment"]
    regions = _regions(result, [str(mic) for mic in dict.fromkeys(table["mic"])])
    names = list(dict.fromkeys(regions.values()))
    notes: dict[str, int] = {}
    rows = []
    for event_id, part in _apart(table, "event_id").items():
        first = part[0]
        cells = [_day0([row for row in part if regions[str(row["mic"])] == name], notes) for name in names]
        moment = str(first["timestamp"]).replace("T", " ")[:16]
        rows.append([str(event_id), moment, term(words, "precision", first["precision"]), *cells])
    kept = rows[:ALIGNMENT_ROWS]
    head = [words[f"column.{name}"] for name in ("event", "timestamp", "precision")]
    footnotes = [[str(place), said(note, words)] for note, place in notes.items()]
    return {"head": [*head, *names], "rows": kept, "notes": footnotes, "left_out": len(rows) - len(kept)}


def _apart(table: pd.DataFrame, column: str) -> Mapping[Any, Sequence[Mapping[Any, Any]]]:
    """Return the rows of a table by what they have in a column."""
    found: dict[Any, list[Mapping[Any, Any]]] = {}
    for row in table.to_dict("records"):
        found.setdefault(row[column], []).append(row)
    return found


@functools.lru_cache(maxsize=8)
def by_shock(result: StudyResult, name: str) -> Mapping[Any, Sequence[Mapping[Any, Any]]]:
    """Return the rows of a result's table by shock; the table is read once."""
    return _apart(result.tables[name], "shock_id")


def _regions(result: StudyResult, mics: Sequence[str]) -> dict[str, str]:
    """Return exchange → region, from the settings or else from the peers."""
    found = {str(p.get("market")): str(p.get("region") or "") for p in (result.facts.get("peers") or {}).values()}
    for market in (result.manifest.get("settings") or {}).get("markets") or ():
        found[str(market.get("mic"))] = str(market.get("region") or "")
    return {mic: found.get(mic) or mic for mic in mics}


def _day0(part: Sequence[Mapping[Any, Any]], notes: dict[str, int]) -> str:
    """Return the days 0 of one region's exchanges: one where they agree."""
    found: dict[str, list[str]] = {}
    mark: dict[str, str] = {}
    for row in part:
        shown = str(row["session"])[:10] + _MARKS.get(str(row["reaction"]), "")
        note: str = row["note"] if text(row["note"]) else ""
        # Exchanges with the same day 0 have the same closure behind it: one footnote is enough.
        if note and not note.startswith(_DATE_NOTE) and shown not in mark:
            mark[shown] = f" ({notes.setdefault(note, len(notes) + 1)})"
        found.setdefault(shown, []).append(str(row["mic"]))
    found = {shown + mark.get(shown, ""): mics for shown, mics in found.items()}
    if len(found) <= 1:
        return next(iter(found), "")
    return ", ".join(f"{'/'.join(mics)} {day}" for day, mics in found.items())


def shock_days(result: StudyResult, shock_id: str, words: Words) -> str:
    """Return day 0 of a shock's first event in each region, in one line."""
    answers = {str(row["event_id"]) for row in result.facts.get("chronology") or ()}
    rows = [row for row in by_shock(result, "alignment").get(shock_id, ()) if row["event_id"] not in answers]
    if not rows:
        return ""
    first = min(rows, key=lambda row: row["timestamp"])["event_id"]
    lead = [row for row in rows if row["event_id"] == first]
    regions = _regions(result, [str(row["mic"]) for row in lead])
    days: dict[str, list[str]] = {}
    for name in dict.fromkeys(regions.values()):
        day = _day0([row for row in lead if regions[str(row["mic"])] == name], {}).split(" (")[0]
        days.setdefault(day, []).append(name)
    shown = "; ".join(f"{', '.join(names)} {day}" for day, names in days.items())
    return words["page.day0"].format(days=shown)


def matrix(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return events × peers of the ledger: ``●`` used, ``s`` used on a moved day 0, else a reason's code."""
    ledger = result.tables["ledger"]
    kinds = ledger["reason_code"].map(drop_kind)
    dropped = kinds[ledger["status"] == "dropped"]
    codes = {kind: _code(place) for place, kind in enumerate(sorted(set(dropped)))}
    cells: dict[tuple[str, str], str] = {}
    for event, ticker, status, kind in zip(ledger["event_id"], ledger["ticker"], ledger["status"], kinds, strict=True):
        cells[str(event), str(ticker)] = {"used": "●", "shifted": "s", "merged": "="}.get(str(status)) or codes[kind]
    events = [str(event) for event in dict.fromkeys(ledger["event_id"])]
    tickers = _peer_order(result, [str(ticker) for ticker in dict.fromkeys(ledger["ticker"])])
    blocks = [
        {
            "tickers": block,
            "rows": [[event, *(cells.get((event, ticker), "") for ticker in block)] for event in events[:MATRIX_ROWS]],
        }
        for block in (tickers[i : i + MATRIX_COLUMNS] for i in range(0, len(tickers), MATRIX_COLUMNS))
    ]
    legend = [["●", words["page.matrix_used"]], ["s", words["page.matrix_moved"]]]
    if (ledger["status"] == "merged").any():
        legend.append(["=", words["page.matrix_merged"]])
    legend += [[code, term(words, "reason", kind)] for kind, code in codes.items()]
    legend.append([words["page.blank"], words["page.matrix_blank"]])
    return {"blocks": blocks, "legend": legend, "left_out": max(0, len(events) - MATRIX_ROWS)}


def quality(result: StudyResult) -> Mapping[str, int]:
    """Return how many findings there are of each check on the prices."""
    table = result.tables.get("quality")
    if table is None or table.empty:
        return {}
    found = table["check"].value_counts().sort_index()
    return {str(name): int(n) for name, n in found.items()}


def _peer_order(result: StudyResult, tickers: Sequence[str]) -> list[str]:
    known = {ticker: place for place, ticker in enumerate(result.facts.get("peers") or {})}
    return sorted(tickers, key=lambda ticker: (known.get(ticker, len(known)), ticker))


def _code(place: int) -> str:
    """Return a, b, … z, a1, b1, … without ``s``, which means moved."""
    letters = "abcdefghijklmnopqrtuvwxyz"
    turn, letter = divmod(place, len(letters))
    return letters[letter] + (str(turn) if turn else "")
