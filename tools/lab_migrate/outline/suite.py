"""Where the parts of a loop stand in its file's bytes: header, body, the comments after it, `else:`."""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis.sources import Module

__all__ = ["Suite"]


@attrs.frozen(eq=False)
class Suite:
    """A loop's header and body; places are byte offsets, lines count from 1."""

    module: Module
    loop: ast.For | ast.While

    @property
    def newline(self) -> str:
        """How the file ends its lines."""
        return "\r\n" if self.module.lines[0].endswith(b"\r\n") else "\n"

    @property
    def indent(self) -> str:
        """What stands before the loop on its line."""
        return self._blanks(self.loop.lineno)

    @property
    def body_indent(self) -> str:
        """What stands before the body's first statement."""
        first = self.loop.body[0].lineno
        return self.indent + "    " if first == self.header_end_line else self._blanks(first)

    @property
    def colon(self) -> int:
        """Where the header's colon stands: behind its expression, closing brackets, comments and line ends."""
        data = self.module.text.encode()
        last = self.loop.iter if isinstance(self.loop, ast.For) else self.loop.test
        at = self.module.end(last)
        while data[at : at + 1] != b":":
            if data[at : at + 1] == b"#":
                at = data.index(b"\n", at)
            at += 1
        return at

    @property
    def header_end_line(self) -> int:
        """The line of the colon."""
        colon = self.colon
        line = self.loop.lineno
        while self.module.offset(line, 0) + len(self.module.lines[line - 1]) <= colon:
            line += 1
        return line

    @property
    def last_line(self) -> int:
        """The last line of the body, with comments that are indented like it."""
        last = self.loop.body[-1].end_lineno or self.loop.lineno
        lines = self.module.lines
        line = last
        while line < len(lines):
            text = lines[line].decode()
            stripped = text.strip()
            if stripped.startswith("#") and len(text) - len(text.lstrip()) >= len(self.body_indent):
                last = line + 1
            elif stripped:
                break
            line += 1
        return last

    @property
    def else_span(self) -> tuple[int, int]:
        """First byte and byte after the last of `else:`, in a loop that has one."""
        line = (self.loop.body[-1].end_lineno or 0) + 1
        while not self.module.lines[line - 1].lstrip().startswith(b"else"):
            line += 1
        text = self.module.lines[line - 1]
        at = self.module.offset(line, len(text) - len(text.lstrip()))
        return at, self.module.text.encode().index(b":", at) + 1

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """First byte of a node, decorators left out, and the byte after its last."""
        return self.module.offset(node.lineno, node.col_offset), self.module.end(node)

    def _blanks(self, line: int) -> str:
        text = self.module.lines[line - 1].decode()
        return text[: len(text) - len(text.lstrip(" \t\f"))]
