"""Shocks one by one, each with its figure, and the table of their falls and what followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventstudy import plots
from eventstudy.messages import asked, said, term
from eventstudy.report.document import Facts, FigureBlock, Paragraph, Section, TableBlock
from eventstudy.report.document import table as table_of
from eventstudy.report.wording import Words, amount, count, number, size, text, window_words
from eventstudy.results.result import StudyResult


def shock_pages(
    result: StudyResult,
    words: Words,
    drawn: Sequence[tuple[plots.Plot, FigureBlock]],
    figures: Mapping[str, FigureBlock],
) -> Section | None:
    """Return the shocks as small multiples, six a page; ``figures`` are those of the whole study."""
    grids = [figure for plot, figure in drawn if plot.kind == "shock_grid"]
    if not grids:
        return None
    note = " · ".join(plots.setting_parts(result.facts, words))
    kinds = ("caar_by_label", "timeline", "heatmap") if "forest" in figures else ("heatmap",)
    return Section(
        name="shocks",
        heading=words["page.shocks_one_by_one"],
        blocks=(
            Paragraph(f"{words['page.shocks_intro']} {note}", tone="note"),
            *(figures[kind] for kind in kinds if kind in figures),
            *grids,
        ),
    )


def _why_not(row: Mapping[Any, Any], words: Words) -> str:
    """Return why a shock is no drop, or, of one that is, why the verdict leaves it out."""
    why = said(row["why_not"], words) if text(row["why_not"]) else ""
    name = "page.left_out" if bool(row["qualifies"]) else "page.not_qualifies"
    return words[name].format(why=why) if why else ""


def reversal(result: StudyResult, words: Words) -> Section:
    """Return one row a shock, and what its title is and why it does not count."""
    table, told = _falls(result, words) if asked(result.facts) else _measured(result, words)
    names = [row[0] for row in table.rows]
    notes = tuple((name, " – ".join(filter(None, parts))) for name, parts in zip(names, told, strict=True))
    notes = tuple(note for note in notes if note[1])
    return Section(name="reversal", heading=words["page.reversal"], blocks=(table, *([Facts(notes)] if notes else [])))


def _heads(words: Words, windows: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Heads of the first columns, and of each window."""
    first = [words[f"column.{name}"] for name in ("shock", "day0", "label", "n_peers")]
    return first, [words["column.car_of"].format(window=window_words(window)) for window in windows]


def _falls(result: StudyResult, words: Words) -> tuple[TableBlock, list[tuple[str, str]]]:
    """Return of each shock its fall, whether it qualifies, and what followed."""
    titles = result.tables["shocks"].drop_duplicates("shock_id").set_index("shock_id")["title"].to_dict()
    windows = result.facts.get("windows") or {}
    head, (drop, post) = _heads(words, [windows.get(name) for name in ("drop", "post")])
    head += [drop, words["column.s"], words["column.share_negative"], words["column.qualifies"]]
    head += [post, words["column.s"]]
    records = result.tables["reversal"].sort_values(["day0", "shock_id"], kind="stable").to_dict("records")
    rows = [
        [
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
        ]
        for row in records
    ]
    table = table_of(head, rows, left=3, name="shocks", caption=words["page.reversal"])
    return table, [(text(titles.get(row["shock_id"], "")), _why_not(row, words)) for row in records]


def _measured(result: StudyResult, words: Words) -> tuple[TableBlock, list[tuple[str, str]]]:
    """Return of each shock its abnormal values over the first windows, where nothing is asked about falls."""
    names = [str(row["window"]) for row in (result.facts.get("effects") or ())[:2]]
    head, windows = _heads(words, names)
    for window in windows:
        head += [window, words["column.s"]]
    frame = result.tables["shocks"].sort_values(["day0", "shock_id"], kind="stable")
    by_window = frame.set_index(["shock_id", "window"])[["car", "s"]].to_dict("index")
    rows, told = [], []
    for row in frame.drop_duplicates("shock_id").to_dict("records"):
        cells = [str(row["shock_id"]), str(row["day0"])[:10], term(words, "label", row["label"])]
        cells.append(count(row["n_peers"]))
        for name in names:
            values = by_window.get((row["shock_id"], name), {})
            cells += [amount(values.get("car"), words), number(values.get("s"))]
        rows.append(cells)
        told.append((text(row["title"]), ""))
    return table_of(head, rows, left=3, name="shocks", caption=words["page.reversal"]), told
