"""Recording a program in a process of its own, without touching it: through its environment."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import attrs

from lab_parity.environment import RECORDED_VARIABLE
from lab_parity.plant import start_planting
from lab_parity.record import Recorder
from lab_parity.record.capture_file import refuse_existing
from lab_parity.record.operations import Operations, operations_path
from lab_parity.record.sites import UpdateSite
from lab_parity.record.transplant import Transplant
from lab_parity.trace import End, Scope

__all__ = ["recording_environment", "start_from_environment"]

_TRACE, _SITES, _ROOT, _NESTED, _PLANT, _CAPTURE, _STATES, _UNTIL, _SCOPE, _OPERATIONS, _TRANSPLANT = (
    f"LAB_PARITY_{name}"
    for name in (
        "TRACE",
        "SITES",
        "ROOT",
        "NESTED",
        "PLANT",
        "CAPTURE",
        "STATES",
        "UNTIL",
        "SCOPE",
        "OPERATIONS",
        "TRANSPLANT",
    )
)


def recording_environment(
    path: str | os.PathLike[str],
    sites: Sequence[UpdateSite] = (),
    *,
    plant: str | None = None,
    capture: Collection[int] = (),
    states: Collection[int] = (),
    until: int | None = None,
    scope: Scope | None = None,
    operations: int | None = None,
    transplant: tuple[str | os.PathLike[str], bool] | None = None,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
    folder: str | os.PathLike[str] = ".",
) -> dict[str, str]:
    """Variables that make a subprocess (and the ranks that it starts) record itself to `path`.

    Merge them into the subprocess's environment: `{**os.environ, **recording_environment(path)}`. Rank n > 0 of a
    distributed run writes `<name>.rank<n><suffix>`. `environment` is the one that they are added to (default:
    os.environ); its PYTHONPATH is kept, after ours. `plant` plants a fault, written "name@step" (see plant).
    `capture` are steps of which full tensors are written beside the trace, `states` those of which the state after them
    is; after step `until` has been written, the
    program is ended on the spot, with exit code 0. `scope` says how much is recorded. `operations` is a step of which
    every operation is written beside the trace (see record/operations.py). `transplant` is another run's trace, whose
    state the program is given after each captured step, and whether it is given the gradients before it, too.

    `command` and `folder`, where given, are written into the trace, so that it can be made again.

    Raises FileExistsError when `path`, or a captured step of it, exists.
    """
    path = Path(path).absolute()
    refuse_existing(path)
    package = Path(__file__).parent
    before = (os.environ if environment is None else environment).get("PYTHONPATH")
    variables = {
        _TRACE: str(path),
        _SITES: json.dumps([attrs.asdict(site) for site in sites]),
        _ROOT: os.pathsep.join(dict.fromkeys([str(package.parent), *_folders_of_what_we_import()])),
        "PYTHONPATH": os.pathsep.join([str(package / "bootstrap"), *([before] if before else [])]),
    }
    source = None if transplant is None else [str(Path(transplant[0]).absolute()), transplant[1]]
    recorded = {"command": list(command), "folder": str(Path(folder).absolute()), "plant": plant, "source": source}
    wanted = {
        RECORDED_VARIABLE: json.dumps(recorded) if command else "",
        _PLANT: plant or "",
        _CAPTURE: ",".join(str(step) for step in sorted(capture)),
        _STATES: ",".join(str(step) for step in sorted(states)),
        _UNTIL: "" if until is None else str(until),
        _OPERATIONS: "" if operations is None else str(operations),
        _TRANSPLANT: "" if source is None else json.dumps(source),
        _SCOPE: "" if scope is None else json.dumps(attrs.asdict(scope)),
    }
    return variables | {name: value for name, value in wanted.items() if value}


def start_from_environment() -> None:
    """Start the recording that the environment asks for, and end it when the interpreter exits."""
    path = Path(os.environ[_TRACE])
    sites = [UpdateSite(**fields) for fields in json.loads(os.environ.get(_SITES, "[]"))]
    if os.environ.get(_PLANT):
        start_planting(os.environ[_PLANT], sites)
    # A child (a rank, a worker, a probe) writes a trace only when it trains; the outermost process always.
    nested = _NESTED in os.environ
    os.environ[_NESTED] = "1"
    capture, states = (
        [int(step) for step in os.environ.get(name, "").split(",") if step] for name in (_CAPTURE, _STATES)
    )
    last = os.environ.get(_UNTIL)

    drilled = os.environ.get(_OPERATIONS)
    operations = Operations(int(drilled), operations_path(path, int(drilled))) if drilled and not nested else None

    def stop_in_time(step: int) -> None:
        if operations is not None:
            operations.ended(step)
        if last and step >= int(last):
            recorder.stop(End("stopped", f"after step {step}, as asked"))
            _leave_now()

    scope = Scope(**json.loads(os.environ.get(_SCOPE, "{}")))
    source = json.loads(os.environ.get(_TRANSPLANT, "null"))
    transplant = None if source is None else Transplant(Path(source[0]), source[1])
    recorder = Recorder(
        path,
        sites,
        shared=True,
        capture=capture,
        states=states,
        after_step=stop_in_time,
        transplant=transplant,
        scope=scope,
    )
    recorder.start()
    if operations is not None:
        operations.start()
    atexit.register(_stop, recorder, nested)
    _stop_at_os_exit(recorder, nested)


def _leave_now() -> NoReturn:
    # No exception would do: a program may catch it, and train on.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _folders_of_what_we_import() -> list[str]:
    """For a program whose Python has torch and not all that we need."""
    names = ("attrs", "deepdiff", "numpy", "orderly_set", "pyarrow", "safetensors", "xxhash")
    found = [importlib.util.find_spec(name) for name in names]
    return [str(Path(spec.origin).parents[1]) for spec in found if spec is not None and spec.origin]


def _stop_at_os_exit(recorder: Recorder, nested: bool) -> None:
    """A program may leave through os._exit, past everything that waits for its end; so do forked children."""
    leave, process = os._exit, os.getpid()

    def leave_recorded(status: int) -> NoReturn:
        if os.getpid() == process:
            _end(recorder, nested, End("finished") if status == 0 else End("exception", f"os._exit({status})"))
        leave(status)

    os._exit = leave_recorded


def _stop(recorder: Recorder, nested: bool) -> None:
    # The interpreter leaves an uncaught exception here, whatever the program does with sys.excepthook.
    error = getattr(sys, "last_value", None)
    if isinstance(error, KeyboardInterrupt):
        end = End("signal", "KeyboardInterrupt")
    elif error is not None:
        end = End("exception", f"{type(error).__name__}: {error}")
    else:
        end = End("finished")
    _end(recorder, nested, end)


def _end(recorder: Recorder, nested: bool, end: End) -> None:
    if recorder.steps or not (nested or recorder.path.exists()):
        recorder.stop(end)
