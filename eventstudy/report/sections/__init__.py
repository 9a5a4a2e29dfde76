"""The sections of pages, each made by a function of a result; `report.pages` puts those of a study in order."""
