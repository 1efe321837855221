"""What `scan` and `convert` have to say about a line of a user's project, as data."""

from __future__ import annotations

import ast
import enum

import attrs


def shown(node: ast.AST, most: int = 60) -> str:
    """A piece of code in one line of a message; where it was cut, it ends with `…`."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


class Status(enum.StrEnum):
    """How far a finding went, from harmless to impossible."""

    SAFE = "safe"  #: applied; cannot change numerics
    REVIEW = "review"  #: applied; may change numerics, so verify
    MANUAL = "manual"  #: not applied; a person must do it
    UNSUPPORTED = "unsupported"  #: not applied; cannot be migrated as it stands


@attrs.frozen(order=True)
class Finding:
    """One thing to say about one place.

    `path` is relative to the project's root, `line` and `column` count from 1 (0: the whole file).
    `next_step` tells the reader what to do, in the imperative; it is never empty for MANUAL and UNSUPPORTED.
    """

    path: str
    line: int
    column: int
    code: str = attrs.field(validator=attrs.validators.matches_re(r"LM\d{3}"))
    status: Status = attrs.field(converter=Status)
    message: str
    next_step: str = ""

    def __attrs_post_init__(self) -> None:
        if self.status in (Status.MANUAL, Status.UNSUPPORTED) and not self.next_step:
            raise ValueError(f"{self.code} at {self.path}:{self.line}: a {self.status} finding needs a next step")

    @property
    def place(self) -> str:
        """`path:line:column`, clickable in most terminals."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path
