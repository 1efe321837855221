"""Every operation that torch executes during one step: name, settings, stack, fingerprints of what goes in and out.

Seen by a TorchDispatchMode, which stands below autograd: what is recorded are the kernels that run, those of the
backward pass and of the optimizer among them. An operation of the backward pass carries the stack of the forward call
that it belongs to, found by autograd's sequence numbers.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lab_parity.digest import digest_tensor
from lab_parity.errors import TraceError
from lab_parity.record.layout import layout_of

__all__ = ["Operation", "Operations", "operations_path", "read_operations"]

_VERSION = "1"
_DEPTH = 12
_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_RECORD = os.path.dirname(os.path.abspath(__file__)) + os.sep
_OURS = (_RECORD, os.path.join(os.path.dirname(_RECORD.rstrip(os.sep)), "testing.py"), "<frozen")
"""The recorder, and what calls a training for an assertion: nothing of the program's."""
_TELLING = tuple(_TORCH + part for part in ("optim", os.path.join("nn", "modules"), os.path.join("nn", "utils")))
_DULL = (os.path.join(_TORCH, "nn", "modules", "module.py"), os.path.join(_TORCH, "optim", "optimizer.py"))
_UNSET = ("empty", "new_empty", "resize_")
_OVERWRITING = ("copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_", "zero")


@attrs.frozen(slots=True)
class Operation:
    """One executed operation. `inputs` and `outputs` are fingerprints; a generator's state counts as both.

    `settings` are the arguments that are no tensors, `stack` and `forward` lines "file:line in function", innermost
    first; `forward` is that of the forward call where this belongs to a backward pass.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()
    stack: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()


def operations_path(trace: Path, step: int) -> Path:
    """Where the operations of step `step` of the run whose trace is `trace` lie."""
    return trace.with_name(f"{trace.stem}.step{step}.operations.json")


class Operations:
    """Records the operations between the ends of steps `step` - 1 and `step`; told of each step's end by `ended`."""

    def __init__(self, step: int, path: Path) -> None:
        self._step, self._path = step, path
        self._mode: _Mode | None = None

    def start(self) -> None:
        """The recording begins."""
        if self._step == 0:
            self._begin()

    def ended(self, step: int) -> None:
        """A step has been written."""
        if step == self._step - 1:
            self._begin()
        elif step == self._step:
            self.stop()

    def stop(self) -> None:
        """Write what has been seen. A second call does nothing."""
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            _write(self._path, self._step, mode.seen)

    def _begin(self) -> None:
        self._mode = _Mode()
        self._mode.__enter__()  # type: ignore[no-untyped-call]


class _Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Looks on at every operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[Operation] = []
        self._forward: dict[int, tuple[str, ...]] = {}
        self._process = os.getpid()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run it, and write down what went in and came out."""
        named = dict(kwargs or {})
        if os.getpid() != self._process:  # a loader's worker
            return func(*args, **named)
        try:
            before = self._before(func, args, named)
        except Exception:  # whatever cannot be looked at must still run
            return func(*args, **named)
        result = func(*args, **named)
        self._after(func, args, named, result, before)
        return result

    def _before(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        plain = func.overloadpacket.__name__
        given = list(zip(func._schema.arguments, args, strict=False))
        given += [(argument, named[argument.name]) for argument in func._schema.arguments if argument.name in named]
        inputs: list[str] = []
        written: list[Any] = []
        settings: list[tuple[str, str]] = []
        for argument, value in given:
            writes = argument.alias_info is not None and argument.alias_info.is_write
            found = list(_tensors(value))
            written += found if writes else []
            if not (writes and (argument.is_out or plain.startswith(_OVERWRITING))):
                inputs += [_digest(tensor) for tensor in found if _is_value(func, tensor)]
            else:  # what was there says nothing; how much is written does
                settings += [(f"shape of {argument.name}", str(list(tensor.shape))) for tensor in found]
            settings += [(f"memory of {argument.name}", way) for way in map(layout_of, found) if way]
            if not found and not isinstance(value, torch.Generator):
                settings.append((argument.name, repr(value)[:120]))
        state = _state_of(func, args, named)
        if state:
            inputs.append(state)
        return plain, inputs, written, settings, bool(state)

    def _after(self, func: Any, args: tuple[Any, ...], named: dict[str, Any], result: Any, before: Any) -> None:
        plain, inputs, written, settings, random = before
        stack = _stack()
        node = torch._C._current_autograd_node()
        forward: tuple[str, ...] = ()
        if node is None:
            self._forward[torch.autograd._get_sequence_nr() - 1] = stack
        else:
            forward = self._forward.get(node._sequence_nr(), ())
        outputs: list[str] = []
        if not plain.startswith(_UNSET):
            try:
                outputs = [_digest(tensor) for tensor in (*_tensors(result), *written) if _is_value(func, tensor)]
            except TypeError:
                return  # a tensor without bytes of its own
        if random:
            outputs.append(_state_of(func, args, named))
        self.seen.append(
            Operation(str(func), tuple(inputs), tuple(dict.fromkeys(outputs)), tuple(settings), stack, forward)
        )


def read_operations(path: Path) -> list[Operation]:
    """The operations of a step, in the order in which they ran. Raises TraceError for a damaged or missing file."""
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
        if head["version"] != _VERSION:
            raise TraceError(f"{path}: version {head['version']}, this program reads {_VERSION}. Record it again.")
        stacks = [tuple(stack) for stack in head["stacks"]]
        return [
            Operation(name, tuple(inputs), tuple(outputs), tuple((n, v) for n, v in settings), stacks[at], stacks[of])
            for name, inputs, outputs, settings, at, of in head["operations"]
        ]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise TraceError(f"{path}: no operations of a step, or damaged ({error}). Record them again.") from error


def _write(path: Path, step: int, seen: Sequence[Operation]) -> None:
    stacks: dict[tuple[str, ...], int] = {}
    rows = [
        (op.name, op.inputs, op.outputs, op.settings, stacks.setdefault(op.stack, len(stacks)),
         stacks.setdefault(op.forward, len(stacks)))
        for op in seen
    ]  # fmt: skip
    head = {"version": _VERSION, "step": step, "stacks": list(stacks), "operations": rows}
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    unfinished.write_text(json.dumps(head), encoding="utf-8")
    os.replace(unfinished, path)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)


def _is_value(func: Any, tensor: Tensor) -> bool:
    """False for a recurrent kernel's workspace, parts of which nobody has ever written."""
    return not ("rnn" in func.overloadpacket.__name__ and tensor.dtype == torch.uint8)


def _digest(tensor: Tensor) -> str:
    return digest_tensor(tensor).hex()


def _state_of(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """The fingerprint of the generator that an operation draws from; empty where it draws from none."""
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return ""
    given = next((value for value in (*args, *named.values()) if isinstance(value, torch.Generator)), None)
    if given is not None:
        return _digest(given.get_state())
    device = next((tensor.device for value in (*args, *named.values()) for tensor in _tensors(value)), None)
    device = torch.device(named.get("device") or device or "cpu")
    return _digest(torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state())


def _stack() -> tuple[str, ...]:
    """Lines of the program and of torch's optimizers and modules, innermost first; the rest of torch says nothing."""
    lines: list[str] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and len(lines) < _DEPTH:
        name = frame.f_code.co_filename
        inside = name.startswith(_TORCH)
        if not name.startswith(_OURS) and (not inside or (name.startswith(_TELLING) and name not in _DULL)):
            short = "torch/" + name[len(_TORCH) :] if inside else os.path.relpath(name)
            lines.append(f"{short}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    return tuple(lines)
