"""Level L3: things of one name, of different files, are not taken for each other."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

from .settings import GAN

HEAD = "import gin\nimport torch\n{imported}\n\n\n@gin.configurable\nclass {name}{base}:\n"
HOOK = (
    "from legacy_lab.train.hooks import Hook", "(Hook)",
    "    def after_step(self, trainer, metrics):\n        print({number})\n",
)  # fmt: skip
CLIP = (
    "from legacy_lab.optim.clipping import Clip", "(Clip)",
    "    def __call__(self, parameters, limit):\n        return {number}\n",
)  # fmt: skip
OPTIMIZER = (
    "from legacy_lab.optim.optimizer import Optimizer", "(Optimizer)",
    "    def __init__(self, model, lr=0.1, **settings):\n        super().__init__(model, lr, **settings)\n\n"
    "    def update(self):\n        for group in self.groups:\n            for parameter in group['params']:\n"
    "                parameter.sub_(parameter.grad * {number})\n",
)  # fmt: skip
SCHEDULE = ("", "", "    def __call__(self, step):\n        return {{'lr': {number} / (step + 1)}}\n")
DATASET = ("from native_project import Specks", "(Specks)", "    number = {number}\n")
GRADIENTS = ("critic/Adam.gradients = @c/Gradients()", "generator/SGD.gradients = @g/Gradients()")
#: What is defined, under which name, in `a.py` and in `b.py`, and the settings that use both.
TWICE: dict[str, tuple[tuple[str, str, str], str, tuple[str, ...]]] = {
    "hooks": (HOOK, "Mine", ("Trainer.hooks = [@a.Mine(), @b.Mine()]",)),
    "ways of clipping": (
        CLIP, "Mine",
        (
            *GAN, *GRADIENTS, "c/Gradients.clip = @a.Mine()", "g/Gradients.clip = @b.Mine()", "a.Mine.limit = 1.0",
            "b.Mine.limit = 1.0",
        ),
    ),
    "optimizers": (OPTIMIZER, "Mine", (*GAN, "Several.optimizers = {'critic': @a.Mine, 'generator': @b.Mine}")),
    "schedules": (
        SCHEDULE, "Mine", (*GAN, "critic/Adam.schedule = @a.Mine()", "generator/SGD.schedule = @b.Mine()"),
    ),
    "datasets": (
        DATASET, "Mine",
        (
            "Trainer.loader = @l/Loader", "Trainer.eval_loader = @m/Loader", "l/Loader.dataset = @a.Mine()",
            "m/Loader.dataset = @b.Mine()", "l/Loader.batch_size = 4", "m/Loader.batch_size = 5",
        ),
    ),
}  # fmt: skip
#: The same of one class beside what is written or imported.
ONCE: dict[str, tuple[tuple[str, str, str], str, tuple[str, ...]]] = {
    "a dataset beside torch's loader": (DATASET, "DataLoader", ("train/Loader.dataset = @a.DataLoader()",)),
    "a schedule beside a config": (SCHEDULE, "Config", ("Adam.schedule = @a.Config()",)),
    "a hook beside a callback": (HOOK, "Generators", ("Trainer.hooks = [@a.Generators()]",)),
    "a hook beside Lightning's": (
        HOOK, "ModelCheckpoint",
        ("Trainer.hooks = [@a.ModelCheckpoint()]", "Trainer.checkpoint_every = 3", "Trainer.eval_every = 0"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*TWICE, *ONCE])
def test_two_things_of_one_name_are_refused(native: Any, name: str) -> None:
    """One would take the place of the other, in silence."""
    (imported, base, body), called, bindings = TWICE.get(name) or ONCE[name]
    root = native.project(*bindings)
    for number, module in enumerate("ab" if name in TWICE else "a"):
        text = HEAD.format(imported=imported, base=base, name=called) + body.format(number=number)
        (root / f"{module}.py").write_text(text)
    conversion = convert_project(root, "L3")
    assert any(f"the name {called}" in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


def test_one_class_in_two_places_is_one(native: Any) -> None:
    """And a hook may have the name of a callback that is not written."""
    root = native.project("Trainer.hooks = [@a.Anneal(), @a.Anneal()]")
    (root / "a.py").write_text(HEAD.format(imported=HOOK[0], base=HOOK[1], name="Anneal") + HOOK[2].format(number=1))
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    after = {one.path: one.after for one in conversion.changes}
    assert after["blobs/callbacks.py"].count("class Anneal(") == 1
    assert after["train.py"].count("Anneal()") == 2


def test_a_type_may_come_from_two_modules(native: Any) -> None:
    """`typing` has the names of `collections.abc`, and they mean the same."""
    root = native.project("Trainer.hooks = [@a.Mine()]")
    body = "    def __init__(self, by: Mapping[str, Any] | None = None, at: Callable | None = None):\n"
    body += "        self.by = by\n\n"
    text = HEAD.format(imported=f"from typing import Any, Callable, Mapping\n{HOOK[0]}", base=HOOK[1], name="Mine")
    (root / "a.py").write_text(text + body + HOOK[2].format(number=1))
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings


def test_what_is_not_finite_is_spelled(native: Any) -> None:
    """Python has no literal for it."""
    root = native.project("train/Loader.dataset = @a.Mine()", "a.Mine.most = -1e400")
    body = "    def __init__(self, most=0.0):\n        super().__init__()\n"
    (root / "a.py").write_text(HEAD.format(imported=DATASET[0], base=DATASET[1], name="Mine") + body)
    (data,) = [one.after for one in convert_project(root, "L3").changes if one.path == "blobs/data.py"]
    assert 'Mine(most=float("-inf"))' in data
