"""From a file's leaves to its contents, and from contents to the leaves of any format."""

from __future__ import annotations

from lab_bridge.checkpoint.carried import CARRIED, KEY, as_plain, from_plain, is_plain
from lab_bridge.checkpoint.contents import DIALECT, UNORDERED, Contents, is_reading, section
from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.format import Format, Leaves
from lab_bridge.checkpoint.inert import NumpyValue
from lab_bridge.checkpoint.parameter_names import Names, name_parameters, names_in_entries
from lab_bridge.checkpoint.places import Place, fill, match, pattern
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import Leaf, Step, TreePath, same_leaf, show

__all__ = ["contents_of", "leaves_of", "lost_on_the_way_back"]

#: Where a written file says which leaves the format added by itself, though they look like the source's.
ADDED: TreePath = (Step(KEY), Step("added"))

#: Under which a numpy number waits for the way back, where a format that needs no imports has a plain one.
NUMPY = Step("numpy")


def contents_of(leaves: Leaves, form: Format, names: Names | None = None) -> Contents:
    """Every leaf of a file of format `form` under its address; what the format has no place for is carried.

    `names`: those of the optimizers' parameters, where somebody knows better than the file.
    """
    dialect = form.dialect(leaves)
    names = names or _names(leaves, form, dialect)
    places = form.places(names, dialect)
    implied = form.implied(leaves)
    entries: dict[TreePath, Leaf] = {}
    paths: dict[TreePath, TreePath] = {}
    left: dict[TreePath, Leaf] = {}
    added = {leaf for path, leaf in leaves.items() if path[:2] == ADDED}
    if dialect:
        entries[carried(form.name, DIALECT)] = dialect
    if not form.ordered:
        entries[carried(form.name, UNORDERED)] = True
    for path, leaf in leaves.items():
        captured = match(CARRIED.path, path)
        if path[:2] == ADDED or show(path) in added:
            left[path] = leaf
            continue
        if captured is not None:
            where, value = from_plain(captured["rest"], leaf)
        else:
            found = _first(places, path, leaf)
            if found is None and path in implied and same_leaf(implied[path], leaf):
                left[path] = leaf
                continue
            where, value = found or (carried(form.name, path), leaf)
        if where in entries:
            raise CheckpointError(
                f"{show(path)}: expected one place for {show(where)}, found it at {show(paths[where])} as well"
            )
        entries[where], paths[where] = value, path
    for where in [where for where in entries if where[0] == NUMPY]:
        number = entries.pop(where)
        # Another one by now, where training went on.
        if same_leaf(entries.get(where[1:]), number.array().item()):
            entries[where[1:]] = number
    return Contents(form.name, entries, paths, left, names.notes)


def leaves_of(
    contents: Contents, form: Format, plain: bool | None = None
) -> tuple[dict[TreePath, Leaf], dict[TreePath, TreePath]]:
    """The leaves of a file of format `form`, and for each address the path that it got.

    `plain`: without anything that only an import could make; as the format has it, unless said.
    """
    plain = form.plain if plain is None else plain
    names = names_in_entries(contents.entries)
    dialect = contents.entries.get(carried(form.name, DIALECT), "")
    places = form.places(names, dialect)
    leaves: dict[TreePath, Leaf] = {}
    paths: dict[TreePath, TreePath] = {}
    for where, value in contents.entries.items():
        if where in (carried(form.name, DIALECT), carried(form.name, UNORDERED)):
            continue
        if plain and isinstance(value, NumpyValue) and value.scalar and section(where) != "carried":
            rest, number = as_plain((NUMPY, *where), value)
            leaves[fill(CARRIED.path, {"rest": rest})] = number
            value = value.array().item()
        path, leaf = _placed(places, where, value, form, plain)
        if path in leaves:
            raise CheckpointError(f"{show(where)}: expected a place of its own, found {show(path)} taken")
        leaves[path], paths[where] = leaf, path
    above = {path[:length] for path in leaves for length in range(len(path) + 1)}
    added = {path: leaf for path, leaf in form.implied(leaves).items() if path not in above}
    # A reader would take some of these for what the source said.
    taken = [show(path) for path, leaf in added.items() if _first(places, path, leaf) is not None]
    leaves |= added | {(*ADDED, Step(at, "list")): name for at, name in enumerate(taken)}
    return leaves, paths


def lost_on_the_way_back(contents: Contents, leaves: Leaves, form: Format) -> list[TreePath]:
    """Where a file of format `form` with these contents would differ from one with `leaves`; empty is proof.

    What the format writes by itself may be more than the file had.
    """
    plain = form.plain and all(is_plain(path, leaf) for path, leaf in leaves.items())
    back, _ = leaves_of(contents, form, plain)
    readings = (path for path in back if path[:1] == (Step(KEY),) and len(path) > 1 and is_reading(path[1:]))
    implied = {*form.implied(back), *readings, *(path for path in back if path[:2] == ADDED)}
    lost = [path for path in leaves if path not in back or not same_leaf(back[path], leaves[path])]
    return lost + [path for path in back if path not in leaves and path not in implied]


def carried(format_name: str, path: TreePath) -> TreePath:
    """The address of what only one format has a place for."""
    return (Step("carried"), Step(format_name), *path)


def _placed(places: list[Place], where: TreePath, value: Leaf, form: Format, plain: bool) -> tuple[TreePath, Leaf]:
    if section(where) == "carried" and where[1].key == form.name and (not plain or is_plain(where, value)):
        return where[2:], value
    for place in places if not plain or is_plain(where, value) else ():
        found = place.write(where, value)
        # A place for everything under an address would also take what a narrower place reads back.
        if found is not None and (back := _first(places, *found)) is not None and back[0] == where:
            return found
    (rest, leaf) = as_plain(where, value)
    return fill(CARRIED.path, {"rest": rest}), leaf


def _first(places: list[Place], path: TreePath, leaf: Leaf) -> tuple[TreePath, Leaf] | None:
    for place in places:
        found = place.read(path, leaf)
        if found is not None:
            return found
    return None


def _names(leaves: Leaves, form: Format, dialect: str) -> Names:
    under = form.optimizers(dialect)
    if not under:
        return Names()
    weights = {}
    places = form.places(Names(), dialect)
    optimizers: dict[int, dict[TreePath, Leaf]] = {}
    roots = [pattern(f"{one}/<rest...>") for one in under]
    for path, leaf in leaves.items():
        which, captured = next(
            ((at, found) for at, root in enumerate(roots) if (found := match(root, path)) is not None), (0, None)
        )
        if captured is not None:
            number = captured["i"][0].key if "i" in captured else which
            optimizers.setdefault(int(number), {})[captured["rest"]] = leaf
        elif (
            isinstance(leaf, StoredTensor)
            and (placed := _first(places, path, leaf)) is not None
            and section(placed[0]) == "weights"
        ):
            weights[str(placed[0][1].key)] = leaf
    ordered = form.ordered and not any(path[-1:] == UNORDERED for path in leaves)
    return name_parameters(weights, optimizers, ordered)
