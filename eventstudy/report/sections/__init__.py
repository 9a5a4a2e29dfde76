"""The sections of pages; each is a function of a result, and `report.pages` orders those of a study."""
