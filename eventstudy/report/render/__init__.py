"""Outputs of a pack, one in each file; `report.output` finds them. Those for pages accept any document."""
