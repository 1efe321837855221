"""What a migrated project gets beside its converted files: MIGRATION.md, a parity test, a line of requirements.

Nothing that is there already is replaced; a file whose name is taken is left out, and said so.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import attrs
from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console

from lab_migrate.convert import Conversion
from lab_migrate.scan import scan_project
from lab_migrate.scan.inventory import Evidence
from lab_migrate.verify import Verification
from lab_parity.report.terminal import render

__all__ = ["Handover", "hand_over"]

GUIDE, TEST, REQUIREMENTS = "MIGRATION.md", "test_migration.py", "requirements.txt"
#: What a conversion to level L3 brings itself.
NATIVE_TEST = "test_parity.py"
#: What migrated code imports, and the requirement that brings it.
NEEDS = {"lab_adapters": "lab-migrate", "lab_bridge": "lab-migrate", "lightning": "lightning>=2.6,<2.7"}
#: Where the legacy project is looked for when the conversion has changed it in place.
BESIDE = "../legacy"
SHOWN = 4


#: A requirement's package; empty where a line has none.
_PACKAGE = re.compile(r"[\w.-]*")


@attrs.frozen
class Handover:
    """Files that were written, with what each is; and those whose names were taken."""

    written: dict[str, str]
    taken: tuple[str, ...] = ()


def hand_over(
    conversion: Conversion, folder: Path, entry: str | None = None, command: str | None = None,
    proof: Verification | None = None, steps: int | None = None,
) -> Handover:  # fmt: skip
    """Write the files into a migrated project; again, with the verdict, once there is one. Nothing without a change."""
    if not conversion.changes:
        return Handover({})
    native = any(change.path == NATIVE_TEST for change in conversion.changes)
    in_place = folder.resolve() == conversion.root.resolve()
    texts = {} if native else {TEST: _test(conversion, command, steps, in_place)}
    also = dict.fromkeys(texts, "added: runs the comparison again")
    lines = _requirements(conversion, folder)
    if lines is not None:
        texts[REQUIREMENTS], also[REQUIREMENTS] = lines, "what the migrated code imports"
    texts[GUIDE] = _guide(conversion, entry, command, proof, also, steps, in_place)
    taken = [name for name in (TEST, GUIDE) if (conversion.root / name).exists()]
    for name, text in texts.items():
        if name not in taken:
            (folder / name).write_text(text, encoding="utf-8", newline="")
    return Handover({name: also.get(name, "added") for name in texts if name not in taken}, tuple(taken))


def _test(conversion: Conversion, command: str | None, steps: int | None, in_place: bool) -> str:
    legacy = BESIDE if in_place else str(conversion.root.resolve())
    return _templates().get_template(f"{TEST}.jinja").render(
        test=TEST, legacy=_quoted(legacy), in_place=in_place, command=_quoted(command or ""), steps=steps
    )  # fmt: skip


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _requirements(conversion: Conversion, folder: Path) -> str | None:
    """The project's requirements with what the changes import, or None where they name it."""
    imported = {name for change in conversion.changes for name in NEEDS if _imports(change.after, name)}
    path = folder / REQUIREMENTS
    before = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
    named = {_PACKAGE.match(line.strip()).group().lower().replace("_", "-") for line in before.splitlines()}  # type: ignore[union-attr]
    wanted = dict.fromkeys(NEEDS[name] for name in sorted(imported))
    missing = [one for one in wanted if one.partition(">")[0] not in named]
    if not missing:
        return None
    newline = "\r\n" if "\r\n" in before else "\n"
    start = before if not before or before.endswith(("\n", "\r")) else before + newline
    return start + newline.join(missing) + newline


def _imports(text: str, name: str) -> bool:
    return f"import {name}" in text or f"from {name}" in text


def _guide(
    conversion: Conversion,
    entry: str | None,
    command: str | None,
    proof: Verification | None,
    also: dict[str, str],
    steps: int | None,
    in_place: bool,
) -> str:
    inventory = scan_project(conversion.root)
    loops = {(finding.path, finding.line) for finding in conversion.findings}
    concerned = [
        one
        for one in inventory.assumptions
        if not one.loops
        or any((path, int(line)) in loops for path, _, line in (at.rpartition(":") for at in one.loops))
    ]
    left = [
        attrs.evolve(one, evidence=evidence)
        for one in concerned
        if (evidence := _still_there(one.evidence, conversion)) or not one.evidence
    ]
    return _templates().get_template(f"{GUIDE}.jinja").render(
        version=metadata.version("lab-migrate"), legacy=conversion.root, entry=entry, command=command, proof=proof,
        in_place=in_place, beside=BESIDE, steps=steps, rendered=_rendered(proof) if proof is not None else "",
        test=TEST if TEST in also else NATIVE_TEST,
        changes=conversion.changes, also=also, findings=conversion.findings, assumptions=left,
        outlined=any("outlined." in change.after for change in conversion.changes),
    )  # fmt: skip


def _still_there(evidence: Sequence[Evidence], conversion: Conversion) -> tuple[Evidence, ...]:
    """The lines that the conversion has left, where they stand now; what it has rewritten is done."""
    changed = {change.path: change.after.splitlines() for change in conversion.changes}
    taken: set[tuple[str, int]] = set()
    found: list[Evidence] = []
    for one in evidence:
        if one.path not in changed or not one.text:
            found.append(one)
            continue
        # Names of a LightningModule's own count as what they were.
        text = one.text.removesuffix("…").replace("self.", "")
        for number, line in enumerate(changed[one.path], 1):
            if (one.path, number) not in taken and line.strip().replace("self.", "").startswith(text):
                taken.add((one.path, number))
                found.append(attrs.evolve(one, line=number))
                break
    return tuple(found)


def _rendered(proof: Verification) -> str:
    written = io.StringIO()
    Console(file=written, width=100, color_system=None).print(render(proof.verdict))
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()).strip()


def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("lab_migrate.convert"), undefined=StrictUndefined, keep_trailing_newline=True,
        trim_blocks=True, autoescape=False,
    )  # fmt: skip
    found.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    found.filters["shorten"] = _shortened
    return found


def _shortened(places: Sequence[str]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(f"`{place}`" for place in places[:SHOWN]) + more
