"""A study in Chinese says everything in Chinese: no English sentence is left on a page or a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import event_row, write_events, write_prices, write_study

from eventstudy import Study
from eventstudy.cli import main
from eventstudy.config import load_config
from eventstudy.events import read_events
from eventstudy.messages import Message, catalogue, joined, recalled, recorded, said, say
from eventstudy.prices.sources import get_prices
from eventstudy.report.document import plain
from eventstudy.report.pack import write_pack
from eventstudy.report.packs import read_pack
from eventstudy.report.pages import study_document
from eventstudy.report.sections.each_shock import LONGEST_TITLE
from eventstudy.report.wording import CJK, cut
from eventstudy.results.result import StudyResult
from eventstudy.results.summary import title_of
from eventstudy.study import run_study

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "prices"
#: Four words of Latin letters in a row: a sentence, not a ticker or a statistic's name.
ENGLISH = re.compile(r"(?:[A-Za-z][A-Za-z'’.-]*[,;:]? +){3,}[A-Za-z][A-Za-z'’.-]*")
#: Parts that hold a user's own free text, names of settings, or titles of papers.
OWN = {"settings", "references", "peers"}


def _study(prices: str) -> StudyResult:
    config = load_config(ROOT / "events.csv", overrides=('study.language="zh"',))
    events = read_events(ROOT / "events.csv")
    return run_study(events, config, get_prices(events, config, prices, tell=lambda _: None))


def _strings(content: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(content, str):
        return [(path, content)]
    if isinstance(content, dict):
        parts = [(path, value) for value in content.values()]
    elif isinstance(content, (list, tuple)):
        parts = [(path, value) for value in content]
    else:
        parts = []
    return [found for name, value in parts for found in _strings(value, name)]


def _allowed(result: StudyResult) -> list[str]:
    """The user's own texts: titles of events, names of peers, sources of claims, and the MICs."""
    texts = {str(result.facts["study"]), "Holm BH BY Romano", "MIC"}
    titles = set(result.tables["shocks"]["title"].dropna().astype(str))
    texts |= titles | {cut(title, LONGEST_TITLE) for title in titles}
    texts |= {str(peer["name"]) for peer in result.facts["peers"].values()}
    for name in ("name", "source", "notes"):
        texts |= set(result.tables["claims"][name].dropna().astype(str))
    return sorted((text for text in texts if text), key=len, reverse=True)


def _english(text: str, allowed: list[str]) -> list[str]:
    for own in allowed:
        text = text.replace(own, " ")
    # Exchanges and tickers are codes in every language.
    text = re.sub(r"\b(X[A-Z]{3}|[A-Z]{2,5}|[0-9A-Z]+\.(SZ|SS|TW|T))\b,?", "", text)
    return [found[0] for found in ENGLISH.finditer(text)]


def _left(result: StudyResult) -> list[tuple[str, str]]:
    allowed = _allowed(result)
    sections = [section for section in study_document(result, ()).sections if section.name not in OWN]
    told = [found for section in sections for found in _strings(plain(section), section.name)]
    return [(name, part) for name, text in told for part in _english(text, allowed)]


@pytest.fixture(scope="module")
def simulated() -> StudyResult:
    return _study("simulated")


def test_no_english_sentence_is_on_the_pages_of_a_simulated_study(simulated: StudyResult) -> None:
    assert _left(simulated) == []


def test_no_english_sentence_is_on_the_pages_of_a_study_of_real_prices() -> None:
    if not SHARED.is_dir():
        pytest.skip("no real prices beside the project")
    result = _study(str(SHARED))
    assert len(result.facts["warnings"]) > 10
    assert _left(result) == []


def test_the_scan_finds_an_english_sentence(simulated: StudyResult) -> None:
    facts = {**simulated.facts, "warnings": ["this line was never given to the catalogue"]}
    changed = StudyResult(simulated.run_id, simulated.tables, facts, simulated.manifest)
    assert _left(changed) == [("notes", "this line was never given to the catalogue")]


def test_the_figures_of_a_chinese_study_hold_no_english_sentence(simulated: StudyResult) -> None:
    from eventstudy import plots

    if plots.cjk_font() is None:
        pytest.skip("no font with Chinese glyphs is installed; apt-get install fonts-wqy-zenhei brings one")
    allowed = _allowed(simulated)
    kinds: dict[str, plots.Plot] = {}
    for plot in plots.plots_of(simulated):
        kinds.setdefault(plot.kind, plot)
    assert len(kinds) > 8
    for plot in kinds.values():
        figure = plots.draw(simulated, plot)
        texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
        left = [part for text in texts for part in _english(text, allowed)]
        assert left == [], plot.name
        assert any(re.search("[\u4e00-\u9fff]", text) for text in texts), plot.name


def test_tables_and_summary_keep_their_english_codes(simulated: StudyResult, tmp_path: Path) -> None:
    write_pack(simulated, tmp_path, formats=("csv", "json"))
    for path in [tmp_path / "ledger.csv", *(tmp_path / "tables").glob("*.csv")]:
        if path.stem in ("claims", "shocks"):
            continue
        assert not re.search("[\u4e00-\u9fff]", path.read_text(encoding="utf-8")), path.name
    ledger = pd.read_csv(tmp_path / "ledger.csv")
    assert {str(reason).split(":")[0] for reason in ledger.loc[ledger["status"] == "dropped", "reason"]} >= {
        "not_listed",
        "deal_bound",
    }
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["verdict"]["kind"] == "inconclusive"
    assert summary["verdict"]["sentence"].startswith("Inconclusive: ")


def test_a_pack_read_back_says_the_same_in_chinese(simulated: StudyResult, tmp_path: Path) -> None:
    write_pack(simulated, tmp_path, formats=("json",))
    words, back = catalogue("zh"), read_pack(tmp_path)
    assert said(back.facts["verdict"]["sentence"], words) == said(simulated.facts["verdict"]["sentence"], words)
    assert said(back.facts["trust"], words) == said(simulated.facts["trust"], words)
    assert "messages" not in back.facts


def test_the_terminal_of_a_chinese_run_is_chinese(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_prices(tmp_path / "prices")
    rows = [
        event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-10"),
        event_row("E2", "2021-09-08", label="genuine", label_asof="2021-09-08"),
        event_row("E3", "2021-09-09", kind="clarification", label="clarification", clarifies="E2"),
    ]
    study = [str(write_events(tmp_path, rows)), "--config", str(write_study(tmp_path))]
    prices, out = ["--prices", str(tmp_path / "prices")], ["--out", str(tmp_path / "out")]
    formats = ["--set", 'report.formats=["csv", "json"]', "--language", "zh"]
    assert main(["run", *study, *prices, *out, *formats]) == 0
    assert main(["show", str(tmp_path / "out")]) == 0
    assert main(["check", *study, *prices, "--set", 'study.language="zh"']) == 0
    printed = capsys.readouterr().out.replace("│", " ").replace("Small study", "")
    assert _english(printed.replace(str(tmp_path), ""), []) == []
    for text in ("台账：", "证据不足，尚无定论。", "结果文件夹："):
        assert text in printed


def test_a_study_without_a_name_is_titled_in_its_language() -> None:
    for title, overrides in {
        "Event study": (),
        "事件研究": ('study.language="zh"',),
        "Mine": ('study.language="zh"', 'study.name="Mine"'),
    }.items():
        assert title_of(load_config(Path("nowhere") / "events.csv", overrides=overrides, peers=False)) == title


def test_a_message_is_its_english_text_and_says_itself_in_chinese() -> None:
    words = catalogue("zh")
    text = say("drop.too_small", car=-0.0061, limit=-0.03)
    assert text == "CAR -0.6% is not below -3%"
    assert said(text, words) == "CAR 为 −0.6%，未低于 −3%"
    assert said(text, catalogue("en")) == "CAR −0.6% is not below −3%"
    both = joined((text, "", say("note.one_date")))
    assert both == "CAR -0.6% is not below -3%; one date"
    assert said(both, words) == "CAR 为 −0.6%，未低于 −3%；仅一个日期"
    assert said("free text of 2026-06-09", words) == "free text of 2026-06-09"


def test_messages_survive_json_inside_one_another() -> None:
    inner = say("quality.no_turnover")
    outer = say("quality.extreme", move=0.551, usual=inner)
    known = json.loads(json.dumps(recorded({"warnings": [outer]})))
    (back,) = recalled({"warnings": [str(outer)]}, known)["warnings"]
    assert isinstance(back, Message)
    assert said(back, catalogue("zh")) == said(outer, catalogue("zh"))
    assert "没有成交额可供比较" in said(back, catalogue("zh"))


@pytest.mark.parametrize(("language", "name"), [("en", "Optical modules and AI hardware"), ("zh", "光模块与 AI 硬件")])
def test_a_study_has_a_name_in_each_language(language: str, name: str) -> None:
    config = Study.from_sector("optical", overrides={"study.language": language}).settings
    assert title_of(config) == name


def test_a_chinese_pack_has_the_titles_of_its_events_in_chinese(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("ticker,date,title,title_local\nLITE,2024-05-07,A guidance cut,下调指引\n", encoding="utf-8")
    assert read_events(events).rows[0].title_local == "下调指引"
    shipped = read_events(Study.from_sector("optical").events_file)
    assert all(CJK.search(event.title_local) for event in shipped)
