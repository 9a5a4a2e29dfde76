"""Study settings: layers, and every wrong key or value named with what is accepted."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import math
import re
import subprocess
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from eventstudy.cli import main
from eventstudy.config import Cost, Market, Peer, Prices, StudyConfig, load_config, sector_names
from eventstudy.config.ranges import Form, OneOf, Range, Registered, faults
from eventstudy.errors import ConfigError

FIRST = dt.date(2020, 1, 2)
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
    write(tmp_path, "[study]\nsector = 'optical'\n[windows]\nminimum = 150\npost = [2, 10]\n", "eventstudy.toml")
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
        ("until = 2024-12-31", "from = 2025-01-01\nuntil = 2024-12-31", "from 2025-01-01 is after until 2024-12-31"),
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
    assert core >= {"002281.SZ", "300308.SZ", "300502.SZ", "603083.SS", "LITE", "COHR", "AAOI", "FN", "CIEN", "INFN"}
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
        ("tests.names=['bpm']", "tests.names[0] = 'bpm' is unknown; accepted: ar_t, bhar_t, "),
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
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert out.strip() == "[]"


def settings_of(kind: Any, path: str = "") -> Iterator[tuple[str, Any, tuple[object, ...]]]:
    """Yield (name, type, limits) of every value that a study's settings can hold."""
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        yield from values_of(hint, f"{path}{name.rstrip('_')}")


def values_of(hint: Any, path: str, limits: tuple[object, ...] = ()) -> Iterator[tuple[str, Any, tuple[object, ...]]]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        yield from values_of(arguments[0], path, (*limits, *arguments[1:]))
    elif origin in (typing.Union, types.UnionType):
        yield from values_of(arguments[0], path, limits)
    elif dataclasses.is_dataclass(hint):
        yield from settings_of(hint, f"{path}.")
    elif origin is tuple:
        yield from values_of(arguments[0], f"{path}[0]")
    elif origin is Mapping:
        yield from values_of(arguments[1], f"{path}.X")
    else:
        yield path, hint, limits


EVERY = list(settings_of(StudyConfig))
RANGES = [(path, hint, limit) for path, hint, limits in EVERY for limit in limits if isinstance(limit, Range)]


@pytest.mark.parametrize(("path", "hint", "limits"), EVERY, ids=[path for path, *_ in EVERY])
def test_every_setting_says_what_it_may_hold(path: str, hint: Any, limits: tuple[object, ...]) -> None:
    if hint in (int, float, dt.date):
        assert [type(limit) for limit in limits] == [Range], f"{path} has no range"
    elif hint is str:
        assert [type(limit) for limit in limits] in ([Form], [OneOf], [Registered]), (
            f"{path} is neither limited nor FREE"
        )
    else:
        assert hint is bool or typing.get_origin(hint) is typing.Literal, path


def faults_with(path: str, value: object) -> list[str]:
    """What is wrong with settings that are sound but for one value."""
    plain = StudyConfig(
        markets=(Market("XNYS", "^GSPC"),),
        peers=(Peer(ticker="AAA", market="XNYS", from_=FIRST, until=FIRST, deal_bound_from=FIRST),),
        costs=(Cost("XNYS", "tax", 1.0, from_=FIRST, until=FIRST),),
        prices=Prices(volume_unit={"X": 1}, price_unit={"X": 1.0}),
    )
    return [text for _, text in faults(changed(plain, re.findall(r"\w+", path), value), StudyConfig)]


def changed(whole: Any, steps: list[str], value: object) -> Any:
    """The settings with another value at the end of these steps."""
    if not steps:
        return value
    first, *rest = steps
    if isinstance(whole, tuple):
        at = int(first)
        return (*whole[:at], changed(whole[at], rest, value), *whole[at + 1 :])
    if isinstance(whole, dict):
        return whole | {first: changed(whole[first], rest, value)}
    name = f"{first}_" if first == "from" else first
    return dataclasses.replace(whole, **{name: changed(getattr(whole, name), rest, value)})


@pytest.mark.parametrize(("path", "hint", "limit"), RANGES, ids=[path for path, *_ in RANGES])
def test_both_ends_of_a_range_are_accepted_and_nothing_beyond(path: str, hint: Any, limit: Range) -> None:
    accepted = f"accepted is {limit.least} to {limit.most}"
    step: Any = dt.timedelta(days=1) if hint is dt.date else 1
    for end, beyond in ((limit.least, limit.least - step), (limit.most, limit.most + step)):
        assert faults_with(path, end) == []
        (said,) = faults_with(path, beyond)
        assert said.startswith(f"{path} = {beyond}: {accepted}")
    if hint is float:
        for value in (math.nan, math.inf, -math.inf):
            assert len(faults_with(path, value)) == 1


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("tests.draws=-1", "tests.draws = -1: accepted is 1 to 1000000"),
        ("study.seed=-1", "study.seed = -1: accepted is 0 to 4294967295"),
        ("reversal.share_negative=nan", "reversal.share_negative = nan: accepted is 0 to 1"),
        ("reversal.drop_k=-1", "reversal.drop_k = -1.0: accepted is 0 to 100"),
        ("tests.level=inf", "tests.level = inf: accepted is 0.0001 to 0.5"),
        ("report.formats=['csv','csv','pdf']", "report.formats names csv twice"),
        ("tests.names=['bmp','sign','bmp']", "tests.names names bmp twice"),
        ("study.currency=dollar", "study.currency = 'dollar': accepted are three capital letters such as USD"),
        ("windows.car=[[0,1],[0,9999]]", "windows.car[1][1] = 9999: accepted is -5000 to 5000"),
    ],
)
def test_values_that_nothing_could_be_computed_with(tmp_path: Path, setting: str, said: str) -> None:
    assert said in refused(tmp_path, STUDY, setting)


#: One wrong value of each kind: the line of a study file with it, and what is said of it.
WRONG = [
    ('[model]\nname = "markt"', "model.name = 'markt' is unknown; accepted: capm"),
    ('[tests]\nnames = ["bmp", "bpm"]', "tests.names[1] = 'bpm' is unknown; accepted: ar_t"),
    ('[report]\nformats = ["csv", "pdg"]', "report.formats[1] = 'pdg' is unknown; accepted: csv, docx, html"),
    ('[report]\nsections = ["anser"]', "report.sections[0] = 'anser' is unknown; accepted: alignment"),
    ('[report]\ntemplates = "nowhere"', "report.templates = 'nowhere' is not a folder; it is one with report.typ"),
    ('[report]\nstars = "yes"', "report.stars = 'yes': accepted is true or false"),
    ("[tests]\ndraws = 0", "tests.draws = 0: accepted is 1 to 1000000"),
    ("[windows]\npost = [1, 5]", "windows.post starts at 1, before the drop has ended"),
    ("[prices]\nvolume_unit.ZZ = 5", "prices.volume_unit: 'ZZ'; accepted: "),
    ('[prices]\naccept_days = ["ZZZ:2021-06-09"]', "prices.accept_days: 'ZZZ'; accepted: AAA"),
    ('[prices]\naccept_days = ["AAA:2021-13-09"]', "prices.accept_days[0] = 'AAA:2021-13-09': accepted is TICKER"),
    ('[reversal]\ndonors = ["ZZZ"]', "reversal.donors: 'ZZZ' is neither a peer nor a group of peers; accepted: AAA"),
    ('[[peers]]\nmarket = "XNYE"\nticker = "ZZZ"', "peer ZZZ: market 'XNYE'; accepted: XNYS"),
    ('[[peers]]\nboard = "nope"\nticker = "ZZZ"\nmarket = "XNYS"', "peers[2].board = 'nope' is unknown; accepted: bse"),
    ('[[costs]]\nmarket = "XNYE"\nname = "tax"\nbps = 1.0', "costs: market 'XNYE'; accepted: XNYS"),
]


@pytest.mark.parametrize(("lines", "said"), WRONG, ids=[said.partition(":")[0] for _, said in WRONG])
def test_a_wrong_value_is_refused_with_its_file_and_line(tmp_path: Path, lines: str, said: str) -> None:
    # The wrong value stands on the line after its section's head.
    text = f"{STUDY}\n{lines}\n"
    line = text.splitlines().index(lines.splitlines()[1], STUDY.count("\n")) + 1
    assert refused(tmp_path, text).startswith(f"{tmp_path / 'study.toml'}:{line}: {said}")


def test_the_file_of_a_wrong_value_is_the_last_that_gives_it(tmp_path: Path) -> None:
    write(tmp_path, "tests.draws = 0\nreport.formats = ['pdg']\n", "eventstudy.toml")
    said = refused(tmp_path, STUDY + "\n[tests]\n# many\ndraws = -1\n")
    line = (STUDY + "\n[tests]\n# many\ndraws = -1\n").count("\n")
    assert said.splitlines()[0].startswith(f"{tmp_path / 'study.toml'}:{line}: tests.draws = -1")
    assert said.splitlines()[1].startswith(f"{tmp_path / 'eventstudy.toml'}:2: report.formats[0] = 'pdg'")
    assert refused(tmp_path, STUDY, "tests.draws=-1").splitlines()[0].startswith("tests.draws = -1")


def test_docx_without_its_package_is_refused_with_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docx", None)
    said = refused(tmp_path, STUDY + '\n[report]\nformats = ["docx"]\n')
    assert "report.formats: docx needs the package python-docx" in said


@pytest.mark.parametrize("setting", ['report.formats=["pdg"]', 'report.templates="nowhere"', 'tests.names=["bpm"]'])
def test_a_wrong_value_is_refused_before_prices_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("prices were read")

    monkeypatch.setattr("eventstudy.prices.sources.prices_and_calendars", read)
    monkeypatch.setattr("eventstudy.prices.sources.get_prices", read)
    events = tmp_path / "events.csv"
    events.write_text("event_id,timestamp,precision,kind,label\nE1,2021-06-09,date,report,unknown\n", encoding="utf-8")
    given = [str(events), "--config", str(write(tmp_path)), "--prices", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["run", *given, "--set", setting]) == 2
    assert setting.partition("=")[0] in capsys.readouterr().err


def test_limits_and_what_does_not_fit_come_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, STUDY, "tests.draws=0", "windows.post=[1,5]", "model.name=capm")
    assert said.splitlines() == [
        "tests.draws = 0: accepted is 1 to 1000000",
        "windows.post starts at 1, before the drop has ended",
        "model.name = 'capm' needs model.factors_file, a CSV with a date column",
        "model.name = 'capm' needs model.risk_free, the risk-free column, such as \"RF\"",
    ]


def test_an_exchange_is_described_once(tmp_path: Path) -> None:
    twice = "[[markets]]\nmic = 'XNYS'\nbenchmark = '^DJI'\n"
    assert "market XNYS is described twice" in refused(tmp_path, STUDY + twice)
