"""Works out what a Python config assigns: a small, pure part of Python, in which nothing of the file is run.

It knows literals, names, attributes, arithmetic, dicts and lists and their methods, the config classes of yacs,
fvcore and ml_collections, lazy calls, imports of other files of the project, functions of theirs, `if` and `for` over
known values. What it does not know becomes `Unknown` where it is assigned, and is a problem only where the config
would need it.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.config.places import Place
from lab_bridge.config.python.operators import FUNCTIONS, NotPlainError, binary, compared, unary
from lab_bridge.config.python.values import Function, Group, List, Made, Named, Plain, Unknown, Value
from lab_bridge.config.sources.modules import Sources, dotted

__all__ = ["GROUPS", "Program", "read_source"]

#: Classes of mappings with attribute access, by the end of their import path.
GROUPS = {"CfgNode": "CfgNode", "CN": "CfgNode", "ConfigDict": "ConfigDict", "FrozenConfigDict": "ConfigDict",
          "EasyDict": "dict", "edict": "dict", "AttrDict": "dict", "Namespace": "dict", "Munch": "dict",
          "SimpleNamespace": "dict", "OmegaConf.create": "dict", "DictConfig": "dict"}  # fmt: skip
_LAZY = ("LazyCall",)
#: What changes nothing of what it is given.
_HARMLESS = frozenset({"print", "info", "debug", "warning", "dump", "to_json", "is_frozen", "pprint", "register"})
_MOST_STEPS = 100_000
_DEEPEST = 30

Scope = dict[str, Value]


class _Return(Exception):  # noqa: N818
    def __init__(self, value: Value) -> None:
        self.value = value


class _TooLong(Exception):  # noqa: N818
    pass


class Program:
    """The files of one config program; each is read once, as Python imports it once."""

    def __init__(self, sources: Sources, root: Path | None = None) -> None:
        self._sources, self._root = sources, root
        self._files: dict[Path, Scope] = {}
        self._steps = 0
        self._depth = 0
        self.read: list[Path] = []

    def scope(
        self,
        path: Path,
        before: Mapping[str, Value] | None = None,
        text: str | None = None,
        until: Callable[[ast.stmt], bool] | None = None,
        skip: Callable[[ast.stmt], bool] | None = None,
    ) -> Scope:
        """The names that a file's top level binds, those of `before` included. Raises `OSError`, `SyntaxError`.

        `text` stands for the file's own, as when a framework rewrites it. Statements for which `skip` holds are left
        out, as are all from the first one for which `until` holds.
        """
        path = path.resolve()
        if path not in self._files:
            self._files[path] = scope = dict(before or {})
            self.read.append(path)
            text = text if text is not None else read_source(path)
            run = _File(self, path, text, scope)
            body = ast.parse(text).body
            end = next((index for index, node in enumerate(body) if until is not None and until(node)), len(body))
            with contextlib.suppress(_Return, _TooLong, RecursionError):
                run.body(node for node in body[:end] if skip is None or not skip(node))
        return self._files[path]

    def value(self, path: Path, node: ast.expr, scope: Scope) -> Value:
        """What an expression of a file stands for."""
        return _File(self, path.resolve(), "", dict(scope)).value(node)

    def called(self, function: Function, arguments: list[Value], named: dict[str, Value]) -> Value:
        """What a function returns; `Unknown` where that cannot be worked out."""
        self._depth += 1
        try:
            if self._depth > _DEEPEST or isinstance(function.node, ast.Lambda):
                return Unknown(f"{function.path}(…)", function.place)
            path = Path(function.place.file)
            scope: Scope = {**function.scope, **bound(function, arguments, named)}
            run = _File(self, path, read_source(path), scope)
            for parameter, default in _defaults(function.node):
                if parameter not in named and parameter not in bound(function, arguments, named):
                    scope[parameter] = run.value(default)
            try:
                run.body(function.node.body)
            except _Return as result:
                return result.value
            except (_TooLong, RecursionError):
                return Unknown(f"{function.path}(…)", function.place)
            return Plain(None, function.place)
        finally:
            self._depth -= 1

    def step(self) -> None:
        """Count a statement, so that no loop runs on. Raises `_TooLong`."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _TooLong

    def imported(self, module: str, level: int, here: Path) -> Path | None:
        """The file of a module that a file imports, if it is the project's."""
        parts = module.split(".") if module else []
        if level:
            folder = here.parent
            for _ in range(level - 1):
                folder = folder.parent
            return _file_of(folder.joinpath(*parts))
        for folder in dict.fromkeys(filter(None, (here.parent, self._root, *list(here.parents)[:6]))):
            found = _file_of(folder.joinpath(*parts)) if parts else None
            if found is not None and found != here:
                return found
        return None


def read_source(path: Path) -> str:
    """The text of a Python file, in the encoding it says. Raises `OSError`, `SyntaxError`."""
    import tokenize

    with tokenize.open(path) as file:
        return file.read()


def bound(function: Function, arguments: list[Value], named: dict[str, Value]) -> dict[str, Value]:
    """Arguments by the function's parameter names."""
    names = [argument.arg for argument in [*function.node.args.posonlyargs, *function.node.args.args]]
    return dict(zip(names, arguments, strict=False)) | named


def _defaults(node: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    positional = [*node.args.posonlyargs, *node.args.args]
    if node.args.defaults:
        yield from ((a.arg, d) for a, d in zip(positional[-len(node.args.defaults) :], node.args.defaults, strict=True))
    yield from ((a.arg, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None)


def _file_of(path: Path) -> Path | None:
    for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if file.is_file():
            return file.resolve()
    return None


class _File:
    """Statements and expressions of one file, in one scope."""

    def __init__(self, program: Program, path: Path, text: str, scope: Scope) -> None:
        self._program, self._path, self._scope = program, path, scope
        self._lines = text.splitlines()

    def body(self, statements: Iterable[ast.stmt]) -> None:
        """Work through statements."""
        for statement in statements:
            self._program.step()
            try:
                self._statement(statement)
            except NotPlainError:
                self._forget([statement], _short(statement))

    def value(self, node: ast.expr) -> Value:
        """What an expression stands for."""
        try:
            return self._value(node)
        except (NotPlainError, RecursionError):
            return Unknown(_short(node), self._place(node))

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                made = self.value(value)
                for target in targets:
                    self._assign(target, made, node)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._assign(target, self.value(value), node)
            case ast.AugAssign(target=target, op=op, value=value):
                self._augment(target, op, value, node)
            case ast.Expr(value=value):
                self.value(value)
                if isinstance(value, ast.Call):
                    self._distrust(value)
            case ast.Return(value=value):
                raise _Return(self.value(value) if value is not None else Plain(None, self._place(node)))
            case ast.FunctionDef(name=name):
                self._scope[name] = Function(node, self._scope, name, self._place(node))
            case ast.ClassDef(name=name):
                self._scope[name] = Named(f"{self._module()}{name}", self._place(node))
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.With(body=body):
                self.body(body)
            case ast.If(test=test, body=body, orelse=orelse):
                self._branch(test, body, orelse)
            case ast.For(target=target, iter=over, body=body):
                self._loop(target, over, body)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                self.body([*body, *orelse])
                self._forget([inner for handler in handlers for inner in handler.body], "… in try")
                self.body(final)
            case ast.Delete(targets=targets):
                for target in targets:
                    self._delete(target)
            case ast.Pass() | ast.Assert() | ast.Raise() | ast.Global() | ast.Nonlocal() | ast.AnnAssign():
                pass
            case _:
                self._forget([node], _short(node))

    def _branch(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        known = self.value(test)
        if isinstance(known, Unknown | Named | Function | Made):
            # which way it goes is not known: neither is what either way assigns
            self._forget([*body, *orelse], f"… if {_short(test)}")
            return
        self.body(body if _true(known) else orelse)

    def _forget(self, statements: Iterable[ast.stmt], source: str) -> None:
        """Whatever statements assign is not known."""
        for assigned in (inner for statement in statements for inner in ast.walk(statement)):
            if isinstance(assigned, ast.Name) and isinstance(assigned.ctx, ast.Store):
                self._scope[assigned.id] = Unknown(source, self._place(assigned))
            elif isinstance(assigned, ast.Attribute | ast.Subscript) and isinstance(assigned.ctx, ast.Store):
                self._set(assigned, Unknown(source, self._place(assigned)), None)

    def _distrust(self, node: ast.Call) -> None:
        """What an unknown function was given may have been changed by it."""
        name = dotted(node.func)
        if not isinstance(self._scope.get(name.split(".")[0]), Named) or name.rpartition(".")[2] in _HARMLESS:
            return
        for argument in node.args:
            given = self.value(argument)
            if isinstance(given, Group) and given.kind != "module":
                _forgotten(given, f"{name}(…)", self._place(node))

    def _loop(self, target: ast.expr, over: ast.expr, body: list[ast.stmt]) -> None:
        try:
            items = self._items(self.value(over))
        except NotPlainError:
            self._forget(body, f"… for … in {_short(over)}")
            return
        for item in items:
            self._program.step()
            self._assign(target, item, None)
            self.body(body)

    def _items(self, value: Value) -> list[Value]:
        if isinstance(value, List):
            return list(value.items)
        if isinstance(value, Group):
            return [Plain(key, value.place) for key in value.entries]
        if isinstance(value, Plain) and isinstance(value.value, str):
            return [Plain(letter, value.place) for letter in value.value]
        raise NotPlainError

    def _assign(self, target: ast.expr, value: Value, statement: ast.stmt | None) -> None:
        match target:
            case ast.Name(id=name):
                self._scope[name] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                values = value.items if isinstance(value, List) and len(value.items) == len(targets) else None
                for index, inner in enumerate(targets):
                    unknown = Unknown(_short(target), self._place(target))
                    self._assign(inner, values[index] if values is not None else unknown, statement)
            case ast.Attribute() | ast.Subscript():
                self._set(target, value, statement)

    def _set(self, target: ast.Attribute | ast.Subscript, value: Value, statement: ast.stmt | None) -> None:
        owner = self.value(target.value)
        try:
            key = target.attr if isinstance(target, ast.Attribute) else self._key(target.slice)
        except NotPlainError:  # which entry is not known: none of them is any more
            if isinstance(owner, Group):
                _forgotten(owner, _short(target), self._place(target))
            return
        value = attrs.evolve(value, place=self._place(target)) if isinstance(value, Plain | Unknown) else value
        if isinstance(owner, Group):
            owner.entries[key] = value
            if statement is not None:
                owner.docs[key] = self._comment(statement)
        elif isinstance(owner, Made) and isinstance(key, str):
            owner.arguments[key] = value
        elif isinstance(owner, List) and isinstance(key, int) and -len(owner.items) <= key < len(owner.items):
            owner.items[key] = value

    def _augment(self, target: ast.expr, op: ast.operator, value: ast.expr, node: ast.stmt) -> None:
        load = ast.copy_location(ast.parse(ast.unparse(target), mode="eval").body, target)
        for inner in ast.walk(load):
            ast.copy_location(inner, target)
        self._assign(target, self.value(ast.copy_location(ast.BinOp(load, op, value), target)), node)

    def _delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                self._scope.pop(name, None)
            case ast.Attribute(value=owner) | ast.Subscript(value=owner):
                held = self.value(owner)
                key = target.attr if isinstance(target, ast.Attribute) else self._key(target.slice)
                if isinstance(held, Group):
                    held.entries.pop(key, None)
                elif isinstance(held, Made):
                    held.arguments.pop(str(key), None)
                elif isinstance(held, List) and isinstance(key, int):
                    del held.items[key : key + 1]

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        place = self._place(node)
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                self._scope[name] = Named(alias.name if alias.asname else name, place)
            return
        module = node.module or ""
        file = self._program.imported(module, node.level, self._path)
        for alias in node.names:
            inner = None
            if file is None or file.name == "__init__.py":
                inner = self._program.imported(f"{module}.{alias.name}".strip("."), node.level, self._path)
            scope = self._scope_of(file)
            if alias.name == "*":
                self._scope.update({name: value for name, value in scope.items() if not name.startswith("_")})
            elif alias.name in scope and not isinstance(scope[alias.name], Named):
                self._scope[alias.asname or alias.name] = scope[alias.name]
            elif inner is not None and alias.name not in scope:
                inside = self._scope_of(inner)
                self._scope[alias.asname or alias.name] = Group(dict(inside), "module", place)
            else:
                base = self._absolute(module, node.level)
                path = scope[alias.name].path if isinstance(scope.get(alias.name), Named) else ""  # type: ignore[union-attr]
                named = path if "." in path else f"{base}.{alias.name}".strip(".")
                self._scope[alias.asname or alias.name] = Named(named, place)

    def _scope_of(self, file: Path | None) -> Scope:
        if file is None:
            return {}
        try:
            return self._program.scope(file)
        except (OSError, SyntaxError, ValueError):
            return {}

    def _absolute(self, module: str, level: int) -> str:
        if not level:
            return module
        package = self._module().rstrip(".").split(".")
        package = package[: len(package) - level]
        return ".".join([*package, *([module] if module else [])])

    def _module(self) -> str:
        """The file's module name and a dot, where it lies in a package."""
        parts = [self._path.stem] if self._path.name != "__init__.py" else []
        folder = self._path.parent
        while (folder / "__init__.py").exists():
            parts.insert(0, folder.name)
            folder = folder.parent
        return "".join(f"{part}." for part in parts)

    def _value(self, node: ast.expr) -> Value:
        place = self._place(node)
        match node:
            case ast.Constant(value=value):
                if value is ... or isinstance(value, bytes):
                    raise NotPlainError
                return Plain(value, place)
            case ast.Name(id=name):
                return self._name(name, node)
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return List(self._spread(items), type(node).__name__.lower(), place)
            case ast.Dict(keys=keys, values=values):
                return self._dict(keys, values, place)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript(value=owner, slice=index):
                return self._item(self.value(owner), index, node)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self.value(left), self.value(right), place)
            case ast.UnaryOp(op=op, operand=operand):
                return self._made(unary(op, self._plain(self.value(operand))), place)
            case ast.BoolOp(op=op, values=values):
                return self._bool(op, values)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._made(compared(op, self._plain(self.value(left)), self._plain(self.value(right))), place)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if _true(self._known(self.value(test))) else orelse)
            case ast.JoinedStr(values=parts):
                return Plain("".join(self._formatted(part) for part in parts), place)
            case ast.ListComp(elt=item, generators=[loop]) | ast.GeneratorExp(elt=item, generators=[loop]):
                return List(self._comprehended(item, loop), "list", place)
            case ast.Call():
                return self._call(node)
            case ast.Lambda():
                return Function(node, self._scope, "lambda", place)
        raise NotPlainError

    def _name(self, name: str, node: ast.expr) -> Value:
        found = self._scope.get(name)
        if found is not None:
            return found
        if name in FUNCTIONS or name in ("dict", "list", "tuple", "set", "zip", "enumerate"):
            return Named(name, self._place(node))
        raise NotPlainError

    def _attribute(self, node: ast.Attribute) -> Value:
        owner = self.value(node.value)
        if isinstance(owner, Named):
            if f"{owner.path}.{node.attr}" in ("math.pi", "math.inf", "numpy.pi", "numpy.inf"):
                return self._made(float("inf") if node.attr == "inf" else 3.141592653589793, self._place(node))
            return Named(f"{owner.path}.{node.attr}", self._place(node))
        if isinstance(owner, Group) and node.attr in owner.entries:
            return owner.entries[node.attr]
        if isinstance(owner, Made) and node.attr in owner.arguments:
            return owner.arguments[node.attr]
        raise NotPlainError

    def _item(self, owner: Value, index: ast.expr, node: ast.expr) -> Value:
        if isinstance(index, ast.Slice) and isinstance(owner, List | Plain):
            bounds = (index.lower, index.upper, index.step)
            cut = slice(*(None if part is None else self._plain(self.value(part)) for part in bounds))
            if isinstance(owner, List):
                return List(owner.items[cut], owner.kind, self._place(node))
            return self._made(owner.value[cut], self._place(node))
        key = self._key(index)
        try:
            if isinstance(owner, Group):
                return owner.entries[key]
            if isinstance(owner, Made):
                return owner.arguments[str(key)]
            if isinstance(owner, List) and isinstance(key, int):
                return owner.items[key]
            if isinstance(owner, Plain):
                return self._made(owner.value[key], self._place(node))
        except (LookupError, TypeError) as error:
            raise NotPlainError from error
        raise NotPlainError

    def _binary(self, op: ast.operator, left: Value, right: Value, place: Place) -> Value:
        if isinstance(left, List) and isinstance(right, List) and isinstance(op, ast.Add):
            return List([*left.items, *right.items], left.kind, place)
        times = right.value if isinstance(right, Plain) else None
        if isinstance(left, List) and isinstance(op, ast.Mult) and isinstance(times, int) and times < 1000:
            return List(left.items * times, left.kind, place)
        return self._made(binary(op, self._plain(left), self._plain(right)), place)

    def _bool(self, op: ast.boolop, values: list[ast.expr]) -> Value:
        made = self._known(self.value(values[0]))
        for following in values[1:]:
            if _true(made) != isinstance(op, ast.And):
                return made
            made = self._known(self.value(following))
        return made

    def _formatted(self, part: ast.expr) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        if isinstance(part, ast.FormattedValue):
            inner = self._plain(self.value(part.value))
            shown = repr(inner) if part.conversion == ord("r") else str(inner) if part.conversion >= 0 else inner
            return format(shown, self._formatted(part.format_spec) if part.format_spec is not None else "")
        if isinstance(part, ast.JoinedStr):
            return "".join(self._formatted(inner) for inner in part.values)
        raise NotPlainError

    def _comprehended(self, item: ast.expr, loop: ast.comprehension) -> list[Value]:
        kept = dict(self._scope)
        made = []
        for value in self._items(self._known(self.value(loop.iter))):
            self._program.step()
            self._assign(loop.target, value, None)
            if all(_true(self._known(self.value(test))) for test in loop.ifs):
                made.append(self.value(item))
        self._scope.clear()
        self._scope.update(kept)
        return made

    def _spread(self, items: list[ast.expr]) -> list[Value]:
        made: list[Value] = []
        for item in items:
            if isinstance(item, ast.Starred):
                made += self._items(self.value(item.value))
            else:
                made.append(self.value(item))
        return made

    def _dict(self, keys: list[ast.expr | None], values: list[ast.expr], place: Place) -> Group:
        entries: dict[Any, Value] = {}
        for key, value in zip(keys, values, strict=True):
            made = self.value(value)
            if key is None:
                entries |= self._entries(made)
            else:
                entries[self._key(key)] = _at(made, self._place(key))
        return Group(entries, "dict", place)

    def _call(self, node: ast.Call) -> Value:
        place = self._place(node)
        if isinstance(node.func, ast.Attribute):
            held = self.value(node.func.value)
            if isinstance(held, Group | List) or (isinstance(held, Plain) and isinstance(held.value, str)):
                return self._method(held, node.func.attr, node)
        function = self.value(node.func)
        if isinstance(function, Function):
            named = {k.arg: self.value(k.value) for k in node.keywords if k.arg is not None}
            return self._program.called(function, self._spread(node.args), named)
        if isinstance(function, Made) and function.target == "LazyCall":
            return self._built(function.arguments["target"], node)
        if not isinstance(function, Named):
            raise NotPlainError
        return self._named_call(function, node, place)

    def _named_call(self, function: Named, node: ast.Call, place: Place) -> Value:
        last = function.path.rpartition(".")[2]
        group = GROUPS.get(last) or GROUPS.get(".".join(function.path.split(".")[-2:]))
        if any(k.arg == "new_allowed" and isinstance(k.value, ast.Constant) and k.value.value for k in node.keywords):
            group = "open"
        if function.path == "dict" or group is not None:
            entries = self._entries(self.value(node.args[0])) if node.args else {}
            for keyword in node.keywords:
                if keyword.arg is None:
                    entries = entries | self._entries(self.value(keyword.value))
                elif group is None or last in ("EasyDict", "edict", "AttrDict", "Namespace", "SimpleNamespace"):
                    entries[keyword.arg] = _at(self.value(keyword.value), self._place(keyword.value))
            return Group(_deep(entries, group) if group else entries, group or "dict", place)
        if function.path in ("list", "tuple", "set"):
            return List(self._items(self.value(node.args[0])) if node.args else [], function.path, place)
        if function.path in FUNCTIONS:
            values = [self._plain(value) for value in self._spread(node.args)]
            try:
                return self._made(FUNCTIONS[function.path](*values), place)
            except (TypeError, ValueError, ArithmeticError) as error:
                raise NotPlainError from error
        if last in _LAZY and len(node.args) == 1:
            return Made("LazyCall", {"target": self.value(node.args[0])}, place)
        if last == "placeholder":  # ml_collections.config_dict
            return Plain(None, place)
        if last in ("FieldReference",) and node.args:
            return self.value(node.args[0])
        if function.path.startswith(("os.environ", "os.getenv", "torch.cuda", "sys.")):
            raise NotPlainError
        return self._built(function, node)

    def _built(self, builder: Value, node: ast.Call) -> Value:
        if isinstance(builder, Function):
            builder = Named(f"{self._module_of(builder)}{builder.path}", builder.place)
        if not isinstance(builder, Named) or "." not in builder.path:
            raise NotPlainError
        arguments: dict[str, Value] = {}
        for index, value in enumerate(self._spread(node.args)):
            arguments[f"*{index}"] = value
        for keyword in node.keywords:
            if keyword.arg is None:
                arguments |= {str(key): value for key, value in self._entries(self.value(keyword.value)).items()}
            else:
                arguments[keyword.arg] = _at(self.value(keyword.value), self._place(keyword.value))
        return Made(builder.path, arguments, self._place(node))

    def _module_of(self, function: Function) -> str:
        return _File(self._program, Path(function.place.file), "", {})._module()

    def _method(self, held: Group | List | Plain, name: str, node: ast.Call) -> Value:
        place = self._place(node)
        if isinstance(held, Group) and name in held.entries:
            inner = held.entries[name]
            if isinstance(inner, Function):
                return self._program.called(
                    inner, self._spread(node.args), {k.arg: self.value(k.value) for k in node.keywords if k.arg}
                )
            if isinstance(inner, Named) and held.kind == "module":
                return self._named_call(inner, node, place)
        if isinstance(held, Plain):
            values = [self._plain(value) for value in self._spread(node.args)]
            if name in ("format", "lower", "upper", "strip", "split", "replace", "join", "startswith", "endswith"):
                named = {k.arg: self._plain(self.value(k.value)) for k in node.keywords if k.arg}
                try:
                    return self._made(getattr(held.value, name)(*values, **named), place)
                except (TypeError, ValueError, LookupError) as error:
                    raise NotPlainError from error
            raise NotPlainError
        arguments = self._spread(node.args)
        if isinstance(held, List):
            match name, arguments:
                case "append", [one]:
                    held.items.append(one)
                case "extend", [many]:
                    held.items += self._items(many)
                case "insert", [at, one]:
                    held.items.insert(self._plain(at), one)
                case "pop", _:
                    return held.items.pop(*[self._plain(value) for value in arguments])
                case "copy", []:
                    return List(list(held.items), held.kind, place)
                case _:
                    held.items[:] = [Unknown(f".{name}(…)", place)]
                    raise NotPlainError
            return Plain(None, place)
        return self._group_method(held, name, arguments, node)

    def _group_method(self, held: Group, name: str, arguments: list[Value], node: ast.Call) -> Value:
        place = self._place(node)
        match name, arguments:
            case (("update" | "merge_from_other_cfg"), _):
                given = self._entries(arguments[0]) if arguments else {}
                given |= {k.arg: self.value(k.value) for k in node.keywords if k.arg is not None}
                _merge(held, given)
            case (("clone" | "copy" | "copy_and_resolve_references" | "to_dict"), []):
                return _copied(held)
            case (("get" | "pop" | "get_ref" | "get_oneway_ref"), [key, *rest]):
                found = held.entries.get(self._plain(key))
                if name == "pop":
                    held.entries.pop(self._plain(key), None)
                return found if found is not None else rest[0] if rest else Plain(None, place)
            case "setdefault", [key, default]:
                return held.entries.setdefault(self._plain(key), default)
            case "keys", []:
                return List([Plain(key, place) for key in held.entries], "list", place)
            case "values", []:
                return List(list(held.entries.values()), "list", place)
            case "items", []:
                pairs: list[Value] = [
                    List([Plain(key, place), value], "tuple", place) for key, value in held.entries.items()
                ]
                return List(pairs, "list", place)
            case (("lock" | "unlock" | "unlocked" | "ignore_type" | "freeze" | "defrost" | "set_new_allowed"), _):
                return held
            case _:
                if name not in _HARMLESS:
                    _forgotten(held, f".{name}(…)", place)
                raise NotPlainError
        return Plain(None, place)

    def _entries(self, value: Value) -> dict[Any, Value]:
        if isinstance(value, Group):
            return dict(value.entries)
        if isinstance(value, List):
            pairs = [item.items for item in value.items if isinstance(item, List) and len(item.items) == 2]
            if len(pairs) == len(value.items):
                return {self._plain(key): inner for key, inner in pairs}
        raise NotPlainError

    def _key(self, node: ast.expr) -> Any:
        key = self._plain(self.value(node))
        return tuple(key) if isinstance(key, list) else key

    def _plain(self, value: Value) -> Any:
        """A value as Python has it. Raises `NotPlainError`."""
        if isinstance(value, Plain):
            return value.value
        if isinstance(value, List):
            items = [self._plain(item) for item in value.items]
            return tuple(items) if value.kind == "tuple" else items
        if isinstance(value, Group):
            return {key: self._plain(inner) for key, inner in value.entries.items()}
        raise NotPlainError

    def _known(self, value: Value) -> Value:
        if isinstance(value, Unknown | Named | Function):
            raise NotPlainError
        return value

    def _made(self, value: Any, place: Place) -> Value:
        if isinstance(value, list | tuple):
            return List([self._made(item, place) for item in value], type(value).__name__, place)
        if isinstance(value, dict):
            return Group({key: self._made(item, place) for key, item in value.items()}, "dict", place)
        return Plain(value, place)

    def _place(self, node: ast.AST) -> Place:
        return Place(str(self._path), getattr(node, "lineno", 0))

    def _comment(self, node: ast.stmt) -> str:
        """The comment behind a statement, or those in the lines above it."""
        last = self._lines[(node.end_lineno or node.lineno) - 1] if self._lines else ""
        behind = last.encode()[node.end_col_offset or 0 :].decode(errors="replace").strip()
        if behind.startswith("#"):
            return behind.strip("# ")
        found: list[str] = []
        for line in reversed(self._lines[: node.lineno - 1]):
            if not line.strip().startswith("#") or not line.strip("# -="):
                break
            found.insert(0, line.strip().strip("#").strip())
        return " ".join(found)


def _true(value: Value) -> bool:
    match value:
        case Plain():
            return bool(value.value)
        case List():
            return bool(value.items)
        case Group():
            return bool(value.entries)
    return True


def _at(value: Value, place: Place) -> Value:
    return attrs.evolve(value, place=place) if isinstance(value, Plain) else value


def _forgotten(group: Group, source: str, place: Place) -> None:
    for key in group.entries:
        group.entries[key] = Unknown(source, place)


def _deep(entries: dict[Any, Value], kind: str) -> dict[Any, Value]:
    """Mappings inside a `CfgNode` or `ConfigDict` are such, too."""
    return {
        key: Group(_deep(value.entries, kind), kind, value.place) if isinstance(value, Group) else value
        for key, value in entries.items()
    }


def _merge(into: Group, given: Mapping[Any, Value]) -> None:
    for key, value in given.items():
        held = into.entries.get(key)
        if isinstance(held, Group) and isinstance(value, Group) and into.kind != "dict":
            _merge(held, value.entries)
        else:
            into.entries[key] = value


def _copied(value: Value) -> Value:
    match value:
        case Group():
            inner = {key: _copied(one) for key, one in value.entries.items()}
            return Group(inner, value.kind, value.place, dict(value.docs))
        case List():
            return List([_copied(item) for item in value.items], value.kind, value.place)
        case Made():
            return Made(value.target, {key: _copied(one) for key, one in value.arguments.items()}, value.place)
    return value


def _short(node: ast.AST) -> str:
    text = ast.unparse(node).split("\n")[0]
    return text if len(text) <= 60 else f"{text[:57]}..."
