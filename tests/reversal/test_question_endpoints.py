"""Two endpoints: windows of the settings, and the drop of day 0 with a clock of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from reversal_studies import ENDS, drop_days, misread, study
from studies import event_row

from eventstudy.core.checks.multiplicity import holm
from eventstudy.core.estimation import Computed
from eventstudy.messages import text
from eventstudy.reversal import Shocks
from eventstudy.reversal import controls as module
from eventstudy.reversal.findings import drop_rows, endpoint_rows, told
from eventstudy.reversal.history import Fits, History
from eventstudy.reversal.question import Endpoint


def both(folder: Path, rows: list[str], *settings: str) -> tuple[Computed, Shocks, tuple[Endpoint, ...]]:
    computed, shocks = study(folder, rows, *settings)
    return computed, shocks, shocks.endpoints


def test_endpoint_a_is_the_verdict_and_b_has_windows_of_its_own(tmp_path: Path) -> None:
    days = drop_days(8)
    # Known at the close of day 0 in New York: B takes them too.
    rows = [
        event_row(f"E{i}", f"{day}T15:00:00Z", label="misreading", label_asof=f"{day}T19:00:00Z")
        for i, day in enumerate(days)
    ]
    _, shocks, (a, b) = both(tmp_path, [*rows, *ENDS])
    assert (a.windows.drop, a.windows.post, b.windows.drop, b.windows.post) == ((0, 1), (2, 20), (0, 0), (1, 20))
    config = shocks.history.config
    first, second = endpoint_rows(shocks, config)
    answer = shocks.verdict
    assert (first["effect"], first["p_value"], first["kind"]) == (answer.effect, answer.p_value, answer.kind)
    assert first["n_judged"] == answer.n_dates
    assert (first["n_asked"], second["n_asked"]) == (8, 8)
    adjusted = holm(np.array([first["p_value"], second["p_value"]]))
    assert [first["p_holm"], second["p_holm"]] == adjusted.tolist()
    panel = shocks.portfolios
    np.testing.assert_allclose(b.drops.drop, panel.car((0, 0)), rtol=1e-9)
    np.testing.assert_allclose(b.next_day, panel.car((1, 1)), rtol=1e-9)
    assert b.comparison.falls.length == 20
    # Controls fell on day 0 alone by the same rule.
    control = b.comparison.shock < 0
    assert (b.comparison.drop[control] <= -0.015).all()
    assert (b.comparison.falls.drop_s[control] <= -1.2).all()


def test_a_firm_event_is_fitted_once_for_both_endpoints_and_the_placebos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: Counter[tuple[int, str]] = Counter()

    def counting(history: History, peers: Mapping[int, set[str]]) -> Iterator[Fits]:
        fitted.update((day, name) for day, names in peers.items() for name in names)
        return fits_at(history, peers)

    fits_at = module._fits_at
    monkeypatch.setattr(module, "_fits_at", counting)
    _, shocks, (a, b) = both(tmp_path, [misread(f"E{i}", day) for i, day in enumerate(drop_days(4))])
    assert set(fitted.values()) == {1}
    controls = [each.comparison.day[each.comparison.shock < 0].tolist() for each in (a, b)]
    # Some days are controls of one endpoint alone, some of both.
    assert set(controls[0]) - set(controls[1])
    assert set(controls[1]) - set(controls[0])
    days = {day for day, _ in fitted}
    assert days >= {*controls[0], *controls[1], *shocks.benchmarks.pools[0].day.tolist()}


def test_a_label_of_day_1_counts_in_a_and_makes_b_exploratory(tmp_path: Path) -> None:
    day = drop_days(1)[0]
    after = str(np.datetime64(day) + 1)
    row = event_row("E0", f"{day}T15:00:00Z", label="misreading", label_asof=f"{day}T23:00:00Z")
    _, _, (a, b) = both(tmp_path, [row, *ENDS])
    assert after > day
    assert (a.in_time[1], b.in_time[1]) == (True, False)
    assert not b.counted.any()
    assert np.isnan(b.found.effect)


def test_the_exploratory_answer_of_each_endpoint_counts_labels_set_later_too(tmp_path: Path) -> None:
    def rows(hour: str) -> list[str]:
        named = [
            event_row(f"E{i}", f"{day}T15:00:00Z", label="misreading", label_asof=f"{day}T{hour}:00:00Z")
            for i, day in enumerate(drop_days(8))
        ]
        return [*named, *ENDS]

    (tmp_path / "early").mkdir()
    (tmp_path / "late").mkdir()
    _, shocks, _ = both(tmp_path / "early", rows("19"))
    _, after, _ = both(tmp_path / "late", rows("23"))
    a, b = endpoint_rows(after, after.history.config)
    b_in_time = endpoint_rows(shocks, shocks.history.config)[1]
    assert b["n_judged"] == 0
    assert b["n_late"] == b_in_time["n_judged"] >= 6
    ends = ("effect", "lower", "upper")
    assert [b[f"{end}_late"] for end in ends] == [b_in_time[end] for end in ends]
    assert [a[f"{end}_late"] for end in ends] == [a[end] for end in ends]


def test_news_of_a_bare_date_takes_the_worse_of_two_days(tmp_path: Path) -> None:
    day = drop_days(1)[0]
    following = str(np.busday_offset(day, 1))
    # A day too late for its fall: the day before it is the drop.
    _, shocks, (_, b) = both(tmp_path, [misread("E0", following), misread("E1", f"{following}T15:00:00Z"), *ENDS])
    at = {name: k for k, name in enumerate(shocks.drops.shock_id.tolist())}
    wide, alone = shocks.portfolios.car((-1, 0)), shocks.portfolios.car((0, 0))
    k = at["E0"]
    assert wide[k] < alone[k]
    assert b.drops.drop[k] == pytest.approx(wide[k])
    other = at.get("E1", k)
    assert b.drops.drop[other] == pytest.approx(alone[other] if other != k else wide[k])


def test_every_threshold_tells_its_distance_and_the_case_claims_nothing(tmp_path: Path) -> None:
    days = drop_days(3)
    rows = [misread(f"E{i}", day) for i, day in enumerate(days)]
    _, shocks, _ = both(tmp_path, [*rows, *ENDS], 'reversal.case="E1"')
    config = shocks.history.config
    listed = {(row["shock_id"], row["endpoint"]): row for row in drop_rows(shocks, config)}
    row, k = listed["E1", "A"], shocks.drops.shock_id.tolist().index("E1")
    rule = config.reversal
    assert row["by_s"] == pytest.approx(-rule.drop_k - shocks.drops.drop_s[k])
    assert row["by_drop"] == pytest.approx(-rule.drop_min - shocks.drops.drop[k])
    assert row["by_share"] == pytest.approx(shocks.drops.share_negative[k] - rule.share_negative)
    assert row["qualifies"] == (min(row["by_s"], row["by_drop"], row["by_share"]) >= 0)
    facts = told(shocks, config)
    fell = [name for name, _ in listed if listed[name, "B"]["qualifies"] and not listed[name, "A"]["qualifies"]]
    assert facts["n_bounced"] == sum(listed[name, "B"]["car_next"] > 0 for name in dict.fromkeys(fell))
    assert facts["n_day0"] == sum(row["qualifies"] for (_, endpoint), row in listed.items() if endpoint == "B")
    sentence = text(facts["sentence"])
    told_of_them = f"Of {facts['n_day0']} shocks that were drops by day 0 alone" in sentence
    assert told_of_them == (facts["n_bounced"] > 0)
    assert "E1 " in sentence
    assert "Drift" not in sentence


def test_where_the_drop_of_the_settings_is_day_0_there_is_one_endpoint(tmp_path: Path) -> None:
    settings = ("windows.drop=[0, 0]", "windows.post=[1, 20]")
    _, shocks, _ = both(tmp_path, [misread("E0", drop_days(1)[0]), *ENDS], *settings)
    assert [row["endpoint"] for row in endpoint_rows(shocks, shocks.history.config)] == ["A"]
    assert told(shocks, shocks.history.config) == {}
