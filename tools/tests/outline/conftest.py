"""Small training programs of our own, run as they are and outlined, in one process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from outline_programs import PRELUDE, outlined_text, run

from lab_adapters.outlined import fits as runtime


@pytest.fixture
def same(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`same(program)`: outlined = original, bitwise, and Lightning ran it; the outlined text."""

    def check(program: str, fits: int | None = None) -> str:
        text = PRELUDE + dedent(program)
        after, codes = outlined_text(text)
        assert "LM201" in codes, codes
        counted: list[int] = []
        original = runtime._lightning

        def counting(driver: runtime.Driver, settings: dict[str, Any]) -> None:
            counted.append(1)
            original(driver, settings)

        monkeypatch.setattr(runtime, "_lightning", counting)
        before, now = run(text), run(after)
        monkeypatch.setattr(runtime, "_lightning", original)
        # Without an optimizer of torch's, its prints show the parameters.
        assert before.steps or "p.sum()" in text, before.error
        assert before.steps or before.printed
        assert now == before
        assert counted, "Lightning never ran"
        if fits is not None:
            assert len(counted) == fits
        again, _ = outlined_text(after)
        assert again == after, "outlining twice changed something"
        return after

    return check
