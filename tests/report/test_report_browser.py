"""The HTML report in a browser: nothing is blocked, every figure shows, tables sort, all can be read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from small_study import small_study

from eventstudy import plots
from eventstudy.report.pack import write_pack

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
ROOT = Path(__file__).parents[2]
PROBE = """
<script>
window.found = {errors: [], blocked: []};
addEventListener("error", event => found.errors.push(event.message));
addEventListener("securitypolicyviolation", event => found.blocked.push(event.violatedDirective));
</script>
"""
CHECK = """
<script>
addEventListener("load", async () => {
  found.figures = [...document.querySelectorAll("figure svg")].map(svg => {
    const box = svg.getBoundingClientRect(), frame = svg.parentElement;
    return {
      label: svg.getAttribute("aria-label"), role: svg.getAttribute("role"),
      width: box.width, height: box.height,
      drawn: svg.querySelectorAll("path").length, overflow: frame.scrollWidth - frame.clientWidth,
    };
  });
  found.page = document.documentElement.scrollWidth - innerWidth;
  found.lang = document.documentElement.lang;
  found.levels = [...document.querySelectorAll("h1,h2,h3")].map(head => Number(head.tagName[1]));
  const table = document.getElementById("reversal").nextElementSibling.querySelector("table");
  const column = () => [...table.tBodies[0].rows].map(row => row.cells[4].textContent.trim());
  const press = () => table.tHead.rows[0].cells[4].querySelector("button").click();
  found.before = column(); press(); found.up = column(); found.sort = table.tHead.rows[0].cells[4].ariaSort;
  press(); found.down = column();
  if (window.axe) {
    const report = await axe.run(document, {resultTypes: ["violations"]});
    found.axe = report.violations.map(rule => `${rule.id}: ${rule.nodes[0].html.slice(0, 120)}`);
  }
  document.documentElement.dataset.found = JSON.stringify(found);
});
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_pack(small_study(), folder, formats=("html",))
    return folder / "report.html"


def _axe() -> Path | None:
    places = [os.environ.get("AXE_CORE", ""), str(ROOT / "node_modules" / "axe-core" / "axe.min.js")]
    return next((Path(place) for place in places if place and Path(place).is_file()), None)


def _visit(
    page: Path, tmp_path: Path, *, width: int = 1200, dark: bool = False, axe: Path | None = None
) -> dict[str, Any]:
    """Open the page with a probe in it and return what the probe found."""
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    html = page.read_text(encoding="utf-8")
    library = f"<script>{axe.read_text(encoding='utf-8')}</script>" if axe else ""
    html = html.replace("<style>", PROBE + "<style>", 1).replace("</body>", library + CHECK + "</body>")
    copy = tmp_path / "probed.html"
    copy.write_text(html, encoding="utf-8")
    arguments = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},900",
        "--virtual-time-budget=20000",
        "--enable-logging=stderr",
        *(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []),
        "--dump-dom",
        copy.as_uri(),
    ]
    done = subprocess.run(arguments, capture_output=True, timeout=90)
    dom = done.stdout.decode("utf-8", errors="replace")
    match = re.search(r'data-found="([^"]*)"', dom)
    assert match, done.stderr.decode(errors="replace")[-1500:]
    found: dict[str, Any] = json.loads(unescape(match[1]))
    found["console"] = [line for line in done.stderr.decode(errors="replace").splitlines() if ":CONSOLE" in line]
    return found


def test_nothing_fails_nothing_is_blocked_and_every_figure_shows(page: Path, tmp_path: Path) -> None:
    found = _visit(page, tmp_path)
    assert (found["errors"], found["blocked"], found["console"]) == ([], [], [])
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


def test_on_a_phone_figures_scroll_in_their_own_box_and_stay_legible(page: Path, tmp_path: Path) -> None:
    found = _visit(page, tmp_path, width=500)
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
    axe = _axe()
    if axe is None:
        pytest.skip("axe-core is not there: npm install axe-core beside the project, or AXE_CORE names axe.min.js")
    assert _visit(page, tmp_path, dark=dark, axe=axe)["axe"] == []


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
