"""What a config cannot say is refused: every error at once, each with its path, its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_bridge.config import ConfigErrors, Severity, read_config, typed

VALID = """Trainer.model = @Model
Trainer.objective = @Classifier()
Trainer.optimizer = @Adam
Trainer.loader = @Loader
Trainer.steps = 3
Loader.dataset = @Digits()
Loader.batch_size = 8
Model.input_shape = (1, 8, 8)
Model.blocks = [@Conv(), @SelfAttention()]
Conv.channels = 4
"""


def said(folder: Path, *lines: str, name: str = "c.gin", text: str = VALID) -> list[str]:
    """The errors of a valid config with further lines, from line 11 on."""
    path = folder / name
    path.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ConfigErrors) as error:
        typed(read_config(path))
    errors = [problem for problem in error.value.problems if problem.severity == Severity.ERROR]
    return [str(problem).replace(f"{folder}/", "") for problem in errors]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Conv.chanels = 3", "c.gin:11: expected a parameter of Conv, found Conv.chanels; did you mean 'channels'?"),
        ("Cnov.channels = 3", "c.gin:11: expected a registered builder, found 'Cnov'; did you mean 'Conv'?"),
        ("Conv.kernel = 3.7", "c.gin:11: model.blocks[0].kernel: expected int, found 3.7 (float)"),
        ("Conv.kernel = '3'", "c.gin:11: model.blocks[0].kernel: expected int, found '3' (str)"),
        ("Conv.kernel = True", "c.gin:11: model.blocks[0].kernel: expected int, found True (bool)"),
        ("SelfAttention.causal = 'false'", "expected bool, found 'false' (str)"),
        ("Adam.betas = '33'", "c.gin:11: optimizer.betas: expected 2 values (float, float), found '33' (str)"),
        ("Adam.betas = (0.9, 0.9, 0.9)", "optimizer.betas: expected 2 values (float, float), found a list of 3"),
        ("Trainer.optimizer = @Adam()", "leave out the parentheses: @Adam"),
        ("Model.blocks = [@Conv]", "c.gin:11: model.blocks[0]: expected a Block, found its builder, @Conv; call it"),
        ("Model.blocks = [@Digits()]", "model.blocks[0]: expected a Block, found Digits"),
        ("Trainer.steps = %STEPZ", "c.gin:11: expected a macro that is defined, found %STEPZ"),
        ("Trainer.steps = ", "c.gin:11: expected a gin statement"),
        ("include 'nowhere.gin'", "c.gin:11: expected a config file, found no nowhere.gin"),
        ("Model.blocks = [@x/gin.singleton()]", "expected a binding of x/gin.singleton.constructor, found none"),
        ("Residual.layers = [@Residual()]\nModel.blocks = [@Residual()]", "found Residual → Residual"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(tmp_path: Path, line: str, expected: str) -> None:
    """No silent coercion, no unknown name, no factory in place of its product."""
    assert any(expected in problem for problem in said(tmp_path, line))


def test_every_error_comes_at_once(tmp_path: Path) -> None:
    """Syntax, names, types and what is missing, from one reading."""
    lines = ["Conv.kernel = 'x'", "Adm.lr = 3", "Trainer.seed = = 3", "Trainer.log_every = 1.5", "Model.blockz = []"]
    places = [problem.split(": ")[0] for problem in said(tmp_path, *lines)]
    assert sorted(places) == [f"c.gin:{line}" for line in (11, 12, 13, 14, 15)]


def test_a_required_parameter_that_nothing_binds_is_missing(tmp_path: Path) -> None:
    """At the reference that builds it."""
    text = VALID.replace("Conv.channels = 4\n", "")
    (problem,) = said(tmp_path, text=text)
    assert problem == "c.gin:9: model.blocks[0].channels: expected int, found nothing; Conv needs it"


def test_an_unknown_class_path_and_a_repeated_key_in_yaml_are_refused(tmp_path: Path) -> None:
    """An unknown tag is an unknown tag, not a missing field."""
    start = "model:\n  class_path: legacy_lab.blocks.model.Model\n  init_args:\n    input_shape: [4]\n    blocks:\n"
    unknown = said(tmp_path, name="c.yaml", text=f"{start}    - class_path: legacy_lab.blocks.conv.Cnov\nsteps: 3\n")
    assert any(
        "c.yaml:6: model.blocks[0]: expected a registered builder" in line and "conv.Conv" in line for line in unknown
    )
    (repeated,) = said(tmp_path, name="c.yaml", text="steps: 3\nsteps: 4\n")
    assert "c.yaml:2: expected each key once, found 'steps'" in repeated


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.blocks[1].heads=4.0", "model.blocks[1].heads: expected int, found 4.0 (float)"),
        ("model.blocks[1].headz=4", "expected a parameter of SelfAttention, found 'headz'; did you mean 'heads'?"),
        ("model.blocks[7].heads=4", "expected an index below 2, found 7"),
        ("model.blocks[1].heads", "expected PATH=VALUE"),
        ("model..x=4", "expected a path like model.blocks[2].heads"),
    ],
)
def test_an_override_passes_the_same_checks(tmp_path: Path, override: str, expected: str) -> None:
    """The place is the override itself."""
    path = tmp_path / "c.gin"
    path.write_text(VALID, encoding="utf-8")
    with pytest.raises(ConfigErrors) as error:
        typed(read_config(path, overrides=[override]))
    assert f"--set {override}" in str(error.value)
    assert expected in str(error.value)
    assert typed(read_config(path, overrides=["model.blocks[1].heads=2"])).model.blocks[1].heads == 2


OWN_LOADER = """import gin
import legacy_lab

@gin.configurable
class Endless:
    def __init__(self, size: int = 4):
        self.size = size
    def next_batch(self): ...
    def state(self): ...
    def load_state(self, state): ...

@gin.configurable
class Half:
    def next_batch(self): ...
"""


@pytest.mark.parametrize(
    "lines",
    [
        ("Trainer.loader = @Mixture", "Mixture.loaders = [@Loader()]", "Mixture.start = (1.0,)",
         "Mixture.end = (1.0,)", "Mixture.steps = 3"),
        ("Trainer.loader = @Epochs", "Epochs.batches = @torch_loader()", "torch_loader.dataset = @Digits()",
         "torch_loader.batch_size = 4"),
        ("Trainer.loader = @Prefetch", "Prefetch.loader = @Loader()"),
        ("Trainer.loader = @Endless", "Endless.size = 3"),
        ("Trainer.eval_loader = @Endless",),
        ("Trainer.optimizer = @SAM", "SAM.inner = @Adam"),
        ("Trainer.optimizer = @Lookahead", "Lookahead.inner = @SGD"),
        ("Trainer.optimizer = @Several", "Several.optimizers = {'blocks': @Adam}"),
    ],
)  # fmt: skip
def test_whatever_plays_a_role_may_stand_there(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """A trainer asks for what deals out batches and for what takes steps, whatever class that is."""
    (tmp_path / "own.py").write_text(OWN_LOADER, encoding="utf-8")
    (tmp_path / "c.gin").write_text(VALID + "\n".join(lines) + "\n", encoding="utf-8")
    assert type(typed(read_config(tmp_path / "c.gin"))).__name__ == "Trainer"


def test_what_lacks_a_method_of_its_role_is_refused(tmp_path: Path) -> None:
    """A loader that cannot say where it stands; an optimizer where another is to be built around one of Lab's."""
    (tmp_path / "own.py").write_text(OWN_LOADER, encoding="utf-8")
    assert any("expected a BatchSource, found Half" in line for line in said(tmp_path, "Trainer.loader = @Half"))
    lines = said(tmp_path, "Trainer.optimizer = @Lookahead", "Lookahead.inner = @SAM", "SAM.inner = @Adam")
    assert any("expected an Optimizer, found SAM" in line for line in lines)
