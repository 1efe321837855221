"""Level L3: a script that is cut into functions of its own, finds its files, and binds by its arguments."""

from __future__ import annotations

from typing import Any

import pytest

from lab_migrate.convert import convert_project

SCRIPT = '''\
"""Train."""
import argparse
import os

import gin
import native_project
from legacy_lab import Trainer, load_config

HERE = os.path.dirname(os.path.abspath(__file__))
gin.add_config_file_search_path(HERE)


def parse():
    parser = argparse.ArgumentParser()
    group = parser.add_argument_group("training")
    group.add_argument("--resume")
    group.add_argument("--steps", type=int)
    group.add_argument("--small", action="store_true")
    group.add_argument("--large", action="store_true", default=True)
    return parser.parse_args()


def bindings(args):
    found = []
    if args.small:
        found.append("wide/Linear.features = 4")
    if args.steps is not None:
        found.append("Trainer.steps = {}".format(args.steps))
    found += ["SGD.lr = 0.5"] if args.small else []
    found.append("Trainer.run_dir = '%s'" % HERE)
    return found


def main():
    args = parse()
    load_config(os.path.join(HERE, "blobs.gin"), bindings(args))
    trainer = Trainer()
    print(trainer.train(resume=args.resume))


if __name__ == "__main__":
    main()
'''


def test_a_script_may_be_cut_into_functions(native: Any) -> None:
    """What they do is looked at where they stand; files may be found by the script's own place."""
    conversion = native.converted(train=SCRIPT)
    assert not conversion.needs_hand, [one.message for one in conversion.findings]


def test_a_setting_that_an_argument_has_the_script_bind_is_said(native: Any) -> None:
    """Without the argument the config's value holds, and the native training has it."""
    conversion = native.converted(train=SCRIPT)
    said = [one.message for one in conversion.findings if "by its arguments" in one.message]
    assert len(said) == 3, said
    assert all(any(name in one for one in said) for name in ("wide/Linear.features", "Trainer.steps", "SGD.lr"))


CONDITIONS = {
    "an argument that is on by itself": ("if args.small:", "if args.large:"),
    "the other case": ("if args.small:\n", "if args.small:\n        pass\n    else:\n"),
    "something else": ("if args.small:", "if os.path.exists('small'):"),
    "two of them": ("if args.small:", "if args.small or args.steps is None:"),
    "an argument that nobody made": ("if args.small:", "if args.tiny:"),
    "always, too": ("    found = []\n", "    found = ['wide/Linear.features = 4']\n"),
    "a number without an argument": ('"Trainer.steps = {}".format(args.steps)', '"Trainer.steps = 5".format()'),
}  # fmt: skip


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_setting_that_may_hold_without_any_argument_is_refused(native: Any, name: str) -> None:
    """The config does not show it."""
    before, after = CONDITIONS[name]
    script = SCRIPT.replace(before, after)
    assert script != SCRIPT
    if name == "a number without an argument":
        script = script.replace("if args.steps is not None", "if True")
    conversion = convert_project(native.project(train=script), "L3")
    assert any(one.code == "LM404" and "itself" in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


def test_what_a_function_of_the_scripts_does_besides_is_refused(native: Any) -> None:
    """At its line."""
    script = SCRIPT.replace("    found = []\n", "    found = []\n    os.makedirs(HERE)\n")
    conversion = native.converted(train=script)
    (line,) = [one.line for one in conversion.findings if "os.makedirs" in one.message]
    assert script.splitlines()[line - 1] == "    os.makedirs(HERE)"


MADE = "    trainer = Trainer()\n"
HANDED_ON = {
    "to a function": (MADE, f"{MADE}    shorten(trainer)\n", "shorten(trainer)"),
    "as it is made": (MADE, f"{MADE}    shorten(Trainer())\n", "shorten(Trainer())"),
    "in a list": (MADE, f"{MADE}    [one] = [trainer]\n", "[trainer]"),
    "from a function": (MADE, "    trainer = made()\n    shorten(trainer)\n", "shorten(trainer)"),
}  # fmt: skip
FUNCTIONS = """
def made():
    trainer = Trainer()
    return trainer


def shorten(it):
    it.steps = 3
"""


@pytest.mark.parametrize("name", HANDED_ON)
def test_a_trainer_that_a_script_hands_on_is_refused(native: Any, name: str) -> None:
    """What a function does to it, a native script would not."""
    before, after, said = HANDED_ON[name]
    functions = FUNCTIONS.replace("    trainer = Trainer()\n    return trainer", "    return Trainer()")
    functions = functions if name == "from a function" else FUNCTIONS.partition("\n\n\n")[2]
    script = SCRIPT.replace(before, after).replace("\n\ndef parse", f"\n\n{functions}\n\ndef parse", 1)
    conversion = native.converted(train=script)
    said = f"hands Lab's trainer on: {said}"
    assert any(one.code == "LM404" and said in one.message for one in conversion.findings), conversion.findings
    assert not conversion.changes


def test_a_function_that_returns_the_trainer_is_followed(native: Any) -> None:
    """What the script does with it is looked at."""
    script = SCRIPT.replace(MADE, "    trainer = made()\n")
    script = script.replace("\n\ndef parse", f"\n\n{FUNCTIONS.partition('def shorten')[0]}\n\ndef parse", 1)
    assert not native.converted(train=script).needs_hand
    changed = script.replace("    print(trainer", "    trainer.steps = 3\n    print(trainer")
    conversion = convert_project(native.project(train=changed), "L3")
    assert any(one.code == "LM404" and "trainer.steps" in one.message for one in conversion.findings)
