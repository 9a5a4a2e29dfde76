"""A statistic, a model, a provider, a figure and an output are one new file each, inside or outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import event_row, write_events, write_prices, write_study

PACKAGE = Path(__file__).parents[1] / "eventstudy"
STATISTIC = """
import numpy as np
from eventstudy.core.statistics.sample import TestResult, WindowSample, statistic


@statistic("median_t", null="the median CAR is zero", source="here", minimum=2)
def median_t(sample: WindowSample) -> TestResult:
    se = 1.2533 * sample.car.std(ddof=1) / np.sqrt(sample.n)
    return sample.result(np.median(sample.car) / se, distribution="normal")
"""
MODEL = """
from dataclasses import replace
from eventstudy.core.models.base import model
from eventstudy.core.models.ols import least_squares


@model("half_market")
def half_market(panel, settings):
    fit = least_squares(panel.with_factors("market"), "half_market", ("alpha", "beta"))
    return replace(fit, theta=fit.theta / 2)
"""
PROVIDER = """
import os
from dataclasses import replace
from eventstudy.prices.table import get_provider, provider


@provider("mine")
class Mine:
    def __init__(self, *, progress=None):
        self.progress = progress

    def fetch(self, request):
        table = get_provider("files")(os.environ["MY_PRICES"]).fetch(request)
        for ticker, outcome in table.outcomes.items():
            self.progress(outcome, table.series.get(ticker))
        return replace(table, source="mine", origin={})
"""
FIGURE = """
from eventstudy.plots.kinds import Frame, Kind, register


def draw_cars(ax, result, _):
    car = result.tables["car"]["car"]
    ax.plot(range(len(car)), car, "o")
    return ax


register(
    Kind(
        "every_car",
        80,
        lambda result: ("",),
        lambda *_: Frame(width=4.0, height=2.0, left=0.5, right=0.1, bottom=0.6, top=0.3),
        draw_cars,
        lambda result, _: (len(result.tables["car"]), 1),
    )
)
"""
OUTPUT = """
from eventstudy.report.output import Material, output


@output("tickers")
def write(material: Material) -> None:
    names = sorted(set(material.tables["car"]["ticker"]))
    (material.folder / "tickers.txt").write_text(" ".join(names))
"""
#: Text, folder in the package, name that is declared, and the entry-point group of other distributions.
FILES = {
    "median": (STATISTIC, "core/statistics", "median_t", "eventstudy.statistics"),
    "half": (MODEL, "core/models", "half_market", "eventstudy.models"),
    "mine": (PROVIDER, "prices", "mine", "eventstudy.providers"),
    "every_car": (FIGURE, "plots", "every_car", "eventstudy.figures"),
    "tickers": (OUTPUT, "report/render", "tickers", "eventstudy.outputs"),
}


def add_to_a_copy_of_the_package(site: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "optical")
    shutil.copytree(PACKAGE, site / "eventstudy", ignore=ignore)
    for name, (text, folder, *_) in FILES.items():
        (site / "eventstudy" / folder / f"{name}.py").write_text(text, encoding="utf-8")


def install_beside_the_package(site: Path) -> None:
    (site / "plugin").mkdir(parents=True)
    (site / "plugin" / "__init__.py").touch()
    entries = []
    for module, (text, _, name, group) in FILES.items():
        (site / "plugin" / f"{module}.py").write_text(text, encoding="utf-8")
        thing = f"plugin.{module}" + (":Mine" if name == "mine" else "")
        entries.append(f"[{group}]\n{name} = {thing}\n")
    info = site / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("\n".join(entries), encoding="utf-8")


def command(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(PACKAGE.parent)]),
        "XDG_DATA_HOME": str(folder / "data"),
        "MY_PRICES": str(folder / "prices"),
    }
    return subprocess.run(
        [sys.executable, "-m", "eventstudy", *arguments], capture_output=True, text=True, cwd=folder, env=environment
    )


def event(name: str, day: str) -> str:
    return event_row(name, f"{day}T14:00:00-05:00", label="misreading", label_asof=day)


@pytest.mark.parametrize("add", [add_to_a_copy_of_the_package, install_beside_the_package])
def test_one_file_adds_one_of_each(tmp_path: Path, add: object) -> None:
    site, folder = tmp_path / "site", tmp_path / "work"
    site.mkdir()
    folder.mkdir()
    add(site)  # type: ignore[operator]
    write_study(folder)
    write_prices(folder / "prices")
    rows = [event(f"E{month}", f"2021-{month:02}-09") for month in (2, 6, 11)]
    write_events(folder, rows)
    study = ["run", "events.csv", "--config", "study.toml", "--prices", "mine", "--out", "out", "--quiet"]
    settings = (
        'model.name="half_market"',
        'tests.names=["median_t", "date_t"]',
        'report.formats=["csv", "png", "tickers"]',
        "study.kind=return",
    )
    done = command(site, folder, *study, *(part for text in settings for part in ("--set", text)))
    assert done.returncode == 0, done.stderr
    pack = folder / "out" / "latest"
    tests = pd.read_csv(pack / "tables" / "tests.csv")
    assert set(tests["name"]) == {"median_t", "date_t"}
    assert set(pd.read_csv(pack / "tables" / "estimation.csv")["model"]) == {"half_market"}
    car = pd.read_csv(pack / "tables" / "car.csv").query("window == '[0,1]'")["car"]
    row = tests.query("name == 'median_t' and group == 'all' and window == '[0,1]'")
    by_hand = np.median(car) / (1.2533 * car.std(ddof=1) / len(car) ** 0.5)
    assert row["statistic"].item() == pytest.approx(by_hand, rel=1e-9)
    assert (pack / "tickers.txt").read_text() == "AAA BBB CCC"
    assert "<svg" in (pack / "figures" / "every_car.svg").read_text(encoding="utf-8")
    assert json.loads((pack / "manifest.json").read_text(encoding="utf-8"))["prices"]["source"] == "mine"


def test_the_documented_provider_is_read_through_its_entry_point(tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "work"
    folder.mkdir()
    install_beside_the_package(site)
    page = (PACKAGE.parent / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    text = next(block for block in blocks if "class MyFiles" in block)
    (site / "plugin" / "my_files.py").write_text(text, encoding="utf-8")
    entries = site / "plugin-1.0.dist-info" / "entry_points.txt"
    entries.write_text("[eventstudy.providers]\nmy_files = plugin.my_files:MyFiles\n", encoding="utf-8")
    write_study(folder)
    write_prices(folder / "prices")
    (folder / "prices" / "CCC.csv").unlink()
    write_events(folder, [event("E1", "2021-02-09"), event("E2", "2021-06-09")])
    study = ["events.csv", "--config", "study.toml", "--prices", "my_files"]
    settings = ("--set", 'report.formats=["csv"]', "--set", "study.kind=return")
    done = command(site, folder, "run", *study, *settings, "--out", "out", "--quiet")
    assert done.returncode == 0, done.stderr
    pack = folder / "out" / "latest"
    assert set(pd.read_csv(pack / "tables" / "car.csv")["ticker"]) == {"AAA", "BBB"}
    assert "CCC.csv does not exist" in (pack / "ledger.csv").read_text(encoding="utf-8")
    assert not (folder / "data").exists()
    done = command(site, folder, "fetch", *study)
    assert (done.returncode, "is not a source to fetch from" in done.stderr) == (2, True)


def test_an_unknown_name_lists_what_other_distributions_have(tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "work"
    folder.mkdir()
    install_beside_the_package(site)
    write_study(folder)
    write_events(folder, [event("E1", "2021-02-09")])
    done = command(site, folder, "check", "events.csv", "--config", "study.toml", "--set", "model.name=half_markt")
    assert done.returncode == 2
    assert "accepted: capm, dimson, " in done.stderr
    assert "did you mean 'half_market'?" in done.stderr


def test_a_plugin_that_does_not_declare_what_it_promises_is_named(tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "work"
    folder.mkdir()
    install_beside_the_package(site)
    (site / "plugin" / "half.py").write_text("half_market = 1\n", encoding="utf-8")
    write_study(folder)
    write_prices(folder / "prices")
    write_events(folder, [event("E1", "2021-02-09")])
    study = ["run", "events.csv", "--config", "study.toml", "--prices", "prices", "--out", "out"]
    done = command(site, folder, *study, "--set", "model.name=half_market")
    assert done.returncode == 2
    assert "model 'half_market' of plugin: its module does not declare @model(\"half_market\", …)" in done.stderr
