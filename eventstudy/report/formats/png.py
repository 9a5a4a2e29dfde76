"""figures/*.png beside the SVG files."""

from __future__ import annotations

from eventstudy.report.output import Material, output
from eventstudy.report.raster import write_pngs


@output("png", place=30, images=True, says="images")
def write(material: Material) -> None:
    """Write the images; Typst has threads of its own, so this is done in no forked child."""
    write_pngs([plot.name for plot in material.drawn], material.folder / "figures")
