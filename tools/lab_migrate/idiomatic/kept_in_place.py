"""Tensors, arrays and their like that the loop changes in their place, which no name shows.

bank[i] = out.detach()                          a tensor that torch makes goes on; of an array it is said
center.mul_(0.9).add_(out.mean(0), alpha=0.1)
for s, p in zip(slow, model.parameters()): s.lerp_(p, 0.1)
follow(slow, model.parameters())                where `follow` does so
"""

from __future__ import annotations

import ast

from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.beginnings import container_of
from lab_migrate.idiomatic.keeping import Keeping
from lab_migrate.idiomatic.kept_values import keep_container
from lab_migrate.idiomatic.led_to import Leads
from lab_migrate.idiomatic.outside_names import outside_of
from lab_migrate.idiomatic.roles import nodes_of

#: Methods that give a tensor of the same kind.
_SAME = frozenset({"clone", "cpu", "cuda", "detach", "double", "float", "half", "long", "to"})


def keep_in_place(keeping: Keeping) -> None:
    """Keep them, or say what changes them; what models and optimizers hold is Lightning's."""
    held = {*keeping.roles.models, *keeping.roles.optimizers}
    carried = keeping.places.names.carried
    for frame in keeping.nest.frames:
        leads = Leads(frame.function, keeping.graph, outside_of(frame, keeping.base, keeping.places))
        leads.bind(node for node in frame.function.own if not pulls(node, keeping))
        for name, how in (one for of, node in nodes_of(keeping.nest) if of is frame for one in leads.changed(node)):
            theirs = any(name == one or name.startswith(f"{one}.") for one in held)
            # What a call does to the attributes of such an object has been followed.
            told = name in keeping.seen and (name not in keeping.in_part or how.endswith("()"))
            if name in carried or theirs or told or keeping.is_made_within(name):
                continue
            keeping.in_part.discard(name)
            made = keeping.made(name)
            if made and all(map(container_of, made)):
                keep_container(keeping, name)
                continue
            keeping.seen.add(name)
            if made and all(_is_torchs(keeping, value) for value in made):
                key, text = keeping.key(name.rpartition(".")[2]), keeping.text(name)
                keeping.keep(name, key, [f'checkpoint["{key}"] = {text}'], f'{text}.copy_(checkpoint["{key}"])')
            else:
                keeping.lose(name, f"{how} changes it in its place")


def pulls(node: ast.AST, keeping: Keeping) -> bool:
    """Whether it is a loop over batches, which are their loader's and none of its parts."""
    return any(node is loop.node for loop in keeping.nest.loops)


def _is_torchs(keeping: Keeping, value: ast.expr) -> bool:
    """Whether it is a tensor that torch makes, and that no graph leads to: `torch.zeros(3).to(device)`."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _SAME:
        value = value.func.value
    if not isinstance(value, ast.Call) or any(word.arg == "requires_grad" for word in value.keywords):
        return False
    head, _, rest = dotted(value.func).partition(".")
    return keeping.base.module.symbols.imports.get(head, "") == "torch" and bool(rest) and "." not in rest
