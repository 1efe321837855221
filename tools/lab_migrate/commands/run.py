"""`lab-migrate run`: a Lab config under Lightning."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lab_migrate.commands.options import JsonOption
from lab_migrate.errors import UsageError
from lab_migrate.output import console, print_json


def run(
    config: Annotated[Path, typer.Argument(help="A gin config.", show_default=False)],
    bind: Annotated[
        list[str] | None, typer.Option("--bind", help="e.g. 'Trainer.steps = 50'; repeatable.", show_default=False)
    ] = None,
    run_dir: Annotated[Path, typer.Option("--run-dir", help="The run's folder.")] = Path("runs/lab-migrate"),
    resume: Annotated[
        str | None,
        typer.Option("--resume", help="A checkpoint of Lab's or Lightning's, or 'latest'.", show_default=False),
    ] = None,
    module: Annotated[
        list[str] | None,
        typer.Option(
            "--module", help="Import this module beside the config first, e.g. blocks; repeatable.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train a Lab config through the drop-in Trainer: Lightning's loop and progress bar, Lab's numbers.

    Example: lab-migrate run examples/char_model/char_model.gin --bind 'Trainer.steps = 50'
    """
    from lab_bridge import Trainer
    from legacy_lab import ConfigError, load_config

    sys.path.insert(0, str(config.parent.resolve()))
    try:
        for name in module or ():
            importlib.import_module(name)
        load_config(config, [*(bind or ()), f"Trainer.run_dir = {str(run_dir)!r}"])
        trainer = Trainer(lightning={"enable_progress_bar": not json})
        metrics: dict[str, Any] = trainer.train(resume=resume)
    except (ConfigError, ModuleNotFoundError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error
    except (ValueError, TypeError) as error:
        # Lab's builders say the path, both shapes and what to do; gin appends where it was called from.
        raise UsageError(f"{config}: {str(error).splitlines()[0]}") from error
    if json:
        print_json({"steps": trainer.step, "run_dir": str(run_dir), "metrics": metrics})
    else:
        told = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        console().print(f"Trained {trainer.step} steps into {run_dir}: {told}")
