"""LM101: Trainer comes from lab_bridge, in every import form."""

from __future__ import annotations

from textwrap import dedent

import pytest

from lab_migrate.convert.rules import lm101_trainer_import as RULE  # noqa: F401  (the fixtures use it)

UNTOUCHED = {
    "the file does not know Lab": "from lightning import Trainer\ntrainer = Trainer()\n",
    "another name of Lab": "from legacy_lab import load_config\n",
    "a relative import of the same name": "from .legacy_lab import Trainer\n",
    "already migrated": "from lab_bridge import Trainer\nfrom legacy_lab import load_config\n",
    "somebody else's Trainer beside Lab": "import legacy_lab\nfrom other import Trainer\nTrainer()\n",
    "a Trainer attribute of another module": "import legacy_lab, other\nother.Trainer()\n",
    "in a string": 's = """\nfrom legacy_lab import Trainer\n"""\n',
    "in a comment": "# from legacy_lab import Trainer\n",
    "a star, which hides it (LM102)": "from legacy_lab import *\nTrainer().train()\n",
    "an own loop in a subclass (LM103)": (
        "from legacy_lab import Trainer\nclass Mine(Trainer):\n    def run(self):\n        pass\n"
    ),
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED.keys())
def test_it_leaves_alone(convert, text: str) -> None:
    """Not one byte, where Trainer is not Lab's or where another rule refuses."""
    assert convert(text) == text


REWRITES = {
    "alone": ("from legacy_lab import Trainer\n", "from lab_bridge import Trainer\n"),
    "first of several": (
        "from legacy_lab import Trainer, load_config  # entry\n",
        "from lab_bridge import Trainer\nfrom legacy_lab import load_config  # entry\n",
    ),
    "last of several": (
        "from legacy_lab import load_config, Trainer\n",
        "from lab_bridge import Trainer\nfrom legacy_lab import load_config\n",
    ),
    "renamed": ("from legacy_lab import Trainer as T\n", "from lab_bridge import Trainer as T\n"),
    "from its own module": ("from legacy_lab.train.trainer import Trainer\n", "from lab_bridge import Trainer\n"),
    "inside a function": (
        "def main():\n    from legacy_lab import load_config, Trainer\n    Trainer()\n",
        "def main():\n    from lab_bridge import Trainer\n    from legacy_lab import load_config\n    Trainer()\n",
    ),
    "through the module": (
        "import legacy_lab\nlegacy_lab.Trainer().train()\n",
        "import lab_bridge\nimport legacy_lab\nlab_bridge.Trainer().train()\n",
    ),
    "through a renamed module": (
        "import legacy_lab as lab\nt = lab.Trainer()\n",
        "import lab_bridge\nimport legacy_lab as lab\nt = lab_bridge.Trainer()\n",
    ),
    "through a package that has its module": (
        "import legacy_lab.train as t\nimport legacy_lab.train.trainer\nt.trainer.Trainer().train()\n",
        "import lab_bridge\nimport legacy_lab.train as t\nimport legacy_lab.train.trainer\n"
        "lab_bridge.Trainer().train()\n",
    ),
    "through its own module, renamed": (
        "import legacy_lab.train.trainer as t\nt.Trainer().train()\n",
        "import lab_bridge\nimport legacy_lab.train.trainer as t\nlab_bridge.Trainer().train()\n",
    ),
    "through a module out of its package": (
        "from legacy_lab.train import ema, trainer as t\nx = t.Trainer()\n",
        "import lab_bridge\nfrom legacy_lab.train import ema, trainer as t\nx = lab_bridge.Trainer()\n",
    ),
    "a subclass without a loop": (
        "from legacy_lab import Trainer\nclass Mine(Trainer):\n    def evaluate(self):\n        return {}\n",
        "from lab_bridge import Trainer\nclass Mine(Trainer):\n    def evaluate(self):\n        return {}\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), REWRITES.values(), ids=REWRITES.keys())
def test_it_rewrites(convert, before: str, after: str) -> None:
    """Trainer only; every other name stays with Lab."""
    assert convert(before) == after


def test_a_parenthesised_import_keeps_its_lines(convert) -> None:
    """And its comments."""
    before = dedent(
        """\
        from legacy_lab import (
            Trainer,
            load_config,  # gin
        )
        """
    )
    after = convert(before)
    assert after.startswith("from lab_bridge import Trainer\nfrom legacy_lab import (\n")
    assert "    load_config,  # gin\n)\n" in after


def test_each_rewrite_is_a_safe_finding_at_its_line(places) -> None:
    """So that a person sees what was done and where."""
    assert places("import os\nfrom legacy_lab import Trainer\n") == [(2, "safe")]


def test_a_package_that_is_imported_twice_is_swapped_once(convert) -> None:
    """Found in a mutated file: both imports claimed the same places."""
    text = "import legacy_lab\nimport legacy_lab.train.trainer\n\nlegacy_lab.Trainer()\n"
    assert convert(text).count("lab_bridge.Trainer()") == 1
