"""From a file's leaves to its contents, and from contents to the leaves of any format."""

from __future__ import annotations

from lab_bridge.checkpoint.carried import CARRIED, KEY, as_plain, from_plain
from lab_bridge.checkpoint.contents import Contents, section
from lab_bridge.checkpoint.errors import CheckpointError
from lab_bridge.checkpoint.format import Format, Leaves
from lab_bridge.checkpoint.parameter_names import Names, name_parameters, names_in_entries
from lab_bridge.checkpoint.places import Place, fill, match, pattern
from lab_bridge.checkpoint.stored import StoredTensor
from lab_bridge.checkpoint.tree import Leaf, Step, TreePath, same_leaf, show

__all__ = ["contents_of", "leaves_of", "lost_on_the_way_back"]

#: Where a written file says which leaves the format added by itself, though they look like the source's.
ADDED: TreePath = (Step(KEY), Step("added"))

#: Where, among what is carried for a format, the words stand that a file of it used.
DIALECT: TreePath = (Step("lab_migrate.dialect"),)

#: And where it stands that its weights came in no order, wherever they have gone since.
UNORDERED: TreePath = (Step("lab_migrate.unordered"),)


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
    return Contents(form.name, entries, paths, left, names.notes)


def leaves_of(contents: Contents, form: Format) -> tuple[dict[TreePath, Leaf], dict[TreePath, TreePath]]:
    """The leaves of a file of format `form`, and for each address the path that it got."""
    names = names_in_entries(contents.entries)
    dialect = contents.entries.get(carried(form.name, DIALECT), "")
    places = form.places(names, dialect)
    leaves: dict[TreePath, Leaf] = {}
    paths: dict[TreePath, TreePath] = {}
    for where, value in contents.entries.items():
        if where in (carried(form.name, DIALECT), carried(form.name, UNORDERED)):
            continue
        path, leaf = _placed(places, where, value, form)
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
    back, _ = leaves_of(contents, form)
    implied = {*form.implied(back), *(path for path in back if path[:2] == ADDED)}
    lost = [path for path in leaves if path not in back or not same_leaf(back[path], leaves[path])]
    return lost + [path for path in back if path not in leaves and path not in implied]


def carried(format_name: str, path: TreePath) -> TreePath:
    """The address of what only one format has a place for."""
    return (Step("carried"), Step(format_name), *path)


def _placed(places: list[Place], where: TreePath, value: Leaf, form: Format) -> tuple[TreePath, Leaf]:
    if section(where) == "carried" and where[1].key == form.name:
        return where[2:], value
    for place in places:
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
    if under is None:
        return Names()
    weights = {}
    places = form.places(Names(), dialect)
    optimizers: dict[int, dict[TreePath, Leaf]] = {}
    root = pattern(f"{under}/<rest...>")
    for path, leaf in leaves.items():
        captured = match(root, path)
        if captured is not None:
            number = captured["i"][0].key if "i" in captured else 0
            optimizers.setdefault(int(number), {})[captured["rest"]] = leaf
        elif (
            isinstance(leaf, StoredTensor)
            and (found := _first(places, path, leaf)) is not None
            and section(found[0]) == "weights"
        ):
            weights[str(found[0][1].key)] = leaf
    ordered = form.ordered and not any(path[-1:] == UNORDERED for path in leaves)
    return name_parameters(weights, optimizers, ordered)
