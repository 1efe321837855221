"""Names that no attribute can take the place of: of caught errors, of patterns, of imports and definitions."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent

import pytest
from idiomatic_programs import program, rewritten

Same = Callable[..., str]
BODY = """\
def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(data, batch_size=4, shuffle=True)
    n, last = 0, None
    for epoch in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
{batch}
        print(n, last)
    print(n)


main()
"""

KEPT = {
    "a caught error": "try:\n    n += 1\n    1 / (n % 3)\n"
    "except (ZeroDivisionError, KeyError) as error:\n    print(error, n)\n",
    "a captured pattern": "n += 1\nmatch n % 4:\n    case 0:\n        n += 1\n"
    "    case other if other > 1:\n        print(other)\n",
    "a captured rest": "n += 1\nmatch [n, 1, 2]:\n    case [first, *rest] if first % 2:\n        n += len(rest)\n"
    "match {'n': n, 'm': 1}:\n    case {'n': int(found), **others}:\n        print(found, others)\n",
    "a name that is deleted after the step": "gone = n\nprint(loss.item())\ndel gone\nn += 1\n",
    "an import and a definition": "from math import sqrt\ndef more(by):\n    return by + 1\nn = more(n) + sqrt(4)\n",
}

REFUSED = {
    "a caught error by the name of a counter": "try:\n    n += 1\nexcept ValueError as last:\n    pass\n",
    "a pattern that binds a counter": "match [n, 1]:\n    case [0, last]:\n        n += 1\n",
    "a rest that is read by the epoch": "match [n, 1]:\n    case [0, *last]:\n        n += 1\n",
    "an import that the epoch reads": "import math as last\nn += 1\n",
    "a class that binds a counter for itself": "class Same:\n    n = n + 1\nn += Same.n\n",
    "a function that the epoch reads": "def last():\n    return 1\nn += 1\n",
}


@pytest.mark.parametrize("name", KEPT)
def test_a_name_of_one_batch_stays_a_name(same: Same, name: str) -> None:
    """It was written as an attribute that nothing had assigned: an error where the handler first ran."""
    after = same(BODY.format(batch=indent(KEPT[name], " " * 12)))
    assert "class LitNet" in after


@pytest.mark.parametrize("name", REFUSED)
def test_one_that_outlives_its_batch_is_refused(name: str) -> None:
    """With the way out; the faithful way keeps it."""
    text = program(BODY.format(batch=indent(REFUSED[name], " " * 12)))
    after = rewritten(text)
    assert after.text == text
    assert after.codes == ("LM305",)
    assert "what binds it cannot bind an attribute" in after.messages[0]
    assert "outlined.fit" in rewritten(text, tier="auto").text


def test_a_function_of_the_loop_that_sees_a_later_value_is_refused() -> None:
    """As attributes its names would keep the value that they had in the loop."""
    body = BODY.replace("    print(n)\n", "    wide = 3\n    print(n, [one() for one in kept])\n")
    body = body.replace("    n, last = 0, None\n", "    n, last, wide, kept = 0, None, 2, []\n")
    text = program(body.format(batch=" " * 12 + "kept.append(lambda: wide)\n"))
    after = rewritten(text)
    assert after.text == text
    assert "reads wide, which changes after it" in after.messages[0]


def test_a_batch_of_that_name_outlives_its_hook(same: Same) -> None:
    """What a script calls `batch`, and reads after the epoch: the hook's parameter of that name is not enough."""
    same("""
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(2):
    for batch in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
    print(epoch, len(batch), batch[0].sum().item())
""")
