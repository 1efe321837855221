"""An inventory as a person reads it: the same sections for a terminal and for Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from lab_migrate.scan.inventory import Assumption, Entry, Evidence, Inventory, Loop, RoleUse, Run, Stepper

__all__ = ["Section", "sections"]

#: Roles in the order in which a person asks for them.
_ORDER = (
    "trainer", "model", "block", "objective", "dataset", "loader", "sampler", "optimizer", "schedule", "scaler",
    "ema", "hook", "checkpoint", "tracker", "config", "distributed", "seed",
)  # fmt: skip
_SHOWN = 3


@attrs.frozen
class Section:
    """A heading, a table under it (its columns may be nameless), and what to say after it."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def sections(inventory: Inventory, lines: int = 1) -> list[Section]:
    """What there is to say, in order, with so many lines of evidence for each thing; empty sections are left out."""
    made = [
        _entries(inventory),
        _loops(inventory),
        _roles([use for use in inventory.roles if use.path not in inventory.tests]),
        _assumptions(inventory.assumptions, lines),
        _run(inventory.run),
        _hand(inventory),
        _skipped(inventory),
        _effort(inventory),
    ]
    return [section for section in made if section.rows or section.notes]


def _entries(inventory: Inventory) -> Section:
    training = _training(inventory)
    only_import = [entry.path for entry in inventory.entries if entry.imported and entry not in training]
    others = len(inventory.entries) - len(training) - len(only_import)
    rows = tuple(
        (f"{entry.path}:{entry.line}", entry.how, "trains by " + _some([*entry.loops, *entry.trainers]))
        for entry in training
    )
    rest = f"{others} other {'script reaches' if others == 1 else 'scripts reach'} no training loop, or only a test's."
    verb = ("imports" if len(only_import) == 1 else "import") if only_import else ""
    notes = (
        *([f"{_some(only_import)} {verb} what trains; no call leads there, as far as can be told."] if verb else []),
        *([rest] if others else []),
    )
    return Section("Entry points", ("", "", ""), rows, notes)


def _training(inventory: Inventory) -> list[Entry]:
    """Entry points that train; those that only call a framework's trainer count where nothing has a loop."""
    entries = [entry for entry in inventory.entries if entry.path not in inventory.tests]
    return [entry for entry in entries if entry.loops] or [entry for entry in entries if entry.trainers]


def _loops(inventory: Inventory) -> Section:
    shown = [loop for loop in inventory.loops if loop.path not in inventory.tests]
    in_tests = len(inventory.loops) - len(shown)
    rows = tuple((f"{loop.place}\n{loop.function}", _said(loop), _granted(inventory, loop)) for loop in shown)
    none = "None of its own" if _training(inventory) else "No training loop was found"
    notes = [] if rows else [f"{none}: no loop repeats a backward pass and an optimizer step."]
    notes += [f"{item.place} {item.note}." for item in inventory.unrepeated[:_SHOWN]]
    if in_tests:
        notes.append(f"{in_tests} more in tests.")
    return Section("Training loops", ("", "shape", "takes for granted"), rows, tuple(notes))


def _said(loop: Loop) -> str:
    away = _unique([call for call in loop.calls if call.note])
    lines = [f"{call.place} {call.text}" for call in away[:_SHOWN]]
    fate = "convert: body verbatim, under Lightning" if loop.converts else "convert: left as it is"
    return "\n".join([f"{loop.shape}: {loop.kind}" if loop.shape else loop.kind, *lines, fate])


def _granted(inventory: Inventory, loop: Loop) -> str:
    return ", ".join(found.name for found in inventory.assumptions if loop.place in found.loops)


def _roles(roles: Sequence[RoleUse]) -> Section:
    rows = []
    for role in sorted(
        {use.role for use in roles}, key=lambda role: (_ORDER.index(role) if role in _ORDER else 99, role)
    ):
        uses = [use for use in roles if use.role == role]
        built = {use.name for use in uses if use.how == "built"}
        classes = sorted((use for use in uses if use.how == "class"), key=lambda use: use.name not in built)
        rows.append((role, _named(classes), _named([use for use in uses if use.how != "class"])))
    return Section("Roles", ("", "defined", "built or used"), tuple(rows))


def _named(uses: Sequence[RoleUse]) -> str:
    """The names, the most frequent first, with the place of each one's first use."""
    counted = Counter(use.name for use in uses)
    said = []
    for name, count in counted.most_common(_SHOWN):
        first = next(use for use in uses if use.name == name)
        short = name if len(name) <= 40 else f"…{name[-39:]}"
        note = f" ({first.note})" if " " in first.note else ""  # a sentence, not the name of a base
        said.append(f"{short}{f' ×{count}' if count > 1 else ''} {first.path}:{first.line}{note}")
    rest = len(counted) - len(said)
    return "\n".join([*said, *([f"and {rest} more"] if rest else [])])


def _assumptions(assumptions: Sequence[Assumption], lines: int) -> Section:
    ordered = sorted(assumptions, key=lambda found: (not found.loops, found.name))
    rows = tuple((found.name, _shown(found.evidence, lines), found.faithful) for found in ordered)
    return Section("What the code takes for granted", ("", "where", "when converted"), rows)


def _shown(evidence: Sequence[Evidence], lines: int) -> str:
    said = [f"{item.place}  {item.text}" for item in evidence[:lines]]
    if len(evidence) > lines:
        said[-1] += f"  (+{len(evidence) - lines})"
    return "\n".join(said)


def _run(run: Run | None) -> Section:
    """A line per optimizer and generator, in words."""
    if run is None:
        return Section("")
    made: list[tuple[str, ...]] = []
    for stepper in run.steppers:
        backwards = f"{stepper.fewest_backwards}"
        if stepper.most_backwards != stepper.fewest_backwards:
            backwards += f" to {stepper.most_backwards}"
        backwards += " backward pass each" if backwards == "1" else " backward passes each"
        late = f", first at step {stepper.first}" if stepper.first else ""
        rate = f"; lr {stepper.first_rate:g} → {stepper.last_rate:g}" if _changed(stepper) else ""
        made.append(
            (
                stepper.name,
                f"{stepper.steps} steps{late}; {backwards}; {stepper.parameters} tensors",
                f"{stepper.settings}{rate}",
            )
        )
    drawn = [generator for generator in run.generators if generator.moved]
    made += [(f"{one.name} generator", f"drawn from in {one.moved} of {one.steps} steps", "") for one in drawn]
    notes = [f"{run.steps} steps of {run.command}; {run.end}.", *run.notes]
    if run.exit_code:
        notes.append(f"The command ended with exit code {run.exit_code}.")
    if not run.steps:
        notes.append("No optimizer step was seen: a home-grown optimizer needs a [[sites]] entry in lab-migrate.toml.")
    return Section("What a run showed", ("", "", ""), tuple(made), tuple(notes))


def _changed(stepper: Stepper) -> bool:
    return None not in (stepper.first_rate, stepper.last_rate) and stepper.first_rate != stepper.last_rate


def _hand(inventory: Inventory) -> Section:
    rows = [
        (found.name, _some([item.place for item in found.evidence]), found.hand)
        for found in inventory.assumptions
        if found.hand
    ]
    rows += [(finding.code, finding.place, f"{finding.message}; {finding.next_step}") for finding in inventory.findings]
    return Section("What needs a hand", ("", "where", "what to do"), tuple(rows))


def _skipped(inventory: Inventory) -> Section:
    counted = Counter(item.kind for item in inventory.skipped)
    rows = []
    for kind, count in sorted(counted.items()):
        items = [item for item in inventory.skipped if item.kind == kind]
        rows.append((f"{count} × {kind}", _some([item.path for item in items]), items[0].reason))
    return Section("Not read", ("", "", ""), tuple(rows))


def _effort(inventory: Inventory) -> Section:
    notes = [f"{inventory.effort.size}: {'; '.join(inventory.effort.reasons)}"]
    training = _training(inventory)
    if training:
        entry = min(training, key=_how_unlikely)
        others = f" (or another of {len(training)} entry points)" if len(training) > 1 else ""
        notes.append(f"Next: lab-migrate convert {inventory.root} --entry {entry.path}{others}")
    elif any(loop.converts for loop in inventory.loops):
        notes.append(f"Next: lab-migrate convert {inventory.root} (no script of the project leads to the loop)")
    return Section("Effort", notes=tuple(notes))


def _how_unlikely(entry: Entry) -> tuple[int, int, str]:
    """A file that is called after training first, then what lies less deep."""
    name = entry.path.rpartition("/")[2]
    called = 0 if name == "train.py" else 1 if "train" in name or name.startswith("main") else 2
    return called, entry.path.count("/"), entry.path


def _some(items: Iterable[str]) -> str:
    listed = list(dict.fromkeys(items))
    rest = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _unique(calls: Sequence[Evidence]) -> list[Evidence]:
    return list({call.place: call for call in calls}.values())
