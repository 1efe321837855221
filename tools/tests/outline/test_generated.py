"""Generated programs: whatever nests of loops, jumps and carried names they are made of, outlined = original."""

from __future__ import annotations

import os
import re
from textwrap import indent

import attrs
import construct_programs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outline_programs import PRELUDE, Outcome, outlined_text, run

NAMES = st.sampled_from(["a", "b", "c"])
STEP = "loss = loss_of(x, y)\nloss.backward()\noptimizer.step()\noptimizer.zero_grad()\n"


@st.composite
def statements(draw: st.DrawFn, in_loop: bool, in_function: bool, depth: int = 2) -> str:
    """A few statements over three integers, with the jumps that are legal where they stand."""
    kinds = ["add", "print", "draw", "set", "annotate"]
    if in_loop:
        kinds += ["break", "continue"]
    if in_function:
        kinds += ["return", "return two"]
    if depth:
        kinds += ["if", "try", "for", "with"]
    lines = ""
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3)):
        name, other = draw(NAMES), draw(NAMES)
        inner = (
            indent(draw(statements(in_loop, in_function, depth - 1)), "    ") if kind in ("if", "try", "with") else ""
        )
        lines += {
            "add": f"{name} += {other} + 1\n",
            "set": f"{name} = {other} * 2\n",
            "annotate": f"{name}: int = ({other}, 1)[0]\n",
            "print": f"print({name!r}, {name}, [{other} + i for i in range(2)], (lambda: {name})())\n",
            "draw": f"{name} = torch.randint(0, 5, (1,)).item()\n",
            "break": f"if {name} % 5 == 3:\n    break\n",
            "continue": f"if {name} % 3 == 1:\n    continue\n",
            "return": f"if {name} % 7 == 4:\n    return\n",
            "return two": f"if {name} % 7 == 5:\n    return {name}, {other}\n",
            "if": f"if {name} > {other}:\n{inner}",
            "try": f"try:\n{inner}finally:\n    {other} += 1\n",
            "with": f"with torch.no_grad():\n{inner}",
            "for": f"for {name} in range(2):\n    {other} += {name}\nelse:\n    {other} -= 1\n",
        }[kind]
    return lines


@st.composite
def programs(draw: st.DrawFn) -> str:
    """One or two loops around a step, at the top level or in a function, with statements before, inside and after."""
    in_function = draw(st.booleans())
    header = draw(
        st.sampled_from(
            [
                "for x, y in loader:\n",
                "for c, (x, y) in enumerate(loader):\n",
                "for a in range(3):\n    x, y = data[a * 4 : a * 4 + 4]\n",
                # A counter of its own: what the statements do to the other names might never end.
                "while n < 6:\n    n += 1\n    x, y = data[n : n + 4]\n",
            ]
        )
    )
    body = draw(statements(True, in_function)) + STEP + draw(statements(True, in_function))
    loop = header + indent(body, "    ")
    if draw(st.booleans()):
        loop += "else:\n" + indent(draw(statements(False, in_function)), "    ")
    if draw(st.booleans()):
        before, after = draw(statements(True, in_function, 1)), draw(statements(True, in_function, 1))
        loop = "for b in range(2):\n" + indent(before + loop + after, "    ")
    text = f"a = b = c = 1\nn = 0\n{loop}print(a, b, c, n)\n"
    if in_function:
        text = "def main():\n" + indent(text, "    ") + "    return a\nprint(main())\n"
    return text


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_outlined_equals_original(program: str) -> None:
    """Prints, parameters after every optimizer step, generators and errors, bit by bit."""
    text = PRELUDE + program
    after, codes = outlined_text(text)
    assert "LM201" in codes, codes
    assert run(after) == run(text), after
    assert outlined_text(after)[0] == after


def compared(outcome: Outcome) -> Outcome:
    """With one word for a local and for a captured name that has no value: the body's names may be the latter."""
    return attrs.evolve(
        outcome,
        printed=outcome.printed.replace("UnboundLocalError", "NameError"),
        error=re.sub(r"^(?:UnboundLocalError|NameError): [^']*'(\w+)'.*", r"NameError: \1", outcome.error),
    )


@settings(
    max_examples=int(os.environ.get("LAB_MIGRATE_GENERATED", "25")), deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(construct_programs.programs())
@pytest.mark.filterwarnings("ignore")
def test_whatever_stands_around_and_inside_outlined_equals_original(program: str) -> None:
    """Constructs of real code, at every place; LAB_MIGRATE_GENERATED=1000 for more of them."""
    text = PRELUDE + program
    try:
        compile(text, "train.py", "exec")
    except SyntaxError:
        return  # a name that is annotated where it is claimed
    after, codes = outlined_text(text)
    assert "LM201" in codes, codes
    assert compared(run(after)) == compared(run(text)), after
    assert outlined_text(after)[0] == after
