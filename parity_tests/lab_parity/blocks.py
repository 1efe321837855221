"""Blocks: fingerprints of many steps at once, so that equal stretches of two runs need not be read.

A block is up to `BLOCK_STEPS` consecutive steps. Its root is the digest of its steps' leaves (a Merkle tree of three
levels: observation, step, block), and a leaf is the digest of the step's observations under canonical names, in their
alphabetical order: neither what holds the model nor the order of its parameters shows. What a comparison may excuse
(generators that nobody seeded, hyperparameters that one side lacks; as "outside" buffers beside the trained module and
what was called around the update) has digests of its own beside the root.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128

from lab_parity.canonical import canonical_keys, prefix_of
from lab_parity.consequence import CALLED
from lab_parity.digest import digest_bytes
from lab_parity.keys import Key

__all__ = ["BLOCK_STEPS", "Block", "BlockBuilder", "Layout", "layout_digest"]

BLOCK_STEPS = 1024


class Layout(NamedTuple):
    """A row layout as a block counts it: digests of the raw keys in row order, and of the sorted canonical ones."""

    optimizer: str
    raw: str
    canonical: str


@attrs.frozen(slots=True)
class Block:
    """What the index knows of a block; `generators` maps a name to (digest, whether somebody seeded it).

    `offset` is where its first step lies in the file, 0 for the first block, which follows the schema.
    """

    offset: int
    steps: int
    micro_steps: int
    root: str
    hyper: str
    outside: str
    generators: Mapping[str, tuple[str, bool]]
    layouts: Mapping[Layout, int]
    notes: bool

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        layouts = [[*layout, count] for layout, count in self.layouts.items()]
        return {**attrs.asdict(self, recurse=False), "generators": dict(self.generators), "layouts": layouts}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Block:
        """The block that `to_json` was called on. Raises KeyError, TypeError or ValueError for anything else."""
        layouts = {Layout(*map(str, parts)): int(count) for *parts, count in plain["layouts"]}
        generators = {str(name): (str(root), bool(seeded)) for name, (root, seeded) in plain["generators"].items()}
        return cls(
            int(plain["offset"]), int(plain["steps"]), int(plain["micro_steps"]),
            str(plain["root"]), str(plain["hyper"]), str(plain["outside"]),
            generators, layouts, bool(plain["notes"]),
        )  # fmt: skip


def layout_digest(keys: Sequence[Key]) -> str:
    """A short name for a row layout: equal for equal keys in equal order."""
    return digest_bytes("\n".join("\t".join(map(str, key)) for key in keys).encode()).hex()


@attrs.frozen(slots=True, eq=False)
class _Plan:
    """Which rows of a layout go into which digest, in canonical order."""

    layout: Layout
    head: bytes
    core: npt.NDArray[np.intp]
    hyper: npt.NDArray[np.intp]
    outside: npt.NDArray[np.intp]
    outside_head: bytes
    generators: Mapping[str, npt.NDArray[np.intp]]


@attrs.define(slots=True, eq=False)
class _Open:
    """A block that still grows."""

    steps: int = 0
    micro_steps: int = 0
    core: Any = attrs.field(factory=xxh3_128)
    hyper: Any = attrs.field(factory=xxh3_128)
    outside: Any = None
    generators: dict[str, Any] = attrs.field(factory=dict)
    seeded: set[str] = attrs.field(factory=set)
    layouts: Counter[Layout] = attrs.field(factory=Counter)
    notes: bool = False


class BlockBuilder:
    """Takes the steps as they are written; `take` ends a block."""

    def __init__(self) -> None:
        self._prefixes: dict[str, str] = {}
        self._plans: dict[tuple[str, str], _Plan] = {}
        self._open = _Open()

    @property
    def steps(self) -> int:
        """Steps in the block so far."""
        return self._open.steps

    def add(
        self,
        optimizer: str,
        layout: str,
        keys: Sequence[Key],
        digests: npt.NDArray[np.uint8],
        values: npt.NDArray[np.float64],
        micro_steps: int,
        notes: bool,
    ) -> None:
        """One step: `digests` is (rows, 16) uint8, `values` (rows,) with NaN for none."""
        plan = self._plans.get((optimizer, layout))
        if plan is None:
            prefix = self._prefixes.setdefault(optimizer, prefix_of(keys))
            plan = self._plans[optimizer, layout] = _plan(optimizer, layout, keys, prefix)
        block = self._open
        block.steps += 1
        block.micro_steps += micro_steps
        block.notes |= notes
        block.layouts[plan.layout] += 1
        block.core.update(digest_bytes(plan.head + b"%d" % micro_steps + digests[plan.core].tobytes()))
        block.hyper.update(digests[plan.hyper].tobytes())
        if plan.outside.size:
            block.outside = block.outside or xxh3_128()
            block.outside.update(plan.outside_head + digests[plan.outside].tobytes())
        for name, places in plan.generators.items():
            block.generators.setdefault(name, xxh3_128()).update(digests[places].tobytes())
            if name not in block.seeded and np.isnan(values[places]).any():
                block.seeded.add(name)

    def take(self, offset: int) -> Block:
        """The block that began at `offset` in the file; the next step begins another."""
        block, self._open = self._open, _Open()
        return Block(
            offset, block.steps, block.micro_steps, block.core.hexdigest(), block.hyper.hexdigest(),
            "" if block.outside is None else block.outside.hexdigest(),
            {name: (state.hexdigest(), name in block.seeded) for name, state in block.generators.items()},
            dict(block.layouts), block.notes,
        )  # fmt: skip


def _plan(optimizer: str, layout: str, keys: Sequence[Key], prefix: str) -> _Plan:
    canonical = canonical_keys(keys, prefix)
    order = sorted(range(len(keys)), key=lambda place: canonical[place])
    groups: dict[str, list[int]] = {"core": [], "hyper": [], "outside": []}
    generators: dict[str, list[int]] = {}
    for place in order:
        key = canonical[place]
        if key.phase == "rng":
            generators.setdefault(key.name, []).append(place)
        elif key.phase == "optimizer" and key.field == "hyper":
            groups["hyper"].append(place)
        elif key.phase in CALLED or (key.phase == "buffer" and not keys[place].name.startswith(prefix)):
            groups["outside"].append(place)
        else:
            groups["core"].append(place)

    def head(places: Sequence[int]) -> bytes:
        return bytes.fromhex(layout_digest([canonical[place] for place in places]))

    inside = [place for place in order if place not in set(groups["outside"])]
    name = Layout(optimizer, layout, head(inside).hex())
    arrays = {group: np.array(places, np.intp) for group, places in groups.items()}
    return _Plan(
        name, optimizer.encode() + head(inside), arrays["core"], arrays["hyper"], arrays["outside"],
        head(groups["outside"]), {name: np.array(places, np.intp) for name, places in generators.items()},
    )  # fmt: skip
