"""What a call in a Python config returns: config classes, builders, and the methods of mappings, lists and text."""

from __future__ import annotations

import ast
from pathlib import Path

from lab_bridge.config.places import Place
from lab_bridge.config.python.conversion import at, copied, deep, entries_of, forgotten, items_of, made_of, merge, plain
from lab_bridge.config.python.expressions import Expressions
from lab_bridge.config.python.files import module_of
from lab_bridge.config.python.operators import FUNCTIONS, NotPlainError
from lab_bridge.config.python.values import Function, Group, List, Made, Named, Plain, Unknown, Value

#: Classes of mappings with attribute access, by the end of their import path.
GROUPS = {"CfgNode": "CfgNode", "CN": "CfgNode", "ConfigDict": "ConfigDict", "FrozenConfigDict": "ConfigDict",
          "EasyDict": "dict", "edict": "dict", "AttrDict": "dict", "Namespace": "dict", "Munch": "dict",
          "SimpleNamespace": "dict", "OmegaConf.create": "dict", "DictConfig": "dict"}  # fmt: skip
_LAZY = ("LazyCall",)
#: What changes nothing of what it is given.
HARMLESS = frozenset({"print", "info", "debug", "warning", "dump", "to_json", "is_frozen", "pprint", "register"})


class Calls(Expressions):
    """Expressions, calls among them."""

    def call(self, node: ast.Call) -> Value:
        """What a call returns. Raises `NotPlainError`."""
        place = self.place(node)
        if isinstance(node.func, ast.Attribute):
            held = self.value(node.func.value)
            if isinstance(held, Group | List) or (isinstance(held, Plain) and isinstance(held.value, str)):
                return self._method(held, node.func.attr, node)
        function = self.value(node.func)
        if isinstance(function, Function):
            named = {k.arg: self.value(k.value) for k in node.keywords if k.arg is not None}
            return self.program.called(function, self.spread(node.args), named)
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
            entries = entries_of(self.value(node.args[0])) if node.args else {}
            for keyword in node.keywords:
                if keyword.arg is None:
                    entries = entries | entries_of(self.value(keyword.value))
                elif group is None or last in ("EasyDict", "edict", "AttrDict", "Namespace", "SimpleNamespace"):
                    entries[keyword.arg] = at(self.value(keyword.value), self.place(keyword.value))
            return Group(deep(entries, group) if group else entries, group or "dict", place)
        if function.path in ("list", "tuple", "set"):
            return List(items_of(self.value(node.args[0])) if node.args else [], function.path, place)
        if function.path in FUNCTIONS:
            values = [plain(value) for value in self.spread(node.args)]
            try:
                return made_of(FUNCTIONS[function.path](*values), place)
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
            builder = Named(f"{module_of(Path(builder.place.file))}{builder.path}", builder.place)
        if not isinstance(builder, Named) or "." not in builder.path:
            raise NotPlainError
        arguments: dict[str, Value] = {}
        for index, value in enumerate(self.spread(node.args)):
            arguments[f"*{index}"] = value
        for keyword in node.keywords:
            if keyword.arg is None:
                arguments |= {str(key): value for key, value in entries_of(self.value(keyword.value)).items()}
            else:
                arguments[keyword.arg] = at(self.value(keyword.value), self.place(keyword.value))
        return Made(builder.path, arguments, self.place(node))

    def _method(self, held: Group | List | Plain, name: str, node: ast.Call) -> Value:
        place = self.place(node)
        if isinstance(held, Group) and name in held.entries:
            inner = held.entries[name]
            if isinstance(inner, Function):
                return self.program.called(
                    inner, self.spread(node.args), {k.arg: self.value(k.value) for k in node.keywords if k.arg}
                )
            if isinstance(inner, Named) and held.kind == "module":
                return self._named_call(inner, node, place)
        if isinstance(held, Plain):
            values = [plain(value) for value in self.spread(node.args)]
            if name in ("format", "lower", "upper", "strip", "split", "replace", "join", "startswith", "endswith"):
                named = {k.arg: plain(self.value(k.value)) for k in node.keywords if k.arg}
                try:
                    return made_of(getattr(held.value, name)(*values, **named), place)
                except (TypeError, ValueError, LookupError) as error:
                    raise NotPlainError from error
            raise NotPlainError
        arguments = self.spread(node.args)
        if isinstance(held, List):
            match name, arguments:
                case "append", [one]:
                    held.items.append(one)
                case "extend", [many]:
                    held.items += items_of(many)
                case "insert", [at, one]:
                    held.items.insert(plain(at), one)
                case "pop", _:
                    return held.items.pop(*[plain(value) for value in arguments])
                case "copy", []:
                    return List(list(held.items), held.kind, place)
                case _:
                    held.items[:] = [Unknown(f".{name}(…)", place)]
                    raise NotPlainError
            return Plain(None, place)
        return self._group_method(held, name, arguments, node)

    def _group_method(self, held: Group, name: str, arguments: list[Value], node: ast.Call) -> Value:
        place = self.place(node)
        match name, arguments:
            case (("update" | "merge_from_other_cfg"), _):
                given = entries_of(arguments[0]) if arguments else {}
                given |= {k.arg: self.value(k.value) for k in node.keywords if k.arg is not None}
                merge(held, given)
            case (("clone" | "copy" | "copy_and_resolve_references" | "to_dict"), []):
                return copied(held)
            case (("get" | "pop" | "get_ref" | "get_oneway_ref"), [key, *rest]):
                found = held.entries.get(plain(key))
                if name == "pop":
                    held.entries.pop(plain(key), None)
                return found if found is not None else rest[0] if rest else Plain(None, place)
            case "setdefault", [key, default]:
                return held.entries.setdefault(plain(key), default)
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
                if name not in HARMLESS:
                    forgotten(held, f".{name}(…)", place)
                raise NotPlainError
        return Plain(None, place)
