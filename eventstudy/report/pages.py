"""What the pages of a report say: rounded numbers, ordered tables, sentences.

`page_content` turns a result into plain JSON for the PDF and the HTML template alike, so both say
the same. Nothing is computed here beyond rounding, counting rows and sorting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventstudy.results import StudyResult

if TYPE_CHECKING:
    import pandas as pd

#: Names of the statistics as the pages print them.
TEST_NAMES: Mapping[str, str] = {
    "date_t": "date-level t", "sign_flip": "sign-flip over dates", "bmp_kp": "BMP, Kolari–Pynnönen",
    "patell_kp": "Patell, Kolari–Pynnönen", "bmp": "BMP", "patell": "Patell",
    "cross_sectional_t": "cross-sectional t", "portfolio_t": "portfolio t", "grank_t": "GRANK-T",
    "grank_z": "GRANK-Z", "corrado": "Corrado rank", "corrado_zivney": "Corrado–Zivney",
    "sign": "sign", "generalized_sign": "generalised sign", "skewness_t": "skewness-adjusted t",
    "wilcoxon": "Wilcoxon", "bhar_t": "BHAR t", "bootstrap": "bootstrap",
    "permutation": "matched permutation", "calendar_time": "calendar time",
}  # fmt: skip
#: Labels whose tests are printed in full.
MAIN_LABELS = ("misreading", "genuine", "contested")
#: Tests of one firm-event; the peers' own pages show them, the tests table would only say n/a.
_ONE_FIRM = ("ar_t", "car_t")
#: The tests printed for every window; the others only for the drop and the post window.
LEADING_TESTS = ("date_t", "sign_flip", "permutation", "bmp_kp", "grank_t")
#: Above this correlation the cross-sectional t rejects far too often (its p-value is struck through).
RBAR_LIMIT = 0.02
_REFERENCES = """
Patell (1976). Corporate forecasts of earnings per share and stock price behavior.
Journal of Accounting Research 14, 246–276.

Brown and Warner (1985). Using daily stock returns: the case of event studies.
Journal of Financial Economics 14, 3–31.

Boehmer, Musumeci and Poulsen (1991). Event-study methodology under conditions of event-induced
variance. Journal of Financial Economics 30, 253–272.

Campbell, Lo and MacKinlay (1997). The Econometrics of Financial Markets, chapter 4. Princeton
University Press.

MacKinlay (1997). Event studies in economics and finance. Journal of Economic Literature 35, 13–39.

Kolari and Pynnönen (2010). Event study testing with cross-sectional correlation of abnormal returns.
Review of Financial Studies 23, 3996–4025.
"""
_HOW_TO_READ = """
A return is abnormal where it differs from what the model expects of the share on that day. CAR is its
sum over a window of sessions for one share and event, CAAR the average of CARs over a group.

N counts firm-events, K counts dates. Shares that fall on one day share one shock, so K is the amount of
evidence; N_eff says how many independent firm-events the N are worth.

A p-value is the chance of a result at least this strong if the events had no effect. A large one does
not show that there is no effect; the smallest detectable effect says what the study could have seen.

A method that gives 95% intervals covers the true value in 95 of 100 studies. With one date there is no
interval: the numbers describe that day.

A label is a judgement about the news. One that was given after the prices were known can make any
pattern; ex-ante and post-hoc labels are counted on page 1.
"""
MATRIX_ROWS, MATRIX_COLUMNS = 150, 26
TEST_ROWS = 260


def percent(value: Any, digits: int = 1) -> str:
    """Return a decimal return as percent with a true minus sign; a dash for none."""
    if not _finite(value):
        return "–"
    text = f"{100 * float(value):+.{digits}f}"
    return ("0." + "0" * digits if float(text) == 0 else text).replace("-", "−") + "%"


def size(value: Any, digits: int = 1) -> str:
    """Return a decimal as percent without a plus sign."""
    return percent(value, digits).removeprefix("+")


def p_text(value: Any) -> str:
    """Return a p-value with three decimals."""
    if not _finite(value):
        return "–"
    return "<0.001" if float(value) < 0.0005 else f"{float(value):.3f}"


def number(value: Any, digits: int = 2) -> str:
    """Return a plain number with a true minus sign; a dash for none."""
    return f"{float(value):.{digits}f}".replace("-", "−") if _finite(value) else "–"


def count(value: Any) -> str:
    """Return a whole number; a dash for none."""
    return f"{int(value)}" if _finite(value) else "–"


def window_words(window: Any) -> str:
    """Return a window as ``[−10, +20]`` from ``[-10,20]`` or a pair of integers."""
    parts = str(window).strip("[]").split(",") if isinstance(window, str) else list(window or ())
    try:
        first, last = (int(part) for part in parts)
    except ValueError:
        return str(window)
    return f"[{_signed(first)}, {_signed(last)}]"


def group_words(group: str) -> str:
    """Return a group of the tables in words: ``peers=core;label=no_news`` is ``core peers · no news``."""
    words = []
    for part in group.split(";"):
        key, _, value = part.partition("=")
        value = value.replace("_", " ") if key == "label" else value
        words.append(f"{value} peers" if key == "peers" else (value or key))
    return " · ".join("all events" if word == "all" else word for word in words)


def page_content(result: StudyResult) -> dict[str, Any]:
    """Return everything the pages print, as plain JSON; strings are still to be escaped."""
    summary = result.summary
    return {
        "study": str(summary.get("study") or "Event study"),
        "run_id": result.run_id,
        "data_date": str(summary.get("data_date") or "?"),
        "price_source": str(summary.get("price_source") or "?"),
        "simulated": result.simulated,
        "verdict": _verdict(summary),
        "small_table": _small_table(summary),
        "counts": _counts(summary),
        "facts": _facts(summary),
        "chronology": _chronology(summary),
        "trust": str(summary.get("trust") or ""),
        "more_data": str(summary.get("more_data") or ""),
        "warnings": [str(line) for line in summary.get("warnings") or ()],
        "method": _method(summary),
        "settings": _settings(result.manifest.get("settings") or {}),
        "tests": _tests(result),
        "shocks": _shocks(result),
        "alignment": _alignment(result),
        "reasons": _reasons(summary),
        "matrix": _matrix(result),
        "peers": _peers(summary),
        "how_to_read": _paragraphs(_HOW_TO_READ),
        "references": _paragraphs(_REFERENCES),
    }


def _verdict(summary: Mapping[str, Any]) -> dict[str, Any]:
    verdict = summary.get("verdict") or {}
    interval = verdict.get("ci") or (None, None)
    facts = [("effect", percent(verdict.get("effect")))]
    facts.append(
        ("95% interval", f"{percent(interval[0])} to {percent(interval[1])}" if _finite(interval[0]) else "–")
    )
    name = str(verdict.get("p_name") or "")
    facts.append((f"p ({TEST_NAMES.get(name, name) or '?'})", p_text(verdict.get("p_value"))))
    facts.append(("dates K", count(verdict.get("n_dates"))))
    facts.append(("firm-events N", count(verdict.get("n_events"))))
    facts.append(("N_eff", number(verdict.get("n_effective"), 1)))
    facts.append(("smallest detectable effect", size(verdict.get("mde"))))
    return {
        "kind": str(verdict.get("kind") or ""),
        "sentence": str(verdict.get("sentence") or ""),
        "ladder": str(verdict.get("ladder") or ""),
        "group": group_words(str(verdict.get("group") or "all")),
        "facts": [list(fact) for fact in facts if fact[1] != "–"],
    }


def _small_table(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of page 1; a column that no row has a value for is left out."""
    rbar = summary.get("rbar")
    doubtful = rbar is not None and _finite(rbar) and float(rbar) > RBAR_LIMIT
    head = ["group", "window", "N", "K", "CAAR", "mean of dates", "95% interval"]
    head += ["p date t", "p sign-flip", "p BMP-KP", "p cross-sect."]
    rows = [_small_row(row) for row in summary.get("small_table") or ()]
    kept = [place for place in range(len(head)) if place < 5 or any(row[place] != "–" for row in rows)]
    doubtful = doubtful and kept[-1] == len(head) - 1
    note = ""
    if doubtful:
        note = (
            f"Struck through: the cross-sectional test takes shares that fell together (r̄ = {number(rbar)}) "
            "for independent ones."
        )
    cells = [[row[place] for place in kept] for row in rows]
    return {"head": [head[place] for place in kept], "rows": cells, "strike_last": doubtful, "note": note}


def _small_row(row: Mapping[str, Any]) -> list[str]:
    low, high = row.get("lower"), row.get("upper")
    names = ("date_t_p", "sign_flip_p", "bmp_kp_p", "cross_sectional_p")
    return [
        group_words(str(row.get("group", ""))),
        window_words(row.get("window")),
        count(row.get("n_events")),
        count(row.get("n_dates")),
        percent(row.get("caar")),
        percent(row.get("shock_mean")),
        f"{percent(low)} to {percent(high)}" if _finite(low) else "–",
        *(p_text(row.get(name)) for name in names),
    ]


def _counts(summary: Mapping[str, Any]) -> dict[str, Any]:
    counts = summary.get("counts") or {}
    return {key: count(counts.get(key, 0)) for key in ("used", "shifted", "dropped")}


def _reasons(summary: Mapping[str, Any]) -> list[list[str]]:
    reasons = (summary.get("counts") or {}).get("reasons") or {}
    return [
        [str(reason).replace("_", " "), count(n)]
        for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    ]


def _facts(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return the short lines beside the counts on page 1."""
    events, labels = summary.get("events") or {}, summary.get("labels") or {}
    facts = [
        [
            "events · shocks · peers",
            " · ".join(count(events.get(k)) for k in ("n_events", "n_shocks", "n_peers")),
        ],
        ["labels ex ante / post hoc", f"{count(labels.get('ex_ante'))} / {count(labels.get('post_hoc'))}"],
        ["mean residual correlation r̄", number(summary.get("rbar"))],
        ["N_eff of all firm-events", number(summary.get("n_effective"), 1)],
    ]
    cvr = summary.get("cvr")
    if cvr:
        interval = f"{number(cvr.get('lower'))} to {number(cvr.get('upper'))}"
        facts.append(["common-volatility ratio", f"{number(cvr.get('value'))} ({interval})"])
    left = summary.get("leave_one_out")
    if left:
        span = f"{percent(left.get('lower'))} to {percent(left.get('upper'))}"
        facts.append(["effect without one date", f"{span}; most weight: {left.get('most_influential')}"])
    return facts


def _chronology(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return one row a clarification, the gravest flag first."""
    keys = ("event_id", "clarifies", "flag", "sentence")
    rows = [{key: str(row.get(key) or "") for key in keys} for row in summary.get("chronology") or ()]
    order = ("PRECEDES_DROP", "SAME_SESSION")
    return sorted(rows, key=lambda row: order.index(row["flag"]) if row["flag"] in order else len(order))


def _method(summary: Mapping[str, Any]) -> list[str]:
    windows, model = summary.get("windows") or {}, summary.get("model") or {}
    estimation, event = window_words(windows.get("estimation")), window_words(windows.get("event"))
    drop, post = window_words(windows.get("drop")), window_words(windows.get("post"))
    cars = ", ".join(window_words(window) for window in windows.get("car") or ()) or "–"
    alpha = str(model.get("alpha", "?"))
    if alpha == "auto":
        alpha = "estimated in windows that end by +1, zero in windows that start at +2 or later"
    return _paragraphs(f"""
        Day 0 is, on each exchange by itself, the first session whose prices could react to the event's
        timestamp. Events of one information shock count as one date.

        Prices: {summary.get("price_source", "?")}, newest {summary.get("data_date", "?")};
        {summary.get("returns", "?")} returns. Days with a locked limit, a halt or no price are marked, never
        filled.

        Expected returns: {model.get("name", "?")} model, estimated on sessions {estimation} with at least
        {count(windows.get("minimum"))} valid days; alpha: {alpha}.

        An abnormal return is the return minus the expected one. The variance of a CAR holds the error of
        the estimated coefficients, on all days of the window together.

        The drop window is {drop}, the window after it {post}, the event window {event}. CARs are also given
        over {cars}.

        The peers of one date are combined into one portfolio (weights: {summary.get("weights", "?")}) and
        its CAR is standardised. The headline tests take these dates as the sample: a t with K−1 degrees of
        freedom and the sign-flip, which gives every date's CAR either sign.

        Firm-level tests are printed for comparison. Those marked Kolari–Pynnönen allow for the correlation
        of shares on one day; they still reject too often where the shared shock is more volatile on event
        days.
        """)


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of ``text``, which blank lines part, each on one line."""
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _settings(settings: Mapping[str, Any]) -> list[list[str]]:
    flat: list[list[str]] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key in sorted(value):
                walk(f"{prefix}.{key}" if prefix else str(key), value[key])
        elif isinstance(value, (list, tuple)) and any(
            isinstance(item, (Mapping, list, tuple)) for item in value
        ):
            flat.append([prefix, f"{len(value)} entries" if len(str(value)) > 60 else str(value)])
        else:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            flat.append([prefix, text if len(text) <= 60 else text[:59] + "…"])

    walk("", settings)
    return flat[:80]


def _tests(result: StudyResult) -> dict[str, Any]:
    """Return the rows of the tests table: headline groups in full, the others by their date-level tests."""
    table = result.tables["tests"]
    groups = _ordered_groups(result, [str(group) for group in dict.fromkeys(table["group"])])
    windows = result.summary.get("windows") or {}
    main = {f"[{w[0]},{w[1]}]" for w in (windows.get("drop"), windows.get("post")) if w}
    rows = []
    for group, headline in groups:
        part = table[table["group"] == group]
        for window in dict.fromkeys(part["window"]):
            if not headline and window not in main:
                continue
            accepted = None if headline and window in main else LEADING_TESTS[: 5 if headline else 2]
            rows += _test_rows(part[part["window"] == window], accepted)
    head = ["group", "window", "test", "estimate", "statistic", "p", "N", "K", "note"]
    shown = rows[:TEST_ROWS]
    return {"head": head, "rows": shown, "left_out": len(table) - len(shown)}


def _test_rows(part: pd.DataFrame, accepted: Sequence[str] | None) -> list[list[str]]:
    order = {name: place for place, name in enumerate(TEST_NAMES)}
    rows = [row for row in part.to_dict("records") if row["name"] not in _ONE_FIRM]
    rows = [row for row in rows if accepted is None or row["name"] in accepted]
    rows.sort(key=lambda row: (order.get(str(row["name"]), len(order)), str(row["name"])))
    return [
        [
            group_words(str(row["group"])), window_words(row["window"]),
            TEST_NAMES.get(str(row["name"]), str(row["name"])), percent(row["estimate"], 2),
            number(row["statistic"]), p_text(row["p_value"]), count(row["n_events"]), count(row["n_dates"]),
            _text(row["reason"]),
        ]
        for row in rows
    ]  # fmt: skip


def _ordered_groups(result: StudyResult, groups: Sequence[str]) -> list[tuple[str, bool]]:
    """Return (group, whether it is a headline group); shocks are left to their own table."""
    head = str(result.summary.get("headline_group") or "all")
    prefix = "" if head == "all" else f"{head};"
    labels = [f"{prefix}label={label}" for label in MAIN_LABELS]
    verdict = str((result.summary.get("verdict") or {}).get("group") or "")
    first = [group for group in dict.fromkeys([verdict, head, *labels]) if group in groups]
    rest = [group for group in groups if group not in first and "shock_id=" not in group]
    return [(group, True) for group in first] + [(group, False) for group in rest]


def _shocks(result: StudyResult) -> dict[str, Any]:
    titles = result.tables["shocks"].drop_duplicates("shock_id").set_index("shock_id")["title"].to_dict()
    windows = result.summary.get("windows") or {}
    head = [
        "shock", "day 0", "label", "peers", f"CAR {window_words(windows.get('drop'))}", "in s.d.",
        "peers down", "qualifies", f"CAR {window_words(windows.get('post'))}", "in s.d.",
    ]  # fmt: skip
    rows = []
    for row in result.tables["reversal"].sort_values(["day0", "shock_id"], kind="stable").to_dict("records"):
        why = _text(row["why_not"])
        rows.append(
            {
                "cells": [
                    str(row["shock_id"]), str(row["day0"])[:10], str(row["label"]).replace("_", " "),
                    count(row["n_peers"]), percent(row["car_drop"]), number(row["s_drop"]),
                    size(row["share_negative"], 0), "yes" if bool(row["qualifies"]) else "no",
                    percent(row["car_post"]), number(row["s_post"]),
                ],
                "title": _text(titles.get(row["shock_id"], "")),
                "why_not": why,
            }
        )  # fmt: skip
    return {"head": head, "rows": rows}


def _alignment(result: StudyResult) -> dict[str, Any]:
    columns = ("event_id", "mic", "timestamp", "precision", "session", "reaction", "days_after", "note")
    head = ["event", "exchange", "timestamp", "precision", "session", "reaction", "days after", "note"]
    table = result.tables["alignment"]
    rows = [
        [_text(row[name]) if name != "days_after" else count(row[name]) for name in columns]
        for row in table.head(400).to_dict("records")
    ]
    return {"head": head, "rows": rows, "left_out": max(0, len(table) - len(rows))}


def _matrix(result: StudyResult) -> dict[str, Any]:
    """Return events × peers of the ledger: ``●`` used, ``s`` shifted, else the code of the reason."""
    ledger = result.tables["ledger"]
    # A reason is written "kind: particulars"; the matrix tells the kinds apart.
    kinds = ledger["reason"].map(_text).str.split(":").str[0]
    dropped = kinds[ledger["status"] == "dropped"]
    codes = {kind: _code(place) for place, kind in enumerate(sorted(set(dropped)))}
    cells: dict[tuple[str, str], str] = {}
    for event, ticker, status, kind in zip(
        ledger["event_id"], ledger["ticker"], ledger["status"], kinds, strict=True
    ):
        cells[str(event), str(ticker)] = {"used": "●", "shifted": "s"}.get(str(status)) or codes[kind]
    events = [str(event) for event in dict.fromkeys(ledger["event_id"])]
    tickers = _peer_order(result, [str(ticker) for ticker in dict.fromkeys(ledger["ticker"])])
    blocks = [
        {
            "tickers": block,
            "rows": [
                [event, *(cells.get((event, ticker), "") for ticker in block)]
                for event in events[:MATRIX_ROWS]
            ],
        }
        for block in (tickers[i : i + MATRIX_COLUMNS] for i in range(0, len(tickers), MATRIX_COLUMNS))
    ]
    legend = [["●", "used"], ["s", "used, on a later session than the event's"]]
    legend += [[code, kind.replace("_", " ") or "no reason given"] for kind, code in codes.items()]
    legend.append(["blank", "the event does not name this peer"])
    return {"blocks": blocks, "legend": legend, "left_out": max(0, len(events) - MATRIX_ROWS)}


def _peers(summary: Mapping[str, Any]) -> list[list[str]]:
    keys = ("name", "name_local", "market", "region", "group")
    peers = summary.get("peers") or {}
    return [[str(ticker), *(str(peer.get(key) or "") for key in keys)] for ticker, peer in peers.items()]


def _peer_order(result: StudyResult, tickers: Sequence[str]) -> list[str]:
    known = {ticker: place for place, ticker in enumerate(result.summary.get("peers") or {})}
    return sorted(tickers, key=lambda ticker: (known.get(ticker, len(known)), ticker))


def _code(place: int) -> str:
    """Return a, b, … z, a1, b1, … without ``s``, which means shifted."""
    letters = "abcdefghijklmnopqrtuvwxyz"
    turn, letter = divmod(place, len(letters))
    return letters[letter] + (str(turn) if turn else "")


def map_strings(content: Any, change: Callable[[str], str]) -> Any:
    """Return ``content`` with ``change`` applied to each string in it, keys left alone."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, Mapping):
        return {key: map_strings(value, change) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [map_strings(value, change) for value in content]
    return content


def _finite(value: Any) -> bool:
    try:
        return value is not None and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _text(value: Any) -> str:
    """Return a table's text cell; empty for None and NaN."""
    return "" if value is None or value != value else str(value)


def _signed(day: int) -> str:
    return f"+{day}" if day > 0 else str(day).replace("-", "−")
