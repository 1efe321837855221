"""The script that trains: which one it is, and whether it does more than train."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import libcst as cst
import libcst.matchers as m

from lab_migrate.convert.lab_names import trainer_names
from lab_migrate.errors import UsageError
from lab_migrate.findings import Finding, Status
from lab_migrate.native.effects import changed_elsewhere, modules_with_effects
from lab_migrate.native.files import File
from lab_migrate.native.script_bindings import script_bindings
from lab_migrate.native.script_trainer import trainer_in
from lab_migrate.native.taken import Taken

__all__ = ["Entry", "find_entry", "legacy_imports"]

#: What a script may call without its being lost: how it reads its arguments, finds its files and prints.
ALLOWED = {
    "ArgumentParser", "Path", "Trainer", "abspath", "absolute", "add_argument", "add_argument_group",
    "add_config_file_search_path", "add_mutually_exclusive_group", "any", "all", "append", "basename", "bool", "cwd",
    "dict", "dirname", "endswith", "enumerate", "exists", "expanduser", "extend", "float", "format", "getcwd", "insert",
    "int", "is_file", "isinstance", "items", "join", "keys", "len", "list", "load_config", "lower", "lstrip", "main",
    "max", "min", "normpath", "parse_args", "partition", "print", "range", "realpath", "replace", "repr", "resolve",
    "round", "rpartition", "rstrip", "set", "sorted", "split", "startswith", "str", "strip", "sum", "train", "tuple",
    "upper", "values", "vars", "with_suffix", "zip",
}  # fmt: skip
TRAINER = {"train", "step", "last_metrics", "run_dir"}


@attrs.frozen
class Entry:
    """The script, its docstring and shebang, the gin files that it names, and the settings that it binds itself.

    `binds` says of each whether it holds with no argument given; `effects` are modules whose import does something.
    Where the file has a trainer of the project's own, derived from Lab's, the `findings` are about that alone.
    """

    path: str
    text: str
    doc: str
    shebang: str
    configs: tuple[str, ...]
    findings: tuple[Finding, ...]
    binds: Mapping[str, bool] = attrs.field(factory=dict)
    effects: tuple[str, ...] = ()
    has_own_trainer: bool = False


def find_entry(root: Path, files: Mapping[str, File], name: str | None) -> Entry:
    """The one file that builds Lab's trainer. Raises `UsageError` where that is not one, or cannot be read."""
    candidates = [name] if name is not None else _building(files)
    if len(candidates) != 1:
        found = ", ".join(candidates) or "none"
        raise UsageError(f"{root}: expected one script that builds Lab's Trainer, found {found}; name it with --entry")
    path = candidates[0]
    if path not in files:
        raise UsageError(f"{root / path}: expected a script in Python, found a file that cannot be read as that")
    text, tree = files[path].text, files[path].tree
    lines = text.splitlines()
    names = trainer_names(cst.parse_module(text))
    of_others = [] if names.local or names.modules or names.stars else [one for one in files if one != path]
    mine = tuple(found for one in (path, *of_others) for found in _own_trainers(one, files[one]))
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return Entry(
        path,
        text,
        ast.get_docstring(tree) or "Train.",
        lines[0] if lines and lines[0].startswith("#!") else "",
        tuple(dict.fromkeys(string for string in strings if string.endswith(".gin"))),
        mine or tuple(_lost(path, tree)),
        script_bindings(tree),
        tuple(modules_with_effects(root, path, tree)),
        bool(mine),
    )


def legacy_imports(
    files: Mapping[str, File], entry: str, taken: Mapping[str, Taken] | None = None
) -> Iterator[Finding]:
    """Imports of Lab outside of the script that is not the block builder: they would stay behind.

    Files that classes are taken out of are read as they are then; lines are those that the file has.
    """
    for path, file in files.items():
        text = taken[path].after if taken and path in taken else file.text
        if path == entry or "legacy_lab" not in text:
            continue
        tree = ast.parse(text)
        left = {module for node in ast.walk(tree) for module in _modules(node) if _goes(module)}
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        used |= {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        for node in ast.walk(file.tree):
            for module in _modules(node):
                if module in left:
                    bound = {(one.asname or one.name).split(".")[0] for one in node.names}  # type: ignore[attr-defined]
                    step = "write what it takes from there into the project, or stay at level L2"
                    if not bound & used:
                        step = "nothing in the file uses it: delete the line, unless other files import it from here"
                    yield Finding(
                        path, node.lineno, node.col_offset + 1, "LM403", Status.MANUAL,  # type: ignore[attr-defined]
                        f"imports {module}; at level L3 only legacy_lab.blocks stays",
                        step,
                    )  # fmt: skip


def _own_trainers(path: str, file: File) -> Iterator[Finding]:
    """Classes that derive from Lab's trainer, and what they do in its place."""
    names = trainer_names(cst.parse_module(file.text)) if "Trainer" in file.text else None
    for node in ast.walk(file.tree) if names is not None else ():
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [cst.parse_expression(ast.unparse(base)) for base in node.bases]
        if names is not None and any(names.is_trainer(base) for base in bases):
            methods = [one.name for one in node.body if isinstance(one, ast.FunctionDef) and one.name != "__init__"]
            what = f", which has {', '.join(methods)} of its own" if methods else ""
            yield Finding(
                path, node.lineno, node.col_offset + 1, "LM404", Status.UNSUPPORTED,
                f"{node.name} is built on Lab's trainer{what}; a native training has Lightning's",
                "move what it does into a hook, the objective or a loader, or stay at level L1 or L2",
            )  # fmt: skip


def _goes(module: str) -> bool:
    parts = module.split(".")
    return parts[0] == "legacy_lab" and parts[1:2] != ["blocks"]


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.module is not None:
        if node.module == "legacy_lab":
            return [f"legacy_lab.{alias.name}" for alias in node.names]
        return [node.module]
    return []


def _building(files: Mapping[str, File]) -> list[str]:
    """Files that call Lab's Trainer; where none does, those that import it."""
    building, importing = [], []
    for path, file in files.items():
        if "legacy_lab" in file.text and "Trainer" in file.text:
            module = cst.parse_module(file.text)
            names = trainer_names(module)
            if names.local or names.modules:
                importing.append(path)
            if any(isinstance(call, cst.Call) and names.is_trainer(call.func) for call in m.findall(module, m.Call())):
                building.append(path)
    return building or importing


def _lost(path: str, tree: ast.Module) -> Iterator[Finding]:
    """What the script does besides, which a script written anew would not."""

    def finding(node: ast.expr | ast.stmt, what: str) -> Finding:
        return Finding(
            path, node.lineno, node.col_offset + 1, "LM404", Status.MANUAL, what,
            "move it into a file of its own or a hook, or stay at level L2",
        )  # fmt: skip

    trainers, handed_on = trainer_in(tree)
    for place, what in handed_on:
        yield finding(place, f"the script hands Lab's trainer on: {what}")
    # The script's own functions are looked at where they stand, wherever they are called.
    own = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in own:
                continue
            if _last(node.func) not in ALLOWED:
                yield finding(node, f"the script calls {ast.unparse(node.func)}, which a native script would not")
            elif _last(node.func) == "Trainer" and (node.args or node.keywords):
                yield finding(node, "the script gives Trainer arguments, which the config does not show")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in trainers:
            if node.attr not in TRAINER:
                yield finding(node, f"the script uses Lab's trainer: {ast.unparse(node)}")
        elif isinstance(node, ast.ClassDef | ast.AsyncFunctionDef):
            yield finding(node, f"the script defines {node.name}, which a script written anew would lack")
        elif isinstance(node, ast.For | ast.While) and _trains(node):
            yield finding(node, "the script trains in a loop, which a native script would not")
    for changing in changed_elsewhere(tree):
        yield finding(changing, f"the script sets {ast.unparse(changing)}, which a native script would not")
    for name in ("Trainer", "load_config"):
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _last(node.func) == name]
        for call in calls[1:]:
            yield finding(call, f"the script calls {name} more than once, and a native script trains once")


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _trains(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Call) and _last(part.func) in ("Trainer", "train") for part in ast.walk(node))
