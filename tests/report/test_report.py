"""The result pack: whole, the same on each write, and deaf to what its strings would like to be."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from markupsafe import escape
from rich.console import Console
from small_study import PEERS, changed, small_study

from eventstudy import plots
from eventstudy.errors import ConfigError
from eventstudy.messages import catalogue, say
from eventstudy.report import wording
from eventstudy.report.document import Facts, FigureBlock, Paragraph, TableBlock, walk
from eventstudy.report.document import table as table_of
from eventstudy.report.pack import write_pack
from eventstudy.report.pages import study_document
from eventstudy.report.render.data import csv_safe
from eventstudy.report.render.html import font_faces
from eventstudy.report.render.tex import escaped, tabular
from eventstudy.report.render.xlsx import IN_CSV_ALONE
from eventstudy.report.sections.answer import headline
from eventstudy.report.sections.evidence import in_question
from eventstudy.report.sections.ledger import alignment
from eventstudy.report.sections.ledger import matrix as ledger_matrix
from eventstudy.report.sections.tests import leading_tests
from eventstudy.report.terminal import print_summary
from eventstudy.results.columns import TABLES
from eventstudy.results.result import StudyResult
from eventstudy.workers import forked_children

#: The answer as page 1 sets it.
SENTENCE = headline(small_study().facts, catalogue("en"))
NASTY = '#import "x" *bold* <script>alert(1)</script> $x$ @ref `raw` \\ [a] {{ 7*7 }}'


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    write_pack(small_study(), folder)
    return folder


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    write_pack(changed(small_study(), facts={"simulated": True}), folder)
    return folder


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = small_study()
    peers = {**result.facts["peers"], "LITE": {**result.facts["peers"]["LITE"], "name": NASTY}}
    shocks = result.to_frame("shocks")
    shocks["title"] = shocks["title"].mask(shocks["shock_id"] == "GTC25", NASTY)
    folder = tmp_path_factory.mktemp("nasty")
    write_pack(changed(result, facts={"study": NASTY, "peers": peers}, shocks=shocks), folder, formats=("pdf", "html"))
    return folder


def _edited(result: StudyResult, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> StudyResult:
    return changed(result, **{name: change(result.to_frame(name))})


def _pdf_pages(path: Path) -> list[str]:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    done = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, timeout=60, check=True)
    return done.stdout.decode("utf-8").split("\f")[:-1]


def _words(text: str) -> str:
    return " ".join(text.split())


def test_pack_holds_every_file(pack: Path) -> None:
    found = {path.relative_to(pack).as_posix() for path in pack.rglob("*") if path.is_file()}
    expected = {"report.pdf", "report.html", "tables.xlsx", "manifest.json", "summary.json", "ledger.csv"}
    expected |= {f"tables/{name}.csv" for name in small_study().tables if name != "ledger"}
    for plot in plots.plots_of(small_study()):
        expected |= {f"figures/{plot.name}.png", f"figures/{plot.name}.svg"}
    latex = set(study_document(small_study()).tables())
    assert {"summary", "tests", "shocks", "alignment", "peers"} <= latex
    latex |= {"tables", *(path.stem for path in (pack / "tables" / "latex").glob("paper_*.tex"))}
    expected |= {f"tables/latex/{name}.tex" for name in latex}
    assert found == expected | {"summary.md"}


def test_second_write_gives_the_same_bytes(pack: Path, tmp_path: Path) -> None:
    files = write_pack(small_study(), tmp_path)
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
    assert manifest["trials"] == small_study().manifest["trials"]
    assert text == json.dumps(manifest, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    summary = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    assert summary["verdict"]["effect"] == small_study().facts["verdict"]["effect"]
    assert summary["leave_one_out"] is None


def test_csv_gives_back_every_number_and_leaves_nan_empty(pack: Path) -> None:
    expected = small_study().tables["abnormal_returns"]
    with (pack / "tables" / "abnormal_returns.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(expected.columns)
    for row, value in zip(rows, expected["ar"].tolist(), strict=True):
        assert row["ar"] == "" if math.isnan(value) else float(row["ar"]) == value
    raw = (pack / "tables" / "abnormal_returns.csv").read_bytes()
    assert b"\r" not in raw
    assert b"nan" not in raw.lower()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+A1", "'+A1"),
        ("-A1", "'-A1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("^GSPC", "^GSPC"),
        ("[-1,1]", "[-1,1]"),
        (-0.5, -0.5),
        ("", ""),
    ],
)
def test_formulas_in_text_are_defused_and_numbers_kept(value: object, written: object) -> None:
    assert csv_safe(value) == written


def test_csv_and_workbook_never_hold_a_formula(tmp_path: Path) -> None:
    bad = '=HYPERLINK("http://127.0.0.1","x")'
    result = _edited(small_study(), "ledger", lambda table: table.assign(reason=bad))
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
    links = [cell.hyperlink for sheet in book for row in sheet.iter_rows() for cell in row if cell.hyperlink]
    assert all(link.location and not link.target for link in links)


def test_workbook_cells_have_their_types_and_full_precision(pack: Path) -> None:
    book = openpyxl.load_workbook(pack / "tables.xlsx")
    written = [name for name in small_study().tables if name not in IN_CSV_ALONE]
    assert book.sheetnames == ["page_1", "summary", "index", *written]
    assert [row[1].value for row in book["summary"].iter_rows() if row[0].value == "table falls"] == [
        "not in this workbook, see tables/falls.csv"
    ]
    sheet, expected = book["tests"], small_study().tables["tests"]
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
        assert (table["simulated"] == "SIMULATED").all(), path.name
    for sheet in openpyxl.load_workbook(simulated / "tables.xlsx"):
        assert sheet.oddHeader.center.text == "SIMULATED"
    html = (simulated / "report.html").read_text(encoding="utf-8")
    assert '<div class="banner" role="note">SIMULATED' in html
    for path in (simulated / "tables" / "latex").glob("*.tex"):
        assert path.stem == "tables" or "SIMULATED\n" in path.read_text(encoding="utf-8"), path.name
    assert "SIMULATED" in (simulated / "summary.md").read_text(encoding="utf-8")
    texts = _pdf_pages(simulated / "report.pdf")
    assert len(texts) >= 4
    assert all("SIMULATED" in text for text in texts)


def test_real_prices_carry_no_stamp(pack: Path) -> None:
    assert "SIMULATED" not in (pack / "report.html").read_text(encoding="utf-8")
    assert "simulated" not in (pack / "ledger.csv").read_text(encoding="utf-8")
    assert not any("SIMULATED" in text for text in _pdf_pages(pack / "report.pdf"))


def test_first_page_has_the_verdict_and_the_numbers_of_the_summary(pack: Path) -> None:
    first = _words(_pdf_pages(pack / "report.pdf")[0])
    summary = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    verdict = summary["verdict"]
    assert SENTENCE in first
    rank = f"rank {verdict['rank']} of {verdict['among']} by size"
    assert f"({rank}; two-sided p {wording.p_text(verdict['p_value'])})" in SENTENCE
    assert f"{wording.points(abs(verdict['effect']))} points" in SENTENCE
    for row in summary["small_table"]:
        span = wording.span(row["lower"], row["upper"], catalogue("en"))
        numbers = f"{wording.percent(row['estimate'])} {span} {wording.p_text(row['p_value'])}"
        assert f"{numbers} {row['n_events']} {row['n_dates']} {row['k_eff']:.1f}" in first
    assert "firm-events used 16, 4 dropped" in first
    assert "CPX26 was public before SA26" in first
    assert "Newsletter: 0 of 2 confirmed" in first
    assert "What would change the conclusion." in first


def test_every_page_has_run_date_and_number(pack: Path) -> None:
    texts = [_words(text) for text in _pdf_pages(pack / "report.pdf")]
    for number, text in enumerate(texts, 1):
        assert f"run {small_study().run_id}" in text
        assert f"data to {small_study().facts['data_date']} page {number} of {len(texts)}" in text


def test_no_number_on_the_pages_has_many_digits(pack: Path) -> None:
    assert not re.search(r"\d\.\d{5,}", " ".join(_pdf_pages(pack / "report.pdf")))
    html = (pack / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"<svg .*?</svg>|<style>.*?</style>|<script.*?</script>|viewBox", "", html, flags=re.S)
    assert not re.search(r"\d\.\d{5,}", shown)


def test_markup_in_names_is_inert_in_the_pdf(nasty: Path) -> None:
    text = _words(" ".join(_pdf_pages(nasty / "report.pdf")))
    assert "GTC25 2025-03-19 misreading #import" in text or f"misreading · {NASTY[:40]}" in text
    assert NASTY[:58] in text
    # The name of a peer stands whole in its table, on two lines where it is long.
    command = ["pdftotext", "-raw", str(nasty / "report.pdf"), "-"]
    whole = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout.decode("utf-8")
    assert "".join(NASTY.split()) in "".join(whole.split())


def test_markup_in_names_is_escaped_in_the_html(nasty: Path) -> None:
    html = (nasty / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{ 7*7 }}" in html
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, flags=re.S)
    assert len(scripts) == html.count("<script") == 5
    assert "alert(1)" in scripts[0]  # a name in the data, which no markup can leave
    assert "<" not in scripts[0]


def test_html_stands_alone(pack: Path) -> None:
    html = (pack / "report.html").read_text(encoding="utf-8")
    assert escape(SENTENCE) in html
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html
    assert html.count('<svg xmlns="http://www.w3.org/2000/svg"') == len(plots.plots_of(small_study()))
    (policy,) = set(re.findall(r"default-src[^\"]*", html))
    inline = "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    assert policy == f"default-src 'none'; {inline}; img-src data:; font-src data:"
    targets = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert targets
    assert all(target.startswith(("#", "data:image/png;base64,")) or (pack / target).is_file() for target in targets)


def test_no_two_drawings_of_the_page_share_an_id_and_every_reference_has_one(pack: Path) -> None:
    html = (pack / "report.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    pointed = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert pointed <= set(ids)


def _brought_fonts(html: str) -> list[TTFont]:
    coded = re.findall(r"data:font/woff;base64,([^)]+)", html)
    return [TTFont(io.BytesIO(base64.b64decode(data))) for data in coded]


def test_page_brings_the_letters_of_its_drawings_in_both_weights(pack: Path) -> None:
    html = (pack / "report.html").read_text(encoding="utf-8")
    drawn = " ".join(re.findall(r">([^<]+)</(?:text|tspan)>", html))
    letters = {ord(char) for char in unescape(drawn)}
    assert {ord(char) for char in "an0%\N{MINUS SIGN}·"} <= letters
    fonts = _brought_fonts(html)
    assert [font["OS/2"].usWeightClass for font in fonts] == [400, 700]
    for font, file in zip(fonts, ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"), strict=True):
        with TTFont(plots.latin_fonts() / file) as whole:
            known, mine = whole.getBestCmap(), font.getBestCmap()
            assert set(mine) == letters & set(known)
            assert font["head"].modified == whole["head"].modified
            for code, name in mine.items():
                assert font["hmtx"][name] == whole["hmtx"][known[code]], chr(code)
                points = [
                    glyf["glyf"][n].getCoordinates(glyf["glyf"])[0] for glyf, n in ((font, name), (whole, known[code]))
                ]
                assert points[0] == points[1], chr(code)
        font.close()
    assert (pack / "report.html").stat().st_size < 500_000


def test_letters_that_are_made_of_others_bring_these_along() -> None:
    drawing = '<text x="1">\N{LATIN SMALL LETTER E WITH ACUTE}</text>'
    assert font_faces([drawing]) == font_faces([drawing])
    for font in _brought_fonts(font_faces([drawing])):
        name, shapes = font.getBestCmap()[0xE9], font["glyf"]
        assert set(font.getBestCmap()) == {0xE9}
        assert shapes[name].isComposite()
        parts = shapes[name].getComponentNames(shapes)
        assert set(font.getGlyphOrder()) == {".notdef", name, *parts}
        assert all(shapes[part].numberOfContours > 0 for part in parts)
        font.close()


def test_words_of_the_drawings_can_be_found_in_the_pdf(pack: Path) -> None:
    text = _words(" ".join(_pdf_pages(pack / "report.pdf")))
    for said in ("cumulative return, %", "misreading (2 dates)"):
        assert said in text, said


def test_drawings_say_their_values_where_the_pointer_rests(pack: Path) -> None:
    html = (pack / "report.html").read_text(encoding="utf-8")
    shocks = small_study().tables["shocks"].set_index(["shock_id", "window"])
    for shock in ("GTC25", "LITE26", "SA26"):
        row = shocks.loc[(shock, "[0,1]")]
        assert f"<title>{shock} {row['day0']} drop [0,1]: {wording.percent(row['car'])}</title>" in html
    assert 'id="tip:' not in html


@pytest.fixture
def no_cjk_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without a font for Chinese, whatever this one has."""
    from matplotlib import font_manager

    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_, **__: [])
    plots.forget_fonts()
    yield
    monkeypatch.undo()
    plots.forget_fonts()


def test_without_a_chinese_font_the_tickers_stand_alone_with_one_note(no_cjk_font: None, tmp_path: Path) -> None:
    write_pack(small_study(), tmp_path, formats=("pdf",))
    text = _words(" ".join(_pdf_pages(tmp_path / "report.pdf")))
    assert text.count("no Chinese font found: Chinese names are left out") == 1
    assert not re.search("[\u4e00-\u9fff]", text)
    for ticker in PEERS:
        assert ticker in text


def test_with_a_chinese_font_the_names_are_in_the_text_of_the_pdf(pack: Path) -> None:
    if plots.cjk_font() is None:
        pytest.skip("no font with Chinese glyphs is installed; apt-get install fonts-wqy-zenhei brings one")
    text = _words(" ".join(_pdf_pages(pack / "report.pdf")))
    assert "no Chinese font found" not in text
    for ticker, (_, _, name_local) in PEERS.items():
        assert ticker in text
        assert name_local in text


def test_report_in_chinese_without_a_font_is_written_in_english(no_cjk_font: None, tmp_path: Path) -> None:
    write_pack(small_study("zh"), tmp_path, formats=("pdf", "html"))
    first = _words(_pdf_pages(tmp_path / "report.pdf")[0])
    assert SENTENCE.split(" (95 %")[0] in first
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in html
    assert "待检验的下跌" in html
    assert first.startswith("No font with Chinese characters was found, so report.pdf is in English")
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert "report.pdf 为英文" in manifest["missing_font"]


def test_report_in_chinese_has_its_words_and_the_same_numbers(tmp_path: Path) -> None:
    if plots.cjk_font() is None:
        pytest.skip("no font with Chinese glyphs is installed; apt-get install fonts-wqy-zenhei brings one")
    write_pack(small_study("zh"), tmp_path, formats=("pdf",))
    first, *rest = ("".join(text.split()) for text in _pdf_pages(tmp_path / "report.pdf"))
    verdict = small_study().facts["verdict"]
    p = wording.p_text(verdict["p_value"])
    rank = f"{verdict['among']}中居第{verdict['rank']}；双侧p{p}"
    shown = (f"高{wording.points(verdict['effect'])}个百分点", rank)
    for text in ("证据不足，尚无定论。", *shown, "2次标签为误读的冲击中，有2次"):
        assert text in first
    assert rest[0].startswith("与全部其他下跌的比较")


def test_images_have_300_dots_an_inch_and_the_size_of_their_drawings(pack: Path) -> None:
    from PIL import Image

    for plot in plots.plots_of(small_study()):
        with Image.open(pack / "figures" / f"{plot.name}.png") as image:
            assert [round(dots) for dots in image.info["dpi"]] == [300, 300], plot.name
            size, colours = image.size, len(image.convert("RGB").getcolors(maxcolors=2**20) or [])
        text = (pack / "figures" / f"{plot.name}.svg").read_text(encoding="utf-8")
        points = [float(value) for value in re.findall(r'<svg[^>]*?\b(?:width|height)="([\d.]+)pt"', text)]
        points += [float(re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)[2])]  # type: ignore[index]
        assert size[0] in {round(value * 300 / 72) + d for value in points for d in (-1, 0, 1)}, plot.name
        assert colours > 20, plot.name
        assert not list((pack / "figures").glob("*.typ"))


def test_captions_keep_clear_of_the_name_of_the_axis_in_both_languages() -> None:
    for language in ("en", "zh"):
        result = small_study(language)
        for plot in plots.plots_of(result):
            figure = plots.draw(result, plot)
            figure.draw_without_rendering()
            caption = next(text for text in figure.texts if text.get_gid() == "caption")
            top = caption.get_window_extent().y1
            for ax in figure.axes:
                name = ax.xaxis.label
                if name.get_text():
                    assert name.get_window_extent().y0 > top, (language, plot.name)


def test_answer_opens_page_one(pack: Path) -> None:
    first = _words(_pdf_pages(pack / "report.pdf")[0])
    assert first.index(SENTENCE) < first.index("The case: SA26") < first.index("Integrity of the evidence")


def test_no_p_value_stands_without_its_number_of_dates() -> None:
    tables = study_document(small_study()).tables()
    for block in (tables["summary"], tables["tests"], tables["multiplicity"]):
        assert "K" in block.head
    for name, block in tables.items():
        named = [head for head in block.head if head == "p" or head.startswith("p of")]
        told = " ".join([*block.head, block.note, block.title])
        assert not named or "K" in told.split() or "K =" in told or "(K" in told, (name, told)


def test_left_out_formats_are_not_written(tmp_path: Path) -> None:
    files = write_pack(small_study(), tmp_path, formats=("json",))
    assert [path.name for path in files] == ["manifest.json", "summary.json"]


def test_unknown_format_and_full_folder_are_refused_together(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        write_pack(small_study(), tmp_path, formats=("pdf", "htm"))
    first, second = (str(problem) for problem in caught.value.problems)
    assert "'htm' is unknown" in first
    assert "did you mean 'html'" in first
    assert "is not empty" in second
    with pytest.raises(ConfigError, match="is not a folder"):
        write_pack(small_study(), tmp_path / "absent")


def test_progress_names_each_figure_and_file(tmp_path: Path) -> None:
    said: list[str] = []
    write_pack(small_study(), tmp_path, progress=said.append)
    assert said[0] == f"figure 1/{len(plots.plots_of(small_study()))} forest"
    assert said[-5:] == ["images", "report.pdf", "tables", "workbook", "report.html"]


def test_study_without_one_usable_shock_still_makes_a_report(tmp_path: Path) -> None:
    result = small_study()
    empty = {name: table.iloc[:0] if name != "ledger" else table for name, table in result.tables.items()}
    verdict = {"kind": "inconclusive", "sentence": "Nothing could be tested.", "ci": [None, None], "window": "[2,20]"}
    summary = {**result.facts, "verdict": verdict, "small_table": [], "cvr": None, "leave_one_out": None}
    write_pack(replace(result, tables=empty, facts=summary), tmp_path)
    assert "Cannot say." in _words(_pdf_pages(tmp_path / "report.pdf")[0])


def test_matrix_codes_each_kind_of_reason() -> None:
    result = _edited(
        small_study(),
        "ledger",
        lambda table: table.assign(
            status=table["status"].mask((table["event_id"] == "LITE26") & (table["ticker"] == "LITE"), "shifted")
        ),
    )
    (block,), legend = ledger_matrix(result, catalogue("en"))
    assert block.head == ["event", *PEERS, "INFN"]
    assert block.rows[1] == ("LITE26", "●", "●", "s", "●", "a")
    assert [row[-1] for row in block.rows] == ["a"] * 4
    assert ("a", "not listed then") in legend


@pytest.mark.parametrize(
    ("value", "text"), [(0.0523, "+5.2%"), (-0.0523, "−5.2%"), (-0.0001, "0.0%"), (math.nan, "–"), (None, "–")]
)
def test_percent(value: float | None, text: str) -> None:
    assert wording.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.3124, "0.312"), (0.0004, "<0.001"), (0.0005, "0.001"), (1.0, "1.000"), (None, "–")]
)
def test_p_text(value: float | None, text: str) -> None:
    assert wording.p_text(value) == text


def test_words_of_groups_and_windows() -> None:
    english, chinese = catalogue("en"), catalogue("zh")
    assert wording.group_words("peers=core;label=no_news", english) == "core peers · no news"
    assert wording.group_words("peers=core;label=no_news", chinese) == "核心同业 · 无消息"
    assert wording.group_words("all", english) == "all events"
    assert wording.window_words("[-10,20]") == "[−10, +20]"
    assert wording.window_words([0, 1]) == "[0, +1]"


def test_page_one_stays_one_page_and_keeps_the_numbers_with_extreme_text(tmp_path: Path) -> None:
    long = "An answer that goes on and on about what the peers did, " * 30
    result = small_study()
    flags = [{"event_id": f"E{i}", "clarifies": "SA26", "flag": "PRECEDES_DROP", "sentence": long} for i in range(9)]
    summary = {
        **result.facts,
        "case_study": {**result.facts["case_study"], "sentence": long},
        "trust": long,
        "more_data": long,
        "chronology": flags,
        "small_table": result.facts["small_table"] * 3,
        "study": "A study with a very long name " * 6,
        "price_source": "files:" + "a" * 300,
    }
    write_pack(replace(result, facts=summary), tmp_path, formats=("pdf",))
    first, second, *_ = (_words(text) for text in _pdf_pages(tmp_path / "report.pdf"))
    assert second.startswith("Comparison with all other falls")
    assert SENTENCE in first
    assert "Integrity of the evidence" in first


def test_alignment_has_one_row_an_event_and_one_column_a_region() -> None:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = (
            table[table["event_id"] != "CPX26"]
            .reset_index(drop=True)
            .assign(note="", note_code="", timestamp="2025-03-19T00:00:00+00:00")
        )
        table["reaction"] = ["closed", "after_close"] * 3
        table.loc[table["mic"] == "XSHE", "session"] = "2026-06-11"
        table.loc[0, "note"] = "XSHE was closed until then: its first return bridges 9 days"
        return table

    shown, _, note = alignment(_edited(small_study(), "alignment", change), catalogue("en")).blocks
    assert isinstance(shown, TableBlock)
    assert shown.head == ["event", "time (UTC)", "precision", "CN", "US"]
    assert shown.rows[0] == ("GTC25", "2025-03-19 00:00", "date", "2026-06-11~ (1)", "2025-03-19+")
    assert [row[0] for row in shown.rows] == ["GTC25", "LITE26", "SA26"]
    assert note == Paragraph("(1) XSHE was closed until then: its first return bridges 9 days", tone="note")


def test_tests_table_has_one_row_a_group_and_window_with_a_column_a_test() -> None:
    result = small_study()
    shown = leading_tests(result, catalogue("en"))
    assert shown.head[5:9] == ["date-level t", "sign-flip", "permutation", "BMP-KP"]
    rows = {row[:2]: row for row in shown.rows}
    assert len(rows) == len(shown.rows)
    p_values = result.tables["tests"].set_index(["group", "window", "name"])["p_value"]
    for group, name in (("all", "all events"), ("label=misreading", "misreading"), ("label=genuine", "genuine")):
        for window in ("[0,1]", "[2,20]"):
            row = rows[name, wording.window_words(window)]
            assert (*row[5:7], row[8]) == tuple(
                wording.p_text(p_values[group, window, test]) for test in ("date_t", "sign_flip", "bmp_kp")
            )
    assert rows["genuine", "[0, +1]"][5:7] == ("–", "–")


def test_full_study_has_a_section_for_each_part_it_has(tmp_path: Path) -> None:
    result = small_study()
    document = study_document(result)
    assert [section.name for section in document.sections[:13]] == [
        "answer",
        "verdicts",
        "placebos",
        "reversal",
        "claims",
        "clarifications",
        "backtest",
        "tests",
        "shocks",
        "multiplicity",
        "reversal_measures",
        "specifications",
        "diagnostics",
    ]
    for name, figures in (
        ("placebos", ["placebo_balance", "power"]),
        ("backtest", ["equity_curve", "cost_sensitivity"]),
        ("specifications", ["specification_curve"]),
    ):
        assert {b.name for b in walk(document.section(name).blocks) if isinstance(b, FigureBlock)} == set(figures)
    tables = document.tables()
    measures = {row[0]: row[1] for row in tables["reversal_measures"].rows}
    verdict, trade = result.facts["verdict"], result.facts["backtest"]
    effect, p_value = wording.percent(verdict["effect"]), wording.p_text(verdict["p_value"])
    assert measures["excess over control drops"].startswith(effect)
    assert measures["excess over control drops"].endswith(f"p {p_value}")
    found = result.tables["reversal_measures"].query("group == 'label=misreading'").set_index("measure")["estimate"]
    assert measures["reversal ratio"] == f"{found['reversal_ratio']:.2f}"
    numbers = {row[0]: row[1:] for row in tables["backtest"].rows}
    every = trade["comparison"]["every_drop"]
    assert numbers["net per trade"][:2] == tuple(wording.percent(run["net_per_trade"]) for run in (trade, every))
    assert numbers["interval of the hit rate"][0] == f"{trade['hit_ci'][0]:.0%} to {trade['hit_ci'][1]:.0%}"
    write_pack(result, tmp_path, formats=("pdf", "html", "tex", "md"))
    text = _words(" ".join(_pdf_pages(tmp_path / "report.pdf")))
    for title in ("Matched control drops", "The case day by day, and claims checked", "Specification curve"):
        assert title in text


@pytest.mark.parametrize("dates", [2, 5, 6])
def test_shares_of_a_few_dates_are_not_on_page_one(dates: int) -> None:
    result = small_study()
    result = changed(result, verdict={"n_dates": dates, "group": "label=misreading"})
    names = [name for name, _ in in_question(result, catalogue("en"))]
    assert names[0] == "CAR of the drop"
    assert ("dates with a rebound" in names) == ("reversal ratio" in names) == (dates >= 6)
    assert ("ratio of the control drops" in names) == (dates >= 6)


def test_events_in_the_post_window_stand_beside_the_verdict(tmp_path: Path) -> None:
    plain = small_study()
    within = say("inside.all", shocks=say("inside.shock", shock="LITE26", events="RUM26 (2026-02-11)"))
    result = changed(plain, verdict={"inside": within})
    write_pack(result, tmp_path, formats=("pdf", "html"))
    said_so = "lie in the post window: LITE26 has RUM26 (2026-02-11)."
    assert said_so in _words(_pdf_pages(tmp_path / "report.pdf")[1])
    assert said_so in (tmp_path / "report.html").read_text(encoding="utf-8")
    console = Console(record=True, width=300)
    print_summary(result, console)
    assert said_so in console.export_text()


def test_study_without_those_parts_has_none_of_their_sections() -> None:
    document = study_document(small_study(kind="volatility"))
    names = [section.name for section in document.sections]
    assert names[names.index("tests") :] == [
        "tests",
        "shocks",
        "multiplicity",
        "diagnostics",
        "alignment",
        "ledger",
        "method",
        "settings",
        "notes",
        "peers",
        "read",
        "references",
    ]
    lines = [b for b in document.section("answer").blocks if isinstance(b, Facts) and b.title]
    assert [block.title for block in lines] == ["Integrity of the evidence"]


def test_latex_escapes_every_special_character_and_has_its_rules() -> None:
    assert escaped("50% & a_b #1 {x} $y$ ~^ \\cmd <0.001 −2.0%") == (
        r"50\% \& a\_b \#1 \{x\} \$y\$ \textasciitilde{}\textasciicircum{} \textbackslash{}cmd "
        r"\textless{}0.001 $-$2.0\%"
    )
    text = tabular(table_of(["group", "p"], [["[0, +1]", "0.05"]], left=1))
    assert text.splitlines()[1:] == [
        r"{\small\setlength{\tabcolsep}{3.5pt}%",
        r"\begin{threeparttable}",
        r"\begin{tabular}{@{}lr@{}}",
        r"\toprule",
        r"group & p \\",
        r"\midrule",
        r"{[0, +1]} & 0.05 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{threeparttable}%",
        "}",
    ]
    assert r"\begin{longtable}" in tabular(table_of(["a"], [["1"]] * 46, left=0))


def test_markdown_has_the_verdict_and_the_table_and_no_live_markup(tmp_path: Path) -> None:
    write_pack(changed(small_study(), facts={"study": NASTY}), tmp_path, formats=("md",))
    lines = (tmp_path / "summary.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == (
        '# \\#import "x" \\*bold\\* \\<script\\>alert(1)\\</script\\> \\$x\\$ @ref \\`raw\\` \\\\ \\[a\\] '
        "\\{\\{ 7\\*7 \\}\\}"
    )
    assert any(line.startswith("> Cannot say. 2 of the 2 shocks labelled misreading fell") for line in lines)
    mean = wording.percent(small_study().facts["small_table"][2]["estimate"])
    assert any(line.startswith(f"| misreading | \\[0, +1\\] | {mean} |") and "| 8 | 2 |" in line for line in lines)


def test_parquet_gives_back_the_tables(tmp_path: Path) -> None:
    result = small_study()
    write_pack(result, tmp_path, formats=("parquet",))
    for name, table in result.tables.items():
        back = pd.read_parquet(tmp_path / "tables" / f"{name}.parquet")
        pd.testing.assert_frame_equal(back, table.reset_index(drop=True), check_dtype=False)


def _with_templates(folder: Path) -> StudyResult:
    """The small study with templates of its own in its settings."""
    result = small_study()
    settings = {**result.manifest.get("settings", {}), "report": {"templates": str(folder)}}
    return replace(result, manifest={**result.manifest, "settings": settings})


def test_own_templates_stand_in_for_the_shipped_ones(tmp_path: Path) -> None:
    own, first, second = (tmp_path / name for name in ("own", "first", "second"))
    for folder in (own, first, second):
        folder.mkdir()
    (own / "report.html.j2").write_text("<p>{{ verdict.sentence }}</p>", encoding="utf-8")
    result = _with_templates(own)
    write_pack(result, first, formats=("html", "pdf"))
    assert (first / "report.html").read_text(encoding="utf-8") == f"<p>{escape(SENTENCE)}</p>\n"
    assert "Comparison with all other falls" in _pdf_pages(first / "report.pdf")[1]
    (own / "report.html.j2").write_text("{{ no_such_name }}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"report\.html\.j2.*cannot be filled in: 'no_such_name' is undefined"):
        write_pack(result, second, formats=("html",))
    (own / "report.typ").write_text("#let x = ", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"report\.typ.*does not compile"):
        write_pack(result, second, formats=("pdf",))
    with pytest.raises(ConfigError, match=r"report\.templates names one"):
        write_pack(_with_templates(tmp_path / "absent"), second, formats=("pdf",))


def test_the_report_of_a_large_study_stays_small(tmp_path: Path) -> None:
    """Thirty shocks: the three of the study under ten names each."""
    result = small_study()
    tables = {
        name: pd.concat(
            [table.assign(shock_id=table["shock_id"] + f"-{copy}") for copy in range(10)], ignore_index=True
        )
        for name, table in result.tables.items()
        if "shock_id" in table and name not in ("tests", "aar")
    }
    write_pack(changed(result, **tables), tmp_path, formats=("pdf",))
    assert (tmp_path / "report.pdf").stat().st_size < 5_000_000


def test_nothing_is_said_as_zero_percent_with_as_many_digits_as_anything() -> None:
    assert [wording.percent(-1e-9, digits) for digits in (0, 1, 2)] == ["0%", "0.0%", "0.00%"]


def test_a_second_process_changes_no_byte(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    alone.mkdir()
    shared.mkdir()
    write_pack(small_study(), alone)
    with forked_children() as start:
        write_pack(small_study(), shared, start=start)
    files = {path.relative_to(alone): path.read_bytes() for path in alone.rglob("*") if path.is_file()}
    assert {p.relative_to(shared): p.read_bytes() for p in shared.rglob("*") if p.is_file()} == files
