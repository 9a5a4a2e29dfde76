"""No optional part ends a run: whatever the labels, and whatever fails, there is a pack that says so."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from reversal_studies import LOW, drop_days, shared_prices
from studies import event_row, write_events, write_prices, write_study

from eventstudy import plots
from eventstudy.cli import main
from eventstudy.errors import DEBUG, ConfigError, EstimationError, PriceError
from eventstudy.optional import Parts
from eventstudy.report.packs import read_pack

QUICK = (*LOW, "tests.draws=99", 'report.formats=["csv","json","md"]')
MIXES = {
    "misreading": ("misreading",),
    "genuine": ("genuine",),
    "unknown": ("unknown",),
    "mixed": ("misreading", "genuine", "unknown", "misreading", "contested"),
    "one genuine": ("misreading",) * 12 + ("genuine",),
}


def run(folder: Path, rows: Sequence[str], *settings: str, prices: str = "", groups: bool = False) -> int:
    config = write_study(folder, extra={"AAA": 'group = "makers"', "BBB": 'group = "users"'} if groups else None)
    events = write_events(folder, rows)
    given = [part for text in ("reversal.ask=yes", *QUICK, *settings) for part in ("--set", text)]
    source = prices or shared_prices().name
    return main(
        [
            "run",
            str(events),
            "--config",
            str(config),
            "--prices",
            source,
            "--quiet",
            "--out",
            str(folder / "out"),
            *given,
        ]
    )


def facts_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "latest" / "summary.json").read_text(encoding="utf-8"))
    return found


def table_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "out" / "latest" / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def labelled(days: Sequence[str], mix: str, **cells: str) -> list[str]:
    labels = MIXES[mix]
    asof = {"misreading", "genuine", "contested"}
    return [
        event_row(
            f"E{i:02d}",
            day,
            label=(label := labels[i % len(labels)]),
            **({"label_asof": day} if label in asof else {}),
            **cells,
        )
        for i, day in enumerate(days)
    ]


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("count", [10, 13, 40])
def test_a_study_of_many_drops_writes_its_pack_whatever_their_labels(tmp_path: Path, mix: str, count: int) -> None:
    rows = labelled(drop_days(count, 50 if count < 20 else 7), mix)
    assert run(tmp_path, rows) == 0
    reversal = table_of(tmp_path, "reversal")
    assert len(reversal) == count
    assert sum(row["qualifies"] == "True" for row in reversal) >= count - 1
    measures = {
        row["measure"]: row for row in table_of(tmp_path, "reversal_measures") if row["group"] == "misreading-genuine"
    }
    labels = [row["label"] for row in reversal if row["qualifies"] == "True"]
    sides = labels.count("misreading"), labels.count("genuine")
    slope = measures["regression_misreading"]
    if min(sides) < 3:
        assert slope["p_value"] == ""
        assert slope["note"].startswith(f"n/a: {sides[0]} misreading and {sides[1]} genuine shocks, needs 3 of each")
        assert measures["difference"]["note"].startswith("n/a: ")
    elif sum(sides) >= 10:
        assert 1e-6 < float(slope["p_value"]) <= 1.0
    assert facts_of(tmp_path)["not_available"] == []


@pytest.mark.parametrize("mix", MIXES)
def test_a_file_with_tickers_of_one_group_of_peers_writes_its_pack(tmp_path: Path, mix: str) -> None:
    assert run(tmp_path, labelled(drop_days(13), mix, tickers="AAA"), groups=True) == 0
    assert {row["n_peers"] for row in table_of(tmp_path, "reversal")} == {"1"}


FAILING = {
    "difference": "eventstudy.reversal.findings.label_difference",
    "contrast": "eventstudy.reversal.findings.regression",
    "dimensions": "eventstudy.reversal.contrasts._by_dimension",
    "exposure": "eventstudy.reversal.contrasts._by_exposure",
    "curve": "eventstudy.reversal.findings.specification_curve",
    "gates": "eventstudy.reversal.findings.gates",
    "measures": "eventstudy.reversal.findings._measures_of",
    "clarifications": "eventstudy.reversal.findings.clarifications",
    "placebos": "eventstudy.reversal.findings.placebo_rows",
    "inside": "eventstudy.reversal.findings.other_events",
    "paths": "eventstudy.reversal.findings.path_rows",
    "regression": "eventstudy.results.regressions.design_of",
    "multiplicity": "eventstudy.results.tables._multiplicity_rows",
    "diagnostics": "eventstudy.results.tables._diagnostics_rows",
    "claims": "eventstudy.study.check_claims",
    "backtest": "eventstudy.study.trade_study",
}
ERRORS = {
    "not_estimable": EstimationError("the covariates are collinear"),
    "no_prices": PriceError("there are none"),
    "numerical": np.linalg.LinAlgError("SVD did not converge"),
    "numerical ": FloatingPointError("underflow"),
    "internal": KeyError("nowhere"),
}


def place(name: str) -> tuple[ModuleType, str]:
    """The module and the name of a function in it; some modules stand behind a function of their name."""
    module, _, function = name.rpartition(".")
    return importlib.import_module(module), function


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("short")
    write_prices(folder)
    return str(folder)


@pytest.mark.parametrize("part", FAILING)
def test_a_part_that_fails_is_not_available_and_the_run_goes_on(
    tmp_path: Path, short: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = list(ERRORS)[len(part) % len(ERRORS)]

    def fail(*_: Any, **__: Any) -> Any:
        raise ERRORS[code]

    monkeypatch.setattr(*place(FAILING[part]), fail)
    monkeypatch.delenv(DEBUG)
    rows = [
        event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-09"),
        event_row("E2", "2021-09-08", label="genuine", label_asof="2021-09-08"),
    ]
    assert run(tmp_path, rows, 'tests.regression=["car ~ beta"]', prices=short) == 0
    facts = facts_of(tmp_path)
    missing = facts["not_available"]
    assert {(row["part"], row["code"]) for row in missing} == {(part, code.strip())}
    assert all(row["reason"].startswith("n/a, ") for row in missing)
    said = str(ERRORS[code])
    assert all(said in row["reason"] for row in missing)
    # A regression that fails in every window is told once.
    assert sum(said in line for line in facts["warnings"]) == len({(row["of"], row["reason"]) for row in missing})
    assert said.replace("'", "") in (tmp_path / "out" / "latest" / "summary.md").read_text(encoding="utf-8").replace(
        "'", ""
    )
    assert main(["show", str(tmp_path / "out" / "latest")]) == 0


def test_errors_of_the_program_come_through_where_they_are_looked_for(
    tmp_path: Path, short: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("nowhere")

    monkeypatch.setattr(*place(FAILING["gates"]), fail)
    with pytest.raises(KeyError, match="nowhere"):
        Parts().optional("gates", fail, lambda _: None)
    monkeypatch.delenv(DEBUG)
    rows = [event_row("E1", "2021-06-09")]
    config, events = write_study(tmp_path), write_events(tmp_path, rows)
    command = ["run", str(events), "--config", str(config), "--prices", short, "--quiet"]
    command += ["--out", str(tmp_path / "out")]
    command += ["--set", 'report.formats=["json"]', "--set", "tests.draws=99", "--set", 'reversal.ask="yes"']
    assert main(command) == 0
    with pytest.raises(KeyError, match="nowhere"):
        main([*command, "--debug"])
    assert main(command) == 0


def test_faults_of_inputs_and_of_the_machine_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEBUG)
    for error in (ConfigError("wrong"), OSError(28, "no space"), MemoryError()):
        parts = Parts()

        def fail(given: BaseException = error) -> None:
            raise given

        with pytest.raises(type(error)):
            parts.optional("gates", fail, lambda _: None)
        assert parts.missing == []


def test_a_figure_that_cannot_be_drawn_is_left_out_and_named(
    tmp_path: Path, short: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = plots.draw

    def draw(result: Any, plot: plots.Plot) -> Any:
        if plot.kind == "forest":
            raise FloatingPointError("no room for the axis")
        return drawn(result, plot)

    monkeypatch.setattr(plots, "draw", draw)
    rows = [event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-09"), event_row("E2", "2021-09-08")]
    assert run(tmp_path, rows, 'report.formats=["csv","json","html","png","md"]', prices=short) == 0
    pack = tmp_path / "out" / "latest"
    missing = facts_of(tmp_path)["not_available"]
    assert [(row["part"], row["of"], row["code"]) for row in missing] == [("figure", "forest", "numerical")]
    names = {path.stem for path in (pack / "figures").iterdir()}
    assert "caar_by_label" in names
    assert "forest" not in names
    assert "figure forest: n/a, it cannot be computed from these numbers" in " ".join(read_pack(pack).facts["warnings"])
    assert "figure forest: n/a" in (pack / "summary.md").read_text(encoding="utf-8")


def test_a_covariate_needs_three_shocks_on_either_side(tmp_path: Path) -> None:
    rows = labelled(drop_days(6), "one genuine")[:5] + labelled(drop_days(13), "one genuine")[12:]
    assert run(tmp_path, rows, 'tests.regression=["car ~ misreading", "car ~ beta"]') == 0
    table = [row for row in table_of(tmp_path, "regressions") if row["estimator"] != "gls"]
    found = {(row["formula"], row["window"], row["term"]): row for row in table}
    (blocked,) = [row for key, row in found.items() if key[:2] == ("car ~ misreading", "[0,1]")]
    assert blocked["reason"] == ("n/a, misreading is 0 on 1 date(s) and 1 on 5; at least 3 of each are needed")
    assert (blocked["p_value"], blocked["term"]) == ("", "")
    slope = found["car ~ beta", "[0,1]", "beta"]
    assert slope["reason"] == ""
    assert np.isfinite(float(slope["p_value"]))
    assert {row["part"] for row in facts_of(tmp_path)["not_available"]} == {"regression"}


def test_collinear_covariates_are_a_row_with_a_reason(tmp_path: Path) -> None:
    rows = labelled(drop_days(13), "genuine")
    config, events = write_study(tmp_path), write_events(tmp_path, rows)
    lines = events.read_text(encoding="utf-8").splitlines()
    more = [f"{line},{i},{2 * i + 1}" for i, line in enumerate(lines[1:])]
    events.write_text("\n".join([f"{lines[0]},size,double", *more, ""]), encoding="utf-8")
    given = [part for text in ("reversal.ask=yes", *QUICK) for part in ("--set", text)]
    given += ["--set", 'tests.regression=["car ~ size + double", "car ~ size"]']
    command = ["run", str(events), "--config", str(config), "--prices", shared_prices().name, "--quiet"]
    assert main([*command, "--out", str(tmp_path / "out"), *given]) == 0
    table = table_of(tmp_path, "regressions")
    blocked = [row for row in table if row["formula"] == "car ~ size + double"]
    assert blocked
    assert {row["p_value"] for row in blocked} == {""}
    assert all("collinear" in row["reason"] for row in blocked)
    slopes = [row for row in table if (row["formula"], row["term"]) == ("car ~ size", "size")]
    assert all(np.isfinite(float(row["p_value"])) for row in slopes)
    assert "regression" in {row["part"] for row in facts_of(tmp_path)["not_available"]}


def test_a_label_with_one_event_has_its_verdict_by_rank(tmp_path: Path) -> None:
    rows = labelled(drop_days(13), "one genuine")
    assert run(tmp_path, rows) == 0
    one = facts_of(tmp_path)["verdicts"]["label=genuine"]
    assert (one["n_dates"], one["estimator"], one["kind"]) == (1, "rank", "inconclusive")
    assert one["ci"] == [None, None]
    assert 1 <= one["rank"] <= one["among"]
    alone = [row for row in table_of(tmp_path, "reversal_measures") if row["group"] == "label=genuine"]
    assert {row["measure"] for row in alone} >= {"excess_regression", "excess_weighted", "calendar_time_alpha"}
    assert facts_of(tmp_path)["not_available"] == []
