"""A pack is recomputed from its manifest: equal, or told apart by table, row and column."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import Scripted
from small_study import small_study
from studies import edit_prices, event_row, write_events, write_prices, write_study

from eventstudy.cli import main
from eventstudy.config import StudyConfig, config_from_dict, load_config, sector_file, sector_names
from eventstudy.errors import ConfigError
from eventstudy.prices import PROVIDERS
from eventstudy.report.pack import write_pack
from eventstudy.report.packs import sealed

ROWS = [
    event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-10", title="=cmd()"),
    event_row("E2", "2021-09-08", label="genuine", label_asof="2021-09-08"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a study and its pack in ``results/latest``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    write_prices(tmp_path / "prices")
    write_events(tmp_path, ROWS)
    extra = {"AAA": "from = 2019-01-02\naliases = ['AAB']"}
    write_study(tmp_path, extra=extra)
    assert run("--prices", "prices") == 0
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack that is damaged in copies."""
    folder = tmp_path_factory.mktemp("made")
    write_pack(small_study(), folder, formats=("csv", "json"))
    return folder


def run(*arguments: str) -> int:
    options = ["--config", "study.toml", "--set", 'report.formats=["csv", "json"]', "--quiet"]
    return main(["run", "events.csv", *options, *arguments])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.usefixtures("place")
def test_a_pack_is_recomputed_from_its_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "results/latest"]) == 0
    out = capsys.readouterr().out
    tables = len(list(Path("results/latest/tables").iterdir())) + 1
    assert f"{tables} tables with " in out
    assert " cells recomputed and equal, " in out


def test_inputs_may_have_moved(place: Path) -> None:
    (place / "old").mkdir()
    shutil.move(place / "prices", place / "old" / "prices")
    shutil.move(place / "events.csv", place / "old" / "news.csv")
    (place / "study.toml").unlink()
    assert main(["verify", "results/latest"]) == 2
    found = ["--events", "old/news.csv", "--prices", "old/prices"]
    assert main(["verify", "results/latest", *found]) == 0


def tamper(pack: Path, name: str, old: str, new: str) -> None:
    """Change a file and set its digest in the manifest, and the manifest's own, to match."""
    path = pack / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    forge(pack, lambda manifest: manifest["outputs"].update({name: digest}))


def forge(pack: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest and the digest of itself."""
    manifest = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    (pack / "manifest.json").write_text(json.dumps(sealed(manifest)), encoding="utf-8")


def test_a_changed_number_is_told_by_table_row_and_column(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = place / "results" / "latest"
    line = (pack / "tables" / "car.csv").read_text(encoding="utf-8").splitlines()[3]
    car = line.split(",")[5]
    tamper(pack, "tables/car.csv", car, "0.99")
    assert main(["verify", str(pack)]) == 5
    assert f"eventstudy: tables/car.csv:4: car is 0.99; recomputed: {car}" in said(capsys)


def test_last_digits_may_differ(place: Path) -> None:
    pack = place / "results" / "latest"
    car = (pack / "tables" / "car.csv").read_text(encoding="utf-8").splitlines()[3].split(",")[5]
    tamper(pack, "tables/car.csv", car, repr(float(car) * (1 + 1e-13)))
    assert main(["verify", str(pack)]) == 0


def test_rows_columns_and_tables_that_are_not_there(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = place / "results" / "latest"
    rows = (pack / "tables" / "aar.csv").read_text(encoding="utf-8")
    tamper(pack, "tables/aar.csv", rows.splitlines(keepends=True)[-1], "")
    tamper(pack, "tables/car.csv", "bhar", "bahr")
    (pack / "tables" / "tests.csv").unlink()
    forge(pack, lambda manifest: manifest["outputs"].pop("tables/tests.csv"))
    assert main(["verify", str(pack)]) == 5
    error = said(capsys)
    count = rows.count("\n") - 1
    assert f"tables/aar.csv: has {count - 1} rows; recomputed: {count}" in error
    assert "tables/car.csv:1: has the columns event_id" in error
    assert "table tests is recomputed only" in error


def test_many_differences_are_counted(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = place / "results" / "latest"
    path = pack / "tables" / "abnormal_returns.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    body = "\n".join(lines[1:])
    tamper(pack, "tables/abnormal_returns.csv", body, body.replace(",E1,", ",E9,"))
    assert main(["verify", str(pack)]) == 5
    error = said(capsys)
    assert error.count("shock_id is E9; recomputed: E1") == 20
    assert "73 more differences" in error


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda pack: (pack / "ledger.csv").write_text("x", encoding="utf-8"), "ledger.csv: was changed after"),
        (lambda pack: (pack / "summary.json").unlink(), "summary.json: is missing"),
        (lambda pack: (pack / "manifest.json").write_text("{", encoding="utf-8"), "is not what was written"),
    ],
)
def test_files_are_checked_by_their_digest(
    place: Path, capsys: pytest.CaptureFixture[str], damage: object, message: str
) -> None:
    damage(place / "results" / "latest")  # type: ignore[operator]
    assert main(["verify", "results/latest"]) == 5
    assert message in said(capsys)


def test_a_manifest_cannot_point_outside_the_pack(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge(place / "results" / "latest", lambda manifest: manifest["outputs"].update({"../../events.csv": "0"}))
    assert main(["verify", "results/latest"]) == 5
    assert "names '../../events.csv', which lies outside the pack" in said(capsys)


def test_other_events_or_prices_are_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = (place / "events.csv").read_text(encoding="utf-8")
    (place / "events.csv").write_text(events + "\n", encoding="utf-8")
    edit_prices(place / "prices" / "BBB.csv", d2021_03_02="123,123,1000")
    assert main(["verify", "results/latest"]) == 5
    error = said(capsys)
    assert "events.csv: is not the events.csv that the pack was made of" in error
    assert "the input BBB is not the one that the pack was made of" in error
    (place / "prices" / "CCC.csv").unlink()
    assert main(["verify", "results/latest"]) == 5
    assert "the input CCC is missing; the pack was made with it" in said(capsys)


def test_what_is_no_pack(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "prices"]) == 2
    assert "prices: is no result pack: manifest.json cannot be read (No such file" in said(capsys)
    (place / "prices" / "manifest.json").write_text('{"outputs": {}}', encoding="utf-8")
    assert main(["verify", "prices"]) == 2
    assert "is no result pack's manifest: no settings, inputs, prices" in said(capsys)
    assert run("--prices", "prices", "--set", 'report.formats=["json"]', "--out", "other") == 0
    assert main(["verify", "other/latest"]) == 2
    assert "has no CSV tables to compare" in said(capsys)


def test_simulated_and_snapshot_packs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("--prices", "simulated", "--out", "sim") == 0
    assert main(["verify", "sim/latest"]) == 0
    monkeypatch.setitem(PROVIDERS, "scripted", Scripted())
    assert run("--prices", "scripted", "--out", "net") == 0
    monkeypatch.setitem(PROVIDERS, "scripted", Scripted(dict.fromkeys(("AAA", "IDX"), "provider_broken")))
    assert main(["verify", "net/latest"]) == 0
    shutil.rmtree(place / "data")
    assert main(["verify", "net/latest"]) == 2


def test_settings_survive_the_manifest(place: Path) -> None:
    config = load_config(place / "events.csv", config_file=place / "study.toml")
    assert config_from_dict(json.loads(json.dumps(config.as_dict()))) == config
    for name in sector_names():
        shipped: StudyConfig = load_config(sector_file(name).with_name("events.csv"), sector=name)
        assert config_from_dict(json.loads(json.dumps(shipped.as_dict()))) == shipped
    with pytest.raises(ConfigError, match=r"manifest.json: unknown key 'windows.minimun'.*'minimum'\?"):
        config_from_dict({"windows": {"minimun": 3}})


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("summary.json", '"n_events": 2', '"n_events": 9', "summary.json: events.n_events is 9; recomputed: 2"),
        ("summary.json", '"run_id": "study', '"run_id": "other', 'summary.json: run_id is "other-'),
        ("summary.md", "Verdict", "Proof", "summary.md: is not what this study's numbers give here"),
    ],
)
def test_a_forged_summary_or_page_with_right_digests_is_told(
    place: Path, capsys: pytest.CaptureFixture[str], name: str, old: str, new: str, told: str
) -> None:
    assert run("--prices", "prices", "--set", 'report.formats=["csv", "json", "md"]', "--out", "md") == 0
    pack = place / "md" / "latest"
    if old not in (pack / name).read_text(encoding="utf-8"):
        old = (pack / name).read_text(encoding="utf-8").splitlines()[2]
    tamper(pack, name, old, new)
    assert main(["verify", str(pack)]) == 5
    assert told in said(capsys)


def test_pages_are_made_again_where_the_versions_are_the_same(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--prices", "prices", "--set", 'report.formats=["csv", "json", "md"]', "--out", "md") == 0
    pack = place / "md" / "latest"
    assert main(["verify", str(pack)]) == 0
    assert "1 pages and figures made again and equal" in " ".join(capsys.readouterr().out.split())
    assert main(["verify", str(pack), "--no-pages"]) == 0
    assert "not compared (left out with --no-pages): summary.md" in capsys.readouterr().out
    shutil.rmtree(pack / "nothing", ignore_errors=True)
    (pack / "page.html").write_text("another answer", encoding="utf-8")
    assert main(["verify", str(pack)]) == 5
    assert "page.html: is not a file of the pack: it was added later" in said(capsys)


def test_a_forged_setting_or_price_source_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = place / "results" / "latest"
    shutil.copytree(pack, place / "results" / "copy")
    forge(pack, lambda manifest: manifest["settings"]["windows"].update(minimum=130))
    assert main(["verify", str(pack)]) == 5
    assert "run_id" in said(capsys)
    copy = place / "results" / "copy"
    forge(copy, lambda manifest: manifest["prices"].update(data_date="2031-01-01"))
    assert main(["verify", str(copy)]) == 5
    assert 'manifest.json: prices.data_date is "2031-01-01"; recomputed: "2021-10-25"' in said(capsys)


def test_a_pack_is_verified_from_any_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = place / "above"
    here.mkdir()
    monkeypatch.chdir(here)
    options = ["--config", "../study.toml", "--set", 'report.formats=["csv", "json"]', "--quiet"]
    assert main(["run", "../events.csv", "--prices", "../prices", *options]) == 0
    for folder in (here, place, Path("/")):
        monkeypatch.chdir(folder)
        assert main(["verify", str(here / "results" / "latest")]) == 0
        assert main(["verify", os.path.relpath(here / "results")]) == 0
    packed = [path.read_text(encoding="utf-8") for path in (here / "results" / "latest").rglob("*") if path.is_file()]
    assert not any(str(place) in text or "../events.csv" in text for text in packed)


def test_a_locked_question_is_held_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prereg", "events.csv", "--config", "study.toml"]) == 0
    assert run("--prices", "prices", "--prereg", "prereg.toml", "--out", "locked") == 0
    assert main(["verify", "locked/latest"]) == 0
    (place / "prereg.toml").rename(place / "moved.toml")
    assert main(["verify", "locked/latest"]) == 2
    assert "say where it is with --prereg" in said(capsys)
    assert main(["verify", "locked/latest", "--prereg", "moved.toml"]) == 0
    (place / "moved.toml").write_text("[windows]\n", encoding="utf-8")
    assert main(["verify", "locked/latest", "--prereg", "moved.toml"]) == 5


@pytest.mark.parametrize("command", ["show", "compare", "pool", "verify"])
@pytest.mark.parametrize("damage", ["[]", '{"settings": 1}', "\x00", '{"a": ' * 3000, ""])
@pytest.mark.parametrize("name", ["summary.json", "manifest.json", "tables/reversal.csv"])
def test_every_reader_of_packs_tells_damage(
    made: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, damage: str, command: str
) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(made, pack)
    (pack / name).write_text(damage, encoding="utf-8")
    arguments = [command, str(pack), *([str(made)] if command == "compare" else [])]
    code = main([*arguments, *(["--out", str(tmp_path / "out")] if command == "pool" else [])])
    if name.startswith("tables") and command == "show":
        assert code == 0  # it does not read the table
        return
    error = said(capsys)
    assert code in (2, 5)
    assert code == 5 or "is no result pack's manifest: no inputs, outputs, prices" in error
    assert f"{name}: " in error
    assert "internal" not in error
