"""All detectors and roles: none without its words, none without its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_migrate.scan.assumption import Detector, all_detectors
from lab_migrate.scan.role import all_roles

HERE = Path(__file__).parent


@pytest.mark.parametrize("detector", all_detectors(), ids=lambda detector: detector.name)
def test_a_detector_says_what_it_is_why_it_matters_and_what_becomes_of_it(detector: Detector) -> None:
    """A report prints all of it; a way of finding is there; its tests are beside its sisters'."""
    assert detector.title
    assert not detector.title.endswith(".")
    assert len(detector.why) > 40
    assert detector.faithful
    assert (detector.find is None) != (detector.find_in_loop is None)
    assert (HERE / "assumptions" / f"test_{detector.name.replace(' ', '_')}.py").exists()


def test_every_role_has_a_title_and_some_way_of_being_found() -> None:
    """A file without classes, builders or a function would find nothing and nobody would notice."""
    assert len(all_roles()) >= 15
    for role in all_roles():
        assert role.title
        assert role.classes or role.builders or role.find, role.name
