"""argparse: the options that a script's `add_argument` calls declare, and a command line over them.

Nothing of the script runs: types, defaults and choices are read off the calls. The command line is parsed by argparse
itself, with parsers made of what was read.
"""

from __future__ import annotations

import argparse
import ast
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import attrs

from lab_bridge.config.kinds.kind import Declared, Question, Reading, parsed
from lab_bridge.config.nodes import Entries, literal
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem, Severity
from lab_bridge.config.python.program import Program
from lab_bridge.config.python.values import Group, List, Named, Plain, Unknown, Value
from lab_bridge.config.schema import Parameter
from lab_bridge.config.sources.modules import dotted
from lab_bridge.config.types import OWN, REQUIRED

__all__ = ["declares", "read"]

NAME = "argparse"
_TYPES: Mapping[str, type] = {
    "int": int, "float": float, "str": str, "bool": bool, "Path": str, "pathlib.Path": str,
}  # fmt: skip
_PARSERS = ("ArgumentParser", "HfArgumentParser", "ArgParser")
_GROUPS = ("add_argument_group", "add_mutually_exclusive_group")


@attrs.frozen
class Option:
    """One `add_argument` call."""

    dest: str
    flags: tuple[str, ...]
    place: Place
    type: type | None = str  #: None for a function of the script's own
    default: Any = None
    shown: str = ""
    action: str = "store"
    nargs: str | int | None = None
    choices: tuple[Any, ...] = ()
    required: bool = False
    const: Any = None
    help: str = ""


def read(question: Question) -> Reading | None:
    """A script's options, with those that a command line gives."""
    if not question.is_python:
        return None
    options, problems = _options(question, question.path)
    if not options:
        if question.arguments is not None:
            message = "expected add_argument calls for --args, found none"
            raise ConfigErrors([Problem(Place(str(question.path)), "", "syntax", message)])
        return None
    given = _parsed(options, question.arguments) if question.arguments else {}
    place = Place(f"--args {question.arguments}") if question.arguments else Place(str(question.path))
    root = Entries({key: literal(value, place) for key, value in given.items()}, place=place)
    declared = Declared(options=tuple(map(_parameter, options)))
    return Reading(root, NAME, declared, tuple(problems), whole=True)


def declares(question: Question, path: Path) -> Declared | None:
    """The options that a script declares."""
    options, problems = _options(question, path)
    return Declared(options=tuple(map(_parameter, options)), problems=tuple(problems)) if options else None


def _options(question: Question, path: Path) -> tuple[list[Option], list[Problem]]:
    tree = parsed(path)
    problems: list[Problem] = []
    parsers: dict[str, list[Option]] = {}
    belongs = _belonging(tree)
    defaults: dict[str, dict[str, ast.expr]] = {}
    program = question.program()
    perhaps = _conditional(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = _owner(dotted(node.func.value), belongs)
        if node.func.attr == "add_argument":
            option = _option(node, path, program, problems)
            if option is not None and id(node) in perhaps and option.required:
                # whether there is such an option at all, only running tells
                option = attrs.evolve(option, required=False, default=OWN, shown="not always an option")
            if option is not None:
                parsers.setdefault(owner, []).append(option)
        elif node.func.attr == "set_defaults":
            defaults.setdefault(owner, {}).update({k.arg: k.value for k in node.keywords if k.arg})
    if not parsers:
        return [], []
    name = max(parsers, key=lambda name: len(parsers[name]))
    if question.entry is not None and question.path == path:
        if question.entry not in parsers:
            message = f"expected a parser as --entry, found {question.entry!r}"
            raise ConfigErrors([Problem(Place(str(path)), "", "entry", message, f"known: {', '.join(parsers)}")])
        name = question.entry
    others = [other for other in parsers if other != name]
    if others:
        message = f"the parser {name or '?'} is read, with {len(parsers[name])} options"
        hint = f"others of this file: {', '.join(others)}; choose with --entry"
        problems.append(Problem(Place(str(path)), "", "parsers", message, hint, Severity.FINDING))
    options = {option.dest: option for option in sorted(parsers[name], key=lambda option: option.place)}
    scope = _scope(program, path)
    for dest, value in defaults.get(name, {}).items():
        made, shown = _plain(program.value(path, value, scope), value)
        place = Place(str(path), value.lineno)
        known = options.get(dest, Option(dest, (), place, None, action="set"))
        options[dest] = attrs.evolve(known, default=made, shown=shown, required=False)
    return list(options.values()), problems


def _conditional(tree: ast.Module) -> set[int]:
    """The calls that stand under an `if`, other than that of a script's main part."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "__name__" not in ast.unparse(node.test):
            found |= {id(inner) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
    return found


def _belonging(tree: ast.Module) -> dict[str, str]:
    """Groups by the parser they belong to."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=ast.Call(func=ast.Attribute(attr=call, value=owner))):
                found |= {dotted(target): dotted(owner) for target in targets if call in _GROUPS}
    return found


def _owner(name: str, belongs: Mapping[str, str]) -> str:
    for _ in range(10):
        if name not in belongs or belongs[name] == name:
            break
        name = belongs[name]
    return name


def _scope(program: Program, path: Path) -> dict[str, Value]:
    try:
        return program.scope(path)
    except (OSError, SyntaxError, ValueError):
        return {}


def _option(node: ast.Call, path: Path, program: Program, problems: list[Problem]) -> Option | None:
    place = Place(str(path), node.lineno)
    flags = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    given: dict[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in node.keywords}
    if not flags and "dest" not in given:
        message = f"expected an option's name, found {ast.unparse(node)[:60]}"
        problems.append(Problem(place, "", "static", message, "write it out"))
        return None
    if None in given:  # **settings
        message = f"{flags[0] if flags else '?'} takes further settings from {ast.unparse(given[None])[:40]}"
        problems.append(Problem(place, "", "static", message, "not read here", Severity.FINDING))
    scope = _scope(program, path)

    def plain(key: str, otherwise: Any = None) -> Any:
        return _plain(program.value(path, given[key], scope), given[key])[0] if key in given else otherwise

    action = plain("action", "store")
    action = action if isinstance(action, str) else ast.unparse(given["action"]).rpartition(".")[2]
    if action in ("help", "version"):
        return None
    dest = plain("dest") or _dest(flags)
    kind = dotted(given["type"]) if "type" in given else "str"
    type_ = _TYPES.get(kind)
    default, shown = (
        _plain(program.value(path, given["default"], scope), given["default"])
        if "default" in given
        else ({"store_true": False, "store_false": True}.get(action), "")
    )
    if isinstance(default, str) and type_ in (int, float):
        default = _converted(default, type_)  # argparse converts texts, and only those
    if "default" in given and dotted(given["default"]).endswith("SUPPRESS"):
        default, shown = OWN, "argparse.SUPPRESS"
    if type_ is bool and action == "store":
        message = f"{flags[0]}: type=bool takes every text but the empty one for True, 'False' too"
        problems.append(Problem(place, dest, "bool", message, "use BooleanOptionalAction", Severity.FINDING))
    choices = plain("choices", ())
    help_ = given.get("help")
    said = help_.value if isinstance(help_, ast.Constant) and isinstance(help_.value, str) else ""
    nargs = plain("nargs")
    if nargs is OWN:  # argparse.REMAINDER and the like
        nargs = "*"
    is_positional = bool(flags) and not flags[0].startswith("-")
    required = bool(plain("required", False))
    required = required or (is_positional and nargs not in ("?", "*") and "default" not in given)
    return Option(
        dest, tuple(flags), place, type_, default, shown, action, nargs,
        tuple(choices) if isinstance(choices, list | tuple) else (),
        required, plain("const"), said,
    )  # fmt: skip


def _dest(flags: list[str]) -> str:
    long = next((flag for flag in flags if flag.startswith("--")), flags[0])
    return long.lstrip("-").replace("-", "_")


def _converted(text: str, type_: type) -> Any:
    try:
        return type_(text)
    except ValueError:
        return text


def _plain(value: Value, node: ast.expr) -> tuple[Any, str]:
    """A value as Python has it, else `OWN` with its source."""
    match value:
        case Plain():
            return value.value, ""
        case List():
            items = [_plain(item, node)[0] for item in value.items]
            return (OWN, ast.unparse(node)) if OWN in items else (tuple(items), "")
        case Group():
            return {key: _plain(inner, node)[0] for key, inner in value.entries.items()}, ""
        case Unknown() | Named() | _:
            return OWN, ast.unparse(node)


def _parameter(option: Option) -> Parameter:
    type_ = _spelled(option)
    default = REQUIRED if option.required else option.default
    if default is OWN:
        type_ = f"{type_} | Own" if type_ != "Any" else "Any | Own"
    elif default is None and option.action != "set" and "None" not in type_ and type_ != "Any":
        type_ = f"{type_} | None"
    elif default is not REQUIRED and not _fits(default, type_):
        type_ = " | ".join(dict.fromkeys([type_, _kind(default)]))
    return Parameter(option.dest, type_, default, shown=option.shown, doc=option.help, place=option.place)


def _spelled(option: Option) -> str:
    if option.action in ("store_true", "store_false", "BooleanOptionalAction"):
        return "bool"
    if option.action == "count":
        return "int"
    if option.action in ("store_const", "append_const", "set"):
        kinds = dict.fromkeys(_kind(value) for value in (option.const, option.default) if value not in (None, OWN))
        return " | ".join(kinds) or "Any"
    base = option.type.__name__ if option.type is not None else _kind(option.default)
    if option.choices and all(isinstance(choice, str | int) for choice in option.choices):
        base = f"Literal[{', '.join(map(repr, option.choices))}]"
    several = option.nargs in ("+", "*") or isinstance(option.nargs, int)
    if several and base.startswith("Sequence["):
        base = "Any"
    base = f"Sequence[{base}]" if several else base
    return f"Sequence[{base}]" if option.action in ("append", "extend") and not several else base


def _kind(value: Any) -> str:
    if value is None or value is OWN:
        return "Any"
    if isinstance(value, bool | int | float | str):
        return type(value).__name__
    return "Sequence[Any]" if isinstance(value, list | tuple) else "Mapping[Any, Any]"


def _fits(value: Any, spelled: str) -> bool:
    from lab_bridge.config.schema import Schema
    from lab_bridge.config.structure import structure
    from lab_bridge.config.types import parse_type

    try:
        structure(literal(value), parse_type(spelled, lambda _: None), Schema({}, {}))
    except ConfigErrors:
        return False
    return True


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigErrors([Problem(Place("--args"), "", "syntax", f"expected the script's options, found: {message}")])


def _parsed(options: list[Option], arguments: str) -> dict[str, Any]:
    """What a command line gives; the rest stays out. Raises `ConfigErrors`."""
    parser = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for option in options:
        if not option.flags:
            continue
        settings: dict[str, Any] = {"default": argparse.SUPPRESS}
        if option.flags[0].startswith("-"):
            settings["dest"] = option.dest
        if option.action in ("store", "append", "extend"):
            settings |= {"type": option.type or str, "nargs": option.nargs}
            settings |= {"choices": option.choices} if option.choices else {}
        if option.action in ("store_const", "append_const"):
            settings["const"] = option.const
        known = ("store", "append", "extend", "store_true", "store_false", "store_const", "append_const", "count")
        action: Any = option.action if option.action in known else "store"
        if option.action == "BooleanOptionalAction":
            action = argparse.BooleanOptionalAction
        parser.add_argument(*option.flags, action=action, **settings)
    return {key: _frozen(value) for key, value in vars(parser.parse_args(shlex.split(arguments))).items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
