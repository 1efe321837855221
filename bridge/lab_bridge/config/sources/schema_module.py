"""A schema module read back: its attrs classes are the builders, whoever wrote them; nothing is imported."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.python.files import read_source
from lab_bridge.config.schema import Builder, Parameter, Schema
from lab_bridge.config.sources.modules import dotted
from lab_bridge.config.types import OWN, REQUIRED, TypeSpellingError, parse_type

__all__ = ["read_schema_module", "read_schema_text"]

ROOT = "Config"


def read_schema_module(path: Path) -> Schema:
    """The schema of a module of attrs classes. Raises `ConfigErrors` with every line that is no such thing."""
    try:
        text = read_source(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigErrors([Problem(Place(str(path)), "", "schema", f"expected a Python module: {error}")]) from None
    return read_schema_text(text, path.stem, str(path))


def read_schema_text(text: str, module: str, file: str = "<schema>") -> Schema:
    """The schema of such a module's text; its classes lie in `module`."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        place = Place(file, error.lineno or 0)
        raise ConfigErrors([Problem(place, "", "schema", f"expected Python: {error.msg}")]) from None
    reader = _Reader(module, file)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(_is_attrs(decorator) for decorator in node.decorator_list):
            reader.take(node)
    reader.check()
    if reader.problems:
        raise ConfigErrors(reader.problems)
    return Schema(reader.builders, {}, aliases=reader.aliases)


class _Reader:
    def __init__(self, module: str, file: str) -> None:
        self._module, self._file = module, file
        self.builders: dict[str, Builder] = {}
        self.aliases: dict[str, str] = {}
        self.problems: list[Problem] = []

    def take(self, node: ast.ClassDef) -> None:
        """Read one class; those that its defaults name stand above it."""
        target = ""
        parameters = []
        for field in node.body:
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            spelled = ast.unparse(field.annotation)
            if spelled.startswith(("ClassVar", "typing.ClassVar")):
                if field.target.id == "target" and isinstance(field.value, ast.Constant):
                    target = str(field.value.value)
                continue
            try:
                default = self._default(field.value)
            except (ValueError, TypeError, SyntaxError):
                said = ast.unparse(field.value) if field.value is not None else ""
                self._say(field, f"expected a plain default, or attrs.field(factory=…), found {said}")
                continue
            parameters.append(Parameter(field.target.id, spelled, default, place=Place(self._file, field.lineno)))
        doc = (ast.get_docstring(node) or "").split("\n")[0]
        self.builders[node.name] = Builder(
            node.name,
            f"{self._module}.{node.name}",
            f"{self._module}.{node.name}",
            tuple(parameters),
            section=not target,
            builds=target,
            doc=doc,
            place=Place(self._file, node.lineno),
        )
        if target:
            self.aliases[target] = f"{self._module}.{node.name}"

    def check(self) -> None:
        """Every type is one that configs can have."""
        schema = Schema(self.builders, {})
        for builder in self.builders.values():
            for parameter in builder.parameters:
                try:
                    parse_type(parameter.type, schema.class_named)
                except TypeSpellingError as error:
                    path = f"{builder.name}.{parameter.name}"
                    self.problems.append(Problem(parameter.place, path, "schema", str(error)))

    def _default(self, node: ast.expr | None) -> Any:
        if node is None:
            return REQUIRED
        if isinstance(node, ast.Call) and dotted(node.func) in ("attrs.field", "field", "attr.ib"):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            if "factory" in given:
                return self._made(given["factory"])
            return self._value(given["default"]) if "default" in given else REQUIRED
        return self._value(node)

    def _made(self, factory: ast.expr) -> Any:
        if isinstance(factory, ast.Lambda):
            return self._value(factory.body)
        name = dotted(factory)
        plain: dict[str, Any] = {"dict": {}, "list": [], "tuple": ()}
        return plain[name] if name in plain else self._config(name, {})

    def _config(self, name: str, given: dict[str, Any]) -> Any:
        made = Schema(self.builders, {}).class_named(name)
        if made is None:
            raise ValueError(name)
        return made(**given)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(id="OWN"):
                return OWN
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=text)]):
                return float(text) if math.isfinite(float(text)) or text else 0.0  # type: ignore[arg-type]
            case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords):
                return self._config(name, {k.arg or "": self._value(k.value) for k in keywords})
            case ast.Tuple(elts=items):
                return tuple(self._value(item) for item in items)
            case ast.List(elts=items):
                return [self._value(item) for item in items]
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return {self._value(key): self._value(value) for key, value in pairs if key is not None}
        return ast.literal_eval(node)

    def _say(self, node: ast.AST, message: str) -> None:
        self.problems.append(Problem(Place(self._file, getattr(node, "lineno", 0)), "", "schema", message))


def _is_attrs(node: ast.expr) -> bool:
    name = dotted(node.func if isinstance(node, ast.Call) else node)
    return name.rpartition(".")[2] in ("frozen", "define", "mutable", "s", "attrs", "dataclass")
