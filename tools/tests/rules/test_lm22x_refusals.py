"""LM221 to LM226, LM230: loops that cannot be outlined are left as they are, with the line and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.convert import convert_project
from lab_migrate.findings import Status

Make = Callable[[Mapping[str, str]], Path]
STEP = "loss = model(x).mean()\n{0}loss.backward()\n{0}optimizer.step()\n{0}"

REFUSED = {
    "LM221": ("async def main():\n    async for x in loader:\n        " + STEP.format(" " * 8) + "pass\n", 2),
    "LM222": ("class Job:\n    for x in loader:\n        " + STEP.format(" " * 8) + "pass\n", 2),
    "LM223": ("def main():\n    for x in loader:\n        " + STEP.format(" " * 8) + "yield loss\n", 6),
    "LM224": ("def main():\n    for x in loader:\n        " + STEP.format(" " * 8) + "exec('a = 1')\n", 6),
    "LM225": ("for x in loader:\n    " + STEP.format(" " * 4) + "from math import *\n", 5),
    "LM226": (
        "class T(B):\n    def run(self):\n        for x in loader:\n            "
        + STEP.format(" " * 12) + "print(f'{super().name}')\n", 7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSED)
def test_it_is_refused_at_its_line_and_nothing_is_changed(project: Make, code: str) -> None:
    """Code, line, next step; exit status says that a person is needed."""
    text, line = REFUSED[code]
    conversion = convert_project(project({"train.py": text}))
    (finding,) = [finding for finding in conversion.findings if finding.code == code]
    assert (finding.path, finding.line, finding.status) == ("train.py", line, Status.UNSUPPORTED)
    assert finding.next_step
    assert conversion.changes == ()
    assert conversion.needs_hand


def test_an_update_by_hand_is_outlined_and_said(project: Make) -> None:
    """No optimizer that Lightning could count: iterations are, which is for a person to know."""
    text = "for x in loader:\n    model(x).mean().backward()\n    for p in ps:\n        p.data.add_(p.grad, alpha=-1)\n"
    conversion = convert_project(project({"train.py": text}))
    assert [(finding.code, finding.status) for finding in conversion.findings] == [
        ("LM201", Status.SAFE), ("LM230", Status.REVIEW),
    ]  # fmt: skip
    assert "train.py:4" in conversion.findings[1].message


def test_a_handler_that_waits_for_a_local_without_a_value_is_refused(project: Make) -> None:
    """What the body reads before it is assigned is a NameError there, which is caught as such."""
    text = (
        "def main():\n    try:\n        for x in loader:\n            "
        + STEP.format(" " * 12) + "best = min(best, loss)\n    except {}:\n        best = 0\n    return best\n"
    )  # fmt: skip
    local = convert_project(project({"train.py": text.format("(UnboundLocalError, KeyError)")}))
    assert [(finding.code, finding.line) for finding in local.findings] == [("LM224", 8)]
    assert local.changes == ()
    assert len(convert_project(project({"train.py": text.format("NameError")})).changes) == 1


@pytest.mark.parametrize(
    "line", ["vars(args)", "def inner():\n        yield 1", "print(f'{loss}')", "import math", "self.exec()"]
)
def test_what_only_resembles_a_reason_is_converted(project: Make, line: str) -> None:
    """Generators inside, attributes of the same name, `vars` of an object."""
    text = "for x in loader:\n    " + STEP.format(" " * 4) + line + "\n"
    conversion = convert_project(project({"train.py": text}))
    assert [finding.code for finding in conversion.findings] == ["LM201"]
    assert len(conversion.changes) == 1


@pytest.mark.parametrize(
    "own", ["def eval(x):\n    pass\n", "from test import eval\n", "eval = model.eval\n", "import our.eval as eval\n"]
)
def test_a_function_of_the_files_own_with_the_name_of_a_builtin_is_called_as_ever(project: Make, own: str) -> None:
    """Many a training calls its own `eval(model, loader)`, above or below it."""
    text = "{0}def main():\n    for x in loader:\n        " + STEP.format(" " * 8) + "eval(x)\n{1}"
    for program in (text.format(own, ""), text.format("", own)):
        conversion = convert_project(project({"train.py": program}))
        assert [finding.code for finding in conversion.findings] == ["LM201"]
    method = text.format("class Job:\n    def eval(self):\n        pass\n", "")
    assert "LM224" in {finding.code for finding in convert_project(project({"train.py": method})).findings}


def test_other_loops_of_the_file_are_converted(project: Make) -> None:
    """A refusal concerns its own loop."""
    good = "for x in loader:\n    " + STEP.format(" " * 4) + "pass\n"
    conversion = convert_project(project({"train.py": good + REFUSED["LM224"][0]}))
    assert sorted(finding.code for finding in conversion.findings) == ["LM201", "LM224"]
    assert "exec('a = 1')\n" in conversion.changes[0].after
