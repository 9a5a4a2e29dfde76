"""Hooks of mkdocs: the version on each page, and the files of the committed pack that pages link to.

Pages link to ``../results/…``, which works where the repository is read; the site has them in ``results/``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(\.\./(results/[^)#\s]+)")


def on_config(config: Any) -> Any:
    """Say in the header of each page which version it describes."""
    text = (ROOT / "eventstudy" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    config["site_name"] = f"eventstudy {found[1] if found else ''}"
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add every file of the pack that some page links to."""
    linked = {name for file in files.documentation_pages() for name in LINK.findall(file.content_string)}
    for name in sorted(linked):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point the links at the copies."""
    return LINK.sub(r"](\1", markdown)
