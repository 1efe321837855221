"""Fabric trains where the program did: on the CPU what never spoke of another device."""

from __future__ import annotations

import ast

import pytest
from attrs import frozen

from lab_migrate.fabric.devices import accelerator_of


@frozen
class Source:
    """A module as far as it is read."""

    tree: ast.Module


def found(*texts: str) -> str:
    """Of a project of these files."""
    return accelerator_of([Source(ast.parse(text)) for text in texts])  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        "model = Net()",
        "model = Net().to(torch.device('cpu'))",
        "device = 'cpu'\nmodel.to(device).to(torch.float64)",
        "timestamps, outputs = [], 'tests'",
        '''"""This long description says that the program was once written for CUDA and for TPUs."""''',
    ],
)
def test_a_program_that_speaks_of_no_other_device_stays_on_the_cpu(text: str) -> None:
    """Not even where the next machine has a GPU, which would round otherwise."""
    assert found(text) == "cpu"


@pytest.mark.parametrize(
    "text",
    [
        "model.cuda()",
        "device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "model.to(args.device)",
        "parser.add_argument('--device')",
        "use_cuda = False",
        "from torch import cuda",
        "model.to('mps')",
        "device = torch.accelerator.current_accelerator()",
        "os.environ['NGPUS']",
    ],
)
def test_a_program_that_speaks_of_one_leaves_the_choice_to_fabric(text: str) -> None:
    """In whichever of its files."""
    assert found(text) == found("model = Net()", text) == "auto"
