"""yacs: CfgNode defaults in Python and YAML over them."""

from __future__ import annotations

from bridge.tests.config.config_files import Write, errors, round_trip
from lab_bridge.config import read_config, typed
from lab_bridge.config.semantic_diff import place_at

DEFAULTS = """
    import os
    from yacs.config import CfgNode as CN

    _C = CN()
    _C.BASE = ['']
    _C.MODEL = CN()
    # How many blocks there are.
    _C.MODEL.DEPTHS = [2, 2, 6]
    _C.MODEL.DROP = 0.1
    _C.MODEL.NAME = 'tiny'
    _C.TRAIN = CN(dict(LR=5e-4 * 2, BETAS=(0.9, 0.999)))
    _C.TRAIN.RESUME = None
    _C.OUTPUT = os.environ.get('OUT')

    raise RuntimeError('read, not run')
"""


def test_a_file_overrides_the_defaults_of_the_project(write: Write) -> None:
    """The defaults are found, computed without running them, and the file counts; lists stand for tuples."""
    folder = write(
        {
            "config.py": DEFAULTS,
            "configs/base.yaml": "MODEL: {DROP: 0.3, NAME: base}\n",
            "configs/a.yaml": "BASE: ['base.yaml']\nMODEL:\n  DEPTHS: [2, 2]\nTRAIN:\n  BETAS: (0.8, 0.9)\n",
        }
    )
    document = read_config(folder / "configs/a.yaml")
    config = typed(document)
    assert (config.MODEL.DEPTHS, config.MODEL.DROP, config.MODEL.NAME) == ((2, 2), 0.3, "base")
    assert (config.TRAIN.LR, config.TRAIN.BETAS) == (5e-4 * 2, (0.8, 0.9))
    assert place_at(document, "MODEL.DEPTHS").line == 3
    round_trip(document, "yacs_a")


def test_every_mistake_is_named_at_once(write: Write) -> None:
    """Unknown keys with a suggestion, text for a number, a fraction for a whole number."""
    text = "MODEL:\n  DROPP: 0.3\n  DROP: 'a lot'\n  DEPTHS: [2.5]\nMODLE: {}\n"
    folder = write({"config.py": DEFAULTS, "a.yaml": text})
    said = errors(folder / "a.yaml")
    assert "a.yaml:2: MODEL.DROPP: expected a key of Model, found 'DROPP'; did you mean 'DROP'?" in said
    assert "a.yaml:3: MODEL.DROP: expected float, found 'a lot' (str)" in said
    assert "a.yaml:4: MODEL.DEPTHS[0]: expected int, found 2.5 (float)" in said
    assert any(line.startswith("a.yaml:5: MODLE") and "did you mean 'MODEL'?" in line for line in said)


def test_functions_that_add_settings_are_followed(write: Write) -> None:
    """detectron2's projects extend the defaults by `add_…_config(cfg)`, beside their configs."""
    folder = write(
        {
            "defaults.py": "from yacs.config import CfgNode as CN\n_C = CN()\n_C.A = CN()\n_C.A.X = 1\n_C.B = 2\n",
            "projects/p/more.py": "def add_p_config(cfg):\n    cfg.A.Y = cfg.B * 3\n",
            "projects/p/configs/a.yaml": "A: {Y: 7}\n",
        }
    )
    config = typed(read_config(folder / "projects/p/configs/a.yaml"))
    assert (config.A.X, config.A.Y) == (1, 7)


def test_bases_in_a_circle_and_missing_ones_are_refused(write: Write) -> None:
    """fvcore's `_BASE_`."""
    folder = write({"config.py": DEFAULTS, "a.yaml": "_BASE_: b.yaml\n", "b.yaml": "_BASE_: a.yaml\n"})
    assert "in no circle" in errors(folder / "a.yaml")[0]
    (folder / "b.yaml").write_text("_BASE_: c.yaml\n", encoding="utf-8")
    assert "found no" in errors(folder / "a.yaml")[0]


def test_what_an_unknown_function_may_have_changed_is_not_known(write: Write) -> None:
    """Rather left to the program than guessed: the value there may be another when it runs."""
    source = "from yacs.config import CfgNode as CN\nfrom elsewhere import fill\n_C = CN()\n_C.A = 1\nfill(_C)\n"
    folder = write({"config.py": source, "a.yaml": "A: 3\n"})
    assert "OWN" in repr(typed(read_config(folder / "config.py")))
