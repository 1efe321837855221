"""A YAML config as a tree: `class_path` and `init_args` are a builder's call, anchors keep their names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import yaml

from lab_bridge.config.nodes import UNRESOLVED, Call, Entries, Items, Leaf, Node, Once
from lab_bridge.config.places import Place
from lab_bridge.config.problems import ConfigErrors, Problem
from lab_bridge.config.yaml_dialect import Loader

__all__ = ["CLI_KEYS", "as_calls", "read_yaml", "read_yaml_text", "split_cli"]

#: The keys of LightningCLI's own configs.
CLI_KEYS = frozenset(
    {"seed_everything", "trainer", "model", "data", "optimizer", "lr_scheduler", "ckpt_path", "verbose", "weights_only",
     "return_predictions", "datamodule", "config"}
)  # fmt: skip
SHARED = "lab_bridge.config.shared."


def read_yaml(path: Path) -> Node:
    """The tree of a YAML file, plain (see `as_calls`). Raises `ConfigErrors`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigErrors([Problem(Place(str(path)), "", "include", "expected a config file, found none")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigErrors([Problem(Place(str(path)), "", "include", f"expected a file in UTF-8: {error}")]) from None
    return read_yaml_text(text, str(path))


def read_yaml_text(text: str, name: str = "<text>") -> Node:
    """The tree of YAML text, plain: mappings stay mappings. Raises `ConfigErrors` for bad YAML or repeated keys."""
    loader = Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Entries({}, place=Place(name))
        problems: list[Problem] = []
        made = _made(root, loader, name, problems, _anchors(text), ())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigErrors([Problem(Place(name, line), "", "syntax", f"expected YAML: {error.problem}")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigErrors([Problem(Place(name), "", "syntax", f"expected YAML: {error}")]) from None
    finally:
        loader.dispose()
    if problems:
        raise ConfigErrors(problems)
    return made


def as_calls(node: Node) -> Node:
    """The tree with every mapping that has a `class_path` as a builder's call. Raises `ConfigErrors`."""
    problems: list[Problem] = []
    made = _called(node, problems, "")
    if problems:
        raise ConfigErrors(problems)
    return made


def split_cli(root: Node) -> tuple[Node, Mapping[str, Node]]:
    """A config of LightningCLI as what its module is given and LightningCLI's own keys; others as they are."""
    if not isinstance(root, Entries):
        return root, {}
    keys = set(root.entries)
    if len(keys) == 1 and keys <= {"fit", "validate", "test", "predict"}:
        return split_cli(next(iter(root.entries.values())))
    if "model" not in keys or not keys <= CLI_KEYS:
        return root, {}
    module = root.entries["model"]
    rest = {str(key): value for key, value in root.entries.items() if key != "model"}
    if isinstance(module, Entries) and "class_path" in module.entries and "init_args" in module.entries:
        module = module.entries["init_args"]
    return module, rest


def _made(
    node: yaml.Node,
    loader: Loader,
    name: str,
    problems: list[Problem],
    anchors: Mapping[int, str],
    above: tuple[int, ...],
) -> Node:
    place = Place(name, node.start_mark.line + 1)
    anchor = anchors.get(node.start_mark.index)
    if id(node) in above:
        raise yaml.YAMLError(f"line {place.line}: an alias inside what it stands for")
    above = (*above, id(node))
    if node.tag.startswith(("!", "tag:yaml.org,2002:python/")):
        message = f"expected plain YAML, found the tag {node.tag.replace('tag:yaml.org,2002:', '!!')}, which runs code"
        problems.append(Problem(place, "", "syntax", message, "write its value out"))
        return Leaf(UNRESOLVED, place=place)
    if isinstance(node, yaml.SequenceNode):
        items = tuple(_made(item, loader, name, problems, anchors, above) for item in node.value)
        return Items(items, place=place, anchor=anchor)
    if isinstance(node, yaml.MappingNode):
        _say_repeated(node, name, problems)
        loader.flatten_mapping(node)
        entries = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                line = key_node.start_mark.line + 1
                message = f"expected a plain key, found {key!r}"
                problems.append(Problem(Place(name, line), "", "syntax", message, "put it into quotes"))
                continue
            value = _made(value_node, loader, name, problems, anchors, above)
            # where the key stands is where a person looks
            here = Place(name, key_node.start_mark.line + 1)
            entries[key] = attrs.evolve(value, place=here) if isinstance(value, Leaf) else value
        return Entries(entries, place=place, anchor=anchor)
    return Leaf(loader.construct_object(node, deep=True), place=place, anchor=anchor)


def _anchors(text: str) -> dict[int, str]:
    """The names of anchors, by the position at which the anchored value begins."""
    found: dict[int, str] = {}
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.NodeEvent) and event.anchor and not isinstance(event, yaml.AliasEvent):
            mark = event.start_mark
            assert mark is not None, "a parser of text marks everything"
            found[mark.index] = event.anchor
    return found


def _say_repeated(node: yaml.MappingNode, name: str, problems: list[Problem]) -> None:
    seen: dict[str, int] = {}
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
            continue
        line = key_node.start_mark.line + 1
        if key_node.value in seen:
            message = f"expected each key once, found {key_node.value!r} in line {seen[key_node.value]}, too"
            problems.append(Problem(Place(name, line), "", "duplicate", message, "remove one of them"))
        seen[key_node.value] = line


def _called(node: Node, problems: list[Problem], path: str) -> Node:
    if isinstance(node, Items):
        return attrs.evolve(
            node, items=tuple(_called(item, problems, f"{path}[{index}]") for index, item in enumerate(node.items))
        )
    if not isinstance(node, Entries):
        return node
    if "class_path" not in node.entries:
        inner = {key: _called(value, problems, f"{path}.{key}") for key, value in node.entries.items()}
        return attrs.evolve(node, entries=inner)
    name = node.entries["class_path"]
    given = dict(_mapping(node.entries.get("init_args"), problems, f"{path}.init_args"))
    given |= _mapping(node.entries.get("dict_kwargs"), problems, f"{path}.dict_kwargs")
    for key in set(node.entries) - {"class_path", "init_args", "dict_kwargs"}:
        message = f"expected class_path and init_args, found {key!r}"
        problems.append(
            Problem(node.entries[key].place, path.lstrip("."), "unknown", message, "move it into init_args")
        )
    if not isinstance(name, Leaf) or not isinstance(name.value, str):
        message = "expected the import path of a builder under class_path"
        problems.append(Problem(node.place, path.lstrip("."), "type", message))
        return node
    arguments = {str(key): _called(value, problems, f"{path}.{key}") for key, value in given.items()}
    key = arguments.get("key")
    if name.value.startswith(SHARED) and isinstance(key, Leaf) and "constructor" in arguments:
        return Once(str(key.value), arguments["constructor"], place=name.place, anchor=node.anchor)
    return Call(name.value, arguments, place=name.place, anchor=node.anchor)


def _mapping(node: Node | None, problems: list[Problem], path: str) -> Mapping[object, Node]:
    if node is None or (isinstance(node, Leaf) and node.value is None):
        return {}
    if not isinstance(node, Entries):
        problems.append(Problem(node.place, path.lstrip("."), "type", "expected a mapping"))
        return {}
    return node.entries
