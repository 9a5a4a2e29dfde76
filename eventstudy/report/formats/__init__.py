"""Outputs of a pack, one a file; `report.output` finds them."""
