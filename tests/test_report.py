"""The result pack: whole, the same on each write, and deaf to what its strings would like to be."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from make_result import PEERS, SENTENCE, SHOCKS, make_result

from eventstudy import plots
from eventstudy.errors import ConfigError
from eventstudy.report import pages, write_pack
from eventstudy.report.pack import csv_safe
from eventstudy.report.pdf import without_cjk
from eventstudy.results import TABLES, StudyResult

NASTY = '#import "x" *bold* <script>alert(1)</script> $x$ @ref `raw` \\ [a] {{ 7*7 }}'


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    write_pack(make_result(), folder)
    return folder


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    write_pack(make_result(simulated=True), folder)
    return folder


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    peers = {**PEERS, "LITE": {**PEERS["LITE"], "name": NASTY}}
    shocks = ((SHOCKS[0][0], "misreading", SHOCKS[0][2], NASTY, -0.05, 0.02), *SHOCKS[1:])
    folder = tmp_path_factory.mktemp("nasty")
    write_pack(make_result(study=NASTY, peers=peers, shocks=shocks), folder, formats=("pdf", "html"))
    return folder


def _edited(result: StudyResult, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> StudyResult:
    tables = {**result.tables, name: change(result.to_frame(name))}
    return StudyResult(result.run_id, tables, result.summary, result.manifest)


def _pdf_pages(path: Path) -> list[str]:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    done = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, timeout=60, check=True
    )
    return done.stdout.decode("utf-8").split("\f")[:-1]


def _words(text: str) -> str:
    return " ".join(text.split())


def test_pack_holds_every_file(pack: Path) -> None:
    found = {path.relative_to(pack).as_posix() for path in pack.rglob("*") if path.is_file()}
    expected = {"report.pdf", "report.html", "tables.xlsx", "manifest.json", "summary.json", "ledger.csv"}
    expected |= {f"tables/{name}.csv" for name in make_result().tables if name != "ledger"}
    for plot in plots.plots_of(make_result()):
        expected |= {f"figures/{plot.name}.png", f"figures/{plot.name}.svg"}
    assert found == expected


def test_second_write_gives_the_same_bytes(pack: Path, tmp_path: Path) -> None:
    files = write_pack(make_result(), tmp_path)
    assert [path.relative_to(tmp_path) for path in files] == sorted(
        path.relative_to(pack) for path in pack.rglob("*") if path.is_file()
    )
    different = [p.name for p in files if p.read_bytes() != (pack / p.relative_to(tmp_path)).read_bytes()]
    assert different == []


def test_manifest_has_the_digest_of_every_other_file(pack: Path) -> None:
    outputs = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))["outputs"]
    files = {path.relative_to(pack).as_posix(): path for path in pack.rglob("*") if path.is_file()}
    del files["manifest.json"]
    assert outputs == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def test_json_is_sorted_and_has_null_for_nan(pack: Path) -> None:
    text = (pack / "manifest.json").read_text(encoding="utf-8")
    manifest = json.loads(text)
    assert manifest["prices"]["rate"] is None
    assert text == json.dumps(manifest, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    summary = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    assert summary["verdict"]["effect"] == 0.0287654321


def test_csv_gives_back_every_number_and_leaves_nan_empty(pack: Path) -> None:
    expected = make_result().tables["abnormal_returns"]
    with (pack / "tables" / "abnormal_returns.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(expected.columns)
    assert [row["ar"] for row in rows].count("") == 1  # the one missing day
    for row, value in zip(rows, expected["ar"].tolist(), strict=True):
        assert row["ar"] == "" if math.isnan(value) else float(row["ar"]) == value
    raw = (pack / "tables" / "abnormal_returns.csv").read_bytes()
    assert b"\r" not in raw
    assert b"nan" not in raw.lower()


@pytest.mark.parametrize(
    ("value", "written"),
    [("=1+1", "'=1+1"), ("+A1", "'+A1"), ("-A1", "'-A1"), ("@SUM(A1)", "'@SUM(A1)"), ("\tx", "'\tx"),
     ("\rx", "'\rx"), ("^GSPC", "^GSPC"), ("[-1,1]", "[-1,1]"), (-0.5, -0.5), ("", "")],
)  # fmt: skip
def test_formulas_in_text_are_defused_and_numbers_kept(value: object, written: object) -> None:
    assert csv_safe(value) == written


def test_csv_and_workbook_never_hold_a_formula(tmp_path: Path) -> None:
    bad = '=HYPERLINK("http://127.0.0.1","x")'
    result = _edited(make_result(), "ledger", lambda table: table.assign(reason=bad))
    result = _edited(result, "shocks", lambda table: table.assign(title="-1+1"))
    write_pack(result, tmp_path, formats=("csv", "xlsx"))
    with (tmp_path / "ledger.csv").open(encoding="utf-8", newline="") as file:
        assert {row["reason"] for row in csv.DictReader(file)} == {"'" + bad}
    with (tmp_path / "tables" / "shocks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["title"] for row in rows} == {"'-1+1"}
    assert float(rows[0]["car"]) < 0  # a negative number stays a number
    book = openpyxl.load_workbook(tmp_path / "tables.xlsx")
    cell = book["ledger"].cell(2, list(TABLES["ledger"]).index("reason") + 1)
    assert (cell.data_type, cell.value) == ("s", bad)
    assert not any(cell.data_type == "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    assert not any(cell.hyperlink for sheet in book for row in sheet.iter_rows() for cell in row)


def test_workbook_cells_have_their_types_and_full_precision(pack: Path) -> None:
    book = openpyxl.load_workbook(pack / "tables.xlsx")
    assert book.sheetnames == ["summary", *make_result().tables]
    sheet, expected = book["tests"], make_result().tables["tests"]
    names = [cell.value for cell in sheet[1]]
    assert names == list(expected.columns)
    cell = sheet.cell(2, names.index("estimate") + 1)
    assert (cell.data_type, cell.value, cell.number_format) == ("n", expected["estimate"].iloc[0], "0.00%")
    assert sheet.cell(2, names.index("group") + 1).data_type == "s"
    nan_row = 2 + int(expected["statistic"].isna().to_numpy().argmax())
    assert sheet.cell(nan_row, names.index("statistic") + 1).value is None
    assert sheet.freeze_panes == "A2"
    assert book["reversal"].cell(2, list(TABLES["reversal"]).index("qualifies") + 1).value is True


def test_simulated_stamp_is_on_every_page_table_and_the_html(simulated: Path) -> None:
    for path in [simulated / "ledger.csv", *(simulated / "tables").glob("*.csv")]:
        table = pd.read_csv(path)
        assert table.columns[-1] == "simulated", path.name
        assert set(table["simulated"]) == {"SIMULATED"}, path.name
    for sheet in openpyxl.load_workbook(simulated / "tables.xlsx"):
        assert sheet.oddHeader.center.text == "SIMULATED"
    html = (simulated / "report.html").read_text(encoding="utf-8")
    assert '<div class="banner">SIMULATED' in html
    texts = _pdf_pages(simulated / "report.pdf")
    assert len(texts) >= 4
    assert all("SIMULATED" in text for text in texts)


def test_real_prices_carry_no_stamp(pack: Path) -> None:
    assert "SIMULATED" not in (pack / "report.html").read_text(encoding="utf-8")
    assert "simulated" not in (pack / "ledger.csv").read_text(encoding="utf-8")
    assert not any("SIMULATED" in text for text in _pdf_pages(pack / "report.pdf"))


def test_first_page_has_the_verdict_and_the_numbers_of_the_summary(pack: Path) -> None:
    first, *rest = (_words(text) for text in _pdf_pages(pack / "report.pdf"))
    assert SENTENCE in first
    for text in ("effect +2.9%", "−6.0% to +10.3%", "0.500", "N_eff 3.5", "smallest detectable effect 11.1%"):
        assert text in first
    assert "core peers · misreading [0, +1] 8 2 −5.2% −10.2% to −0.2% 0.312 0.250 0.041 <0.001" in first
    assert "Firm-events: 11 used, 1 shifted, 3 dropped" in first
    assert "PRECEDES DROP CPX26" in first
    assert "Which test to trust." in first
    assert "What more data would do." in first
    assert "Method" in rest[0]


def test_every_page_has_run_date_and_number(pack: Path) -> None:
    texts = [_words(text) for text in _pdf_pages(pack / "report.pdf")]
    for number, text in enumerate(texts, 1):
        assert "run optical-20260821-1a2b3c4d" in text
        assert f"data to 2026-08-21 page {number} of {len(texts)}" in text


def test_no_number_on_the_pages_has_many_digits(pack: Path) -> None:
    assert not re.search(r"\d\.\d{5,}", " ".join(_pdf_pages(pack / "report.pdf")))
    shown = re.sub(
        r"base64,[^\"]+|<style>.*?</style>",
        "",
        (pack / "report.html").read_text(encoding="utf-8"),
        flags=re.S,
    )
    assert not re.search(r"\d\.\d{5,}", shown)


def test_markup_in_names_is_inert_in_the_pdf(nasty: Path) -> None:
    text = _words(" ".join(_pdf_pages(nasty / "report.pdf")))
    assert f"GTC25 {NASTY}" in text


def test_markup_in_names_is_escaped_in_the_html(nasty: Path) -> None:
    html = (nasty / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{ 7*7 }}" in html
    assert html.count("<script>") == 1


def test_html_stands_alone(pack: Path) -> None:
    html = (pack / "report.html").read_text(encoding="utf-8")
    assert SENTENCE in html
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', html)
    assert len(sources) == len(plots.plots_of(make_result()))
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)


def test_chinese_names_are_shown_or_their_absence_is_said(pack: Path) -> None:
    text = _words(" ".join(_pdf_pages(pack / "report.pdf")))
    note = "no Chinese font found: Chinese names left out"
    if plots.cjk_font() is None:
        assert note in text
        assert "中际旭创" not in text
    else:
        assert note not in text
        assert "中际旭创" in text


def test_chinese_verdict_without_a_font_becomes_kind_and_numbers() -> None:
    content = pages.page_content(make_result())
    content["verdict"]["sentence"] = "无法判断:两个日期不足以区分"
    plain = without_cjk(content)
    assert plain["verdict"]["sentence"].startswith("Inconclusive. effect +2.9%; 95% interval −6.0% to +10.3%")
    assert plain["font_note"] == "no Chinese font found: Chinese names left out"


def test_left_out_formats_are_not_written(tmp_path: Path) -> None:
    files = write_pack(make_result(), tmp_path, formats=("json",))
    assert [path.name for path in files] == ["manifest.json", "summary.json"]


def test_unknown_format_and_full_folder_are_refused_together(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        write_pack(make_result(), tmp_path, formats=("pdf", "htm"))
    first, second = (str(problem) for problem in caught.value.problems)
    assert "'htm' is unknown" in first
    assert "did you mean 'html'" in first
    assert "is not empty" in second
    with pytest.raises(ConfigError, match="is not a folder"):
        write_pack(make_result(), tmp_path / "absent")


def test_progress_names_each_figure_and_file(tmp_path: Path) -> None:
    said: list[str] = []
    write_pack(make_result(), tmp_path, progress=said.append)
    assert said[0] == "figure 1/8 caar_by_label"
    assert said[-4:] == ["report.pdf", "report.html", "workbook", "tables"]


def test_study_without_one_usable_shock_still_makes_a_report(tmp_path: Path) -> None:
    result = make_result()
    empty = {name: table.iloc[:0] if name != "ledger" else table for name, table in result.tables.items()}
    verdict = {"kind": "inconclusive", "sentence": "Nothing could be tested.", "ci": [None, None]}
    summary = {**result.summary, "verdict": verdict, "small_table": [], "cvr": None, "leave_one_out": None}
    write_pack(StudyResult(result.run_id, empty, summary, result.manifest), tmp_path)
    assert "Nothing could be tested." in _words(_pdf_pages(tmp_path / "report.pdf")[0])


def test_matrix_codes_each_kind_of_reason() -> None:
    result = _edited(
        make_result(),
        "ledger",
        lambda table: table.assign(
            reason=table["reason"].replace("delisted 2025-02-28", "not_listed: INFN until 2025-02-28")
        ),
    )
    matrix = pages.page_content(result)["matrix"]
    (block,) = matrix["blocks"]
    assert block["tickers"] == [*PEERS, "INFN"]
    assert block["rows"][1] == ["LITE26", "●", "●", "s", "●", "a"]
    assert ["a", "not listed"] in matrix["legend"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0523, "+5.2%"), (-0.0523, "−5.2%"), (-0.0001, "0.0%"), (math.nan, "–"), (None, "–")],
)
def test_percent(value: float | None, text: str) -> None:
    assert pages.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.3124, "0.312"), (0.0004, "<0.001"), (0.0005, "0.001"), (1.0, "1.000"), (None, "–")]
)
def test_p_text(value: float | None, text: str) -> None:
    assert pages.p_text(value) == text


def test_words_of_groups_and_windows() -> None:
    assert pages.group_words("peers=core;label=no_news") == "core peers · no news"
    assert pages.group_words("all") == "all events"
    assert pages.window_words("[-10,20]") == "[−10, +20]"
    assert pages.window_words([0, 1]) == "[0, +1]"
