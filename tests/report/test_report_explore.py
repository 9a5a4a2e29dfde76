"""What the page computes is what the package computes, to the last digit that either prints."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import visit

from eventstudy import Study
from eventstudy.core.statistics import Sample, run_tests
from eventstudy.messages import section
from eventstudy.report.explore import at_night, explored_data
from eventstudy.report.pack import write_pack
from eventstudy.report.render import html
from eventstudy.report.wording import amount, number, p_text, words_of
from eventstudy.results.records import interval
from eventstudy.results.result import StudyResult
from eventstudy.results.tables import aar_table

ROOT = Path(__file__).parents[2]
SETTINGS = 200
NAMES = ("label", "market", "ticker", "shock")
#: Sets what a reader sets, by the controls that a reader has, and reads what a reader reads.
DRIVE = """
  const text = selector => document.querySelector(selector)?.textContent ?? "";
  const names = ["mean", "interval", "p", "flip", "n", "k", "k_eff"];
  const press = (box, on) => { if (box.checked !== on) { box.checked = on; box.dispatchEvent(new Event("change")); } };
  const enter = (input, value) => { input.value = value; input.dispatchEvent(new Event("input")); };
  const sets = () => [...document.querySelectorAll(".controls fieldset")].slice(1);
  found.at_first = Object.fromEntries(names.map(name => [name, text(`#explored-numbers [data-name=${name}]`)]));
  found.shown = [];
  for (const {window, off} of SETTINGS) {
    const days = document.querySelectorAll(".controls input[type=number]");
    enter(days[0], -10); enter(days[1], window[1]); enter(days[0], window[0]);
    sets().forEach((set, i) => set.querySelectorAll("input").forEach(
      (box, code) => press(box, !off[i].includes(code))));
    await settled();
    for (const [code] of NAMES.shock.entries()) {
      const box = document.querySelector(`[data-key="use ${code}"]`);
      if (box) press(box, !off[3].includes(code));
    }
    await settled();
    found.shown.push({
      ...Object.fromEntries(names.map(name => [name, text(`#explored-numbers [data-name=${name}]`)])),
      day: [...document.querySelectorAll("#explored-day tbody tr:first-child td")].map(cell => cell.textContent),
      banner: text(".explored"),
    });
  }
  document.querySelector(".controls > button").click();
  await settled();
  found.windows = {};
  for (const button of document.querySelector(".controls fieldset").querySelectorAll("button")) {
    button.click();
    await settled();
    found.windows[button.textContent] = [...document.querySelectorAll("[data-shock]")].map(
      cell => [cell.dataset.shock, cell.textContent, cell.nextElementSibling.nextElementSibling.textContent]);
    found.windows[button.textContent].push(["mean", text("#explored-numbers [data-name=mean]"),
      text("#explored-numbers [data-name=n]"), text("#explored-numbers [data-name=p]"),
      text("#explored-numbers [data-name=flip]"), text(".explored")]);
  }
  document.querySelector("[data-key^=shock]").click();
  document.querySelector(".heat").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  found.heat = [text("#explored-shock"), document.querySelectorAll(".heat rect:not(.frame)").length, text(".heat + p")];
"""


@pytest.fixture(scope="module")
def result() -> StudyResult:
    tests = ["ibragimov_mueller", "sign_flip", "date_t"]
    study = Study.from_sector(
        "healthcare", overrides={"reversal.specification_curve": False, "tests.names": tests, "tests.draws": 999}
    )
    return study.run(study.events_file, prices="example:healthcare")


@pytest.fixture(scope="module")
def settings(result: StudyResult) -> list[dict[str, Any]]:
    """Windows at random with labels, tickers and shocks left out at random."""
    chance, data = random.Random(20261129), explored_data(result, "en")
    assert data is not None
    kinds = [len(data["names"][name]) for name in NAMES]
    drawn = []
    for at in range(SETTINGS):
        window = sorted(chance.choices(data["tau"], k=2)) if at % 4 else [[0, 0], [0, 1], [2, 20]][at % 3]
        most = [kinds[0] - 1, 0, kinds[2] - 1, kinds[3] // 2]
        counts = [chance.choice([0, 0, chance.randint(0, top)]) for top in most]
        off = [chance.sample(range(kind), count) for kind, count in zip(kinds, counts, strict=True)]
        drawn.append({"window": window, "off": off})
    return drawn


@pytest.fixture(scope="module")
def found(
    result: StudyResult, settings: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("explored")
    pack = folder / "pack"
    pack.mkdir()
    write_pack(result, pack, formats=("html",))
    data = explored_data(result, "en")
    assert data is not None
    script = f"const SETTINGS = {json.dumps(settings)}, NAMES = {json.dumps(data['names'])};{DRIVE}"
    return visit(pack / "report.html", folder, script, seconds=550)


def test_200_settings_print_the_numbers_of_the_package(
    result: StudyResult, settings: list[dict[str, Any]], found: dict[str, Any]
) -> None:
    assert (found["errors"], found["blocked"], found["asked"]) == ([], [], [])
    assert len(found["shown"]) == SETTINGS
    tested = flipped = 0
    for setting, shown in zip(settings, found["shown"], strict=True):
        rows = _kept(result, setting["off"])
        expected = _numbers(result, rows, tuple(setting["window"])) if rows.any() else None
        if expected is None:
            assert (shown["mean"], shown["n"], shown["day"]) == ("–", "0", [])
            continue
        assert {name: shown[name] for name in expected} == expected, setting
        day = _day(result, rows, setting["window"][1])
        # Before day 0 the package has no band of what is yet to come.
        assert [shown["day"][0], *shown["day"][2:]] == [day[0], *day[2:]], setting
        assert setting["window"][1] < 0 or shown["day"][1] == day[1], setting
        tested += expected["p"] != "–"
        flipped += expected["flip"] != "–"
    assert tested > SETTINGS / 2
    assert flipped > SETTINGS / 3


def test_what_is_explored_is_called_so(
    result: StudyResult, settings: list[dict[str, Any]], found: dict[str, Any]
) -> None:
    words = section("en", "explore")
    windows = [list(window) for window in result.windows.car]
    for setting, shown in zip(settings, found["shown"], strict=True):
        if setting["window"] not in windows:
            assert shown["banner"] == words["banner"]
        else:
            assert shown["banner"] == words["other_events" if any(setting["off"]) else "as_registered"]


def test_the_study_as_registered_has_the_numbers_of_its_tables(result: StudyResult, found: dict[str, Any]) -> None:
    words, head = words_of(result), result.facts["headline_group"]
    assert len(found["windows"]) == len(result.windows.car)
    for window, rows in zip(result.windows.car, found["windows"].values(), strict=True):
        mean, flips = (result.tests.get(name, window, head) for name in ("ibragimov_mueller", "sign_flip"))
        *shocks, last = rows
        assert last[:5] == ["mean", amount(mean.estimate, words, 2), str(mean.n_events), p_text(mean.p_value),
                            p_text(flips.p_value)]  # fmt: skip
        assert last[5] == section("en", "explore")["as_registered"]
        table = {row.shock_id: row for row in result.shocks.where(window=window)}
        assert len(shocks) == len(table)
        for shock, car, peers in shocks:
            assert (car, peers) == (amount(table[shock].car, words, 2), str(table[shock].n_peers))


def test_a_shock_opens_its_peers_day_by_day(result: StudyResult, found: dict[str, Any]) -> None:
    assert result.explored is not None
    first = min(result.shocks.where(window=result.windows.car[-1]), key=lambda row: row.day0)
    title, cells, said = found["heat"]
    assert title == f"{first.shock_id} – {first.title}"
    assert cells == first.n_peers * len(result.explored.sample.abnormal.tau)
    returns = result.tables["abnormal_returns"].query(f"shock_id == {first.shock_id!r} and tau == 1")
    shown = {f"({row.session}): {amount(row.ar, words_of(result), 2)}" for row in returns.itertuples()}
    assert any(said.endswith(text) for text in shown)


def test_a_page_that_cannot_carry_the_firm_events_says_so(
    result: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "LARGEST", html.REST + 1_000)
    write_pack(result, tmp_path, formats=("html",))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert section("en", "explore")["too_many"].format(n=result.facts["counts"]["used"]) in page
    assert 'id="study"' not in page
    assert explored_data(replace(result, explored=None), "en") is None


@pytest.mark.parametrize("colour", ["ffffff", "0072b2", "d55e00", "333333", "8c8c8c", "117733"])
def test_a_colour_has_on_a_dark_page_the_contrast_that_it_has_on_white(colour: str) -> None:
    def luminance(written: str) -> float:
        parts = [int(written[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light = 1.05 / (luminance(colour) + 0.05)
    dark = (luminance(at_night(colour).removeprefix("#")) + 0.05) / (luminance("16181b") + 0.05)
    assert dark == pytest.approx(min(light, (luminance("e8e8e8") + 0.05) / (luminance("16181b") + 0.05)), rel=0.03)


def test_the_shipped_optical_page_is_no_larger_than_a_megabyte_and_a_half() -> None:
    (page,) = ROOT.glob("results/optical-*/report.html")
    assert page.stat().st_size <= 1_500_000


def _kept(result: StudyResult, off: list[list[int]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    assert result.explored is not None
    panel = result.explored.sample.abnormal.panel
    arrays = {"label": result.explored.label, "market": panel.market, "ticker": panel.ticker, "shock": panel.shock_id}
    keep = np.ones(len(panel), dtype=bool)
    for name, codes in zip(NAMES, off, strict=True):
        keep &= ~np.isin(np.unique(arrays[name], return_inverse=True)[1], codes)
    return keep


def _numbers(result: StudyResult, rows: Any, window: tuple[int, int]) -> dict[str, str]:
    """The package's own tests of the firm-events, as the pages print them."""
    assert result.explored is not None
    words = words_of(result)
    sample = result.explored.sample.take("some", rows)
    mean, flips = run_tests([sample], [window], ["ibragimov_mueller", "sign_flip"])
    se = abs(mean.estimate / mean.statistic)
    low, high = interval(mean.estimate, se, mean.df, 0.95)
    span = "–" if math.isnan(low) else f"{amount(low, words, 2)} to {amount(high, words, 2)}"
    return {
        "mean": amount(mean.estimate, words, 2),
        "interval": span,
        "p": p_text(mean.p_value),
        "flip": p_text(flips.p_value),
        "n": str(mean.n_events),
        "k": str(mean.n_dates),
        "k_eff": number(mean.k_eff, 1),
    }


def _day(result: StudyResult, rows: Any, tau: int) -> list[str]:
    """The package's mean abnormal return of a day and its sum since the close before day 0, with its band."""
    assert result.explored is not None
    words, whole = words_of(result), result.explored.sample.take("some", rows)
    days = aar_table([whole]).set_index("tau")
    if tau >= 0:
        row = aar_table([_from_day_0(whole)]).set_index("tau").loc[tau]
        caar, low, high = row["caar"], row["lower"], row["upper"]
        span = "–" if math.isnan(low) else f"{amount(low, words, 2)} to {amount(high, words, 2)}"
    else:
        caar, span = -days.loc[tau + 1 : -1, "aar"].sum(), ""
    k = run_tests([whole], [(0, 0)], ["ibragimov_mueller"])[0].n_dates
    aar = days.loc[tau]
    return [amount(caar, words, 2), span, amount(aar["aar"], words, 2), str(int(aar["n"])), str(k)]


def _from_day_0(sample: Sample) -> Sample:
    """The sample without the event days before day 0."""
    abnormal, at = sample.abnormal, int(np.flatnonzero(sample.abnormal.tau == 0)[0])
    panel, expected = abnormal.panel, abnormal.expected
    names = ("event_returns", "event_factors", "event_sessions", "event_flags")
    panel = replace(panel, tau=panel.tau[at:], **{name: getattr(panel, name)[:, at:] for name in names})
    expected = replace(expected, **{name: getattr(expected, name)[:, at:] for name in ("event_design", "scale")})
    return replace(sample, abnormal=replace(abnormal, panel=panel, expected=expected))
