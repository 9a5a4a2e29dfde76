"""Every code block and command of the README and the docs runs, and what the pages say is so."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pandas as pd
import pytest
from recipe_files import write_recipe_files
from studies import event_row, write_events, write_prices
from test_import_est import write_files

import eventstudy
from eventstudy import config, prices
from eventstudy.cli import cli, main
from eventstudy.core import models as expected_returns
from eventstudy.core import statistics as inference
from eventstudy.events import parse_events
from eventstudy.exchanges import exchange
from eventstudy.prices.files import FilesProvider
from eventstudy.registry import MODELS, STATISTICS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
PACK = ROOT / "results" / "optical-2026-06"
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^>]+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
#: Marks of the README: what follows is run by .ci/run itself.
BY_CI = ("run", "test")
QUICK = '\n[report]\nformats = ["csv", "json"]\n'
SMALL = "\n[reversal]\nspecification_curve = false\n"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page: its language, its text, and the line that it begins on."""

    page: Path
    kind: str
    text: str
    line: int
    mark: str

    @property
    def runs(self) -> bool:
        return not self.mark.startswith("not run: ") and self.mark not in BY_CI


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, found["kind"], found["text"], text.count("\n", 0, found.start()) + 1, found["mark"] or "")
        for found in BLOCK.finditer(text)
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages speak of: three airlines with prices, and a request of EventStudyTools."""
    folder = tmp_path_factory.mktemp("docs")
    write_prices(folder / "prices", ("DAL", "UAL", "LUV"))
    (folder / "prices" / "IDX.csv").rename(folder / "prices" / "^GSPC.csv")
    write_events(
        folder,
        [
            event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-10"),
            event_row("E2", "2021-09-08", label="genuine", label_asof="2021-09-08"),
        ],
    )
    peers = "".join(f'[[peers]]\nticker = "{name}"\nmarket = "XNYS"\n' for name in ("DAL", "UAL", "LUV"))
    market = '[[markets]]\nmic = "XNYS"\nbenchmark = "^GSPC"\nregion = "US"\n'
    (folder / "airlines.toml").write_text(
        f'[study]\nname = "Airlines"\n{market}{peers}{QUICK}{SMALL}', encoding="utf-8"
    )
    write_market(folder)
    (folder / "est").mkdir()
    write_files(folder / "est")
    write_recipe_files(folder)
    for name in ("examples/drug-news.csv", "eventstudy/sectors/healthcare/prices.parquet"):
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def write_market(folder: Path) -> None:
    """A market's events and its long file of prices, of the same three airlines."""
    long = pd.concat(
        [
            pd.read_csv(path, parse_dates=["date"]).assign(ticker=path.stem)[["ticker", "date", "adj_close"]]
            for path in sorted((folder / "prices").glob("*.csv"))
        ]
    )
    long.to_parquet(folder / "prices.parquet", index=False)
    dates = pd.to_datetime(["2021-06-09", "2021-06-09", "2021-09-08"])
    events = pd.DataFrame({"ticker": ["DAL", "UAL", "LUV"], "date": dates})
    events.to_parquet(folder / "events.parquet", index=False)


@pytest.fixture
def registries() -> Iterator[None]:
    """The registries as they were, whatever a page adds."""
    parts: list[dict[str, Any]] = [inference.STATISTICS, expected_returns.MODELS, prices.PROVIDERS]  # type: ignore[list-item]
    kept = [dict(part) for part in parts]
    yield
    for part, before in zip(parts, kept, strict=True):
        part.clear()
        part.update(before)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_block_runs_or_says_why_not(
    page: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [block for block in blocks(page) if block.runs]
    if any(block.kind in ("sh", "python") for block in found):
        shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": page.stem}
    for block in found:
        where = f"{page.name}:{block.line}"
        if block.kind == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                run_command(line, where)
        elif block.kind == "python":
            exec(compile(block.text, where, "exec"), names)  # noqa: S102 - the pages' own code
        elif block.kind == "toml":
            table = tomllib.loads(block.text)
            if "exchanges" in table:
                read_exchanges(block.text, tmp_path, monkeypatch)
            else:
                assert "project" in table or not config.unknown_keys(where, table), where
        elif block.kind == "csv":
            read_table(block.text, tmp_path, where)
        else:
            assert block.kind == "text", f"{where}: a block says its language, or why it is not run"


def read_exchanges(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a file of exchanges from a folder of its own."""
    own = folder / "further"
    own.mkdir()
    (own / "own.toml").write_text(text, encoding="utf-8")
    with monkeypatch.context() as context:
        context.setenv(exchange.FOLDER, str(own))
        known = exchange.exchanges()["XWAR"]
        assert [fee.bps for fee in known.fees] == [12.0]
        assert exchange.boards()[known.board].limits[0].kind == "none"


def run_command(line: str, where: str) -> None:
    """Run one line that begins with ``eventstudy``, quick settings added to studies that it writes."""
    words = shlex.split(line, comments=True)
    if not words:
        return
    assert words[0] == "eventstudy", f"{where}: {line}"
    expected = 3 if "# exit code 3" in line else 0
    assert main(words[1:]) == expected, f"{where}: {line}"
    for path in Path().glob("*/eventstudy.toml"):
        text = path.read_text(encoding="utf-8")
        if QUICK not in text:
            path.write_text(text + QUICK + SMALL, encoding="utf-8")


def read_table(text: str, folder: Path, where: str) -> None:
    if text.startswith("event_id,"):
        assert len(parse_events(text.encode(), where)) >= 1
        return
    assert text.startswith("date,"), where
    (folder / "prices_shown").mkdir()
    (folder / "prices_shown" / "X.csv").write_text(text, encoding="utf-8")
    request = prices.PriceRequest(("X",), dt.date(2000, 1, 1), dt.date(2030, 1, 1))
    assert FilesProvider(folder / "prices_shown").fetch(request).outcomes["X"].status == "ok"


def test_marks_are_known_and_give_a_reason() -> None:
    marks = {block.mark for page in PAGES for block in blocks(page) if block.mark}
    assert all(mark in BY_CI or re.fullmatch(r"not run: .{10,}", mark) for mark in marks), marks
    ran = [block for page in PAGES for block in blocks(page) if block.runs and block.kind in ("sh", "python")]
    assert len(ran) > 15


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_that_of_the_registries() -> None:
    made = _module("make_reference")
    assert sorted(made.MODEL_NOTES) == sorted(MODELS.declared)
    assert sorted(made.STATISTIC_NOTES) == sorted(STATISTICS.declared)
    for page, text in (("models.md", made.models_page()), ("statistics.md", made.statistics_page())):
        assert (DOCS / page).read_text(encoding="utf-8") == text, "run docs/make_reference.py"
    for name in MODELS.declared:
        assert f"## {name}\n\n    " in made.models_page()


def test_the_table_of_sizes_is_that_of_size_and_power() -> None:
    def rows(page: str, start: str, end: str) -> list[list[str]]:
        text = (DOCS / page).read_text(encoding="utf-8").partition(start)[2].partition(end)[0]
        cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
        return [[cell.strip() for cell in row] for row in cells]

    found = rows("size-and-power.md", "## Size, %, window [0,1]", "## Size, %, window")
    measured = {row[0]: row for row in found}
    shown = rows("choosing-a-test.md", "How often each rejects", "## Several")
    assert len(shown) == 13
    for name, random, common, doubled in shown:
        assert [random, common, doubled] == [measured[name][1], measured[name][2], measured[name][4]]


def test_names_in_the_tables_exist() -> None:
    known = {*STATISTICS.declared, *MODELS.declared}
    page = (DOCS / "choosing-a-test.md").read_text(encoding="utf-8").partition("## How often")[0]
    named = set(re.findall(r"`([a-z_]+)`", page)) - {"_kp"}
    assert named <= known, named - known
    page = (DOCS / "coming-from.md").read_text(encoding="utf-8")
    ours = {
        name
        for line in page.splitlines()
        if line.startswith("| ") and "|" in line[2:]
        for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", line.rsplit("|", 2)[1])
    }
    windows = {f"{window}_{end}" for window in ("estimation", "event") for end in ("start", "end")}
    assert ours - known <= {"event_id", "factors_file", *windows}
    assert len(ours & known) == 15


def points(value: float, digits: int = 1) -> str:
    return f"{abs(100 * value):.{digits}f}"


def test_the_tutorial_says_what_the_pack_says() -> None:
    facts = json.loads((PACK / "summary.json").read_text(encoding="utf-8"))
    page = " ".join((DOCS / "tutorial-june-2026.md").read_text(encoding="utf-8").split())
    shocks = pd.read_csv(PACK / "tables" / "shocks.csv").set_index(["shock_id", "window"])
    reversal = pd.read_csv(PACK / "tables" / "reversal.csv").set_index("shock_id")
    claims = pd.read_csv(PACK / "tables" / "claims.csv").set_index("claim_id")
    counts, case, verdict = facts["counts"], facts["case_study"], facts["verdict"]
    late = facts["exploratory"]
    status = pd.read_csv(PACK / "ledger.csv")["status"].value_counts()
    why, misread_one, ours = counts["reasons"], reversal.loc["LITE26"], reversal.loc["SA26"]
    worth = facts["headline"]["n_effective"]
    day0, whole = shocks.loc[("SA26", "[0,0]")], shocks.loc[("SA26", "[0,1]")]
    tests = pd.read_csv(PACK / "tables" / "tests.csv").query(f"group == {facts['headline_group']!r}")
    tests = tests.set_index(["window", "name"])
    drop, p = tests.loc["[0,1]", "date_t"], tests["p_value"]
    article = claims[claims["source"] == "TubeX Research"]
    assert (article["verdict"] == "confirmed").sum() == 0
    assert (article["verdict"] == "not testable").sum() == 4
    assert len(article) == 5
    assert p["[0,1]", "cross_sectional_t"] < 0.001
    misread = reversal[reversal["label"] == "misreading"]
    assert len(misread) == 4
    assert (~misread["label_in_time"]).sum() == 3
    assert case["n_placebos"] == 7
    for said in (
        f"daily prices to {facts['data_date']}",
        next(row["sentence"] for row in facts["chronology"] if row["event_id"] == "CPX26"),
        f"{status['used']} event × peer pairs are used as they are, {status['shifted']} more with day 0",
        f"and {counts['dropped']} dropped: {why['not_listed']} of peers that were not listed",
        f"{why['no_prices']} without prices, {why['estimation_short']} with too short an estimation window",
        f"largest fall between 8 and 24 June was {points(claims.loc['TUBEX-4', 'actual'])} %",
        (
            f"Applied Optoelectronics fell {points(claims.loc['HTX-1', 'actual'])} % and Lumentum "
            f"{points(claims.loc['HTX-2', 'actual'])} %"
        ),
        f"abnormal return was −{points(day0['car'])} %, {abs(day0['s']):.1f} standard errors",
        f"it was −{points(whole['car'])} %, {abs(whole['s']):.1f} standard errors",
        f"the peers' abnormal return was −{points(case['car_post'])} %",
        f"it was +{points(ours['placebo_mean'])} % on average, {points(ours['excess'])} points more",
        f"4 February 2026, −{points(misread_one['car_drop'])} %",
        f"was {points(late['effect'])} points above the return that {late['n_controls']} control drops",
        f"rank {late['rank']} of {late['among']}, p = {late['p_value']:.2f}",
        f"one date could have shown is {points(late['mde'])} %",
        verdict["sentence"].partition(",")[0],
        (
            f"{drop['n_events']} firm-events on {drop['n_dates']} dates. They carry the information of "
            f"about {worth:.0f} independent firm-events"
        ),
        (
            f"p = {drop['p_value']:.3f}; over [+2, +20] p = {p['[2,20]', 'cross_sectional_t']:.3f} against p = "
            f"{p['[2,20]', 'date_t']:.3f}"
        ),
    ):
        assert said in page, said


def test_the_readme_says_what_the_pack_says_of_june_2026() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    shocks = pd.read_csv(PACK / "tables" / "shocks.csv").set_index(["shock_id", "window"])
    case = json.loads((PACK / "summary.json").read_text(encoding="utf-8"))["case_study"]
    day0 = shocks.loc[("SA26", "[0,0]")]
    assert f"was −{points(day0['car'])} % ({abs(day0['s']):.1f} standard errors)" in text
    assert f"over days +2 to +20 their abnormal return was −{points(case['car_post'])} %" in text
    reversal = pd.read_csv(PACK / "tables" / "reversal.csv").query("label == 'misreading'")
    assert (len(reversal), int(reversal["qualifies"].sum())) == (4, 1)
    assert not reversal.query("qualifies")["label_in_time"].any()


def test_the_readme_shows_what_its_first_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = blocks(ROOT / "README.md")
    at = next(n for n, block in enumerate(found) if block.kind == "sh" and "drug-news" in block.text)
    words = [str(ROOT / word) if "/" in word else word for word in shlex.split(found[at].text)[1:]]
    assert main([*words, "--out", str(tmp_path), "--set", 'report.formats=["csv", "json"]']) == 0
    printed = capsys.readouterr().out

    def plain(text: str) -> str:
        return " ".join(re.sub("[╭─╮│╰╯]", " ", text).split())

    shown = plain(found[at + 1].text).partition("…")[0]
    sentence, _, table = shown.partition(" window N K")
    assert sentence in plain(printed)
    rows = table.partition("t p ")[2].replace(" [", "\n[").splitlines()
    assert len(rows) == 2
    assert all(row.strip() in plain(printed) for row in rows)


def test_the_study_in_other_programs_terms_prints_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    found = blocks(DOCS / "coming-from.md")
    at = next(n for n, block in enumerate(found) if block.kind == "python")
    exec(compile(found[at].text, "coming-from.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == found[at + 1].text


@pytest.mark.parametrize("path", sorted((DOCS / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_is_kept_without_outputs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], len({cell["id"] for cell in book["cells"]})) == (4, len(book["cells"]))
    names: dict[str, Any] = {"__name__": path.stem}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), f"{path.name} {cell['id']}", "exec"), names)  # noqa: S102
    assert names["result"].effect.n_dates > 5


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_readme_names_every_command_with_what_it_does() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in cli.list_commands(click.Context(cli)):
        assert f"`eventstudy {name}" in text, name


def test_the_site_is_built_without_a_warning_and_asks_nothing_of_others(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs-material is in the extra 'docs'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    command += ["--site-dir", str(tmp_path / "site")]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert built.returncode == 0, built.stderr
    home = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "Five-minute start" in home
    assert f"eventstudy {eventstudy.__version__}" in home
    assert (tmp_path / "site" / "results" / "optical-2026-06" / "figures" / "forest.png").is_file()
    for page in (tmp_path / "site").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//", text), page.name
        assert not re.findall(r"<link[^>]+href=\"(?:https?:)?//", text), page.name
    linked = {path.stem for path in (tmp_path / "site").glob("*.html")} - {"404"}
    assert {page.stem for page in PAGES[1:]} == linked
