"""Shocks one by one, each with its figure, and the table of their falls and what followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eventstudy import plots
from eventstudy.messages import asked, said, term
from eventstudy.report.document import Column, FigureBlock, Group, Paragraph, Section, TableBlock
from eventstudy.report.sections.day0 import by_shock, shock_days
from eventstudy.report.wording import Words, amount, count, cut, number, text, window_words
from eventstudy.results.result import StudyResult

#: Shocks drawn in the report; the pack's figures folder has them all.
MAX_SHOCKS = 40


def shock_pages(
    result: StudyResult,
    words: Words,
    drawn: Sequence[tuple[plots.Plot, FigureBlock]],
    figures: Mapping[str, FigureBlock],
) -> Section | None:
    """Return each shock's figure with what stands above it; ``figures`` are those of the whole study."""
    shocks = [(plot.shock_id, figure) for plot, figure in drawn if plot.kind == "shock"]
    if not shocks:
        return None
    note = " · ".join(plots.setting_parts(result.facts, words))
    groups = [
        Group(
            plots.shock_title(result, shock_id, words=words),
            (*(Paragraph(line, tone="note") for line in _lines(result, shock_id, words)), figure),
        )
        for shock_id, figure in shocks[:MAX_SHOCKS]
    ]
    left = len(shocks) - len(groups)
    last = [Paragraph(words["page.shocks_left_out"].format(n=left), tone="note")] if left else []
    return Section(
        name="shocks",
        heading=words["page.shocks_one_by_one"],
        blocks=(
            Paragraph(f"{words['page.shocks_intro']} {note}", tone="note"),
            *groups,
            *last,
            *(figures[kind] for kind in ("caar_by_label", "caar", "caar_other_labels") if kind in figures),
        ),
    )


def _lines(result: StudyResult, shock_id: str, words: Words) -> Iterator[str]:
    """Yield the days 0 of a shock; then whether it counts, its clarifications' flags, its rank among placebos."""
    days = shock_days(result, shock_id, words)
    if days:
        yield days
    notes = []
    for row in by_shock(result, "reversal").get(shock_id, ())[:1]:
        notes += [words["page.qualifies"]] if bool(row["qualifies"]) else []
        notes += [why] if (why := _why_not(row, words)) else []
    ids = {row["event_id"] for row in by_shock(result, "ledger").get(shock_id, ())}
    for row in result.facts.get("chronology") or ():
        if row.get("flag") and row["clarifies"] in ids:
            notes.append(f"{row['event_id']}: {term(words, 'flag', row['flag'])}")
    rank = plots.placebo_rank(result, shock_id)
    if rank:
        notes.append(words["page.placebo_rank"].format(rank=count(rank[0]), m=count(rank[1])))
    if notes:
        yield " · ".join(notes)


def _why_not(row: Mapping[Any, Any], words: Words) -> str:
    """Return why a shock is no drop, or, of one that is, why the verdict leaves it out."""
    why = said(row["why_not"], words) if text(row["why_not"]) else ""
    name = "page.left_out" if bool(row["qualifies"]) else "page.not_qualifies"
    return words[name].format(why=why) if why else ""


def reversal(result: StudyResult, words: Words) -> Section:
    """Return one row a shock: what it was, how far it fell, whether that counts as a drop, and what followed."""
    table = _falls(result, words) if asked(result.facts) else _measured(result, words)
    return Section(name="reversal", heading=words["page.reversal"], blocks=(table,))


def _heads(words: Words, windows: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Heads of the first columns, and of each window."""
    first = [words[f"column.{name}"] for name in ("shock", "day0", "label")] + [words["page.title"]]
    return [*first, words["column.n_peers"]], [
        words["column.car_of"].format(window=window_words(window)) for window in windows
    ]


def _first(row: Mapping[Any, Any], title: object, words: Words) -> list[str]:
    label = term(words, "label", row["label"])
    return [str(row["shock_id"]), str(row["day0"])[:10], label, cut(text(title), 60), count(row["n_peers"])]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: Words, texts: Sequence[int]) -> TableBlock:
    columns = tuple(Column(name, "text" if at in texts else "number") for at, name in enumerate(head))
    found = tuple(map(tuple, rows))
    return TableBlock(columns=columns, rows=found, name="shocks", caption=words["page.reversal"])


def _falls(result: StudyResult, words: Words) -> TableBlock:
    """Return of each shock its fall, whether it qualifies or why not, and what followed."""
    titles = result.tables["shocks"].drop_duplicates("shock_id").set_index("shock_id")["title"].to_dict()
    windows = result.facts.get("windows") or {}
    head, (drop, post) = _heads(words, [windows.get(name) for name in ("drop", "post")])
    head += [drop, words["column.s"], post, words["column.s"], words["column.qualifies"]]
    records = result.tables["reversal"].sort_values(["day0", "shock_id"], kind="stable").to_dict("records")
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
    """Say whether a fall counts as a drop, and why not, or why the verdict leaves it out."""
    said_of = words["page.yes" if bool(row["qualifies"]) else "page.no"]
    why = said(row["why_not"], words) if text(row["why_not"]) else ""
    return words["terminal.named"].format(name=said_of, text=why) if why else said_of


def _measured(result: StudyResult, words: Words) -> TableBlock:
    """Return of each shock its abnormal values over the first windows, where nothing is asked about falls."""
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
