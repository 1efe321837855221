"""Hooks and fixtures.

@pytest.mark.parity                          the test's body trains; compared with the golden trace of its name
@pytest.mark.parity(against=train_legacy)    compared with a second training, called in the same process
@pytest.mark.parity(golden="vae", level="phase", sites=[…], allow=[…], capture=range(2))
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch

    from lab_parity import Trace, UpdateSite, Verdict

_MARK = (
    "parity(against=None, golden=None, level='tensor', sites=(), allow=(), capture=()): record what the test trains; "
    "compare it with the training `against`, or with the golden of that name (default: the test's own)"
)
_KEYWORDS = {"against", "golden", "level", "sites", "allow", "capture"}
_FOLDER = "goldens"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--parity-record` and `--parity-device`."""
    group = parser.getgroup("parity", "training parity (lab-migrate)")
    group.addoption(
        "--parity-record", action="store_true",
        help="write the golden traces of the parity tests that run, in place of comparing with them",
    )  # fmt: skip
    group.addoption("--parity-device", default="cpu", metavar="DEVICE", help="what parity_device gives; default: cpu")
    parser.addini("parity_goldens", f"folder of the golden traces, relative to the test's file; default: {_FOLDER}",
                  default=_FOLDER)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """The mark."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def parity_device(request: pytest.FixtureRequest) -> torch.device:
    """The device of `--parity-device`; the test is skipped where it is not there."""
    import torch

    device = torch.device(request.config.getoption("--parity-device"))
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False):
        pytest.skip(f"--parity-device {device}: this machine has none")
    return device


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a marked test as a training."""
    mark = pyfuncitem.get_closest_marker("parity")
    if mark is None:
        return None
    if mark.args:
        raise pytest.UsageError(f"{pyfuncitem.nodeid}: @pytest.mark.parity takes keywords only: {_MARK}")
    unknown = sorted(mark.kwargs.keys() - _KEYWORDS)
    if unknown:
        pytest.fail(f"@pytest.mark.parity has no keyword {', '.join(unknown)}: expected {_MARK}", pytrace=False)
    wanted = set(pyfuncitem._fixtureinfo.argnames)
    arguments = {name: value for name, value in pyfuncitem.funcargs.items() if name in wanted}

    def train() -> None:
        pyfuncitem.obj(**arguments)

    _check(pyfuncitem, train, **mark.kwargs)
    return True


def pytest_exception_interact(node: pytest.Item, call: pytest.CallInfo[Any], report: Any) -> None:
    """The message alone: what failed is the training, not a line of the test."""
    testing = sys.modules.get("lab_parity.testing")
    if (
        testing is not None
        and call.excinfo is not None
        and isinstance(call.excinfo.value, testing.TrainingsDifferError)
    ):
        report.longrepr = str(call.excinfo.value)


def _check(
    item: pytest.Function,
    train: Callable[[], None],
    *,
    against: Callable[[], object] | None = None,
    golden: str | None = None,
    level: str = "tensor",
    sites: Sequence[UpdateSite] = (),
    allow: Collection[str] = (),
    capture: Collection[int] = (),
) -> None:
    if against is None:
        _against_golden(item, train, _golden_path(item, golden), level, sites, allow, capture)
        return
    from lab_parity import assert_same_training

    assert_same_training(against, train, sites=sites, allow=allow)


def _golden_path(item: pytest.Function, name: str | None) -> Path:
    folder = item.path.parent / str(item.config.getini("parity_goldens"))
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    plain = re.sub(r"[^\w.-]+", "_", name or ".".join([item.path.stem, *classes, item.name])).strip("_")
    device = str(item.config.getoption("--parity-device")).replace(":", "")
    return folder / f"{plain}.{device}.golden"


def _against_golden(
    item: pytest.Function, train: Callable[[], None], path: Path, level: str, sites: Sequence[UpdateSite],
    allow: Collection[str], capture: Collection[int],
) -> None:  # fmt: skip
    from lab_parity import compare
    from lab_parity.golden import compare_with_golden, level_of
    from lab_parity.report.plain import failure_text
    from lab_parity.testing import TrainingsDifferError, explain, recorded

    shown = path.relative_to(item.path.parent)
    with tempfile.TemporaryDirectory(prefix="lab-parity-") as folder:
        trace = recorded(train, Path(folder) / "run.trace", sites, capture)
        if item.config.getoption("--parity-record"):
            _keep(trace, path, level, item)
            return
        if not path.exists():
            raise TrainingsDifferError(
                f"no golden at {shown}: expected one, found none. Look at what the test trains, then write it "
                "with: pytest --parity-record"
            )
        whole = level_of(path) == "tensor"
        golden = _whole(path, Path(folder)) if whole else None
        verdict = compare_with_golden(path, trace) if golden is None else compare(golden, trace)
        if verdict.rung == "identical" or verdict.rung in allow:
            return
        cause, drill = None, None
        if golden is not None:
            cause, drill = explain((golden, train), (golden, trace), verdict, Path(folder), sites)
        raise TrainingsDifferError(f"{failure_text(verdict, cause, drill)}\ngolden: {shown}{_advice(verdict)}")


def _advice(verdict: Verdict) -> str:
    if any(name != "version.lab-migrate" for name in verdict.environment):
        return "; it was recorded in another environment, where other bits are no fault: see above"
    return "; if the change is meant, write it anew with --parity-record"


def _whole(golden: Path, folder: Path) -> Trace:
    """A golden as the trace that it was, with its captured steps beside it."""
    from lab_parity.golden import import_golden
    from lab_parity.record.capture_file import capture_path, captures_beside

    trace = import_golden(golden, folder / "golden.trace")
    for step, file in captures_beside(golden).items():
        shutil.copyfile(file, capture_path(Path(trace.path), step))
    return trace


def _keep(trace: Trace, path: Path, level: str, item: pytest.Function) -> None:
    """Write a whole run with its captured steps; an empty one is refused."""
    from lab_parity.golden import export_golden
    from lab_parity.record.capture_file import captures_beside
    from lab_parity.testing import TrainingsDifferError

    if not len(trace):
        raise TrainingsDifferError(f"{item.name} trained nothing: a golden without a step would pass on nothing")
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in (path, *captures_beside(path).values()):
        old.unlink(missing_ok=True)
    export_golden(trace, path, level)
    for file in captures_beside(Path(trace.path)).values():
        shutil.copyfile(file, path.with_name(file.name.replace(Path(trace.path).stem, path.stem, 1)))
