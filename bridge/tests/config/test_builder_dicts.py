"""Builder dicts: every spelling gives the same typed tree, with classes from the builders' signatures."""

from __future__ import annotations

import json

import pytest

from bridge.tests.config.config_files import Write, errors, round_trip
from lab_bridge.config import read_config, typed

PROJECT = {
    "nets.py": """
        import torch.nn as nn

        class Net(nn.Module):
            \"\"\"A net.\"\"\"
            def __init__(self, width: int, act="relu", dropout=0.1, head=None):
                raise RuntimeError("read, not run")
    """,
    "train.py": """
        import nets, torch
        import torch.optim

        def build(config):
            model = getattr(nets, config["model"]["type"])(**config["model"]["args"])
            return model, getattr(torch.optim, config["optimizer"]["type"])(model.parameters())
    """,
}
SPELLINGS = {
    "type and args": {
        "model": {"type": "Net", "args": {"width": 8}},
        "optimizer": {"type": "Adam", "args": {"lr": 0.1, "weight_decay": 0}},
    },
    "inline": {"model": {"type": "Net", "width": 8}, "optimizer": {"type": "Adam", "lr": 0.1, "weight_decay": 0}},
    "target and params": {
        "model": {"target": "nets.Net", "params": {"width": 8}},
        "optimizer": {"target": "torch.optim.Adam", "params": {"lr": 0.1, "weight_decay": 0}},
    },
    "hydra": {
        "model": {"_target_": "nets.Net", "width": 8},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.1, "weight_decay": 0},
    },
    "lightning": {
        "model": {"class_path": "nets.Net", "init_args": {"width": 8}},
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1, "weight_decay": 0}},
    },
    "side by side": {
        "model_type": "Net",
        "model_params": {"width": 8},
        "optimizer_type": "Adam",
        "optimizer_params": {"lr": 0.1, "weight_decay": 0},
    },
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_every_spelling_means_the_same(write: Write, spelling: str, suffix: str) -> None:
    """Types and defaults are the signature's; what the caller passes is no setting."""
    folder = write({**PROJECT, f"c.{suffix}": json.dumps(SPELLINGS[spelling], indent=1)})
    document = read_config(folder / f"c.{suffix}")
    config = typed(document)
    assert (type(config.model).__name__, config.model.width, config.model.dropout) == ("Net", 8, 0.1)
    assert (config.optimizer.lr, config.optimizer.betas, config.optimizer.weight_decay) == (0.1, (0.9, 0.999), 0)
    yaml = round_trip(document, f"dicts_{suffix}")
    assert "weight_decay: 0" in yaml, "a builder's own default that the config says is said again"


def test_python_configs_have_builders_by_name_and_by_call(write: Write) -> None:
    """mmengine's dicts over a `_base_`, and lazy calls with positional arguments."""
    folder = write(
        {
            **PROJECT,
            "base.py": "model = dict(type='Net', width=8, dropout=0.5)\nlr = 0.1\n",
            "a.py": "_base_ = ['base.py']\nmodel = dict(width=16)\nsteps = 4 * 25\ntwice = {{_base_.lr}} * 2\n",
            "lazy.py": "from detectron2.config import LazyCall as L\nfrom nets import Net\n"
            "width = 8\nmodel = L(Net)(width)\nmodel.dropout = 0.2\n",
        }
    )
    config = typed(read_config(folder / "a.py"))
    assert (config.model.width, config.model.dropout, config.steps, config.twice) == (16, 0.5, 100, 0.2)
    document = read_config(folder / "lazy.py")
    assert (typed(document).model.width, typed(document).model.dropout) == (8, 0.2)
    round_trip(document, "lazy")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            {"type": "Ned", "args": {"width": 8}},
            "expected a builder, found 'Ned', which is in no source; did you mean 'Net'?",
        ),
        ({"type": "Net", "args": {"widht": 8}}, "expected a parameter of Net, found 'widht'; did you mean 'width'?"),
        ({"type": "Net", "args": {"width": "8"}}, "model.width: expected int, found '8' (str)"),
        ({"type": "Net", "args": {"width": 8, "dropout": "0.1"}}, "model.dropout: expected float, found '0.1' (str)"),
        ({"type": "Net", "args": {}}, "model.width: expected int, found nothing; Net needs it"),
    ],
)
def test_a_wrong_builder_dict_is_refused(write: Write, model: dict[str, object], expected: str) -> None:
    """Unknown tags and parameters, wrong types, what is missing: with path, line and suggestion."""
    folder = write({**PROJECT, "c.json": json.dumps({"steps": 3, "model": model}, indent=1)})
    said = errors(folder / "c.json")
    assert any(expected in line and line.startswith("c.json:") for line in said), said


def test_a_name_with_two_meanings_is_not_guessed(write: Write) -> None:
    """The import paths are listed, to choose from."""
    one = "def register(cls): return cls\n@register()\nclass Net: pass\n"
    folder = write({"one.py": one, "two.py": one, "c.json": '{"model": {"type": "Net"}}'})
    (said,) = errors(folder / "c.json")
    assert "found one.Net, two.Net" in said


def test_a_tag_that_names_no_builder_stays_text(write: Write) -> None:
    """`io: {type: disk}` is no builder where nothing is known by that name; a finding says so."""
    folder = write({**PROJECT, "c.yaml": "io:\n  type: disk\n  path: x\n"})
    document = read_config(folder / "c.yaml")
    assert typed(document).io.type == "disk"
    assert ["kept as text" in str(finding) for finding in document.findings] == [True]


def test_numbers_that_pyyaml_reads_as_text_are_findings(write: Write) -> None:
    """`1e-3` is text to PyYAML; the legacy program may have converted it, or not."""
    folder = write({"c.yaml": "lr: 1e-3\nwd: 1.0e-3\nsteps: 3\n"})
    document = read_config(folder / "c.yaml")
    assert typed(document).lr == 0.001
    assert [finding.place.line for finding in document.findings] == [1]


def test_interpolations_are_replaced_where_they_name_a_value(write: Write) -> None:
    """Absolute and relative; what only the program knows stays text, with a finding."""
    folder = write({"c.yaml": "w: 8\nm: {a: '${w}', b: '${.a}', c: '${oc.env:HOME}'}\n"})
    document = read_config(folder / "c.yaml")
    config = typed(document)
    assert (config.m.a, config.m.b, config.m.c) == (8, 8, "${oc.env:HOME}")
    assert [finding.kind for finding in document.findings] == ["interpolation"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {{_base_.x}}\n", "expected a plain key"),
        (
            "sizes: !!python/object/apply:eval ['[1]']\n",
            "expected plain YAML, found the tag !!python/object/apply:eval",
        ),
    ],
)
def test_yaml_that_is_no_plain_data_is_refused(write: Write, text: str, expected: str) -> None:
    """mmengine's references in YAML, and tags that run code when PyYAML's unsafe loader reads them."""
    assert any(expected in line for line in errors(write({"c.yaml": text}) / "c.yaml"))


def test_a_builder_that_takes_nothing_is_read_by_lightning(write: Write) -> None:
    """jsonargparse refuses a class_path for a class without fields, but in a union."""
    folder = write({"nets.py": "class Empty:\n    pass\n", "c.py": "import nets\nmodel = dict(type='nets.Empty')\n"})
    round_trip(read_config(folder / "c.py"), "empty")
