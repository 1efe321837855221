"""An interrupted program ends as it did: its own handlers run, inside the loop and around it."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import pytest
from outline_programs import PRELUDE, outlined_text

HEAD = "import os, signal, sys\n" + PRELUDE

STEP = """
    optimizer.zero_grad()
    loss_of(x, y).backward()
    optimizer.step()
"""

PROGRAMS = {
    "Ctrl-C that nobody handles": """
        for i, (x, y) in enumerate(loader):
            STEP
            interrupt(signal.SIGINT, i)
            print(i)
    """,
    "a state saved at Ctrl-C, by the script": """
        def main():
            for epoch in range(2):
                for i, (x, y) in enumerate(loader):
                    STEP
                    interrupt(signal.SIGINT, i)
                    print(epoch, i)
        try:
            main()
        except KeyboardInterrupt:
            print("saved", sum(p.sum().item() for p in model.parameters()))
            sys.exit(3)
        finally:
            print("closed", torch.rand(1).item())
    """,
    "Ctrl-C that ends one epoch, inside the loop of epochs": """
        def main():
            for epoch in range(3):
                try:
                    for i, (x, y) in enumerate(loader):
                        STEP
                        interrupt(signal.SIGINT, i)
                        print(epoch, i)
                except KeyboardInterrupt:
                    print("next", epoch, torch.rand(1).item())
        main()
    """,
    "Ctrl-C that a batch handles": """
        for i, (x, y) in enumerate(loader):
            try:
                STEP
                interrupt(signal.SIGINT, i)
                print(i)
            except KeyboardInterrupt:
                print("stopped", i)
                break
        print("end")
    """,
    "SIGTERM that nobody handles": """
        for i, (x, y) in enumerate(loader):
            STEP
            interrupt(signal.SIGTERM, i)
            print(i, flush=True)
    """,
    "SIGTERM whose handler exits": """
        def leave(number, frame):
            print("leaving", sum(p.sum().item() for p in model.parameters()))
            sys.exit(7)
        signal.signal(signal.SIGTERM, leave)
        def main():
            try:
                for i, (x, y) in enumerate(loader):
                    STEP
                    interrupt(signal.SIGTERM, i)
                    print(i)
            finally:
                print("closed")
        main()
    """,
    "SIGTERM whose handler sets a flag": """
        stop = []
        signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
        def main():
            for i, (x, y) in enumerate(loader):
                STEP
                interrupt(signal.SIGTERM, i)
                print(i)
                if stop:
                    return "stopped"
        print(main(), signal.getsignal(signal.SIGTERM).__name__)
    """,
    "an alarm that raises": """
        class Late(Exception):
            pass
        def late(number, frame):
            raise Late(number)
        signal.signal(signal.SIGALRM, late)
        try:
            for i, (x, y) in enumerate(loader):
                STEP
                interrupt(signal.SIGALRM, i)
                print(i)
        except Late as error:
            print("late", error)
    """,
}

#: Where Lightning's code runs between two iterations, the signal is sent by a callback.
BETWEEN = "def interrupt(number, i):\n    if i == 2 and not sent:\n        sent.append(number)\n"
IN_THE_STEP = f"{BETWEEN}        os.kill(os.getpid(), number)\n"

#: Runs each file in a process of its own, and tells how it ended.
RUNNER = """
import os, runpy, signal, sys, torch, lightning.pytorch as pl
from lab_adapters import outlined

# A shell without job control starts what runs in its background with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def run(path):
    sent, done = [], []
    class Interrupt(pl.Callback):
        def on_train_batch_end(self, trainer, module, out, batch, index):
            if sent and sent != done and path.startswith("between"):
                done[:] = sent
                os.kill(os.getpid(), sent[0])
    end = "ended"
    try:
        with outlined.trainer_settings(callbacks=[Interrupt()]):
            runpy.run_path(path, {"sent": sent}, run_name="__main__")
    except BaseException as error:
        end = f"{type(error).__name__} {error}"
    print(end, flush=True)

for path in sys.argv[1:]:
    pid = os.fork()
    if not pid:
        out = os.open(path + ".out", os.O_CREAT | os.O_WRONLY)
        os.dup2(out, 1)
        run(path)
        os._exit(0)
    with open(path + ".status", "w") as file:
        file.write(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
"""

#: What a program prints at its end, or the status that it ends with, where the signal came between two iterations.
ENDS = {
    "Ctrl-C that nobody handles": ["2", "KeyboardInterrupt "],
    "a state saved at Ctrl-C, by the script": ["0 2", "saved", "closed", "SystemExit 3"],
    "Ctrl-C that ends one epoch, inside the loop of epochs": ["0 2", "next 0", "1 0", "2 5", "ended"],
    "SIGTERM that nobody handles": ["2", "-15"],
    "SIGTERM whose handler exits": ["2", "leaving", "closed", "SystemExit 7"],
    "SIGTERM whose handler sets a flag": ["2", "3", "stopped <lambda>", "ended"],
    "an alarm that raises": ["2", "late 14", "ended"],
}


def written(name: str, interrupt: str) -> str:
    """A program whose `interrupt` is this one."""
    lines = []
    for line in dedent(PROGRAMS[name]).splitlines():
        blank = line[: len(line) - len(line.lstrip())]
        lines += [blank + one.strip() for one in STEP.strip().splitlines()] if line.strip() == "STEP" else [line]
    return HEAD + interrupt + "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """File -> what it printed, how it ended, and its status."""
    folder = tmp_path_factory.mktemp("signals")
    files = {}
    for at, name in enumerate(PROGRAMS):
        text = written(name, IN_THE_STEP)
        after, codes = outlined_text(text)
        assert "LM201" in codes
        files |= {f"legacy{at}.py": text, f"migrated{at}.py": after}
        files[f"between{at}.py"] = outlined_text(written(name, BETWEEN))[0]
    for file, text in files.items():
        (folder / file).write_text(text)
    (folder / "runner.py").write_text(RUNNER)
    subprocess.run(
        [sys.executable, "runner.py", *files], cwd=folder, check=True, timeout=300, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    return {file: (folder / f"{file}.out").read_text() + (folder / f"{file}.status").read_text() for file in files}


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_interrupted_program_ends_as_it_did(outcomes: dict[str, str], name: str) -> None:
    """A signal in the middle of an iteration."""
    at = list(PROGRAMS).index(name)
    assert outcomes[f"migrated{at}.py"] == outcomes[f"legacy{at}.py"]
    assert outcomes[f"legacy{at}.py"].count("\n") >= 2


@pytest.mark.parametrize("name", ENDS)
def test_a_signal_between_two_iterations_reaches_the_program(outcomes: dict[str, str], name: str) -> None:
    """While Lightning's own code runs: as at the first line of the next iteration."""
    lines = outcomes[f"between{list(PROGRAMS).index(name)}.py"].splitlines()
    for expected in ENDS[name]:
        assert any(line.startswith(expected) for line in lines), (expected, lines)
        del lines[: next(at for at, line in enumerate(lines) if line.startswith(expected))]
