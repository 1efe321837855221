"""Other tools beside lab_parity on the planted bugs in scripts: what they find, when, where, and whether they say why.

    pip install trainparity mindstudio-probe      # in an environment of its own, beside torch and lab-migrate
    python benchmarks/other_tools.py              # a table; --write puts it into docs/other_tools.md
    python benchmarks/other_tools.py --tool trainparity --first 10

Neither has a command that compares two trainings by itself, so their own parts are put together as one would do by
hand, without a line in the scripts: trainparity takes a snapshot of model, gradients, optimizer and generators after
every optimizer step, and compares each pair exactly; mindstudio-probe dumps every call of torch with the statistics of
its arguments and results, and the first entry of a step that differs is what it names. Each tool runs in a process of
its own: mindstudio-probe patches torch for good.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).parent))

from corpus_cases import markdown
from other_tools_drivers import TOOLS, Found
from planted_scripts.bugs import SETS, ScriptBug, bugs_of

DOCS = Path(__file__).parents[1] / "docs" / "other_tools.md"
#: Scripts without a torch optimizer, after whose steps the other tools could be called.
WITHOUT = ("wordlm",)
#: Where in a step a phase lies, and where a tool may therefore see it first.
PARTS = {
    **dict.fromkeys(("config", "rng", "batch", "forward", "loss"), ("forward",)),
    **dict.fromkeys(("grad", "reduce", "clip"), ("backward", "update")),
    "buffer": ("forward", "update"),
}
UPDATE = ("update",)
NAMES = {"lab_parity": "lab-migrate", "trainparity": "trainparity", "msprobe": "mindstudio-probe"}
HEAD = """# Other tools on the same bugs

Made by `python benchmarks/other_tools.py --write`; see there how the tools are driven. One changed line in each of {n}
copies of {scripts} training scripts ([planted_bugs.md](planted_bugs.md), second and third set). *Step*: the first
difference is at the expected optimizer step. *Part*: and in the expected part of it: up to the loss, the backward pass,
or what comes after. *Cause*: the right cause is named. *Reruns*: of so many reruns of the unchanged scripts, some
difference was reported. Seconds are of the processor, for all runs.
"""
TAIL = """
trainparity names a tensor of its snapshot, in the snapshot's order (parameters before gradients), mindstudio-probe an
operation and its argument, which often is the number that is wrong; neither claims to name a cause. Of the latter's
entries those are left out that differ between reruns of the unchanged script, by operation and argument: it looks at
memory that was never written, too. Its checksums, which it works out in a thread of their own, differ between most
reruns and were not used. Left out of all rows are the bugs of {without}, which has no optimizer to call the other
tools after.
"""


@attrs.frozen
class Sum:
    """A tool's row."""

    tool: str
    bugs: int
    found: int
    step: int
    part: int
    cause: int
    reruns: str
    seconds: int


def main() -> None:
    """Run the tools, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, help="so many bugs of each script only")
    parser.add_argument("--tool", choices=tuple(TOOLS), help="one tool, every bug told")
    parser.add_argument("--write", action="store_true", help=f"write {DOCS.name}")
    given = parser.parse_args()
    if given.tool:
        print(json.dumps(attrs.asdict(measure(given.tool, chosen(given.first)))))
        return
    bugs = chosen(given.first)
    sums = [apart(tool, given.first) for tool in TOOLS]
    head = ["", "found", "step", "part", "cause", "reruns", "seconds"]
    rows = [
        (f"{row.tool}", *(f"{count} of {row.bugs}" for count in (row.found, row.step, row.part, row.cause)),
         row.reruns, row.seconds)
        for row in sums
    ]  # fmt: skip
    scripts = len({bug.model for bug in bugs})
    page = [HEAD.format(n=len(bugs), scripts=scripts), *markdown(head, rows), TAIL.format(without=", ".join(WITHOUT))]
    print("\n".join(page))
    if given.write:
        DOCS.write_text("\n".join(page), encoding="utf-8")


def chosen(first: int | None) -> list[ScriptBug]:
    """The bugs of the second and third set that every tool can be run on; at most `first` of each script."""
    listed = [bug for name in SETS for bug in bugs_of(name) if bug.model not in WITHOUT]
    models = dict.fromkeys(bug.model for bug in listed)
    return [bug for model in models for bug in [bug for bug in listed if bug.model == model][:first]]


def apart(tool: str, first: int | None) -> Sum:
    """A tool's row, made in a process of its own. Raises RuntimeError with what it said where it fails."""
    more = [] if first is None else ["--first", str(first)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--tool", tool, *more],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{tool}: exit code {done.returncode}; try: python {Path(__file__).name} --tool {tool}")
    return Sum(**json.loads(done.stdout.splitlines()[-1]))


def measure(name: str, bugs: Sequence[ScriptBug]) -> Sum:
    """Run one tool on every bug, and on a rerun of every script; a line per bug goes to standard error."""
    started = time.process_time()
    counts = dict.fromkeys(("found", "step", "part", "cause"), 0)
    alarms = 0
    models = list(dict.fromkeys(bug.model for bug in bugs))
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        tool = TOOLS[name](Path(folder))
        for model in models:
            found = tool.rerun(model)
            alarms += found is not None
            if found is not None:
                print(f"{name}: a rerun of {model} differs: {found}", file=sys.stderr, flush=True)
            for bug in (bug for bug in bugs if bug.model == model):
                found = tool.find(bug)
                right = _judged(bug, found)
                counts = {what: count + right[what] for what, count in counts.items()}
                marks = "".join(what[0] if right[what] else "-" for what in counts)
                print(f"{marks} {bug.causes[0]} in {bug.name[:70]}: {found}", file=sys.stderr, flush=True)
    label = f"{NAMES[name]} {version(NAMES[name])}"
    return Sum(
        label, len(bugs), **counts, reruns=f"{alarms} of {len(models)}", seconds=round(time.process_time() - started)
    )


def _judged(bug: ScriptBug, found: Found | None) -> Mapping[str, bool]:
    step = found is not None and found.step == bug.step
    return {
        "found": found is not None,
        "step": step,
        "part": step and found is not None and found.part in PARTS.get(bug.phase, UPDATE),
        "cause": found is not None and found.cause in bug.causes,
    }


if __name__ == "__main__":
    main()
