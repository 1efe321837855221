"""Errors of checkpoints that a person can act on."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["CheckpointError", "UntrustedError"]


class CheckpointError(ValueError):
    """A checkpoint cannot be read, translated or written; the message says what was expected, found, and what to do."""


class UntrustedError(CheckpointError):
    """A file holds more than tensors and plain data: loading it would import and call `symbols`."""

    def __init__(self, path: object, symbols: Sequence[str]) -> None:
        self.path, self.symbols = path, tuple(symbols)
        listed = "".join(f"\n  {symbol}" for symbol in self.symbols)
        super().__init__(
            f"{path}: expected tensors and plain data, found a pickle that would also import{listed}\n"
            f"Nothing was imported. Use --objects-as-data to read these as plain data, still without importing "
            f"them, or, if you trust the file, --trust-pickle {path}"
        )
