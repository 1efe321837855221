"""`lab-migrate convert`: a project onto Lightning, as a diff or as a copy."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from lab_migrate.commands.options import JsonOption, LevelOption, MarginOption, NoiseOption, SeedsOption
from lab_migrate.convert import Conversion, all_rules, convert_project
from lab_migrate.convert.engine import chosen_rules
from lab_migrate.convert.rule import BY_TIER
from lab_migrate.errors import UsageError
from lab_migrate.handover import Handover, hand_over
from lab_migrate.ladder import Rungs
from lab_migrate.output import console, print_diff, print_findings, print_json, table
from lab_migrate.verify import RunFailedError, Verification
from lab_migrate.verify import verify as run_both
from lab_parity.report.terminal import render

#: The exit code of what could not be proven.
INCONCLUSIVE = 3
#: The code of a loop that became a LightningModule.
IDIOMATIC = "LM301"


def convert(
    project: Annotated[Path | None, typer.Argument(help="The project's folder.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the migrated project here.", show_default=False)
    ] = None,
    level: LevelOption = "L1",
    entry: Annotated[
        str | None,
        typer.Option(
            "--entry",
            help="The file whose training is converted, with what it imports (default: all).",
            show_default=False,
        ),
    ] = None,
    tier: Annotated[
        str,
        typer.Option(
            "--tier",
            help="faithful: the loop's body verbatim under Lightning; idiomatic: a LightningModule, or nothing; "
            "auto: idiomatic where possible, else faithful.",
        ),
    ] = "faithful",
    target: Annotated[
        str,
        typer.Option("--target", help="lightning; or fabric, which keeps the loop and hands it Lightning Fabric."),
    ] = "lightning",
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="Level L3: the gin file whose values are written (default: the only one).",
            show_default=False,
        ),
    ] = None,
    bind: Annotated[
        list[str] | None,
        typer.Option("--bind", help="Level L3: a gin binding over the config's; repeatable.", show_default=False),
    ] = None,
    packages: Annotated[
        Path | None,
        typer.Option(
            "--packages",
            help="The site-packages folder of the Python that trains (default: this one's).",
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            "--verify",
            help="Run this command in the project and in its copy, and compare. Needs --out.",
            show_default=False,
        ),
    ] = None,
    verify_steps: Annotated[
        int | None,
        typer.Option("--verify-steps", min=1, help="With --verify: end both after so many steps.", show_default=False),
    ] = None,
    noise: NoiseOption = None,
    seeds: SeedsOption = None,
    margin: MarginOption = 0.02,
    write: Annotated[bool, typer.Option("--write", help="Change the project itself; needs a clean git tree.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --write: without a clean git tree.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if anything would change.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this rule; repeatable.", show_default=False)
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", help="Not this rule; repeatable.", show_default=False)
    ] = None,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="List the rules.")] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", help="Explain a rule, e.g. LM101.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Convert a project. Without --out or --write: show the diff and the findings, write nothing.

    Example: lab-migrate convert examples/digits_vae --out ../digits_vae_lightning

    Exit code 1 where something needs a hand (or, with --check, would change).
    """
    if list_rules or explain:
        _say_rules(explain)
        return
    if project is None:
        raise UsageError("convert: expected the project's folder, found no argument")
    if write and out is not None:
        raise UsageError("convert: expected --out or --write, found both")
    if verify is not None and out is None:
        raise UsageError("convert: expected --out beside --verify, since both versions are run")
    if verify_steps is not None and verify is None:
        raise UsageError("convert: expected --verify beside --verify-steps, the command that trains; found none")
    if verify is None and (noise is not None or seeds is not None):
        raise UsageError("convert: expected --verify beside --noise and --seeds, since both versions are run")
    rungs = Rungs(noise or 0, seeds or 0, margin)
    conversion = convert_project(
        project, level, only or (), skip or (), entry, packages, tier, target, config, bind or ()
    )
    if not json:
        _print(conversion)
    proof = None
    may_step_down = tier == "auto" and any(
        rule.code == BY_TIER["faithful"] for rule in chosen_rules(level, only or (), skip or ())
    )
    if out is not None:
        conversion.write(out)
        why = None
        if verify is not None and conversion.changes:
            try:
                proof = _verified(project, out, verify, verify_steps, rungs)
                if may_step_down and _steps_down(conversion, proof):
                    why = objection_to(proof.verdict.rung), render(proof.verdict)
            except RunFailedError as error:
                if not may_step_down or error.side != "migrated" or not _is_rewritten(conversion):
                    raise
                why = "fails", Text(str(error))
        if why is not None:
            if not json:
                console().print(why[1])
                console().print(f"The idiomatic way {why[0]}; converted the faithful way instead.")
            shutil.rmtree(out)
            conversion = convert_project(project, level, only or (), skip or (), entry, packages, "faithful", target)
            conversion.write(out)
            proof = _verified(project, out, verify or "", verify_steps, rungs)
    elif write:
        _require_clean(project, force)
        conversion.write_into(project)
    folder = out if out is not None else project if write else None
    handed = Handover({})
    if folder is not None:
        handed = hand_over(conversion, folder, entry, verify, proof, verify_steps)
    if json:
        print_json(
            {
                "root": str(project),
                "level": level,
                "written": str(out or project) if out is not None or write else None,
                "changes": [{"path": change.path, "diff": change.diff()} for change in conversion.changes],
                "findings": conversion.findings,
                "also_written": sorted(handed.written),
                "verdict": proof.verdict.to_dict() if proof is not None else None,
                "beside": proof.beside if proof is not None else (),
            }
        )
    elif out is not None:
        console().print(f"Written to {out}." if proof is not None else _how_to_verify(conversion, out))
    elif write:
        console().print(f"Changed {len(conversion.changes)} file{'s' * (len(conversion.changes) != 1)} in {project}.")
    else:
        console().print("Nothing was written. Use --out DIR for a migrated copy.")
    if handed.written and not json:
        console().print(f"Also written: {', '.join(sorted(handed.written))}.")
    for name in handed.taken if not json else ():
        console().print(f"Not written, since the project has one: {name}")
    unproven = verify is not None and proof is None
    if unproven and not json:
        console().print("Not verified: nothing was converted, so both runs would be of the same code.")
    if proof is not None and not json:
        console().print(render(proof.verdict))
        for line in proof.beside:
            console().print(Text(f"Beside the training, {line}"))
        console().print(f"Traces: {proof.legacy} and {proof.migrated}")
    failed = 1 if conversion.needs_hand or (check and conversion.changes) else 0
    if unproven:
        raise typer.Exit(failed or INCONCLUSIVE)
    raise typer.Exit(max(failed, proof.verdict.exit_code) if proof is not None else failed)


def objection_to(rung: str) -> str:
    """What there is to say of an idiomatic conversion whose verdict is this one."""
    return "trains differently" if rung == "diverged" else "could not be proven"


def _steps_down(conversion: Conversion, proof: Verification) -> bool:
    """Whether what was rewritten idiomatically is not the same training; an outlined one has no tier below."""
    return _is_rewritten(conversion) and proof.verdict.rung != "identical"


def _is_rewritten(conversion: Conversion) -> bool:
    return any(finding.code == IDIOMATIC for finding in conversion.findings)


def _verified(project: Path, out: Path, command: str, steps: int | None, rungs: Rungs) -> Verification:
    work = Path(tempfile.mkdtemp(prefix="lab-migrate-verify-"))
    with console().status("verifying") as status:
        return run_both(project, out, command, work, say=status.update, steps=steps, rungs=rungs)


def _how_to_verify(conversion: Conversion, out: Path) -> str:
    if not conversion.changes:
        return f"Nothing was converted; {out} is the project as it was."
    if not any(finding.code.startswith(("LM1", "LM4")) for finding in conversion.findings):  # no project of Lab's
        return f"Written to {out}. Verify it: lab-migrate convert … --verify 'python train.py …' with your own command"
    return f"Written to {out}. Verify it: lab-migrate parity {conversion.root} --level {conversion.level}"


def _print(conversion: Conversion) -> None:
    out = console()
    for change in conversion.changes:
        print_diff(out, change.diff())
    if conversion.changes:
        out.print()
    print_findings(out, conversion.findings)


def _say_rules(code: str | None) -> None:
    rules = all_rules()
    if code is None:
        listed = table("code", "levels", "rule")
        for rule in rules:
            listed.add_row(rule.code, " ".join(sorted(rule.levels)), rule.title)
        console().print(listed)
        return
    chosen = [rule for rule in rules if rule.code == code]
    if not chosen:
        raise UsageError(f"--explain: expected one of {', '.join(rule.code for rule in rules)}, found {code!r}")
    console().print(f"{chosen[0].code}: {chosen[0].explanation}")


def _require_clean(project: Path, force: bool) -> None:
    if force:
        return
    try:
        status = subprocess.run(
            ["git", "status", "--porcelain", "--", "."], cwd=project, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise UsageError("--write: expected git, to have a way back, found none; use --out, or --force") from error
    if status.returncode:
        raise UsageError(f"{project}: expected a git tree, to have a way back, found none; use --out, or --force")
    if status.stdout.strip():
        raise UsageError(f"{project}: expected a clean git tree, found changes; commit or stash them, or use --force")
