"""Autocast and loss scalers that the Trainer has by itself; any other form stays as it is written."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent, indent

import pytest
from idiomatic_programs import program, rewritten, run

Same = Callable[..., str]

START = """\
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = Net().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
val_loader = DataLoader(data, batch_size=8)
"""
BFLOAT = "torch.autocast(device.type, dtype=torch.bfloat16)"
UNDER = "loss = F.cross_entropy(model(x), y)\n"
PLAIN = "loss.backward()\noptimizer.step()\n"
SCALED = "scaler.scale(loss).backward()\nscaler.step(optimizer)\nscaler.update()\n"
CLIPPED = SCALED.replace(
    "scaler.step", "scaler.unscale_(optimizer)\nnn.utils.clip_grad_norm_(model.parameters(), 0.3)\nscaler.step"
)
RIGHT = """\
right = 0
with torch.no_grad():
    for x, y in val_loader:
        x, y = x.to(device), y.to(device)
        with {}:
            out = model(x)
        right += (out.argmax(1) == y).sum().item()
print(right)
"""


def mixed(
    autocast: str = BFLOAT, under: str = UNDER, rest: str = PLAIN, start: str = "", beside: str = "", after: str = ""
) -> str:
    """Two epochs of batches under an autocast."""
    body = f"x, y = x.to(device), y.to(device)\noptimizer.zero_grad()\nwith {autocast}:\n{indent(under, '    ')}"
    body += f"{beside}{rest}print(loss.item())\n"
    return (
        f"{START}{start}for epoch in range(2):\n    model.train()\n    for i, (x, y) in enumerate(loader):\n"
        f"{indent(body, ' ' * 8)}{indent(after, ' ' * 4)}"
    )


CPU_SCALER = 'scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)\n'
HALF = "torch.autocast(device.type, dtype=torch.float16)"

TRAINERS = {
    "bfloat16": (mixed(), 'precision="bf16-mixed",'),
    "bfloat16 on CUDA, by name": (
        mixed('torch.autocast("cuda", dtype=torch.bfloat16)'),
        'precision="bf16-mixed" if device.type == "cuda" else "32-true",'),
    "where an option says so": (
        mixed("torch.amp.autocast(device.type, torch.bfloat16, enabled=amp)", start="amp = True\n"),
        'precision="bf16-mixed" if amp else "32-true",'),
    "with a validation": (mixed(after=f"model.eval()\n{RIGHT.format(BFLOAT)}"), 'precision="bf16-mixed",'),
    "a scaler of CUDA": (
        mixed('torch.autocast("cuda")', rest=SCALED, start='scaler = torch.amp.GradScaler("cuda")\n'),
        'precision="16-mixed" if device.type == "cuda" else "32-true",'),
    "a scaler with settings, and clipping": (
        mixed(HALF, rest=CLIPPED, start=CPU_SCALER),
        'plugins=[LightningEnvironment(), MixedPrecision("16-mixed", device.type, scaler=scaler)],'),
    "a scaler that is printed": (
        mixed(HALF, rest=f"{SCALED}print(scaler.get_scale())\n", start=CPU_SCALER),
        'plugins=[LightningEnvironment(), MixedPrecision("16-mixed", device.type, scaler=scaler)],'),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
@pytest.mark.parametrize(("body", "setting"), TRAINERS.values(), ids=TRAINERS)
def test_the_trainers_precision(body: str, setting: str, same: Same) -> None:
    """Forward and loss stand in `training_step` without their autocast."""
    after = same(body)
    assert f"\n    {setting}\n" in after
    assert "with torch" not in after
    assert ".scale(" not in after


KEPT = {
    "the loss stands outside": (
        mixed(under="out = model(x)\n", beside="loss = F.cross_entropy(out, y)\n"), "runs outside of it"),
    "another autocast in validation": (
        mixed(after=f"model.eval()\n{RIGHT.format('torch.autocast(device.type, torch.float16)')}"), "the validation"),
    "the model runs twice": (mixed(under=UNDER + "loss = loss + model(x).mean()\n"), "used more than once"),
    "another device": (
        mixed("torch.autocast(other, torch.bfloat16)", start='other = "cpu"\n'), "its device may not be the one"),
    "on at every other batch": (
        mixed("torch.autocast(device.type, torch.bfloat16, enabled=i % 2 == 0)"), "depends on the batch"),
    "float16 without a scaler": (mixed(HALF), "float16 without a scaler"),
    "a model made by something unknown": (
        mixed().replace("Net().to", "(lambda: Net())().to"), "cannot be told"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), KEPT.values(), ids=KEPT)
def test_autocast_stays_in_training_step(body: str, reason: str, same: Same) -> None:
    """Under automatic optimization all the same; a finding says why."""
    after = same(body)
    assert "with torch.autocast(" in after
    assert "precision=" not in after
    assert any("autocast stays" in message and reason in message for message in rewritten(program(body)).messages)


VERBATIM = {
    "gradients are clipped scaled": mixed(
        HALF, rest=CLIPPED.replace("scaler.unscale_(optimizer)\n", ""), start=CPU_SCALER),
    "a scaler beside bfloat16": mixed(rest=SCALED, start=CPU_SCALER),
    "the backward pass stands under it": mixed(under=UNDER + "loss.backward()\n", rest="optimizer.step()\n"),
    "the scaler is updated now and then": mixed(
        HALF, rest=SCALED.replace("scaler.update()", "if i >= 0:\n    scaler.update()"), start=CPU_SCALER),
}  # fmt: skip


@pytest.mark.parametrize("body", VERBATIM.values(), ids=VERBATIM)
def test_another_form_stays_verbatim(body: str, same: Same) -> None:
    """Under manual optimization."""
    assert "precision=" not in same(body, manual=True)


MODELS = {
    "tied weights": """
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(4, 2)

            def forward(self, x):
                return F.linear(self.inner(x), self.inner.weight.T)[:, :2]
    """,
    "a layer in a loop": """
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 2)

            def forward(self, x):
                for _ in range(3):
                    x = self.inner(x)
                return self.outer(x)
    """,
    "a method that is called twice": """
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(4, 4)

            def one(self, x):
                return self.inner(x)

            def forward(self, x):
                return self.one(torch.relu(self.one(x)))
    """,
    "a recurrent layer": """
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.GRU(4, 2)  # an LSTM in bf16 needs another CPU than some

            def forward(self, x):
                return self.inner(x)[0]
    """,
    "layers that come from outside": """
        class Tied(nn.Module):
            def __init__(self, inner=nn.Linear(4, 4)):
                super().__init__()
                self.inner = inner

            def forward(self, x):
                return self.inner(x)
    """,
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_weight_that_is_used_twice_keeps_torchs_cache(model: str, same: Same) -> None:
    """Lightning's autocast gives such a weight other gradients."""
    assert "with torch.autocast(" in same(dedent(model) + mixed().replace("Net()", "Tied()"))


def test_layers_that_are_used_once_each(same: Same) -> None:
    """In containers, in a loop over them, in modules of the project inside others."""
    model = """
        class Part(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4))])

            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x

        class Whole(nn.Module):
            def __init__(self, width=4):
                super().__init__()
                self.width = width
                self.part = Part()
                self.scale = nn.Parameter(torch.ones(width))
                self.outer = nn.Linear(self.width, 2)

            def forward(self, x):
                x = x.view(len(x), self.width)
                return self.outer(self.part(x) * self.scale).view(len(x), 2)
    """
    assert 'precision="bf16-mixed",' in same(dedent(model) + mixed().replace("Net()", "Whole()"))


def test_lightnings_autocast_gives_a_weight_that_is_used_twice_other_gradients() -> None:
    """Why the cache matters: the reason of the refusals above holds for this Lightning."""
    body = dedent(MODELS["a layer in a loop"]) + mixed().replace("Net()", "Tied()")
    text = program(body)
    by_hand = (
        rewritten(text)
        .text.replace(f"with {BFLOAT}:", "if True:")
        .replace("    plugins=", '    precision="bf16-mixed",\n    plugins=')
    )
    assert run(text).steps[0] != run(by_hand).steps[0]  # fmt: skip
