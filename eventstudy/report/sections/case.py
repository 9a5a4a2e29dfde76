"""The case: one shock's fall, the next day, the return after it, its rank, and claims about it by source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventstudy.messages import day_text, said, term
from eventstudy.report.document import Facts, Group, Paragraph
from eventstudy.report.wording import Words, amount, count, finite, p_text, text, window_words
from eventstudy.results.columns import window_name
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

#: Verdicts on claims, in the order of the pages.
TALLY = ("confirmed", "off", "refuted", "not testable")


def case_facts(result: StudyResult, words: Words) -> Group | None:
    """Return the case box: the shock of the case study, else the newest shock with the label in question."""
    shock_id = _shock(result)
    rows = result.tables["reversal"]
    found = rows[rows["shock_id"] == shock_id]
    if found.empty:
        return None
    row = found.iloc[0].to_dict()
    titles = result.tables["shocks"].drop_duplicates("shock_id").set_index("shock_id")["title"].to_dict()
    parts = [shock_id, day_text(words, row["day0"]), term(words, "label", row["label"]), text(titles.get(shock_id))]
    told = [*_moves(result, row, words), *_rank(result, row, words), *_answers(result, shock_id, words)]
    told += [(words["case.claims"], said_of)] if (said_of := _by_source(result, row, words)) else []
    title = words["case.title"].format(shock=" · ".join(filter(None, parts)))
    return Group(title, (Facts(tuple(told), "grid"),), "panel")


def _shock(result: StudyResult) -> str:
    case = result.facts.get("case_study") or {}
    if case:
        return str(case["shock_id"])
    label = str(result.facts["verdict"].get("group") or "").removeprefix("label=")
    rows = result.tables["reversal"]
    rows = rows[rows["label"] == label].sort_values("day0", kind="stable")
    return str(rows.iloc[-1]["shock_id"]) if len(rows) else ""


def _moves(result: StudyResult, row: Mapping[Any, Any], words: Words) -> list[tuple[str, str]]:
    """Return the fall, the next day (if known), the return after it, and whether it counts as a drop."""
    windows = result.facts["windows"]
    drop, post = window_name(windows["drop"]), window_name(windows["post"])
    table = result.tables["shocks"]
    own = table[table["shock_id"] == row["shock_id"]].drop_duplicates("window").set_index("window")["car"].to_dict()
    moves = []
    if drop == "[0,1]" and finite(own.get("[0,0]")):
        moves.append((words["case.day0"], amount(own["[0,0]"], words)))
        moves.append((words["case.next_day"], amount(own[drop] - own["[0,0]"], words)))
    moves += [
        (window_words(window), amount(row[name], words)) for window, name in ((drop, "car_drop"), (post, "car_post"))
    ]
    line = " · ".join(f"{name} {value}" for name, value in moves)
    counts = words["page.qualifies"] if bool(row["qualifies"]) else ""
    if not counts and text(row["why_not"]):
        counts = words["page.not_qualifies"].format(why=said(row["why_not"], words))
    found = [(words["case.moves"], line)]
    return [*found, (words["case.is_drop"], counts)] if counts else found


def _rank(result: StudyResult, row: Mapping[Any, Any], words: Words) -> list[tuple[str, str]]:
    """Return the rank by the verdict's estimator, and the result by day 0 alone."""
    facts = result.facts
    found = []
    if finite(row["rank"]):
        kind = "ranked_matched" if facts["verdict"]["estimator"] == "matched" else "ranked"
        numbers = {"rank": count(row["rank"]), "among": count(row["among"]), "p": p_text(row["p_rank"])}
        found.append((words["case.rank"], words[f"case.{kind}"].format(**numbers)))
    if (facts.get("case_study") or {}).get("shock_id") == row["shock_id"]:
        by_day0 = said((facts.get("endpoints") or {}).get("case") or "", words)
        found += [(words["case.by_day0"], by_day0)] if by_day0 else []
    return found


def _answers(result: StudyResult, shock_id: str, words: Words) -> list[tuple[str, str]]:
    """Return the flagged clarifications of the shock, such as one that was public before the drop."""
    ledger = result.tables["ledger"]
    events = set(ledger.loc[ledger["shock_id"] == shock_id, "event_id"])
    rows = [row for row in result.facts.get("chronology") or () if row["clarifies"] in events]
    return [(words["case.answer"], " ".join(said(row["sentence"], words) for row in rows))] if rows else []


def _by_source(result: StudyResult, row: Mapping[Any, Any], words: Words) -> str:
    """Return for each source the number of claims about the days of the shock, and their verdicts."""
    table = result.tables.get("claims")
    if table is None or table.empty:
        return ""
    days = result.tables["abnormal_returns"]
    sessions = days.loc[(days["shock_id"] == row["shock_id"]) & (days["tau"] >= 0), "session"].astype(str).str[:10]
    if sessions.empty:
        return ""
    ends = table["date_to"].where(table["date_to"].astype(bool), table["date"]).fillna(table["date"]).astype(str)
    about = table[(table["date"].astype(str) <= sessions.max()) & (ends >= sessions.min())]
    return "; ".join(f"{source}: {told}" for source, told in tallied(about, words))


def tallied(claims: pd.DataFrame, words: Words) -> list[tuple[str, str]]:
    """Return for each source how many of its claims were confirmed, off, refuted or not testable."""
    found = []
    for source, part in claims.groupby("source", sort=False):
        verdicts = zip(part["verdict"], part["verdict_code"], strict=True)
        kinds = ["off" if str(code) == "claim.off_by" else str(name) for name, code in verdicts]
        counts = {name: kinds.count(name) for name in TALLY}
        told = words["case.confirmed"].format(n=counts.pop("confirmed"), m=len(part))
        rest = [f"{n} {term(words, 'claim', name)}" for name, n in counts.items() if n]
        found.append((str(source), " · ".join([told, *rest])))
    return found


def chronology(facts: Mapping[str, Any], words: Words, *, flagged: bool = False) -> list[Paragraph]:
    """Return one sentence a clarification after the words of its flag, the most serious first; or those with a flag."""
    order: Sequence[str] = ("PRECEDES_DROP", "SAME_SESSION")
    rows = [(str(row.get("flag") or ""), row) for row in facts.get("chronology") or ()]
    rows.sort(key=lambda row: order.index(row[0]) if row[0] in order else len(order))
    return [
        Paragraph(said(row.get("sentence") or "", words), term(words, "flag", flag) if flag else "")
        for flag, row in rows
        if flag or not flagged
    ]
