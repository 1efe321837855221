"""Level L3: what an optimizer of the project's own does when it is made."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from lab_migrate.convert import convert_project
from lab_migrate.native.handed_settings import UnlikeError, handed_settings

from .test_own_optimizers import source


def found(body: str, arguments: str = "lr=0.01, beta=0.9, decay=0.0, **settings") -> dict[str, Any]:
    """What is read of such an `__init__`."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (init,) = ast.parse(f"def __init__(self, model, {arguments}):\n{lines}").body
    assert isinstance(init, ast.FunctionDef)
    return handed_settings(init)


BASE = "super().__init__(model, lr, decay, beta=beta, **settings)"
UNLIKE: dict[str, str] = {
    "super().__init__(model, lr * 0.5, decay)": "computes its hyperparameter lr",
    "super().__init__(model, 0.1, decay)": "sets lr itself",
    "super().__init__(model, lr, 0.1)": "sets decay itself",
    "super().__init__(model, lr)": "does not hand its decay on",
    "super().__init__(model, lr, decay, 2)": "sets accumulate itself",
    "super().__init__(model, lr, decay, clip_norm=1.0)": "sets clip_norm itself",
    "super().__init__(model, **{'lr': lr, 'decay': decay})": "not looked at",
    "Optimizer.__init__(self, model, lr, decay)": "does not call Lab's base once",
    f"lr = lr * 2\n{BASE}": "does more when it is made than to hand on settings: lr = lr",
    f"{BASE}\nself.hyper['lr'] *= 2\nself._spread()": "self.hyper",
    f"{BASE}\nself.gradients = None": "self.gradients = None",
    f"{BASE}\nfor group in self.groups:\n    group['decay'] = 0.0": "for group in self.groups",
    f"{BASE}\nnn.init.zeros_(model.head.weight)": "nn.init.zeros_",
    f"{BASE}\nself.noise = torch.randn(3)": "self.noise = torch.randn",
}


@pytest.mark.parametrize("body", UNLIKE)
def test_what_the_settings_do_not_say_is_told(body: str) -> None:
    """It was passed over in silence: the native optimizer had the config's settings, and nothing else."""
    with pytest.raises(UnlikeError, match=UNLIKE[body]):
        found(body)


def test_settings_that_are_handed_on_as_they_are_need_no_word() -> None:
    """Nor do checks, what the class keeps to itself, what the base would take anyway, and constants of its own."""
    checks = "if lr <= 0 or not isinstance(beta, float):\n    raise ValueError(lr)\nassert beta < 1"
    assert found(f"{checks}\n{BASE}\nself.beta, self.power = beta, 0.5 * beta") == {}
    assert found("betas = tuple(betas)\nsuper().__init__(model, lr, betas=betas, floor=0.5)", "lr, betas") == {
        "floor": 0.5
    }
    assert found("super().__init__(model, lr, 0.0, clip_norm=None, accumulate=1)", "lr") == {"decay": 0.0}


def test_such_an_optimizer_is_refused(native: Any) -> None:
    """At its class; nothing is written."""
    root = native.project("Trainer.optimizer = @Plainest")
    (root / "own.py").write_text(source(init="super().__init__(model, lr, clip_norm=1.0)"))
    (finding,) = convert_project(root, "L3").findings
    assert (finding.code, finding.line) == ("LM405", 8)
    assert "sets clip_norm itself: 1.0" in finding.message
