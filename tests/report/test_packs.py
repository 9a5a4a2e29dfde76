"""Packs read back: shown again, and two of them compared."""

from __future__ import annotations

import contextlib
import json
import signal
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from small_study import changed, small_study

from eventstudy.cli import main
from eventstudy.errors import IntegrityError
from eventstudy.messages import catalogue
from eventstudy.report.pack import write_pack
from eventstudy.report.packs import compare_packs, read_pack
from eventstudy.report.progress import done_before, heeding, stage_text
from eventstudy.report.sections.answer import headline
from eventstudy.report.wording import percent, points


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A pack and one with another model, another effect and one other row."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    plain = small_study()
    write_pack(plain, first, formats=("csv", "json"))
    ledger = plain.to_frame("ledger")
    ledger.loc[0, "status"] = "dropped"
    settings = {**plain.manifest["settings"], "model": {**plain.manifest["settings"]["model"], "name": "mean_adjusted"}}
    other = replace(plain, manifest={**plain.manifest, "settings": settings})
    write_pack(changed(other, verdict={"effect": -0.01}, ledger=ledger), second, formats=("csv", "json"))
    return first, second


def test_compare_names_what_changed_and_nothing_else(two: tuple[Path, Path]) -> None:
    changes = compare_packs(*two)
    assert [(c.part, c.name, c.first, c.second) for c in changes] == [
        ("verdict", "effect", small_study().verdict.effect, -0.01),
        ("settings", "model.name", "market", "mean_adjusted"),
        ("tables", "ledger.csv", "20 rows, 1 of them only here", "20 rows, 1 of them only here"),
    ]


def test_a_pack_agrees_with_itself(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare_packs(two[0], two[0]) == []
    assert main(["compare", str(two[0]), str(two[0])]) == 0
    assert "agree in settings, data, verdict and tables" in " ".join(capsys.readouterr().out.split())


def test_compare_prints_both_sides(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, two), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["part"] == "verdict"
    assert rows[1] == {"part": "settings", "name": "model.name", "first": "market", "second": "mean_adjusted"}
    assert main(["compare", *map(str, two)]) == 0
    assert "mean_adjusted" in capsys.readouterr().out


def test_show_prints_the_verdict_again(
    two: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["show", str(two[0])]) == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert headline(small_study().facts, catalogue("en")) in out
    assert "misreading [0, +1] " + percent(small_study().facts["small_table"][2]["estimate"]) in out
    assert main(["show", str(two[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == read_pack(two[0]).facts


def test_show_is_as_wide_as_the_window_and_plain_where_colours_are_unwanted(
    two: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "")
    for width in (60, 130):
        monkeypatch.setenv("COLUMNS", str(width))
        main(["show", str(two[0])])
        out = capsys.readouterr().out
        assert "\x1b[3" not in out
        assert max(len(line) for line in out.splitlines() if line.startswith(("╭", "│"))) == width


def test_show_speaks_the_language_of_the_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pack(small_study("zh"), tmp_path, formats=("json",))
    assert main(["show", str(tmp_path)]) == 0
    out = "".join(capsys.readouterr().out.replace("│", "").split())
    assert "证据不足，尚无定论。2次标签为误读的冲击中" in out
    assert points(abs(small_study().verdict.effect)) in out


def test_what_is_no_pack_is_refused_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(tmp_path)]) == 2
    assert f"{tmp_path}: is no result pack" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"manifest\.json: cannot be read \(No such file"):
        read_pack(tmp_path)


def test_a_notebook_shows_the_verdict_and_no_live_markup() -> None:
    result = changed(small_study(), facts={"study": "<script>alert(1)</script>"})
    html = result._repr_html_()
    assert f"<p>{escape(headline(result.facts, catalogue('en')))}</p>" in html
    assert f"<td>{percent(result.facts['small_table'][0]['estimate'])}</td>" in html
    assert "<script>" not in html


def test_progress_only_goes_forward() -> None:
    stages = [
        "returns, windows, market model",
        "reversal",
        "tests",
        "tables",
        "backtest",
        "figure 1/4 a",
        "figure 3/4 c",
        "images",
        "report.pdf",
        "tables",
        "workbook",
        "report.html",
    ]
    reached, seen = 0.0, []
    for stage in stages:
        reached = done_before(stage, reached)
        seen.append(reached)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[6] - seen[5] == pytest.approx(0.215 / 2)
    assert 0.9 < seen[-1] < 1.0
    assert done_before("something else", 0.4) == 0.4


def test_stages_are_named_in_the_language_with_their_numbers() -> None:
    words = catalogue("zh")
    assert stage_text("figure 3/27 shock_SA26", words) == "图 3/27 shock_SA26"
    assert stage_text("returns, windows, market model", words) == "收益、窗口与市场模型"
    assert stage_text("report.pdf", words) == "生成 report.pdf"
    assert stage_text("something new", words) == "something new"


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_was_lost_counts_at_the_next_stage() -> None:
    said: list[str] = []
    with heeding(said.append) as tell:
        tell("reversal")
        # As Python does where it falls into a callback of garbage collection.
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            tell("tests")
    assert said == ["reversal"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whoever_ignores_interrupts_is_left_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with heeding(print) as tell:
            assert tell is print
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
