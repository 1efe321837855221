"""The scene of a divergence: both sides' histories and captured steps, under the same names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import attrs
import torch
from torch import Tensor

from lab_parity.canonical import BY_PARAMETER
from lab_parity.continued import Continued
from lab_parity.diagnose.history import History, PastStep, read_history
from lab_parity.pairing import Pairing
from lab_parity.record.capture_file import CapturedStep, Key5, ModuleFacts, captures_beside, read_capture
from lab_parity.side import Side
from lab_parity.trace import Step, Trace
from lab_parity.verdict import Divergence, Verdict

T = TypeVar("T")

__all__ = ["Pair", "Run", "Scene", "Setting", "own_step_before", "read_runs", "same_bits"]


class Pair(NamedTuple):
    """One tensor on both sides."""

    name: str
    a: Tensor
    b: Tensor


@attrs.frozen(slots=True)
class Setting:
    """A hyperparameter that differs: its values on both sides, and the parameters that it applies to."""

    name: str
    a: Any
    b: Any
    parameters: tuple[str, ...]


@attrs.frozen(eq=False)
class Run:
    """One side: its history, and the captured steps at and before the divergence, under canonical names.

    `own` is the last step before that the same optimizer took.
    """

    history: History
    now: CapturedStep | None
    before: CapturedStep | None
    own: CapturedStep | None = None

    def tensors(self, phase: str, moment: str, micro: int = -1, field: str = "") -> dict[str, Tensor]:
        """Name -> tensor of the divergent step, in the trace's order of parameters."""
        return _tensors(self.now, phase, moment, micro, field)

    def past(self, phase: str, moment: str, micro: int = -1, field: str = "") -> dict[str, Tensor]:
        """The same of the step before."""
        return _tensors(self.before, phase, moment, micro, field)

    def own_past(self, phase: str, moment: str) -> dict[str, Tensor]:
        """The same of the step before that the divergent step's optimizer took."""
        return _tensors(self.own or self.before, phase, moment, -1, "")

    @cached_property
    def state_fields(self) -> list[str]:
        """The optimizer's state fields."""
        tensors = self.now.tensors if self.now is not None else {}
        return list(dict.fromkeys(key.field for key in tensors if key.phase == "optimizer"))


@attrs.frozen(eq=False)
class Scene:
    """What a cause may look at. `a`, `legacy` and first always mean the same side.

    `shares` are the fingerprints of what the legacy ranks' batches hold where one rank's differ.
    """

    verdict: Verdict
    first: Divergence
    legacy: Run
    migrated: Run
    shares: Mapping[int, Sequence[bytes]] = attrs.field(factory=dict)
    _known: dict[str, Any] = attrs.field(factory=dict)

    def once(self, name: str, make: Callable[[Scene], T]) -> T:
        """What `make` says of this scene, worked out once."""
        if name not in self._known:
            self._known[name] = make(self)
        found: T = self._known[name]
        return found

    @property
    def captured(self) -> bool:
        """Whether both sides' divergent steps are there in full."""
        return self.legacy.now is not None and self.migrated.now is not None

    def pairs(self, phase: str, moment: str, micro: int = -1, field: str = "") -> list[Pair]:
        """Tensors of one name and shape on both sides."""
        a = self.legacy.tensors(phase, moment, micro, field)
        b = self.migrated.tensors(phase, moment, micro, field)
        return [Pair(name, a[name], b[name]) for name in a if name in b and a[name].shape == b[name].shape]

    @cached_property
    def averages_differ(self) -> bool:
        """Whether averages of the parameters, which may feed the loss, differ in the divergent step."""
        return any(not same_bits(pair.a, pair.b) for pair in self.pairs("ema", "after"))

    @cached_property
    def micro_steps(self) -> tuple[int, int]:
        """Of the divergent step, on both sides."""
        sides = (self.legacy.history.steps, self.migrated.history.steps)
        a, b = (side[self.first.step].micro_steps if self.first.step < len(side) else 0 for side in sides)
        return a, b

    @cached_property
    def settings(self) -> list[Setting]:
        """The hyperparameters that both sides have, with different values."""
        sides = (self.legacy.history.steps, self.migrated.history.steps)
        if any(self.first.step >= len(side) for side in sides):
            return []
        if sides[0][self.first.step].optimizer != sides[1][self.first.step].optimizer:
            return []  # of two optimizers
        a, b = (side[self.first.step].hyper for side in sides)
        found: dict[tuple[str, str, str], list[str]] = {}
        values: dict[tuple[str, str, str], tuple[Any, Any]] = {}
        for parameter in a:
            mine, other = a[parameter], b.get(parameter, {})
            for name in mine:
                if name in other and mine[name] != other[name]:
                    key = (name, repr(mine[name]), repr(other[name]))
                    found.setdefault(key, []).append(parameter)
                    values[key] = (mine[name], other[name])
        return [Setting(key[0], *values[key], tuple(parameters)) for key, parameters in found.items()]

    def setting(self, *names: str) -> list[Setting]:
        """Those of them that have one of the names."""
        return [setting for setting in self.settings if setting.name in names]

    def steady(self, setting: Setting) -> bool:
        """Whether that difference of a setting is the same at every later step: a constant, no course, was changed."""
        sides = (self.legacy.history.steps, self.migrated.history.steps)
        for a, b in zip(*(side[self.first.step :] for side in sides), strict=False):
            values = [step.hyper.get(setting.parameters[0], {}).get(setting.name) for step in (a, b)]
            if None not in values and values != [setting.a, setting.b]:
                return False
        return True

    def hyper(self, parameter: str, *names: str) -> Any:
        """A hyperparameter of the legacy side at the divergent step, under the first name that is there."""
        mine = self.legacy.history.steps[self.first.step].hyper.get(parameter, {})
        return next((mine[name] for name in names if name in mine), None)

    @cached_property
    def modules(self) -> list[tuple[ModuleFacts, ModuleFacts | None]]:
        """The legacy side's called modules, innermost first, each with its partner on the migrated side."""
        if self.legacy.now is None or self.migrated.now is None:
            return []
        others = {facts.name: facts for facts in self.migrated.now.modules if facts.called}
        return [(facts, others.get(facts.name)) for facts in self.legacy.now.modules if facts.called]

    @cached_property
    def micro(self) -> int:
        """The micro-step of the divergence; 0 where it belongs to the whole step."""
        return self.first.micro_step or 0

    def outputs(self, module: str, micro: int | None = None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Outputs of a module in a micro-step, else the divergent one, on both sides: "call.path" -> tensor."""
        at = self.micro if micro is None else micro
        return _outputs(self.legacy.now, module, at), _outputs(self.migrated.now, module, at)

    @cached_property
    def first_module(self) -> tuple[ModuleFacts, ModuleFacts, Tensor, Tensor] | None:
        """The innermost module, in the order of the calls, whose output differs, with both outputs.

        Where the divergence belongs to the whole step, that of its first such micro-step.
        """
        whole = self.first.micro_step is None
        partners = {facts.name: (facts, other) for facts, other in self.modules if other is not None}
        for micro in range(min(self.micro_steps)) if whole else (self.micro,):
            for name, number in self._calls(micro):
                if name not in partners:
                    continue
                outputs, others = self.outputs(name, micro)
                for field, a in outputs.items():
                    b = others.get(field)
                    ours = number is None or field.startswith(f"{number}.")
                    if ours and b is not None and not same_bits(a, b):
                        return *partners[name], a, b
        return None

    def _calls(self, micro: int) -> list[tuple[str, int | None]]:
        """The legacy side's calls of modules in their order; of a capture that does not tell them, its modules."""
        calls = self.legacy.now.calls if self.legacy.now is not None else ()
        if not calls:
            return [(facts.name, None) for facts, _ in self.modules]
        return [(name, number) for at, name, number in calls if at == micro]

    @cached_property
    def others_say_otherwise(self) -> bool:
        """Whether calls without a graph, of a teacher or a target network, gave something else."""
        sides = [run.history.keys for run in (self.legacy, self.migrated)]
        apart = {
            key.field
            for key in sides[0]
            if key.phase == "evaluation" and key in sides[1] and sides[0][key][0] != sides[1][key][0]
        }
        return "outputs" in apart and "count" not in apart


def read_runs(a: Trace, b: Trace, step: int) -> tuple[Run, Run]:
    """Both sides, under the names that the comparison gives them. Raises TraceError for a damaged file."""
    pairing, continued = Pairing(), Continued()
    for left, right in zip(a.steps(), b.steps(), strict=False):
        if not (isinstance(left, Step) and isinstance(right, Step)) or left.step > step:
            break
        left, right = continued.of(left, right)
        if left.optimizer == right.optimizer:
            pairing.of(left, right)
    labels = continued.labels
    return _read_run(a, step, pairing.a, labels[0]), _read_run(b, step, pairing.b, labels[1])


def _read_run(trace: Trace, step: int, side: Side, labels: Mapping[str, str]) -> Run:
    """One side, with what is captured beside its trace."""
    history = read_history(trace, step, side, labels)
    paths = captures_beside(Path(trace.path))
    now, before, own = (
        _canonical(read_capture(paths[number]), history.side, labels) if number in paths else None
        for number in (step, step - 1, own_step_before(history.steps, step))
    )
    return Run(history, now, before, own)


def own_step_before(steps: Sequence[PastStep], step: int) -> int:
    """The last step before one that the same optimizer took; -1 where it is the first."""
    if step >= len(steps):
        return -1
    return max((past.step for past in steps[:step] if past.optimizer == steps[step].optimizer), default=-1)


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Dtype, shape and every bit."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a.contiguous().view(-1).view(torch.uint8), b.contiguous().view(-1).view(torch.uint8))


def _tensors(captured: CapturedStep | None, phase: str, moment: str, micro: int, field: str) -> dict[str, Tensor]:
    if captured is None:
        return {}
    order = {name: place for place, name in enumerate(captured.hyper)}
    found = {
        key.name: tensor
        for key, tensor in captured.tensors.items()
        if (key.phase, key.moment, key.micro, key.field) == (phase, moment, micro, field)
    }
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def _outputs(captured: CapturedStep | None, name: str, micro: int) -> dict[str, Tensor]:
    tensors: Mapping[Key5, Tensor] = captured.tensors if captured is not None else {}
    found = {k.field: t for k, t in tensors.items() if (k.phase, k.name, k.micro) == ("module", name, micro)}
    return dict(sorted(found.items(), key=lambda item: (int(item[0].partition(".")[0]), item[0])))


def _canonical(captured: CapturedStep, side: Side, labels: Mapping[str, str]) -> CapturedStep:
    optimizer = labels.get(captured.optimizer, captured.optimizer)

    called = {facts.name: side.module(optimizer, facts.name) for facts in captured.modules}
    # A module without parameters has nothing to be renamed by, and may have the name that another one is given.
    renamed = {name for raw, name in called.items() if name != raw}
    called |= {raw: f"{raw}'" for raw, name in called.items() if name == raw and name in renamed}

    def module(name: str) -> str:
        return called[name] if name in called else side.module(optimizer, name)

    def named(key: Key5) -> Key5:
        if key.phase == "module":
            return key._replace(name=module(key.name))
        return key._replace(name=side.name(optimizer, key.name)) if key.phase in BY_PARAMETER else key

    modules = [attrs.evolve(facts, name=module(facts.name)) for facts in captured.modules]
    hyper = {side.name(optimizer, name): values for name, values in captured.hyper.items()}
    tensors = {named(key): tensor for key, tensor in captured.tensors.items()}
    sparse = [side.name(optimizer, name) for name in captured.sparse]
    calls = [(micro, module(name), number) for micro, name, number in captured.calls]
    return attrs.evolve(
        captured, optimizer=optimizer, tensors=tensors, modules=modules, hyper=hyper, sparse=sparse, calls=calls
    )
