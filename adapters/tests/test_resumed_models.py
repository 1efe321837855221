"""Every model gets its own state back, however the models hold each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lab_adapters import outlined
from six_steps import resumes, trained


class Inside(torch.nn.Module):
    """Calls its parts through a function, which comes before they are registered (as minGPT's blocks do)."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleDict({"into": torch.nn.Linear(2, 3), "out": torch.nn.Linear(3, 1)})
        parts: Any = self.parts
        self.run = lambda x: parts.out(parts.into(x).relu())

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        y: Tensor = self.run(x)
        return y


class Beside(torch.nn.Module):
    """Holds another network in a list, where torch does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.mine = torch.nn.Linear(2, 3)
        self.others = [torch.nn.Linear(3, 1)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        y: Tensor = self.others[0](self.mine(x))
        return y


@pytest.mark.parametrize("kind", [Inside, Beside])
def test_a_model_within_a_model_resumes_bitwise(checkpoint: Any, kind: Callable[[], torch.nn.Module]) -> None:
    """Parts that a function leads to are the model's own; a network that it only holds is one by itself."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model: Any = kind()
        held = [one for other in getattr(model, "others", ()) for one in other.parameters()]
        return trained(lambda: 1.0, model, torch.optim.Adam([*model.parameters(), *held], lr=0.1))

    resumes(checkpoint, run)


class Scaled:
    """A hook that is an object."""

    def __call__(self, grad: Tensor) -> Tensor:
        """Half of it."""
        return grad * 0.5


def hooked(kind: str, *, puts_on: bool) -> list[str]:
    """Takes a hook off, or puts one on, in its second epoch."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    makes: dict[str, Callable[[], Any]] = {
        "of a tensor": lambda: model[0].weight.register_hook(lambda grad: grad * 0.5),
        "an object": lambda: model[0].weight.register_hook(Scaled()),
        "of a module": lambda: model[0].register_forward_hook(lambda module, given, out: out * 2),
        "of an optimizer": lambda: optimizer.register_step_post_hook(lambda *_: model[0].weight.data.mul_(0.5)),
    }
    handles = [] if puts_on else [makes[kind]()]

    def epoch_loop(epoch: int) -> Any:
        if epoch == 1 and puts_on:
            makes[kind]()
        elif epoch == 1:
            handles[0].remove()

        def training_step(x: Tensor) -> None:
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

        yield from outlined.steps(training_step, torch.ones(2, 4, 2))

    outlined.fit(epoch_loop, range(3))
    return [parameter.sum().item().hex() for parameter in model.parameters()]


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["of a tensor", "an object", "of a module", "of an optimizer"])
def test_a_hook_that_the_training_took_off_stays_off(checkpoint: Any, kind: str, at: int) -> None:
    """The program puts it on again before the loop."""
    whole = checkpoint.written_at(at, lambda: hooked(kind, puts_on=False))
    assert checkpoint.resumed(lambda: hooked(kind, puts_on=False)) == whole


def test_a_hook_that_the_training_put_on_is_missed(checkpoint: Any) -> None:
    """Nothing can put it on again: never in silence."""
    checkpoint.written_at(5, lambda: hooked("of a module", puts_on=True))
    with pytest.warns(UserWarning, match="_forward_hooks: .* the training itself has put this hook on"):
        checkpoint.resumed(lambda: hooked("of a module", puts_on=True))


def test_a_model_that_grew_by_a_class_without_a_name_is_refused(checkpoint: Any) -> None:
    """The program makes it as it was at first; the error says from where to resume."""

    def run() -> None:
        model = torch.nn.Sequential(torch.nn.Linear(2, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def training_step(number: int) -> None:
            if number == 1:
                model.append(type("Made", (torch.nn.Linear,), {"__module__": "torch.nn"})(2, 2))
                optimizer.add_param_group({"params": list(model[1].parameters())})
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()

        outlined.fit(training_step, range(4))

    checkpoint.written_at(1, run)
    checkpoint.resumed(run)
    checkpoint.written_at(3, run)
    with pytest.raises(KeyError, match=r"expected the layers that it was saved with.*resume from a checkpoint before"):
        checkpoint.resumed(run)


class OfFiles(torch.nn.Module):
    """Loads what its training's files hold, as OpenNMT's models do, not what its own `state_dict` gives."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        y: Tensor = self.net(x)
        return y

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Of a file's contents."""
        return super().load_state_dict(state_dict["model"], strict, assign)


class WithoutBody(OfFiles):
    """Saves its head alone, and takes whatever fits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        return super().forward(self.body(x))

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Without the body."""
        return {key: value for key, value in super().state_dict(*args, **kwargs).items() if "body" not in key}

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """What there is of it."""
        return torch.nn.Module.load_state_dict(self, state_dict, strict=False)


@pytest.mark.parametrize("kind", [OfFiles, WithoutBody, lambda: torch.nn.Sequential(WithoutBody())])
def test_layers_resume_whatever_the_models_own_state_dict_is_for(
    checkpoint: Any, kind: Callable[[], torch.nn.Module]
) -> None:
    """A program's own may have another form, or leave out what trains, and say nothing of it."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = kind()
        return trained(lambda: 1.0, model, torch.optim.Adam(model.parameters(), lr=0.1))

    resumes(checkpoint, run)


class Normed(torch.nn.Module):
    """Its weight shares memory with the parameter that it is made of, until the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.original = torch.nn.Parameter(torch.randn(2, 2))
        self.register_buffer("weight", self.original.data)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 2)."""
        self.weight = self.original / self.original.norm()
        y: Tensor = x @ self.weight
        return y


def test_a_buffer_that_begins_as_its_parameter_resumes_apart_from_it(checkpoint: Any) -> None:
    """Its value was loaded over the parameter's, so that the loss was the same and the gradients were others."""

    def run() -> list[str]:
        torch.manual_seed(0)
        return trained(lambda: 1.0, Normed())

    resumes(checkpoint, run)


def test_a_teacher_that_begins_as_the_student_resumes_apart_from_it(checkpoint: Any) -> None:
    """`p.data = q.data` at first, an average of its own from the first step on."""

    def run() -> list[str]:
        torch.manual_seed(0)
        student, teacher = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
        for p, q in zip(teacher.parameters(), student.parameters(), strict=True):
            p.data = q.data

        def loss_of_teacher() -> float:
            for p, q in zip(teacher.parameters(), student.parameters(), strict=True):
                p.data = 0.9 * p.data + 0.1 * q.data
            return float(teacher(torch.ones(2)).detach().square().sum())

        return trained(loss_of_teacher, student)

    resumes(checkpoint, run)


class Normalised(torch.nn.Module):
    """Its mean is made anew outside of any graph, as rsl_rl's normaliser of observations."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.out = torch.nn.Linear(2, 1)
        self.register_buffer("mean", torch.zeros(2))
        self.watch(torch.ones(2))

    @torch.inference_mode()
    def watch(self, x: Tensor) -> None:
        """(2,): moves the mean a little."""
        self.mean = self.mean * 0.9 + 0.1 * x

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2) -> (B, 1)."""
        y: Tensor = self.out(x - self.mean.clone())
        return y


def test_a_buffer_that_was_made_in_inference_mode_is_filled(checkpoint: Any) -> None:
    """Outside of that mode nothing may write into it: a resume was refused, and blamed the layers."""

    def run() -> list[str]:
        torch.manual_seed(0)
        model = Normalised()

        def once() -> float:
            model.watch(torch.rand(2))
            return 1.0

        return trained(once, model, torch.optim.Adam(model.parameters(), lr=0.1))

    resumes(checkpoint, run)
