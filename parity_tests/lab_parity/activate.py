"""Recording a program in a process of its own, without touching it: through its environment."""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from lab_parity.plant import start_planting
from lab_parity.record import Recorder
from lab_parity.record.sites import UpdateSite
from lab_parity.trace import End

__all__ = ["recording_environment", "start_from_environment"]

_TRACE, _SITES, _ROOT, _NESTED, _PLANT = (
    f"LAB_PARITY_{name}" for name in ("TRACE", "SITES", "ROOT", "NESTED", "PLANT")
)


def recording_environment(
    path: str | os.PathLike[str],
    sites: Sequence[UpdateSite] = (),
    *,
    plant: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Variables that make a subprocess (and the ranks that it starts) record itself to `path`.

    Merge them into the subprocess's environment: `{**os.environ, **recording_environment(path)}`. Rank n > 0 of a
    distributed run writes `<name>.rank<n><suffix>`. `environment` is the one that they are added to (default:
    os.environ); its PYTHONPATH is kept, after ours. `plant` plants a fault, written "name@step" (see plant).

    Raises FileExistsError when `path` exists.
    """
    path = Path(path).absolute()
    if path.exists():
        raise FileExistsError(f"{path} exists; a recording never overwrites another. Remove it or choose another path.")
    package = Path(__file__).parent
    before = (os.environ if environment is None else environment).get("PYTHONPATH")
    variables = {
        _TRACE: str(path),
        _SITES: json.dumps([attrs.asdict(site) for site in sites]),
        _ROOT: str(package.parent),
        "PYTHONPATH": os.pathsep.join([str(package / "bootstrap"), *([before] if before else [])]),
    }
    return variables | ({_PLANT: plant} if plant else {})


def start_from_environment() -> None:
    """Start the recording that the environment asks for, and end it when the interpreter exits."""
    path = Path(os.environ[_TRACE])
    sites = [UpdateSite(**fields) for fields in json.loads(os.environ.get(_SITES, "[]"))]
    if os.environ.get(_PLANT):
        start_planting(os.environ[_PLANT], sites)
    # A child (a rank, a worker, a probe) writes a trace only when it trains; the outermost process always.
    nested = _NESTED in os.environ
    os.environ[_NESTED] = "1"
    recorder = Recorder(path, sites, shared=True)
    recorder.start()
    atexit.register(_stop, recorder, nested)


def _stop(recorder: Recorder, nested: bool) -> None:
    # The interpreter leaves an uncaught exception here, whatever the program does with sys.excepthook.
    error = getattr(sys, "last_value", None)
    if isinstance(error, KeyboardInterrupt):
        end = End("signal", "KeyboardInterrupt")
    elif error is not None:
        end = End("exception", f"{type(error).__name__}: {error}")
    else:
        end = End("finished")
    if recorder.steps or not (nested or recorder.path.exists()):
        recorder.stop(end)
