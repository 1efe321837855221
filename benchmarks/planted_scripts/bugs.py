"""Sets of planted bugs in scripts: one changed line of a training script, as a migration gets it wrong.

Each script in scripts/ has its bugs in bugs/, one a line:

    causes @ phase step = size | what stands in the script | what a mistaken migration has in its place

`causes` are the names that are right, the first one that of the table; ` = size` stands where there is something to
measure; ⏎ is a line break. Where a bug must be found follows from the program, not from what the diagnosis says: in
resnet, amp and wordlm the criterion is a module, whose arguments (phases `forward` and `batch`) come before the loss;
in moco the average of the weights feeds the loss. Both sets were written without running the causes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

__all__ = ["SCRIPTS", "SETS", "ScriptBug", "bugs_of"]

SCRIPTS = Path(__file__).parent / "scripts"
SETS = {
    "scripts": ("resnet", "lm", "cvae", "wgan", "lstm", "amp"),
    "third": ("diffusion", "wordlm", "moco"),
    "fourth": ("sam", "lbfgs"),
}
_LINE = re.compile(r"([\w ]+) @ (\w+) (\d+)(?: = (\S+))? \| (.+) \| (.+)")


@attrs.frozen
class ScriptBug:
    """One changed line; `causes` are the names that are right, `size` what must be measured where there is a size."""

    model: str
    causes: tuple[str, ...]
    phase: str
    step: int
    old: str
    new: str
    size: float | None = None

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.model}: `{self.old}` → `{self.new}`".replace("\n", " ⏎ ")

    def source(self) -> str:
        """The script with the bug in it. Raises ValueError where `old` does not stand there exactly once."""
        text = (SCRIPTS / f"{self.model}.py").read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.model}: {self.old!r} stands there {text.count(self.old)} times, expected once")
        return text.replace(self.old, self.new)


def bugs_of(name: str) -> list[ScriptBug]:
    """All bugs of a set, by script."""
    return [bug for model in SETS[name] for bug in _read(model)]


def _read(model: str) -> Iterator[ScriptBug]:
    path = Path(__file__).parent / "bugs" / f"{model}.txt"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"{path}:{number}: expected 'causes @ phase step = size | old | new', found {line!r}")
        causes, phase, step, size, old, new = found.groups()
        old, new = old.replace("⏎", "\n"), new.replace("⏎", "\n")
        yield ScriptBug(model, tuple(causes.split()), phase, int(step), old, new, None if size is None else float(size))
