"""What was done and how to read it: method, settings, peers, references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.messages import term
from eventstudy.report.wording import Words, count, window_words

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
#: Settings listed by the number of their entries: the pack's tables have them in full.
MOST_SETTINGS, LONGEST_SETTING = 90, 44


def method(summary: Mapping[str, Any], words: Words) -> list[str]:
    """Return the method in words, with the settings that were used."""
    windows, model = summary.get("windows") or {}, summary.get("model") or {}
    alpha = str(model.get("alpha", "?"))
    parts = {
        "source": term(words, "price_source", summary.get("price_source", "?")),
        "date": summary.get("data_date", "?"),
        "returns": term(words, "returns", summary.get("returns", "?")),
        "model": term(words, "model", model.get("name", "?")),
        "alpha": term(words, "alpha", alpha),
        "minimum": count(windows.get("minimum")),
        "weights": term(words, "weights", summary.get("weights", "?")),
        "cars": ", ".join(window_words(window) for window in windows.get("car") or ()) or "–",
        **{name: window_words(windows.get(name)) for name in ("estimation", "event", "drop", "post")},
    }
    sides = words.get(f"alternative.{summary.get('alternative')}", "")
    return [*(words[key].format(**parts) for key in words if key.startswith("method.")), *filter(None, [sides])]


def references() -> list[str]:
    """Return the papers that the tests and the matching come from."""
    return [" ".join(part.split()) for part in _REFERENCES.split("\n\n")]


def how_to_read(words: Words) -> list[str]:
    """Return the explanations for readers who meet an event study for the first time."""
    return [words[key] for key in words if key.startswith("read.")]


def settings(found: Mapping[str, Any]) -> list[list[str]]:
    """Return every setting as (name, value); lists of tables by their length."""
    flat: list[list[str]] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key in sorted(value):
                walk(f"{prefix}.{key}" if prefix else str(key), value[key])
        elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
            many = len(str(value)) > LONGEST_SETTING
            flat.append([prefix, f"{len(value)} ×" if many else str(value)])
        else:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            flat.append([prefix, text if len(text) <= LONGEST_SETTING else text[: LONGEST_SETTING - 1] + "…"])

    walk("", found)
    return flat[:MOST_SETTINGS]


def peers(summary: Mapping[str, Any], words: Words) -> list[list[str]]:
    """Return one row a peer: ticker, names, exchange, region, group."""
    return [
        [
            str(ticker),
            *(str(peer.get(key) or "") for key in ("name", "name_local", "market", "region")),
            term(words, "peer_group", peer.get("group") or ""),
        ]
        for ticker, peer in (summary.get("peers") or {}).items()
    ]
