"""The HTML report in a browser: nothing is blocked, every figure shows, tables sort, all can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from browser import axe, visit
from small_study import small_study

from eventstudy import plots
from eventstudy.report.pack import write_pack

CHECK = """
  found.figures = [...document.querySelectorAll("figure svg")].map(svg => {
    const box = svg.getBoundingClientRect(), frame = svg.parentElement;
    return {
      label: svg.getAttribute("aria-label"), role: svg.getAttribute("role"),
      width: box.width, height: box.height,
      drawn: svg.querySelectorAll("path").length, overflow: frame.scrollWidth - frame.clientWidth,
      ground: getComputedStyle(svg.querySelector("path")).fill,
    };
  });
  found.page = document.documentElement.scrollWidth - innerWidth;
  found.width = innerWidth;
  found.lang = document.documentElement.lang;
  found.levels = [...document.querySelectorAll("h1,h2,h3")].filter(head => head.checkVisibility())
    .map(head => Number(head.tagName[1]));
  const table = document.getElementById("reversal").parentElement.querySelector("#reversal ~ .wide table");
  const column = () => [...table.tBodies[0].rows].map(row => row.cells[4].textContent.trim());
  const press = () => table.tHead.rows[0].cells[4].querySelector("button").click();
  found.before = column(); press(); found.up = column(); found.sort = table.tHead.rows[0].cells[4].ariaSort;
  press(); found.down = column();
  const longest = [...document.querySelectorAll("main .bar")]
    .map(bar => [bar, bar.nextElementSibling.querySelector("table")])
    .sort((a, b) => b[1].tBodies[0].rows.length - a[1].tBodies[0].rows.length)[0];
  const [bar, rows] = [longest[0], [...longest[1].tBodies[0].rows]], input = bar.querySelector("input");
  const seen = () => rows.filter(row => row.checkVisibility()).length;
  found.filter = {all: rows.length, first: seen()};
  input.value = rows[2].cells[0].textContent; input.dispatchEvent(new Event("input"));
  found.filter.kept = seen();
  const asked = input.value.trim().toLowerCase();
  found.filter.expected = rows.filter(row => row.textContent.toLowerCase().includes(asked)).length;
  input.value = ""; input.dispatchEvent(new Event("input"));
  if (window.axe) {
    const report = await axe.run(document, {resultTypes: ["violations"]});
    found.axe = report.violations.map(rule => `${rule.id}: ${rule.nodes[0].html.slice(0, 120)}`);
  }
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_pack(small_study(), folder, formats=("html",))
    return folder / "report.html"


def _visit(page: Path, tmp_path: Path, **how: Any) -> dict[str, Any]:
    return visit(page, tmp_path, CHECK, **how)


def test_nothing_fails_nothing_is_blocked_and_every_figure_shows(page: Path, tmp_path: Path) -> None:
    found = _visit(page, tmp_path)
    assert (found["errors"], found["blocked"], found["console"], found["asked"]) == ([], [], [], [])
    assert len(found["figures"]) == len(plots.plots_of(small_study()))
    for figure in found["figures"]:
        assert figure["width"] > 300, figure
        assert figure["height"] > 100, figure
        assert figure["drawn"] > 5, figure


def test_a_table_sorts_by_number_up_and_down(page: Path, tmp_path: Path) -> None:
    found = _visit(page, tmp_path)

    def numbers(cells: list[str]) -> list[float]:
        return [float(cell.replace("−", "-").rstrip("%")) for cell in cells]

    assert len(found["before"]) == 3
    assert numbers(found["up"]) == sorted(numbers(found["before"]))
    assert numbers(found["down"]) == sorted(numbers(found["before"]), reverse=True)
    assert found["sort"] == "ascending"


def test_a_filter_keeps_the_rows_that_hold_its_words(page: Path, tmp_path: Path) -> None:
    found = _visit(page, tmp_path)["filter"]
    assert found["all"] > 8
    assert found["first"] == (15 if found["all"] > 25 else found["all"])
    assert 0 < found["kept"] == found["expected"] < found["all"]


def test_figures_have_the_ground_of_the_page_light_and_dark(page: Path, tmp_path: Path) -> None:
    assert {figure["ground"] for figure in _visit(page, tmp_path)["figures"]} == {"rgb(255, 255, 255)"}
    assert {figure["ground"] for figure in _visit(page, tmp_path, dark=True)["figures"]} == {"rgb(22, 24, 27)"}


def test_on_a_phone_figures_scroll_in_their_own_box_and_stay_legible(page: Path, tmp_path: Path) -> None:
    found = _visit(page, tmp_path, width=390)
    assert found["width"] == 390
    assert found["page"] <= 0  # the page itself never scrolls sideways
    wide = [figure for figure in found["figures"] if figure["overflow"] > 0]
    assert wide
    # Type of 6.5 points in a drawing of 504 points: at 688 px it is about as large as a footnote.
    assert min(figure["width"] for figure in wide) >= 360
    assert max(figure["width"] for figure in wide) >= 680


def test_headings_and_drawings_are_named_for_readers_who_listen(page: Path, tmp_path: Path) -> None:
    found = _visit(page, tmp_path)
    assert found["lang"] == "en"
    assert found["levels"][0] == 1
    assert all(b - a <= 1 for a, b in zip(found["levels"], found["levels"][1:], strict=False))
    assert all(figure["role"] == "img" and len(figure["label"]) > 15 for figure in found["figures"])


def test_type_has_contrast_on_its_ground_in_light_and_dark(page: Path) -> None:
    style = page.read_text(encoding="utf-8").split("</style>")[0]
    light, dark = (dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{([^}]*)\}", style))
    for colours in (light, dark):
        for name in ("ink", "grey", "accent"):
            for ground in ("paper", "soft"):
                assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground, colours)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_fault(page: Path, tmp_path: Path, dark: bool) -> None:
    library = axe()
    if library is None:
        pytest.skip("axe-core is not there: npm install axe-core beside the project, or AXE_CORE names axe.min.js")
    assert _visit(page, tmp_path, dark=dark, library=library)["axe"] == []


def _contrast(first: str, second: str) -> float:
    """Contrast ratio after WCAG 2.1."""
    a, b = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (a + 0.05) / (b + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
