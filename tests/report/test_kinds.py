"""What a study measures is what every output says: returns, abnormal volume or abnormal volatility."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from studies import event_row, write_events, write_prices, write_study

from eventstudy import plots
from eventstudy.cli import main
from eventstudy.messages import KINDS, LANGUAGES, Message, catalogue, retold, say, section
from eventstudy.report.sections.method import references
from eventstudy.report.wording import amount

ROWS = (
    event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-08"),
    event_row("E2", "2021-09-15", label="genuine", label_asof="2021-09-14"),
    event_row("E3", "2022-01-12", label="misreading", label_asof="2022-01-11"),
    event_row("E4", "2022-06-08", label="contested", label_asof="2022-06-07", shock_id="E4"),
    event_row("E4C", "2022-06-10", label="clarification", kind="clarification", clarifies="E4", shock_id="E4"),
    event_row("E5", "2020-02-03", label="genuine", label_asof="2020-02-02"),
)
#: Words of returns: what no output of another study may say.
FOREIGN = re.compile(r"[Rr]eturn|RETURN|收益|回报|\bB?HAR\b|\bCA?AR\b|\bAA?R\b|[+−]\d+(?:\.\d+)?\s?\\?%")
#: What may be said all the same: the absolute return is what a day's volatility is, names of settings are
#: names, as those of files are, and papers are called what they are called.
ALLOWED = re.compile(
    r"tables/abnormal_returns\.csv|absolute (?:daily )?returns?|[Aa]bnormal absolute return|"
    r"绝\s*对\s*收益|\breturns\.\w+",
    re.I,
)
#: Noun of the headline and unit of the heads that each output must have.
SAID: Mapping[tuple[str, str], tuple[str, str]] = {
    ("return", "en"): ("abnormal return", "%"),
    ("return", "zh"): ("异常收益", "%"),
    ("volume", "en"): ("abnormal volume", "log points"),
    ("volume", "zh"): ("异常成交量", "对数点"),
    ("volatility", "en"): ("abnormal volatility", "pp"),
    ("volatility", "zh"): ("异常波动", "百分点"),
}


def _study(folder: Path, *, volumes: bool = True) -> list[str]:
    """Write a study whose volumes differ from day to day and rise fivefold at its events."""
    write_prices(folder / "prices")
    rng = np.random.default_rng(11)
    for path in sorted((folder / "prices").glob("*.csv")):
        table = pd.read_csv(path)
        table["volume"] = np.round(1e6 * np.exp(rng.normal(0, 0.3, len(table))))
        if path.stem != "IDX":
            table.loc[table["date"].isin(["2021-06-09", "2021-09-15", "2022-01-12"]), "volume"] *= 5.0
        if not volumes:
            table["volume"] = np.nan
        table.to_csv(path, index=False)
    events = write_events(folder, ROWS)
    return [str(events), "--config", str(write_study(folder)), "--prices", str(folder / "prices")]


@functools.cache
def _said(kind: str, language: str, folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Run the study and return the text of each output by its name, and summary.json."""
    folder.mkdir()
    study = _study(folder)
    chosen = ["--set", f"study.kind={kind}", "--set", f"study.language={language}"]
    formats = ["--set", 'report.formats=["pdf", "html", "xlsx", "csv", "json", "tex", "md"]']
    out = folder / "out"
    assert main(["run", *study, *chosen, *formats, "--out", str(out), "--quiet"]) == 0
    pack = out / "latest"
    texts = {
        "html": _html(pack / "report.html"),
        "markdown": (pack / "summary.md").read_text(encoding="utf-8"),
        "latex": "\n".join(p.read_text(encoding="utf-8") for p in (pack / "tables" / "latex").glob("*.tex")),
        "workbook": _workbook(pack / "tables.xlsx"),
    }
    if shutil.which("pdftotext"):
        read = subprocess.run(["pdftotext", str(pack / "report.pdf"), "-"], capture_output=True, check=True)
        texts["pdf"] = read.stdout.decode("utf-8")
    return texts, json.loads((pack / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds")


def _html(path: Path) -> str:
    """Return what a page shows, hidden names of pictures and hover texts with it."""
    text = path.read_text(encoding="utf-8")
    named = " ".join(re.findall(r'(?:aria-label|alt|title)="([^"]*)"', text))
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", text, flags=re.S)
    return unescape(re.sub(r"<[^>]*>", " ", text) + named)


def _workbook(path: Path) -> str:
    with zipfile.ZipFile(path) as book:
        names = book.read("xl/workbook.xml").decode("utf-8")
        cells = book.read("xl/sharedStrings.xml").decode("utf-8")
    heads = " ".join(re.findall(r'<sheet name="([^"]*)"', names))
    return f"{heads} {unescape(re.sub('<[^>]*>', ' ', cells))}"


def _foreign(text: str) -> list[str]:
    """Return the words of returns in a text, with what stands around them."""
    plain = " ".join(text.split())
    for paper in references():
        plain = plain.replace(paper, "")
    plain = ALLOWED.sub("", plain)
    return [plain[max(0, m.start() - 40) : m.end() + 40] for m in FOREIGN.finditer(plain)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_output_speaks_of_what_is_measured(kind: str, language: str, home: Path) -> None:
    texts, summary = _said(kind, language, home / f"{kind}-{language}")
    assert set(texts) >= {"html", "markdown", "latex", "workbook"}
    noun, unit = SAID[kind, language]
    for name, text in texts.items():
        # Typst sets what its fonts lack in English, and cuts lines within words.
        readable = name != "pdf" or language == "en" or plots.cjk_font() is not None
        plain = " ".join(text.split()) if language == "en" else "".join(text.split())
        if kind == "return":
            assert _foreign(text), name
        else:
            assert _foreign(text) == [], name
        # The verdict on returns need not name them: the page's figures do.
        if readable and (name in ("html", "pdf") or (name == "markdown" and kind != "return")):
            assert noun in plain.lower(), name
        if readable and name != "workbook":
            assert unit in plain, name
    assert summary["kind"] == kind


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_speaks_of_what_is_measured(kind: str, language: str, home: Path) -> None:
    from eventstudy.api import Study

    folder = home / f"figures-{kind}-{language}"
    folder.mkdir()
    events, _, config, _, prices = _study(folder)
    chosen = {"study.kind": kind, "study.language": language}
    result = Study.from_toml(config, overrides=chosen).run(events, prices=prices)
    # Without a font for it the figures are in English.
    shown = language if plots.cjk_font() is not None else "en"
    texts = {}
    for plot in plots.plots_of(result):
        svg = plots.svg_text(plots.draw(result, plot))
        texts[plot.name] = unescape(" ".join(re.findall(r">([^<>]+)<", svg)))
    assert {"caar_by_label", "shock_grid_1"} <= set(texts)
    if kind == "return":
        # A drawing sets Latin and Chinese runs apart.
        assert "CAAR" + ("," if shown == "en" else "，") + "%" in "".join(texts["caar_by_label"].split())
        return
    assert texts.pop("p_heatmap", "")  # p-values have no unit
    assert set(texts) <= {"caar_by_label", "forest", "heatmap", "shock_grid_1"}
    noun, unit = SAID[kind, shown]
    for name, text in texts.items():
        assert _foreign(text) == [], name
        assert unit in "".join(text) or catalogue(shown, kind)["figure.caar_axis"] in text, name
    assert noun in texts["caar_by_label"].lower()
    assert _foreign(result.summary()) == []
    assert noun in result.summary().lower() or language == "zh"
    assert _foreign(result._repr_html_().replace("\n", " ")) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["volume", "volatility"])
def test_the_terminal_speaks_of_what_is_measured(
    kind: str, language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _study(tmp_path)
    chosen = ["--set", f"study.kind={kind}", "--set", f"study.language={language}"]
    formats = ["--set", 'report.formats=["json", "csv"]']
    assert main(["run", *study, *chosen, *formats, "--out", str(tmp_path / "out")]) == 0
    run = capsys.readouterr()
    main(["check", *study, *chosen])
    checked = capsys.readouterr()
    assert main(["show", str(tmp_path / "out" / "latest")]) == 0
    shown = capsys.readouterr()
    noun, unit = SAID[kind, language]
    for output in (run.out, shown.out):
        plain = " ".join(output.replace("│", " ").split())
        assert noun in plain.lower()
        assert unit in plain
    for output in (run, checked, shown):
        assert _foreign((output.out + output.err).replace(str(tmp_path), "")) == []
    # The tables keep English; their sentences are those of what is measured, too.
    ledger = pd.read_csv(tmp_path / "out" / "latest" / "ledger.csv")
    short = ledger[ledger["event_id"] == "E5"]["reason"]
    assert short.str.contains(r"estimation_short: \d+ of at least 120 valid days").all()


@pytest.mark.parametrize("kind", ["volume", "volatility"])
def test_the_headline_is_the_mean_over_dates_of_the_first_window(kind: str, home: Path) -> None:
    _, summary = _said(kind, "en", home / f"{kind}-en")
    pack = home / f"{kind}-en" / "out" / "latest"
    shocks = pd.read_csv(pack / "tables" / "shocks.csv")
    first = shocks["window"].iloc[0]
    car = shocks.loc[shocks["window"] == first, "car"].to_numpy()
    found = summary["effect"]
    assert "verdict" not in summary
    assert found["window"] == first
    assert found["n_dates"] == len(car) == 4
    assert found["estimate"] == pytest.approx(car.mean(), rel=1e-12)
    low, high = stats.t.interval(0.95, 3, loc=car.mean(), scale=stats.sem(car))
    assert [found["lower"], found["upper"]] == pytest.approx([low, high], rel=1e-9)
    assert found["p_value"] == pytest.approx(stats.ttest_1samp(car, 0).pvalue, rel=1e-9)
    assert f"{100 * car.mean():+.1f} {'log points' if kind == 'volume' else 'percentage points'}" in (found["sentence"])
    if kind == "volume":
        # Three of the four dates have fivefold volume on day 0.
        assert car.mean() == pytest.approx(0.75 * np.log(5), abs=0.25)
        days = int(first.strip("[]").split(",")[1]) - int(first.strip("[]").split(",")[0]) + 1
        assert f"{np.exp(car.mean() / days):.2f} times the expected" in found["sentence"]


@pytest.mark.parametrize("kind", ["volume", "volatility"])
def test_what_is_asked_of_prices_is_left_out(kind: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, summary = _said(kind, "en", home / f"{kind}-en")
    tables = home / f"{kind}-en" / "out" / "latest" / "tables"
    for name in ("reversal", "placebo", "reversal_measures", "trades", "backtest", "specifications", "claims"):
        assert not (tables / f"{name}.csv").exists(), name
    assert not {"verdict", "verdicts", "exploratory", "backtest", "more_data", "chronology", "labels"} & set(summary)
    assert any("are left out" in line for line in summary["warnings"])
    monkeypatch.chdir(home / f"{kind}-en")
    assert main(["verify", "out/latest", "--prices", "prices"]) == 0


def test_a_pool_takes_no_pack_of_volumes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _said("volume", "en", home / "volume-en")
    pack = str(home / "volume-en" / "out" / "latest")
    assert main(["pool", pack, pack, "--out", str(home / "pooled")]) == 2
    assert "measures volume: a pool joins excess returns" in " ".join(capsys.readouterr().err.split())


def test_volumes_that_are_missing_are_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = _study(tmp_path, volumes=False)
    assert main(["run", *study, "--set", "study.kind=volume", "--out", str(tmp_path / "out")]) == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "no volume: the prices of AAA, BBB, CCC have none" in said
    assert "no_prices" not in said
    # One peer without volumes: its firm-events say so, the others are used.
    other = tmp_path / "one"
    other.mkdir()
    study = _study(other)
    table = pd.read_csv(other / "prices" / "BBB.csv").assign(volume=np.nan)
    table.to_csv(other / "prices" / "BBB.csv", index=False)
    formats = ["--set", 'report.formats=["csv", "json"]']
    assert main(["run", *study, "--set", "study.kind=volume", *formats, "--out", str(other / "out")]) == 0
    ledger = pd.read_csv(other / "out" / "latest" / "ledger.csv")
    mine = ledger[(ledger["ticker"] == "BBB") & (ledger["status"] == "dropped")]
    assert len(mine) == 6
    assert mine["reason"].unique().tolist() == ["no_volume: no volume in the event window"]


def test_an_exchange_without_volumes_leaves_the_others_to_be_studied(tmp_path: Path) -> None:
    study = _study(tmp_path)
    formats = ["--set", 'report.formats=["csv", "json"]', "--set", "study.kind=volume", "--accept-suspect"]
    assert main(["run", *study, *formats, "--out", str(tmp_path / "alone")]) == 0
    text = (tmp_path / "prices" / "IDX.csv").read_text(encoding="utf-8")
    write_prices(tmp_path / "prices", ("DDD", "EEE"), mic="XSHG", seed=8)
    (tmp_path / "prices" / "IDX.csv").rename(tmp_path / "prices" / "SSE.csv")
    (tmp_path / "prices" / "IDX.csv").write_text(text, encoding="utf-8")
    for name in ("DDD", "EEE", "SSE"):
        path = tmp_path / "prices" / f"{name}.csv"
        pd.read_csv(path).drop(columns="volume").to_csv(path, index=False)
    with Path(study[2]).open("a", encoding="utf-8") as file:
        file.write('\n[[markets]]\nmic = "XSHG"\nregion = "CN"\nbenchmark = "SSE"\n')
        file.writelines(f'[[peers]]\nticker = "{name}"\nmarket = "XSHG"\n' for name in ("DDD", "EEE"))
    assert main(["run", *study, *formats, "--out", str(tmp_path / "both")]) == 0
    ledger = pd.read_csv(tmp_path / "both" / "latest" / "ledger.csv")
    theirs = ledger[ledger["ticker"].isin(["DDD", "EEE"])]
    assert len(theirs) == 12
    assert theirs["status"].unique().tolist() == ["dropped"]
    assert theirs["reason"].unique().tolist() == ["no_volume: no volume in the event window"]
    cars = [pd.read_csv(tmp_path / name / "latest" / "tables" / "car.csv") for name in ("alone", "both")]
    pd.testing.assert_frame_equal(*cars)
    assert len(cars[0]) > 12


def test_one_date_is_set_against_its_estimation_window(tmp_path: Path) -> None:
    study = _study(tmp_path)
    write_events(tmp_path, ROWS[:1])
    formats = ["--set", 'report.formats=["csv", "json", "md"]']
    assert main(["run", *study, "--set", "study.kind=volume", *formats, "--out", str(tmp_path / "out")]) == 0
    pack = tmp_path / "out" / "latest"
    found = json.loads((pack / "summary.json").read_text(encoding="utf-8"))["effect"]
    shock = pd.read_csv(pack / "tables" / "shocks.csv").query("window == '[0,0]'").iloc[0]
    assert [found["estimate"], found["se"]] == pytest.approx([shock["car"], shock["se"]], rel=1e-9)
    assert (found["test"], found["n_dates"]) == ("portfolio_car_t", 1)
    assert found["sentence"].endswith(" With one date this cannot be separated from other news of that day.")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_of_a_kind_differs_in_what_the_kind_says_only(language: str) -> None:
    base = catalogue(language)
    for kind in ("volume", "volatility"):
        words = catalogue(language, kind)
        own = {
            key.removeprefix(f"kind.{part}.")
            for part in ("effect", "measured", kind)
            for key in base
            if key.startswith(f"kind.{part}.")
        }
        assert len(own) > 40
        assert {key for key in words if words[key] != base.get(key)} <= own
        # Fields of a message are filled in by the same code whatever the kind.
        for key in own & set(base):
            mine, theirs = (set(re.findall(r"\{(\w+)", text)) for text in (words[key], base[key]))
            assert mine <= theirs, key
        assert section(language, "amount", kind) == {"cell": "{value}"}


def test_amounts_have_the_unit_of_what_is_measured() -> None:
    assert amount(0.1234, catalogue("en")) == "+12.3%"
    assert amount(-0.1234, catalogue("en", "volume")) == "−12.3"
    assert amount(0.004, catalogue("zh", "volatility"), 2) == "+0.40"
    assert amount(float("nan"), catalogue("en", "volume")) == "–"


def test_messages_are_told_again_in_the_words_of_a_kind() -> None:
    line = say("reason.missing", n=2, total=31, day=0)
    told = retold({"reasons": [line, "plain"]}, catalogue("en", "volume"))["reasons"]
    assert told == ["2 of 31 event days without a value, the first is day 0", "plain"]
    assert isinstance(told[0], Message)
    assert told[0].key == "reason.missing"
    assert str(line) == "2 of 31 event days without a return, the first is day 0"
