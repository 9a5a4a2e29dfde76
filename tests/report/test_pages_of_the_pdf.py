"""The PDF as a reader has it: type that can be read, links that lead somewhere, one number everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import openpyxl
import pytest
from small_study import changed, small_study

from eventstudy.messages import catalogue
from eventstudy.report.pack import write_pack
from eventstudy.report.pages import study_document
from eventstudy.report.sections.answer import headline
from eventstudy.report.wording import p_text, percent, points

#: pdftohtml writes sizes of type as whole numbers of thirds of a point at most.
ZOOM = 3
SMALLEST, CONTRAST = 6.0, 4.5


@pytest.fixture(scope="module", params=["return", "volatility"])
def pack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(str(request.param))
    write_pack(small_study(kind=request.param), folder, formats=("pdf", "json", "csv", "xlsx"))
    return folder


def _read(path: Path) -> str:
    """A PDF's text with its type, links and bookmarks."""
    if shutil.which("pdftohtml") is None:
        pytest.skip("no pdftohtml to read the PDF with; apt-get install poppler-utils brings it")
    command = ["pdftohtml", "-xml", "-i", "-zoom", str(ZOOM), "-stdout", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _types(path: Path) -> Iterator[tuple[float, str, str]]:
    """Yield size in points, family and colour of every kind of type of a PDF."""
    kinds = r'<fontspec id="\d+" size="(\d+)" family="([^"]+)" color="#(\w+)"'
    for size, family, colour in re.findall(kinds, _read(path)):
        yield int(size) / ZOOM, family, colour


def _contrast(colour: str) -> float:
    """Contrast with white after WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def test_no_type_is_under_six_points_and_the_text_stands_out(pack: Path) -> None:
    # The figures' type is measured where they are drawn.
    found = {kind for kind in _types(pack / "report.pdf") if "DejaVu" not in kind[1]}
    assert len(found) > 5
    assert min(size for size, _, _ in found) >= SMALLEST
    # The banner alone is white, on blue.
    pale = {colour for *_, colour in found if _contrast(colour) < CONTRAST}
    assert pale <= {"ffffff"}


def test_every_section_has_a_bookmark_and_a_link_on_page_one(pack: Path) -> None:
    text = _read(pack / "report.pdf")
    result = small_study(kind="return" if "return" in pack.name else "volatility")
    sections = study_document(result).sections
    headings = [section.heading for section in sections if section.heading and section.level == 1]
    marks = [unescape(mark) for mark in re.findall(r"<item[^>]*>([^<]+)</item>", text)]
    assert [mark for mark in marks if mark in headings] == headings
    first = text.partition("</page>")[0]
    linked = "".join(re.findall(r'<a href="[^"]*#\d+">(.*?)</a>', first))
    for heading in headings:
        assert heading.split()[0] in unescape(linked)


def test_page_tables_summary_and_workbook_say_the_same_number(tmp_path: Path) -> None:
    result = small_study()
    write_pack(result, tmp_path, formats=("pdf", "json", "csv", "xlsx"))
    words, verdict = catalogue("en"), result.facts["verdict"]
    said = headline(result.facts, words)
    assert f"returned {points(abs(verdict['effect']))} points more" in said
    assert verdict["effect"] > 0
    measures = result.tables["reversal_measures"].set_index(["group", "measure"]).loc[verdict["group"], "excess_post"]
    for name, value in (("estimate", "effect"), ("p_value", "p_value")):
        assert measures[name] == pytest.approx(verdict[value], abs=1e-12)
    book = openpyxl.load_workbook(tmp_path / "tables.xlsx")
    cells = {row[0].value: row[1].value for row in book["summary"].iter_rows()}
    for name in ("effect", "p value", "n dates"):
        assert cells[name] == pytest.approx(verdict[name.replace(" ", "_")])
    heads = [cell.value for cell in book["page_1"][1]]
    tests = result.tables["tests"].set_index(["group", "window", "name"])
    shown = study_document(result).tables()["summary"]
    for at, row in enumerate(result.facts["small_table"]):
        test = tests.loc[(row["group"], row["window"], "ibragimov_mueller")]
        cells = {head: cell.value for head, cell in zip(heads, book["page_1"][at + 2], strict=True)}
        for name in ("estimate", "p_value", "n_events", "n_dates", "k_eff"):
            value = row[name]
            if value is None:
                assert test[name] != test[name]
                continue
            assert test[name] == pytest.approx(value)
            assert cells[name] == pytest.approx(value)
        assert shown.rows[at][2] == percent(row["estimate"])
        assert shown.rows[at][4] == p_text(row["p_value"])
        if row["lower"] is not None:
            # The interval and p speak of one test: it holds zero where p is above 5 %.
            assert (row["lower"] <= 0 <= row["upper"]) == (row["p_value"] >= 0.05)


@pytest.mark.parametrize("kind", ["reversal", "drift", "equivalent to none", "inconclusive"])
def test_headline_says_power_where_it_is_known_and_the_detectable_effect_elsewhere(kind: str) -> None:
    words = catalogue("en")
    told = headline(changed(small_study(), verdict={"kind": kind, "power": {}, "margin": 0.0524}).facts, words)
    assert told.startswith(words[f"headline.{kind.replace(' ', '_')}"].format(margin="5.2"))
    assert "in 4 of 5 such studies" in told
    power = {"0.02": 0.07, "0.05": 0.21, "0.10": 0.58}
    told = headline(changed(small_study(), verdict={"kind": kind, "power": power}).facts, words)
    assert "5 points in 21 of 100 cases, 10 points in 58 of 100 cases" in told
    assert "4 of 5" not in told
    one = {"n_dates": 1, "ci": [None, None], "rank": 2, "among": 13, "p_value": 0.31}
    assert "(rank 2 of 13 by size; two-sided p 0.310)" in headline(changed(small_study(), verdict=one).facts, words)
