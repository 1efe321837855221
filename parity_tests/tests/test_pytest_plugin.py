"""The pytest plugin, in test runs of its own."""

from __future__ import annotations

import sys

import pytest

from lab_parity.strategies import OptimizerChoice, Training
from lab_parity.testing import TrainingsDifferError, assert_same_training

pytest_plugins = ["pytester"]

TRAINING = """
    import pytest
    import torch
    from torch import nn

    LR = 0.1

    def train(lr):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(5, 3)).square().mean().backward()
            optimizer.step()
"""


@pytest.fixture(autouse=True, scope="module")
def _everything_imported() -> None:
    """A run in this process forgets the modules that it imports, and parts of torch cannot be imported twice."""
    with pytest.raises(TrainingsDifferError):
        assert_same_training(Training(), Training(optimizer=OptimizerChoice("SGD", {"lr": 0.2, "momentum": 0.9})))


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """In this process; the plugin is loaded whether or not it is installed."""
    return pytester.runpytest_inprocess("-p", "lab_pytest.plugin", "-p", "no:cacheprovider", *arguments)


def test_a_parity_test_without_a_golden_trace_fails(pytester: pytest.Pytester) -> None:
    """Never a pass on nothing; the message says what to do."""
    pytester.makepyfile(TRAINING + "\n    @pytest.mark.parity\n    def test_it():\n        train(LR)\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no golden at goldens/*test_it.cpu.golden*--parity-record*"])


def test_a_golden_trace_is_written_and_then_compared_with(pytester: pytest.Pytester) -> None:
    """Recorded, passed, and failed after a change, with the cause in the first line and no traceback."""
    text = TRAINING + "\n    @pytest.mark.parity(capture=range(2))\n    def test_it():\n        train(LR)\n"
    path = pytester.makepyfile(text)
    run(pytester, "--parity-record").assert_outcomes(passed=1)
    goldens = sorted(file.name for file in (path.parent / "goldens").iterdir())
    assert goldens == [f"{path.stem}.test_it.cpu{end}" for end in (
        ".golden", ".step0.safetensors", ".step1.safetensors")]  # fmt: skip
    run(pytester).assert_outcomes(passed=1)
    path.write_text(path.read_text().replace("LR = 0.1", "LR = 0.1001"))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    lines = result.outlines
    first = next(number for number, line in enumerate(lines) if "_ test_it _" in line)
    assert lines[first + 1].startswith("The learning rate is 1.001 times the legacy one")
    assert not any("Traceback" in line or "plugin.py" in line for line in lines)
    assert any("write it anew with --parity-record" in line for line in lines)
    run(pytester, "--parity-record").assert_outcomes(passed=1)
    run(pytester).assert_outcomes(passed=1)


def test_a_golden_may_be_small(pytester: pytest.Pytester) -> None:
    """A digest a phase: what parted is said, its tensor and cause are not known."""
    text = TRAINING + '\n    @pytest.mark.parity(level="phase")\n    def test_it():\n        train(LR)\n'
    path = pytester.makepyfile(text)
    run(pytester, "--parity-record").assert_outcomes(passed=1)
    run(pytester).assert_outcomes(passed=1)
    (golden,) = (path.parent / "goldens").iterdir()
    assert golden.read_text().startswith('{"lab_parity.golden": 1, "level": "phase"')
    path.write_text(path.read_text().replace("LR = 0.1", "LR = 0.1001"))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["First difference at step 0, phase optimizer, *lr is 0.1 against 0.1001."])


def test_a_damaged_golden_fails_with_what_to_do(pytester: pytest.Pytester) -> None:
    """Neither a pass nor a training that differs."""
    path = pytester.makepyfile(TRAINING + "\n    @pytest.mark.parity\n    def test_it():\n        train(LR)\n")
    run(pytester, "--parity-record").assert_outcomes(passed=1)
    (golden,) = (path.parent / "goldens").iterdir()
    golden.write_text(golden.read_text().replace('"taken": 3', '"taken": 4'))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*is damaged, or was edited (its root is not that of its lines)*--parity-record*"])


def test_two_trainings_are_compared_in_one_test(pytester: pytest.Pytester) -> None:
    """`against` names the legacy one; equal passes, other fails; fixtures and parameters work as ever."""
    pytester.makepyfile(
        TRAINING
        + """
    def legacy():
        train(LR)

    @pytest.fixture
    def factor():
        return 1.0

    @pytest.mark.parametrize("extra", [1.0, 2.0])
    @pytest.mark.parity(against=legacy)
    def test_it(factor, extra, parity_device):
        assert parity_device.type == "cpu"
        train(LR * factor * extra)
    """
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["The learning rate is 2 times the legacy one*"])


def test_a_golden_trace_of_nothing_is_refused(pytester: pytest.Pytester) -> None:
    """It would pass for ever."""
    pytester.makepyfile(TRAINING + "\n    @pytest.mark.parity\n    def test_it():\n        pass\n")
    result = run(pytester, "--parity-record")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*trained nothing*"])


def test_a_device_that_is_not_there_skips(pytester: pytest.Pytester) -> None:
    """With the reason."""
    pytester.makepyfile("def test_it(parity_device):\n    assert False\n")
    result = run(pytester, "--parity-device", "mps" if sys.platform != "darwin" else "xla", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*this machine has none*"])


def test_an_assertion_of_the_training_keeps_its_traceback(pytester: pytest.Pytester) -> None:
    """It is the user's own, not a verdict."""
    pytester.makepyfile(TRAINING + "\n    @pytest.mark.parity\n    def test_it():\n        assert LR == 7\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert LR == 7*"])


def test_other_tests_never_import_torch(pytester: pytest.Pytester) -> None:
    """The plugin is loaded in every test run of whoever installed lab-migrate."""
    pytester.makepyfile("import sys\n\ndef test_it():\n    assert 'torch' not in sys.modules\n")
    result = pytester.runpytest_subprocess("-p", "lab_pytest.plugin", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


def test_methods_of_one_name_have_goldens_of_their_own(pytester: pytest.Pytester) -> None:
    """Each class's: the one that was recorded last was compared with both."""
    classes = "".join(
        f"\n    class Test{name}:\n        @pytest.mark.parity\n        def test_it(self):\n            train({rate})\n"
        for name, rate in (("Slow", 0.1), ("Fast", 0.2))
    )
    pytester.makepyfile(TRAINING + classes)
    run(pytester, "--parity-record").assert_outcomes(passed=2)
    run(pytester).assert_outcomes(passed=2)


def test_a_keyword_that_the_mark_does_not_have_is_said(pytester: pytest.Pytester) -> None:
    """With those that it has."""
    pytester.makepyfile(TRAINING + "\n    @pytest.mark.parity(levle='phase')\n    def test_it():\n        train(LR)\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*parity has no keyword levle: expected parity(against=None*"])
