"""Outlining everything that an entry point's training reaches."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Mapping, Sequence

import attrs

from lab_migrate.analysis import CallGraph, Module, Project, TrainingLoop, Unread, declared_loops, find_loops
from lab_migrate.analysis.reached import reached_from
from lab_migrate.analysis.symbols import Function, dotted
from lab_migrate.analysis.test_files import is_test
from lab_migrate.analysis.unrepeated import unseen_update
from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Edit, Rule, all_rules
from lab_migrate.findings import Finding, Status
from lab_migrate.outline import said
from lab_migrate.outline.beginnings import reads_at_its_beginning
from lab_migrate.outline.conditions import Condition, condition_of
from lab_migrate.outline.level import RUNTIME, Level
from lab_migrate.outline.naming import PACKAGE, identifiers, import_of_runtime, runtime_name, unused
from lab_migrate.outline.nest import Plan, plan
from lab_migrate.outline.refusals import refusals


@attrs.frozen
class Outlining:
    """Edits by file, in the order in which those at one place follow each other, and what there is to say."""

    edits: dict[str, tuple[Edit, ...]]
    files: dict[str, Module]
    findings: tuple[Finding, ...]
    loops: tuple[TrainingLoop, ...]


def outline(
    project: Project,
    entry: str | None = None,
    rules: Sequence[Rule] | None = None,
    declared: Sequence[str] = (),
    without: Collection[str] = (),
    graph: CallGraph | None = None,
) -> Outlining:
    """Outline the training loops that `entry` reaches (all of them where none is named). Nothing is run.

    `rules` are those whose refusals are asked first; all of them where none are given. `declared` are functions whose
    loop trains though no backward pass can be seen in it. Files in `without` are left as they are. `graph` is the
    project's, where a caller has one: what it has resolved is not resolved again.
    """
    rules = [rule for rule in all_rules() if rule.refuse] if rules is None else rules
    graph = graph or CallGraph(project)
    every = find_loops(project, graph)
    seen = {id(loop.owner) for loop in every}
    every += [loop for loop in declared_loops(project, declared, graph) if id(loop.owner) not in seen]
    wanted, findings = _wanted(project, entry, every, graph)
    done = {path for path in wanted if _is_outlined(project.modules[path])}
    wanted = wanted - set(without)
    loops = [
        loop for loop in every if loop.path in wanted - done and (loop.path == entry or not _is_of_script(loop, entry))
    ]
    possible: list[TrainingLoop] = []
    for loop in loops:
        reasons = refusals(loop.owner, loop.node, rules)
        findings += [said.refused(loop, code, reason) for code, reason in reasons]
        if not reasons:
            possible.append(loop)
    refused: dict[str, Finding] = {}
    while True:
        made = plan(possible, graph, wanted - refused.keys(), rules)
        conditions = {id(loop.node): found for loop in possible if (found := condition_of(loop)) is not None}
        look = {*conditions, *(id(loop.owner) for loop in possible if id(loop.node) in conditions)}
        reads = {
            key: read
            for key, (function, loop, _) in made.loops.items()
            if (read := reads_at_its_beginning(function, loop, made, graph, look)) is not None
        }
        edits = _edits(made, reads, conditions)
        # Scopes are checked by the compiler alone. A file that it refuses is left, and so is what would call it.
        wrong = {path: error for path in edits if (error := _refused_by_compiler(project.modules[path], edits[path]))}
        refused |= wrong
        if not wrong:
            break
        possible = [loop for loop in possible if loop.path not in refused]
    findings += refused.values()
    converted = [loop for loop in possible if id(loop.node) in made.loops and loop.path in edits]
    findings += [said.converted(loop, made) for loop in converted]
    findings += [
        said.kept(function, loop, reads[key])
        for key, (function, loop, _) in made.loops.items()
        if key in reads and function.path in edits
    ]
    findings += [said.by_hand(loop) for loop in converted if loop.by_hand]
    findings += [
        said.left_unread(unread, entry)
        for unread in project.unread
        if entry is None or _may_import(wanted, unread, project, entry)
    ]
    files = {path: project.modules[path] for path in edits}
    return Outlining(edits, files, tuple(sorted(findings)), tuple(loops))


def _is_of_script(loop: TrainingLoop, entry: str | None) -> bool:
    """Whether it runs only where its file is the program, not where the entry imports it."""
    if entry is None or not isinstance(loop.owner.node, ast.Module):
        return False
    guards = [node for node in loop.owner.body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
    return any(loop.node is inner for guard in guards for inner in ast.walk(guard))


def _edits(made: Plan, reads: Collection[int], conditions: Mapping[int, Condition]) -> dict[str, tuple[Edit, ...]]:
    edits: dict[str, list[Edit]] = {}
    by_function: dict[int, list[tuple[Function, ast.For | ast.While, bool]]] = {}
    for function, loop, root in made.loops.values():
        by_function.setdefault(id(function), []).append((function, loop, root))
    touched: dict[str, Module] = {}
    for group in by_function.values():
        for level in _levels(group, made, reads, conditions):
            touched[level.module.path] = level.module
            edits.setdefault(level.module.path, []).extend(level.edits())
    for function in made.generators.values():
        touched[function.path] = function.module
        edits.setdefault(function.path, []).append(_decorated(function, _of_decorator(function, made, conditions)))
    for function, call in made.calls.values():
        touched[function.path] = function.module
        edits.setdefault(function.path, []).extend(_handed_through(function, call))
    for path, module in touched.items():
        # First of all that is inserted at one place: a decorator may follow at once.
        edits[path].insert(0, import_of_runtime(module, edits[path]))
    return {path: tuple(merged(found)) for path, found in edits.items()}


def _levels(
    group: list[tuple[Function, ast.For | ast.While, bool]],
    made: Plan,
    reads: Collection[int],
    conditions: Mapping[int, Condition],
) -> list[Level]:
    """The levels of one function, inner before outer, so that what both insert at one place is in order."""
    group = sorted(group, key=lambda item: (item[1].lineno, item[1].col_offset))
    levels: list[Level] = []
    outlined = frozenset(id(loop) for _, loop, _ in group)
    for function, loop, root in group:
        around = [
            level for level in levels if any(inner is loop for part in level.loop.body for inner in ast.walk(part))
        ]
        base = "training_step" if id(loop) in made.training else "epoch_loop"
        taken = identifiers(function.module) | {level.name for level in levels}
        levels.append(
            Level(
                function=function,
                loop=loop,
                root=root,
                inside=around[-1] if around else None,
                outlined=outlined,
                name=unused(base, taken),
                runtime=runtime_name(function.module),
                reads=id(loop) in reads,
                trains=_trains(function, loop, made, conditions),
            )
        )
    return list(reversed(levels))


def merged(edits: list[Edit]) -> list[Edit]:
    """Insertions at one place become one, in their order; everything in order of place."""
    found: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if found and edit.start == edit.end == found[-1].start == found[-1].end:
            found[-1] = Edit(edit.start, edit.end, found[-1].text + edit.text)
        else:
            found.append(edit)
    return found


def _of_decorator(function: Function, made: Plan, conditions: Mapping[int, Condition]) -> Condition | None:
    """The one condition of a generator's parameters under which each of its loops trains, if there is one."""
    if id(function) not in made.generators:
        return None
    own = [node for owner, node, _ in made.loops.values() if owner is function and id(node) in made.training]
    found = {conditions.get(id(node)) for node in own}
    condition = found.pop() if len(found) == 1 else None
    return condition if condition is not None and condition.of_parameters else None


def _trains(function: Function, loop: ast.stmt, made: Plan, conditions: Mapping[int, Condition]) -> str:
    """What is said where a loop is run, unless the decorator of its function says it."""
    condition = conditions.get(id(loop))
    if condition is None or _of_decorator(function, made, conditions) is not None:
        return ""
    return condition.text


def _decorated(function: Function, condition: Condition | None) -> Edit:
    module = function.module
    node = function.node
    assert isinstance(node, ast.FunctionDef)
    at = module.offset(node.lineno, 0)
    indent = module.lines[node.lineno - 1][: node.col_offset].decode()
    given = f"(trains=lambda {', '.join(condition.names)}: {condition.text})" if condition is not None else ""
    return Edit(at, at, f"{indent}@{runtime_name(module)}.loop{given}\n")


def _handed_through(function: Function, call: ast.Call) -> list[Edit]:
    module = function.module
    start, end = module.start(call.func), module.end(call.func)
    bare = any(
        isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is call
        for node in function.own
    )
    head = f"yield from {runtime_name(module)}.call("
    found = [Edit(start, start, head if bare else f"({head}")]
    bracket = module.text.encode().index(b"(", end)
    breaks = module.text.encode()[bracket + 1 : bracket + 2] in (b"\n", b"\r")
    found.append(Edit(end, bracket + 1, ("," if breaks else ", ") if call.args or call.keywords else ""))
    if not bare:
        after = module.end(call)
        found.append(Edit(after, after, ")"))
    return found


def _is_outlined(module: Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module == PACKAGE and any(alias.name == RUNTIME for alias in node.names))
        for node in module.tree.body
    )


def _has_trainer(module: Module) -> bool:
    """Whether a file makes a Trainer of Lightning's: its training is that one."""
    imports = module.symbols.imports
    for node in ast.walk(module.tree):
        head, dot, rest = dotted(node.func).partition(".") if isinstance(node, ast.Call) else ("", "", "")
        full = f"{imports.get(head, '')}{dot}{rest}"
        if full.startswith(("pytorch_lightning.", "lightning.")) and ".Trainer" in full:
            return True
    return False


def _wanted(
    project: Project, entry: str | None, loops: list[TrainingLoop], graph: CallGraph
) -> tuple[set[str], list[Finding]]:
    """The files to convert. Where an entry's imports lead to no loop, something finds its classes at run time."""
    if entry is None:
        return {path for path, module in project.modules.items() if not is_test(path, module)}, []
    reached = reached_from(project, entry)
    if any(loop.path in reached for loop in loops) or any(_is_outlined(project.modules[path]) for path in reached):
        return reached, []
    if unseen_update(project, graph, reached) is not None or any(_has_trainer(project.modules[one]) for one in reached):
        return reached, []  # another file's training is not what this one does
    package = entry.split("/")[0] + "/" if "/" in entry else ""
    near = {path for path, module in project.modules.items() if path.startswith(package) and not is_test(path, module)}
    found = sorted({loop.path for loop in loops if loop.path in near})
    if not found:
        return reached, []
    finding = Finding(
        entry, 1, 1, "LM202", Status.REVIEW,
        f"no import of this file leads to a training loop; converted those of {', '.join(found)} instead, "
        "which a registry or a config may name at run time",
    )  # fmt: skip
    return near, [finding]


def _refused_by_compiler(module: Module, edits: Sequence[Edit]) -> Finding | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(apply(module.text, edits, module.path), module.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return Finding(
            module.path, getattr(error, "lineno", 0) or 0, 0, "LM227", Status.UNSUPPORTED,
            f"left as it is: outlined, it would not compile: {error}",
            "simplify the scope of the names around the loop, or report this file's pattern to lab-migrate",
        )  # fmt: skip
    return None


def _may_import(paths: Collection[str], unread: Unread, project: Project, entry: str) -> bool:
    """Whether the entry is this file, or one of the files to convert imports something of its name."""
    *folders, file = unread.path.split("/")
    name = folders[-1] if file == "__init__.py" and folders else file.removesuffix(".py")
    imports = (full for path in paths for full in project.modules[path].symbols.imported)
    return unread.path == entry or any(name in full.split(".") for full in imports)
