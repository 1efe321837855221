"""What code changes of objects and of modules by other names or elsewhere: it goes on, or is said to begin anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from idiomatic_programs import program, rewritten

PROGRAM = """\
class State:
    def __init__(self):
        self.scale, self.seen = 1.0, []


class Tempered(Net):
    def __init__(self):
        super().__init__()
        self.tau = 1.0

    def forward(self, x):
        return super().forward(x) * self.tau


def renew(state, model):
    {function}


class Watch:
    def __init__(self, model):
        self.model = model

    def renew(self):
        {hook}


class Loop:
    def __init__(self):
        self.state, self.model = State(), Tempered()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.loader = DataLoader(data, batch_size=4, shuffle=True)
        self.watch = Watch(self.model)

    def renew(self):
        {method}

    def run(self):
        for epoch in range(3):
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x), y) * self.state.scale
                loss.backward()
                self.optimizer.step()
            {line}
            print(loss.item(), self.state.scale, self.state.seen)


Loop().run()
"""
#: What calls the line: a function, a method of the loop's class, what holds the model, or nothing.
CALLS = {
    "function": "renew(self.state, self.model)",
    "method": "self.renew()",
    "hook": "self.watch.renew()",
}
KEPT = {
    "state.scale *= 0.9": ("line", "function", "method"),
    "state.scale = state.scale * 0.9": ("function", "method"),
    "state.seen.append(1)": ("line", "function", "method"),
    "model.inner.requires_grad_(False)": ("line", "function", "method", "hook"),
    "for p in model.outer.parameters(): p.requires_grad = False": ("line", "function", "method", "hook"),
}
SAID = {
    "setattr(state, 'scale', 0.9 * state.scale)": ("state (", ("function", "method")),
    "other = state; state.seen.append(1); other.scale *= 0.9": ("state (", ("line", "function", "method")),
    "model.tau *= 0.9": ("model's tau", ("function", "method", "hook")),
    "setattr(model, 'tau', 0.9 * model.tau)": ("model's tau", ("line", "function", "method", "hook")),
    "for m in model.modules(): m.p = 0.1": ("model's p", ("line", "function", "method")),
    "model.apply(lambda m: setattr(m, 'p', 0.1))": ("model's p", ("line", "function", "method")),
    "other = model; other.tau *= 0.9": ("model's tau", ("line", "function", "method")),
    "model.inner.register_forward_hook(lambda m, x, y: 0.9 * y)": ("'s hooks", ("line", "function", "method")),
    "model.norm.eval()": ("the mode of a model", ("line", "function", "method", "hook")),
}


def written(line: str, how: str) -> str:
    """The program in which a line stands there, or in what is called there."""
    own = line.replace("model", "self.model")
    lines = {"function": line, "method": own.replace("state.", "self.state.").replace("= state", "= self.state")}
    lines["hook"] = own
    lines["line"] = lines["method"] = lines["method"].replace("(state", "(self.state")
    blanks = dict.fromkeys(("function", "method", "hook"), "pass")
    return program(PROGRAM.format(**{**blanks, how: lines[how], "line": CALLS.get(how, lines["line"])}))


@pytest.mark.parametrize(("line", "how"), [(line, how) for line, ways in KEPT.items() for how in ways])
def test_it_goes_on_whoever_changes_it(line: str, how: str, resumes: Callable[..., None]) -> None:
    """Attributes of the program's own objects, and which parameters train; all but the plain lines began anew."""
    after = rewritten(written(line, how))
    assert not any("own checkpoints" in message for message in after.messages), after.messages
    resumes(after.text)


@pytest.mark.parametrize(("line", "how"), [(line, how) for line, (_, ways) in SAID.items() for how in ways])
def test_it_is_said_whoever_changes_it(line: str, how: str) -> None:
    """What no `state_dict` holds, and nothing here could keep."""
    after = rewritten(written(line, how))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert SAID[line][0] in said


def test_flags_that_inputs_and_outputs_have_are_no_models() -> None:
    """Inputs whose gradients are asked for, as a penalty does."""
    text = program(PROGRAM.format(function="pass", method="pass", hook="pass", line="pass"))
    text = text.replace("self.model(x)", "self.model(x.requires_grad_(True))")
    after = rewritten(text)
    assert "LM301" in after.codes, after.messages
    assert "requires_grad for" not in after.text
    assert 'requires_grad"]' not in after.text


MODEL = """\
class State:
    def __init__(self):
        self.n = 1.0


class Holding(Net):
    def __init__(self):
        super().__init__()
        self.state, self.history = State(), []

    def renew(self):
        {method}

    def loss(self, x, y):
        return F.cross_entropy(self(x), y) * self.state.n * (1 + len(self.history))


model = Holding()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = model.loss(x, y)
        loss.backward()
        optimizer.step()
    {line}
    print(loss.item())
"""
OWN = {
    "model.history.append(1)": "model.history (",
    "self.state.n *= 0.9": "Holding's n (",
    "self.drop.p *= 0.9": "Holding's p (",
    "setattr(self, 'n', 2.0)": "Holding's n (",
    "self.late = getattr(self, 'late', 1.0) * 0.9": "Holding.late (",
    "self.inner.register_forward_hook(lambda m, x, y: 0.9 * y)": "Holding's hooks (",
    "self.inner = nn.Linear(4, 8)": "Holding's inner (",
}


@pytest.mark.parametrize("line", OWN)
def test_what_a_model_holds_beside_its_layers_is_said(line: str) -> None:
    """Its methods, and the loop, change objects and lists of it that no `state_dict` has; it was not said."""
    is_methods = line.startswith(("self.", "setattr"))
    lines = {"method": line if is_methods else "pass", "line": "model.renew()" if is_methods else line}
    after = rewritten(program(MODEL.format(**lines)))
    (said,) = [message for message in after.messages if "own checkpoints" in message]
    assert OWN[line] in said
