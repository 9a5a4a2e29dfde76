"""The study in memory and the sums over dates give the same numbers on every setting that both know."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main
from eventstudy.commands.market import is_long_list
from eventstudy.config import StudyConfig, load_config
from eventstudy.core.estimation import compute
from eventstudy.core.statistics import TestResult, run_tests
from eventstudy.errors import ConfigError
from eventstudy.events import read_events
from eventstudy.large.battery import AT_ANY_SIZE
from eventstudy.large.engine import MarketResult, layout_of, run_market
from eventstudy.prices.sources import get_prices
from eventstudy.readers.market_events import read_market_events
from eventstudy.report.sections.market import market_bundle

TICKERS = ("AAA", "BBB", "CCC", "DDD")
#: Days apart, days whose event windows overlap, a Saturday, one too early and one too near the end.
DATES = ("2020-03-10", "2021-01-20", "2021-03-03", "2021-03-10", "2021-06-05", "2021-08-11", "2021-10-13", "2021-12-10")
ROWS = [(ticker, day) for at, day in enumerate(DATES) for ticker in TICKERS[at % 2 : 4 - at % 3 // 2]]
#: Tests that do not need the mean correlation of pairs, which sums over sessions define in another way.
NAMES = [name for name in AT_ANY_SIZE if name not in ("bmp_kp", "patell_kp")]
FACTORS = ('model.factors_file="{folder}/factors.csv"', "model.percent=false")
SETTINGS: dict[str, tuple[str, ...]] = {
    "as they are": (),
    "estimation": ("windows.estimation=[-160,-21]",),
    "minimum": ("windows.minimum=230",),
    "event": ("windows.event=[-5,30]", "windows.post=[2,30]", "windows.car=[[0,0],[-5,5]]"),
    "car": ("windows.car=[[-3,-1],[0,3]]",),
    "clean": ("windows.clean_estimation=false",),
    "partial": ("windows.allow_partial=true",),
    "overlapping": ("windows.overlapping=drop_later",),
    "same day": ("windows.same_day=merge",),
    "log": ("returns.kind=log",),
    "alpha estimated": ("model.alpha=estimated",),
    "alpha zero": ("model.alpha=zero",),
    "market_adjusted": ("model.name=market_adjusted",),
    "mean_adjusted": ("model.name=mean_adjusted",),
    "raw": ("model.name=raw",),
    "capm": ("model.name=capm", "model.risk_free=rf", *FACTORS),
    "factors": ("model.name=factors", 'model.factors=["market","size"]', *FACTORS),
    "excess factors": ("model.name=factors", 'model.factors=["market","size"]', "model.risk_free=rf", *FACTORS),
    "draws": ("tests.draws=500",),
    "seed": ("study.seed=7",),
    "weights": ("tests.weights=equal",),
    "alternative": ("tests.alternative=greater",),
}
#: Settings that change no number of a list on one market: `docs/market-wide.md` says so.
WITHOUT_EFFECT = {"same day", "weights"}
#: Of the tests compared, those that draw at random enumerate all signs of so few dates.
ENUMERATED = {"draws", "seed"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("engines")
    write_prices(place / "prices", TICKERS, start="2019-09-03", end="2021-12-30")
    write_study(place, TICKERS)
    lines, days = ["ticker,date,adj_close"], []
    for ticker in (*TICKERS, "IDX"):
        with (place / "prices" / f"{ticker}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        lines += [f"{ticker},{row['date']},{row['adj_close']}" for row in rows]
        days = [row["date"] for row in rows]
    (place / "long.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    draws = np.random.default_rng(3).normal(0.0, 0.004, (len(days), 2))
    table = [f"{day},{size:.8f},{abs(rf) / 40:.8f}" for day, (size, rf) in zip(days, draws, strict=True)]
    (place / "factors.csv").write_text("\n".join(["date,size,rf", *table, ""]), encoding="utf-8")
    write_events(place, [event_row(f"{ticker}-{day}", day, tickers=ticker) for ticker, day in ROWS])
    plain = "".join(f"{ticker},{day}\n" for ticker, day in ROWS)
    (place / "list.csv").write_text(f"ticker,date\n{plain}", encoding="utf-8")
    return place


def settings(folder: Path, *changed: str) -> StudyConfig:
    names = "tests.names=[" + ",".join(f'"{name}"' for name in NAMES) + "]"
    overrides = [names, *(line.format(folder=folder) for line in changed)]
    return load_config(folder / "events.csv", config_file=folder / "study.toml", overrides=overrides)


def in_memory(folder: Path, config: StudyConfig) -> list[TestResult]:
    events = read_events(folder / "events.csv")
    prices = get_prices(events, config, str(folder / "prices"), tell=lambda _: None)
    return run_tests([compute(events, config, prices).sample], config.windows.all_car, config.tests.names)


def by_sums(folder: Path, config: StudyConfig, scratch: Path) -> MarketResult:
    return run_market(read_market_events(folder / "list.csv"), folder / "long.csv", "IDX", config, scratch=scratch)


@pytest.mark.parametrize("case", SETTINGS)
def test_both_engines_say_the_same(case: str, folder: Path, tmp_path: Path) -> None:
    config = settings(folder, *SETTINGS[case])
    ours = {(test.window, test.name): test for test in by_sums(folder, config, tmp_path).tests}
    theirs = {(test.window, test.name): test for test in in_memory(folder, config)}
    assert ours.keys() == theirs.keys()
    for key, test in theirs.items():
        mine = ours[key]
        assert (mine.n_events, mine.n_dates, mine.reason.code) == (test.n_events, test.n_dates, test.reason.code), key
        for name in ("estimate", "statistic", "df", "p_value", "k_eff"):
            value = pytest.approx(getattr(test, name), rel=1e-9, abs=1e-12, nan_ok=True)
            assert getattr(mine, name) == value, (key, name)
    assert sum(not test.reason for test in theirs.values()) > 50


def test_the_effect_of_a_list_has_the_p_value_of_its_test(folder: Path, tmp_path: Path) -> None:
    """The mean, its interval and its p are those of one test, on the side that is asked for."""
    for side, of in (("greater", stats.t.sf), ("two-sided", lambda t, df: 2 * stats.t.sf(abs(t), df))):
        (tmp_path / side).mkdir()
        config = settings(folder, f"tests.alternative={side}")
        result = by_sums(folder, config, tmp_path / side)
        bundle = market_bundle(result, config)
        assert bundle.others is not None
        bundle.others(tmp_path / side)
        effect = json.loads((tmp_path / side / "summary.json").read_text(encoding="utf-8"))["effect"]
        assert effect["test"] == "ibragimov_mueller"
        assert effect["p_value"] == pytest.approx(of(effect["statistic"], effect["df"]), rel=1e-9)
        assert effect["p_value"] == effect["tests"]["ibragimov_mueller"]["p_value"]
        low, high = stats.t.interval(0.95, effect["df"], effect["estimate"], effect["se"])
        assert (effect["lower"], effect["upper"]) == pytest.approx((low, high), rel=1e-9)


def test_each_setting_that_counts_changes_a_number(folder: Path, tmp_path: Path) -> None:
    def figures(number: int, *changed: str) -> list[float]:
        scratch = tmp_path / str(number)
        scratch.mkdir()
        tests = by_sums(folder, settings(folder, *changed), scratch).tests
        return [value for test in tests for value in (test.estimate, test.statistic, test.p_value)]

    plain = figures(0)
    same = {
        case
        for number, (case, changed) in enumerate(SETTINGS.items(), 1)
        if case != "as they are" and np.array_equal(figures(number, *changed), plain, equal_nan=True)
    }
    assert same == WITHOUT_EFFECT | ENUMERATED


REFUSED = {
    "study.kind": "volume",
    "returns.gaps": "trade_to_trade",
    "returns.currency": "study",
    "model.name": "garch",
    "model.alpha": "shrink",
    "tests.regression": '["car ~ 1"]',
    "tests.group": '["sector"]',
    "tests.weights": "value",
    "tests.names": '["bmpp"]',
}
HONOURED = {
    "study": {"seed"},
    "windows": {field.name for field in dataclasses.fields(StudyConfig().windows)},
    "returns": {"kind"},
    "model": {"name", "alpha", "factors_file", "factors", "risk_free", "percent"},
    "tests": {"names", "draws", "alternative"},
    "prices": {"benchmark_gaps", "accept_suspect"},
}
#: Of which section nothing counts: what is asked about reversals, trades, securities and columns of a few events.
WHOLE_SECTIONS = {"markets", "peers", "covariates", "reversal", "backtest", "costs", "report"}
#: Names and the language of the pages; options of other models, and workers; sources and units, which a
#: return does not have; levels that no test of a list is read at.
WITHOUT_NUMBERS = {
    "study": {"name", "sector", "currency", "language", "headline"},
    "model": {"lags", "span", "beta_path", "world", "world_market", "variance", "jobs", "engine", "scheduler"},
    "tests": {"weights", "level", "estimators"},
    "prices": {"source", "offline", "volume_unit", "price_unit"},
}


def test_every_setting_is_honoured_or_refused_by_name_or_without_effect(folder: Path) -> None:
    for section in dataclasses.fields(StudyConfig()):
        if section.name in WHOLE_SECTIONS:
            continue
        refused = {name.partition(".")[2] for name in REFUSED if name.startswith(f"{section.name}.")}
        known = refused | HONOURED.get(section.name, set()) | WITHOUT_NUMBERS.get(section.name, set())
        assert known == {field.name for field in dataclasses.fields(getattr(StudyConfig(), section.name))}, section.name
    page = (Path(__file__).parents[2] / "docs" / "market-wide.md").read_text(encoding="utf-8")
    named = [f"{section}.{name}" for section, names in HONOURED.items() for name in names] + list(REFUSED)
    assert [name for name in named if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_sums_cannot_do_is_refused_by_name(name: str, folder: Path) -> None:
    config = settings(folder)
    section, _, key = name.partition(".")
    value = REFUSED[name] if section != "tests" or key == "weights" else tuple(json.loads(REFUSED[name]))
    changed = dataclasses.replace(getattr(config, section), **{key: value})
    with pytest.raises(ConfigError, match=f"^{name}.*(up to 50,000 firm-events|did you mean)"):
        layout_of(dataclasses.replace(config, **{section: changed}))


def test_run_takes_a_long_list_as_market_does(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` decides by the number of firm-events; the folder is the one that `market` writes."""
    monkeypatch.setattr("eventstudy.config.IN_MEMORY", len(ROWS) - 1)
    options = ["--config", str(folder / "study.toml"), "--prices", str(folder / "long.csv"), "--out", str(tmp_path)]
    assert main(["run", str(folder / "list.csv"), *options, "--quiet"]) == 0
    ours = Path(capsys.readouterr().out.strip())
    assert main(["market", str(folder / "list.csv"), *options, "--quiet"]) == 0
    assert Path(capsys.readouterr().out.strip()) == ours
    assert main(["run", str(folder / "list.csv"), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_events"] == len(ROWS)
    assert main(["run", str(folder / "list.csv"), *options[:2], "--prices", "yahoo"]) == 2
    assert "give --prices, one long file" in " ".join(capsys.readouterr().err.split())
    assert not is_long_list(folder / "events.csv")
