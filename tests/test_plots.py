"""Figures: what they draw is what the tables hold, and nothing unreadable gets on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from make_result import PEERS, SHOCKS, make_result
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eventstudy import plots
from eventstudy.results import StudyResult


def _axes() -> Axes:
    return Figure(figsize=(6, 3)).add_subplot()


def _with_table(result: StudyResult, name: str, table: pd.DataFrame) -> StudyResult:
    return StudyResult(result.run_id, {**result.tables, name: table}, result.summary, result.manifest)


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_page_one_figures_come_first_then_misreading_shocks_by_date() -> None:
    names = [plot.name for plot in plots.plots_of(make_result())]
    assert names == [
        "caar_by_label", "shock_dots", "event_bars_GTC25", "shock_path_GTC25", "event_bars_LITE26",
        "shock_path_LITE26", "event_bars_SA26", "shock_path_SA26",
    ]  # fmt: skip


def test_caar_lines_hold_the_table_values_of_the_headline_group() -> None:
    result = make_result()
    ax = plots.caar_by_label(_axes(), result)
    lines = {line.get_label(): line for line in ax.get_lines() if line.get_label() in plots.LABEL_COLOURS}
    assert list(lines) == ["misreading", "genuine", "all"]
    aar = result.tables["aar"]
    for label, group in (("misreading", "peers=core;label=misreading"), ("all", "peers=core")):
        rows = aar[aar["group"] == group]
        np.testing.assert_array_equal(lines[label].get_xdata(), rows["tau"])
        np.testing.assert_array_equal(lines[label].get_ydata(), rows["caar"])


def test_caar_band_is_drawn_only_where_there_is_one() -> None:
    result = make_result()
    bands = plots.caar_by_label(_axes(), result).collections
    assert len(bands) == 2  # misreading and all; one date of genuine news gives no band
    rows = result.tables["aar"].query("group == 'peers=core;label=misreading'")
    drawn = bands[0].get_paths()[0].vertices
    assert drawn[:, 1].min() == rows["lower"].min()
    assert drawn[:, 1].max() == rows["upper"].max()


def test_caar_names_each_line_with_its_own_n_and_k() -> None:
    ax = plots.caar_by_label(_axes(), make_result())
    texts = [text.get_text() for text in ax.texts]
    assert "misreading (n 8, K 2)" in texts
    assert "genuine (n 4, K 1)" in texts


def test_line_names_keep_apart_where_the_lines_end_together() -> None:
    result = make_result()
    aar = result.to_frame("aar")
    aar["caar"] = np.where(aar["tau"] == 20, 0.01, aar["caar"])
    ax = plots.caar_by_label(_axes(), _with_table(result, "aar", aar))
    heights = sorted(text.get_position()[1] for text in ax.texts if "(n " in text.get_text())
    low, high = ax.get_ylim()
    assert np.diff(heights).min() >= 0.0619 * (high - low)


def test_bars_are_sorted_cars_with_their_errors_and_names() -> None:
    result = make_result()
    ax = plots.event_bars(_axes(), result, "LITE26")
    car = result.tables["car"].query("shock_id == 'LITE26' and window == '[0,1]'").sort_values("car")
    assert [bar.get_width() for bar in ax.patches[:4]] == car["car"].tolist()
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert [name.split()[-1] for name in names] == car["ticker"].tolist()
    assert "Lumentum LITE" in names
    whiskers = ax.collections[0].get_segments()
    first = car.iloc[0]
    assert whiskers[0][0][0] == pytest.approx(first["car"] - 1.96 * first["se"])
    assert whiskers[0][1][0] == pytest.approx(first["car"] + 1.96 * first["se"])


def test_bars_take_the_colour_of_the_region() -> None:
    result = make_result()
    ax = plots.event_bars(_axes(), result, "GTC25")
    car = result.tables["car"].query("shock_id == 'GTC25' and window == '[0,1]'").sort_values("car")
    expected = [plots.REGION_COLOURS[PEERS[ticker]["region"]] for ticker in car["ticker"]]
    from matplotlib.colors import to_hex

    assert [to_hex(bar.get_facecolor()).upper() for bar in ax.patches[:4]] == expected


def test_a_peer_of_two_events_of_one_shock_is_drawn_once_with_the_first() -> None:
    result = make_result()
    answer = {"event_id": "LITE26-C", "car": 0.5}
    car = result.tables["car"].query("shock_id == 'LITE26' and ticker == 'LITE'").assign(**answer)
    daily = result.tables["abnormal_returns"].query("shock_id == 'LITE26' and ticker == 'LITE'")
    daily = daily.assign(event_id="LITE26-C", session="2026-03-01")
    result = _with_table(result, "car", pd.concat([result.tables["car"], car]))
    result = _with_table(result, "abnormal_returns", pd.concat([daily, result.tables["abnormal_returns"]]))
    ax = plots.event_bars(_axes(), result, "LITE26")
    assert len(ax.get_yticklabels()) == 4
    assert max(bar.get_width() for bar in ax.patches[:4]) < 0.5


def test_dots_hold_drop_and_post_by_date_and_are_hollow_where_the_drop_failed() -> None:
    result = make_result()
    ax = plots.shock_dots(_axes(), result)
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"{s[0]}\n{s[2]}" for s in SHOCKS]
    shocks = result.tables["shocks"].set_index(["shock_id", "window"])
    dots = [line for line in ax.get_lines() if line.get_marker() in ("o", "D")]
    drawn = [(dot.get_marker(), float(dot.get_ydata()[0]), dot.get_markerfacecolor()) for dot in dots]
    for place, (shock_id, label, *_) in enumerate(SHOCKS):
        fill = "white" if shock_id == "SA26" else plots.LABEL_COLOURS[label]
        assert drawn[2 * place] == ("o", shocks.at[(shock_id, "[0,1]"), "car"], fill)
        assert drawn[2 * place + 1] == ("D", shocks.at[(shock_id, "[2,20]"), "car"], fill)


def test_path_is_the_mean_of_the_peers_and_marks_locked_and_missing_days() -> None:
    result = make_result()
    ax = plots.shock_path(_axes(), result, "SA26")
    daily = result.tables["abnormal_returns"].query("shock_id == 'SA26'")
    mean = next(line for line in ax.get_lines() if line.get_label() == "mean")
    expected = daily.groupby("tau")["ar"].mean().cumsum()
    np.testing.assert_allclose(mean.get_ydata(), expected, rtol=1e-12)
    marks = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in marks] == [[5]]


def test_caption_says_n_dates_windows_model_and_data_date() -> None:
    result = make_result()
    text = plots.caption(result, plots.Plot("caar_by_label", "caar_by_label"))
    assert text == (
        "n = 12 firm-events, K = 3 dates · estimation [-250,-11], event [-10,20] · market model, "
        "alpha auto · simple returns · data to 2026-08-21"
    )


@pytest.mark.parametrize("plot", plots.plots_of(make_result()), ids=lambda plot: plot.name)
def test_watermark_is_on_every_simulated_figure_and_on_no_other(plot: plots.Plot) -> None:
    assert "SIMULATED" in _texts(plots.draw(make_result(simulated=True), plot))
    assert "SIMULATED" not in _texts(plots.draw(make_result(), plot))


def test_text_without_a_glyph_is_left_out_and_dollars_are_no_formula(tmp_path: Path) -> None:
    peers = {**PEERS, "LITE": {**PEERS["LITE"], "name": "A$x_2$ \U0001f4c9 B\n\x0bC"}}
    result = make_result(peers=peers)
    assert plots.peer_label(result, "LITE") == "A$x_2$ B C LITE"
    figure = plots.draw(result, plots.Plot("bars", "event_bars", "SA26"))
    (path,) = plots.save(figure, tmp_path / "bars", suffixes=("png",))  # a missing glyph would warn
    assert path.stat().st_size > 5_000


def test_local_name_shows_only_with_a_font_for_it() -> None:
    label = plots.peer_label(make_result(), "300308.SZ")
    assert label == ("InnoLight 300308.SZ" if plots.cjk_font() is None else "InnoLight 中际旭创 300308.SZ")


def test_figure_files_of_two_shocks_never_share_a_name() -> None:
    shocks = tuple((name, *SHOCKS[0][1:]) for name in ("a/b", "A b", "a_b"))
    names = [plot.name.casefold() for plot in plots.plots_of(make_result(shocks=shocks))]
    assert len(names) == len(set(names)) == 8
    assert all("/" not in name and " " not in name for name in names)


def test_png_has_300_dpi_and_no_program_name(tmp_path: Path) -> None:
    from PIL import Image

    figure = plots.draw(make_result(), plots.Plot("dots", "shock_dots"))
    png, svg = plots.save(figure, tmp_path / "dots")
    with Image.open(png) as image:
        assert [round(value) for value in image.info["dpi"]] == [300, 300]
        assert image.size == (2100, 855)
        assert "Software" not in image.info
    text = svg.read_text(encoding="utf-8")
    assert "<dc:date>" not in text
    assert "<dc:creator>" not in text
