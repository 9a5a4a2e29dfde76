"""The result pack: a folder with the report, the figures, the tables and the manifest."""

from eventstudy.report.pack import FORMATS, write_pack

__all__ = ["FORMATS", "write_pack"]
