"""The locked question at the command line: written once, held against every run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_prices(tmp_path / "prices")
    rows = [event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-09")]
    write_events(tmp_path, rows)
    write_study(tmp_path)
    return tmp_path


def lock(folder: Path) -> int:
    config, out = str(folder / "study.toml"), str(folder / "lock.toml")
    return main(["prereg", str(folder / "events.csv"), "--config", config, "--out", out])


def run(folder: Path, *more: str) -> int:
    return main(
        [
            "run",
            str(folder / "events.csv"),
            "--config",
            str(folder / "study.toml"),
            "--prices",
            str(folder / "prices"),
            "--out",
            str(folder / "out"),
            "--quiet",
            "--set",
            'report.formats=["csv", "json"]',
            *more,
        ]
    )


def summary(folder: Path) -> dict[str, object]:
    path = folder / "out" / "latest" / "summary.json"
    content: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_the_lock_is_written_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lock(folder) == 0
    locked = tomllib.loads((folder / "lock.toml").read_text(encoding="utf-8"))
    assert locked["windows"]["post"] == [2, 20]
    assert locked["question"]["n_events"] == 1
    assert lock(folder) == 2
    assert "is there already; a locked question is not overwritten" in capsys.readouterr().err


def test_a_run_as_locked_departs_in_nothing(folder: Path) -> None:
    lock(folder)
    assert run(folder, "--prereg", str(folder / "lock.toml")) == 0
    found = summary(folder)
    assert found["prereg"]["n_departures"] == 0  # type: ignore[index]
    assert found["trials"] == 1


def test_other_windows_need_leave(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock(folder)
    other = ("--prereg", str(folder / "lock.toml"), "--set", "windows.post=[2,10]")
    assert run(folder, *other) == 2
    assert (
        "departure from the pre-registration: windows.post was locked as [2, 20], is now [2, 10]; run the registered "
        "question, or give --allow-departures"
    ) in capsys.readouterr().err
    assert not (folder / "out" / "latest").exists()
    assert run(folder, *other, "--allow-departures") == 0
    found = summary(folder)
    keys = [row["key"] for row in found["prereg"]["departures"]]  # type: ignore[index]
    assert keys == ["primary_endpoint", "second_endpoint", "windows.post"]
    assert found["warnings"][2].startswith("departure from the pre-registration: windows.post")  # type: ignore[index]


def test_other_events_need_leave_and_other_rules_are_told(folder: Path) -> None:
    lock(folder)
    assert run(folder, "--prereg", str(folder / "lock.toml"), "--set", "reversal.drop_k=1.5") == 0
    assert [r["key"] for r in summary(folder)["prereg"]["departures"]] == ["reversal.drop_k"]  # type: ignore[index]
    write_events(folder, [event_row("E2", "2021-07-09")])
    assert run(folder, "--prereg", str(folder / "lock.toml")) == 2


def test_a_lock_that_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--prereg", str(folder / "missing.toml")) == 2
    assert "missing.toml: cannot be read" in capsys.readouterr().err
    (folder / "bad.toml").write_text("= no", encoding="utf-8")
    assert run(folder, "--prereg", str(folder / "bad.toml")) == 2
    assert "bad.toml: is not TOML" in capsys.readouterr().err


def test_every_specification_is_logged_and_counted_once(folder: Path) -> None:
    for drop_k in ("2.0", "1.5", "1.5"):
        assert run(folder, "--set", f"reversal.drop_k={drop_k}") == 0
    lines = (folder / "out" / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert summary(folder)["trials"] == 2
    assert json.loads(lines[0])["verdict"] == "inconclusive"
