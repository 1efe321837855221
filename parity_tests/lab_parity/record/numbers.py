"""Rows of plain numbers."""

from __future__ import annotations

from lab_parity.digest import digest_bytes
from lab_parity.trace import Key, Row

__all__ = ["number_row"]


def number_row(key: Key, value: float) -> Row:
    """A row that holds one number; whole numbers and others of one value are the same."""
    return Row(key, digest_bytes(float(value).hex().encode()), float(value))
