"""Errors that a person can act on, and where the command turns them into one message."""

from __future__ import annotations


class UsageError(Exception):
    """The command cannot do what it was asked; the message says what was expected, what was found, what to do."""
