"""`lab-migrate checkpoint`: what is in a checkpoint, in another format, and the proof that nothing was lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from lab_bridge.checkpoint import CheckpointError, Conversion, Reading, Verification, open_checkpoint
from lab_bridge.checkpoint import convert as convert_checkpoint
from lab_bridge.checkpoint import verify as verify_checkpoints
from lab_bridge.checkpoint.atomic import new_file
from lab_bridge.checkpoint.inspect import rows, totals
from lab_bridge.checkpoint.mapping import Mapping, propose, read_mapping
from lab_migrate.commands.options import JsonOption
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json, table

app = typer.Typer(
    help="Inspect, convert and verify checkpoints. No file is ever unpickled into running code unless you say so.",
    no_args_is_help=True,
)

#: Faults printed; all of them are in the JSON.
SHOWN = 40

FileArgument = Annotated[Path, typer.Argument(help="A checkpoint: a file or a folder.", show_default=False)]
TrustOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust-pickle", help="Unpickle this file as usual, which runs what it says; repeatable.", show_default=False
    ),
]
AsDataOption = Annotated[
    bool, typer.Option("--objects-as-data", help="Describe foreign objects instead of importing anything for them.")
]
OnlyOption = Annotated[
    str | None, typer.Option("--only", help="weights: leave everything else out.", show_default=False)
]
MappingOption = Annotated[
    Path | None,
    typer.Option("--mapping", help="A file of renames, splits, merges … (see `map`).", show_default=False),
]
ReverseOption = Annotated[bool, typer.Option("--reverse", help="Use the mapping the other way.")]


@app.command("inspect")
def inspect(
    file: FileArgument,
    everything: Annotated[bool, typer.Option("--all", help="Every entry, not only sums and weights.")] = False,
    objects_as_data: AsDataOption = False,
    trust_pickle: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """What a checkpoint holds: weights, buffers, optimizer state by parameter name, schedules, loader, generators.

    Example: lab-migrate checkpoint inspect runs/digits_vae/step_00000100.lab
    """
    with _told():
        opened = open_checkpoint(file, Reading(objects_as_data, trust_pickle or ()))
    made = rows(opened.contents)
    if json:
        print_json(
            {
                "path": str(file),
                "format": opened.format.name,
                "totals": totals(made),
                "notes": opened.contents.notes,
                "entries": made,
            }
        )
        return
    out = console()
    out.print(f"{file}: {opened.format.title}, {len(made)} entries")
    for note in opened.contents.notes:
        out.print(f"  {note}")
    summed = table("", "entries", "elements", "bytes")
    for kind, total in totals(made).items():
        summed.add_row(kind, *(f"{total[unit]:,}" for unit in ("entries", "elements", "bytes")))
    out.print(summed)
    listed = table("", "name", "value")
    for row in made:
        if everything or row.kind in ("weight", "buffer", "counters", "schedules", "scaler"):
            listed.add_row(row.kind, row.name, row.told + (f" (tied to {row.tied_to})" if row.tied_to else ""))
    out.print(listed)
    if not everything:
        out.print("--all lists every entry.")


@app.command("convert")
def convert(
    source: FileArgument,
    target: Annotated[Path, typer.Argument(help="The file to write; never overwritten.", show_default=False)],
    to: Annotated[
        str | None,
        typer.Option("--to", help="The target's format, where its ending does not tell.", show_default=False),
    ] = None,
    only: OnlyOption = None,
    mapping: MappingOption = None,
    reverse: ReverseOption = False,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", help="A checkpoint of the other model: each of its weights must be filled.", show_default=False
        ),
    ] = None,
    native: Annotated[
        Path | None,
        typer.Option(
            "--native",
            help="The Lab project: write what its conversion to level L3 resumes from (docs/native.md).",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="With --native: the gin file that was converted (default: the only one).",
            show_default=False,
        ),
    ] = None,
    objects_as_data: AsDataOption = False,
    trust_pickle: TrustOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing target, in one step.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a checkpoint in another format; every entry is mapped, carried along, or dropped with a reason.

    Example: lab-migrate checkpoint convert step_00000100.lab step_00000100.ckpt
    """
    if native is not None:
        from lab_migrate.native.checkpoint import convert_to_native

        with _told():
            step = convert_to_native(source, target, native, config=config, force=force)
        if json:
            print_json({"source": str(source), "target": str(target), "step": step})
        else:
            console().print(f"Written to {target}: the native training goes on from it after step {step}.")
        return
    with _told():
        done = convert_checkpoint(
            source,
            target,
            to,
            only,
            Reading(objects_as_data, trust_pickle or ()),
            force,
            _mapping(mapping, reverse),
            like,
        )
    if json:
        print_json(
            {"source": str(source), "target": str(target), "format": done.format.name, "coverage": done.coverage}
        )
    else:
        _print_conversion(done, target)


@app.command("map")
def draft_mapping(
    source: FileArgument,
    like: Annotated[Path, typer.Argument(help="A checkpoint of the other model.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="Write the draft here.", show_default=False)] = None,
    objects_as_data: AsDataOption = False,
    trust_pickle: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Draft a mapping between two models from their checkpoints: names that moved where shapes agree.

    Example: lab-migrate checkpoint map legacy.pt migrated.ckpt --out mapping.toml

    A draft says `confirmed = false`, and no conversion takes it before somebody has read it. Exit code 1 where some
    weights have no counterpart or several.
    """
    reading = Reading(objects_as_data, trust_pickle or ())
    with _told():
        draft = propose(open_checkpoint(source, reading).contents, open_checkpoint(like, reading).contents)
        if out is not None:
            with new_file(out) as file:
                file.write(draft.toml().encode())
    if json:
        print_json({"draft": draft, "toml": draft.toml()})
    elif out is None:
        console().print(draft.toml(), markup=False, highlight=False, end="")
    else:
        counted = f"{len(draft.operations)} operations, {draft.kept} names kept"
        open_ = f"{len(draft.ambiguous)} ambiguous, {len(draft.unused)} unused, {len(draft.unfilled)} unfilled"
        console().print(f"Drafted {out}: {counted}; {open_}. Read it, then set confirmed = true.")
    raise typer.Exit(0 if draft.complete else 1)


@app.command("verify")
def verify(
    source: FileArgument,
    target: FileArgument,
    only: OnlyOption = None,
    mapping: MappingOption = None,
    reverse: ReverseOption = False,
    forward: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--forward",
            help="Run both models once: LEGACY.py:FUNCTION MIGRATED.py:FUNCTION, which return (model, inputs).",
            show_default=False,
        ),
    ] = None,
    objects_as_data: AsDataOption = False,
    trust_pickle: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Prove that one checkpoint is the other one, converted: every entry, bit by bit, and the way back.

    Example: lab-migrate checkpoint verify step_00000100.lab step_00000100.ckpt

    Exit code 0 verified, 1 something differs (named), 3 nothing to compare.
    """
    with _told():
        found = verify_checkpoints(
            source, target, only, Reading(objects_as_data, trust_pickle or ()), _mapping(mapping, reverse), forward
        )
    if json:
        print_json(
            {
                "source": str(source),
                "target": str(target),
                "compared": found.compared,
                "tensors": found.tensors,
                "faults": found.faults,
                "dropped": found.dropped,
                "notes": found.notes,
            }
        )
    else:
        _print_verification(found)
    raise typer.Exit(found.exit_code)


def _mapping(file: Path | None, reverse: bool) -> Mapping | None:
    if file is None:
        return None
    declared = read_mapping(file)
    return declared.reverse() if reverse else declared


def _print_conversion(done: Conversion, target: Path) -> None:
    out = console()
    counts = ", ".join(f"{count} {what}" for what, count in done.coverage.counts().items())
    out.print(f"{done.source.path}: {done.source.format.title}: {counts}")
    for note in done.source.contents.notes:
        out.print(f"  {note}")
    reasons: dict[str, int] = {}
    for fate in done.coverage.dropped():
        reasons[fate.reason] = reasons.get(fate.reason, 0) + 1
    for reason, count in reasons.items():
        out.print(f"  dropped {count}: {reason}")
    beside: dict[str, int] = {}
    for fate in done.coverage.fates:
        if fate.what == "carried":
            top = fate.source.partition(".")[0].partition("[")[0]
            beside[top] = beside.get(top, 0) + 1
    if beside:
        listed = ", ".join(f"{top} ({count})" for top, count in beside.items())
        out.print(f"  carried for the way back, read by nothing else: {listed}")
    added: dict[tuple[str, str], int] = {}
    for path, reason in done.coverage.added.items():
        top = path.partition(".")[0].partition("[")[0]
        added[top, reason] = added.get((top, reason), 0) + 1
    for (top, reason), count in added.items():
        out.print(f"  added {top}{f' ({count} entries)' if count > 1 else ''}: {reason}")
    out.print(f"Written to {target}, {done.format.title}.")


def _print_verification(found: Verification) -> None:
    out = console()
    for note in found.notes:
        out.print(note)
    for fault in found.faults[:SHOWN]:
        out.print(f"{fault.kind:<12}{fault.message}")
    if len(found.faults) > SHOWN:
        out.print(f"and {len(found.faults) - SHOWN} more; --json has all")
    if found.dropped:
        for reason in dict.fromkeys(found.dropped.values()):
            count = sum(one == reason for one in found.dropped.values())
            out.print(f"{count} entries of the source were left out: {reason}")
    if found.exit_code == 3:
        out.print("inconclusive: no tensor on both sides")
    elif found.faults:
        out.print(f"{len(found.faults)} faults in {found.compared} entries compared")
    else:
        way = "" if found.dropped else "; the way back gives every leaf of the source"
        ran = "; one forward pass of both models gives the same bits" if found.forward else ""
        out.print(f"verified: {found.compared} entries, {found.tensors} tensors, bit by bit{way}{ran}")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (CheckpointError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error
    except OSError as error:  # a full disk, a file that may not be read
        raise UsageError(f"{error.filename or 'checkpoint'}: {error.strerror}; nothing was changed") from error
