"""Figures: what they draw is what the tables hold, and nothing unreadable gets on them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from small_study import changed, small_study

from eventstudy import plots
from eventstudy.plots.fonts import advance, families
from eventstudy.plots.kinds import KINDS, Frame, Kind
from eventstudy.plots.style import styled

SVG, SPACE = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/XML/1998/namespace}space"


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


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
    figure = plots.draw(result, plots.Plot("heatmap", "heatmap"))
    (path,) = plots.save(figure, tmp_path / "bars", suffixes=("png",))  # a missing glyph would warn
    assert path.stat().st_size > 5_000


def test_local_name_shows_only_with_a_font_for_it() -> None:
    label = plots.peer_label(small_study(), "300308.SZ")
    assert label == ("InnoLight 300308.SZ" if plots.cjk_font() is None else "InnoLight 中际旭创 300308.SZ")


def test_figure_files_of_two_shocks_never_share_a_name() -> None:
    names = ("a/b", "A b", "a_b")
    frame = Frame(width=2.0, height=1.0, left=0.1, right=0.1, bottom=0.1, top=0.1)
    KINDS["by_shock"] = Kind("by_shock", 1, lambda _: names, lambda *_: frame, lambda ax, *_: ax, lambda *_: (1, 1))
    try:
        files = [plot.name.casefold() for plot in plots.plots_of(small_study()) if plot.kind == "by_shock"]
    finally:
        KINDS.pop("by_shock")
    assert len(files) == len(set(files)) == 3
    assert all("/" not in name and " " not in name for name in files)


def test_png_has_300_dpi_and_no_program_name(tmp_path: Path) -> None:
    from PIL import Image

    figure = plots.draw(small_study(), plots.Plot("forest", "forest"))
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
    figure = plots.draw(small_study(), plots.Plot("heatmap", "heatmap"))
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
