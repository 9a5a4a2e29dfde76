"""Tables for a paper: their numbers are the study's, and every LaTeX table fits the width of A4's text."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from small_study import changed, small_study

from eventstudy.config.settings import PAGE_SECTIONS
from eventstudy.messages import catalogue
from eventstudy.report.document import TableBlock
from eventstudy.report.document import table as table_of
from eventstudy.report.pack import write_pack
from eventstudy.report.pages import study_document
from eventstudy.report.render.tex import tabular
from eventstudy.report.sections.paper import car_table, paper, regression_tables
from eventstudy.results.result import StudyResult

WORDS = catalogue("en")
REGRESSION = [
    {"formula": "car ~ size", "window": window, "estimator": "ols", "term": term, "estimate": estimate, "se": 0.02,
     "t": estimate / 0.02, "p_value": p, "df": 1.8, "p_wild": p, "p_pre_event": p, "n_events": 12, "n_left_out": 0,
     "n_dates": 3, "r_squared": 0.25, "reason": ""}
    for window in ("[0,1]", "[2,20]")
    for term, estimate, p in (("Intercept", -0.05, 0.04), ("size", 0.01, 0.62))
]  # fmt: skip


def _asked(result: StudyResult, **report: Any) -> StudyResult:
    """Return the result of a study with these settings of its report."""
    settings = {**result.manifest["settings"], "report": report}
    return dataclasses.replace(result, manifest={**result.manifest, "settings": settings})


def _study(language: str = "en") -> StudyResult:
    """Return a small study with tables of its own, which a test may change."""
    result = changed(small_study(), facts={"language": language})
    return dataclasses.replace(result, tables={name: table.copy() for name, table in result.tables.items()})


def _with_regressions(result: StudyResult) -> StudyResult:
    return dataclasses.replace(result, tables={**result.tables, "regressions": pd.DataFrame(REGRESSION)})


def _set(program: str, folder: Path) -> str:
    """Set all tables of a folder and return the log; skip where that program or a package is missing."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300)
    log = (folder / "tables.log").read_text(encoding="utf-8", errors="replace").replace("\n", "")
    absent = re.search(r"File `(\S+?)' not found", log)
    if absent:
        pytest.skip(f"LaTeX has no {absent[1]}; texlive-latex-extra and texlive-lang-chinese bring it")
    assert done.returncode == 0, log[-2000:]
    return log


def test_car_table_has_estimate_and_t_of_the_dates_with_n_and_k_below() -> None:
    result = _study()
    table = car_table(result, WORDS)
    row = result.tests.get("ibragimov_mueller", window=(0, 1), group="label=misreading")
    at, first = table.head.index("misreading"), [cells[0] for cells in table.rows].index("[0, +1]")
    assert table.head[:4] == ["window", "all events", "misreading", "genuine"]
    assert table.rows[first][at] == f"{100 * row.estimate:.2f}".replace("-", "−")
    assert table.rows[first + 1][at] == f"({row.statistic:.2f})".replace("-", "−")
    assert str(row.n_events) in {cells[at] for cells in table.rows if cells[0] == "N"}
    assert str(row.n_dates) in {cells[at] for cells in table.rows if cells[0] == "K"}


def test_brackets_and_stars_are_what_the_settings_ask_for() -> None:
    result = _study()
    result.tables["tests"].loc[result.tables["tests"]["name"] == "ibragimov_mueller", "p_value"] = 0.04
    row = result.tests.get("ibragimov_mueller", window=(0, 1), group="all")
    plain = car_table(result, WORDS)
    assert "*" not in "".join(cell for cells in plain.rows for cell in cells)
    table = car_table(_asked(result, brackets="se", stars=True), WORDS)
    first = [cells[0] for cells in table.rows].index("[0, +1]")
    assert table.rows[first][1] == f"{100 * row.estimate:.2f}**".replace("-", "−")
    assert (
        table.rows[first + 1][1] == f"({abs(100 * row.estimate / row.statistic):.2f})".replace("-", "−")
        or row.estimate < 0
    )
    assert "standard error" in table.foot
    assert "***" in table.foot


def test_n_and_k_that_differ_by_window_stand_beneath_each() -> None:
    result = _study()
    tests = result.tables["tests"]
    tests.loc[tests["window"] == "[2,20]", "n_events"] -= 1
    table = car_table(result, WORDS)
    assert table.totals == 0
    sizes = [cells[1] for cells in table.rows if cells[0] == "N"]
    assert len(sizes) == tests["window"].nunique()
    assert len(set(sizes)) > 1


def test_regressions_stand_side_by_side() -> None:
    (table,) = regression_tables(_with_regressions(_study()), WORDS)
    assert table.head == ["", "(1)", "(2)"]
    assert table.rows[:2] == (("Intercept", "−0.0500", "−0.0500"), ("", "(−2.50)", "(−2.50)"))
    assert table.rows[-5:] == (
        ("window", "[0, +1]", "[+2, +20]"), ("estimator", "ols", "ols"),
        ("N", "12", "12"), ("K", "3", "3"), ("R²", "0.25", "0.25")
    )  # fmt: skip
    assert "(2) car ~ size" in table.foot


def test_brackets_do_not_move_the_decimal_points_of_a_column() -> None:
    text = tabular(table_of(["term", "(1)"], [["size", "0.10**"], ["", "(2.00)"]], left=1))
    assert r"size & 0.10\rlap{**}\phantom{**} \\" in text
    assert r" & (2.00\rlap{)}\phantom{**} \\" in text


@pytest.mark.parametrize(("language", "program"), [("en", "pdflatex"), ("zh", "xelatex")])
def test_every_table_is_set_within_the_width_of_the_text(tmp_path: Path, language: str, program: str) -> None:
    result = _asked(_with_regressions(_study(language)), stars=True, author="A. Author")
    write_pack(result, tmp_path, formats=("tex",))
    folder = tmp_path / "tables" / "latex"
    tables = {path.stem for path in folder.glob("*.tex")} - {"tables"}
    assert {"paper_car", "paper_aar", "paper_regressions", "tests", "summary", "claims"} <= tables
    log = _set(program, folder)
    assert "Overfull" not in log
    assert "Missing character" not in log
    assert all(f"(./{name}.tex" in log for name in tables)


@pytest.mark.parametrize("rows", [3, 60])
def test_long_words_and_many_columns_are_set_within_the_width_of_the_text(tmp_path: Path, rows: int) -> None:
    cells = [
        "prices_end_before_window",
        "a sentence that goes on " * 6,
        "[−10, +20]",
        *["−12.45***"] * 3,
        *["0.05"] * 3,
    ]
    table = table_of(
        [*["a head of some words"] * 3, *["p cross-sect."] * 6], [cells] * rows, left=3, foot="A note. " * 30
    )
    few = table_of(["reason", "p"], [["prices_end_before_window " * 8, "0.05"]] * rows, left=1, foot="A note.")
    body = "\n\n".join(rf"\noindent {tabular(block)}" for block in (table, few))
    preamble = r"\documentclass[a4paper]{article}\usepackage{array,booktabs,graphicx,longtable,threeparttable}"
    (tmp_path / "tables.tex").write_text(rf"{preamble}\begin{{document}}{body}\end{{document}}", encoding="utf-8")
    assert "Overfull" not in _set("pdflatex", tmp_path)


def test_tables_for_pdflatex_have_no_chinese_letters(tmp_path: Path) -> None:
    write_pack(_study(), tmp_path, formats=("tex",))
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "tables" / "latex").glob("*.tex"))
    assert "InnoLight" in text
    assert not re.search("[\u4e00-\u9fff]", text)


def test_settings_choose_sections_title_and_author() -> None:
    result = _asked(_study(), sections=["tests", "answer"], title="A title", author="A. Author")
    document = study_document(result)
    assert [section.name for section in document.sections] == ["answer", "tests"]
    assert (document.title, document.author) == ("A title", "A. Author")


def test_every_section_of_the_pages_can_be_asked_for() -> None:
    names = [section.name for section in study_document(_study()).sections]
    assert names == [name for name in PAGE_SECTIONS if name in names]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_notes_say_what_is_in_brackets(language: str) -> None:
    words = catalogue(language)
    tables = [block for block in paper(_study(language), words).blocks if isinstance(block, TableBlock)]
    assert words["paper.t"] in tables[0].foot
    assert all(table.foot and table.caption and "{" not in table.foot + table.caption for table in tables)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("book")
    result = _study()
    result.tables["tests"].loc[0, "p_value"] = 1e-7
    write_pack(result, folder, formats=("xlsx",))
    return openpyxl.load_workbook(folder / "tables.xlsx")


def _column(sheet: Any, name: str) -> list[Any]:
    at = [cell.value for cell in sheet[1]].index(name)
    return [row[at] for row in sheet.iter_rows(min_row=2)]


def test_workbook_begins_with_the_table_of_page_one_and_an_index_leads_to_each_sheet(book: Any) -> None:
    first = _study().facts["small_table"]
    assert [cell.value for cell in _column(book["page_1"], "n_dates")] == [row["n_dates"] for row in first]
    links = {row[0].value: row[0].hyperlink.location for row in book["index"].iter_rows(min_row=2) if row[0].hyperlink}
    assert list(links) == [name for name in book.sheetnames if name not in ("summary", "index")]
    assert links["tests"] == "'tests'!A1"
    said = {row[0].value: row[2].value for row in book["index"].iter_rows(min_row=2)}
    assert "the tested value" in said["estimate"]
    assert said["tests"] == "a group × window × test"
    # Without CSV files beside it the workbook has the days too.
    assert book["abnormal_returns"].max_row == 1 + len(_study().tables["abnormal_returns"])


def test_workbook_has_dates_as_dates_and_small_p_by_their_format(book: Any) -> None:
    day = _column(book["shocks"], "day0")[0]
    assert (day.is_date, day.number_format) == (True, "yyyy-mm-dd")
    p = _column(book["tests"], "p_value")[0]
    assert (p.value, p.number_format) == (1e-7, '[<0.0005]"<0.001";0.000')


def test_columns_of_the_workbook_are_wide_enough_for_their_heads_and_not_too_wide(book: Any) -> None:
    for sheet in book:
        if sheet.title not in ("summary", "index"):
            sizes = sheet.column_dimensions.values()
            widths = {at: size.width for size in sizes for at in range(size.min, size.max + 1)}
            assert all(len(cell.value) < widths[cell.column] <= 50 for cell in sheet[1])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_word_file_has_the_text_tables_and_figures_of_the_report(tmp_path: Path, language: str) -> None:
    docx = pytest.importorskip("docx", reason="python-docx is not installed")
    result = _asked(_study(language), author="A. Author", sections=["answer", "peers"])
    write_pack(result, tmp_path, formats=("docx",))
    word, document = docx.Document(str(tmp_path / "report.docx")), study_document(result)
    text = "\n".join(paragraph.text for paragraph in word.paragraphs)
    assert document.title in text
    assert word.core_properties.author == "A. Author"
    assert document.section("peers").heading in text
    assert document.meta["verdict"]["sentence"] in text
    shown = [[[cell.text for cell in row.cells] for row in table.rows] for table in word.tables]
    summary = document.tables()["summary"]
    assert [summary.head, *map(list, summary.rows)] in shown
    assert car_table(result, catalogue(language)).head in [table[0] for table in shown]
    assert len(word.inline_shapes) == len(document.figures()) > 0
    assert all(shape._inline.docPr.get("descr") for shape in word.inline_shapes)


def test_word_file_opens_in_libreoffice(tmp_path: Path) -> None:
    pytest.importorskip("docx", reason="python-docx is not installed")
    if shutil.which("soffice") is None:
        pytest.skip("no LibreOffice to open the file with; apt-get install libreoffice-writer brings it")
    result = _asked(_study("zh"), sections=["answer", "peers"])
    write_pack(result, tmp_path, formats=("docx",))
    home = f"-env:UserInstallation=file://{tmp_path / 'profile'}"
    command = ["soffice", home, "--headless", "--convert-to", "txt:Text", "--outdir", str(tmp_path)]
    subprocess.run([*command, str(tmp_path / "report.docx")], check=True, capture_output=True, timeout=300)
    text = (tmp_path / "report.txt").read_text(encoding="utf-8-sig")
    assert study_document(result).meta["verdict"]["sentence"] in text
    assert "中际旭创" in text


def test_word_file_is_the_same_on_each_write(tmp_path: Path) -> None:
    pytest.importorskip("docx", reason="python-docx is not installed")
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_pack(_asked(_study(), sections=["peers"]), tmp_path / name, formats=("docx",))
        written.append((tmp_path / name / "report.docx").read_bytes())
    assert written[0] == written[1]
