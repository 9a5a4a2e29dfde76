"""The study in memory and the sums over dates give the same numbers on every setting that both know."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from studies import event_row, write_events, write_prices, write_study

from eventstudy import Study
from eventstudy.cli import main
from eventstudy.config import StudyConfig, load_config
from eventstudy.errors import ConfigError, EstimationError
from eventstudy.events import read_events
from eventstudy.large.battery import AT_ANY_SIZE
from eventstudy.large.engine import layout_of
from eventstudy.large.event_list import read_list
from eventstudy.large.length import is_long
from eventstudy.prices.sources import get_prices
from eventstudy.results.result import StudyResult
from eventstudy.study import run_list, run_study

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
#: Random studies; 200 were compared, which takes a quarter of an hour.
STUDIES = int(os.environ.get("EVENTSTUDY_RANDOM_STUDIES", "12"))
#: Columns that name a row of each table.
KEYS = {
    "ledger": ["event_id", "ticker", "status"],
    "alignment": ["event_id", "mic"],
    "estimation": ["event_id", "ticker"],
    "car": ["event_id", "ticker", "window"],
    "aar": ["group", "tau"],
    "event_days": ["tau"],
    "shocks": ["shock_id", "window"],
    "tests": ["group", "window", "name"],
    "multiplicity": ["group", "window", "name"],
}
#: Of a list too long for memory reasons are told without numbers, and r-bar is by sums over sessions.
NOT_COMPARED = {"ledger": ("reason", "reason_code", "stage"), "tests": ("rbar", "n_effective")}
NUMBERS = ["estimate", "se", "lower", "upper", "statistic", "df", "p_value", "n_events", "n_dates", "k_eff"]
#: Settings that change no number of a list on one market: `docs/market-wide.md` says so.
WITHOUT_EFFECT = {"same day", "weights", "alpha estimated"}
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


def in_memory(folder: Path, config: StudyConfig) -> StudyResult:
    events = read_events(folder / "events.csv")
    return run_study(events, config, get_prices(events, config, str(folder / "prices"), tell=lambda _: None))


def by_sums(folder: Path, config: StudyConfig, scratch: Path) -> StudyResult:
    return run_list(read_list(folder / "list.csv", config.tests.group), config, folder / "long.csv", scratch=scratch)


def assert_same_tables(ours: StudyResult, theirs: StudyResult) -> None:
    """Every table of a long list has the rows, the columns and the numbers of the table in memory."""
    for name, key in KEYS.items():
        mine, other = (
            result.to_frame(name).sort_values(key, kind="stable").reset_index(drop=True) for result in (ours, theirs)
        )
        if "session" in other:
            # The sessions of a list end with its index.
            after = other["session"].astype(str) > ours.facts["data_date"]
            other = (
                other[~after].reset_index(drop=True)
                if name == "alignment"
                else other.assign(session=other["session"].where(~after, ""))
            )
        if "group" in key:
            other = other[other["group"].isin(mine["group"])].reset_index(drop=True)
        assert list(mine.columns) == list(other.columns), name
        assert len(mine) == len(other), name
        for column in other.columns.difference(NOT_COMPARED.get(name, ())):
            one, two = mine[column], other[column]
            if column == "shock_id" and name == "ledger":
                one, two = one[mine["session"] != ""], two[mine["session"] != ""]
            if two.dtype.kind in "fi":
                np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-11, err_msg=f"{name} {column}")
            else:
                assert one.astype(str).tolist() == two.astype(str).tolist(), (name, column)
    for key in ("counts", "headline_group", "windows", "kind", "returns", "weights"):
        assert ours.facts[key] == theirs.facts[key], key
    days = theirs.to_frame("alignment")["session"].astype(str)
    known = {**theirs.facts["events"], "n_shocks": days[days <= ours.facts["data_date"]].nunique()}
    assert ours.facts["events"] == known
    assert ours.effect.sentence == theirs.effect.sentence
    codes = ("events.beside", "events.without_car")
    told = [[text for text in result.facts["warnings"] if text.key in codes] for result in (ours, theirs)]
    assert told[0] == told[1]
    assert [row.window for row in ours.effects] == [row.window for row in theirs.effects]
    np.testing.assert_allclose(ours.to_frame()[NUMBERS], theirs.to_frame()[NUMBERS], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", SETTINGS)
def test_both_engines_give_the_same_tables(case: str, folder: Path, tmp_path: Path) -> None:
    config = settings(folder, *SETTINGS[case])
    ours, theirs = by_sums(folder, config, tmp_path), in_memory(folder, config)
    assert_same_tables(ours, theirs)
    assert theirs.to_frame("tests")["p_value"].notna().sum() > 50


#: A value or two of each setting that both know, for studies at random.
DRAWN: Mapping[str, Sequence[tuple[str, ...]]] = {
    "windows": [(), *(SETTINGS[name] for name in ("estimation", "event", "car"))],
    "days": [(), *(SETTINGS[name] for name in ("clean", "partial", "overlapping", "same day"))],
    "model": [(), *(SETTINGS[n] for n in ("market_adjusted", "mean_adjusted", "raw", "capm", "factors"))],
    "alpha": [(), SETTINGS["alpha estimated"], SETTINGS["alpha zero"]],
    "tests": [(), SETTINGS["alternative"], SETTINGS["log"]],
}


@pytest.mark.parametrize("seed", range(STUDIES))
def test_random_studies_are_the_same(seed: int, folder: Path, tmp_path: Path) -> None:
    """Random lists on random settings: gaps in the prices, late listings, early ends, repeats, closed days."""
    rng = np.random.default_rng(seed)
    place = random_place(tmp_path, folder, rng)
    changed = [choices[rng.integers(len(choices))] for choices in DRAWN.values()]
    config = settings(place, *(line for lines in changed for line in lines), "windows.minimum=100")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    try:
        theirs = in_memory(place, config)
    except EstimationError:
        with pytest.raises(EstimationError):
            by_sums(place, config, scratch)
        return
    assert_same_tables(by_sums(place, config, scratch), theirs)


def random_place(place: Path, folder: Path, rng: np.random.Generator) -> Path:
    """A study like that of ``folder`` with prices missing and other events."""
    for name in ("study.toml", "factors.csv"):
        shutil.copy(folder / name, place / name)
    with (folder / "long.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    days = sorted({row["date"] for row in rows})
    ends = {ticker: (0, len(days)) for ticker in (*TICKERS, "IDX")}
    ends["BBB"] = (int(rng.integers(0, 320)), len(days))
    ends["CCC"] = (0, int(rng.integers(330, len(days) + 1)))
    at = {day: place for place, day in enumerate(days)}
    gone = rng.choice([0.0, 0.002, 0.01])
    kept = [
        row
        for row in rows
        if ends[row["ticker"]][0] <= at[row["date"]] < ends[row["ticker"]][1]
        and (row["ticker"] == "IDX" or rng.random() >= gone)
    ]
    (place / "prices").mkdir()
    for ticker in ends:
        lines = [f"{row['date']},{row['adj_close']},{row['adj_close']}" for row in kept if row["ticker"] == ticker]
        (place / "prices" / f"{ticker}.csv").write_text("\n".join(["date,close,adj_close", *lines, ""]))
    lines = [f"{row['ticker']},{row['date']},{row['adj_close']}" for row in kept]
    (place / "long.csv").write_text("\n".join(["ticker,date,adj_close", *lines, ""]))
    n = int(rng.integers(8, 40))
    around = [dt.date.fromisoformat(days[k]) + dt.timedelta(days=int(k % 3)) for k in rng.integers(150, len(days), n)]
    drawn = [f"{TICKERS[rng.integers(4)]},{day}" for day in around]
    for name in ("list.csv", "events.csv"):
        (place / name).write_text("\n".join(["ticker,date", *drawn, ""]))
    return place


def test_the_effect_of_a_list_has_the_p_value_of_its_test(folder: Path, tmp_path: Path) -> None:
    """The mean, its interval and its p are those of one test, on the side that is asked for."""
    for side, of in (("greater", stats.t.sf), ("two-sided", lambda t, df: 2 * stats.t.sf(abs(t), df))):
        (tmp_path / side).mkdir()
        effect = by_sums(folder, settings(folder, f"tests.alternative={side}"), tmp_path / side).effect
        assert effect.test == "ibragimov_mueller"
        assert effect.p_value == pytest.approx(of(effect.statistic, effect.df), rel=1e-9)
        low, high = stats.t.interval(0.95, effect.df, effect.estimate, effect.se)
        assert (effect.lower, effect.upper) == pytest.approx((low, high), rel=1e-9)


def test_each_setting_that_counts_changes_a_number(folder: Path, tmp_path: Path) -> None:
    def figures(number: int, *changed: str) -> list[float]:
        scratch = tmp_path / str(number)
        scratch.mkdir()
        table = by_sums(folder, settings(folder, *changed), scratch).to_frame("tests")
        return table[["estimate", "statistic", "p_value"]].to_numpy().ravel().tolist()

    plain = figures(0)
    same = {
        case
        for number, (case, changed) in enumerate(SETTINGS.items(), 1)
        if case != "as they are" and np.array_equal(figures(number, *changed), plain, equal_nan=True)
    }
    assert same == WITHOUT_EFFECT | ENUMERATED


REFUSED: dict[str, str | bool] = {
    "study.kind": "volume",
    "returns.gaps": "trade_to_trade",
    "returns.currency": "study",
    "model.name": "garch",
    "model.alpha": "shrink",
    "model.beta_path": True,
    "tests.regression": '["car ~ 1"]',
    "tests.weights": "value",
    "tests.names": '["bmpp"]',
}
HONOURED = {
    "study": {"seed"},
    "windows": {field.name for field in dataclasses.fields(StudyConfig().windows)},
    "returns": {"kind"},
    "model": {"name", "alpha", "factors_file", "factors", "risk_free", "percent"},
    "tests": {"names", "draws", "alternative", "group"},
    "prices": {"benchmark_gaps", "accept_suspect", "accept_days"},
}
#: Of which section nothing counts: what is asked about reversals, trades, securities and columns of a few events.
WHOLE_SECTIONS = {"markets", "peers", "covariates", "reversal", "backtest", "costs", "report"}
#: Names and the language of the pages; options of other models, and workers; sources and units, which a
#: return does not have; levels that no test of a list is read at.
WITHOUT_NUMBERS = {
    "study": {"name", "name_local", "sector", "currency", "language", "headline"},
    "model": {"lags", "span", "world", "world_market", "variance", "jobs", "engine", "scheduler"},
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
    given = REFUSED[name]
    value = tuple(json.loads(given)) if isinstance(given, str) and given.startswith("[") else given
    changed = dataclasses.replace(getattr(config, section), **{key: value})
    with pytest.raises(ConfigError, match=f"^{name}.*(with up to that many|did you mean)"):
        layout_of(dataclasses.replace(config, **{section: changed}))


def test_check_of_a_long_list_says_what_its_run_says_and_runs_no_test(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("config", "large.event_list", "large.length"):
        monkeypatch.setattr(f"eventstudy.{place}.IN_MEMORY", len(ROWS) - 1)
    options = ["--config", str(folder / "study.toml"), "--prices", str(folder / "long.csv"), "--json"]
    assert main(["run", str(folder / "list.csv"), *options, "--out", str(tmp_path)]) == 0
    facts = json.loads(capsys.readouterr().out)
    study = Study.from_toml(folder / "study.toml")
    ledger = study.run(folder / "list.csv", folder / "long.csv").to_frame("ledger")

    def tested(*_: object, **__: object) -> None:
        raise AssertionError("a test was run")

    monkeypatch.setattr("eventstudy.large.engine._tested", tested)
    monkeypatch.setattr("eventstudy.large.engine._sums", tested)
    assert main(["check", str(folder / "list.csv"), *options]) == 0
    assert json.loads(capsys.readouterr().out) == {name: facts[name] for name in ("counts", "warnings")}
    found = study.check(folder / "list.csv", folder / "long.csv")
    assert found.warnings == tuple(facts["warnings"])
    assert found.to_frame("ledger").equals(ledger)
    assert len(found.to_frame("alignment")) > 5


def test_run_takes_a_long_list_whatever_it_is_called(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` decides by the number of firm-events; `market` is a name for the same."""
    for place in ("config", "large.event_list", "large.length"):
        monkeypatch.setattr(f"eventstudy.{place}.IN_MEMORY", len(ROWS) - 1)
    options = ["--config", str(folder / "study.toml"), "--prices", str(folder / "long.csv"), "--out", str(tmp_path)]
    options += ["--set", "report.formats=['json','csv']"]
    assert main(["run", str(folder / "list.csv"), *options, "--quiet"]) == 0
    ours = Path(capsys.readouterr().out.strip())
    assert (ours / "tables" / "car.parquet").is_file()
    assert main(["market", str(folder / "list.csv"), *options, "--quiet"]) == 0
    assert Path(capsys.readouterr().out.strip()).name.removesuffix("-2") == ours.name
    assert main(["run", str(folder / "list.csv"), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["used"] > 5
    assert main(["run", str(folder / "list.csv"), *options[:2], "--prices", "yahoo"]) == 2
    assert "give --prices, a file or folder" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr("eventstudy.large.length.IN_MEMORY", len(ROWS))
    assert not is_long(folder / "list.csv")
