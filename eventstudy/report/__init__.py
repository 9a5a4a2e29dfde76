"""The result pack: a folder with the report, the figures, the tables and the manifest."""
