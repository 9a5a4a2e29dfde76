"""The summary as Markdown, for a mail or a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(content: Mapping[str, Any]) -> str:
    """Return page 1 in Markdown: verdict, table, counts, chronology, what would change the conclusion."""
    words, verdict = content["t"], content["verdict"]
    parts = [f"# {escaped(content['study'])}"]
    if content["simulated"]:
        parts.append(f"**{escaped(words['simulated_banner'])}**")
    parts.append(
        " · ".join(
            escaped(text)
            for text in (
                words["run"].format(id=content["run_id"]),
                words["data_to"].format(date=content["data_date"]),
                words["prices"].format(source=content["price_source"]),
            )
        )
    )
    parts.append(f"> {escaped(verdict['sentence'])}")
    parts.append(" · ".join(escaped(f"{name} {value}") for name, value in verdict["facts"]))
    parts += [f"*{escaped(verdict[name])}*" if verdict[name] else "" for name in ("ladder", "inside")]
    parts.append(table(content["small_table"]["head"], content["small_table"]["rows"]))
    parts.append(escaped(content["small_table"]["note"]))
    parts.append(f"**{escaped(content['counts']['line'])}**")
    parts.append(bullets(f"{n} × {reason}" for reason, n in content["reasons"]))
    parts.append(bullets(f"{name}: {value}" for name, value in (*content["facts"], *content["strip"])))
    parts.append(bullets(f"{row['flag_words']} {row['sentence']}" for row in content["chronology"]))
    for name in ("trust", "more_data"):
        parts.append(f"**{words[name]}** {escaped(content[name])}" if content[name] else "")
    if content["warnings"]:
        parts.append(f"**{escaped(words['warnings_n'].format(n=len(content['warnings'])))}**")
        parts.append(bullets(content["warnings"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|~$" else char for char in " ".join(text.split()))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(map(escaped, row)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def bullets(lines: Any) -> str:
    return "\n".join(f"- {escaped(line.strip())}" for line in lines)
