"""A strategy of training programs out of what real code has around, in and after its loops, beside loops and jumps."""

# ruff: noqa: E501

from __future__ import annotations

from textwrap import dedent, indent

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c"])

#: What a program has besides the models: an object, lists, a generator, context managers, a counter of the module.
SETUP = """\
import contextlib
import itertools
class Box:
    total = 0
    def __init__(self, start):
        self.n = start
        self.item = None
    def __enter__(self):
        self.n += 1
        return self.n
    def __exit__(self, kind, error, trace):
        print("left", self.n, kind.__name__ if kind else None)
        return kind is ValueError
class Sure(Exception):
    pass
def logged(function):
    def run(*args):
        print("in")
        try:
            return function(*args)
        finally:
            print("out")
    return run
def feed():
    try:
        for i, pair in enumerate(loader):
            yield i, pair
    finally:
        print("fed")
count = 0
def counted():
    global count
    count += 1
    return count
box = Box(1)
log = [1, 2, 3]
later = []
"""

#: Constructs over integers `{p}` and `{q}`; `{inner}` is a suite, `{scope}` the word for names of the scope around.
PLAIN = {
    "add": "{p} += {q} + 1",
    "print": "print({p!r}, {p})",
    "draw": "{p} = torch.randint(0, 5, (1,)).item()",
    "walrus": "if ({p} := {q} + 1) % 2:\n    {q} += {p}",
    "walrus in a comprehension": "{p} = len([{q} := i for i in range(3)])",
    "nested function": "def bump(by=1):\n    {scope} {p}\n    {p} += by + {q}\n    return {p}\nbump()",
    "function kept": "def kept(i={p}):\n    return i + {q}\nlater.append(kept)",
    "lambda kept": "later.append(lambda: {p} * 10 + {q})",
    "lambda with a default": "later.append(lambda i={p}: i)",
    "generator kept": "late = ({p} + i for i in range(2))\n{p} += 1\nprint(sum(late))",
    "generator function": "def two():\n    yield {p}\n    yield {q}\nprint(list(two()))",
    "shadow": "print([{p} for {p} in range(2)], {{{q}: 1 for {q} in range(2)}})",
    "nested comprehension": "{p} = sum(i * j + {q} for i in range(2) for j in range(i + 1))",
    "del": "gone = {p}\ndel gone\n{p} += 1",
    "del and again": "{p}, held = {q}, {p}\ndel {p}\n{p} = held + 1",
    "attribute": "box.n += {p}\n{q} = box.n % 100",
    "new attribute": "box.last, log[0] = {p} % 100, {q}",
    "subscript": "log[{p} % 3] += {q}\n{q} = log[1] % 50",
    "class attribute": "Box.total += {p}\n{q} = Box.total % 50",
    "star": "{p}, *more = [{q}, 1, {p}]\n{q} = sum(more)",
    "swap": "{p}, {q} = {q}, {p}",
    "chain": "{p} = last = {q} + 1",
    "global counter": "{p} = counted()",
    "global": "import builtins as made\n{p} = made.len(log)",
    "class": "class Made:\n    k = {p}\n    def f(self):\n        return {q} + self.k\n{q} = Made().f()",
    "class that rebinds": "class Same:\n    {p} = {p} + 1\nprint(Same.{p})",
    "match": "match {p} % 3:\n    case 0:\n        {q} += 1\n    case other if other > 1:\n        {q} -= other",
    "match sequence": "match [{p}, {q}]:\n    case [{q}, *tail]:\n        print(tail)",
    "raise": "if {p} % 11 == 7:\n    raise Sure({q})",
    "raise value": "if {p} % 5 == 4:\n    raise ValueError({q})",
    "assert": "assert {p} % 13 != 12, {q}",
    "text": "print(f'{{{p}:>3}} {{{q}!r}}')",
    "loop over an attribute": "for box.item in range(2):\n    {p} += box.item",
    "loop over an entry": "for log[2] in range(2):\n    {p} += log[2]",
    "inner while": "turns = 0\nwhile turns < 2:\n    turns += 1\n    if {p} % 4 == 1:\n        break\nelse:\n    {q} += 1",
    "state of the optimizer": "{p} += len(optimizer.state)\noptimizer.param_groups[0]['lr'] *= 0.9",
    "seen batch": "seen = x.shape[0]\n{p} += seen",
    "batch rebound": "x = x * 0.5\n{p} += 1",
    "annotated": "{p}: int = {q} + 1",
    "mode": "model.train({p} % 2 == 0)",
}  # fmt: skip
AROUND = {
    "if": "if {p} > {q}:\n{inner}else:\n    {q} += 1\n",
    "finally": "try:\n{inner}finally:\n    {q} += 1\n",
    "caught": "try:\n{inner}    if {p} % 2:\n        raise ValueError({q})\nexcept ValueError as error:\n"
    "    {q} += len(error.args)\nelse:\n    {p} += 2\n",
    "caught group": "try:\n{inner}    raise ExceptionGroup('two', [ValueError({p})])\nexcept* ValueError as many:\n"
    "    {q} += len(many.exceptions)\n",
    "suppressed": "with contextlib.suppress(ValueError):\n{inner}    if {p} % 2:\n        raise ValueError\n    {q} += 1\n",
    "suppressed by the program's own": "with box as {q}:\n{inner}    {p} += 1\n",
    "bound and lost": "with box:\n    if {q} % 2:\n        raise ValueError\n    fresh = {p}\n    {inner_line}\n    {q} += fresh\n",
    "no grad": "with torch.no_grad(), box as {p}:\n{inner}",
    "for": "for {p} in range(2):\n    {q} += {p}\n{inner}else:\n    {q} -= 1\n",
}  # fmt: skip
JUMPS = {"break": "if {p} % 5 == 3:\n    break", "continue": "if {p} % 3 == 1:\n    continue"}
RETURNS = {
    "return": "if {p} % 7 == 4:\n    return",
    "return two": "if {p} % 7 == 5:\n    return {p}, {q}",
}

STEPS = [
    "loss = loss_of(x, y)\nloss.backward()\noptimizer.step()\noptimizer.zero_grad()",
    "optimizer.zero_grad()\nloss = loss_of(x, y)\nloss.backward()\ntry:\n    if a % 4 == 2:\n        raise Sure(a)\n"
    "    optimizer.step()\nexcept Sure:\n    b += 1\nelse:\n    c += 1",
    "loss = loss_of(x, y)\nif (value := loss.item()) > 0.5:\n    loss.backward()\n    optimizer.step()\n"
    "optimizer.zero_grad()",
    "def go():\n    loss = loss_of(x, y)\n    loss.backward()\n    return loss\noptimizer.zero_grad()\nloss = go()\n"
    "optimizer.step()",
    "with torch.enable_grad(), box as a:\n    loss = loss_of(x, y)\n    loss.backward()\n    optimizer.step()\n"
    "    optimizer.zero_grad()",
    "loss = sum(loss_of(x[i : i + 1], y[i : i + 1]) for i in range(len(x)))\nloss.backward()\noptimizer.step()\n"
    "optimizer.zero_grad()",
    "(loss := loss_of(x, y)).backward(); optimizer.step(); optimizer.zero_grad()",
]  # fmt: skip
HEADERS = [
    "for x, y in loader:\n",
    "for c, (x, y) in enumerate(loader, start=a):\n",
    "for b, pair in feed():\n    x, y = pair\n",
    "for (x, y), c in zip(loader, itertools.count()):\n",
    "for a, *rest in enumerate(loader):\n    [(x, y)] = rest\n",
    "for box.item in loader:\n    x, y = box.item\n",
    "for log[1], (x, y) in enumerate(loader):\n",
    "for x, y in [pair for pair in loader][:4]:\n",
    "for x, y in (it := iter(loader)):\n",
    "for n, [x, y] in list(enumerate(loader))[::-1]:\n",
    "while (n := n + 1) < 6:\n    x, y = data[n : n + 4]\n",
    "while True:\n    n += 1\n    if n > 5:\n        break\n    x, y = data[n : n + 4]\n",
    "while n < 5 and not (a > 90 and b > 90):\n    n += 1\n    x, y = data[n : n + 4]\n",
]  # fmt: skip
#: What stands around the whole nest, and what the nest stands in.
WHOLE = {
    "nothing": "{nest}",
    "finally": "try:\n{inner}finally:\n    print('done', a, b, c)\n",
    "caught": "try:\n{inner}except (Sure, ValueError) as error:\n    print('caught', error)\n",
    "with": "with box as b, contextlib.ExitStack() as stack:\n    stack.callback(print, 'stack')\n{inner}",
    "condition": "if a:\n{inner}else:\n    x, y = data[:4]\n",
    "asked by name": "{nest}print(sorted(name for name, one in locals().items() if isinstance(one, int)))\n",
    "evaluated": "{nest}print(eval('a + b'), 'seen' in dir(), 'made' in vars())\n",
    "twice": "{nest}print('between', a, b, c)\nn = 0\n{nest}",
}  # fmt: skip
PLACES = {
    "module": "{nest}print(a, b, c, n, [f() for f in later])\n",
    "function": "def main():\n    a = b = c = 1\n    n = 0\n{inner}    print(n, [f() for f in later])\n    return a, b, c\n"
    "print(main())\n",
    "decorated": "@logged\ndef main(a=1, b=1, *, c=1, n=0):\n{inner}    print([f() for f in later])\n    return a, b, c\n"
    "print(main())\n",
    "method": "class Trainer(Box):\n    def main(self, a, b, c, n):\n{deep}        print(self.n, [f() for f in later])\n"
    "        return a, b, c\nprint(Trainer(2).main(1, 1, 1, 0))\n",
    "nested": "def outer():\n    a = b = c = 1\n    def main(n):\n        nonlocal a, b, c\n{deep}        return n\n"
    "    print(main(0), a, b, c, [f() for f in later])\nouter()\n",
    "globals": "def main(n):\n    global a, b, c\n{inner}    return n\nprint(main(0), a, b, c, [f() for f in later])\n",
    "classmethod": "class Trainer:\n    @staticmethod\n    def main(a, b, c, n):\n{deep}        return a, b, c\n"
    "result = Trainer.main(1, 1, 1, 0)\nprint(result, [f() for f in later])\n",
}  # fmt: skip
#: How names of the scope around are claimed by a function inside, by place.
_SCOPES = {"module": "global", "globals": "global"}


def _filled(pattern: str, p: str, q: str, scope: str, inner: str = "") -> str:
    line = inner.strip().splitlines()[0] if inner.strip() else "pass"
    simple = line if not line.endswith(":") and "'''" not in line else "pass"
    return pattern.format(p=p, q=q, scope=scope, inner=inner, inner_line=simple)


@st.composite
def statements(draw: st.DrawFn, scope: str, jumps: bool, returns: bool, depth: int = 2) -> str:
    """One to four statements over three integers, with the jumps that are legal where they stand."""
    kinds = {**PLAIN, **(JUMPS if jumps else {}), **(RETURNS if returns else {}), **(AROUND if depth else {})}
    text = ""
    for kind in draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=4)):
        p = draw(NAMES)
        q = draw(NAMES.filter(lambda name, p=p: name != p))
        inner = ""
        if kind in AROUND:
            # `break` and the like may not stand in `except*`'s own suites, but may in its `try`.
            inner = indent(draw(statements(scope, jumps, returns, depth - 1)), "    ")
        text += _filled(kinds[kind], p, q, scope, inner).rstrip("\n") + "\n"
    return text


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A nest of loops around a step somewhere in a program, once or twice, with constructs everywhere."""
    place = draw(st.sampled_from(sorted(PLACES)))
    scope = _SCOPES.get(place, "nonlocal")
    returns = place != "module"
    parts = st.just("") | statements(scope, True, returns)
    body = draw(parts) + draw(st.sampled_from(STEPS)) + "\n" + draw(parts)
    nest = draw(st.sampled_from(HEADERS)) + indent(body, "    ")
    if draw(st.booleans()):
        nest += "else:\n" + indent(draw(statements(scope, False, returns)), "    ")
    if draw(st.booleans()):
        head = draw(
            st.sampled_from(
                ["for epoch in range(2):\n", "for b in (2, 0):\n", "for epoch, later2 in enumerate('ab'):\n"]
            )
        )
        nest = head + indent(draw(parts) + "n = 0\n" + nest + draw(parts), "    ")
        if draw(st.booleans()):
            nest += "else:\n" + indent(draw(statements(scope, False, returns, 1)), "    ")
    around = WHOLE[draw(st.sampled_from(sorted(WHOLE)))]
    nest = around.format(nest=nest, inner=indent(nest, "    "))
    text = PLACES[place].format(nest=nest, inner=indent(nest, "    "), deep=indent(nest, "        "))
    return dedent(SETUP) + "a = b = c = 1\nn = 0\n" + text
