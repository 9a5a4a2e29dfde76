"""Study settings: layers, and every wrong key or value named with what is accepted."""

from __future__ import annotations

import csv
import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eventstudy.config import load_config, sector_names
from eventstudy.errors import ConfigError

STUDY = """
[study]
name = "Two banks"

[[markets]]
mic = "XNYS"
benchmark = "^GSPC"

[[peers]]
ticker = "AAA"
market = "XNYS"
from = 2020-01-02

[[peers]]
ticker = "BBB"
market = "XNYS"
until = 2024-12-31
aliases = ["OLDB"]
"""


def write(folder: Path, text: str = STUDY, name: str = "study.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path: Path, text: str, *overrides: str) -> str:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "events.csv", config_file=path, overrides=overrides)
    return str(caught.value)


def test_a_study_of_ones_own(tmp_path: Path) -> None:
    config = load_config(tmp_path / "events.csv", config_file=write(tmp_path))
    assert config.study.name == "Two banks"
    assert [peer.ticker for peer in config.peers] == ["AAA", "BBB"]
    assert config.peers[0].from_ == dt.date(2020, 1, 2)
    assert config.peer("OLDB").ticker == "BBB"
    assert config.windows.estimation == (-250, -11)
    assert config.prices.offline == "fail"


def test_set_wins_over_file_and_file_over_sector(tmp_path: Path) -> None:
    write(
        tmp_path, "[study]\nsector = 'optical'\n[windows]\nminimum = 150\npost = [2, 10]\n", "eventstudy.toml"
    )
    config = load_config(tmp_path / "events.csv", overrides=["windows.minimum=130", "study.name=Mine"])
    assert config.windows.minimum == 130
    assert config.windows.post == (2, 10)
    assert config.study.name == "Mine"
    assert config.study.sector == "optical"
    assert config.peer("IIVI").ticker == "COHR"


def test_a_file_with_its_own_peers_does_not_inherit_a_sector(tmp_path: Path) -> None:
    write(tmp_path, "[study]\nsector = 'optical'\n[prices]\noffline = 'simulated'\n", "eventstudy.toml")
    config = load_config(tmp_path / "events.csv", config_file=write(tmp_path))
    assert [peer.ticker for peer in config.peers] == ["AAA", "BBB"]
    assert config.prices.offline == "simulated"


def test_the_settings_are_plain_json_values(tmp_path: Path) -> None:
    plain = load_config(tmp_path / "events.csv", config_file=write(tmp_path)).as_dict()
    assert plain["peers"][0]["from"] == "2020-01-02"
    assert plain["windows"]["post"] == [2, 20]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "Two', 'nmae = "Two', "study.toml:3: unknown key 'study.nmae'; accepted: "),
        ('name = "Two', 'nmae = "Two', "did you mean 'name'?"),
        ("[study]", "[stduy]", "did you mean 'study'?"),
        ('benchmark = "^GSPC"', "benchmark = 5", "markets[0].benchmark = 5: accepted is a text"),
        ("from = 2020-01-02", 'from = "2020-01-02"', "accepted is a date such as 2026-06-09, without quotes"),
        (
            'market = "XNYS"\nfrom',
            'market = "XNYX"\nfrom',
            "peer AAA: market 'XNYX'; accepted: XNYS; did you mean 'XNYS'?",
        ),
        ('mic = "XNYS"\n', "", "markets[0]: mic missing"),
        ('ticker = "BBB"', 'ticker = "AAA"', "peer AAA is named twice"),
        ('ticker = "BBB"', 'ticker = "^GSPC"', "is also a benchmark"),
        (
            "until = 2024-12-31",
            "from = 2025-01-01\nuntil = 2024-12-31",
            "from 2025-01-01 is after until 2024-12-31",
        ),
        ("[study]", "[study", "is not TOML"),
        ("[study]", "[windows]\nestimation = [-250, -5]\n[study]", "overlaps windows.event"),
        ("[study]", "[windows]\npost = [20, 2]\n[study]", "runs backwards; write [2, 20]"),
        ("[study]", "[windows]\npost = [2, 60]\n[study]", "lies outside windows.event"),
        ("[study]", "[windows]\npost = [2]\n[study]", "accepted are 2 values"),
        ("[study]", "[windows]\nminimum = 300\n[study]", "accepted is 10 to 240"),
        ("[study]", "[windows]\nminimum = true\n[study]", "accepted is a whole number"),
        ("[study]", "[windows]\ndrop = [0, 2]\n[study]", "before the drop has ended"),
        ("[study]", "[returns]\nkind = 'logs'\n[study]", "accepted is 'simple' or 'log'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in refused(tmp_path, STUDY.replace(old, new, 1))


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    text = STUDY.replace("name =", "nmae =").replace("aliases", "alias")
    assert len(refused(tmp_path, text).splitlines()) == 2


def test_overrides_are_checked_too(tmp_path: Path) -> None:
    assert "unknown key 'windows.minimun'" in refused(tmp_path, STUDY, "windows.minimun=3")
    assert "write section.key=value" in refused(tmp_path, STUDY, "minimum")


def test_an_unknown_sector_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sector 'optica' is not shipped.*did you mean 'optical'"):
        load_config(tmp_path / "events.csv", sector="optica")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(tmp_path / "events.csv", config_file=tmp_path / "none.toml")


def test_without_any_study_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no peers: name a sector with --sector"):
        load_config(tmp_path / "events.csv")


def test_the_shipped_optical_sector(tmp_path: Path) -> None:
    assert "optical" in sector_names()
    config = load_config(tmp_path / "events.csv", sector="optical")
    infinera = config.peer("INFN")
    assert (infinera.until, infinera.deal_bound_from) == (dt.date(2025, 2, 28), dt.date(2024, 6, 28))
    assert config.peer("300308.SZ").name_local == "中际旭创"
    assert {market.mic: market.benchmark for market in config.markets} == {
        "XNAS": "^GSPC",
        "XNYS": "^GSPC",
        "XSHG": "000300.SS",
        "XSHE": "000300.SS",
        "XTAI": "^TWII",
        "XTKS": "^N225",
    }
    core = {peer.ticker for peer in config.peers if peer.group == "core"}
    assert core >= {
        "002281.SZ",
        "300308.SZ",
        "300502.SZ",
        "603083.SS",
        "LITE",
        "COHR",
        "AAOI",
        "FN",
        "CIEN",
        "INFN",
    }
    assert {peer.ticker for peer in config.peers if peer.group == "wider"} == {
        "NVDA",
        "AVGO",
        "MRVL",
        "CRDO",
        "MTSI",
        "GLW",
        "2330.TW",
        "5802.T",
    }


def test_names_of_models_and_statistics_are_those_of_the_registries() -> None:
    from eventstudy import registry
    from eventstudy.core import models as expected_returns
    from eventstudy.core import statistics as inference

    shipped = {name for name, fit in expected_returns.MODELS.items() if _ours(fit)}
    assert sorted(shipped) == sorted(registry.MODELS.declared)
    shipped = {name for name, compute in inference.STATISTICS.items() if _ours(compute)}
    assert sorted(shipped) == sorted(registry.STATISTICS.declared)


def test_tests_stand_in_the_order_of_the_packs_that_ship() -> None:
    from eventstudy.core.statistics import STATISTICS

    table = Path(__file__).parents[1] / "results" / "optical-2026-06" / "tables" / "tests.csv"
    with table.open(encoding="utf-8", newline="") as file:
        names = list(dict.fromkeys(row["name"] for row in csv.DictReader(file)))
    assert len(names) == 26
    assert list(STATISTICS.declared) == names == [name for name in STATISTICS if name in names]


def _ours(function: object) -> bool:
    return function.__module__.startswith("eventstudy.")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model.name=markt", "model.name = 'markt' is unknown; accepted: capm, dimson, "),
        ("tests.names=['bpm']", "tests.names = 'bpm' is unknown; accepted: ar_t, bhar_t, "),
        ("reversal.label=misreadng", "did you mean 'misreading'?"),
    ],
)
def test_names_are_checked_when_settings_are_read(tmp_path: Path, setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_config(tmp_path / "events.csv", sector="optical", overrides=[setting])


def test_checking_names_imports_no_model(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from eventstudy.config import load_config;"
        "load_config(Path('events.csv'), sector='optical');"
        "print(sorted(m for m in ('numpy', 'scipy', 'arch', 'statsmodels') if m in sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert out.strip() == "[]"
