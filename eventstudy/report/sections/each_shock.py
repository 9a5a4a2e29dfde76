"""Shocks one by one, each with its figure, and the table of falls and the returns after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventstudy import plots
from eventstudy.messages import asked, said, term
from eventstudy.report.document import Column, FigureBlock, Paragraph, Section, TableBlock
from eventstudy.report.wording import Words, amount, count, cut, left_out_words, number, text, window_words
from eventstudy.results.result import StudyResult

#: Largest length of a title in the table of shocks.
LONGEST_TITLE = 44
#: Largest number of rows of that table (one page).
MOST = 60


def shock_pages(
    result: StudyResult,
    words: Words,
    drawn: Sequence[tuple[plots.Plot, FigureBlock]],
    figures: Mapping[str, FigureBlock],
) -> Section | None:
    """Return the shocks as small multiples, nine on each page; ``figures`` are those of the whole study."""
    grids = [figure for plot, figure in drawn if plot.kind == "shock_grid"]
    if not grids:
        return None
    note = " · ".join(plots.setting_parts(result.facts, words))
    kinds = ("caar_by_label", "timeline") if "forest" in figures else ()
    return Section(
        name="shocks",
        heading=words["page.shocks_one_by_one"],
        blocks=(
            Paragraph(f"{words['page.shocks_intro']} {note}", tone="note"),
            *(figures[kind] for kind in kinds if kind in figures),
            *grids,
        ),
    )


def reversal(result: StudyResult, words: Words) -> Section:
    """Return one row for each shock: title, fall, whether it counts as a drop, and the return after it."""
    table = _falls(result, words) if asked(result.facts) else _measured(result, words)
    return Section(name="reversal", heading=words["page.reversal"], blocks=(table,))


def _heads(words: Words, windows: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Headers of the first columns, and of each window."""
    first = [words[f"column.{name}"] for name in ("shock", "day0", "label")] + [words["page.title"]]
    return [*first, words["column.n_peers"]], [
        words["column.car_of"].format(window=window_words(window)) for window in windows
    ]


def _first(row: Mapping[Any, Any], title: object, words: Words) -> list[str]:
    label = "" if row["label"] == "unknown" else term(words, "label", row["label"])
    return [str(row["shock_id"]), str(row["day0"])[:10], label, cut(text(title), LONGEST_TITLE), count(row["n_peers"])]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: Words, texts: Sequence[int]) -> TableBlock:
    columns = tuple(Column(name, "text" if at in texts else "number") for at, name in enumerate(head))
    found, left = tuple(map(tuple, rows[:MOST])), len(rows) - MOST
    left_out = left_out_words(left, "tables/shocks.csv", words)
    table = TableBlock(columns=columns, rows=found, name="shocks", caption=words["page.reversal"], left_out=left_out)
    return table.filled()


def _falls(result: StudyResult, words: Words) -> TableBlock:
    """Return for each shock its fall, whether it qualifies or why not, and the return after it."""
    titles = result.tables["shocks"].drop_duplicates("shock_id").set_index("shock_id")["title"].to_dict()
    windows = result.facts.get("windows") or {}
    head, (drop, post) = _heads(words, [windows.get(name) for name in ("drop", "post")])
    head += [drop, words["column.s"], post, words["column.s"], words["column.qualifies"]]
    frame = result.tables["reversal"].sort_values(["day0", "shock_id"], kind="stable")
    if len(frame) > MOST:
        # Shocks in question first, then the other drops.
        last = [frame["label"] != (result.facts.get("asked") or {}).get("label"), ~frame["qualifies"].astype(bool)]
        frame = frame.loc[(2 * last[1] + last[0]).sort_values(kind="stable").index]
    records = frame.to_dict("records")
    rows = [
        [
            *_first(row, titles.get(row["shock_id"], ""), words),
            amount(row["car_drop"], words),
            number(row["s_drop"]),
            amount(row["car_post"], words),
            number(row["s_post"]),
            _counts(row, words),
        ]
        for row in records
    ]
    return _table(head, rows, words, (0, 1, 2, 3, 9))


def _counts(row: Mapping[Any, Any], words: Words) -> str:
    """Return whether a fall counts as a drop, why not, or why the verdict leaves it out."""
    said_of = words["page.yes" if bool(row["qualifies"]) else "page.no"]
    why = said(row["why_not"], words) if text(row["why_not"]) else ""
    return words["terminal.named"].format(name=said_of, text=why) if why else said_of


def _measured(result: StudyResult, words: Words) -> TableBlock:
    """Return for each shock its abnormal values over the first windows, for studies that do not ask about reversals."""
    names = [str(row["window"]) for row in (result.facts.get("effects") or ())[:2]]
    head, windows = _heads(words, names)
    for window in windows:
        head += [window, words["column.s"]]
    frame = result.tables["shocks"].sort_values(["day0", "shock_id"], kind="stable")
    by_window = frame.set_index(["shock_id", "window"])[["car", "s"]].to_dict("index")
    rows = []
    for row in frame.drop_duplicates("shock_id").to_dict("records"):
        cells = _first(row, row["title"], words)
        for name in names:
            values = by_window.get((row["shock_id"], name), {})
            cells += [amount(values.get("car"), words), number(values.get("s"))]
        rows.append(cells)
    return _table(head, rows, words, (0, 1, 2, 3))
