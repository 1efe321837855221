"""Lightning is imported when a program trains, and the program sees nothing of it."""

from __future__ import annotations

import logging
import subprocess
import sys
from textwrap import dedent

import lab_adapters
from lab_adapters.importing import _unlogged


def _printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=False)
    return done.stdout or done.stderr


def test_a_converted_program_begins_without_lightning_and_what_it_imports_draws_what_it_drew() -> None:
    """rich draws 24 bits when it is first imported, as by scikit-learn: were Lightning first, it drew none."""
    program = """
        import random, sys
        from lab_adapters import outlined

        print(sorted({"lightning", "rich"} & set(sys.modules)))
        random.seed(1)
        import rich.console
        found = random.random()
        random.seed(1)
        random.getrandbits(24)
        print(found == random.random())
    """
    assert _printed(program) == "[]\nTrue\n"


def test_what_a_program_imports_behind_its_first_loop_draws_what_it_drew() -> None:
    """Lightning has imported rich by then, without drawing, even where the program takes each warning for an error.

    What Lightning itself imports of rich later draws nothing, and there is one rich: its classes are the program's.
    """
    program = """
        import random, sys, warnings
        from lab_adapters import outlined

        warnings.simplefilter("error")
        random.seed(1)
        outlined.fit(lambda item: None, range(2))
        exec("import rich.box", {"__name__": "lightning.pytorch"})
        import rich.console
        import rich.style
        found = random.random()
        random.seed(1)
        random.getrandbits(24)
        print(found == random.random())
        from lightning.pytorch.callbacks.progress import rich_progress
        print(rich_progress.Style is rich.style.Style, rich_progress.Console is rich.console.Console)
        print(("error", None, Warning, None, 0) in warnings.filters)
    """
    assert _printed(program) == "True\nTrue True\nTrue\n"


def test_what_an_import_logs_reaches_no_handler_of_the_programs() -> None:
    """matplotlib says at its import where its folders are; a program that logs all would have that in its file."""
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.name)  # type: ignore[method-assign]
    logging.getLogger("of.the.program")
    logging.root.addHandler(handler)
    try:
        with _unlogged():
            logging.getLogger("of.the.program").error("here")
            logging.getLogger("of.something.imported").error("not here")
        logging.getLogger("of.something.imported").error("here")
    finally:
        logging.root.removeHandler(handler)
    assert seen == ["of.the.program", "of.something.imported"]


def test_each_name_of_the_package_is_there_when_it_is_asked_for() -> None:
    """Also the function `faithful`, and `dir` tells them."""
    found = {name: getattr(lab_adapters, name) for name in lab_adapters.__all__}
    assert [name for name, one in found.items() if not callable(one) or name not in dir(lab_adapters)] == []
