"""`lab-migrate config`: show, translate and compare configs; none of a project's code is imported."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import attrs
import typer
from rich.text import Text
from rich.tree import Tree

from lab_bridge.config import (
    ConfigErrors,
    Document,
    Severity,
    read_config,
    typed,
    write_gin,
    write_yaml,
)
from lab_bridge.config.home_grown import Setting
from lab_bridge.config.inferred import ROOT
from lab_bridge.config.lightning_limits import lightning_limits
from lab_bridge.config.project import project_of
from lab_bridge.config.semantic_diff import differences, located
from lab_migrate.commands.config_view import as_json, grow, print_findings, show_model
from lab_migrate.commands.options import JsonOption
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json

app = typer.Typer(help="Show, translate and compare configs.", no_args_is_help=True)

FileArgument = Annotated[
    Path, typer.Argument(help="A config: .gin, .yaml, .json, or .py (defaults, options, dicts).", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override by path: model.blocks[2].heads=4; repeatable.", show_default=False),
]
BindOption = Annotated[
    list[str] | None,
    typer.Option("--bind", help="A gin binding on top: 'Trainer.steps = 50'; repeatable.", show_default=False),
]
ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", help="The folder of the config's sources (default: the nearest).", show_default=False),
]
EntryOption = Annotated[
    str | None,
    typer.Option("--entry", help="The builder that the program builds first; a script's parser.", show_default=False),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option("--schema", help="A schema module, as config schema writes it.", show_default=False),
]
DefaultsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--defaults",
        help="The Python file that declares the settings: CfgNode, add_argument; repeatable.",
        show_default=False,
    ),
]
ArgsOption = Annotated[
    str | None,
    typer.Option("--args", help="A command line for a script's options: '--lr 0.1'.", show_default=False),
]

P = ParamSpec("P")
T = TypeVar("T")


def _speaking(command: Callable[P, T]) -> Callable[P, T]:
    """Turn errors of a config into one message and exit code 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except ConfigErrors as error:
            count = sum(problem.severity == Severity.ERROR for problem in error.problems)
            lines = "\n".join(
                f"  {problem}{'' if problem.severity == Severity.ERROR else f' [{problem.kind}]'}"
                for problem in error.problems
            )
            raise UsageError(f"{count} error{'s' if count > 1 else ''} in the config\n{lines}") from error

    return run


@app.command("show")
@_speaking
def show(
    file: FileArgument,
    sets: SetOption = None,
    bindings: BindOption = None,
    project: ProjectOption = None,
    entry: EntryOption = None,
    schema: SchemaOption = None,
    declared: DefaultsOption = None,
    arguments: ArgsOption = None,
    model: Annotated[bool, typer.Option("--model", help="Show the model's blocks instead.")] = False,
    import_project: Annotated[
        bool,
        typer.Option("--import-project", help="With --model: import the project's own blocks, which runs its code."),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show what has its default, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what a config means, as one tree, each value with the line it comes from.

    Example: lab-migrate config show examples/digits_vae/digits_vae.gin --set model.blocks[3].scale=0.5

    gin, yacs, ml_collections, builder dicts in JSON, YAML or Python, a script's argparse options, plain YAML and JSON.

    With --model: path, block, shapes, parameters, learning rate and initialiser of every block; nothing is allocated,
    and what the blocks say of their shapes is compared with what they compute.

    Exit code 1 where the config says something that has no effect, 3 where something of the model is not known.
    """
    setting = _setting(schema, declared, arguments)
    document = read_config(file, project, entry, bindings or (), sets or (), setting)
    if model:
        sources = (project or project_of(file)) if import_project else None
        raise typer.Exit(show_model(document, sources, json))
    typed(document)
    if json:
        print_json({"config": as_json(located(document)), "findings": document.findings})
    else:
        root = located(document) if everything else document.entry
        tree = Tree(Text(document.entry.name, style="bold"))
        grow(tree, root)
        console().print(tree)
        print_findings(document.findings)
    raise typer.Exit(1 if document.findings else 0)


@app.command("translate")
@_speaking
def translate(
    file: FileArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; its suffix is the format.", show_default=False)
    ] = None,
    sets: SetOption = None,
    bindings: BindOption = None,
    project: ProjectOption = None,
    entry: EntryOption = None,
    schema: SchemaOption = None,
    declared: DefaultsOption = None,
    arguments: ArgsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Translate a config: gin to YAML for LightningCLI, and back; others to YAML. Without --out it is printed.

    Example: lab-migrate config translate examples/digits_vae/digits_vae.gin --out digits_vae.yaml

    Other configs: with --schema, builders are named by the classes of that module, else by their own import paths.

    What is written is read again, and must mean the same, before anything is written. Exit code 1 with findings.
    """
    setting = _setting(schema, declared, arguments)
    document = read_config(file, project, entry, bindings or (), sets or (), setting)
    config = typed(document)
    of_lab = document.entry.name != ROOT
    suffix = out.suffix if out is not None else ".gin" if of_lab and file.suffix != ".gin" else ".yaml"
    findings = document.findings
    if suffix == ".gin" and not of_lab:
        raise UsageError("--out: expected a file .yaml for a config that is not Lab's, found .gin")
    if of_lab and suffix in (".yaml", ".yml"):
        findings += lightning_limits(document)
    text = _written(document, suffix, file)
    _require_same(text, suffix, config, document)
    if out is None:
        print(text, end="")
    else:
        if out.exists() and not force:
            raise UsageError(f"{out}: expected no such file yet, found one; choose another --out, or --force")
        out.write_text(text, encoding="utf-8")
        console().print(f"Written to {out}: read again, it means the same as {file}.")
    print_findings(findings, to_stderr=out is None)
    raise typer.Exit(1 if findings else 0)


@app.command("diff")
@_speaking
def diff(
    left: FileArgument,
    right: Annotated[Path, typer.Argument(help="Another one, in any format.", show_default=False)],
    project: ProjectOption = None,
    entry: EntryOption = None,
    schema: SchemaOption = None,
    declared: DefaultsOption = None,
    json: JsonOption = False,
) -> None:
    """Say what differs between two configs in what they mean.

    Example: lab-migrate config diff digits_vae.gin digits_vae.yaml

    Exit code 0 where they mean the same, 1 where they differ.
    """
    setting = _setting(schema, declared, None)
    sides = (read_config(side, project, entry, setting=setting) for side in (left, right))
    changes = differences(*sides)
    if json:
        print_json({"same": not changes, "changes": changes})
        raise typer.Exit(1 if changes else 0)
    if not changes:
        console().print(f"{left} and {right} mean the same.")
        return
    for change in changes:
        line = Text(f"{change.path}: ", style="bold")
        line.append(change.left if change.left is not None else "nothing", style="red")
        line.append(" → ")
        line.append(change.right if change.right is not None else "nothing", style="green")
        places = [str(place) for place in (change.left_place, change.right_place) if place.file]
        line.append(f"   {' → '.join(places)}", style="dim")
        console().print(line)
    raise typer.Exit(1)


@app.command("schema")
@_speaking
def schema_module(
    files: Annotated[list[Path], typer.Argument(help="Configs of one program.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="The module to write.", show_default=False)] = None,
    project: ProjectOption = None,
    entry: EntryOption = None,
    declared: DefaultsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write the schema of some configs as a Python module of attrs classes, to be kept and edited.

    Example: lab-migrate config schema configs/*.yaml --defaults config.py --out settings.py

    What builders take is read off their signatures, what sections hold off the declared defaults, or off what the
    configs give. The module is read again, and every config must mean the same with it, before anything is written.
    """
    from lab_bridge.config.home_grown import read_home_grown, sources_of
    from lab_bridge.config.sources.schema_module import read_schema_text
    from lab_bridge.config.writing.schema_module import schema_module_text

    setting = Setting(project, tuple(declared or ()), entry=entry)
    documents = read_home_grown(files, setting)
    source = files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
    text = schema_module_text(documents[0].schema, ROOT, source, project or sources_of(files[0]))
    again = read_schema_text(text, out.stem if out is not None else "settings")
    for document in documents:
        typed(document)
        typed(attrs.evolve(document, schema=again))
    if out is None:
        print(text, end="")
    else:
        if out.exists() and not force:
            raise UsageError(f"{out}: expected no such file yet, found one; choose another --out, or --force")
        out.write_text(text, encoding="utf-8")
        console().print(f"Written to {out}: read again, all {len(documents)} configs mean the same with it.")
    findings = tuple(dict.fromkeys(finding for document in documents for finding in document.findings))
    print_findings(findings, to_stderr=out is None)
    raise typer.Exit(1 if findings else 0)


def _setting(schema: Path | None, declared: list[Path] | None, arguments: str | None) -> Setting | None:
    """What is said of a config that is not Lab's; None where nothing is."""
    if schema is None and not declared and arguments is None:
        return None
    return Setting(None, tuple(declared or ()), schema, arguments)


def _written(document: Document, suffix: str, source: Path) -> str:
    header = f"Translated from {source.name} by lab-migrate config translate."
    if suffix == ".gin":
        return write_gin(document, header)
    if suffix in (".yaml", ".yml"):
        return write_yaml(document, header)
    raise UsageError(f"--out: expected a file .gin or .yaml, found {suffix or 'no suffix'}")


def _require_same(text: str, suffix: str, config: Any, document: Document) -> None:
    """Never write what does not mean the same."""
    from lab_bridge.config.front import read_text

    again = typed(read_text(text, suffix, document.schema, document.entry.name))
    if again != config:
        raise UsageError("translate: what was to be written does not mean the same as the source; please report it")
