"""Each figure draws what the tables hold; its type can be read, and its colours be told apart."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from small_study import PEERS, SHOCKS, changed, small_study

from eventstudy import plots
from eventstudy.config import LABELS
from eventstudy.plots import frames as read
from eventstudy.plots.caar_by_label import caar_by_label, panels, title
from eventstudy.plots.cost_sensitivity import cost_sensitivity
from eventstudy.plots.equity_curve import drawdown, equity_curve
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.forest import forest, forest_rows
from eventstudy.plots.heatmap import CELL, heatmap
from eventstudy.plots.p_heatmap import p_heatmap
from eventstudy.plots.power import power, power_curve
from eventstudy.plots.shock_grid import shock_path
from eventstudy.plots.specification_curve import specification_curve
from eventstudy.plots.style import PALE, SMALLEST
from eventstudy.plots.timeline import timeline
from eventstudy.report.wording import words_of

#: Simulation of Machado, Oliveira and Fernandes (2009) for full severity, in linear RGB.
CONES = {
    "all": np.eye(3),
    "red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "green": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
#: Inches of a page's text, and of half of it.
PAGE, HALF = 18 / 2.54, (18 / 2.54 - 6 / 72) / 2


def _axes() -> Axes:
    return Figure(figsize=(6, 3)).add_subplot()


def _linear(colour: object) -> NDArray[np.float64]:
    c = np.array(to_rgb(colour))  # type: ignore[arg-type]
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _contrast(one: object, other: object) -> float:
    light, dark = sorted((float(XYZ[1] @ _linear(c)) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    x = XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@functools.cache
def _drawn(name: str) -> Figure:
    plot = next(plot for plot in plots.plots_of(small_study()) if plot.name == name)
    figure = plots.draw(small_study(), plot)
    figure.canvas.draw()
    return figure


NAMES = [plot.name for plot in plots.plots_of(small_study())]


def _said(figure: Figure) -> Iterator[Text]:
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text() and text.get_visible():
            yield text


def test_a_study_of_drops_has_these_figures_in_this_order() -> None:
    assert NAMES == [
        "forest",
        "caar_by_label",
        "heatmap",
        "timeline",
        "shock_grid_1",
        "p_heatmap",
        "placebo_balance",
        "power",
        "equity_curve",
        "cost_sensitivity",
        "specification_curve",
    ]
    volatile = [plot.name for plot in plots.plots_of(small_study(kind="volatility"))]
    assert volatile == ["forest", "caar_by_label", "shock_grid_1", "p_heatmap"]


@pytest.mark.parametrize("name", NAMES)
def test_type_is_six_points_at_least_where_it_is_printed(name: str) -> None:
    figure = _drawn(name)
    width = figure.get_figwidth()
    printed = HALF if width < 5 else PAGE
    small = [(t.get_text(), t.get_fontsize()) for t in _said(figure) if t.get_fontsize() * printed / width < 6.0]
    assert small == []


@pytest.mark.parametrize("name", NAMES)
def test_words_stand_out_from_their_ground(name: str) -> None:
    figure = _drawn(name)
    # Words of a label's colour stand on the page, others in the windows too; cells have a test of their own.
    grounds = {
        text: ("white",) if text.get_color() in plots.LABEL_COLOURS.values() else ("white", "#F3F3F3")
        for text in _said(figure)
    }
    for text, known in grounds.items():
        if name != "p_heatmap":
            assert min(_contrast(text.get_color(), ground) for ground in known) >= 4.5, text.get_text()


def test_each_p_value_stands_out_from_its_cell() -> None:
    ax = p_heatmap(_axes(), small_study())
    (image,) = ax.images
    shades = image.cmap(image.norm(image.get_array()))  # type: ignore[arg-type]
    cells = [text for text in ax.texts if text.get_text().lstrip("<").replace(".", "").isdigit()]
    assert len(cells) > 20
    for text in cells:
        column, row = (round(at) for at in text.get_position())
        assert _contrast(text.get_color(), shades[row, column][:3]) >= 4.5


def test_labels_can_be_read_and_told_apart_without_red_or_green_cones() -> None:
    colours = plots.LABEL_COLOURS
    assert set(LABELS) <= set(colours)
    assert min(_contrast(colour, "white") for colour in colours.values()) >= 4.5
    for matrix in CONES.values():
        seen = {label: _lab(matrix @ _linear(colour)) for label, colour in colours.items()}
        near = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in itertools.combinations(seen, 2)}
        assert min(near.values()) >= 15, min(near, key=lambda pair: near[pair])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_a_figure_shows_is_said_with_its_numbers(language: str) -> None:
    result = small_study()
    words = words_of(result, language)
    said = {plot.kind: plots.alt_text(result, plot, words) for plot in plots.plots_of(result)}
    assert all("{" not in text and any(char.isdigit() for char in text) for text in said.values())
    table = result.tables["specification_curve"].iloc[0]
    assert f"{table['share_positive']:.0%}" in said["specification_curve"]
    rows = result.tables["paths"].query("group == 'label=misreading' and shock_id == ''").set_index("tau")["car"]
    for day in (1, 20):
        assert f"{100 * rows[day]:+.1f}%".replace("-", "−") in said["caar_by_label"]
    mean = result.tests.get("ibragimov_mueller", window=(2, 20)).estimate
    assert f"{100 * mean:+.1f}".replace("-", "−") in said["forest"]


def test_forest_has_each_shock_with_its_interval_and_numbers() -> None:
    result = small_study()
    for name, window in (("drop", "[0,1]"), ("post", "[2,20]")):
        ax = forest(_axes(), result, name)
        shocks = result.tables["shocks"].set_index("window").loc[window].set_index("shock_id")
        rows = forest_rows(result)
        assert [row["shock_id"] for row in rows] == ["", "GTC25", "LITE26", "", "SA26", ""]
        dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
        assert [float(dot.get_xdata()[0]) for dot in dots] == [shocks.at[shock, "car"] for shock in SHOCKS]
        fills = [plots.LABEL_COLOURS["misreading"]] * 2 + ["white"]
        assert [dot.get_markerfacecolor() for dot in dots] == fills
        whiskers = [line.get_xdata() for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_lw() == 0.9]
        for shock, ends in zip(SHOCKS, whiskers, strict=True):
            assert list(ends) == [shocks.at[shock, "lower"], shocks.at[shock, "upper"]]
        said = [text.get_text() for text in ax.texts]
        for shock in SHOCKS:
            low, value, high = (100 * shocks.at[shock, column] for column in ("lower", "car", "upper"))
            assert f"{value:+.1f} [{low:.1f}, {high:.1f}]".replace("-", "−") in said


def test_forest_diamonds_are_the_t_intervals_over_dates() -> None:
    result = small_study()
    ax = forest(_axes(), result, "post")
    corners = [patch.get_xy() for patch in ax.patches]
    assert len(corners) == 2  # misreading and all; one date of genuine news has no interval
    for xy, group in zip(corners, ("label=misreading", "all"), strict=True):
        test = result.tests.get("ibragimov_mueller", window=(2, 20), group=group)
        low, high = test.conf_int()
        assert xy[0][0] == pytest.approx(low)
        assert xy[1][0] == pytest.approx(test.estimate)
        assert xy[2][0] == pytest.approx(high)


def test_forest_shows_the_matched_drops_and_the_rank_of_each_shock() -> None:
    result = small_study()
    ax = forest(_axes(), result, "post")
    clouds = [line for line in ax.get_lines() if line.get_marker() == "|" and len(line.get_xdata())]
    placebo = result.tables["placebo"].query("tier == 'P1'")
    for cloud, shock in zip(clouds, SHOCKS, strict=True):
        assert sorted(cloud.get_xdata()) == sorted(placebo[placebo["shock_id"] == shock]["car_post"])
    found = result.tables["reversal"].query("rank == rank")
    ranks = {f"rank {row.rank:.0f} of {row.among:.0f}" for row in found.itertuples()}
    assert len(ranks) == 2
    assert ranks <= {text.get_text() for text in ax.texts}


def test_ranks_of_three_digits_stay_within_the_forest() -> None:
    result = small_study()
    table = result.to_frame("reversal").assign(rank=888.0, among=999.0)
    figure = plots.draw(changed(result, reversal=table), plots.Plot("forest", "forest"))
    ranks = [text for ax in figure.axes for text in ax.texts if text.get_text() == "rank 888 of 999"]
    assert len(ranks) == 3
    assert max(text.get_window_extent().x1 for text in ranks) <= figure.bbox.x1


@pytest.mark.parametrize("n", [3, 25, 60])
def test_a_forest_of_any_length_has_rows_that_can_be_read(n: int) -> None:
    """Of more shocks than have room some labels are their mean alone, never the one asked."""
    result = small_study()
    own, labels = result.tables["shocks"].query("shock_id == 'GTC25'"), ("misreading", "genuine", "contested")
    copies = [own.assign(shock_id=f"S{i:02d}", label=labels[i % 3], day0=f"20{i:02d}-01-05") for i in range(n)]
    aar = result.tables["aar"]
    more = aar[aar["group"] == "all"].assign(group="label=contested")
    many = changed(result, shocks=pd.concat(copies, ignore_index=True), aar=pd.concat([aar, more]))
    rows = forest_rows(many)
    assert sum(row["shock_id"] != "" for row in rows) == {3: 3, 25: 25, 60: 20}[n]
    assert [row["label"] for row in rows if not row["shock_id"]] == [*labels, "all"]
    figure = plots.draw(many, plots.Plot("forest", "forest"))
    assert figure.get_figheight() < 6
    axis = figure.axes[1]
    step = axis.get_position().height * figure.get_figheight() / (len(rows) + 0.2)
    assert step * 72 > 1.3 * SMALLEST


def test_an_interval_that_is_cut_ends_in_an_arrow() -> None:
    result = small_study()
    shocks = result.to_frame("shocks")
    wide = shocks.assign(lower=shocks["lower"].where(shocks["shock_id"] != "SA26", -5.0))
    arrows = [
        {line.get_marker() for line in forest(_axes(), r, "drop").get_lines()} & {"<", ">"}
        for r in (result, changed(result, shocks=wide))
    ]
    assert arrows == [set(), {"<"}]


def test_caar_is_the_mean_of_its_dates_from_the_last_close_before_day_0() -> None:
    result = small_study()
    ax = caar_by_label(_axes(), result, "misreading")
    table = result.tables["paths"].query("group == 'label=misreading'")
    mean = table[table["shock_id"] == ""]
    line = next(line for line in ax.get_lines() if line.get_label() == "misreading")
    np.testing.assert_array_equal(line.get_xdata(), mean["tau"])
    np.testing.assert_array_equal(line.get_ydata(), mean["car"])
    assert float(line.get_ydata()[list(line.get_xdata()).index(-1)]) == 0.0
    dates = [line for line in ax.get_lines() if line.get_color() == PALE]
    assert len(dates) == 2
    np.testing.assert_allclose(np.mean([d.get_ydata() for d in dates], axis=0), line.get_ydata(), atol=1e-12)
    (band,) = ax.collections
    drawn = band.get_paths()[0].vertices
    assert drawn[:, 1].min() == mean["lower"].min()
    assert drawn[:, 1].max() == mean["upper"].max()


def test_each_label_has_a_panel_and_all_come_last() -> None:
    result = small_study()
    assert list(panels(result)) == ["misreading", "genuine", "all"]
    axes = _drawn("caar_by_label").axes[1:]
    assert [ax.get_title(loc="left") for ax in axes] == ["misreading (2 dates)", "genuine (1 date)", "all (3 dates)"]
    assert len({ax.get_ylim() for ax in axes}) == 1
    rows = result.tables["paths"].query("group == 'label=misreading' and shock_id == ''").set_index("tau")["car"]
    first, last = (f"{100 * rows[day]:+.1f}%".replace("-", "−") for day in (1, 20))
    assert title(result) == f"Misreading (2 dates): {first} by the close of day 1, {last} by day 20"


def test_the_matched_drops_of_the_label_asked_stand_beside_it_with_their_number() -> None:
    result = small_study()
    table = result.tables["reversal_paths"].query("group == 'label=misreading' and series == 'placebos'")
    at = float(table.loc[table["tau"] == -1, "car"].iloc[0])
    ax = caar_by_label(_axes(), result, "misreading")
    line = next(line for line in ax.get_lines() if line.get_label() == "matched")
    np.testing.assert_allclose(line.get_ydata(), table["car"] - at, atol=1e-15)
    (behind,), matched = set(table["n_paths"]), len(read.matched_placebos(result))
    assert behind < matched
    legend = _drawn("caar_by_label").axes[1].get_legend()
    assert legend is not None
    assert any(f"m {behind}" in text.get_text() for text in legend.get_texts())
    # Their paths are of returns: they say nothing beside abnormal volume.
    volume = changed(result, facts={"kind": "volume"})
    assert "matched" not in [line.get_label() for line in caar_by_label(_axes(), volume, "misreading").get_lines()]


def test_a_band_that_is_cut_ends_in_an_arrow() -> None:
    result = small_study()
    paths = result.to_frame("paths")
    wide = changed(result, paths=paths.assign(upper=paths["upper"].where(paths["tau"] < 10, 9.0)))
    figure = plots.draw(wide, plots.Plot("caar_by_label", "caar_by_label"))
    ax = figure.axes[1]
    arrows = [line for line in ax.get_lines() if line.get_marker() == "^"]
    rows, top = wide.tables["paths"].query("group == 'label=misreading' and shock_id == ''"), ax.get_ylim()[1]
    first = float(rows.loc[rows["upper"] > top, "tau"].min())
    assert [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in arrows] == [(first, top)]


def test_heat_map_holds_the_abnormal_returns_and_hatches_what_is_missing() -> None:
    result = small_study()
    every = result.to_frame("abnormal_returns")
    lost = (every["event_id"] == "SA26") & (every["ticker"] == "AAOI") & (every["tau"] == 5)
    locked = (every["event_id"] == "SA26") & (every["ticker"] == "LITE") & (every["tau"] == 7)
    flags = every["flags"].mask(lost, "missing").mask(locked, "locked_down")
    ax = heatmap(
        _axes(), changed(result, abnormal_returns=every.assign(ar=every["ar"].mask(lost), flags=flags)), "SA26"
    )
    (image,) = ax.images
    cells = np.ma.filled(image.get_array(), np.nan)[::CELL, ::CELL]
    tickers = ["300308.SZ", "300502.SZ", "AAOI", "LITE"]  # by region: CN, then US
    own = every.query("event_id == 'SA26'").pivot(index="ticker", columns="tau", values="ar").loc[tickers]
    own.loc["AAOI", 5] = np.nan
    np.testing.assert_array_equal(cells, own)
    low, high = image.get_clim()
    assert low == -high
    box = next(patch for patch in ax.patches if patch.get_label() == "day 0")
    assert (box.get_x(), box.get_width()) == (-0.5, 1)
    hatched = next(patch for patch in ax.patches if patch.get_hatch())
    corners = hatched.get_path().vertices
    assert [corners[:4, 0].min(), corners[:4, 1].min()] == [4.5, 1.5]
    (dots,) = (line for line in ax.get_lines() if line.get_label() == "censored")
    assert (list(dots.get_xdata()), list(dots.get_ydata())) == ([7], [3])


def test_the_heat_map_is_that_of_the_case() -> None:
    result = small_study()
    case = result.facts.get("case_study") or {}
    assert read.case_shock(result) == (case.get("shock_id") or "LITE26")


def test_path_of_a_shock_is_that_of_its_portfolio_with_each_peer() -> None:
    result = small_study()
    ax = shock_path(_axes(), result, "SA26")
    mean = next(line for line in ax.get_lines() if line.get_label() == "mean")
    path = result.tables["paths"].query("group == 'all' and shock_id == 'SA26'")
    np.testing.assert_array_equal(mean.get_ydata(), path["car"])
    lines = [line for line in ax.get_lines() if line.get_color() == PALE]
    assert len(lines) == len(PEERS)
    ar = result.tables["abnormal_returns"].query("event_id == 'SA26' and ticker == 'LITE' and 0 <= tau <= 5")["ar"]
    ends = [float(line.get_ydata()[list(line.get_xdata()).index(5)]) for line in lines]
    assert min(abs(end - ar.sum()) for end in ends) < 1e-12


def test_a_peer_of_two_events_of_one_shock_is_drawn_once_with_the_first() -> None:
    result = small_study()
    daily = result.tables["abnormal_returns"].query("shock_id == 'LITE26' and ticker == 'LITE'")
    late = daily.assign(event_id="LITE26-C", session="2026-03-01", ar=0.5)
    both = changed(result, abnormal_returns=pd.concat([late, result.tables["abnormal_returns"]]))
    (image,) = heatmap(_axes(), both, "LITE26").images
    assert float(np.nanmax(np.ma.filled(image.get_array(), np.nan))) < 0.5


def test_a_clarification_before_its_drop_does_not_stand_for_it() -> None:
    result = small_study()
    early = result.tables["abnormal_returns"].query("event_id == 'SA26'")
    early = early.assign(event_id="CPX26", session="2026-01-05", ar=0.5)
    both = changed(result, abnormal_returns=pd.concat([result.tables["abnormal_returns"], early]))
    (image,) = heatmap(_axes(), both, "SA26").images
    assert float(np.nanmax(np.ma.filled(image.get_array(), np.nan))) < 0.5


def test_a_clarification_is_marked_on_the_day_it_fell_counted_from_the_drop() -> None:
    result = small_study()
    daily = result.tables["abnormal_returns"].query("shock_id == 'LITE26' and ticker == 'LITE' and tau == 3")
    row = {"event_id": "LITE26-C", "shock_id": "LITE26", "mic": "XNAS", "session": daily["session"].item()}
    alignment = pd.concat([result.tables["alignment"], pd.DataFrame([row])])
    answer = {"event_id": "LITE26-C", "clarifies": "LITE26", "flag": "SAME_SESSION"}
    result = changed(result, facts={"chronology": [answer]}, alignment=alignment)
    marks = [line for line in shock_path(_axes(), result, "LITE26").get_lines() if line.get_marker() == "^"]
    assert [list(mark.get_xdata()) for mark in marks] == [[3]]


@pytest.mark.parametrize(("n_peers", "n"), [(None, 12), (14, 9)])
def test_shocks_of_few_peers_take_less_of_a_page(n_peers: int | None, n: int) -> None:
    result = small_study()
    shocks, returns, paths = (result.tables[name] for name in ("shocks", "abnormal_returns", "paths"))

    def copies(table: pd.DataFrame) -> pd.DataFrame:
        own = table[table["shock_id"] == "GTC25"]
        if n_peers and "ticker" in own:
            one = own[own["ticker"] == own["ticker"].iloc[0]]
            own = pd.concat([one.assign(ticker=f"T{i:02d}") for i in range(n_peers)])
        return pd.concat([own.assign(shock_id=f"S{i:02d}") for i in range(20)], ignore_index=True)

    many = changed(result, shocks=copies(shocks), abnormal_returns=copies(returns), paths=copies(paths))
    pages = [plot for plot in plots.plots_of(many) if plot.kind == "shock_grid"]
    assert [plot.name for plot in pages] == [f"shock_grid_{at + 1}" for at in range(-(-20 // n))]
    figure = plots.draw(many, pages[-1])
    titles = [title for ax in figure.axes if (title := ax.get_title(loc="left"))]
    assert titles == [f"S{at} · 2025-03-19 · misreading" for at in range(20 // n * n, 20)]
    assert plots.draw(many, pages[0]).get_figheight() <= 10.6


def test_timeline_has_both_indices_and_each_shock_at_its_level() -> None:
    result = small_study()
    ax = timeline(_axes(), result)
    index = result.tables["sector_index"]
    lines = {line.get_label(): line for line in ax.get_lines()}
    for name in ("peers", "benchmark"):
        np.testing.assert_array_equal(lines[name].get_ydata(), index[name])
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    days = index["date"].to_numpy(dtype="datetime64[D]")
    for dot, (name, (day, label, *_)) in zip(dots, SHOCKS.items(), strict=True):
        week = int(np.searchsorted(days, np.datetime64(day)))
        assert float(dot.get_ydata()[0]) == index["peers"].iloc[week], name
        assert dot.get_color() == plots.LABEL_COLOURS[label]


def test_equity_is_the_return_on_the_capital_and_below_it_the_drawdown() -> None:
    result = small_study()
    ax = equity_curve(_axes(), result)
    pnl, trades = result.tables["pnl"], result.tables["trades"]
    line = next(line for line in ax.get_lines() if str(line.get_label()).startswith("the rule"))
    assert line.get_label() == f"the rule ({len(trades)} trades)"
    np.testing.assert_allclose(line.get_ydata(), pnl["equity"] / 1_000_000 - 1, rtol=1e-12)
    assert sum(line.get_marker() == "^" for line in ax.get_lines()) == len(trades) == 7
    (area,) = drawdown(_axes(), result).collections
    assert area.get_paths()[0].vertices[:, 1].min() == pnl["drawdown"].min()
    level = pnl["equity"] / 1_000_000 - 1
    np.testing.assert_allclose(pnl["drawdown"], level - np.maximum(level.cummax(), 0.0), atol=1e-12)


def test_a_rule_that_never_traded_has_no_equity_curve() -> None:
    result = small_study()
    backtest = {**result.facts["backtest"], "n_trades": 0}
    idle = changed(result, facts={"backtest": backtest}, trades=result.tables["trades"].iloc[:0])
    assert "equity_curve" not in [plot.name for plot in plots.plots_of(idle)]


def test_costs_are_of_the_run_that_is_named_with_its_trades() -> None:
    result = small_study()
    ax = cost_sensitivity(_axes(), result)
    table = result.tables["cost_sensitivity"].query("run == 'rule'")
    line = next(line for line in ax.get_lines() if str(line.get_label()).startswith("the rule"))
    np.testing.assert_array_equal(line.get_ydata(), table["net_per_trade"])
    assert line.get_label() == "the rule (7 trades)"


def test_specification_curve_is_sorted_with_intervals_and_marks_the_studys_own() -> None:
    ax = specification_curve(_axes(), small_study())
    dots = [line for line in ax.get_lines() if line.get_marker() in ("o", "D") and len(line.get_xdata()) == 1]
    heights = [float(dot.get_ydata()[0]) for dot in dots]
    table = small_study().tables["specification_curve"].sort_values("estimate", kind="stable")
    assert heights == table["estimate"].tolist()
    ends = [segment[:, 1].tolist() for segment in ax.collections[0].get_segments()]
    assert ends == table[["lower", "upper"]].to_numpy().tolist()
    own = "model == 'market' and window == '[2,20]' and returns == 'simple' and alpha == 'auto'"
    assert [float(dot.get_ydata()[0]) for dot in dots if dot.get_marker() == "D"] == [
        table.query(own)["estimate"].item()
    ]
    share = f"effect above zero in {table['share_positive'].iloc[0]:.0%}"
    assert any(share in text.get_text() for text in _drawn("specification_curve").texts)


def test_p_values_are_those_of_the_headline_group() -> None:
    result = small_study()
    ax = p_heatmap(_axes(), result)
    tests = result.tables["tests"].query("group == 'all'")
    cells = tests.pivot(index="name", columns="window", values="p_value").dropna(how="all")
    shown = [text.get_text() for text in ax.texts]
    p = float(cells.loc["date_t", "[0,1]"])
    assert ("<0.001" if p < 0.0005 else f"{p:.3f}") in shown
    hatched = [patch for patch in ax.patches if patch.get_hatch()]
    assert len(hatched) == int(cells.isna().to_numpy().sum())
    below = int((cells < 0.05).to_numpy().sum())
    assert any(text.get_text().startswith(f"{below} of ") for text in _drawn("p_heatmap").texts)


def test_power_is_that_of_the_verdict_or_of_a_table_of_rates() -> None:
    result = changed(small_study(), verdict={"power": {"0.02": 0.06, "0.10": 0.41, "0.05": 0.15}})
    ax = power(_axes(), result)
    assert [bar.get_height() for bar in ax.patches] == [0.06, 0.15, 0.41]
    assert "41%" in [text.get_text() for text in ax.texts]
    assert "power" in [plot.name for plot in plots.plots_of(result)]
    unknown = changed(small_study(), verdict={"power": {}})
    assert "power" not in [plot.name for plot in plots.plots_of(unknown)]
    rates = pd.DataFrame(
        {"k": [6, 3, 6, 3, 6], "effect": [0.1, 0.1, 0.02, 0.02, 0.0], "reversal": [0.5, 0.2, 0.1, 0.06, 0.03]}
    )
    lines = {line.get_label(): line for line in power_curve(_axes(), rates, figure_words(result.facts)).get_lines()}
    assert lines["10 points"].get_xydata().tolist() == [[3, 0.2], [6, 0.5]]
    assert lines["2 points"].get_xydata().tolist() == [[3, 0.06], [6, 0.1]]


def test_every_figure_of_a_result_can_be_drawn_on_an_axes_of_the_callers() -> None:
    result = small_study()
    for name in ("caar", "forest", "timeline", "balance", "equity", "costs", "specifications", "p_values"):
        ax = _axes()
        assert getattr(result.plot, name)(ax=ax) is ax
        assert ax.has_data(), name
    assert result.plot.caar("genuine").get_title(loc="left") == "genuine (1 date)"
    assert len(result.plot.heatmap("GTC25").images) == 1
    assert len(result.plot.path("GTC25").get_lines()) > 4
    assert result.plot.figure("forest").get_size_inches()[0] == 7.0
    with pytest.raises(KeyError, match="there are forest"):
        result.plot.figure("nonsense")


def test_a_study_too_large_for_paths_of_dates_shows_its_mean_from_the_first_event_day() -> None:
    result = small_study()
    tables = {name: table for name, table in result.tables.items() if name != "paths"}
    ax = caar_by_label(_axes(), replace(result, tables=tables), "all")
    line = next(line for line in ax.get_lines() if line.get_label() == "all")
    aar = result.tables["aar"]
    np.testing.assert_array_equal(line.get_ydata(), aar[aar["group"] == "all"]["caar"])
