"""What a comparison says, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Coverage", "Divergence", "Verdict"]

_EXIT_CODES = {"identical": 0, "within-noise": 0, "equivalent": 0, "diverged": 1, "inconclusive": 3}


@attrs.frozen(slots=True)
class Coverage:
    """How much was compared. Counts are of pairs: one observation on both sides.

    Over several ranks, steps are those that all ranks have, and the rest is of all ranks together. Over several seeds
    nothing is a pair: `seeds` are the runs of both sides, steps those of each run, observations all losses and metrics,
    and `tensors` the parameters whose updates' sizes were compared.
    """

    steps: int = 0
    micro_steps: int = 0
    tensors: int = 0
    batches: int = 0
    rng_states: int = 0
    observations: int = 0
    unmatched: tuple[str, ...] = ()
    not_exercised: tuple[str, ...] = ()
    ranks: int = 1
    seeds: tuple[int, int] = (0, 0)

    def lines(self) -> list[str]:
        """What was compared, for a person."""
        if any(self.seeds):
            updates = f"the sizes of {self.tensors} tensors' updates" if self.tensors else "no sizes of updates"
            return [
                f"{self.seeds[0]} and {self.seeds[1]} runs of {self.steps} steps,",
                f"{self.observations} losses and metrics, the settings, {updates}",
            ]
        return [
            f"{self.steps} steps, {self.micro_steps} micro-steps, {self.tensors} tensors,",
            f"{self.batches} batch tensors, {self.rng_states} generator states",
        ]


@attrs.frozen(slots=True)
class Divergence:
    """The first difference in causal order. `step`, `micro_step` and `rank` count from 0; values where known."""

    step: int
    micro_step: int | None
    phase: str
    tensor: str
    what: str
    a: float | None = None
    b: float | None = None
    rank: int | None = None

    def sentence(self) -> str:
        """One sentence for a person."""
        rank = f"on rank {self.rank} " if self.rank is not None else ""
        where = f"step {self.step}" + (f", micro-step {self.micro_step}" if self.micro_step is not None else "")
        values = f" ({self.a!r} against {self.b!r})" if self.a is not None and self.b is not None else ""
        about = f", {self.tensor}" if self.tensor else ""
        return f"First difference {rank}at {where}, phase {self.phase}{about}: {self.what}{values}."


@attrs.frozen(slots=True)
class Verdict:
    """The strongest rung that holds, with everything that a reader needs to believe it.

    `tolerance` is the largest difference that counted as equal (0 = bitwise). `affected` counts, per phase, how many
    observations of the first differing step differ; `environment` maps what differs to both sides' values.
    """

    rung: str
    coverage: Coverage
    first: Divergence | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    affected: Mapping[str, int] = attrs.field(factory=dict)
    environment: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)
    details: str = ""
    tolerance: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 the same, 1 diverged, 3 inconclusive."""
        return _EXIT_CODES[self.rung]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        return {**attrs.asdict(self), "exit_code": self.exit_code}

    def __str__(self) -> str:
        """For a log or a notebook: the rung, the first difference, the reasons, what was compared, the notes."""
        covered = self.coverage
        how = f"within {self.tolerance:g}" if self.tolerance or any(covered.seeds) else "bitwise"
        lines = [self.rung.upper()]
        lines += [self.first.sentence()] if self.first is not None else []
        lines += [f"because {reason}" for reason in self.reasons]
        lines.append(f"compared: {' '.join(covered.lines())}, {how}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython shows of the last line of a cell."""
        printer.text(str(self))
