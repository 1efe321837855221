"""A training's function in another file than its epochs, read as if it stood beside them.

    main.py: from engine import train_one_epoch, evaluate      engine.py: def train_one_epoch(model, …):
             for epoch in range(n):                                           for x, y in loader: …
                 train_one_epoch(model, …)

The text that comes of it trains as the two files do, and is what is rewritten; the function in its old place is then
called by nobody. What it reads of its file is imported; a name that means something else here is a reason to refuse.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Collection, Iterator

import attrs

from lab_migrate.analysis import CallGraph, Function, Module, Project, TrainingLoop
from lab_migrate.analysis.calls import Call
from lab_migrate.analysis.symbols import dotted, imported_from
from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Edit
from lab_migrate.idiomatic.frame import Frame
from lab_migrate.idiomatic.refused import NotIdiomaticError, no_nest

__all__ = ["Brought", "brought"]


@attrs.frozen(eq=False)
class Brought:
    """`text` is the file that counts the epochs, with the function in it; `left` is the function's file without it.

    `places` has the file and line of each line of the text.
    """

    path: str
    text: str
    places: tuple[tuple[str, int], ...]
    function: Function
    left: str

    def place(self, line: int) -> tuple[str, int]:
        """Where a line of the text stands."""
        return self.places[min(line, len(self.places)) - 1] if line > 0 else (self.path, line)


def brought(project: Project, loop: TrainingLoop, graph: CallGraph) -> Brought | None:
    """None where the epochs are counted in the loop's own file. Raises `NotIdiomaticError` where it cannot be told."""
    function = loop.owner
    callers = [call for call in graph.callers_of(function) if call.direct and isinstance(call.node, ast.Call)]
    if loop.around or isinstance(function.node, ast.Module) or len(callers) != 1:
        return None
    (call,) = callers
    home, there = function.module, call.caller.module
    if home is there or not isinstance(function.node, ast.FunctionDef) or function.parent is not home.symbols.top:
        return None
    if function.cls is not None or _mentions(project, function, call):
        return None
    needed = _needed(function, call, project)
    edits = _call_edits(there, home, function, call, needed, project)
    start, end = _whole(home, function.node)
    source = home.text.encode()[start:end].decode()
    at = _above(there, call)
    newline = "\r\n" if there.lines[0].endswith(b"\r\n") else "\n"
    edits.append(Edit(at, at, newline.join([*source.rstrip().splitlines(), "", "", ""])))
    text = apply(there.text, edits, there.path)
    left = apply(home.text, [Edit(start, end, "")], home.path)
    return Brought(there.path, text, tuple(_places(there, home, edits, start)), function, left)


def _mentions(project: Project, function: Function, call: Call) -> bool:
    """Whether somebody else in its file, or another file, knows the function."""
    full = f"{function.module.name}.{function.name}"
    both = (function.module, call.caller.module)
    if any(full in module.symbols.imported for module in project.modules.values() if module not in both):
        return True
    called = call.node.func if isinstance(call.node, ast.Call) else None
    for node in (one for module in both for one in ast.walk(module.tree) if one is not called):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name == function.name:
            return True
    return False


def _globals_of(function: Function) -> set[str]:
    """Names that a function, and what is made in it, takes from its file."""
    table = symtable.symtable(function.module.text, function.path, "exec")
    (own,) = [one for one in table.get_children() if one.get_name() == function.name
              and one.get_lineno() in _lines_of(function)]  # fmt: skip
    found: set[str] = set()
    waiting = [own]
    while waiting:
        one = waiting.pop()
        found |= {symbol.get_name() for symbol in one.get_symbols() if symbol.is_global()}
        waiting += one.get_children()
    return found


def _lines_of(function: Function) -> range:
    decorators = getattr(function.node, "decorator_list", [])
    return range(min([function.line, *(one.lineno for one in decorators)]), function.line + 1)


def _needed(function: Function, call: Call, project: Project) -> tuple[list[str], list[str]]:
    """Names of its file that the function needs, and lines that import what its file imports."""
    home, there = function.module, call.caller.module
    own: list[str] = []
    lines: list[str] = []
    base = Frame(call.caller)
    known, bound = _top_names(there), _top_names(home)
    for name in sorted(_globals_of(function)):
        if name not in bound:
            if hasattr(builtins, name) and name not in known and (base.is_script or name not in base.bound):
                continue
            raise _refused(function, f"{name} is no name of its file")
        if not base.is_script and name in base.bound:
            raise _refused(function, f"{name} is a name of its file, and one of {call.caller.qualified}'s own")
        binding = _binding(home, name, function)
        if isinstance(binding, ast.Import | ast.ImportFrom):
            same = home.symbols.imports.get(name) == there.symbols.imports.get(name)
            if name in known and not (
                same and isinstance(_binding(there, name, function), ast.Import | ast.ImportFrom)
            ):
                raise _refused(function, f"{name} is another name in {there.path}")
            if name not in known:
                lines.append(_import_line(binding, name, function, home, there))
            continue
        full = f"{home.name}.{name}"
        if name in known:
            if there.symbols.imports.get(name) != full:
                raise _refused(function, f"{name} is another name in {there.path}")
            continue
        if _is_given_again(name, function, project):
            raise _refused(function, f"{name} of its file gets another value")
        own.append(name)
    return own, lines


def _top_names(module: Module) -> set[str]:
    return {symbol.get_name() for symbol in symtable.symtable(module.text, module.path, "exec").get_symbols()
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()}  # fmt: skip


def _binding(module: Module, name: str, function: Function) -> ast.stmt:
    """The one statement of a file's top level that binds a name."""
    found: list[ast.stmt] = []
    for node in module.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [node for one in node.names if (one.asname or one.name.partition(".")[0]) == name]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found += [node] if node.name == name else []
        else:
            found += [node for one in ast.walk(node) if isinstance(one, ast.Name) and one.id == name
                      and not isinstance(one.ctx, ast.Load)]  # fmt: skip
    if len(found) != 1 or not isinstance(
        found[0], ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
    ):
        raise _refused(function, f"{name} is bound in {module.path} more than once, or under a condition")
    return found[0]


def _import_line(node: ast.Import | ast.ImportFrom, name: str, function: Function, home: Module, there: Module) -> str:
    alias = next(one for one in node.names if (one.asname or one.name.partition(".")[0]) == name)
    elsewhere = home.path.rpartition("/")[0] != there.path.rpartition("/")[0]
    if isinstance(node, ast.ImportFrom) and node.level and elsewhere:
        raise _refused(function, f"{name} is imported relative to its file")
    return ast.unparse(
        ast.ImportFrom(node.module, [alias], node.level) if isinstance(node, ast.ImportFrom) else ast.Import([alias])
    )


def _is_given_again(name: str, function: Function, project: Project) -> bool:
    """Whether a name of the file may get another value, which an imported one would not see."""
    for one in function.module.symbols.functions:
        if any(isinstance(node, ast.Global) and name in node.names for node in one.own):
            return True
    stores = (node for module in project.modules.values() for node in ast.walk(module.tree)
              if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load))  # fmt: skip
    return any(
        node.attr == name and dotted(node.value).rpartition(".")[2] == function.module.name.rpartition(".")[2]
        for node in stores
    )


def _call_edits(
    there: Module, home: Module, function: Function, call: Call, needed: tuple[list[str], list[str]], project: Project
) -> list[Edit]:
    """The call by the bare name, and the imports."""
    assert isinstance(call.node, ast.Call)
    own, lines = needed
    newline = "\r\n" if there.lines[0].endswith(b"\r\n") else "\n"
    imports = [node for node in there.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if isinstance(call.node.func, ast.Name):
        for node in imports:
            direct = isinstance(node, ast.ImportFrom) and project.find_module(imported_from(node, there), there) is home
            alias = next((one for one in node.names if one.name == function.name and not one.asname), None)
            if direct and alias is not None and isinstance(node, ast.ImportFrom):
                names = [_alias(one) for one in node.names if one is not alias] + own
                if not names and not _only_defines(home):
                    raise _refused(function, f"importing {home.path} may do more than define names")
                first = [f"from {'.' * node.level}{node.module or ''} import {', '.join(names)}"] if names else []
                text = newline.join([*first, *lines])
                return [_in_place(there, node, text)]
        raise _refused(function, f"{there.path} does not import it by its name")
    module_name = dotted(call.node.func).rpartition(".")[0]
    for node in imports:
        bound = {one.asname or one.name for one in node.names}
        if module_name in bound and not own:
            start, end = there.start(call.node.func), there.end(call.node.func)
            edits = [Edit(start, end, function.name)]
            if lines:
                edits.append(_in_place(there, node, newline.join([there.source(node), *lines])))
            return edits
    raise _refused(function, f"it needs {', '.join(own) or module_name} of its file")


def _in_place(module: Module, node: ast.stmt, text: str) -> Edit:
    """Whole lines of an import; none where the text is empty."""
    end = module.end(node)
    if not text:
        rest = module.text.encode()[end:]
        end += len(rest) - len(rest.lstrip(b"\r\n")) and rest.index(b"\n") + 1
    return Edit(module.start(node), end, text)


def _alias(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _only_defines(module: Module) -> bool:
    """Whether importing a file only binds names: of imports, functions, classes and constants."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return all(
        isinstance(node, kinds)
        or (isinstance(node, ast.Assign | ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))
        for node in module.tree.body
    )


def _whole(module: Module, node: ast.FunctionDef) -> tuple[int, int]:
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    last = node.end_lineno or node.lineno
    return module.offset(first, 0), module.offset(last, 0) + len(module.lines[last - 1])


def _above(there: Module, call: Call) -> int:
    """Above the top-level statement that the call stands in."""
    node = next(one for one in there.tree.body if any(inner is call.node for inner in ast.walk(one)))
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    while first >= 2 and there.lines[first - 2].startswith(b"#"):
        first -= 1
    return there.offset(first, 0)


def _places(there: Module, home: Module, edits: Collection[Edit], start: int) -> Iterator[tuple[str, int]]:
    """The file and line of each line of the new text."""
    line = 1
    at = 0
    first = home.text.encode()[:start].count(b"\n") + 1
    for edit in sorted(edits, key=lambda one: one.start):
        kept = there.text.encode()[at : edit.start].count(b"\n")
        yield from ((there.path, line + number) for number in range(kept))
        line += kept
        is_function = edit.start == edit.end
        for number in range(edit.text.count("\n")):
            yield (home.path, first + number) if is_function else (there.path, line)
        line += there.text.encode()[edit.start : edit.end].count(b"\n")
        at = edit.end
    rest = there.text.encode()[at:].count(b"\n") + 1
    yield from ((there.path, line + number) for number in range(rest))


def _refused(function: Function, reason: str) -> NotIdiomaticError:
    return no_nest(function, function.node, f"the epochs are counted in another file, and {reason}")
