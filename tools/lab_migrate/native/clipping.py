"""Ways of clipping gradients: Lightning's own where it has the formula, else the formula as code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import attrs

from lab_bridge.config.schema import Schema
from lab_migrate.native.labs import is_labs
from lab_migrate.native.own_clip import OwnClip, own_clip
from lab_migrate.native.refused import NotNativeError

__all__ = ["Clipping", "clipping_of", "telling_norm"]

NORM = [
    "norm = float(torch.stack([p.grad.square().sum() for p in parameters]).sum().sqrt())",
    "if norm > LIMIT:",
    "    for parameter in parameters:",
    "        parameter.grad.mul_(LIMIT / norm)",
]


@attrs.frozen
class Clipping:
    """A bound, and Lightning's `algorithm`, or (`code`) what is done to `parameters` that have gradients.

    `named` code gets them by name, as `names` from each parameter; `own` is the class of the project's that it calls.
    """

    limit: float
    algorithm: str | None = None
    doc: str = ""
    code: Sequence[str] = ()
    named: bool = False
    own: OwnClip | None = None

    def lines(self, prefix: str = "") -> list[str]:
        """The code in a module, where `prefix` stands before the names of what belongs to an optimizer."""
        names = {"LIMIT": f"self.config.{prefix}clip", "CLIPPING": f"self.{prefix}clipping"}
        return [re.sub("LIMIT|CLIPPING", lambda found: names[found[0]], line) for line in self.code]


def clipping_of(optimizer: Any, schema: Schema) -> Clipping | None:
    """That of an optimizer's config; None without. Raises `NotNativeError` for a class that has no native form."""
    clip: Any = getattr(getattr(optimizer, "gradients", None), "clip", None)
    clip_norm = getattr(optimizer, "clip_norm", None)
    if clip is None and clip_norm is None:
        return None
    limit = clip_norm if clip_norm is not None else clip.limit
    builder = schema.builder_of(clip) if clip_norm is None else None
    if builder is not None and not is_labs(builder):
        call = "CLIPPING([(names[parameter], parameter) for parameter in parameters], LIMIT)"
        doc = f"By `{builder.target.rpartition('.')[2]}`."
        return Clipping(limit, None, doc, [call], named=True, own=own_clip(clip, schema))
    match "ClipNorm" if clip_norm is not None else type(clip).__name__:
        case "ClipTorchNorm":
            return Clipping(limit, "norm")
        case "ClipValue":
            return Clipping(limit, "value")
        case "ClipNorm":
            doc = "All gradients times `clip / norm` where their global norm is above; no epsilon, unlike torch's."
            return Clipping(limit, None, doc, NORM)
        case "ClipPerBlock":
            doc = f"The norm of each block, which the first {clip.depth} parts of a parameter's name tell, is bounded."
            lines = [
                "blocks = defaultdict(list)",
                "for parameter in parameters:",
                f'    blocks[".".join(names[parameter].split(".")[:{clip.depth}])].append(parameter)',
                "for block in blocks.values():",
                *(f"    {line.replace('parameters', 'block')}" for line in NORM),
            ]
            return Clipping(limit, None, doc, lines, named=True)
        case "ClipAdaptive":
            doc = "Each gradient's norm is at most `clip` times its parameter's (https://arxiv.org/abs/2102.06171)."
            lines = [
                "for parameter in parameters:",
                f"    largest = parameter.detach().norm().clamp_(min={clip.floor!r}) * LIMIT",
                "    norm = parameter.grad.norm()",
                "    if norm > largest:",
                "        parameter.grad.mul_(largest / norm)",
            ]
            return Clipping(limit, None, doc, lines)
        case other:
            raise NotNativeError(
                "LM405", f"gradients are clipped by {other}, which has no native form",
                "write it in configure_gradient_clipping after the conversion, and drop it from the config before",
            )  # fmt: skip


def telling_norm(clipping: Clipping | None) -> Clipping:
    """The same, which keeps the norm that it found. Raises `NotNativeError` where there is no single one."""
    norm = "self.gradient_norm = {}".format
    if clipping is not None and clipping.algorithm == "norm":
        doc = "By the global norm, which callbacks look at."
        code = [norm("float(torch.nn.utils.clip_grad_norm_(parameters, LIMIT))")]
        return attrs.evolve(clipping, algorithm=None, doc=doc, code=code)
    if clipping is not None and clipping.own is not None:
        (call,) = clipping.code
        return attrs.evolve(clipping, code=[norm(call)])
    if clipping is not None and clipping.code == NORM:
        return attrs.evolve(clipping, code=[NORM[0], norm("norm"), *NORM[1:]])
    raise NotNativeError(
        "LM405", "a hook looks at the norm of all gradients (last_norm), and no clipping by one norm finds it",
        "clip by one, or drop the hook",
    )  # fmt: skip
