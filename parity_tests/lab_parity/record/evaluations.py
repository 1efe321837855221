"""What the program's models say between two steps without a graph: evaluations, samples, a teacher's answers.

No update comes of an evaluation, and yet a migrated run that forgets eval(), or evaluates other weights, is not the
legacy one to those who read its metrics. All calls between two steps are one observation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any, cast

import attrs
import torch
from torch import nn

from lab_parity.device_digest import Pending, pending_digest
from lab_parity.digest import digest_bytes
from lab_parity.keys import Key
from lab_parity.record.fingerprint import digest_of, settled_rows
from lab_parity.record.notes import Notes
from lab_parity.record.phases.batch import tensors_in
from lab_parity.trace import Row

__all__ = ["Evaluated", "Evaluations"]

_MOST = 1024
"""Calls between two steps of which the tensors are looked at; others are counted. Text is sampled token by token."""
_NAME = "calls without a graph"


@attrs.define(slots=True, eq=False)
class Evaluated:
    """Calls since a step: how many, and the digests of the tensors that went in or came out."""

    calls: int = 0
    inputs: list[bytes] = attrs.field(factory=list)
    outputs: list[bytes] = attrs.field(factory=list)

    def rows(self) -> list[Row]:
        """How many there were, what went in and what came out; nothing where there was none."""
        if not self.calls:
            return []
        made = [Row(Key("evaluation", -1, _NAME, "count"), digest_bytes(str(self.calls).encode()), float(self.calls))]
        for field, digests in (("inputs", self.inputs), ("outputs", self.outputs)):
            made.append(Row(Key("evaluation", -1, _NAME, field), _whole(digests)))
        return made

    def texts(self) -> dict[str, str]:
        """The same as texts: the number of calls, and two digests in hex."""
        return {
            row.key.field: row.digest.hex() if row.value is None else f"{row.value:g}"
            for row in settled_rows(self.rows())
        }


class Evaluations:
    """Collects them. A module without parameters (a loss, a metric) is none: the other side may write a function."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._evaluated = Evaluated()
        self._outermost: dict[int, nn.Module] = {}

    @property
    def inside(self) -> bool:
        """Whether a call is under way in this thread, which those in it belong to."""
        return bool(self._outermost) and get_ident() in self._outermost

    def enter(self, module: nn.Module) -> None:
        """A module is called without a graph."""
        if next(module.parameters(), None) is not None:
            self._outermost[get_ident()] = module

    def leave(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any], result: Any) -> None:
        """A module's call has ended; `result` is None where it has raised."""
        if not self._outermost or self._outermost.get(get_ident()) is not module:
            return
        del self._outermost[get_ident()]
        self._evaluated.calls += 1
        if self._evaluated.calls <= _MOST:
            self._notes.guard(self._look, args, kwargs, result)

    def take(self) -> Evaluated:
        """What has been called since the last time."""
        taken, self._evaluated = self._evaluated, Evaluated()
        return taken

    def give_back(self, taken: Evaluated) -> None:
        """What was taken belongs to the step that is still to come."""
        now = self._evaluated
        self._evaluated = Evaluated(
            taken.calls + now.calls, [*taken.inputs, *now.inputs], [*taken.outputs, *now.outputs]
        )

    def _look(self, args: Any, kwargs: Mapping[str, Any], result: Any) -> None:
        seen = self._evaluated
        for digests, thing in ((seen.inputs, (args, kwargs)), (seen.outputs, result)):
            for _, tensor in tensors_in(thing):
                # A quantised model's answers, say, have no bits of their own, which takes nothing from the training.
                with suppress(TypeError, RuntimeError):
                    digests.append(digest_of(tensor))


def _whole(digests: Sequence[bytes | Pending]) -> bytes:
    """One digest of many, or a stand-in for it: nothing waits for a device."""
    waiting = [digest for digest in digests if isinstance(digest, Pending)]
    if not waiting:
        return digest_bytes(b"".join(digest for digest in digests if isinstance(digest, bytes)))
    device = waiting[0].halves.device
    halves = [
        digest.halves.to(device)
        if isinstance(digest, Pending)
        else torch.frombuffer(bytearray(digest), dtype=torch.int64).to(device, non_blocking=True)
        for digest in digests
    ]
    about = b"".join(digest.about for digest in waiting)
    return cast(bytes, Pending(pending_digest(torch.stack(halves)).halves, about))
