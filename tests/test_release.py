"""What a release needs: one version everywhere."""

from __future__ import annotations

import re
from pathlib import Path

from eventstudy import __version__

ROOT = Path(__file__).parents[1]


def test_citation_and_changelog_are_of_the_package_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [__version__]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d\S+) \((\d{4}-\d\d-\d\d)\)$", changelog, re.MULTILINE)
    assert released[0][0] == __version__
    assert re.findall(r"^date-released: (.+)$", citation, re.MULTILINE) == [released[0][1]]
