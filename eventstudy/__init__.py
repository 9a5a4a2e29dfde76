"""Event studies with reversal tests."""

__version__ = "0.1.0"
