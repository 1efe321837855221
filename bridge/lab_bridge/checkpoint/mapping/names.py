"""Names with wildcards: `*` stands for one part between dots, `**` for any number of parts."""

from __future__ import annotations

import re

import attrs

__all__ = ["NamePattern"]

_WILD = re.compile(r"\*\*|\*")


@attrs.frozen
class NamePattern:
    """E.g. `layers.*.fc.weight`. What the wildcards stand for is put into other patterns in the same order."""

    text: str

    @property
    def wildcards(self) -> tuple[str, ...]:
        """`*` and `**`, in order."""
        return tuple(_WILD.findall(self.text))

    def match(self, name: str) -> tuple[str, ...] | None:
        """What the wildcards stand for in `name`; None where it is another one."""
        pieces = [re.escape(piece) for piece in _WILD.split(self.text)]
        wild = {"*": r"([^.]+)", "**": r"(.+)"}
        joined = pieces[0] + "".join(wild[star] + piece for star, piece in zip(self.wildcards, pieces[1:], strict=True))
        found = re.fullmatch(joined, name)
        return found.groups() if found else None

    def fill(self, parts: tuple[str, ...]) -> str:
        """The name with the wildcards filled."""
        given = iter(parts)
        return _WILD.sub(lambda _: next(given), self.text)
