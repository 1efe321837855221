"""Imports that only the legacy loop used go with it; every other import stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from idiomatic_programs import program, rewritten

from lab_migrate.convert import convert_project

Same = Callable[..., str]

BODY = """
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data, batch_size=4, shuffle=True)
for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        with autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
"""

REMOVED = {
    "a line by itself": (
        "from torch.nn.utils import clip_grad_norm_\nfrom torch.amp import autocast\n", ""),
    "the first of two": (
        "from torch.nn.utils import clip_grad_norm_, parameters_to_vector\nfrom torch.amp import autocast\n"
        "print(parameters_to_vector)\n",
        "from torch.nn.utils import parameters_to_vector\n"),
    "the last two of three": (
        "from torch.nn.utils import (\n    parameters_to_vector,\n    clip_grad_norm_,\n"
        "    clip_grad_value_ as other,\n)\n"
        "from torch.amp import autocast\nprint(parameters_to_vector)\n",
        "from torch.nn.utils import (\n    parameters_to_vector,\n    clip_grad_value_ as other,\n)\n"),
}  # fmt: skip


@pytest.mark.parametrize(("imports", "left"), REMOVED.values(), ids=REMOVED)
def test_what_the_loop_alone_used_goes(imports: str, left: str, same: Same) -> None:
    """Names that were unused before are none of ours."""
    after = same(imports + BODY)
    assert "autocast" not in after.partition("class Net")[2]
    assert "clip_grad_norm_" not in after
    assert left in after


STAYS = {
    "another use": ("from torch.nn.utils import clip_grad_norm_\n", "print(clip_grad_norm_.__name__)\n"),
    "a mention in a comment": ("from torch.nn.utils import clip_grad_norm_\n", "# clip_grad_norm_ is tested below\n"),
    "beside another statement": ("from torch.nn.utils import clip_grad_norm_; print(1)\n", ""),
}  # fmt: skip


@pytest.mark.parametrize(("imports", "end"), STAYS.values(), ids=STAYS)
def test_what_may_be_used_stays(imports: str, end: str, same: Same) -> None:
    """By a word anywhere in the file, or on a line that does more."""
    assert imports in same(f"{imports}from torch.amp import autocast\n{BODY}{end}")


def test_a_module_of_the_project_stays(tmp_path: Path) -> None:
    """Importing it may do something; and a name that another file takes from here is used."""
    (tmp_path / "own.py").write_text("print('imported')\nfrom torch.nn.utils import clip_grad_norm_\n")
    (tmp_path / "other.py").write_text("from train import autocast\n")
    text = program(f"from own import clip_grad_norm_\nfrom torch.amp import autocast\n{BODY}")
    (tmp_path / "train.py").write_text(text)
    (change,) = [one for one in convert_project(tmp_path, tier="idiomatic").changes if one.path == "train.py"]
    assert "from own import clip_grad_norm_\n" in change.after
    assert "from torch.amp import autocast\n" in change.after


def test_the_twin_without_the_imports_keeps_its_own() -> None:
    """Unused imports that were unused before stay."""
    text = program(f"import os\nfrom torch.nn.utils import clip_grad_norm_\nfrom torch.amp import autocast\n{BODY}")
    assert "import os\n" in rewritten(text).text
