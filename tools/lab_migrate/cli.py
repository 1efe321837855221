"""The command `lab-migrate`. One command a file in `commands/`; this file only mounts them."""

from __future__ import annotations

import sys

import typer

from lab_migrate.commands import (
    checkpoint,
    compare,
    config,
    convert,
    demo,
    diagnose,
    parity,
    record,
    report,
    run,
    scan,
    trace,
)
from lab_migrate.errors import UsageError
from lab_migrate.greedy import GreedyCommand

app = typer.Typer(
    help="Move a home-grown PyTorch training framework onto Lightning, with step-by-step proof.\n\n"
    "Exit codes: 0 good, 1 findings or diverged, 2 usage or tool error, 3 inconclusive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": False}
app.command("scan")(scan.scan)
app.command("convert")(convert.convert)
app.command("record", context_settings=PASS_THROUGH)(record.record)
app.command("compare", cls=GreedyCommand)(compare.compare)
app.add_typer(config.app, name="config")
app.command("diagnose")(diagnose.diagnose)
app.command("parity", context_settings=PASS_THROUGH)(parity.parity)
app.command("report")(report.report)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(trace.app, name="trace")


def main() -> None:
    """Run the command; an error that a person can act on is one message and exit code 2."""
    try:
        app()
    except UsageError as error:
        print(f"lab-migrate: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
