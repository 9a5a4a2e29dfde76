"""Select and order the rows of a result's tables for figures, without computing numbers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eventstudy.messages import asked, day_text, term
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.style import window_of
from eventstudy.results.paths import base_day

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult

#: Labels in the first figure; other labels have separate figures.
MAIN_LABELS = ("misreading", "genuine", "contested", "denied", "silent", "all")
#: Up to this number of shocks, shocks of a single firm have a figure each.
FEW_SHOCKS = 6
#: Flags of abnormal_returns that mark a day on which no free price was seen.
CENSORED = frozenset({"locked_up", "locked_down", "halted", "missing"})


def table(result: StudyResult, name: str, *columns: str) -> pd.DataFrame:
    """Return a table of the result; if it is absent, empty or lacks a column, an empty table with these columns."""
    found = result.tables.get(name)
    usable = found is not None and len(found) and set(columns) <= set(found.columns)
    return found if found is not None and usable else pd.DataFrame(columns=list(columns))


def main_windows(result: StudyResult) -> dict[str, str]:
    """Return drop and post window in the form of the tables, or the headline window in studies of effects."""
    if asked(result.facts):
        return {name: window_of(result, name) for name in ("drop", "post")}
    return {"drop": str(result.facts["effect"]["window"])}


def pair(window: str) -> tuple[int, int]:
    """Return a window of the tables as a pair of days."""
    first, last = window.strip("[]").split(",")
    return int(first), int(last)


def base(result: StudyResult) -> int:
    """Return the day at whose close paths start."""
    return base_day(pair(main_windows(result)["drop"]))


def headline(result: StudyResult) -> str:
    """Return the group that page 1 begins with."""
    return str(result.facts.get("headline_group") or "all")


def headline_size(result: StudyResult, _: str = "") -> tuple[int, int]:
    """Return firm-events and dates of the headline group, for a caption."""
    return group_size(result, headline(result))


def headline_groups(result: StudyResult) -> dict[str, str]:
    """Return label → group of the aar table for the headline peers, in drawing order."""
    present = set(result.tables["aar"]["group"]) if "aar" in result.tables else set()
    head = headline(result)
    prefix = "" if head == "all" else f"{head};"
    start = f"{prefix}label="
    labels = {group.removeprefix(start): group for group in present if group.startswith(start)}
    if head in present:
        labels["all"] = head
    order = [*MAIN_LABELS, *sorted(set(labels) - set(MAIN_LABELS))]
    return {label: labels[label] for label in order if label in labels}


def group_size(result: StudyResult, group: str) -> tuple[int, int]:
    """Return firm-events and dates of a group, the largest over its tests."""
    tests = table(result, "tests", "group", "n_events", "n_dates")
    rows = tests[tests["group"] == group]
    events, dates = rows["n_events"].max(), rows["n_dates"].max()
    return (0 if np.isnan(events) else int(events)), (0 if np.isnan(dates) else int(dates))


@functools.lru_cache(maxsize=64)
def paths(result: StudyResult, shock_id: str) -> pd.DataFrame:
    """Return the abnormal returns of one shock, of each peer those of its first event.

    ``censored`` says on which days there was no free price.
    Later events of the shock, such as a clarification, have another day 0 and would show the peer twice.
    """
    rows = _of_shock(result, "abnormal_returns", shock_id)
    day0 = rows[rows["tau"] == 0].sort_values(["session", "event_id"], kind="stable")
    answers = {row["event_id"] for row in result.facts.get("chronology") or ()}
    # A clarification before its drop is not used.
    day0 = day0.assign(answer=day0["event_id"].isin(answers))
    leads = set(day0.loc[~day0["answer"], "ticker"])
    day0 = day0[~(day0["answer"] & day0["ticker"].isin(leads))]
    first = day0.drop_duplicates("ticker").set_index("ticker")["event_id"]
    own = rows["event_id"].to_numpy() == rows["ticker"].map(first).to_numpy()
    kept: pd.DataFrame = rows[own]
    return kept.assign(censored=censored(kept)).sort_values(["ticker", "tau"], kind="stable")


@functools.lru_cache(maxsize=8)
def _shocks_apart(result: StudyResult, name: str) -> Mapping[Any, pd.DataFrame]:
    return dict(iter(result.tables[name].groupby("shock_id")))


def _of_shock(result: StudyResult, name: str, shock_id: str) -> pd.DataFrame:
    """Return one shock's rows of a table; the table is taken apart once."""
    found = _shocks_apart(result, name).get(shock_id)
    return result.tables[name].iloc[:0] if found is None else found


@functools.lru_cache(maxsize=4)
def dots(result: StudyResult) -> pd.DataFrame:
    """Return one row for each shock, by date: label, day0, and the CARs of drop and post with their intervals."""
    shocks = table(result, "shocks", "shock_id", "label", "day0", "n_peers", "window", "car", "lower", "upper")
    rows = shocks.drop_duplicates("shock_id")[["shock_id", "label", "day0", "n_peers"]].set_index("shock_id")
    windows = main_windows(result)
    for name, window in windows.items():
        cut = shocks[shocks["window"] == window].drop_duplicates("shock_id").set_index("shock_id")
        rows[name], rows[f"{name}_lower"], rows[f"{name}_upper"] = cut["car"], cut["lower"], cut["upper"]
    rows = rows[rows[list(windows)].notna().any(axis=1)]
    judged = qualifying(result)
    rows["qualifies"] = judged.reindex(rows.index, fill_value=False) if len(judged) else True
    rows["day0"] = rows["day0"].astype(str).str[:10]
    return rows.reset_index().sort_values(["day0", "shock_id"], kind="stable")


def qualifying(result: StudyResult) -> pd.Series:
    """Return whether each shock's fall counts as a drop, by shock."""
    reversal = table(result, "reversal", "shock_id", "qualifies")
    return reversal.drop_duplicates("shock_id").set_index("shock_id")["qualifies"].astype(bool)


def censored(rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which rows have no free price: locked, halted or missing."""
    codes = {flag: bool(CENSORED & set(str(flag).split(";"))) for flag in rows["flags"].fillna("").unique()}
    flags = rows["flags"].fillna("").map(codes).to_numpy(dtype=bool)
    return np.asarray(flags | rows["ar"].isna().to_numpy(), dtype=bool)


def clarification_days(result: StudyResult, shock_id: str = "") -> list[tuple[str, int]]:
    """Return (clarification, tau) for one shock or all, tau counted from the clarified event's day 0.

    If exchanges differ, the earliest day counts; clarifications before the drop are left out.
    """
    alignment, daily = result.tables.get("alignment"), result.tables.get("abnormal_returns")
    if alignment is None or daily is None or daily.empty:
        return []
    if shock_id:
        own = set(_of_shock(result, "abnormal_returns", shock_id)["event_id"])
        return [(answer, tau) for answer, of, tau in _answers(result) if of in own]
    return sorted((answer, tau) for answer, _, tau in _answers(result))


@functools.lru_cache(maxsize=4)
def _answers(result: StudyResult) -> tuple[tuple[str, str, int], ...]:
    """Return (clarification, clarified event, tau) of each clarification that came after its drop."""
    alignment, daily = result.tables["alignment"], result.tables["abnormal_returns"]
    found = []
    for row in result.facts.get("chronology") or ():
        answer, of = str(row["event_id"]), str(row["clarifies"])
        if row.get("flag") == "PRECEDES_DROP":
            continue
        days = set(alignment.loc[alignment["event_id"] == answer, "session"].astype(str).str[:10])
        path = daily[daily["event_id"] == of]
        path = path[(path["tau"] >= 0) & path["session"].astype(str).str[:10].isin(days)]
        if len(path):
            found.append((answer, of, int(path["tau"].min())))
    return tuple(sorted(found))


def used_shocks(result: StudyResult) -> list[str]:
    """Return the shocks that have a CAR in the first of the main windows; misreading and contested first, by date.

    In studies of effects with more than `FEW_SHOCKS` shocks, those of a single firm are left out.
    """
    shocks = dots(result)
    # A long list has no abnormal returns by day, so single shocks are not drawn.
    shocks = shocks[shocks["drop"].notna() & ("abnormal_returns" in result.tables)]
    if not asked(result.facts) and len(shocks) > FEW_SHOCKS:
        shocks = shocks[shocks["n_peers"] > 1]
    first = shocks["label"].map({"misreading": 0, "contested": 1}).fillna(2)
    return [str(name) for name in shocks.assign(first=first).sort_values("first", kind="stable")["shock_id"]]


def asked_label(result: StudyResult) -> str:
    """Return the label of the verdict; empty in studies of effects."""
    group = str((result.facts.get("verdict") or {}).get("group") or "")
    return group.partition(";")[0].removeprefix("label=")


def case_shock(result: StudyResult) -> str:
    """Return the shock of the case study, else the latest with the label in question; may be empty."""
    shocks, case = dots(result), result.facts.get("case_study") or {}
    if "abnormal_returns" not in result.tables:
        return ""
    if case.get("shock_id") in set(shocks["shock_id"]):
        return str(case["shock_id"])
    own = shocks[shocks["label"] == asked_label(result)]
    return str((own if len(own) else shocks)["shock_id"].iloc[-1]) if len(shocks) else ""


@functools.lru_cache(maxsize=64)
def date_paths(result: StudyResult, group: str) -> tuple[pd.DataFrame, tuple[pd.DataFrame, ...]]:
    """Return the mean path of a group by tau, and those of its dates; for large studies only the mean from `aar`."""
    rows = table(result, "paths", "group", "shock_id", "tau", "n_dates", "car", "lower", "upper")
    if rows.empty:
        rows = table(result, "aar", "group", "tau", "caar", "lower", "upper").rename(columns={"caar": "car"})
        rows = rows.assign(shock_id="", n_dates=group_size(result, group)[1])
    own = rows[rows["group"] == group]
    single = own["shock_id"].fillna("") != ""
    return own[~single], tuple(path for _, path in own[single].groupby("shock_id", sort=False))


def label_dates(words: Mapping[str, str], label: str, k: int) -> str:
    """Return a label with its number of dates, such as ``misreading (4 dates)``."""
    return words["figure.label_date" if k == 1 else "figure.label_dates"].format(name=term(words, "label", label), k=k)


@functools.lru_cache(maxsize=4)
def shock_rows(result: StudyResult) -> Mapping[str, Mapping[Any, Any]]:
    """Return label, title and day 0 of each shock."""
    shocks = result.tables.get("shocks")
    if shocks is None:
        return {}
    return {str(row["shock_id"]): row for row in shocks.drop_duplicates("shock_id").to_dict("records")}


def shock_title(result: StudyResult, shock_id: str, *, words: Mapping[str, str] | None = None) -> str:
    """Return ``SA26 · 9 June 2026 · contested · Note on CPO timing``, without unknown parts."""
    row = shock_rows(result).get(shock_id)
    if row is None:
        return shock_id
    said, title = words or figure_words(result.facts), row.get("title")
    parts = [shock_id, day_text(said, row["day0"]), term(said, "label", row["label"])]
    return " · ".join([*parts, str(title)] if title and title == title else parts)


def peer_label(result: StudyResult, ticker: str, *, local: bool = True) -> str:
    """Return a peer as ``InnoLight 300308.SZ``, with its local name if fonts have it; in Chinese only the local
    name."""
    peer = (result.facts.get("peers") or {}).get(ticker) or {}
    name = shown(peer.get("name") or "", limit=24)
    native = str(peer.get("name_local") or "") if local else ""
    native = native if native and shown(native) == native and native != name else ""
    alone = native and result.facts.get("language") == "zh"
    return " ".join(part for part in ("" if alone else name, native, shown(ticker)) if part)


def region(result: StudyResult, ticker: str) -> str:
    """Return a peer's region; may be empty."""
    return str(((result.facts.get("peers") or {}).get(ticker) or {}).get("region") or "")


def matched_placebos(result: StudyResult) -> pd.DataFrame:
    """Return the control drops matched to shocks."""
    placebos = table(result, "placebo", "tier", "shock_id", "car_drop", "car_post")
    reversal = table(result, "reversal", "shock_id", "excess")
    judged = set(reversal.loc[reversal["excess"].notna(), "shock_id"])
    return placebos[(placebos["tier"] == "P1") & placebos["car_post"].notna() & placebos["shock_id"].isin(judged)]


def reversal_path(result: StudyResult, group: str, series: str) -> pd.DataFrame:
    """Return the mean path of a group's drops or of their control drops; an empty frame if there are none."""
    days = table(result, "reversal_paths", *["group", "series", "tau", "n_dates", "car", "lower", "upper"])
    return days[(days["group"] == group) & (days["series"] == series)].sort_values("tau")


def rank_of(result: StudyResult, shock_id: str) -> tuple[int, int] | None:
    """Return a shock's rank among the falls of its comparison, and the number ranked, itself included."""
    return _ranks(result).get(shock_id)


@functools.lru_cache(maxsize=4)
def _ranks(result: StudyResult) -> Mapping[str, tuple[int, int]]:
    reversal = table(result, "reversal", "shock_id", "rank", "among")
    ranked = reversal[reversal["rank"].notna()].drop_duplicates("shock_id")
    return {row["shock_id"]: (int(row["rank"]), int(row["among"])) for row in ranked.to_dict("records")}
