"""The command: what it prints, what it leaves behind, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pandas as pd
import pytest
from studies import event_row, write_events, write_prices, write_study

from eventstudy import __version__
from eventstudy.cli import cli, main
from eventstudy.commands.help_layout import SECTIONS
from eventstudy.results.columns import TABLES

ROOT = Path(__file__).parents[2]
ROWS = [
    event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-10", title="A drop"),
    event_row("E2", "2021-09-08", label="genuine", label_asof="2021-09-08"),
    event_row("E3", "2022-02-09", label="misreading", label_asof="2022-02-11"),
]


@pytest.fixture
def study(tmp_path: Path) -> list[str]:
    """Arguments of a small study, tables only."""
    write_prices(tmp_path / "prices")
    events = write_events(tmp_path, ROWS)
    config = write_study(tmp_path)
    return [
        str(events),
        "--config",
        str(config),
        "--prices",
        str(tmp_path / "prices"),
        "--set",
        'report.formats=["csv", "json"]',
    ]


def test_the_command_runs_as_a_module_too() -> None:
    said = subprocess.run([sys.executable, "-m", "eventstudy", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"eventstudy, version {__version__}\n"


def test_a_run_leaves_a_pack_and_points_latest_to_it(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *study, "--out", str(tmp_path / "results")]) == 0
    pack = (tmp_path / "results" / "latest").resolve()
    assert re.fullmatch(r"study-20220328-[0-9a-f]{8}", pack.name)
    summary = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    assert summary["counts"] == {"used": 9, "shifted": 0, "dropped": 0, "reasons": {}}
    assert summary["run_id"] == pack.name
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Cannot say. " in printed
    assert f"of {summary['asked']['n_shocks']} shocks labelled misreading" in printed
    for name in ("abnormal_returns", "estimation", "car", "aar", "tests", "alignment"):
        columns = pd.read_csv(pack / "tables" / f"{name}.csv").columns.tolist()
        assert columns[: len(TABLES[name])] == list(TABLES[name])
    ledger = pd.read_csv(pack / "ledger.csv")
    assert len(ledger) == 9
    assert set(ledger["status"]) == {"used"}


def test_tables_agree_with_each_other(study: list[str], tmp_path: Path) -> None:
    main(["run", *study, "--out", str(tmp_path / "results"), "--quiet"])
    tables = tmp_path / "results" / "latest" / "tables"
    car, daily, tests, aar = (pd.read_csv(tables / f"{n}.csv") for n in ("car", "abnormal_returns", "tests", "aar"))
    key = ["event_id", "ticker"]
    summed = daily[daily["tau"].between(2, 20)].groupby(key)["ar"].sum()
    stored = car[car["window"] == "[2,20]"].set_index(key)["car"]
    pd.testing.assert_series_equal(summed, stored.sort_index(), check_names=False, rtol=1e-12)
    drop = car[car["window"] == "[0,1]"]["car"]
    plain = tests[(tests["group"] == "all") & (tests["window"] == "[0,1]")].set_index("name")
    assert plain.loc["cross_sectional_t", "estimate"] == pytest.approx(drop.mean(), rel=1e-12)
    by_hand = drop.mean() / (drop.std(ddof=1) / len(drop) ** 0.5)
    assert plain.loc["cross_sectional_t", "statistic"] == pytest.approx(by_hand, rel=1e-12)
    day0 = aar[(aar["group"] == "all") & (aar["tau"] == 0)]["aar"].item()
    assert day0 == pytest.approx(daily[daily["tau"] == 0]["ar"].mean(), rel=1e-12)


def test_the_same_inputs_give_the_same_pack(study: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        assert main(["run", *study, "--out", str(tmp_path / "results"), "--quiet"]) == 0
    names = sorted(path.name for path in (tmp_path / "results").iterdir() if not path.name.startswith("."))
    assert [names[0], *names[2:]] == ["latest", "trials.jsonl"]


def test_other_settings_give_another_pack_and_keep_the_first(study: list[str], tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "results"), "--quiet"]
    main(["run", *study, *out])
    first = (tmp_path / "results" / "latest").resolve()
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    main(["run", *study, *out, "--set", "windows.minimum=130"])
    assert (tmp_path / "results" / "latest").resolve() != first
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_json_prints_the_summary(study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *study, "--out", str(tmp_path / "results"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["kind"] == "inconclusive"


def test_check_shows_day0_and_the_ledger_and_estimates_nothing(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *study]) == 0
    out = capsys.readouterr().out
    assert "2021-06-09" in out
    assert "9 event × peer pairs used (0 with day 0 shifted), 0 dropped" in " ".join(out.split())
    assert not (tmp_path / "results").exists()


def test_a_simulated_run_says_so_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = write_events(tmp_path, ROWS)
    arguments = [
        "run",
        str(events),
        "--config",
        str(write_study(tmp_path)),
        "--prices",
        "simulated",
        "--out",
        str(tmp_path / "results"),
        "--set",
        'report.formats=["csv", "json"]',
    ]
    assert main(arguments) == 0
    assert "SIMULATED" in capsys.readouterr().out
    pack = (tmp_path / "results" / "latest").resolve()
    assert "-simulated-" in pack.name
    assert json.loads((pack / "summary.json").read_text(encoding="utf-8"))["simulated"] is True
    truth = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))["prices"]["truth"]
    assert truth["seed"] == 20260624
    assert len([drop for drop in truth["drops"] if drop["label"]]) == 3


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (["--set", "windows.minimum=9"], 2, "windows.minimum = 9: accepted is 10 to 5000"),
        (["--prices", "/nowhere"], 2, "neither yahoo nor simulated nor a folder"),
        (["--set", "tests.names=['bpm']"], 2, "did you mean 'bmp'?"),
        (["--set", "model.name=markt"], 2, "did you mean 'market'?"),
        (["--set", "reversal.label=misreding"], 2, "did you mean 'misreading'?"),
        (["--sector", "optical"], 2, "not both"),
        (["--nonsense"], 2, "No such option"),
        (["--set", "windows.minimum=240", "--set", "windows.estimation=[-1000, -761]"], 3, "estimation_short"),
    ],
)
def test_exit_codes(
    study: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], code: int, said: str
) -> None:
    out = tmp_path / "results"
    assert main(["run", *study, *change, "--out", str(out)]) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (out / "latest").exists()
    assert not list(out.glob(".unfinished*"))


def test_without_an_events_file_the_command_says_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--sector", "optical"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no events file given. write 'eventstudy run events.csv'; 'eventstudy init SECTOR'" in said
    write_events(tmp_path, ROWS)
    assert main(["check"]) == 2
    assert "'events.csv' in this folder is one" in " ".join(capsys.readouterr().err.split())
    assert main(["run", "nowhere.csv", "--sector", "optical"]) == 2
    assert "let 'eventstudy init' write one to start from" in capsys.readouterr().err


def test_problems_of_events_and_settings_come_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = write_events(tmp_path, [event_row("E1", "yesterday")])
    config = tmp_path / "study.toml"
    config.write_text("[stduy]\n", encoding="utf-8")
    assert main(["run", str(events), "--config", str(config)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r".*/", "", line).split(": ")[0] for line in lines] == ["events.csv:2", "study.toml:1"]


def test_a_study_file_that_cannot_be_read_comes_with_the_problems_of_the_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = write_events(tmp_path, [event_row("E1", "no day")])
    (tmp_path / "study.toml").write_text("[study\n", encoding="utf-8")
    assert main(["run", str(events), "--config", str(tmp_path / "study.toml")]) == 2
    said = capsys.readouterr().err
    assert "events.csv:2:" in said
    assert "study.toml" in said


def test_sectors_lists_what_ships(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sectors"]) == 0
    assert "optical: Optical modules and AI hardware; 24 peers" in capsys.readouterr().out


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_has_help_and_is_in_the_readme(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command.get_short_help_str()
    context = click.Context(command, info_name=name)
    assert command.get_help(context).startswith("Usage: ")
    assert f"eventstudy {name}" in (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^  eventstudy (.*)", command.epilog or "", re.MULTILINE)
    # `market` is another name of `run`, which has the examples.
    assert bool(shown) == (name != "market")
    for line in shown:
        words = line.partition(" >")[0].split()
        asked = command.get_command(context, words[1]) if isinstance(command, click.Group) else command
        known = {option for parameter in asked.params for option in parameter.opts}
        assert words[0] == command.name
        assert {word for word in words if word.startswith("--")} <= known


def test_help_lists_every_command_under_a_kind_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    sections = [line.rstrip(":") for line in said.splitlines() if re.fullmatch(r"[A-Z][a-z ]+:", line)]
    assert sections == ["Options", *SECTIONS]
    assert sorted(re.findall(r"^  ([a-z][a-z-]*)  ", said, re.MULTILINE)) == cli.list_commands(click.Context(cli))


def asked_of_the_module(*arguments: str, columns: str) -> str:
    environment = {**os.environ, "COLUMNS": columns}
    command = [sys.executable, "-m", "eventstudy", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("columns", ["80", "200", "60", "no number"])
@pytest.mark.parametrize("asked", ["--help", "-h", "--version"])
def test_the_kept_help_is_what_click_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, asked: str, columns: str
) -> None:
    # `just help` writes eventstudy/help.txt again.
    monkeypatch.setenv("COLUMNS", columns)
    assert main([asked]) == 0
    assert asked_of_the_module(asked, columns=columns) == capsys.readouterr().out


@pytest.mark.parametrize("asked", ["--help", "--version"])
def test_help_and_version_load_nothing_but_the_package(asked: str) -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    command = [sys.executable, "-X", "importtime", "-m", "eventstudy", asked]
    loaded = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    names = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert {name for name in names if name.startswith("eventstudy")} == {"eventstudy"}
    assert not names & {"click", "typing", "re", "pathlib"}


@pytest.mark.parametrize("kind", ["volume", "volatility"])
def test_volume_and_volatility_are_tested_in_the_same_windows(study: list[str], tmp_path: Path, kind: str) -> None:
    for path in (tmp_path / "prices").glob("*.csv"):
        lines = path.read_text(encoding="utf-8").splitlines()
        # Volumes that follow the row number, ten times as large on the day of the first event.
        rows = []
        for number, line in enumerate(lines[1:]):
            burst = 10 if "2021-06-09" in line and path.stem != "IDX" else 1
            rows.append(f"{line.rsplit(',', 1)[0]},{(number % 7 + 3) * 100 * burst}")
        path.write_text("\n".join([lines[0], *rows, ""]), encoding="utf-8")
    assert main(["run", *study, "--set", f"study.kind={kind}", "--out", str(tmp_path / "r"), "--quiet"]) == 0
    pack = tmp_path / "r" / "latest"
    daily = pd.read_csv(pack / "tables" / "abnormal_returns.csv")
    day0 = daily[(daily["event_id"] == "E1") & (daily["tau"] == 0)]
    if kind == "volume":
        # The index has the same pattern of volumes, so what is left is the tenfold volume itself.
        assert day0["ar"].to_numpy() == pytest.approx([2.302585] * 3, abs=1e-6)
    else:
        assert (day0["return"] > 0).all()
    assert pd.read_csv(pack / "tables" / "car.csv")["bhar"].isna().all()
    tests = pd.read_csv(pack / "tables" / "tests.csv")
    assert tests[tests["name"] == "bhar_t"]["reason"].unique().tolist() == [f"n/a, a {kind} does not compound"]
    summary = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    assert summary["kind"] == kind
    assert f"This study measures abnormal {kind}." in summary["warnings"][0]
    assert "verdict" not in summary
    assert summary["effect"]["test"] == "ibragimov_mueller"
