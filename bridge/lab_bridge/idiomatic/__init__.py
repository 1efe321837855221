"""Whether Lightning's own loop can train a Lab project bitwise: what the project takes for granted, and the rules."""

from lab_bridge.idiomatic.rule import NotIdiomaticError, Objection, kept, objections
from lab_bridge.idiomatic.semantics import Semantics

__all__ = ["NotIdiomaticError", "Objection", "Semantics", "kept", "objections"]
