"""gin configs of other frameworks than Lab: their names alone, methods, what the program passes itself."""

from __future__ import annotations

import pytest
import torch

from bridge.tests.config.config_files import Write, errors
from lab_bridge.config import ConfigErrors, from_gin_text, read_config, typed, write_gin, write_yaml
from lab_bridge.config.build import build
from lab_bridge.config.project import read_project
from lab_bridge.config.types import OWN

SOURCE = """
    import gin
    import gin.torch.external_configurables

    @gin.configurable
    class Wrapper:
        def __init__(self, optimizer_fn=gin.REQUIRED, depth=0):
            raise RuntimeError("read, not run")

        @gin.configurable(module="Wrapper")
        def train(self, data, epochs=gin.REQUIRED):
            pass

    @gin.configurable
    def main(log_dir, model=gin.REQUIRED):
        model.train(log_dir)

    if __name__ == "__main__":
        main("runs")
"""
CONFIG = """import gin.torch.external_configurables
main.model = @Wrapper()
Wrapper.optimizer_fn = @Adam
Wrapper.depth = 0.5
Adam.weight_decay = 1e-6
Wrapper.train.epochs = 3
"""


def test_the_names_are_those_of_the_project_and_its_libraries(write: Write) -> None:
    """`Adam` is torch's here, not Lab's; what the caller passes (`log_dir`, `params`) is not missing."""
    folder = write({"train.py": SOURCE, "c.gin": CONFIG})
    document = read_config(folder / "c.gin")
    config = typed(document)
    assert config.model.optimizer_fn.config.weight_decay == 1e-6
    assert config.model.depth == 0.5, "a default of 0 says nothing against a fraction"
    assert [finding.kind for finding in document.findings] == ["elsewhere"], "a method's binding is in no tree"


def test_a_builder_that_is_handed_over_untyped_is_not_written_as_yaml(write: Write) -> None:
    """It would be read as what the builder makes; gin says both, and a type tells them apart."""
    folder = write({"train.py": SOURCE, "c.gin": CONFIG})
    document = read_config(folder / "c.gin")
    with pytest.raises(ConfigErrors) as refused:
        write_yaml(document)
    (problem,) = refused.value.problems
    assert (problem.path, problem.place.line, problem.kind) == ("model.optimizer_fn", 3, "lightning")
    assert "annotate" in problem.next_step
    again = from_gin_text(write_gin(document), read_project(folder, ["gin.torch.external_configurables"]))
    assert typed(again) == typed(document)


ANYHOW = """
    from typing import Any, Callable

    import gin
    import torch
    from torch import nn

    gin.external_configurable(torch.optim.AdamW)
    gin.external_configurable(torch.optim.lr_scheduler.OneCycleLR)

    @gin.configurable
    def optimizer(
        params, cls: Callable[..., torch.optim.Optimizer] = torch.optim.Adam, schedule: Callable[..., Any] | None = None
    ):
        made = cls(params)
        return made, schedule(made)

    @gin.configurable
    def main(make: Callable[..., Any], net: Callable[..., nn.Module] | None = None):
        return make([torch.zeros(2, requires_grad=True)])

    if __name__ == "__main__":
        main()
"""


def test_what_is_called_anyhow_may_be_passed_what_the_config_leaves_out(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's optimizers and schedulers by `Callable[..., …]`: read, written as gin, built as gin builds them."""
    config = (
        "main.make = @optimizer\noptimizer.cls = @AdamW\nAdamW.lr = 0.5\noptimizer.schedule = @OneCycleLR\n"
        "OneCycleLR.max_lr = 0.5\nOneCycleLR.total_steps = 10\n"
    )
    folder = write({"anyhow.py": ANYHOW, "c.gin": config})
    document = read_config(folder / "c.gin")
    read = typed(document)
    assert (read.make.config.cls.params, read.make.config.cls.lr) == (OWN, 0.5)
    assert typed(from_gin_text(write_gin(document), read_project(folder))) == read
    monkeypatch.syspath_prepend(str(folder))
    made, schedule = build(read.make, document.schema)([torch.zeros(2, requires_grad=True)])
    assert (type(made).__name__, type(schedule).__name__) == ("AdamW", "OneCycleLR")
    assert made.param_groups[0]["max_lr"] == 0.5


def test_what_a_type_says_is_passed_is_not_left_out(write: Write) -> None:
    """`Callable[[], Optimizer]` passes nothing, so that a config without `params` lacks them."""
    source = ANYHOW.replace("cls: Callable[..., torch", "cls: Callable[[], torch")
    folder = write({"nothing.py": source, "c.gin": "main.make = @optimizer\noptimizer.cls = @AdamW\n"})
    assert any("make.cls.params: expected" in line for line in errors(folder / "c.gin"))


def test_what_is_registered_only_is_no_beginning(write: Write) -> None:
    """A library's class that the config has settings for, and this time no use."""
    source = SOURCE.replace("import gin.torch.external_configurables", "import torch\n    EXTERNAL")
    source = source.replace("EXTERNAL", "gin.external_configurable(torch.optim.Adam)")
    config = CONFIG.splitlines()
    folder = write({"train.py": source, "c.gin": "\n".join([config[1], *config[3:]])})
    document = read_config(folder / "c.gin")
    assert set(document.entries) == {"main"}


def test_a_mistake_is_hinted_at_in_the_projects_names(write: Write) -> None:
    """Lab's builders are unknown to a project without Lab."""
    folder = write({"train.py": SOURCE, "c.gin": CONFIG + "SelfAttention.heads = 3\nWraper.depth = 1\n"})
    said = errors(folder / "c.gin")
    assert any("found 'SelfAttention'" in line for line in said)
    assert any("did you mean 'Wrapper'?" in line for line in said)


def test_what_a_protocol_adds_to_another_is_no_class_that_one_must_derive_from(write: Write) -> None:
    """Whatever has the methods of both may stand there, whether it says so or not; what lacks one may not."""
    source = """
        import gin
        from typing import Protocol

        class Dataset(Protocol):
            def __len__(self) -> int: ...
            def batch(self, indices): ...

        class Lengthy(Dataset, Protocol):
            lengths: list

        @gin.configurable
        class Sentences:
            def __init__(self):
                self.lengths = [3, 4]
            def __len__(self):
                return 2
            def batch(self, indices):
                return indices

        @gin.configurable
        class Words:
            def __len__(self):
                return 2

        @gin.configurable
        def main(data: Lengthy):
            pass
    """
    folder = write({"train.py": source, "c.gin": "main.data = @Sentences()\n", "d.gin": "main.data = @Words()\n"})
    assert type(typed(read_config(folder / "c.gin")).data).__name__ == "Sentences"
    assert any("expected a Lengthy, found Words" in line for line in errors(folder / "d.gin"))


def test_an_objective_that_is_a_module_is_called_by_its_forward(write: Write) -> None:
    """As torch has it; a model of one input stands for no function of a number."""
    source = """
        import gin
        from collections.abc import Callable
        from typing import Any
        from torch import nn

        Objective = Callable[[nn.Module, Any], float]
        Schedule = Callable[[int], float]

        @gin.configurable
        class Contrast(nn.Module):
            def forward(self, model, batch):
                return 0.0

        @gin.configurable
        class Net(nn.Module):
            def forward(self, x):
                return x

        @gin.configurable
        def main(objective: Objective, schedule: Schedule | None = None):
            pass
    """
    right, wrong = "main.objective = @Contrast()\n", "main.objective = @Contrast()\nmain.schedule = @Net()\n"
    folder = write({"train.py": source, "c.gin": right, "d.gin": wrong})
    assert type(typed(read_config(folder / "c.gin")).objective).__name__ == "Contrast"
    assert any("found Net" in line for line in errors(folder / "d.gin"))
