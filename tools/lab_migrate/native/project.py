"""Rewriting a whole Lab project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from lab_bridge.config.documents import Document
from lab_bridge.config.front import read_config, typed
from lab_bridge.config.problems import ConfigErrors
from lab_bridge.config.schema import Schema
from lab_bridge.idiomatic import objections
from lab_bridge.idiomatic.semantics import semantics_of
from lab_migrate.convert.engine import Conversion, FileChange
from lab_migrate.errors import UsageError
from lab_migrate.findings import Finding, Status
from lab_migrate.native.adversarial import is_adversarial, objections_of, optimizers_of
from lab_migrate.native.as_it_ran import in_own_order
from lab_migrate.native.called import called_with_settings
from lab_migrate.native.closure import without_closure
from lab_migrate.native.draws import Draws
from lab_migrate.native.entry import Entry, find_entry
from lab_migrate.native.files import read_files
from lab_migrate.native.given import given_objects
from lab_migrate.native.hook_classes import hook_bases
from lab_migrate.native.labs import is_labs
from lab_migrate.native.lookahead import Ahead, without_lookahead
from lab_migrate.native.made import is_made_early, moving_schedules
from lab_migrate.native.moved import moved_out
from lab_migrate.native.own_average import BASE
from lab_migrate.native.own_classes import own_classes
from lab_migrate.native.own_scaler import scaler_classes
from lab_migrate.native.package import package_of, stem_of
from lab_migrate.native.rebound import rebound
from lab_migrate.native.refused import NotNativeError
from lab_migrate.native.sam import Sharpness, without_sam
from lab_migrate.native.taken import Taken
from lab_migrate.native.untimed import timed_unseen, untimed
from lab_migrate.native.windows import beside_windows
from lab_migrate.native.write import Written, written
from lab_migrate.project import read_source

__all__ = ["Training", "config_of", "convert_native", "read_training"]


@attrs.frozen
class Training:
    """What a Lab project trains: its script, its config as objects, and what stands against a native form.

    `config` is the gin file that the native training is named after. `trainer` is None where the config is faulty;
    `ahead` and `sharpness` are what Lookahead and SAM do around its optimizer. `taken` are the files out of which
    classes are taken that are written anew; `idle` are settings that Lab took no notice of, and `linked` the
    objectives of Lab's that the project's files build on. `made_early` is whether its objective is made before the
    seed is set, `package` what is written; `left` says what is left out of it.
    """

    script: Entry
    config: Path
    document: Document | None
    trainer: Any
    findings: tuple[Finding, ...]
    taken: Mapping[str, Taken] = attrs.field(factory=dict)
    ahead: Ahead | None = None
    sharpness: Sharpness | None = None
    idle: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    made_early: bool = False
    package: str = ""
    left: tuple[Finding, ...] = ()


def convert_native(
    root: Path, entry: str | None = None, config: Path | None = None, bindings: Sequence[str] = ()
) -> Conversion:
    """Rewrite a Lab project in memory, with the values that `config` and `bindings` give it.

    `config` is a gin file, by default the one that the script names or the only one there is. Nothing is written,
    imported or run. What has no native form is a finding, and then nothing changes. Raises `UsageError`.
    """
    training = read_training(root, entry, config, bindings)
    if training.findings or training.document is None:
        return Conversion(root, "L3", (), training.findings)
    script, document = training.script, training.document
    try:
        stem, title = stem_of(training.config), _title(training.config)
        around = training.ahead, training.sharpness, training.linked, training.made_early
        draws = Draws(root)
        made = written(script, training.package, stem, title, training.trainer, document.schema, draws, *around)
    except NotNativeError as error:
        return Conversion(root, "L3", (), (error.finding(root, _name_in(root, training.config)),))
    changes = _changes(root, script, made, document.files)
    changes += tuple(FileChange(path, one.before, one.after) for path, one in training.taken.items())
    name = _name_in(root, training.config)
    findings = (
        _said(script, made),
        *(_idle(name, one) for one in training.idle),
        *(_better(script, one) for one in made.better),
        *training.left,
        *_from_arguments(script),
    )
    return Conversion(root, "L3", tuple(sorted(changes, key=lambda change: change.path)), findings)


def read_training(
    root: Path,
    entry: str | None = None,
    config: Path | None = None,
    bindings: Sequence[str] = (),
    named: Path | None = None,
) -> Training:
    """Read what a Lab project trains, without importing it; `named` is the config that names it, if not its own.

    Raises `UsageError` where there is no one script or config.
    """
    files, unread = read_files(root)
    script = find_entry(root, files, entry)
    if script.has_own_trainer:
        return Training(script, named or config or root / script.path, None, None, script.findings)
    own = named or config_of(root, script)
    source = config if config is not None else own
    if source is None:
        raise UsageError(f"{root}: expected one gin config, found none or several; name it with --config")
    name = _name_in(root, own or source)
    ordered, unordered = in_own_order(source, own, root)
    try:
        document = read_config(source, root, bindings=[*ordered, *bindings])
        trainer = typed(document)
    except ConfigErrors as error:
        findings = [*unread, *script.findings]  # what of Lab's stays is told by what the config builds
        findings += [_with_binding(_problem(root, name, problem), problem, script) for problem in error.problems]
        return Training(script, own or source, None, None, tuple(sorted(findings)))
    stepper = "Plain" if trainer.stepper is None else type(trainer.stepper).__name__
    trainer, idle = without_closure(trainer, document.schema)
    trainer, sharpness, around = without_sam(trainer, document.schema)
    trainer, ahead = without_lookahead(trainer, document.schema)
    optimizers = optimizers_of(trainer)
    odd = [_own_gradients(one, document.schema) for one in optimizers]
    if any(odd):
        return Training(script, own or source, None, None, tuple(one.finding(root, name) for one in odd if one))
    refused = [*unordered, *around, *(() if is_adversarial(trainer) else beside_windows(trainer))]
    refused += moving_schedules(root, trainer, optimizers, document.schema)
    refused += given_objects(root, trainer.hooks, document.schema)
    refused += [why for one in optimizers for why in untimed(one, trainer.loader, stepper, document.schema, trainer)]
    refused += timed_unseen(document)
    clips = [one.gradients.clip for one in optimizers if getattr(one, "gradients", None) is not None]
    more = {**hook_bases(root, trainer.hooks, document.schema)}
    for path, names in _own_parts(trainer, optimizers, document.schema):
        more[path] = [*more.get(path, ()), *names]
    parts = [*optimizers, *clips, *trainer.hooks]
    package = package_of(stem_of(own or source), files)
    moved = moved_out(root, files, script.path, package, parts, more, trainer, document.schema)
    taken = moved.files
    findings = [*unread, *script.findings, *moved.findings]
    findings += [error.finding(root, name) for error in refused]
    findings += _bound_by_script(script, bindings, as_it_ran=config is not None and not config.is_relative_to(root))
    findings += rebound(files, taken)
    findings += called_with_settings(root, files, script.path, document, moved.left_out)
    # What Lab's code builds itself has these settings as well; the typed config has not.
    findings += [_problem(root, name, one) for one in document.findings if one.kind == "elsewhere"]
    findings += [
        Finding(
            name, 0, 0, "LM402", Status.UNSUPPORTED, str(objection),
            "stay at level L2, which trains it bitwise, or change the setting",
        )
        for objection in (objections_of(trainer) if is_adversarial(trainer) else objections(semantics_of(trainer)))
    ]  # fmt: skip
    return Training(
        script,
        own or source,
        document,
        trainer,
        tuple(sorted(findings)),
        taken,
        ahead,
        sharpness,
        idle,
        moved.linked,
        is_made_early(root, trainer, document.schema),
        package,
        moved.left_out,
    )


def _bound_by_script(script: Entry, bindings: Sequence[str], as_it_ran: bool) -> list[Finding]:
    """Settings with values that the script has itself; a config of a run `as_it_ran` has them, too."""
    said = {text.partition("=")[0].strip() for text in bindings}
    named = [one for one, is_there in script.binds.items() if is_there and not as_it_ran and one not in said]
    return [
        Finding(
            script.path, 0, 0, "LM404", Status.MANUAL, f"the script binds {one} itself, which the config does not show",
            "bind it in the gin file, or give its value with --bind",
        )
        for one in named
        if one != "Trainer.run_dir"
    ]  # fmt: skip


def _own_gradients(optimizer: Any, schema: Schema) -> NotNativeError | None:
    """Settings of gradients that the project builds on Lab's: what they are is not in the config."""
    made = getattr(optimizer, "gradients", None)
    builder = schema.builder_of(made) if made is not None else None
    if builder is None or is_labs(builder):
        return None
    return NotNativeError(
        "LM405", f"gradients are treated by {builder.name}, which is the project's own",
        "bind @Gradients() with the same settings, or stay at level L2", builder.place,
    )  # fmt: skip


def _own_parts(trainer: Any, optimizers: Sequence[Any], schema: Schema) -> Iterator[tuple[Path, list[str]]]:
    """The classes of an own average and of own loss scalers, by file; none for one that will be refused."""
    gradients = [getattr(one, "gradients", None) for one in optimizers]
    scalers = [one.scaler for one in gradients if one is not None and one.scaler is not None]
    for part in (trainer.ema, *scalers):
        builder = schema.builder_of(part) if part is not None else None
        if builder is None or is_labs(builder):
            continue
        names = own_classes(builder, BASE) if part is trainer.ema else scaler_classes(builder)
        if names:
            yield Path(builder.place.file), names


def _name_in(root: Path, config: Path) -> str:
    return config.relative_to(root).as_posix() if config.is_relative_to(root) else str(config)


def config_of(root: Path, script: Entry) -> Path | None:
    """The gin file that the script names, or the only one there is; None where that is not one."""
    named = [path for text in script.configs for path in root.rglob(Path(text).name) if path.is_file()]
    found = named or sorted(path for path in root.rglob("*.gin") if "runs" not in path.relative_to(root).parts)
    return found[0] if len(found) == 1 else None


def _changes(root: Path, script: Entry, made: Written, read: Sequence[str]) -> tuple[FileChange, ...]:
    taken = [path for path in made.files if path != script.path and (root / path).exists()]
    if taken:
        raise UsageError(f"{root / taken[0]}: expected no such file, since the conversion adds one; rename yours")
    changes = [
        FileChange(path, script.text if path == script.path else None, text) for path, text in made.files.items()
    ]
    gone = sorted({path.resolve() for path in [*map(Path, read), *root.rglob("*.gin")]})
    top = root.resolve()
    changes += [
        FileChange(path.relative_to(top).as_posix(), read_source(path), "")
        for path in gone
        if path.is_relative_to(top) and path.suffix == ".gin"
    ]
    return tuple(sorted(changes, key=lambda change: change.path))


def _said(script: Entry, made: Written) -> Finding:
    return Finding(
        script.path, 0, 0, "LM401", Status.REVIEW,
        f"the training became Lit{made.name}, a LightningModule, and {made.name}Data under {made.optimization} "
        f"optimization, in {made.package}/; gin is gone, and of Lab only legacy_lab.blocks is imported",
        "verify it with lab-migrate parity PROJECT --level L3",
    )  # fmt: skip


def _from_arguments(script: Entry) -> list[Finding]:
    """What the script binds with values of its own, so that a run may have had others than the config."""
    named = [one for one, is_there in script.binds.items() if not is_there and one != "Trainer.run_dir"]
    return [
        Finding(
            script.path, 0, 0, "LM401", Status.REVIEW, f"the script binds {one} by its arguments; the native training "
            "has the value of the config, and an option for it",
            "give the value that your runs had with --bind, or to the native script",
        )
        for one in named
    ]  # fmt: skip


def _better(script: Entry, what: str) -> Finding:
    return Finding(
        script.path, 0, 0, "LM401", Status.REVIEW, what, "expect a resumed run to end as one that was not interrupted"
    )


def _idle(config: str, setting: str) -> Finding:
    return Finding(
        config, 0, 0, "LM401", Status.REVIEW, f"the native training does without what changed no bit: {setting}",
        "set it in the native training if you meant it",
    )  # fmt: skip


def _problem(root: Path, config: str, problem: Any) -> Finding:
    error = NotNativeError(
        "LM405", f"{problem.path or 'config'}: {problem.message}", "correct the config", problem.place
    )
    return error.finding(root, config)


def _with_binding(finding: Finding, problem: Any, script: Entry) -> Finding:
    """A setting that the config lacks since the script binds it by its arguments has another next step."""
    last = problem.path.rpartition(".")[2]
    named = [one for one in script.binds if one.rpartition(".")[2] == last]
    if problem.kind != "missing" or not named:
        return finding
    return attrs.evolve(
        finding, next_step=f"the script binds it: give the value that your runs have with --bind '{named[0]} = …'"
    )


def _title(config: Path) -> str:
    """What the config's first comment says, else its name."""
    first = []
    for line in config.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        first.append(line.lstrip("# ").rstrip())
    return " ".join(first) or f"The training of {config.name}."
