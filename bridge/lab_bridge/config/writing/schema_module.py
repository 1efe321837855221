"""A schema as a Python module of attrs classes, to be kept and edited; it needs nothing but attrs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab_bridge.config.places import Place
from lab_bridge.config.schema import Builder, Parameter, Schema
from lab_bridge.config.types import OWN, REQUIRED

__all__ = ["schema_module_text"]

_WIDTH = 110
_OWN = '''class Own(enum.Enum):
    """Left to the builder, or left out."""

    OWN = "OWN"


OWN = Own.OWN
'''
_FACTORY = """T = TypeVar("T")
#: A builder that is not called before its caller has the rest of its arguments.
Factory = Annotated[T, "factory"]
"""


def schema_module_text(schema: Schema, root: str, source: str, base: Path | None = None) -> str:
    """The text of a module with one class for every section and builder, those that others need first.

    `source` is what it was made from; places are written relative to `base`.
    """
    order = list(_ordered(schema, root, []))
    body = "\n\n".join(_class(schema.builders[name], schema, base) for name in order)
    types = " ".join(p.type for name in order for p in schema.builders[name].parameters)
    has_own = "OWN" in body or re.search(r"\bOwn\b", types) is not None
    typing = [name for name in ("Annotated", "Any", "ClassVar", "Literal", "TypeVar") if _imports(name, types, body)]
    abstract = [name for name in ("Mapping", "Sequence") if re.search(rf"\b{name}\[", types)]
    lines = [
        f'"""The config of {source}, as `lab-migrate config schema` read it; yours to keep and edit."""\n',
        "from __future__ import annotations\n",
        *(["import enum"] if has_own else []),
        *([f"from collections.abc import {', '.join(abstract)}"] if abstract else []),
        *([f"from typing import {', '.join(typing)}"] if typing else []),
        "" if (has_own or abstract or typing) else None,
        "import attrs\n",
        f"\n{_OWN}" if has_own else None,
        f"\n{_FACTORY}" if "Factory[" in types else None,
    ]
    return "\n".join(line for line in lines if line is not None) + f"\n\n{body}\n"


def _imports(name: str, types: str, body: str) -> bool:
    if name in ("Annotated", "TypeVar"):
        return "Factory[" in types
    return re.search(rf"\b{name}\b", types) is not None or (name == "ClassVar" and "ClassVar[" in body)


def _ordered(schema: Schema, name: str, seen: list[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.append(name)
    for parameter in schema.builders[name].parameters:
        for used in re.findall(r"[A-Za-z_]\w*", parameter.type):
            if used in schema.builders:
                yield from _ordered(schema, used, seen)
    yield name


def _class(builder: Builder, schema: Schema, base: Path | None) -> str:
    head = f"@attrs.frozen(kw_only=True)\nclass {builder.name}:\n"
    lines = [f'    """{_doc(builder, base)}"""', ""]
    if not builder.section:
        lines += [f"    target: ClassVar[str] = {_quoted(builder.builds or builder.target)}", ""]
    if builder.supplied:
        lines += [f"    # passed by whoever builds it: {', '.join(builder.supplied)}"]
    shown = [parameter for parameter in builder.parameters if parameter.name not in builder.supplied]
    lines += [_field(parameter, builder, schema, base) for parameter in shown]
    while lines and not lines[-1]:
        lines.pop()
    return head + "\n".join(lines) + "\n"


def _doc(builder: Builder, base: Path | None) -> str:
    where = _place(builder.place, base)
    said = builder.doc.replace("\\", "\\\\").replace('"""', "'''").strip()
    if builder.section:
        return f"{said}{f' From {where}.' if where else ''}"
    first = f"{said}{'' if said.endswith('.') else '.'}" if said else f"{builder.name}."
    built = textwrap.fill(f"Builds `{builder.builds or builder.target}`{f', {where}' if where else ''}.", _WIDTH)
    return f"{textwrap.shorten(first, _WIDTH - 8)}\n\n{textwrap.indent(built, '    ')}\n    "


def _field(parameter: Parameter, builder: Builder, schema: Schema, base: Path | None) -> str:
    default = _default(parameter.default, schema)
    line = f"    {parameter.name}: {parameter.type}{f' = {default}' if default else ''}"
    said = " ".join(parameter.doc.split())
    where = _place(parameter.place, base) if parameter.place.file and builder.section else ""
    own = f"{parameter.shown}" if parameter.shown and parameter.default is OWN else ""
    comment = " ".join(filter(None, (where, own and f"own default: {own};", said))).rstrip(";")
    if not comment:
        return line
    comment = textwrap.shorten(comment, 100, placeholder=" …")
    if len(line) + len(comment) + 4 <= _WIDTH:
        return f"{line}  # {comment}"
    return f"    # {comment}\n{line}"


def _default(value: Any, schema: Schema) -> str:
    if value is REQUIRED:
        return ""
    if value is OWN:
        return "OWN"
    builder = schema.builder_of(value)
    if builder is not None:
        changed = _changed(value, builder)
        if not changed:
            return f"attrs.field(factory={builder.name})"
        arguments = ", ".join(f"{name}={_literal(inner, schema)}" for name, inner in changed.items())
        return f"attrs.field(factory=lambda: {builder.name}({arguments}))"
    if isinstance(value, dict):
        return "attrs.field(factory=dict)" if not value else f"attrs.field(factory=lambda: {_literal(value, schema)})"
    if isinstance(value, list):
        return "attrs.field(factory=list)" if not value else f"attrs.field(factory=lambda: {_literal(value, schema)})"
    return _literal(value, schema)


def _literal(value: Any, schema: Schema) -> str:
    if value is OWN:
        return "OWN"
    builder = schema.builder_of(value)
    if builder is not None:
        inner = ", ".join(f"{name}={_literal(one, schema)}" for name, one in _changed(value, builder).items())
        return f"{builder.name}({inner})"
    if isinstance(value, tuple):
        return f"({', '.join(_literal(item, schema) for item in value)}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(_literal(item, schema) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_literal(inner, schema)}' for key, inner in value.items())}}}"
    if isinstance(value, float) and value != value:
        return 'float("nan")'
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f'float("{value}")'
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """A text as formatters want it."""
    spelled = repr(text)
    return spelled if '"' in text or "\\" in spelled else f'"{spelled[1:-1]}"'


def _changed(value: Any, builder: Builder) -> dict[str, Any]:
    """The parameters of a config that have not their default."""
    given = [(p, getattr(value, p.name)) for p in builder.parameters if p.name not in builder.supplied]
    return {p.name: inner for p, inner in given if p.default is REQUIRED or not _same(inner, p.default)}


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _place(place: Place, base: Path | None) -> str:
    if not place.file:
        return ""
    path = Path(place.file)
    path = path.resolve() if path.is_file() else path
    if base is not None and path.is_absolute():
        try:
            path = path.relative_to(base.resolve())
        except ValueError:
            path = Path(*path.parts[-3:])
    return f"{path.as_posix()}:{place.line}" if place.line else path.as_posix()
