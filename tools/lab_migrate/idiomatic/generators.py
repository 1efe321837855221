"""The generators that a resumed training draws from: torch's, the GPU's, and numpy's and Python's where anything draws.

What is drawn from is looked up in the files that the training may meet, data sets and transforms among them.
"""

from __future__ import annotations

import ast

import attrs

from lab_migrate.analysis import CallGraph, Module
from lab_migrate.analysis.symbols import dotted
from lab_migrate.idiomatic.accelerator import accelerator_of
from lab_migrate.idiomatic.nest import Nest
from lab_migrate.idiomatic.related import related
from lab_migrate.idiomatic.roles import Roles

__all__ = ["KEYS", "Generators", "generators_of"]

_TORCHS, _CUDAS, _NUMPYS, _PYTHONS = KEYS = ("rng_state", "cuda_rng_state", "numpy_rng_state", "python_rng_state")
#: What only seeds, keeps or makes generators.
_OTHERS = {
    "seed",
    "get_state",
    "set_state",
    "getstate",
    "setstate",
    "default_rng",
    "Generator",
    "RandomState",
    "Random",
}
#: Packages that draw from both.
_DRAW = {"albumentations", "imgaug", "monai", "nlpaug", "torchio", "audiomentations", "gym", "gymnasium"}


@attrs.define(eq=False)
class Generators:
    """Lines that save and load, by their keys. `numpy` is what the file calls numpy, or could; it may be empty."""

    numpy: str
    lines: dict[str, tuple[list[str], list[str]]] = attrs.field(factory=dict)
    lost: list[str] = attrs.field(factory=list)


def generators_of(nest: Nest, roles: Roles, graph: CallGraph) -> Generators:
    """Those of a training in one process; in several each has its own, and a checkpoint is the first one's."""
    module = nest.base.module
    found = Generators(_called("numpy", "np", module))
    if roles.distributed is not None:
        found.lost.append("each process's random generators")
        return found
    if module.symbols.imports.get("torch") == "torch":
        saved = [f'checkpoint["{_TORCHS}"] = torch.get_rng_state()']
        found.lines[_TORCHS] = saved, [f'torch.set_rng_state(checkpoint["{_TORCHS}"].cpu())']
        if accelerator_of(nest, roles) != '"cpu"':
            found.lines[_CUDAS] = (
                ["if self.on_gpu:", f'    checkpoint["{_CUDAS}"] = torch.cuda.get_rng_state()'],
                [f'if "{_CUDAS}" in checkpoint:', f'    torch.cuda.set_rng_state(checkpoint["{_CUDAS}"].cpu())'],
            )
    else:
        found.lost.append("torch's random generator")
    files = related(module, graph.project)
    if any(map(_draws_from_numpy, files)):
        if name := found.numpy:
            saved = [
                "# a checkpoint holds no arrays of numpy's",
                f'checkpoint["{_NUMPYS}"] = [{name}.asarray(part).tolist() for part in {name}.random.get_state()]',
            ]
            found.lines[_NUMPYS] = saved, [f'{name}.random.set_state(tuple(checkpoint["{_NUMPYS}"]))']
        else:
            found.lost.append("numpy's random generator")
    if any(map(_draws_from_python, files)):
        if name := _called("random", "random", module):
            saved = [f'checkpoint["{_PYTHONS}"] = {name}.getstate()']
            found.lines[_PYTHONS] = saved, [f'{name}.setstate(checkpoint["{_PYTHONS}"])']
        else:
            found.lost.append("Python's random generator")
    return found


def _called(package: str, short: str, module: Module) -> str:
    """What a file calls a package, or would, were it imported; empty where it calls something else so."""
    imports = module.symbols.imports
    own = next((name for name, full in imports.items() if full == package), "")
    taken = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)} | set(imports)
    taken |= {one.name for one in module.symbols.functions} | {one.name for one in module.symbols.classes}
    return own or ("" if short in taken else short)


def _draws_from_numpy(module: Module) -> bool:
    return _draws(module, "numpy.random")


def _draws_from_python(module: Module) -> bool:
    return _draws(module, "random") or "RandomChoice" in module.text or "RandomOrder" in module.text


def _draws(module: Module, home: str) -> bool:
    """Whether a file calls a function of this module that draws, or uses a package that does."""
    imports = module.symbols.imports
    if any(full.partition(".")[0] in _DRAW for full in imports.values()):
        return True
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            head, dot, rest = dotted(node).partition(".")
            full = f"{imports[head]}{dot}{rest}" if head in imports else ""
            if full.startswith(f"{home}.") and full.removeprefix(f"{home}.").partition(".")[0] not in _OTHERS:
                return True
    return False
