"""One rule on one source: each test file sets `RULE`, the rule's module."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Proposal, Source

Propose = Callable[[str], Proposal]


@pytest.fixture
def propose(request: pytest.FixtureRequest) -> Propose:
    """What the rule proposes for a file of this text."""
    rule = request.module.RULE

    def ask(text: str) -> Proposal:
        proposal = rule.propose(Source("train.py", dedent(text)))
        assert isinstance(proposal, Proposal)
        return proposal

    return ask


@pytest.fixture
def convert(propose: Propose) -> Callable[[str], str]:
    """The text after the rule's edits, which must leave a second pass nothing to do."""

    def change(text: str) -> str:
        after = apply(dedent(text), propose(text).edits, "train.py")
        assert apply(after, propose(after).edits, "train.py") == after
        return after

    return change


@pytest.fixture
def places(propose: Propose) -> Callable[[str], list[tuple[int, str]]]:
    """Line and status of each finding."""

    def find(text: str) -> list[tuple[int, str]]:
        return [(finding.line, finding.status.value) for finding in propose(text).findings]

    return find
