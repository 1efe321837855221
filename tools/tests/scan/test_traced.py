"""`scan --trace`: what a recorded run adds, and nothing without it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Make = Callable[[Mapping[str, str]], Path]
GAN = """\
    import torch

    torch.manual_seed(0)
    a, b = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    adam = torch.optim.Adam(a.parameters())
    sgd = torch.optim.SGD(b.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(adam, 2)
    for step in range(8):
        for _ in range(2):
            a(torch.randn(2, 3)).sum().backward()
        adam.step()
        adam.zero_grad()
        schedule.step()
        if step > 3:
            b(torch.ones(2, 3)).sum().backward()
            sgd.step()
            sgd.zero_grad()
"""


def test_a_command_that_trains_nothing_is_refused(command: Any, project: Make) -> None:
    """Without torch there is no trace, and a scan says so instead of showing an empty one."""
    ran = command("scan", project({"a.py": "import torch\n"}), "--trace", f"{sys.executable} -c pass")
    assert ran.exit_code == 2
    assert "never imported torch" in ran.err


def test_a_late_optimizer_its_micro_steps_and_who_draws_are_shown(command: Any, project: Make) -> None:
    """The second optimizer first steps at step 5; two backward passes make a step of the first one."""
    root = project({"train.py": GAN})
    ran = command("scan", root, "--json", "--trace", f"{sys.executable} {root / 'train.py'}")
    assert ran.exit_code == 0, ran.err
    run = json.loads(ran.out)["run"]
    assert (run["steps"], run["exit_code"], run["end"]) == (12, 0, "finished")
    first, second = run["steppers"]
    assert (first["first"], first["steps"], first["fewest_backwards"], first["most_backwards"]) == (0, 8, 2, 2)
    assert (second["first"], second["steps"], second["fewest_backwards"], second["most_backwards"]) == (5, 4, 1, 1)
    assert (first["first_rate"], first["parameters"]) == (0.001, 2)
    assert first["last_rate"] < first["first_rate"]
    assert {generator["name"]: generator["moved"] for generator in run["generators"]} == {
        "torch": 8, "python": 0, "numpy": 0,
    }  # fmt: skip


def test_the_run_ends_after_so_many_steps_and_a_person_can_read_it(command: Any, project: Make) -> None:
    """A training of days is looked at for a minute."""
    root = project({"train.py": GAN})
    ran = command("scan", root, "--trace", f"{sys.executable} {root / 'train.py'}", "--trace-steps", 3)
    assert ran.exit_code == 0, ran.err
    assert "What a run showed" in ran.out
    assert "  3 steps of " in ran.out


def test_nothing_is_run_without_being_asked(command: Any, project: Make) -> None:
    """A scan reads."""
    root = project({"train.py": "open('ran', 'w')\nimport torch\n"})
    assert json.loads(command("scan", root, "--json").out)["run"] is None
    assert sorted(path.name for path in root.iterdir()) == ["train.py"]
