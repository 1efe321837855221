"""What a diagnosis says, and how sure it is."""

from __future__ import annotations

from typing import Any

import attrs

from lab_parity.diagnose.fit import Fit

__all__ = ["Cause"]


@attrs.frozen(slots=True)
class Cause:
    """Why two trainings part.

    `name` is the cause's file, or "unknown"; `setting` what to look at; `size` the measured number (a ratio, a value,
    a count). `fit` is how well it explains the captured tensors, None where it was read from both sides instead of
    fitted. `freedom` counts numbers that were free in the fit: of two explanations that hold, fewer is better.
    `read` says that both sides' settings show it, whatever the fit adds.
    `others` hold, too, or were tried in vain where the cause is unknown.
    """

    name: str
    sentence: str
    setting: str
    fit: Fit | None = None
    size: float | None = None
    freedom: int = 0
    read: bool = False
    affected: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    others: tuple[Cause, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it explains what was measured."""
        return self.read or self.fit is None or self.fit.holds

    @property
    def confidence(self) -> str:
        """`read` from both sides, `exact` (rounding is left), `close` (next to nothing is left) or `none`."""
        if self.name == "unknown" or not self.holds:
            return "none"
        return "read" if self.read or self.fit is None else "exact" if self.fit.exact else "close"

    def __str__(self) -> str:
        """For a log or a notebook."""
        return f"{self.sentence} [{self.name}, {self.confidence}]"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython shows of the last line of a cell."""
        printer.text(str(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        plain = attrs.asdict(self, recurse=False)
        fit = attrs.asdict(self.fit) | {"share_left": self.fit.share} if self.fit is not None else None
        others = [other.to_dict() for other in self.others]
        return plain | {"fit": fit, "others": others, "confidence": self.confidence}
