"""Settings that a script declares: argparse options, globals that a config is executed over, ConfigDicts."""

from __future__ import annotations

import pytest

from bridge.tests.config.config_files import Write, errors, round_trip
from lab_bridge.config import ConfigErrors, read_config, typed
from lab_bridge.config.home_grown import Setting

SCRIPT = """
    import argparse

    DEPTH = 3
    parser = argparse.ArgumentParser()
    group = parser.add_argument_group("training")
    group.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    group.add_argument("-b", "--batch-size", type=int, default="64")
    parser.add_argument("--opt", choices=["sgd", "adam"], default="sgd")
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--sizes", nargs="+", type=int, default=[8] * DEPTH)
    parser.add_argument("--resume", type=str)
    parser.set_defaults(opt="adam")
    raise RuntimeError("read, not run")
"""
TRAIN = """
    import os
    lr = 0.1
    steps = 100
    name = 'gpt'
    device = os.environ.get('DEVICE')
    exec(open('configurator.py').read())
    later = 3
"""


def test_options_are_read_with_types_choices_and_defaults(write: Write) -> None:
    """As argparse has them: a text default is converted, `set_defaults` counts, groups belong to their parser."""
    document = read_config(write({"train.py": SCRIPT}) / "train.py")
    config = typed(document)
    assert (config.lr, config.batch_size, config.opt, config.amp) == (1e-3, 64, "adam", False)
    assert (config.sizes, config.resume) == ((8, 8, 8), None)
    yaml = round_trip(document, "options")
    assert "batch_size: 64" in yaml


def test_a_command_line_is_taken_as_argparse_takes_it(write: Write) -> None:
    """Abbreviations, short options and several values; what it refuses is refused."""
    path = write({"train.py": SCRIPT}) / "train.py"
    config = typed(read_config(path, setting=Setting(arguments="--l 0.5 -b 8 --sizes 1 2 --amp")))
    assert (config.lr, config.batch_size, config.sizes, config.amp) == (0.5, 8, (1, 2), True)
    for arguments in ("--opt lion", "--batch-size 8.5", "--nope 3"):
        with pytest.raises(ConfigErrors, match="expected the script's options"):
            read_config(path, setting=Setting(arguments=arguments))


def test_a_required_option_that_is_not_given_is_an_error(write: Write) -> None:
    """With its name."""
    path = (
        write({"t.py": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--d', required=True)\n"})
        / "t.py"
    )
    (said,) = errors(path)
    assert "d: expected str, found nothing" in said


def test_a_yaml_file_is_checked_against_the_options_of_a_script(write: Write) -> None:
    """`--defaults train.py`."""
    folder = write({"train.py": SCRIPT, "a.yaml": "lr: 0.5\nbatch_sise: 3\n"})
    (said,) = errors(folder / "a.yaml", Setting(defaults=(folder / "train.py",)))
    assert "did you mean 'batch_size'?" in said


def test_an_executed_config_is_checked_against_the_script(write: Write) -> None:
    """A misspelt name, which `exec` would bind in silence, is an error; sums are worked out over the script's names."""
    folder = write(
        {"train.py": TRAIN, "a.py": "steps = steps * 4\nname = 'b' + str(2)\n", "b.py": "stepz = 3\nlr = 1.0\n"}
    )
    document = read_config(folder / "a.py")
    config = typed(document)
    assert (config.steps, config.name, config.lr) == (400, "b2", 0.1)
    assert not hasattr(config, "later")
    round_trip(document, "executed")
    (said,) = errors(folder / "b.py")
    assert "b.py:1: stepz: expected a key of Config, found 'stepz'; did you mean 'steps'?" in said


def test_a_config_dict_is_worked_out(write: Write) -> None:
    """ml_collections: nested dicts, functions of other files, loops, placeholders, references."""
    folder = write(
        {
            "base.py": """
                import ml_collections

                def default():
                    c = ml_collections.ConfigDict()
                    c.lr = 1e-3
                    return c
            """,
            "config.py": """
                import ml_collections
                from ml_collections import config_dict
                from base import default

                def get_config(size: str = "small"):
                    config = default()
                    config.model = ml_collections.ConfigDict({"width": 8})
                    with config.unlocked():
                        config.model.depths = tuple(2 * i for i in range(3))
                    if size == "small":
                        config.model.width //= 2
                    config.seed = config_dict.placeholder(int)
                    return config
            """,
        }
    )
    document = read_config(folder / "config.py")
    config = typed(document)
    assert (config.lr, config.model.width, config.model.depths, config.seed) == (1e-3, 4, (0, 2, 4), None)
    assert "width: 4" in round_trip(document, "config_dict")


def test_what_only_running_would_tell_is_left_out_and_said(write: Write) -> None:
    """Never guessed: the time, a branch on the machine. The key stays in the schema, without a value."""
    source = "import time, torch\nname = 'run-' + str(time.time())\nlr = 0.1\n"
    source += "width = 3\nif torch.cuda.is_available():\n    width = 4\n"
    document = read_config(write({"c.py": source}) / "c.py")
    config = typed(document)
    assert (repr(config.name), repr(config.width), config.lr) == ("OWN", "OWN", 0.1)
    assert [(finding.place.line, finding.path) for finding in document.findings] == [(2, "name"), (6, "width")]
    assert all("left out" in str(finding) for finding in document.findings)
    assert "width" not in round_trip(document, "left_out")


def test_an_argument_that_only_running_would_tell_is_refused(write: Write) -> None:
    """Left out, the builder would take its own default in its place."""
    source = "from detectron2.config import LazyCall as L\nfrom nets import Net\nmodel = L(Net)(act=lambda: 3)\n"
    nets = "class Net:\n    def __init__(self, act=None): pass\n"
    (said,) = errors(write({"nets.py": nets, "c.py": source}) / "c.py")
    assert "c.py:3: model.act: expected a value that a config can hold, found a function" in said


def test_endless_loops_and_huge_numbers_end(write: Write) -> None:
    """A config file is data of somebody else's."""
    source = "a = 9 ** 9 ** 9\nb = 'x' * 10 ** 9\nc = 0\nwhile True:\n    c += 1\nd = 1\n"
    document = read_config(write({"c.py": source}) / "c.py")
    assert repr(typed(document)) == "Config(a=OWN, b=OWN, c=OWN, d=1)"
