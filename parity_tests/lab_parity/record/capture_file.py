"""Captured steps on disk: full tensors of one optimizer step, beside the trace, as safetensors.

Step 5 of `run.trace` lies in `run.step5.safetensors` (https://huggingface.co/docs/safetensors): plain bytes, nothing is
executed when it is read. A tensor's name there is the JSON list [phase, micro-step or -1, name, field, moment] with
the names of the trace; `moment` tells when it was seen:

    rng      before micro-step m; after the update (-1)     the generator's state as bytes
    batch    before   forward  before                       the arguments of the outermost forward call
    module   after                                          outputs of every module, field "call.path" (micro-step -1)
    loss     after
    grad     before and after backward pass m; before the update (-1), where no gradient is no entry
    param    before and after the update (-1); before backward pass m, where the update has moved it by then
    optimizer  the state, before and after the update (-1)
    ema      after                                          averages of the parameters, as the step found them
    buffer   before the step's first forward call, after the update (-1)

Of a step whose state alone is kept, `run.state5.safetensors` has what a run needs to go on from it (see transplant.py):
param, optimizer, buffer, ema and rng after the update.

The file's metadata `lab_parity.capture` (JSON) holds what is no tensor: see `CapturedStep`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import attrs
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lab_parity.errors import TraceError
from lab_parity.ranks import processes_beside, ranks_beside

__all__ = [
    "CapturedStep", "Key5", "ModuleFacts", "capture_path", "captures_beside", "kind_of", "read_capture",
    "refuse_existing", "state_path", "states_beside", "write_capture",
]  # fmt: skip

VERSION = "1"
_HEAD = "lab_parity.capture"


class Key5(NamedTuple):
    """What a captured tensor is: a trace's key, and the moment ("before" or "after") at which it was seen."""

    phase: str
    micro: int
    name: str
    field: str
    moment: str


@attrs.frozen(slots=True)
class ModuleFacts:
    """One module: its class, its settings in words (`extra_repr`), its mode; `called` in a call that was training.

    `beside`: called beside the training, or of no model of the step's optimizer; see record/modes.py. `held`: the
    numbers that it held before the step's first call (JSON; see record/held.py). `layout`:
    how its outputs lie in memory (see record/layout.py).
    """

    name: str
    kind: str
    settings: str
    training: bool
    called: bool = True
    beside: bool = False
    held: str = "{}"
    layout: str = ""


@attrs.frozen(slots=True, eq=False)
class CapturedStep:
    """One captured step. `hyper` is by parameter; `optimizer` is the label that the trace gives, `kind` the class.

    `held` are the numbers that the optimizer's object held before the update (JSON; see record/held.py), `sparse` the
    parameters whose gradients were sparse, `calls` the modules' calls, (micro-step, module, which of its calls), in the
    order in which they ended.
    """

    step: int
    optimizer: str
    kind: str
    micro_steps: int
    hyper: Mapping[str, Mapping[str, Any]]
    modules: Sequence[ModuleFacts]
    tensors: Mapping[Key5, Tensor]
    notes: Sequence[str] = ()
    held: str = "{}"
    sparse: Sequence[str] = ()
    calls: Sequence[tuple[int, str, int]] = ()


def kind_of(optimizer: Any) -> str:
    """The class, as a captured step names it."""
    return f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"


def capture_path(trace: Path, step: int) -> Path:
    """Where step `step` of the run whose trace is `trace` is captured."""
    return trace.with_name(f"{trace.stem}.step{step}.safetensors")


def state_path(trace: Path, step: int) -> Path:
    """Where the state after step `step` is kept, where it alone was asked for."""
    return trace.with_name(f"{trace.stem}.state{step}.safetensors")


def captures_beside(trace: Path) -> dict[int, Path]:
    """The captured steps of a trace: step -> file."""
    return _beside(trace, "step")


def states_beside(trace: Path) -> dict[int, Path]:
    """The steps of a trace after which the state is known: step -> file."""
    return _beside(trace, "state") | captures_beside(trace)


def _beside(trace: Path, kind: str) -> dict[int, Path]:
    pattern = re.compile(re.escape(trace.stem) + rf"\.{kind}(\d+)\.safetensors")
    folder = trace.parent
    found = (pattern.fullmatch(path.name) for path in (folder.iterdir() if folder.is_dir() else ()))
    return {int(match[1]): folder / match[0] for match in sorted(filter(None, found), key=lambda m: int(m[1]))}


def refuse_existing(trace: Path) -> None:
    """Raise FileExistsError where a trace, one of a further rank, or a captured step of one, is there already."""
    traces = [*ranks_beside(trace).values(), *processes_beside(trace)]
    for path in (*traces, *(capture for found in traces for capture in states_beside(found).values())):
        if path.exists():
            raise FileExistsError(
                f"{path} exists; a recording never overwrites another. Remove it or choose another path."
            )


def write_capture(path: Path, captured: CapturedStep) -> None:
    """Write a captured step; a file that is there is never overwritten (FileExistsError)."""
    if path.exists():
        raise FileExistsError(f"{path} exists; a capture never overwrites another. Remove it or choose another path.")
    head = {
        "version": VERSION, "step": captured.step, "optimizer": captured.optimizer, "kind": captured.kind,
        "micro_steps": captured.micro_steps, "hyper": captured.hyper, "notes": list(captured.notes),
        "held": captured.held, "sparse": list(captured.sparse), "calls": list(captured.calls),
        "modules": [attrs.asdict(module) for module in captured.modules],
    }  # fmt: skip
    tensors = {json.dumps(key): tensor for key, tensor in captured.tensors.items()}
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file(tensors, unfinished, metadata={_HEAD: json.dumps(head)})
    os.replace(unfinished, path)


def read_capture(path: Path) -> CapturedStep:
    """Read a captured step. Raises TraceError when the file is missing, is no capture, or is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads((file.metadata() or {})[_HEAD])
            tensors = {Key5(*json.loads(name)): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if head["version"] != VERSION:
            raise TraceError(f"{path}: capture version {head['version']}, this program reads version {VERSION}.")
        return CapturedStep(
            int(head["step"]), str(head["optimizer"]), str(head["kind"]), int(head["micro_steps"]), head["hyper"],
            [ModuleFacts(**facts) for facts in head["modules"]], tensors, head["notes"],
            head.get("held", "{}"), head.get("sparse", ()),
            [(micro, name, number) for micro, name, number in head.get("calls", ())],
        )  # fmt: skip
    except FileNotFoundError:
        raise TraceError(f"{path}: no such capture. Make it with: lab-migrate record --capture step=K") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TraceError(f"{path}: is no capture, or is damaged ({error}). Record the step again.") from error
