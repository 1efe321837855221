"""Checks that run a program both ways."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from idiomatic_programs import program, rewritten, run


@pytest.fixture
def same() -> Callable[..., str]:
    """`same(program, manual=False)`: rewritten = original, bitwise; the rewritten text."""

    def check(body: str, manual: bool = False) -> str:
        text = program(body)
        after = rewritten(text)
        assert "LM301" in after.codes, after.messages
        assert after.manual == manual, after.messages
        before, now = run(text), run(after.text)
        assert before.steps, before.error
        assert now == before, after.text
        again = rewritten(after.text)
        assert again.text == after.text, "rewriting twice changed something"
        return after.text

    return check
