"""Method, settings, notes, peers, explanations and references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eventstudy.config import StudyConfig
from eventstudy.messages import asked, said, term
from eventstudy.report.document import Block, BulletList, Facts, Paragraph, Section
from eventstudy.report.document import table as table_of
from eventstudy.report.sections.case import chronology
from eventstudy.report.wording import Words, count, cut, left_out_words, window_words
from eventstudy.results.result import StudyResult

_REFERENCES = """
Patell (1976). Corporate forecasts of earnings per share and stock price behavior. Journal of
Accounting Research 14, 246–276.

Brown and Warner (1985). Using daily stock returns: the case of event studies. Journal of Financial
Economics 14, 3–31.

Schuirmann (1987). A comparison of the two one-sided tests procedure and the power approach. Journal
of Pharmacokinetics and Biopharmaceutics 15, 657–680.

Corrado (1989). A nonparametric test for abnormal security-price performance in event studies.
Journal of Financial Economics 23, 385–395.

Boehmer, Musumeci and Poulsen (1991). Event-study methodology under conditions of event-induced
variance. Journal of Financial Economics 30, 253–272.

Campbell, Lo and MacKinlay (1997). The Econometrics of Financial Markets, chapter 4. Princeton
University Press.

MacKinlay (1997). Event studies in economics and finance. Journal of Economic Literature 35, 13–39.

Kolari and Pynnönen (2010). Event study testing with cross-sectional correlation of abnormal
returns. Review of Financial Studies 23, 3996–4025.

Stuart (2010). Matching methods for causal inference: a review and a look forward. Statistical
Science 25, 1–21.

Kolari and Pynnönen (2011). Nonparametric rank tests for event studies. Journal of Empirical Finance
18, 953–971.
"""
#: Settings that are shown only by the number of their entries.
MOST_SETTINGS, LONGEST_SETTING = 90, 44
#: Largest numbers of peers and of warnings on the pages.
MOST_PEERS, MOST_WARNINGS = 60, 20


def _list(name: str, heading: str, lines: Iterable[str]) -> Section:
    """Return a section of sentences."""
    return Section(name=name, heading=heading, blocks=(BulletList(tuple(map(Paragraph, lines))),))


def method(facts: Mapping[str, Any], words: Words) -> Section:
    """Return the method in words, with the settings that were used."""
    windows, model = facts.get("windows") or {}, facts.get("model") or {}
    alpha = str(model.get("alpha", "?"))
    parts = {
        "source": term(words, "price_source", facts.get("price_source", "?")),
        "date": facts.get("data_date", "?"),
        "returns": term(words, "returns", facts.get("returns", "?")),
        "model": term(words, "model", model.get("name", "?")),
        "alpha": term(words, "alpha", alpha),
        "minimum": count(windows.get("minimum")),
        "weights": term(words, "weights", facts.get("weights", "?")),
        "cars": ", ".join(window_words(window) for window in windows.get("car") or ()) or "–",
        **{name: window_words(windows.get(name)) for name in ("estimation", "event", "drop", "post")},
    }
    lines = [words[key].format(**parts) for key in words if key.startswith("method.")]
    sides = words.get(f"alternative.{facts.get('alternative')}")
    return _list("method", words["page.method"], [*lines, *filter(None, [sides])])


def settings(result: StudyResult, words: Words) -> Section | None:
    """Return every setting that is not the default as (name, value); lists of tables by their length."""
    flat: list[tuple[str, str]] = []

    def walk(prefix: str, value: Any, default: Any) -> None:
        if value == default:
            return
        if isinstance(value, Mapping):
            for key in sorted(value):
                own = default.get(key) if isinstance(default, Mapping) else None
                walk(f"{prefix}.{key}" if prefix else str(key), value[key], own)
        elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
            many = len(str(value)) > LONGEST_SETTING
            flat.append((prefix, f"({len(value)})" if many else str(value)))
        else:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            flat.append((prefix, cut(text, LONGEST_SETTING)))

    chosen = result.manifest.get("settings") or {}
    unused: tuple[str, ...] = ()
    default = StudyConfig()
    if not asked(result.facts):
        default, unused = default.of_effect, ("backtest", "costs")
    # The formats of the pack do not change numbers.
    walk("", {name: value for name, value in chosen.items() if name not in (*unused, "report")}, default.as_dict())
    facts = Facts(tuple(flat[:MOST_SETTINGS]), "pairs")
    return (
        Section(name="settings", heading=words["page.settings"], blocks=(facts,), level=2, folded=True)
        if flat
        else None
    )


def notes(facts: Mapping[str, Any], words: Words) -> Section:
    """Return the chronology of the clarifications, the evidence for labels, and the warnings."""
    told, warnings = chronology(facts, words), facts.get("warnings") or ()
    if declared := (facts.get("label_evidence") or {}).get("sentence"):
        told.append(Paragraph(said(declared, words)))
    blocks: list[Block] = [BulletList(tuple(told))] if told else []
    if warnings:
        blocks.append(Paragraph("", words["page.warnings_n"].format(n=len(warnings))))
        blocks.append(BulletList(tuple(Paragraph(said(line, words)) for line in warnings[:MOST_WARNINGS])))
        if left := left_out_words(len(warnings) - MOST_WARNINGS, "summary.json", words):
            blocks.append(Paragraph(left, tone="note"))
    return Section(name="notes", heading=words["page.notes"], blocks=tuple(blocks) or (Paragraph(words["page.none"]),))


def peers(facts: Mapping[str, Any], words: Words) -> Section:
    """Return one row for each peer: ticker, names, exchange, region, group."""
    names = ("ticker", "name_", "name_local", "market", "region", "peer_group")
    rows = [
        (
            str(ticker),
            *(str(peer.get(key) or "") for key in ("name", "name_local", "market", "region")),
            term(words, "peer_group", peer.get("group") or ""),
        )
        for ticker, peer in (facts.get("peers") or {}).items()
    ]
    table = table_of(
        [words[f"column.{name}"] for name in names],
        rows[:MOST_PEERS],
        name="peers",
        caption=words["page.peers"],
        left_out=left_out_words(len(rows) - MOST_PEERS, "summary.json", words),
    )
    return Section(name="peers", heading=words["page.peers"], blocks=(table.filled(),))


def how_to_read(words: Words) -> Section:
    """Return explanations for readers who are new to event studies."""
    return _list("read", words["page.how_to_read"], (words[key] for key in words if key.startswith("read.")))


def papers(words: Words) -> Section:
    """Return the papers as a section."""
    return _list("references", words["page.references"], references())


def references() -> list[str]:
    """Return the papers that define the tests and the matching."""
    return [" ".join(part.split()) for part in _REFERENCES.split("\n\n")]
