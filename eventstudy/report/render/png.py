"""Write figures/*.png: each SVG becomes a page of its own size, and all pages are rasterised together.

Rasterising takes a third of the time of drawing the figure again, and the PNG equals the SVG.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from eventstudy.plots import font_folders
from eventstudy.report.output import Material, output

DPI = 300
_SIZE = re.compile(r"<svg[^>]*?>")
_PAGE = """#page(width: {width}pt, height: {height}pt)[#image("{name}.svg", width: 100%)]"""


@output("png", place=30, images=True, says="images")
def write(material: Material) -> None:
    """Write the images; not in a forked child, because Typst uses threads."""
    write_pngs([plot.name for plot in material.drawn], material.folder / "figures")


def write_pngs(names: Sequence[str], folder: Path) -> None:
    """Write ``folder/<name>.png`` for each ``folder/<name>.svg``."""
    import typst

    if not names:
        return
    pages = [_page(name, folder) for name in names]
    # Typst reads only what lies beneath the source.
    source = folder / ".images.typ"
    source.write_text("\n".join(["#set page(margin: 0pt, fill: white)", *pages]), encoding="utf-8")
    try:
        made = typst.compile(
            source, root=folder, format="png", ppi=float(DPI), font_paths=font_folders(), ignore_system_fonts=True
        )
    finally:
        source.unlink()
    # Typst returns one page as bytes, several as a list.
    images: list[bytes] = made if isinstance(made, list) else [made]
    for name, image in zip(names, images, strict=True):
        (folder / f"{name}.png").write_bytes(with_dpi(image))


def with_dpi(image: bytes) -> bytes:
    """Return a PNG with its resolution, so that slides and documents show it at its intended size."""
    dots = round(DPI / 0.0254)
    kind, data = b"pHYs", struct.pack(">IIB", dots, dots, 1)
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    # The signature of 8 bytes and the header chunk of 25 come first.
    return image[:33] + chunk + image[33:]


def _page(name: str, home: Path) -> str:
    with (home / f"{name}.svg").open(encoding="utf-8") as file:
        root = _SIZE.search(file.read(2000))
    assert root is not None
    width, height = (re.search(rf'\b{side}="([\d.]+)pt"', root[0]) for side in ("width", "height"))
    assert width is not None
    assert height is not None
    return _PAGE.format(width=width[1], height=height[1], name=name)
