"""The catalogues: the same keys and fields in every language, and none that a page lacks."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from eventstudy.errors import ConfigError
from eventstudy.messages import LANGUAGES, catalogue, day_text, section, term

PACKAGE = Path(__file__).parents[1] / "eventstudy"


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_every_key_with_the_same_fields(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    assert set(other) == set(english)
    assert [key for key in english if _fields(english[key]) != _fields(other[key])] == []


def test_every_message_that_the_code_names_is_in_the_catalogue() -> None:
    sections = {key.split(".")[0] for key in catalogue("en")}
    named = set()
    for path in [*(PACKAGE / "plots").glob("*.py"), *(PACKAGE / "report").rglob("*.py")]:
        for found in re.findall(r'words\[f?"([\w.]+)"\]', path.read_text(encoding="utf-8")):
            named.add(found)
    assert len(named) > 60
    assert {key for key in named if key.split(".")[0] in sections and key not in catalogue("en")} == set()


@pytest.mark.parametrize("name", ["report.typ", "report.html.j2"])
def test_every_word_that_a_template_names_is_in_the_catalogue(name: str) -> None:
    text = (PACKAGE / "report" / "templates" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"\bt\.([a-z]\w*)", text)) - {"method_title"}
    assert len(named) > 1
    assert named <= set(section("en", "page"))


def test_dates_and_codes_are_said_in_the_language() -> None:
    english, chinese = catalogue("en"), catalogue("zh")
    assert day_text(english, "2026-06-09") == "9 June 2026"
    assert day_text(chinese, "2026-06-09T00:00:00") == "2026年6月9日"
    assert day_text(english, "soon") == "soon"
    assert term(english, "label", "no_news") == "no news"
    assert term(chinese, "label", "misreading") == "误读"
    assert [term(english, "label", name) for name in ("denied", "silent")] == ["denied", "not denied"]
    assert [term(chinese, "label", name) for name in ("denied", "silent")] == ["已否认", "未否认"]
    assert term(chinese, "label", "my_own_label") == "my own label"


def test_a_language_without_a_catalogue_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="language 'fr' has no catalogue"):
        catalogue("fr")


#: Phrases that no reader should have to decode, each with a plain form that the pages use instead.
RIDDLES = (
    "were taken for missing",
    "no hour is known",
    "names no departure",
    "put it right",
    "put right",
    "are given back",
    "giving-back",
    "worst on the way",
    "what costs take",
    "where nothing happened",
    "had been hoped for",
    "way it leans",
    "struck through",
    "part it from the drop",
)
PLAIN_PAGES = (
    "README.md",
    "docs/index.md",
    "docs/plain-study.md",
    "docs/files.md",
    "docs/verdict.md",
    "docs/labels.md",
    "docs/limits.md",
    "docs/answered-reports.md",
    "docs/tutorial-june-2026.md",
    "docs/choosing-a-test.md",
    "eventstudy/report/locale/en.toml",
)


@pytest.mark.parametrize("name", PLAIN_PAGES)
def test_a_page_has_none_of_the_phrases_that_readers_stumble_over(name: str) -> None:
    text = " ".join((Path(__file__).parents[1] / name).read_text(encoding="utf-8").lower().split())
    assert [phrase for phrase in RIDDLES if phrase in text] == []
