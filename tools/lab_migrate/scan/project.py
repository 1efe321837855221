"""Scanning a whole project: files that matter are read in full, loops are found across them, nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from lab_migrate.analysis import CallGraph, TrainingLoop, find_loops
from lab_migrate.analysis.events import Event
from lab_migrate.analysis.handed_on import handed_on
from lab_migrate.analysis.reached import reached_from
from lab_migrate.analysis.test_files import is_test
from lab_migrate.analysis.unrepeated import unrepeated_steps
from lab_migrate.findings import Finding, Status
from lab_migrate.profile import OWN, Profile, read_own, shipped_profiles
from lab_migrate.project import Skipped, list_project, require_project
from lab_migrate.scan.assumption import all_detectors
from lab_migrate.scan.classes import built_classes, class_roles
from lab_migrate.scan.console_scripts import console_scripts
from lab_migrate.scan.effort import effort_of
from lab_migrate.scan.facts import FileFacts
from lab_migrate.scan.inventory import Assumption, Entry, Evidence, Inventory, Loop, RoleUse
from lab_migrate.scan.loop_view import LoopView
from lab_migrate.scan.names import role_uses
from lab_migrate.scan.prospects import prospects
from lab_migrate.scan.reading import Reading, read
from lab_migrate.scan.scripts import callers_of_line, calls_at_top, files_before

__all__ = ["scan_project"]

CONFIG_SUFFIXES = (".gin", ".yaml", ".yml", ".toml", ".json", ".cfg", ".ini")
_KINDS = {
    "A": "for over a loader, one backward, one step",
    "B": "for over a loader, with branches",
    "C": "for over a loader, several backwards, steps or inner loops",
    "D": "range or while, batches by next()",
    "E": "range or while, over slices, closures or made batches",
    "F": "backward or step in another function",
}
#: Kinds of skipped things that a person has to look at: the rest could not have held a training.
_TO_MEND = {"syntax", "encoding", "unreadable", "binary", "huge"}


def scan_project(root: Path) -> Inventory:
    """Read a project, without importing or running it. Raises `UsageError` for a folder without Python."""
    require_project(root)
    own = read_own(root, [detector.name for detector in all_detectors()])
    profiles = ([own] if own is not None else []) + shipped_profiles()
    listing = list_project(root, CONFIG_SUFFIXES)
    paths = [file.relative_to(root).as_posix() for file in listing.files]
    left_out = [path for path in paths if own is not None and any(fnmatch(path, pattern) for pattern in own.skip)]
    reading = read(root, [path for path in paths if path not in left_out])
    graph = CallGraph(reading.project)
    loops = find_loops(reading.project, graph)
    tests = {path for path in paths if is_test(path, reading.project.modules.get(path))}
    views = [LoopView(loop, graph, reading.file) for loop in loops]
    skipped = [*listing.skipped, *(fact.skipped for fact in reading.facts if fact.skipped is not None)]
    skipped += [Skipped(path, "profile", f"{OWN} says so") for path in left_out]
    assumptions = _stated(_assumptions(reading.facts, views, tests), own)
    converted, refused = prospects(graph)
    found = [_loop(loop, converted) for loop in loops]
    mend = [item for item in skipped if item.kind in _TO_MEND]
    roles = _roles(reading, graph, profiles)
    trains = [loop for loop in found if loop.path not in tests]
    trainers = [_at(use) for use in _trainers(roles, tests)]
    unrepeated = [] if trains or trainers else unrepeated_steps(reading.project, graph)
    if not (trains or trainers or unrepeated) and (given := handed_on(reading.project, graph, None)) is not None:
        unrepeated = [given]
    return Inventory(
        str(root),
        len(listing.files),
        sum(fact.lines for fact in reading.facts),
        sum(fact.parsed for fact in reading.facts),
        tuple(_entries(reading, graph, loops, calls_at_top(graph, loops), roles, own, tests)),
        tuple(roles),
        tuple(sorted(found)),
        assumptions,
        tuple(file.relative_to(root).as_posix() for file in listing.configs),
        tuple(sorted(skipped)),
        effort_of(trains, trainers, assumptions, refused, len(mend), len(unrepeated)),
        (*(_unread(item) for item in mend), *refused),
        tests=tuple(sorted(tests)),
        unrepeated=tuple(Evidence(one.path, one.line, note=one.said) for one in unrepeated),
    )


def _stated(found: tuple[Assumption, ...], own: Profile | None) -> tuple[Assumption, ...]:
    """With what the project's own profile says to hold, and without what it says is none."""
    if own is None:
        return found
    kept = {assumption.name: assumption for assumption in found if own.assumptions.get(assumption.name, True)}
    for detector in all_detectors():
        if own.assumptions.get(detector.name) and detector.name not in kept:
            said = Evidence(OWN, 0, f'"{detector.name}" = true')
            kept[detector.name] = Assumption(
                detector.name, detector.title, (said,), detector.faithful, detector.idiomatic, detector.hand
            )
    return tuple(kept[name] for name in sorted(kept))


def _entries(
    reading: Reading,
    graph: CallGraph,
    loops: Sequence[TrainingLoop],
    called: Mapping[str, int],
    roles: Sequence[RoleUse],
    own: Profile | None,
    tests: Collection[str],
) -> list[Entry]:
    """Files that a person starts, those first from which a training loop is reached, with these loops."""
    entries = []
    commands = console_scripts(reading.project.root, reading.project)
    files = {loop.place: files_before(graph, loop.owner) for loop in loops}
    scripts = {fact.path for fact in reading.facts if fact.entry or fact.path in called or fact.path in commands}
    trainers = [(use, callers_of_line(graph, use.path, use.line)) for use in _trainers(roles, tests)]
    for fact in reading.facts:
        script = next((loop.line for loop in loops if loop.path == fact.path and loop.function == "<module>"), None)
        script = script or called.get(fact.path)
        started = fact.entry or commands.get(fact.path)
        named = own is not None and fact.path in own.entries
        if started is None and script is None and not named:
            continue
        line, how = started or (script or 1, OWN if named else "script")
        reached = reached_from(reading.project, fact.path) if fact.path in reading.project.modules else {fact.path}
        imported = [loop.place for loop in loops if loop.path in reached]
        # Where calls lead to it from no script at all, whoever imports it may be meant.
        led_to = tuple(place for place in imported if fact.path in files[place] or not scripts & files[place])
        entries.append(
            Entry(
                fact.path,
                line,
                how,
                led_to,
                tuple(
                    _at(use)
                    for use, callers in trainers
                    if use.path in reached and (callers is None or fact.path in callers)
                ),
                tuple(place for place in imported if place not in led_to),
            )
        )
    return sorted(entries, key=lambda entry: (not entry.loops, not entry.trainers, entry.path))


def _trainers(roles: Sequence[RoleUse], tests: Collection[str]) -> list[RoleUse]:
    """Where a project calls an installed framework's trainer, once a name, tests left out."""
    own = {use.name for use in roles if use.how == "class"}
    first: dict[str, RoleUse] = {}
    for use in roles:
        if use.role == "trainer" and use.how == "used" and use.name not in own and use.path not in tests:
            first.setdefault(use.name, use)
    # `Trainer.fit` says no more than `Trainer`
    return [use for name, use in first.items() if name.rpartition(".")[0] not in first]


def _at(use: RoleUse) -> str:
    return f"{use.name} ({use.path}:{use.line})"


def _roles(reading: Reading, graph: CallGraph, profiles: list[Profile]) -> list[RoleUse]:
    classes = class_roles(graph)
    found = {use for fact in reading.facts for use in fact.roles}
    for cls, role, base in classes.values():
        found.add(RoleUse(role, cls.module.path, cls.node.lineno, cls.name, (), "class", base))
    found |= set(built_classes(graph, classes))
    for module in reading.project.modules.values():
        found |= set(role_uses(module, profiles))
    return sorted(found)


def _assumptions(
    facts: Sequence[FileFacts], views: Sequence[LoopView], tests: Collection[str]
) -> tuple[Assumption, ...]:
    """What every detector found, with the loops that it belongs to; their lines first, those of tests never."""
    found: dict[str, set[Evidence]] = {}
    of_loops: dict[str, set[str]] = {}
    for fact in facts:
        for name, evidence in fact.evidence if fact.path not in tests else ():
            found.setdefault(name, set()).add(evidence)
    views = [view for view in views if view.loop.path not in tests]
    for detector in all_detectors():
        for view in views:
            seen = set(detector.find_in_loop(view)) if detector.find_in_loop is not None else set()
            seen |= {
                evidence
                for evidence in found.get(detector.name, ())
                if detector.find is not None and (evidence.path, evidence.scope) in view.scopes
            }
            if seen:
                found.setdefault(detector.name, set()).update(seen)
                of_loops.setdefault(detector.name, set()).add(view.place)
    scopes = {scope for view in views for scope in view.scopes}
    homes = {(view.loop.path, view.home) for view in views}
    paths = {view.loop.path for view in views}

    def rank(evidence: Evidence) -> tuple[bool, bool, bool, Evidence]:
        place = evidence.path, evidence.scope
        return place not in homes, place not in scopes, evidence.path not in paths, evidence

    return tuple(
        Assumption(
            detector.name,
            detector.title,
            tuple(sorted(found[detector.name], key=rank)),
            detector.faithful,
            detector.idiomatic,
            detector.hand,
            tuple(view.place for view in views if view.place in of_loops.get(detector.name, ())),
        )
        for detector in all_detectors()
        if found.get(detector.name)
    )


def _loop(loop: TrainingLoop, converted: frozenset[str]) -> Loop:
    calls = [
        Evidence(reach.path, reach.line, _text(reach.event), reach.function, " → ".join(reach.chain))
        for reach in (*loop.backward, *loop.step)
    ]  # fmt: skip
    return Loop(
        loop.path, loop.line, loop.function, len(loop.backward), len(loop.step), str(loop.shape), _KINDS[loop.shape],
        tuple(calls), loop.place in converted,
    )  # fmt: skip


def _text(event: Event) -> str:
    func = event.node.func if isinstance(event.node, ast.Call) else None
    if not event.by_hand and isinstance(event.node, ast.Call) and ast.unparse(event.node.func) == event.receiver:
        return f"{event.receiver}(loss, optimizer)"
    if event.by_hand or not isinstance(func, ast.Attribute):
        return "update by hand"
    return f"{event.receiver}.{func.attr}()"


def _unread(item: Skipped) -> Finding:
    return Finding(
        item.path, 0, 0, "LM001", Status.MANUAL, f"not read: {item.reason}",
        "mend the file, or leave it out if it is not Python 3",
    )  # fmt: skip
