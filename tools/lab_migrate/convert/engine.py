"""Applying rules to a project: every rule sees the original, their edits are merged, the result must parse."""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import attrs
import libcst as cst

from lab_migrate.analysis import CallGraph, read_project
from lab_migrate.analysis.reached import reached_from
from lab_migrate.convert import lightning1
from lab_migrate.convert.asked_version import oldest_asked
from lab_migrate.convert.nothing import left_out, nothing
from lab_migrate.convert.relatives import relatives_of
from lab_migrate.convert.rule import BY_TIER, OUTLINING, Edit, NewFile, Proposal, Rule, Source, all_rules
from lab_migrate.errors import UsageError
from lab_migrate.findings import Finding, Status
from lab_migrate.profile import profiles_for
from lab_migrate.project import (
    copy_project,
    encode_source,
    parse_source,
    python_files,
    read_source,
    require_project,
)

LEVELS = ("L1", "L2", "L3")
#: What a converted file imports.
_MIGRATED = re.compile(r"^[ \t]*(?:from|import)[ \t]+lab_(?:adapters|bridge)\b", re.MULTILINE)


@attrs.frozen
class FileChange:
    """One file before and after; `before` is None for a file that is added, or the text that it is a copy of.

    A file that is removed has no text after.
    """

    path: str
    before: str | None
    after: str
    #: Where that text lies, if not at `path`.
    origin: str = ""

    @property
    def removed(self) -> bool:
        """Whether the file goes."""
        return bool(self.before) and not self.after

    def diff(self) -> str:
        """A unified diff."""
        return "".join(
            difflib.unified_diff(
                (self.before or "").splitlines(keepends=True),
                self.after.splitlines(keepends=True),
                self.origin or (f"a/{self.path}" if self.before is not None else "/dev/null"),
                "/dev/null" if self.removed else f"b/{self.path}",
            )
        )


@attrs.frozen
class Conversion:
    """What would be, or was, done to a project."""

    root: Path
    level: str
    changes: tuple[FileChange, ...]
    findings: tuple[Finding, ...]

    @property
    def needs_hand(self) -> bool:
        """Whether a person must do something before the project is migrated."""
        return any(finding.status in (Status.MANUAL, Status.UNSUPPORTED) for finding in self.findings)

    def write(self, out: Path) -> None:
        """Copy the project to `out` and write the changed files there. Raises `UsageError`."""
        copy_project(self.root, out)
        self.write_into(out)

    def write_into(self, folder: Path) -> None:
        """Write the changed files into a folder that holds the project."""
        for change in self.changes:
            target = folder / change.path
            source = self.root / change.path
            if change.removed:
                target.unlink()
                continue
            data = encode_source(source, change.after) if source.exists() else change.after.encode()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def convert_project(
    root: Path,
    level: str = "L1",
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    entry: str | None = None,
    packages: Path | None = None,
    tier: str = "faithful",
    target: str = "lightning",
    config: Path | None = None,
    bindings: Sequence[str] = (),
) -> Conversion:
    """Convert a project in memory; nothing is written, imported or run. Raises `UsageError`.

    A project of Lab's is converted by its rules. In any other the training loops that `entry` reaches (all of them
    where none is named) are outlined, or rewritten idiomatically, as `tier` says. At level L3 a project of Lab's is
    written anew, with the values that the gin file `config` and `bindings` give it.
    """
    require_project(root)
    if entry is not None and not (root / entry).is_file():
        raise UsageError(f"{root / entry}: expected a script of the project, found none; name it relative to {root}")
    rules = chosen_rules(level, only, skip)
    if level == "L3":
        from lab_migrate.native import convert_native

        return convert_native(root, entry, config, bindings)
    changes: list[FileChange] = []
    findings: list[Finding] = []
    migrated: list[str] = []
    labs: list[str] = []
    texts: dict[str, str] = {}
    proposed: dict[str, list[Proposal]] = {}
    for file in python_files(root):
        path = file.relative_to(root).as_posix()
        try:
            texts[path] = read_source(file)
        except (SyntaxError, ValueError) as error:
            findings.append(_skipped(path, error))
    project = read_project(root) if any(lightning1.PACKAGE in text for text in texts.values()) else None
    relatives = relatives_of(project, lightning1.PACKAGE) if project is not None else {}
    lightning = oldest_asked(root, lightning1.PACKAGE) if project is not None else None
    for path, text in texts.items():
        try:
            if _MIGRATED.search(text):
                migrated.append(path)
            if "legacy_lab" in text or lightning1.PACKAGE in text:
                parse_source(text)  # what Python cannot read is not converted, even where LibCST can
            if "legacy_lab" in text:
                labs.append(path)
            source = Source(path, text, relatives.get(path, {}), lightning)
            proposed[path] = [one for one in _proposals(source, rules) if one != Proposal()]
        except (cst.ParserSyntaxError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            findings.append(_skipped(path, error))
    outlined: dict[str, tuple[Edit, ...]] = {}
    asked = _tier_of(tier, target, {rule.code for rule in rules})
    graph = None if labs else CallGraph(project or read_project(root))
    if graph is not None and asked:
        # Outlining knows rules and edits, so it cannot be imported before them.
        from lab_migrate.convert.tiers import convert_by_tier
        from lab_migrate.outline import outline_installed

        project, refusing = graph.project, [rule for rule in rules if rule.refuse]
        outlining = convert_by_tier(graph, entry, refusing, asked, target)
        installed = {"LM240", OUTLINING} & {rule.code for rule in rules}
        copies = outline_installed(project, entry, profiles_for(root) if installed else (), packages, refusing)
        for path in {*outlining.edits, *copies.edits}:
            texts[path] = project.modules[path].text
            outlined[path] = (*copies.edits.get(path, ()), *outlining.edits.get(path, ()))
        changes += _added(root, copies.files)
        findings += [*outlining.findings, *copies.findings]
        reached = reached_from(project, entry) if entry is not None else set(proposed)
        if not reached.isdisjoint(outlined):
            # What another entry of the repository is written with is none of this one's.
            proposed = {path: own for path, own in proposed.items() if path in reached}
    for path in sorted({*proposed, *outlined}):
        own = [_beside(one, texts[path], outlined.get(path, ())) for one in proposed.get(path, ())]
        findings += [finding for one in own for finding in one.findings]
        edits = [*(edit for one in own for edit in one.edits), *outlined.get(path, ())]
        if edits:
            changes.append(FileChange(path, texts[path], apply(texts[path], edits, path)))
        changes += _added(root, [new for one in own for new in one.new_files])
    if not changes and all(finding.code == "LM203" and finding.status is Status.REVIEW for finding in findings):
        chosen = not asked and bool(only or skip)
        findings += [left_out(entry, tier, target, rules)] if chosen else nothing(root, entry, migrated, labs, graph)
    return Conversion(root, level, tuple(changes), tuple(sorted(findings)))


def chosen_rules(level: str, only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Rule]:
    """The rules of a level, less what `--only` and `--skip` leave out. Raises `UsageError` for an unknown code."""
    if level not in LEVELS:
        raise UsageError(f"--level: expected one of {', '.join(LEVELS)}, found {level!r}")
    rules = all_rules()
    known = {rule.code for rule in rules}
    unknown = sorted({*only, *skip} - known)
    if unknown:
        raise UsageError(f"expected rule codes among {', '.join(sorted(known))}, found {', '.join(unknown)}")
    return [
        rule for rule in rules if level in rule.levels and (not only or rule.code in only) and rule.code not in skip
    ]


def apply(text: str, edits: Iterable[Edit], path: str) -> str:
    """`text` with the edits done. Raises `ValueError` where two overlap or the result does not parse: a bug of ours."""
    data = text.encode()
    end = len(data) + 1
    # Two insertions at one place keep the order of their rules: sorting is stable, and we go backwards.
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end))[::-1]:
        if edit.end > end:
            raise ValueError(f"{path}: two rules edit the bytes {edit.start}-{edit.end}")
        data = data[: edit.start] + edit.text.encode() + data[edit.end :]
        end = edit.start
    after = data.decode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes are the program's own
        ast.parse(after)
    return after


def _proposals(source: Source, rules: Sequence[Rule]) -> list[Proposal]:
    return [rule.propose(source) for rule in rules if rule.propose is not None]


def _beside(proposal: Proposal, text: str, edits: Sequence[Edit]) -> Proposal:
    """A rule's proposal where a loop is converted in the same file; what lies in the loop's own change is only said."""
    free = [one for one in proposal.edits if all(one.end <= other.start or one.start >= other.end for other in edits)]
    data = text.encode()
    left = {data.count(b"\n", 0, one.start) + 1 for one in proposal.edits if one not in free}

    def said(finding: Finding) -> Finding:
        message = f"left as it is, since its loop is rewritten: {finding.message}"
        step = finding.next_step or "change this line by hand"
        return attrs.evolve(finding, status=Status.MANUAL, message=message, next_step=step)

    findings = [said(one) if one.line in left and one.status is not Status.MANUAL else one for one in proposal.findings]
    return attrs.evolve(proposal, edits=tuple(free), findings=tuple(findings))


def _added(root: Path, new_files: Sequence[NewFile]) -> list[FileChange]:
    taken = [new.path for new in new_files if (root / new.path).exists()]
    if taken:
        raise UsageError(f"{root / taken[0]}: expected no such file, since the conversion adds one; rename yours")
    return [FileChange(new.path, new.copied, new.text, new.origin) for new in new_files]


def _skipped(path: str, error: Exception) -> Finding:
    line = getattr(error, "lineno", None) or getattr(error, "raw_line", 0) or 0
    message = str(error).splitlines()[0]
    return Finding(
        path, line, 0, "LM001", Status.MANUAL, f"not converted: {message}", "mend the syntax, then convert again"
    )


def _tier_of(tier: str, target: str, codes: Collection[str]) -> str:
    """By which tier loops are converted where only the rules with these codes may work; empty where by none."""
    if target == "fabric":
        return tier if {"LM310", OUTLINING} & set(codes) else ""
    if tier == "auto":
        ways = [way for way, code in BY_TIER.items() if code in codes]
        return tier if len(ways) == len(BY_TIER) else next(iter(ways), "")
    # What is no tier is said where they are known.
    return tier if BY_TIER.get(tier, OUTLINING) in codes else ""
