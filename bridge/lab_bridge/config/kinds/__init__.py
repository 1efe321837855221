"""Configs of home-grown and other frameworks, one reader a file; the first that knows a config reads it."""

from __future__ import annotations

import attrs

from lab_bridge.config.kinds import argparse_script, executed, ml_collections, python_config, values, yacs
from lab_bridge.config.kinds.kind import Declared, Kind, Question, Reading
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem

__all__ = ["KINDS", "read_any"]

#: The most particular first.
KINDS: tuple[Kind, ...] = (argparse_script, executed, yacs, ml_collections, python_config, values)


def read_any(question: Question) -> Reading:
    """The config, by the first reader that knows it. Raises `ConfigErrors`."""
    for kind in KINDS:
        reading = kind.read(question)
        if reading is not None:
            if reading.declared is None and question.defaults:
                declared = _declared(question)
                problems = (*reading.problems, *declared.problems)
                return attrs.evolve(reading, declared=declared, problems=problems)
            return reading
    place = Place(str(question.path))
    raise ConfigErrors([Problem(place, "", "format", "expected a config, found none that any reader knows")])


def _declared(question: Question) -> Declared:
    """What the files that the user named declare. Raises `ConfigErrors`."""
    for path in question.defaults:
        for kind in KINDS:
            found = kind.declares(question, path)
            if found is not None:
                return found
    listed = ", ".join(map(str, question.defaults))
    raise ConfigErrors([Problem(Place(listed), "", "format", "expected settings with defaults, found none", "")])
