"""Optimizers that a project built on Lab's base: taken out of their files, rewritten for torch, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab_migrate.convert import convert_project

HEAD = """\
import gin
from torch import nn

from legacy_lab.optim.optimizer import Optimizer
"""
UPDATE = """\
        for group in self.groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                parameter.sub_(parameter.grad, alpha=group["lr"])
"""


def source(
    body: str = UPDATE, init: str = "super().__init__(model, lr)", more: str = "", base: str = "Optimizer"
) -> str:
    """A file with one optimizer."""
    lines = f"    def __init__(self, model: nn.Module, lr: float = 0.01) -> None:\n        {init}\n\n"
    update = f"    def update(self) -> None:\n{body}"
    return f"{HEAD}\n\n@gin.configurable\nclass Plainest({base}):\n{lines}{update}{more}"


def findings(native: Any, text: str) -> list[str]:
    """What is said of a project with such a file."""
    root = native.project("Trainer.optimizer = @Plainest")
    (root / "own.py").write_text(text)
    conversion = convert_project(root, "L3")
    return [f"{one.code} {one.path}:{one.line} {one.message}" for one in conversion.findings]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (source(more="\n    def zero(self) -> None:\n        pass\n"), "has zero beside update"),
        (source(init="super().__init__(model, lr, beta=lr * 2)"), "computes its hyperparameter beta as lr * 2"),
        (source("        print(self.hyper)\n" + UPDATE), "uses self.hyper in its update"),
        (source(UPDATE.replace("parameter.sub_(", 'if name.endswith("bias"):\n                    parameter.sub_(')),
         "looks at the parameters' names"),
        (source().replace("\n\n@gin.", "\n@kept\n@gin.", 1), "has the decorator @kept"),
        (source().replace("    def update", "    @kept\n    def update", 1), "has the decorator @kept on its update"),
        (source("        if self.steps == 3:\n            return\n" + UPDATE), "returns from its update"),
        (source("        print(self.rate)\n" + UPDATE, "self.rate = 3 * lr\n        super().__init__(model, lr)"),
         "uses self.rate"),
        (source(base="LAMB").replace("optim.optimizer import Optimizer", "optim.lamb import LAMB"), "is not built on"),
    ],
)  # fmt: skip
def test_an_update_that_needs_more_of_lab_is_refused(native: Any, text: str, said: str) -> None:
    """The finding stands at the class, and nothing is written."""
    (found,) = findings(native, text)
    assert found.startswith("LM405 own.py:8 the optimizer Plainest"), found
    assert said in found


def test_an_optimizer_of_the_name_of_labs_is_the_projects(native: Any) -> None:
    """`own.Torch` is none of torch's; its own update is read."""
    root = native.project("Trainer.optimizer = @own.Torch")
    (root / "own.py").write_text(source().replace("Plainest", "Torch"))
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    (text,) = [one.after for one in conversion.changes if one.path == "blobs/optimizer.py"]
    assert "class Torch(torch.optim.Optimizer)" in text


def test_hyperparameters_without_annotations_have_types_in_the_config(native: Any) -> None:
    """Those of their values, so that the config can be imported, and its options read what they are given."""
    text = source().replace("lr: float = 0.01", "lr=0.01, betas=(0.9, 0.999), amsgrad=False, cap=None")
    text = text.replace(
        "super().__init__(model, lr)", "super().__init__(model, lr, betas=betas, amsgrad=amsgrad, cap=cap)"
    )
    root = native.project("Trainer.optimizer = @Plainest")
    (root / "own.py").write_text(text)
    (config,) = [one.after for one in convert_project(root, "L3").changes if one.path == "blobs/config.py"]
    assert "    betas: tuple[float, ...] = (0.9, 0.999)\n    amsgrad: bool = False\n    cap: Any = None\n" in config
    found: dict[str, Any] = {}
    exec(compile(config.replace("from blobs", "# from blobs"), "config.py", "exec"), found)
    assert found["Config"]().optimizer.cap is None


def test_an_update_in_one_line_is_read(native: Any) -> None:
    """As any other."""
    root = native.project("Trainer.optimizer = @Plainest")
    text = source().replace(
        "    def update(self) -> None:\n" + UPDATE, "    def update(self) -> None: print(self.groups)\n"
    )
    (root / "own.py").write_text(text)
    (made,) = [one.after for one in convert_project(root, "L3").changes if one.path == "blobs/optimizer.py"]
    assert "        print(self.param_groups)\n" in made


def test_a_schedule_that_is_given_another_is_refused(native: Any) -> None:
    """Where it is defined: what it is given is asked ahead of time, and may draw."""
    root = native.project("Adam.schedule = @Around()", "Around.inner = @Halving()", "Halving.lr = 1.0")
    (root / "own.py").write_text(
        "import gin\n\n\n@gin.configurable\nclass Around:\n    def __init__(self, inner):\n        self.inner = inner\n"
        "\n    def __call__(self, step):\n        return self.inner(step)\n"
    )
    (finding,) = convert_project(root, "L3").findings
    assert (finding.code, finding.path, finding.line) == ("LM405", "own.py", 5)
    assert "calls self.inner, which may draw" in finding.message


def test_the_class_goes_and_the_rest_of_its_file_stays(native: Any, tmp_path: Path) -> None:
    """Comments and all; imports that only the class needed go with it, as its base would be imported from Lab."""
    rest = "\n\n# Not one.\nWIDTH = 3  # features\n\n\ndef layer() -> nn.Module:\n    return nn.Linear(WIDTH, 1)\n"
    root = native.project("Trainer.optimizer = @Plainest")
    (root / "own.py").write_text(source() + rest)
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    conversion.write(tmp_path / "out")
    assert (tmp_path / "out" / "own.py").read_text() == "from torch import nn\n" + rest
    assert "class Plainest(torch.optim.Optimizer)" in (tmp_path / "out" / "blobs" / "optimizer.py").read_text()


def test_an_optimizer_that_the_config_does_not_name_is_left_out(native: Any) -> None:
    """It would keep its import of Lab; where the project uses it, the finding says so."""
    root = native.project()
    (root / "own.py").write_text(source())
    conversion = convert_project(root, "L3")
    assert not conversion.needs_hand, conversion.findings
    assert any("leaves out Plainest" in one.message for one in conversion.findings), conversion.findings
    (root / "other.py").write_text("from own import Plainest\n\nKINDS = [Plainest]\n")
    (finding,) = convert_project(root, "L3").findings
    assert (finding.code, finding.path, finding.line) == ("LM403", "own.py", 4)
