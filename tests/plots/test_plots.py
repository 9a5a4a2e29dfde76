"""Figures: what they draw is what the tables hold, and nothing unreadable gets on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from small_study import PEERS, REGIONS, SHOCKS, changed, small_study

from eventstudy import plots
from eventstudy.config import LABELS
from eventstudy.plots import frames as read
from eventstudy.plots.caar_by_label import caar_by_label, caar_other_labels
from eventstudy.plots.equity_curve import equity_curve
from eventstudy.plots.fonts import advance, families
from eventstudy.plots.placebo_dots import placebo_dots
from eventstudy.plots.reversal_paths import reversal_paths
from eventstudy.plots.shock import event_bars, shock_path
from eventstudy.plots.shock_dots import shock_dots
from eventstudy.plots.specification_curve import specification_curve
from eventstudy.plots.style import styled
from eventstudy.results.result import StudyResult

SVG, SPACE = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/XML/1998/namespace}space"


def _axes() -> Axes:
    return Figure(figsize=(6, 3)).add_subplot()


def _with_table(result: StudyResult, name: str, table: pd.DataFrame) -> StudyResult:
    return changed(result, **{name: table})


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_page_one_figures_come_first_then_misreading_shocks_by_date() -> None:
    names = [plot.name for plot in plots.plots_of(small_study(kind="volatility"))]
    assert names == ["caar_by_label", "shock_dots", "caar_other_labels", "shock_GTC25", "shock_LITE26", "shock_SA26"]


def test_full_study_adds_placebos_backtest_and_specifications() -> None:
    names = [plot.name for plot in plots.plots_of(small_study())]
    assert names[6:] == [
        "reversal_paths",
        "placebo_dots",
        "placebo_balance",
        "equity_curve",
        "trade_dots",
        "cost_sensitivity",
        "specification_curve",
    ]


def test_caar_lines_hold_the_table_values_of_the_headline_group() -> None:
    result = small_study()
    ax = caar_by_label(_axes(), result)
    lines = {line.get_label(): line for line in ax.get_lines() if line.get_label() in plots.LABEL_COLOURS}
    assert list(lines) == ["misreading", "genuine", "all"]
    aar = result.tables["aar"]
    for label, group in (("misreading", "label=misreading"), ("all", "all")):
        rows = aar[aar["group"] == group]
        np.testing.assert_array_equal(lines[label].get_xdata(), rows["tau"])
        np.testing.assert_array_equal(lines[label].get_ydata(), rows["caar"])


def test_caar_band_is_drawn_only_where_there_is_one() -> None:
    result = small_study()
    bands = caar_by_label(_axes(), result).collections
    assert len(bands) == 2  # misreading and all; one date of genuine news gives no band
    rows = result.tables["aar"].query("group == 'label=misreading'")
    drawn = bands[0].get_paths()[0].vertices
    assert drawn[:, 1].min() == rows["lower"].min()
    assert drawn[:, 1].max() == rows["upper"].max()


def test_caar_names_each_line_with_its_own_n_and_k() -> None:
    ax = caar_by_label(_axes(), small_study())
    texts = [text.get_text() for text in ax.texts]
    assert "misreading (n 8, K 2)" in texts
    assert "genuine (n 4, K 1)" in texts


def test_line_names_keep_apart_where_the_lines_end_together() -> None:
    result = small_study()
    aar = result.to_frame("aar")
    aar["caar"] = np.where(aar["tau"] == 20, 0.01, aar["caar"])
    ax = caar_by_label(_axes(), _with_table(result, "aar", aar))
    heights = sorted(text.get_position()[1] for text in ax.texts if "(n " in text.get_text())
    (low, high), tall = ax.get_ylim(), ax.get_position().height * ax.figure.get_figheight()
    # In inches: type of 6.5 points is 0.09 inch tall.
    assert np.diff(heights).min() / (high - low) * tall >= 0.12


def test_bars_are_sorted_cars_with_their_errors_and_names() -> None:
    result = small_study()
    ax = event_bars(_axes(), result, "LITE26")
    car = result.tables["car"].query("shock_id == 'LITE26' and window == '[0,1]'").sort_values("car")
    assert [bar.get_width() for bar in ax.patches[:4]] == car["car"].tolist()
    names = [text.get_text() for text in ax.texts]
    assert [name.split()[-1] for name in names] == car["ticker"].tolist()
    assert "Lumentum LITE" in names
    whiskers = ax.collections[0].get_segments()
    first = car.iloc[0]
    assert whiskers[0][0][0] == pytest.approx(first["car"] - 1.96 * first["se"])
    assert whiskers[0][1][0] == pytest.approx(first["car"] + 1.96 * first["se"])


def test_bars_take_the_colour_of_the_region() -> None:
    result = small_study()
    ax = event_bars(_axes(), result, "GTC25")
    car = result.tables["car"].query("shock_id == 'GTC25' and window == '[0,1]'").sort_values("car")
    expected = [plots.REGION_COLOURS[REGIONS[PEERS[ticker][0]]] for ticker in car["ticker"]]
    from matplotlib.colors import to_hex

    assert [to_hex(bar.get_facecolor()).upper() for bar in ax.patches[:4]] == expected


def test_a_peer_of_two_events_of_one_shock_is_drawn_once_with_the_first() -> None:
    result = small_study()
    answer = {"event_id": "LITE26-C", "car": 0.5}
    car = result.tables["car"].query("shock_id == 'LITE26' and ticker == 'LITE'").assign(**answer)
    daily = result.tables["abnormal_returns"].query("shock_id == 'LITE26' and ticker == 'LITE'")
    daily = daily.assign(event_id="LITE26-C", session="2026-03-01")
    result = _with_table(result, "car", pd.concat([result.tables["car"], car]))
    result = _with_table(result, "abnormal_returns", pd.concat([daily, result.tables["abnormal_returns"]]))
    ax = event_bars(_axes(), result, "LITE26")
    assert len(ax.texts) == 4
    assert max(bar.get_width() for bar in ax.patches[:4]) < 0.5


def test_dots_hold_drop_and_post_by_date_and_are_hollow_where_the_drop_failed() -> None:
    result = small_study()
    ax = shock_dots(_axes(), result)
    assert [text.get_text() for text in ax.texts] == [f"{name} {day}" for name, (day, *_) in SHOCKS.items()]
    assert [text.get_color() for text in ax.texts] == [plots.LABEL_COLOURS[label] for _, label, *_ in SHOCKS.values()]
    shocks = result.tables["shocks"].set_index(["shock_id", "window"])
    dots = [line for line in ax.get_lines() if line.get_marker() in ("o", "D")]
    drawn = [(dot.get_marker(), float(dot.get_xdata()[0]), dot.get_markerfacecolor()) for dot in dots]
    for place, (shock_id, (_, label, *_)) in enumerate(SHOCKS.items()):
        fill = "white" if shock_id == "SA26" else plots.LABEL_COLOURS[label]
        assert drawn[2 * place] == ("o", shocks.at[(shock_id, "[0,1]"), "car"], fill)
        assert drawn[2 * place + 1] == ("D", shocks.at[(shock_id, "[2,20]"), "car"], fill)


def test_path_is_the_mean_of_the_peers_and_marks_locked_and_missing_days() -> None:
    result = small_study()
    every = result.to_frame("abnormal_returns")
    lost = (every["event_id"] == "SA26") & (every["ticker"] == "AAOI") & (every["tau"] == 5)
    every = every.assign(ar=every["ar"].mask(lost), flags=every["flags"].mask(lost, "missing"))
    ax = shock_path(_axes(), _with_table(result, "abnormal_returns", every), "SA26")
    daily = every.query("event_id == 'SA26'")
    mean = next(line for line in ax.get_lines() if line.get_label() == "mean")
    expected = daily.groupby("tau")["ar"].mean().cumsum()
    np.testing.assert_allclose(mean.get_ydata(), expected, rtol=1e-12)
    marks = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in marks] == [[5]]


def test_caption_says_n_dates_windows_model_and_data_date() -> None:
    result = small_study()
    text = plots.caption(result, plots.Plot("caar_by_label", "caar_by_label"))
    assert text == (
        "n = 16 firm-events, K = 3 dates · estimation [-250,-11], event [-10,20] · market model, "
        f"alpha auto · simple returns · data to {result.facts['data_date']}"
    )


@pytest.mark.parametrize("plot", plots.plots_of(small_study()), ids=lambda plot: plot.name)
def test_watermark_is_on_every_simulated_figure_and_on_no_other(plot: plots.Plot) -> None:
    assert "SIMULATED" in _texts(plots.draw(changed(small_study(), facts={"simulated": True}), plot))
    assert "SIMULATED" not in _texts(plots.draw(small_study(), plot))


def test_text_without_a_glyph_is_left_out_and_dollars_are_no_formula(tmp_path: Path) -> None:
    peers = small_study().facts["peers"]
    peers = {**peers, "LITE": {**peers["LITE"], "name": "A$x_2$ \U0001f4c9 B\n\x0bC"}}
    result = changed(small_study(), facts={"peers": peers})
    assert plots.peer_label(result, "LITE") == "A$x_2$ B C LITE"
    figure = plots.draw(result, plots.Plot("bars", "shock", "SA26"))
    (path,) = plots.save(figure, tmp_path / "bars", suffixes=("png",))  # a missing glyph would warn
    assert path.stat().st_size > 5_000


def test_local_name_shows_only_with_a_font_for_it() -> None:
    label = plots.peer_label(small_study(), "300308.SZ")
    assert label == ("InnoLight 300308.SZ" if plots.cjk_font() is None else "InnoLight 中际旭创 300308.SZ")


def test_figure_files_of_two_shocks_never_share_a_name() -> None:
    names = dict(zip(SHOCKS, ("a/b", "A b", "a_b"), strict=True))
    tables = small_study(kind="volatility").tables.items()
    renamed = {
        name: table.assign(shock_id=table["shock_id"].replace(names)) for name, table in tables if "shock_id" in table
    }
    names = [plot.name.casefold() for plot in plots.plots_of(changed(small_study(kind="volatility"), **renamed))]
    assert len(names) == len(set(names)) == 6
    assert all("/" not in name and " " not in name for name in names)


def test_png_has_300_dpi_and_no_program_name(tmp_path: Path) -> None:
    from PIL import Image

    figure = plots.draw(small_study(), plots.Plot("dots", "shock_dots"))
    png, svg = plots.save(figure, tmp_path / "dots")
    with Image.open(png) as image:
        assert [round(value) for value in image.info["dpi"]] == [300, 300]
        assert image.size == tuple(int(inches * 300) for inches in figure.get_size_inches())
        assert "Software" not in image.info
    text = svg.read_text(encoding="utf-8")
    assert "<dc:date>" not in text
    assert "<dc:creator>" not in text


def _set_texts(figure: Figure) -> list[ElementTree.Element]:
    """Return the texts of a figure's drawing; where there are none it is not what it should be."""
    root = ElementTree.fromstring(plots.svg_text(figure))  # noqa: S314
    found = list(root.iter(f"{SVG}text"))
    assert found
    return found


def test_words_of_a_drawing_are_text_in_fonts_that_other_machines_have() -> None:
    figure = plots.draw(small_study(), plots.Plot("caar_by_label", "caar_by_label"))
    said = {"".join(text.itertext()) for text in _set_texts(figure)}
    assert {text.get_text() for text in figure.texts if "\n" not in text.get_text()} <= said
    assert {text.get_text() for text in figure.axes[0].texts} <= said
    assert any("\N{MINUS SIGN}" in text for text in said)
    drawing = plots.svg_text(figure)
    assert drawing.count("font-family") == 1
    assert "font-family=\"'DejaVu Sans', Verdana, sans-serif\"" in drawing
    assert "rotate(-0" not in drawing


def test_markup_spaces_and_turned_words_stay_what_they_are() -> None:
    figure = Figure(figsize=(3, 2))
    words = ('  a <b> & "c" > d', "two\nlines", "turned")
    for place, text in enumerate(words):
        figure.text(0.1, 0.2 + 0.2 * place, text, rotation=30 if text == "turned" else 0, alpha=0.5)
    texts = _set_texts(figure)
    assert [text.text for text in texts] == [words[0], "two", "lines", "turned"]
    assert [text.get(SPACE) for text in texts] == ["preserve", None, None, None]
    assert [bool(text.get("transform") and "rotate(-30)" in text.get("transform")) for text in texts] == [
        False,
        False,
        False,
        True,
    ]
    assert all("opacity: 0.5" in text.get("style") for text in texts)


def test_words_that_a_page_sets_itself_are_not_in_its_drawing_a_second_time() -> None:
    figure = plots.draw(small_study(), plots.Plot("bars", "shock", "GTC25"))
    whole = plots.svg_text(figure)
    cut = plots.without_words(whole, figure)
    title, caption = (next(t for t in figure.texts if t.get_gid() == name) for name in ("title", "caption"))
    for words in (title.get_text(), caption.get_text().split("\n")[0]):
        assert words in whole
        assert words not in cut
    assert whole.count("<text") == cut.count("<text") + 2 + caption.get_text().count("\n")
    assert ElementTree.fromstring(cut).tag == f"{SVG}svg"  # noqa: S314


@pytest.mark.parametrize(("align", "held"), [("left", 0.0), ("center", 0.5), ("right", 1.0)])
def test_each_script_of_a_text_has_its_font_and_its_place(align: str, held: float) -> None:
    if plots.cjk_font() is None:
        pytest.skip("no font with Chinese glyphs is installed; apt-get install fonts-wqy-zenhei brings one")
    figure = Figure(figsize=(4, 1))
    with styled():
        figure.text(0.5, 0.5, "TFC 天孚通信 300394.SZ", ha=align, fontsize=10)
    (text,) = _set_texts(figure)
    spans = list(text)
    assert [span.text for span in spans] == ["TFC ", "天孚通信 ", "300394.SZ"]
    assert [bool(span.get("font-family")) for span in spans] == [False, True, False]
    assert spans[1].get("font-family").startswith(f"'{families()[-1]}'")
    # Each run is held at its start, middle or end: its start is its x less that share of its width.
    widths = [10 * advance(span.text, "normal") for span in spans]
    starts = [float(span.get("x")) - held * width for span, width in zip(spans, widths, strict=True)]
    assert np.diff(starts) == pytest.approx(widths[:2], abs=0.02)
    assert starts[0] + held * sum(widths) == pytest.approx(144, abs=0.02)
    # Four Chinese letters are four sizes of the font wide.
    assert widths[1] == pytest.approx(40, abs=5)


def test_advance_counts_spaces_and_kerning() -> None:
    assert advance("a b", "normal") == pytest.approx(
        advance("a", "normal") + advance(" ", "normal") + advance("b", "normal"), abs=0.01
    )
    assert advance(" ", "normal") == pytest.approx(651 / 2048, abs=0.005)  # of the font's hmtx table
    assert advance("AV", "normal") < advance("A", "normal") + advance("V", "normal") - 0.03
    assert advance("abc", "bold") > advance("abc", "normal")


def test_first_figure_has_four_lines_at_most_and_the_rest_their_own() -> None:
    result = small_study()
    labels = ("misreading", "genuine", "contested", "macro", "no_news", "good_news")
    groups = [*(f"label={label}" for label in labels), "all"]
    daily = result.tables["aar"][result.tables["aar"]["group"] == "all"]
    aar = pd.concat([daily.assign(group=group) for group in groups], ignore_index=True)
    result = _with_table(result, "aar", aar)
    first, rest = (draw(_axes(), result) for draw in (caar_by_label, caar_other_labels))
    named = [{line.get_label() for line in ax.get_lines()} & set(plots.LABEL_COLOURS) for ax in (first, rest)]
    assert named == [{"misreading", "genuine", "contested", "all"}, {"macro", "no_news", "good_news"}]


def test_every_label_has_a_colour_of_its_own() -> None:
    colours = [plots.LABEL_COLOURS[label] for label in LABELS]
    assert len({*colours, plots.LABEL_COLOURS["all"]}) == len(LABELS) + 1
    assert (plots.LABEL_COLOURS["denied"], plots.LABEL_COLOURS["silent"]) == ("#882255", "#5B7F00")


def test_a_clarification_before_its_drop_does_not_stand_for_it() -> None:
    result = small_study()
    daily = result.tables["abnormal_returns"].query("event_id == 'SA26'")
    early = daily.assign(event_id="CPX26", session="2026-01-05", ar=0.5)
    result = _with_table(result, "abnormal_returns", pd.concat([result.tables["abnormal_returns"], early]))
    ax = shock_path(_axes(), result, "SA26")
    mean = next(line for line in ax.get_lines() if line.get_label() == "mean")
    np.testing.assert_allclose(mean.get_ydata(), daily.groupby("tau")["ar"].mean().cumsum(), rtol=1e-12)


def test_a_clarification_is_marked_on_the_day_it_fell_counted_from_the_drop() -> None:
    result = small_study()
    daily = result.tables["abnormal_returns"].query("shock_id == 'LITE26' and ticker == 'LITE' and tau == 3")
    row = {"event_id": "LITE26-C", "shock_id": "LITE26", "mic": "XNAS", "session": daily["session"].item()}
    alignment = pd.concat([result.tables["alignment"], pd.DataFrame([row])])
    answer = {"event_id": "LITE26-C", "clarifies": "LITE26", "flag": "SAME_SESSION"}
    result = changed(result, facts={"chronology": [answer]}, alignment=alignment)
    ax = shock_path(_axes(), result, "LITE26")
    marks = [line for line in ax.get_lines() if line.get_marker() == "^"]
    assert [list(mark.get_xdata()) for mark in marks] == [[3]]


def test_each_shock_stands_among_its_own_matched_placebos_with_its_rank() -> None:
    result = small_study()
    ax = placebo_dots(_axes(), result)
    clouds = [line for line in ax.get_lines() if line.get_marker() == "o" and len(line.get_xdata()) > 1]
    placebo = result.tables["placebo"].query("tier == 'P1'")
    for cloud, shock in zip(clouds, SHOCKS, strict=True):
        assert sorted(cloud.get_xdata()) == sorted(placebo[placebo["shock_id"] == shock]["car_post"])
    shocks = result.tables["shocks"].set_index(["shock_id", "window"])["car"]
    own = [float(line.get_xdata()[0]) for line in ax.get_lines() if line.get_marker() == "D"]
    assert own == [shocks[(name, "[2,20]")] for name in SHOCKS]
    ranked = result.tables["reversal"]
    ranks = {f"rank {row.rank:.0f} of {row.n_placebos + 1}" for row in ranked.itertuples()}
    assert len(ranks) == 3
    assert ranks <= {text.get_text() for text in ax.texts}


def test_paths_figure_holds_drops_and_placebos_and_the_first_figure_the_placebos() -> None:
    result = small_study()
    table = result.tables["reversal_paths"].query("group == 'label=misreading'")
    lines = {line.get_label(): line for line in reversal_paths(_axes(), result).get_lines()}
    for series in ("events", "placebos"):
        np.testing.assert_array_equal(lines[series].get_ydata(), table[table["series"] == series]["car"])
    first = {line.get_label(): line for line in caar_by_label(_axes(), result).get_lines()}
    np.testing.assert_array_equal(first["placebos"].get_ydata(), table[table["series"] == "placebos"]["car"])


def test_the_placebos_line_is_named_by_the_drops_it_averages_not_by_all_that_were_matched() -> None:
    """The table of matches has those of the other labels too."""
    result = small_study()
    paths = result.tables["reversal_paths"].query("group == 'label=misreading' and series == 'placebos'")["n_paths"]
    (behind,), matched = set(paths), len(read.matched_placebos(result))
    assert behind < matched
    for draw in (caar_by_label, reversal_paths):
        names = [text.get_text() for text in draw(_axes(), result).texts]
        assert any(f"m {behind}" in name for name in names), names
        assert not any(f"m {matched}" in name for name in names), names


def test_equity_is_the_return_on_the_first_days_capital_and_flat_days_are_shaded() -> None:
    result = small_study()
    ax = equity_curve(_axes(), result)
    line = next(line for line in ax.get_lines() if line.get_label() == "the rule")
    np.testing.assert_allclose(line.get_ydata(), result.tables["pnl"]["equity"] / 1_000_000 - 1, rtol=1e-12)
    assert len(ax.collections[0].get_paths()) == 3  # before, between and after the trades of two shocks
    assert sum(line.get_marker() == "^" for line in ax.get_lines()) == len(result.tables["trades"]) == 7


def test_specification_curve_is_sorted_and_marks_the_studys_own() -> None:
    ax = specification_curve(_axes(), small_study())
    dots = [line for line in ax.get_lines() if line.get_marker() in ("o", "D")]
    heights = [float(dot.get_ydata()[0]) for dot in dots]
    table = small_study().tables["specification_curve"]
    assert heights == sorted(table["estimate"])
    own = "model == 'market' and window == '[2,20]' and returns == 'simple' and alpha == 'auto'"
    own = table.query(own)["estimate"].item()
    assert [float(dot.get_ydata()[0]) for dot in dots if dot.get_marker() == "D"] == [own]


def test_every_figure_of_a_result_can_be_drawn_on_an_axes_of_the_callers() -> None:
    result = small_study()
    for name in ("caar", "dots", "placebos", "balance", "equity", "trades", "costs", "specifications"):
        ax = _axes()
        assert getattr(result.plot, name)(ax=ax) is ax
        assert ax.has_data(), name
    assert result.plot.bars("GTC25").get_xlabel() == "CAR[0,1], % (95% interval)"
    assert len(result.plot.path("GTC25").get_lines()) > 4
    assert result.plot.figure("shock_dots").get_size_inches()[0] == 3.75
    with pytest.raises(KeyError, match="there are caar_by_label"):
        result.plot.figure("nonsense")


def test_no_text_of_a_figure_leaves_it() -> None:
    for plot in plots.plots_of(small_study()):
        figure = plots.draw(small_study(), plot)
        figure.canvas.draw()
        width, height = figure.bbox.width, figure.bbox.height
        for ax in figure.axes:
            across = [label for label in ax.get_xticklabels() if _inside(label.get_position()[0], ax.get_xlim())]
            along = [label for label in ax.get_yticklabels() if _inside(label.get_position()[1], ax.get_ylim())]
            texts = [*ax.texts, *across, *along, *figure.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
            for text in texts:
                box = text.get_window_extent()
                if text.get_text() and text.get_text() != "SIMULATED":
                    said = (plot.name, text.get_text())
                    assert box.x0 >= -1, said
                    assert box.x1 <= width + 1, said
                    assert box.y0 >= -1, said
                    assert box.y1 <= height + 1, said


def _inside(place: float, ends: tuple[float, float]) -> bool:
    return min(ends) <= place <= max(ends)


def test_a_rule_that_never_traded_is_shown_beside_what_did() -> None:
    result = small_study()
    pnl = result.tables["pnl"].assign(equity=1e6, n_positions=0)
    pnl["every_drop_equity"] = 1e6 + 100.0 * np.arange(len(pnl))
    idle = replace(result, tables={**result.tables, "pnl": pnl, "trades": result.tables["trades"].iloc[:0]})
    names = [plot.name for plot in plots.plots_of(idle)]
    assert "equity_curve" in names
    assert "trade_dots" not in names
    still = pnl.assign(every_drop_equity=1e6, placebo_drops_equity=1e6)
    none = replace(idle, tables={**idle.tables, "pnl": still})
    assert "equity_curve" not in [plot.name for plot in plots.plots_of(none)]


def test_placebo_returns_are_not_drawn_over_abnormal_volume() -> None:
    result = small_study()
    volume = replace(result, facts={**result.facts, "kind": "volume"})
    drawn = [
        {str(line.get_label()) for line in plots.draw(r, plot).axes[0].lines}
        for r in (result, volume)
        for plot in plots.plots_of(r)
        if plot.kind == "caar_by_label"
    ]
    assert "placebos" in drawn[0]
    assert "placebos" not in drawn[1]
