"""LM104: Lab imported at run time is refused."""

from __future__ import annotations

import pytest

from lab_migrate.convert.rules import lm104_dynamic_import as RULE  # noqa: F401


@pytest.mark.parametrize(
    "text",
    [
        "import importlib  # not legacy_lab\nimportlib.import_module('json')\n",
        "import importlib\nname = 'x'\nimportlib.import_module(name)  # legacy_lab\n",
        "print('legacy_lab')\n",
        "import legacy_lab, json\ngetattr(legacy_lab, 'load_config')\ngetattr(json, 'Trainer')\n",
    ],
)
def test_other_calls_are_no_finding(places, text: str) -> None:
    """Other modules, names that are not literal, other calls."""
    assert places(text) == []


@pytest.mark.parametrize("call", ["importlib.import_module('legacy_lab')", "__import__('legacy_lab.train.trainer')"])
def test_a_literal_import_of_lab_is_left_to_a_person(places, convert, call: str) -> None:
    """Its Trainer would go on training without Lightning."""
    text = f"import importlib\nlab = {call}\n"
    assert places(text) == [(2, "manual")]
    assert convert(text) == text


@pytest.mark.parametrize("name", ["'Trainer'", "name"])
def test_an_attribute_of_lab_that_may_be_its_trainer_is_left_to_a_person(places, convert, name: str) -> None:
    """It would go on training without Lightning, too."""
    text = f"import legacy_lab as lab\nTrainer = getattr(lab, {name})\nTrainer().train()\n"
    assert places(text) == [(2, "manual")]
    assert convert(text) == text
