"""From one format to another, with every leaf accounted for before a byte is written."""

from __future__ import annotations

from pathlib import Path

import attrs

from lab_bridge.checkpoint.contents import Contents, section
from lab_bridge.checkpoint.coverage import Coverage, Fate, fate, placed
from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.fault import Fault, find_faults
from lab_bridge.checkpoint.format import Format
from lab_bridge.checkpoint.formats import all_formats
from lab_bridge.checkpoint.mapping import Mapped, Mapping, Order, apply
from lab_bridge.checkpoint.opened import Opened, Reading, open_checkpoint
from lab_bridge.checkpoint.translate import contents_of, leaves_of, lost_on_the_way_back
from lab_bridge.checkpoint.tree import Leaf, TreePath, show
from lab_bridge.checkpoint.writing import write_checkpoint

__all__ = ["Conversion", "convert", "only_weights", "target_format", "unmapped_faults"]

#: Faults that an error tells of.
SHOWN = 12


@attrs.frozen
class Conversion:
    """What was done."""

    source: Opened
    format: Format
    coverage: Coverage


def convert(
    source: str | Path,
    target: str | Path,
    to: str | None = None,
    only: str | None = None,
    reading: Reading | None = None,
    force: bool = False,
    mapping: Mapping | None = None,
    like: str | Path | None = None,
) -> Conversion:
    """Write `source` as `target`, in the format `to` or the one that its name tells.

    `only="weights"` leaves everything else out. `mapping` gives parameters and buffers other names and forms; `like`
    is a checkpoint of the other model, whose every weight has to be filled, in its order. Unless something is left
    out, the way back is checked first: reading what is going to be written gives every leaf of the source. Raises
    `CheckpointError`, also for an existing target.
    """
    opened = open_checkpoint(source, reading)
    form = target_format(Path(target), to, opened.contents)
    kept, dropped = (opened.contents, ()) if only is None else only_weights(opened.contents)
    order = Order.of(open_checkpoint(like, reading).contents) if like is not None else None
    if mapping is None and order is not None:
        mapping = Mapping(())
    if mapping is None:
        leaves, paths = leaves_of(kept, form)
        _require(kept, form, only)
        if not dropped:
            _check_way_back(leaves, form, opened)
        coverage = _coverage(opened.contents, kept, leaves, paths, dropped, form)
    else:
        mapped = apply(mapping, kept, order)
        leaves, paths = leaves_of(mapped.contents, form)
        _require(mapped.contents, form, only)
        _check_mapped_back(leaves, form, opened, kept, mapping)
        coverage = _mapped_coverage(opened.contents, mapped, leaves, paths, dropped, form)
    _check_weights(paths, form)
    write_checkpoint(Path(target), leaves, form, force)
    return Conversion(opened, form, coverage)


def target_format(target: Path, to: str | None, contents: Contents) -> Format:
    """The format asked for, or the one of the file's ending; among Lightning's, the one for these contents."""
    formats = {form.name: form for form in all_formats()}
    if to is not None:
        if to not in formats:
            raise CheckpointError(f"--to: expected one of {', '.join(sorted(formats))}, found {to!r}")
        return formats[to]
    if target.suffix == ".ckpt":
        return formats["lightning-step" if contents.format in ("lab", "lightning-step") else "lightning"]
    for form in formats.values():
        if form.suffix == target.suffix and form.suffix != ".pt":
            return form
    raise CheckpointError(
        f"{target}: expected a name that ends in .ckpt, .lab or .safetensors, found {target.suffix!r}; "
        f"say --to, one of {', '.join(sorted(formats))}"
    )


def only_weights(contents: Contents) -> tuple[Contents, tuple[TreePath, ...]]:
    """Parameters and buffers, and the addresses of the rest."""
    kept = {where: leaf for where, leaf in contents.entries.items() if section(where) == "weights"}
    return attrs.evolve(contents, entries=kept), tuple(where for where in contents.entries if where not in kept)


def _require(contents: Contents, form: Format, only: str | None) -> None:
    if only is not None:
        return
    missing = [
        "/".join(str(step.key) for step in needed)
        for needed in form.required
        if not any(where[: len(needed)] == needed for where in contents.entries)
    ]
    if missing:
        raise CheckpointError(
            f"expected what {form.title} needs, found no {', '.join(missing)} in {contents.format}; "
            "no training could resume from it. Use --to for another format, or --only weights"
        )


def _check_weights(paths: dict[TreePath, TreePath], form: Format) -> None:
    beside = [where for where, path in paths.items() if section(where) == "weights" and placed(path) == "carried"]
    if beside:
        raise CheckpointError(
            f"expected a place for every weight in {form.title}, found none for {show(beside[0])} and "
            f"{len(beside) - 1} more: its files have other names in them. Use --to for another format"
        )


def _check_way_back(leaves: dict[TreePath, Leaf], form: Format, opened: Opened) -> None:
    for path in lost_on_the_way_back(contents_of(leaves, form), opened.leaves, opened.format):
        raise CheckpointError(
            f"{opened.path}: {show(path)}: expected to find it again on the way back from {form.name}, "
            "found it changed; nothing was written. This is a fault of lab-migrate"
        )


def _check_mapped_back(
    leaves: dict[TreePath, Leaf], form: Format, opened: Opened, kept: Contents, mapping: Mapping
) -> None:
    faults = unmapped_faults(contents_of(leaves, form), kept, mapping)
    if faults:
        told = [f"{opened.path}: on the way back: {fault.message}" for fault in faults[:SHOWN]]
        more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        raise CheckpointError("\n".join([*told, *more, "nothing was written; a mapping has to go both ways"]))


def unmapped_faults(target: Contents, source: Contents, mapping: Mapping) -> list[Fault]:
    """What going back from `target` does not give again of `source`, less what the mapping leaves out."""
    expected = apply(mapping.drops(), source).contents
    back = apply(mapping.reverse(), target, Order.of(expected)).contents
    return find_faults(expected.entries, back.entries)


def _mapped_coverage(
    whole: Contents,
    mapped: Mapped,
    leaves: dict[TreePath, Leaf],
    paths: dict[TreePath, TreePath],
    dropped: tuple[TreePath, ...],
    form: Format,
) -> Coverage:
    fates = []
    for where, path in whole.paths.items():
        places = mapped.moves.get(where)
        if where in dropped:
            fates.append(Fate(show(path), "dropped", reason="only weights were asked for"))
        elif not places:
            fates.append(Fate(show(path), "dropped", reason=mapped.reasons.get(where, "")))
        else:
            there = [paths[place] for place in places if place in paths]
            what = (
                "tied" if len(places) > 1 and section(where) == "weights" else placed(there[0]) if there else "mapped"
            )
            fates.append(Fate(show(path), what, ", ".join(show(one) for one in there)))
    fates += [Fate(show(path), "implied", reason=f"{whole.format} writes it by itself") for path in whole.implied]
    used = set(paths.values())
    added = {show(path): f"{form.name} writes it by itself" for path in leaves if path not in used}
    return Coverage(tuple(fates), added)


def _coverage(
    whole: Contents,
    kept: Contents,
    leaves: dict[TreePath, Leaf],
    paths: dict[TreePath, TreePath],
    dropped: tuple[TreePath, ...],
    form: Format,
) -> Coverage:
    fates = [
        fate(whole.paths[where], paths[where]) for where in kept.entries if where in paths and where in whole.paths
    ]
    fates += [Fate(show(path), "implied", reason=f"{whole.format} writes it by itself") for path in whole.implied]
    fates += [
        Fate(show(whole.paths[where]), "dropped", reason="only weights were asked for")
        for where in dropped
        if where in whole.paths
    ]
    used = set(paths.values())
    added = {show(path): f"{form.name} writes it by itself" for path in leaves if path not in used}
    return Coverage(tuple(fates), added)
