"""What is said where a conversion changed nothing: why, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab_migrate.analysis import CallGraph
from lab_migrate.analysis.handed_on import handed_on
from lab_migrate.analysis.reached import reached_from
from lab_migrate.analysis.unrepeated import unrepeated_steps, unseen_update
from lab_migrate.convert.rule import BY_TIER, OUTLINING, Rule
from lab_migrate.findings import Finding, Status
from lab_migrate.project import list_project

__all__ = ["left_out", "nothing"]


def left_out(entry: str | None, tier: str, target: str, rules: Sequence[Rule]) -> Finding:
    """That `--only` or `--skip` leaves out the rule by which loops are converted."""
    every = " and ".join(BY_TIER.values()) if tier == "auto" else OUTLINING
    needed = "LM310" if target == "fabric" else BY_TIER.get(tier, every)
    codes = {rule.code for rule in rules}
    other = next((way for way, code in BY_TIER.items() if code in codes and target != "fabric"), "")
    return Finding(
        entry or ".", 0, 0, "LM002", Status.UNSUPPORTED,
        f"nothing to convert: --only or --skip leaves out {needed}, by which training loops are converted",
        f"leave {needed} in" + (f", or ask for --tier {other}, which is what {BY_TIER[other]} does" if other else ""),
    )  # fmt: skip


def nothing(
    root: Path, entry: str | None, migrated: Sequence[str], labs: Sequence[str], graph: CallGraph | None
) -> list[Finding]:
    """Why nothing was found to convert; `graph` is None in a project of Lab's."""
    if migrated:
        return [Finding(
            migrated[0], 0, 0, "LM002", Status.SAFE,
            f"nothing to convert: {', '.join(migrated[:3])} train{'s' * (len(migrated) == 1)} under Lightning already",
            "run `lab-migrate parity`, or the generated test, to prove it again",
        )]  # fmt: skip
    if graph is None:
        return [Finding(
            entry if entry is not None and entry in labs else labs[0], 0, 0, "LM002", Status.UNSUPPORTED,
            f"nothing to convert: {', '.join(labs[:3])} use{'s' * (len(labs) == 1)} Lab, and in no file can it be told "
            "which of its trainers is trained",
            "import Trainer from legacy_lab, make it and train it in one file: trainer = Trainer(…), trainer.train(…)",
        )]  # fmt: skip
    reached = reached_from(graph.project, entry) if entry else None
    places = unrepeated_steps(graph.project, graph, reached)
    if not places and reached is not None:
        unseen = unseen_update(graph.project, graph, reached)
        places = [unseen] if unseen is not None else []
    if not places and (given := handed_on(graph.project, graph, reached)) is not None:
        places = [given]
    if places:
        return [
            Finding(
                one.path, one.line, 0, "LM002", Status.UNSUPPORTED, f"nothing to convert: {one.said}", one.next_step
            )
            for one in places[:3]
        ]
    where = f"what {entry} imports" if entry else "the project"
    # A training in Python 2, or in a notebook, is not found.
    unread = [one.path for one in graph.project.unread]
    notebooks = [one.path for one in list_project(root).skipped if one.kind == "notebook"]
    if unread:
        step = f"mend {_few(unread)}, which could not be read and may hold it, and convert again"
    elif notebooks:
        step = f"if {_few(notebooks)} trains, make a script of it (`jupyter nbconvert --to script`) and convert again"
    else:
        step = f"run `lab-migrate scan {root}` to see what there is, and name the file that trains with --entry"
    return [Finding(
        entry or ".", 0, 0, "LM002", Status.UNSUPPORTED,
        f"nothing to convert: {where} has neither Lab's Trainer nor a loop with a backward pass and an optimizer step",
        step,
    )]  # fmt: skip


def _few(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" or {len(paths) - 3} more" if len(paths) > 3 else "")
