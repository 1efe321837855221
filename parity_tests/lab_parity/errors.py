"""The errors that lab_parity raises on purpose: each message says what was found and what to do."""

from __future__ import annotations


class ParityError(Exception):
    """Base of everything that lab_parity raises about a user's input; the message stands by itself."""


class TraceError(ParityError):
    """A trace file is missing, is no trace, is damaged, or is of a version that this program cannot read."""


class SiteError(ParityError):
    """An update site names something that does not exist or is not a method."""
