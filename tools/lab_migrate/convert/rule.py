"""What a rule is, what it sees, what it proposes, and where rules are found.

A rule is a module in `rules/` with `CODE`, `LEVELS`, a docstring (its `--explain` text, the first line its title)
and what it does: `propose(source) -> Proposal` changes one file; `refuse(function, loop)` yields the reasons why a
training loop cannot be outlined; a rule with neither explains what outlining itself says. Adding a rule adds a file
and touches no other.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import attrs
import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, PositionProvider, QualifiedNameProvider

from lab_migrate.convert.relatives import Relatives
from lab_migrate.findings import Finding, Status

if TYPE_CHECKING:
    from lab_migrate.analysis import Function

Node = TypeVar("Node", bound=cst.CSTNode)
#: The rule that outlines training loops; it works on the project as a whole.
OUTLINING = "LM201"
#: The rules by which each tier converts loops.
BY_TIER = {"idiomatic": "LM301", "faithful": OUTLINING}


@attrs.frozen(order=True)
class Edit:
    """Replace the bytes `[start, end)` of a file's UTF-8 text; everything outside stays as it is."""

    start: int
    end: int
    text: str


@attrs.frozen
class NewFile:
    """A file to add to the converted project; a copy of another says of which text (`copied`), and where that lies."""

    path: str
    text: str
    copied: str | None = None
    origin: str = ""


@attrs.frozen
class Proposal:
    """What a rule wants done with one file, and what it has to say."""

    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    new_files: tuple[NewFile, ...] = ()


@attrs.frozen
class Refusal:
    """Why a training loop is left as it is, at the node that stands in the way."""

    node: ast.AST
    reason: str
    next_step: str


class _Kinds(cst.CSTVisitor):
    """Nodes by their class."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Note it, and go on inside."""
        self.found.setdefault(type(node), []).append(node)
        return True


@attrs.define(slots=False)
class Source:
    """One Python file of the project, parsed on first use; rules see the original, never each other's edits.

    `relatives` says of its classes, by name, what other files do; `lightning` is the major version of pytorch-lightning
    that the project's requirements ask for, where they say so.
    """

    path: str
    text: str
    relatives: Mapping[str, Relatives] = attrs.field(factory=dict)
    lightning: int | None = None

    @cached_property
    def _wrapper(self) -> MetadataWrapper:
        return MetadataWrapper(cst.parse_module(self.text), unsafe_skip_copy=True)

    @property
    def module(self) -> cst.Module:
        """The parsed file."""
        return self._wrapper.module

    @cached_property
    def _by_kind(self) -> dict[type[cst.CSTNode], list[cst.CSTNode]]:
        visitor = _Kinds()
        self.module.visit(visitor)
        return visitor.found

    def every(self, kind: type[Node]) -> list[Node]:
        """The nodes of one class, in the order of the text; the file is walked once for all rules."""
        return [node for node in self._by_kind.get(kind, ()) if isinstance(node, kind)]

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """First and last byte (exclusive) of a node."""
        found = self._wrapper.resolve(ByteSpanPositionProvider)[node]
        return found.start, found.start + found.length

    def qualified(self, node: cst.CSTNode) -> str:
        """`package.module.Name` of a name or an attribute, as far as this file's imports tell; else an empty string."""
        found = self._wrapper.resolve(QualifiedNameProvider).get(node, ())
        # LibCST computes them late.
        return next((one.name for one in (found() if callable(found) else found)), "")

    def relatives_of(self, cls: cst.ClassDef) -> Relatives:
        """What other files say of a class."""
        return self.relatives.get(cls.name.value, Relatives())

    def finding(self, node: cst.CSTNode, code: str, status: Status, message: str, next_step: str = "") -> Finding:
        """A finding at a node."""
        start = self._wrapper.resolve(PositionProvider)[node].start
        return Finding(self.path, start.line, start.column + 1, code, status, message, next_step)

    def indentation(self, node: cst.CSTNode) -> str:
        """What stands before a node on its line, up to the first byte that is no blank."""
        start, _ = self.span(node)
        line = re.split(rb"[\r\n]", self.text.encode()[:start])[-1].decode()
        return line[: len(line) - len(line.lstrip())]


@attrs.frozen
class Rule:
    """One rule, loaded from its file."""

    code: str
    levels: frozenset[str]
    explanation: str
    propose: Callable[[Source], Proposal] | None
    refuse: Callable[[Function, ast.stmt], Iterator[Refusal]] | None = None

    @property
    def title(self) -> str:
        """The first line of its explanation."""
        return self.explanation.splitlines()[0]


def all_rules() -> list[Rule]:
    """Every rule in `rules/`, in order of code."""
    from lab_migrate.convert import rules

    found = []
    for info in pkgutil.iter_modules(rules.__path__):
        module = importlib.import_module(f"{rules.__name__}.{info.name}")
        found.append(
            Rule(
                module.CODE,
                frozenset(module.LEVELS),
                (module.__doc__ or "").strip(),
                getattr(module, "propose", None),
                getattr(module, "refuse", None),
            )
        )
    return sorted(found, key=lambda rule: rule.code)
