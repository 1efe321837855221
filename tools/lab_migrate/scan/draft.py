"""A first `lab-migrate.toml` for a project: what the scan found, for a person to correct."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from lab_migrate.profile import ROLES
from lab_migrate.scan.inventory import Assumption, Inventory, RoleUse

__all__ = ["draft_profile"]


def draft_profile(inventory: Inventory) -> str:
    """TOML that `read_profile` reads: the project's own classes by role, its entries, what it takes for granted."""
    classes = [use for use in inventory.roles if use.how == "class" and use.path not in inventory.tests]
    entries = [entry.path for entry in inventory.entries if entry.loops and entry.path not in inventory.tests]
    return "\n".join([
        "# What lab-migrate found in this project by reading it. Correct what is wrong, add what is missing;",
        "# what you say here wins over what is found. `lab-migrate scan` checks every field.",
        f"package = {_text(_package(classes, inventory))}",
        f"entries = {_list(entries)}",
        "skip = []  # patterns of files that are not read, as \"old/*\"",
        *_roles(classes),
        *_sites(classes),
        *_assumptions(inventory.assumptions),
        "",
    ])  # fmt: skip


def _roles(classes: list[RoleUse]) -> Iterator[str]:
    for role in ROLES:
        names = sorted({_dotted(use) for use in classes if use.role == role})
        if names:
            yield from ("", "[[roles]]", f"role = {_text(role)}", f"names = {_list(names)}")


def _sites(classes: list[RoleUse]) -> Iterator[str]:
    """The recorder sees torch's optimizers by itself; one that is home-grown it must be shown."""
    for use in classes:
        if use.role == "optimizer" and use.note.startswith("home-grown"):
            yield from (
                "",
                "[[sites]]",
                f"# {use.path}:{use.line}: where parameters change; name the method if it is another",
            )
            yield f"target = {_text(f'{_module(use.path)}:{use.name}.step')}"


def _assumptions(assumptions: Iterable[Assumption]) -> Iterator[str]:
    yield from ("", "[assumptions]", "# false: what was found is none; true: it holds, even where no line shows it")
    for found in assumptions:
        first = found.evidence[0]
        yield f"{_text(found.name)} = true  # {_comment(f'{first.place} {first.text}')}"


def _package(classes: list[RoleUse], inventory: Inventory) -> str:
    """The folder that most of the project's classes and loops lie in, or else the project's own."""
    paths = [use.path for use in classes] + [loop.path for loop in inventory.loops]
    tops = Counter(path.split("/")[0] for path in paths if "/" in path)
    if tops and tops.most_common(1)[0][1] * 2 > len(paths):
        return tops.most_common(1)[0][0]
    return PurePosixPath(inventory.root).name or "project"


def _dotted(use: RoleUse) -> str:
    return f"{_module(use.path)}.{use.name}"


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _list(items: Iterable[str]) -> str:
    listed = [_text(item) for item in items]
    if len(listed) <= 2:
        return f"[{', '.join(listed)}]"
    return "[\n" + "".join(f"    {item},\n" for item in listed) + "]"


def _text(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
