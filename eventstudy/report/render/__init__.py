"""Outputs of a pack, one a file, which `report.output` finds; those of pages set any document."""
