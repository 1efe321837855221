"""What a module registers with gin, or as a block: found by its decorators and calls, nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from lab_bridge.config.sources.loops import in_loops
from lab_bridge.config.sources.modules import Definition, Module, Sources, dotted

__all__ = ["Registered", "constants", "registered", "search_paths"]

#: Import paths of what registers the class or function below it.
DECORATORS = frozenset(
    {"gin.configurable", "gin.register", "gin.config.configurable", "gin.config.register", "gin.tf.configurable",
     "gin.torch.configurable", "legacy_lab.blocks.block.block"}
)  # fmt: skip
EXTERNAL = frozenset({"gin.external_configurable", "gin.config.external_configurable", "gin.tf.external_configurable"})


@attrs.frozen(eq=False)
class Registered:
    """A builder as its project registers it; `selector` is gin's full name.

    `definition` is a dotted name where the source lies in a library that was not read.
    """

    definition: Definition | str
    selector: str
    hidden: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    line: int = 0

    @property
    def target(self) -> str:
        """Import path."""
        return self.definition.qualified if isinstance(self.definition, Definition) else self.definition


def registered(module: Module, sources: Sources) -> Iterator[Registered]:
    """The builders that a module registers, in order."""
    for name, node in module.names.items():
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                path = _meant(module, sources, call.func if call is not None else decorator)
                if path in DECORATORS:
                    yield _registered(Definition(module, name, node), name, module.name, call, node.lineno)
        if isinstance(node, ast.ClassDef):
            yield from _methods(node, module, sources)
    for statement in [*ast.walk(module.tree), *in_loops(module.tree)]:
        if isinstance(statement, ast.Call) and _registers_first(module, sources, statement):
            yield from _external(statement, module, sources)
        elif (
            isinstance(statement, ast.Call)
            and isinstance(statement.func, ast.Call)
            and len(statement.args) == 1
            and _meant(module, sources, statement.func.func) in DECORATORS
        ):  # gin.configurable("name")(thing)
            inner = statement.func
            made = ast.Call(inner.func, [*statement.args, *inner.args], inner.keywords)
            yield from _external(ast.copy_location(made, statement), module, sources)


def _registers_first(module: Module, sources: Sources, call: ast.Call) -> bool:
    """`gin.external_configurable(thing)`, and `gin.configurable(thing)` where it is called as a function."""
    path = _meant(module, sources, call.func)
    if path not in DECORATORS:
        return bool(call.args) and path in EXTERNAL
    name = dotted(call.args[0]) if call.args else ""
    meant = sources.resolve(module, name) if name else ""
    # `@gin.configurable(NAME)` has a text in that place
    return "." in meant if isinstance(meant, str) else not isinstance(meant.node, ast.Assign | ast.AnnAssign)


def _methods(owner: ast.ClassDef, module: Module, sources: Sources) -> Iterator[Registered]:
    """Methods that a class registers; their caller passes the object."""
    for node in owner.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if _meant(module, sources, call.func if call is not None else decorator) in DECORATORS:
                definition = Definition(module, f"{owner.name}.{node.name}", node)
                made = _registered(definition, node.name, module.name, call, node.lineno)
                yield attrs.evolve(made, hidden=(*made.hidden, *(a.arg for a in node.args.args[:1])))


def constants(module: Module, sources: Sources) -> dict[str, object]:
    """The literal values that a module gives to `gin.constant`."""
    found: dict[str, object] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _meant(module, sources, node.func) in ("gin.constant", "gin.config.constant"):
            try:
                name, value = (ast.literal_eval(argument) for argument in node.args)
            except (ValueError, TypeError, SyntaxError):
                continue
            found[str(name)] = value
    return found


def search_paths(module: Module, sources: Sources) -> list[str]:
    """The literal folders that a module gives to `gin.add_config_file_search_path`."""
    wanted = ("gin.add_config_file_search_path", "gin.config.add_config_file_search_path")
    return [
        node.args[0].value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and _meant(module, sources, node.func) in wanted
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def _registered(
    definition: Definition | str, name: str, module: str, call: ast.Call | None, line: int, skip: int = 0
) -> Registered:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords} if call is not None else {}
    positional = call.args[skip:] if call is not None else []
    given = _text(positional[0] if positional else keywords.get("name") or keywords.get("name_or_fn")) or name
    home = _text(keywords.get("module"))
    # gin: a name with dots brings its own module
    selector = f"{home}.{given}" if home else given if "." in given else f"{module}.{given}" if module else given
    hidden = _texts(keywords.get("denylist") or keywords.get("blacklist"))
    only = _texts(keywords.get("allowlist") or keywords.get("whitelist"))
    return Registered(definition, selector, hidden, only, line)


def _external(call: ast.Call, module: Module, sources: Sources) -> Iterator[Registered]:
    name = dotted(call.args[0])
    if not name:
        return
    meant = sources.resolve(module, name)
    if isinstance(meant, str) and "." in meant:
        sources.read_library(meant.split(".")[0])
        meant = sources.find(meant)
    home = meant.module.name if isinstance(meant, Definition) else meant.rpartition(".")[0]
    short = meant.name if isinstance(meant, Definition) else meant.rpartition(".")[2]
    yield _registered(meant, short, home, call, call.lineno, skip=1)


def _meant(module: Module, sources: Sources, node: ast.expr) -> str:
    name = dotted(node)
    if not name:
        return ""
    meant = sources.resolve(module, name)
    return meant.qualified if isinstance(meant, Definition) else meant


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _texts(node: ast.expr | None) -> tuple[str, ...]:
    return tuple(filter(None, map(_text, node.elts))) if isinstance(node, ast.List | ast.Tuple) else ()
