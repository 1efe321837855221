"""Loops whose backward pass and step are reached by ways that public code takes; and what only resembles them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.convert import convert_project

Make = Callable[[Mapping[str, str]], Path]

#: A step that a factory makes, which calls an update that another factory made and a caller hands in.
FACTORIES = {
    "losses.py": """def update_by(rate):
    def update(optimizer):
        optimizer.step()
    return update


def make_step(model, update_fn=None):
    def step_fn(batch):
        loss = model(batch).mean()
        loss.backward()
        update_fn(optimizer)
        return loss
    return step_fn
""",
    "train.py": """import losses

update_fn = losses.update_by(0.1)
step_fn = losses.make_step(model, update_fn=update_fn)
for batch in loader:
    step_fn(batch)
""",
}
#: A method that is handed to somebody else's caller.
HANDED = """from retry.api import retry_call


class Trainer:
    def train(self):
        self.loss().backward()
        self.optimizer.step()


def main():
    trainer = Trainer()
    while trainer.steps < 10:
        retry_call(trainer.train, tries=3)
"""
SCRIPT = """def train(epoch):
    for batch in loader:
        model(batch).mean().backward()
        optimizer.step()


for epoch in range(3):
    train(epoch)
"""


#: An agent that a config names, and its `update`; a meter that is built here.
BUILT = """import hydra


class Agent:
    def update(self, batch):
        self.loss(batch).backward()
        self.optimizer.step()


class Meter:
    def update(self, value):
        self.total += value


class Workspace:
    def __init__(self, cfg):
        self.agent = {made}

    def run(self):
        while self.steps < 10:
            self.agent.update(self.batch)


Workspace(cfg).run()
"""
#: An algorithm whose class is known at run time only, and its `update`, a name that says nothing by itself.
ALGORITHM = """class ERM:
    def update(self, batch):
        self.network(batch).mean().backward()
        self.optimizer.step()


class Meter:
    def update(self, value):
        self.total += value


def get(name):
    return globals()[name]
"""
CHOSEN = """import algorithms
from algorithms import *

cls = {choice}
algorithm = cls(hparams)
for batch in loader:
    algorithm.update(batch)
"""
REGISTERED = """REGISTRY = Registry("algorithms")


@REGISTRY.register()
class ERM:
    def update(self, batch):
        self.network(batch).mean().backward()
        self.optimizer.step()


def build(cfg):
    return REGISTRY.get(cfg.name)(cfg)


algorithm = {made}
for batch in loader:
    algorithm.update(batch)
"""


def found(root: Path) -> list[tuple[str, int]]:
    """Place and line of every loop that is outlined."""
    findings = convert_project(root).findings
    return [(finding.path, finding.line) for finding in findings if finding.code == "LM201"]


def test_steps_of_factories_and_updates_handed_in_are_followed(project: Make) -> None:
    """As in diffusion code that builds its step function from a config."""
    assert found(project(FACTORIES)) == [("train.py", 5)]


def test_a_method_handed_to_somebody_else_is_followed(project: Make) -> None:
    """Where the class of its object is known; never by its name alone."""
    assert found(project({"cli.py": HANDED})) == [("cli.py", 12)]
    assert found(project({"cli.py": HANDED.replace("trainer = Trainer()", "trainer = load()")})) == []


def test_a_class_that_is_no_algorithm_trains_nothing(project: Make) -> None:
    """A meter's `update` is none, and neither is that of a class that nothing is known of."""
    meter = CHOSEN.format(choice="algorithms.Meter")
    assert found(project({"algorithms.py": ALGORITHM, "train.py": meter})) == []
    foreign = CHOSEN.format(choice="getattr(torchmetrics, name)").replace(
        "from algorithms import *", "import torchmetrics"
    )
    assert found(project({"algorithms.py": ALGORITHM, "train.py": foreign})) == []


@pytest.mark.parametrize(
    "choice",
    [
        "algorithms.get(name)",
        "getattr(algorithms, name)",
        "vars(algorithms)[name]",
        "algorithms.__dict__[name]",
        "{'erm': algorithms.ERM, 'meter': algorithms.Meter}[name]",
        "algorithms.ERM if name == 'erm' else algorithms.Meter",
    ],
)
def test_a_class_chosen_at_run_time_may_be_any_of_its_table(project: Make, choice: str) -> None:
    """Then a method of any of them may be what the loop calls, however common its name."""
    root = project({"algorithms.py": ALGORITHM, "train.py": CHOSEN.replace("{choice}", choice)})
    assert found(root) == [("train.py", 6)]


@pytest.mark.parametrize(
    "made", ["hydra.utils.instantiate(cfg.agent)", "construct_class_by_name(**cfg)", "instantiate_from_config(cfg)"]
)
def test_what_a_config_builds_may_be_of_any_class_that_has_the_method(project: Make, made: str) -> None:
    """Its class stands in no code."""
    assert found(project({"train.py": BUILT.replace("{made}", made)})) == [("train.py", 20)]


@pytest.mark.parametrize("made", ["Meter()", "torchmetrics.MeanMetric()", "cfg.agent"])
def test_what_no_config_builds_is_not_found_by_a_common_name(project: Make, made: str) -> None:
    """A meter's `update` is no agent's."""
    assert found(project({"train.py": BUILT.replace("{made}", made)})) == []


@pytest.mark.parametrize("made", ["build(cfg)", "REGISTRY.build(cfg)", "REGISTRY.get('ERM')(cfg)"])
def test_a_registered_class_may_be_what_its_registry_gives(project: Make, made: str) -> None:
    """By the decorator that it was registered with."""
    assert found(project({"train.py": REGISTERED.replace("{made}", made)})) == [("train.py", 16)]


@pytest.mark.parametrize(
    "imports",
    [
        "from lab import Model",
        "from lab import *",
        "import lab.model",
        "from lab.model import train as Model\ndef quick():\n    from lab.other import train as Model",
    ],
)
def test_a_framework_is_reached_through_any_import(project: Make, imports: str) -> None:
    """Of several `import *` the first, too; a dotted module; and one whose name another import takes."""
    package = "from .model import *\nfrom .other import *\n"
    script = SCRIPT.replace("for epoch in range(3):\n    train(epoch)\n", "")
    files = {"lab/__init__.py": package, "lab/model.py": script, "lab/other.py": "", "demo/train.py": imports + "\n"}
    root = project({**files, "demo/own.py": SCRIPT})
    findings = convert_project(root, entry="demo/train.py").findings
    assert {(one.path, one.code) for one in findings} == {("lab/model.py", "LM201")}


@pytest.mark.parametrize(
    "looks",
    [
        "for name in names:\n    __import__(f'agents.{name}')\n",
        "import importlib\nfor name in names:\n    importlib.import_module(f'agents.{name}')\n",
        "def register():\n    pass\n",
    ],
)
def test_a_package_that_looks_for_its_own_files_brings_them_in(project: Make, looks: str) -> None:
    """And nothing else: not the tutorial beside it."""
    root = project({"agents/__init__.py": looks, "agents/a.py": SCRIPT, "own/b.py": SCRIPT, "main.py": "import agents"})
    paths = {one.path for one in convert_project(root, entry="main.py").findings if one.code == "LM201"}
    assert paths == ({"agents/a.py"} if "import_" in looks or "__import__" in looks else {"agents/a.py", "own/b.py"})


@pytest.mark.parametrize(
    ("module", "paths"),
    [
        ("'lab.trainers.own'", {"lab/trainers/own.py"}),
        ("f'lab.trainers.{name}'", {"lab/trainers/own.py", "lab/trainers/other.py"}),
        ("'trainers.' + name", {"lab/trainers/own.py", "lab/trainers/other.py"}),
        ("'lab.trainers.%s' % name", {"lab/trainers/own.py", "lab/trainers/other.py"}),
        ("'lab.trainers.{}'.format(name)", {"lab/trainers/own.py", "lab/trainers/other.py"}),
        ("name", set()),
    ],
)
def test_what_a_function_imports_by_a_name_in_the_code_is_reached(project: Make, module: str, paths: set[str]) -> None:
    """Though another loop is reached as well; where only a part of the name stands there, all files of the package."""
    pick = f"import importlib\ndef pick(name):\n    return getattr(importlib.import_module({module}), 'Trainer')\n"
    root = project({
        "main.py": "import near\nfrom lab.pick import pick\npick('own')().train()\n",
        "near.py": SCRIPT, "lab/pick.py": pick,
        "lab/trainers/own.py": SCRIPT, "lab/trainers/other.py": SCRIPT, "lab/trainers/old/own.py": SCRIPT,
    })  # fmt: skip
    found = {one.path for one in convert_project(root, entry="main.py").findings if one.code == "LM201"}
    assert found == {"near.py", *paths}


def test_a_function_that_a_file_has_from_a_star_import_is_followed(project: Make) -> None:
    """However common its name: here the loop calls it by that alone."""
    update = "def update(batch):\n    model(batch).mean().backward()\n    optimizer.step()\n"
    loop = "from steps import *\nfor batch in loader:\n    update(batch)\n"
    assert found(project({"steps.py": update, "train.py": loop})) == [("train.py", 2)]


@pytest.mark.parametrize("name", ["add_test.py", "test_copy.py"])
def test_a_script_named_like_a_test_is_converted(project: Make, name: str) -> None:
    """It imports no test library and defines no test."""
    assert found(project({name: SCRIPT})) == [(name, 2)]


@pytest.mark.parametrize(
    "text",
    [f"import pytest\n{SCRIPT}", f"def test_it():\n    pass\n\n\n{SCRIPT}", f"class TestIt:\n    pass\n\n\n{SCRIPT}"],
)
def test_a_test_that_trains_is_left_alone(project: Make, text: str) -> None:
    """So is whatever lies among the tests."""
    assert found(project({"test_it.py": text, "train.py": SCRIPT})) == [("train.py", 2)]
    assert found(project({"tests/it.py": SCRIPT, "train.py": SCRIPT})) == [("train.py", 2)]


#: One call of an installed package's object makes the backward pass and the step.
HANDED_OVER = """from timm.utils import NativeScaler

scaler = NativeScaler()
for batch in loader:
    loss = model(batch).mean()
    optimizer.zero_grad()
    {call}
"""


@pytest.mark.parametrize(
    ("call", "trains"),
    [
        ("scaler(loss, optimizer, clip_grad=1.0)", True),
        ("scaler(losses['sum_loss'], optimizer=optimizer)", False),
        ("scaler(sum_loss, parameters=ps, optimizer=self.optim_d)", True),
        ("scaler.save(loss, optimizer)", False),
        ("log_step(loss, optimizer)", False),
        ("scaler(model, optimizer)", False),
        ("scaler(loss)", False),
    ],
)
def test_a_call_that_is_given_the_loss_and_the_optimizer_steps(project: Make, call: str, trains: bool) -> None:
    """Where it leads out of the project, and is not called after looking, both happen in it."""
    conversion = convert_project(project({"train.py": HANDED_OVER.format(call=call)}))
    assert bool(conversion.changes) == trains
    if trains:
        assert "shape F" in conversion.findings[0].message


def test_beside_a_backward_pass_of_its_own_nothing_is_handed_over(project: Make) -> None:
    """`amp.scale_loss(loss, optimizer)` and the like only stand around it."""
    call = "with around(loss, optimizer) as scaled:\n        scaled.backward()\n    optimizer.step()"
    conversion = convert_project(project({"train.py": HANDED_OVER.format(call=call)}))
    assert "shape A" in conversion.findings[0].message


def test_what_a_file_does_as_a_script_is_no_training_of_who_imports_it(project: Make) -> None:
    """Its own small test under `if __name__ == "__main__"`; named as the entry, it is one."""
    guarded = "def loss_of(x): return x\n\n\nif __name__ == '__main__':\n    for x in data:\n"
    step = "        loss_of(x).backward()\n        optimizer.step()\n"
    root = project({"train.py": "import losses\n" + SCRIPT, "losses.py": guarded + step})
    paths = {one.path for one in convert_project(root, entry="train.py").findings if one.code == "LM201"}
    assert paths == {"train.py"}
    paths = {one.path for one in convert_project(root, entry="losses.py").findings if one.code == "LM201"}
    assert paths == {"losses.py"}
    assert {path for path, _ in found(root)} == {"train.py", "losses.py"}


def test_an_entry_that_cannot_be_read_is_named_with_a_way_out(project: Make) -> None:
    """Other files that cannot be read are named where the entry may import them."""
    root = project(
        {"train.py": "import tools\nprint 1\n", "tools.py": "print 2\n", "other.py": "print 3\n", "a.py": ""}
    )
    (found,) = [one for one in convert_project(root, entry="train.py").findings if one.path == "train.py"]
    assert (found.code, found.status) == ("LM203", "unsupported")
    assert found.next_step is not None
    assert "2to3" in found.next_step
    root = project({"train.py": "import tools\n", "tools.py": "print 2\n", "other.py": "print 3\n"})
    codes = [(one.path, one.code) for one in convert_project(root, entry="train.py").findings]
    assert codes == [("tools.py", "LM203"), ("train.py", "LM002")]


ANNOTATED = """import tasks
from tasks import Task


class Trainer:
    def __init__(self, task: "Task | None" = None):
        self.task = task

    def train(self, task: {annotation}):
        while not task.done():
            {stepping}
"""
TASKS = """class Task:
    def step(self):
        self.train_step()

    def done(self):
        return self.steps > 3


class Classification(Task):
    def train_step(self):
        self.loss().backward()
        self.optimizer.step()


def build(config):
    return REGISTRY[config["name"]](config)
"""


@pytest.mark.parametrize(
    ("annotation", "stepping", "trains"),
    [
        ("Task", "task.step()", True),
        ("tasks.Task", "task.step()", True),
        ("'Optional[Task]'", "task.step()", True),
        ("object", "self.task.step()", True),
        ("object", "task.step()", False),
        ("list[Task]", "task.step()", False),
    ],
)
def test_a_method_of_an_annotated_class_is_followed(
    project: Make, annotation: str, stepping: str, trains: bool
) -> None:
    """Though its name says nothing, and what makes the object is chosen at run time."""
    source = ANNOTATED.format(annotation=annotation, stepping=stepping)
    found = convert_project(project({"train.py": source, "tasks.py": TASKS}), entry="train.py").findings
    assert [one.line for one in found if one.code == "LM201"] == ([10] if trains else [])


#: An algorithm whose optimizer, in a class of its base's, takes the loss and steps.
OWNED = """class Base(Generic[T]):
    class Optimizer:
        def __init__(self, inner):
            self.inner = inner

        def step(self, loss):
            loss.backward()
            self.inner.step()

    class Meter:
        def step(self, loss):
            self.last = loss

    def make(self, parameters):
        made = {made}(parameters)
        return made


class Algorithm(Base[Policy]):
    def __init__(self, policy):
        self.optim = self.make(policy.parameters())

    def update(self, batches):
        for batch in batches:
            self.optim.step(self.policy(batch))
"""


@pytest.mark.parametrize("made", ["self.Optimizer", "self.Meter"])
def test_what_a_method_of_a_generic_base_makes_is_followed(project: Make, made: str) -> None:
    """To a class that stands in the base, however common the name of its method."""
    root = project({"train.py": OWNED.replace("{made}", made)})
    assert found(root) == ([("train.py", 24)] if made == "self.Optimizer" else [])
