"""What is found beside the verdict: clarifications, contrasts, confounders, the locked question."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reversal_studies import drop_days, misread, shared_prices, study
from studies import event_row, write_events

from eventstudy.core.checks.regression import regress
from eventstudy.core.estimation import Computed
from eventstudy.errors import EventsError
from eventstudy.events import Events, read_events
from eventstudy.exchanges.calendars import sessions
from eventstudy.messages import text
from eventstudy.reversal import Shocks, findings, reversal_summary, tables
from eventstudy.reversal.clarifications import clarifications
from eventstudy.reversal.confounders import confounder_runs, read_confounders, touched
from eventstudy.reversal.contrasts import label_difference, regression
from eventstudy.reversal.findings import case_study, shock_rows
from eventstudy.reversal.history import as_kind, matched_sets
from eventstudy.reversal.measures import gates, measures
from eventstudy.reversal.permutation import matched_permutation, shown_floor
from eventstudy.reversal.prereg import as_toml, departures, question, specification_digest
from eventstudy.reversal.shocks import variants
from eventstudy.reversal.specifications import specification_curve

#: Ends of the price history that every list of events here must span, so that all see the same prices.
ENDS = (event_row("FIRST", "2014-02-04", kind="other"), event_row("LAST", "2022-10-04", kind="other"))


def many(tmp_path: Path, count: int = 8, *overrides: str) -> tuple[Computed, Shocks, Events]:
    """Misreadings and genuine news in turn on days when the peers fell."""
    days = drop_days(count)
    labels = ("misreading", "genuine")
    rows = [event_row(f"E{i}", day, label=labels[i % 2], label_asof=day) for i, day in enumerate(days)]
    computed, shocks = study(tmp_path, [*rows, *ENDS], *overrides)
    return computed, shocks, read_events(tmp_path / "events.csv")


def test_tables_can_be_recomputed_from_each_other(tmp_path: Path) -> None:
    computed, shocks, events = many(tmp_path)
    config = shocks.history.config
    found = findings(shocks, events, computed.alignments, config)
    rows = tables(found, shocks.history.config)
    by_shock = {row["shock_id"]: row for row in rows["reversal"]}
    posts = {
        shock: [p["car_post"] for p in rows["placebo"] if p["shock_id"] == shock and p["tier"] == "P1"]
        for shock in by_shock
    }
    asked = [row for row in by_shock.values() if row["role"] == "confirmatory"]
    assert len(asked) >= 2
    for row in asked:
        assert row["excess"] == pytest.approx(row["car_post"] - np.mean(posts[row["shock_id"]]))
        assert row["n_placebos"] == len(posts[row["shock_id"]])
        assert row["excess_simple"] == pytest.approx(row["excess"])
    measured = {(m["measure"], m["group"]): m for m in rows["reversal_measures"]}
    primary = measured["excess_post", "label=misreading"]
    assert primary["estimate"] == pytest.approx(np.mean([row["excess"] for row in asked]))
    test = matched_permutation(
        np.array([row["car_post"] for row in asked]),
        [np.array(posts[row["shock_id"]]) for row in asked],
        draws=config.tests.draws,
        seed=config.study.seed,
    )
    assert primary["p_value"] == pytest.approx(test.two_sided)
    assert measured["excess_P1", "label=misreading"]["estimate"] == pytest.approx(primary["estimate"])
    ratio = -sum(r["car_post"] for r in asked) / sum(r["car_drop"] for r in asked)
    assert measured["reversal_ratio", "label=misreading"]["estimate"] == pytest.approx(ratio)
    path = {(p["series"], p["tau"]): p["car"] for p in rows["reversal_paths"] if p["group"] == "label=misreading"}
    drop_and_post = path["events", 20] - path["events", -1]
    assert drop_and_post == pytest.approx(np.mean([r["car_drop"] + r["car_post"] for r in asked]))
    summary = reversal_summary(found, shocks.history.config)
    assert summary["verdict"]["effect"] == pytest.approx(primary["estimate"])
    assert set(summary["verdicts"]) == {"label=genuine", "all"}


@pytest.mark.parametrize("kind", ["simple", "log"])
def test_other_returns_change_the_index_too(kind: str, tmp_path: Path) -> None:
    """A panel of the other kind is the one that a study of that kind makes, factors and all."""
    computed, _ = study(tmp_path, [misread("E0", drop_days(1)[0]), *ENDS], f'returns.kind="{kind}"')
    other = "log" if kind == "simple" else "simple"
    wanted, shocks = study(tmp_path, [misread("E0", drop_days(1)[0]), *ENDS], f'returns.kind="{other}"')
    changed = as_kind(computed.returns, other, shocks.history.config.model)
    assert changed.kind == other == wanted.returns.kind
    for mic, market in wanted.returns.markets.items():
        found = changed.markets[mic]
        np.testing.assert_allclose(found.returns, market.returns, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(found.market_return, market.market_return, rtol=1e-9, atol=1e-15)
        assert found.factors is not None
        assert market.factors is not None
        np.testing.assert_allclose(found.factors.values, market.factors.values, rtol=1e-9, atol=1e-15)


def test_measures_in_other_returns_do_not_depend_on_the_studys_own(tmp_path: Path) -> None:
    """From log returns the simple, the log and the buy-and-hold excess are those made from simple ones."""
    _, shocks, _ = many(tmp_path, 2)
    history, found = shocks.history, shocks.benchmarks
    logs = replace(history, panel=as_kind(history.panel, "log", history.config.model))
    none = np.zeros(0, dtype=np.int64)
    days = [none if why else found.days(k) for k, why in enumerate(found.reasons)]
    sets = matched_sets(logs, shocks.requests, shocks.drops.shock_id, shocks.tickers, days)
    made = variants(logs, shocks.requests, shocks.drops.shock_id, shocks.tickers, days, sets, history.config)
    for name in ("simple", "log", "bhar"):
        own = shocks.variants[name]
        assert np.isfinite(own).sum() >= 1
        np.testing.assert_allclose(made[name], own, rtol=0, atol=1e-10)
    own = shocks.variants
    assert not np.allclose(own["log"], own["bhar"], equal_nan=True)


def test_events_in_the_post_window_are_named_beside_the_verdict(tmp_path: Path) -> None:
    days = sessions("XNYS", dt.date(2014, 1, 2), dt.date(2022, 12, 30))
    at = int(np.searchsorted(days, np.datetime64(drop_days(1)[0])))
    first, *after = (str(days[at + tau]) for tau in (0, 1, 2, 9, 20, 21))
    rows = [
        misread("E0", first, tickers="AAA;BBB"),
        event_row("TOO_EARLY", after[0]),
        event_row("NEXT", after[1]),
        event_row("OTHERS", after[2], tickers="CCC"),
        event_row("OWN", after[2], label="clarification", clarifies="E0", shock_id="E0"),
        event_row("END", after[3], tickers="BBB;CCC"),
        event_row("TOO_LATE", after[4]),
        *ENDS,
    ]
    computed, shocks = study(tmp_path, rows)
    events = read_events(tmp_path / "events.csv")
    found = findings(shocks, events, computed.alignments, shocks.history.config)
    mine = [(item.event_id, item.day) for item in found.other_events if item.shock_id == "E0"]
    assert mine == [("NEXT", after[1]), ("END", after[3])]
    assert text(reversal_summary(found, shocks.history.config)["verdict"]["inside"]) == (
        f"Other events of the same peers lie in the post window: E0 has NEXT ({after[1]}), END ({after[3]}). "
        "The placebo drops have none of them."
    )


def test_placebo_dates_that_two_labels_share_are_counted(tmp_path: Path) -> None:
    computed, shocks, events = many(tmp_path)
    found = findings(shocks, events, computed.alignments, shocks.history.config)
    counted = np.flatnonzero(shocks.members["all"])
    times = Counter(int(day) for k in counted for day in shocks.benchmarks.days(int(k)))
    twice = sum(count > 1 for count in times.values())
    assert twice > 0
    summary = reversal_summary(found, shocks.history.config)
    assert summary["verdicts"]["all"]["n_shared_placebos"] == twice
    assert summary["verdict"]["n_shared_placebos"] == 0
    assert summary["verdicts"]["label=genuine"]["n_shared_placebos"] == 0


def test_the_gates_close_after_the_first_failure(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path)
    steps = gates(shocks, label_difference(shocks, shocks.history.config), shocks.history.config)
    assert [gate.step for gate in steps] == [1, 2, 3, 4, 4]
    assert steps[0].reached
    passed = True
    for gate in steps[:3]:
        assert gate.reached == passed
        passed = gate.passed
        assert gate.passed == (gate.reached and gate.p_value <= 0.05)
    assert all(gate.reached == passed for gate in steps[3:])


def test_labels_are_permuted_over_dates(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path)
    row = label_difference(shocks, shocks.history.config)
    ours = shocks.excess[shocks.asked]
    theirs = shocks.excess[shocks.members["label=genuine"]]
    assert row.estimate == pytest.approx(ours.mean() - theirs.mean())
    assert row.n_dates == len(ours) + len(theirs)
    assert 0 < row.p_value <= 1


def test_the_regression_is_blocked_with_few_shocks_and_says_so(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 6)
    rows = regression(shocks, shocks.history.config)
    assert [row.measure for row in rows] == [
        "regression_car_drop",
        "regression_misreading",
        "regression_misreading_x_car_drop",
    ]
    assert all(np.isnan(row.estimate) for row in rows)
    assert text(rows[0].note).startswith("n/a: 3 misreading and 3 genuine shocks, needs 3 of each and 10 in all")


def test_the_regression_has_the_drop_centred(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 12)
    rows = {row.measure: row for row in regression(shocks, shocks.history.config)}
    portfolios = shocks.portfolios
    shock = np.repeat(np.arange(len(portfolios)), [b - a for a, b in portfolios.spans()])
    label = shocks.label[shock]
    kept = np.isin(label, ["misreading", "genuine"]) & shocks.drops.qualifies[shock]
    drop, post = (portfolios.abnormal.car(w)[portfolios.members][kept] for w in ((0, 1), (2, 20)))
    mis = (label[kept] == "misreading").astype(float)
    centred = drop - drop.mean()
    fit = regress(post, np.column_stack([centred, mis, mis * centred]), portfolios.shock_id[shock][kept])
    assert rows["regression_misreading"].estimate == pytest.approx(fit.coefficient[2])
    assert rows["regression_misreading"].p_value == pytest.approx(fit.p_cr2[2])
    plain = np.column_stack([np.ones(len(post)), drop, mis, mis * drop])
    at_mean = np.linalg.lstsq(plain, post, rcond=None)[0]
    assert rows["regression_misreading"].estimate == pytest.approx(at_mean[2] + at_mean[3] * drop.mean())


def clarified(tmp_path: Path, delay: int) -> tuple[Computed, Shocks, Events]:
    day = drop_days(1)[0]
    _, plain = study(tmp_path, [misread("E0", day), *ENDS])
    grid = plain.history.days(("AAA",))
    at = int(np.searchsorted(grid, int(np.datetime64(day, "D").astype(int))))
    later = str(np.datetime64(int(grid[at + delay]), "D"))
    answer = event_row("C0", later, kind="clarification", label="clarification", shock_id="E0", clarifies="E0")
    computed, shocks = study(tmp_path, [misread("E0", day), answer, *ENDS])
    return computed, shocks, read_events(tmp_path / "events.csv")


def test_the_post_window_is_parted_at_the_answer(tmp_path: Path) -> None:
    computed, shocks, events = clarified(tmp_path, 6)
    row = clarifications(shocks, events, computed.alignments, shocks.history.config)[0]
    k = list(shocks.drops.shock_id).index("E0")
    portfolios = shocks.portfolios
    assert row.delay == 6
    assert row.car_before == pytest.approx(portfolios.car((2, 5))[k])
    assert row.car_at == pytest.approx(portfolios.car((6, 7))[k])
    assert row.car_after == pytest.approx(portfolios.car((8, 20))[k])
    assert row.car_before + row.car_at + row.car_after == pytest.approx(shocks.drops.post[k])
    assert row.speedup == pytest.approx((row.car_at + row.car_after) / 15 - row.car_before / 4)
    assert row.n_placebos >= 5
    assert (row.attributed, text(row.reason)) == (False, "1 answer after a drop, too few for a test over dates")


@pytest.mark.parametrize(
    ("delay", "flag", "reason"),
    [
        (-3, "PRECEDES_DROP", "it precedes the drop"),
        (0, "SAME_SESSION", "daily prices cannot part it from the drop"),
        (1, "", "day +1 lies within the drop window"),
    ],
)
def test_answers_that_can_turn_nothing(tmp_path: Path, delay: int, flag: str, reason: str) -> None:
    computed, shocks, events = clarified(tmp_path, delay)
    row = clarifications(shocks, events, computed.alignments, shocks.history.config)[0]
    assert (row.flag, text(row.reason), row.attributed) == (flag, reason, False)
    assert np.isnan(row.car_at)


def test_three_runs_around_other_news(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 6)
    path = tmp_path / "confounders.csv"
    asked = np.flatnonzero(shocks.asked)
    days = [str(np.datetime64(int(shocks.drops.day0[k]), "D")) for k in asked[:2]]
    path.write_text(f"date,ticker,kind,note\n{days[0]},BBB,earnings,\n{days[1]},*,macro,rates\n")
    news = read_confounders(path, shocks.history.config)
    rows = {row.group.split("=")[-1]: row for row in confounder_runs(shocks, news, shocks.history.config)}
    assert rows["all"].estimate == pytest.approx(shocks.excess[shocks.asked].mean())
    assert rows["without_dates"].n_dates == len(asked) - 2
    kept = [k for k in asked if k not in asked[:2]]
    assert rows["without_dates"].estimate == pytest.approx(shocks.excess[kept].mean())
    assert rows["without_peers"].n_dates == len(asked)
    assert text(rows["without_peers"].note) == "1 firm-events and 0 dates left out"
    panel = shocks.portfolios.abnormal.panel
    marked = touched(shocks, [item for item in news if item.ticker != "*"])
    assert panel.ticker[marked].tolist() == ["BBB"]
    alone = int(asked[0])
    car = {
        t: c
        for t, c, s in zip(panel.ticker, shocks.portfolios.abnormal.car((2, 20)), panel.shock_id, strict=True)
        if s == shocks.drops.shock_id[alone]
    }
    change = rows["without_peers"].estimate - rows["all"].estimate
    event_part = (car["AAA"] + car["CCC"]) / 2 - sum(car.values()) / 3
    assert change != 0
    assert abs(change * len(asked) - event_part) < 0.2


def test_every_problem_of_a_confounders_file(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 1)
    path = tmp_path / "confounders.csv"
    path.write_text("date,ticker,kind\nsoon,AAA,earnings\n2021-01-04,ZZZ,earnings\n")
    with pytest.raises(EventsError) as error:
        read_confounders(path, shocks.history.config)
    assert [str(p).removeprefix(str(path)) for p in error.value.problems] == [
        ":2: date 'soon' is no date; write it as 2026-06-09",
        ":3: ticker 'ZZZ' is no peer of this study; name a peer, or * for all of them",
    ]


def test_the_case_study_names_its_rank(tmp_path: Path) -> None:
    days = drop_days(2)
    _, shocks = study(
        tmp_path, [misread("E0", days[0]), event_row("E1", days[1], label="contested"), *ENDS], 'reversal.case="E1"'
    )
    facts = case_study(shocks)
    assert facts is not None
    k = list(shocks.drops.shock_id).index("E1")
    placebos = shocks.benchmarks.placebos(k)
    own, m = shocks.drops.post[k], len(placebos)
    rank = 1 + int((placebos >= own).sum())
    assert (facts["shock_id"], facts["rank"], facts["among"]) == ("E1", rank, m + 1)
    sentence = text(facts["sentence"])
    assert sentence.startswith(
        f"Case study. One information shock. Rank {rank} of {m + 1}, itself and its {m} matched drops. No "
        "claim about misreadings in general. E1 (drop: "
    )
    everyone = np.append(own, placebos)
    far = np.abs(everyone - everyone.mean())
    p, floor = (far >= far[0] - 1e-15).mean(), (far >= far.max() - 1e-15).mean()
    assert (facts["p_rank"], facts["p_rank_floor"]) == (pytest.approx(p), pytest.approx(floor))
    assert f"(two-sided p of the rank {p:.2f}, which cannot be below {shown_floor(floor):.2g})" in sentence
    row = shock_rows(shocks, shocks.history.config.windows)[k]
    assert (row["rank"], row["n_placebos"]) == (rank, m)
    assert (row["p_rank"], row["p_rank_floor"]) == (facts["p_rank"], facts["p_rank_floor"])


def test_one_date_has_one_two_sided_p_on_every_page(tmp_path: Path) -> None:
    """The verdict's p, its floor, the row of the shock and the primary measure are one test."""
    computed, shocks, events = many(tmp_path, 1)
    found = findings(shocks, events, computed.alignments, shocks.history.config)
    facts, rows = reversal_summary(found, shocks.history.config)["verdict"], tables(found, shocks.history.config)
    assert facts["n_dates"] == 1
    row = next(r for r in rows["reversal"] if r["role"] == "confirmatory")
    assert row["p_rank"] == facts["p_value"]
    assert row["p_rank_floor"] == facts["p_floor"] == pytest.approx(1 / (row["n_placebos"] + 1))
    measured = {(m["measure"], m["group"]): m for m in rows["reversal_measures"]}
    primary = measured["excess_post", "label=misreading"]
    assert primary["p_value"] == facts["p_value"]
    assert text(primary["note"]) == (
        f"primary; two-sided p, which cannot be below {facts['p_floor']:.4g}; one-sided towards a reversal "
        f"{facts['p_greater']:.4g}"
    )
    assert f"no p below {shown_floor(facts['p_floor']):.2g} is possible" in text(facts["sentence"])
    assert f"rank {row['rank']} of {row['n_placebos'] + 1};" in text(facts["sentence"])


def test_the_placebos_line_averages_as_many_drops_as_it_says(tmp_path: Path) -> None:
    computed, shocks, events = many(tmp_path)
    found = findings(shocks, events, computed.alignments, shocks.history.config)
    rows = tables(found, shocks.history.config)
    groups = {p["group"] for p in rows["reversal_paths"]}
    assert "label=misreading" in groups
    for group in groups:
        counted = np.flatnonzero(shocks.members[group])
        lines = {
            s: {p["n_paths"] for p in rows["reversal_paths"] if (p["group"], p["series"]) == (group, s)}
            for s in ("events", "placebos")
        }
        assert lines["events"] == {len(counted)}
        assert lines["placebos"] == {sum(len(shocks.benchmarks.placebos(int(k))) for k in counted)}


def test_a_fall_that_is_no_drop_is_compared_with_falls_of_its_size(tmp_path: Path) -> None:
    day = drop_days(1)[0]
    _, shocks = study(tmp_path, [misread("E0", day), *ENDS], "reversal.drop_k=9.0", 'reversal.case="E0"')
    k = list(shocks.drops.shock_id).index("E0")
    assert not shocks.drops.qualifies[k]
    assert shocks.asked.tolist() == [False] * len(shocks.asked)
    chosen = shocks.benchmarks.placebo_traits(k)
    assert len(chosen) >= 5
    assert np.abs(chosen[:, 0] - shocks.traits[k, 0]).max() <= 1.0


def test_the_specification_curve_has_the_primary_measure_in_it(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 6)
    rows = specification_curve(shocks, shocks.history.config)
    assert len(rows) == 24
    own = ("[2,20]", "market", "simple", "auto")
    primary = next(r for r in rows if (r.window, r.model, r.returns, r.alpha) == own)
    assert primary.estimate == pytest.approx(shocks.excess[shocks.asked].mean())
    estimates = [row.estimate for row in rows]
    assert rows[0].median == pytest.approx(np.median(estimates))
    assert rows[0].share_positive == pytest.approx(np.mean(np.array(estimates) > 0))
    assert len({row.joint_p for row in rows}) == 1
    assert 0 < rows[0].joint_p <= 1


def test_measures_note_a_sign_that_flips(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 6)
    flipped = dict(shocks.variants)
    flipped["log"] = -flipped["simple"]
    other = replace(shocks, variants=flipped)
    notes = {
        m.measure: text(m.note) for m in measures(other, [], shocks.history.config) if m.group == "label=misreading"
    }
    assert notes["excess_log"] == "sign differs from simple returns"
    assert notes["excess_bhar"] == ""


def test_the_locked_question_knows_what_changed(tmp_path: Path) -> None:
    _, shocks, events = many(tmp_path, 2)
    config = shocks.history.config
    locked = tomllib.loads(as_toml(question(events, config)))
    assert departures(locked, events, config) == []
    other = replace(config, windows=replace(config.windows, post=(2, 10)), model=replace(config.model, alpha="zero"))
    found = {d.key: d for d in departures(locked, events, other)}
    assert found["windows.post"].strict
    assert not found["model.alpha"].strict
    assert text(found["windows.post"].sentence) == (
        "departure from the pre-registration: windows.post was locked as [2, 20], is [2, 10]"
    )
    assert set(found) == {"windows.post", "model.alpha", "primary_endpoint"}
    write_events(tmp_path, [misread("E9", "2021-06-09")], "other.csv")
    changed = {d.key for d in departures(locked, read_events(tmp_path / "other.csv"), config) if d.strict}
    assert changed == {"events_sha256"}
    assert specification_digest(config) != specification_digest(other)


def plant(folder: Path, days: list[str], daily: float) -> None:
    """Write the shared prices with ``daily`` added to every peer's return on days +2 to +11 of each drop."""
    folder.mkdir()
    for path in Path(shared_prices().name).glob("*.csv"):
        lines = path.read_text().splitlines()
        factor, rows = 1.0, [lines[0]]
        dates = [line[:10] for line in lines[1:]]
        raised = {dates.index(day) + step for day in days for step in range(2, 12)}
        for number, line in enumerate(lines[1:]):
            date, close, _, volume = line.split(",")
            factor *= 1.0 + daily if number in raised and path.stem != "IDX" else 1.0
            rows.append(f"{date},{float(close) * factor!r},{float(close) * factor!r},{volume}")
        (folder / path.name).write_text("\n".join([*rows, ""]), encoding="utf-8")


@pytest.mark.parametrize(("daily", "kind"), [(0.012, "reversal"), (-0.012, "drift"), (0.0, "inconclusive")])
def test_a_planted_aftermath_gets_its_verdict(tmp_path: Path, daily: float, kind: str) -> None:
    days = drop_days(9)
    plant(tmp_path / "prices", days, daily)
    _, shocks = study(tmp_path, [*(misread(f"E{i}", day) for i, day in enumerate(days)), *ENDS])
    assert shocks.verdict.n_dates >= 6
    assert shocks.verdict.kind == kind
    if daily:
        assert shocks.verdict.effect == pytest.approx(10 * daily, abs=0.05)
        assert shocks.verdict.p_value < 0.01
