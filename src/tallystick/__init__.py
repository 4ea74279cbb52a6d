"""Tallystick: a ledger for parties who share one record and trust nobody's database."""

__version__ = "0.1.0"
