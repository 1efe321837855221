"""The command as a person calls it: what it prints, what it writes, how it ends."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from lab_migrate.cli import app
from lab_migrate.commands.convert import objection_to
from lab_migrate.commands.demo import _say_next
from lab_parity import compare, read

Make = Callable[[Mapping[str, str]], Path]
Command = Callable[..., Any]

EXAMPLES = Path(__file__).parents[2] / "examples"
TRAIN = "from legacy_lab import Trainer\nTrainer().train()\n"
#: Two steps of SGD; `EXTRA` decides whether they are another training.
PROGRAM = """\
import sys, torch
torch.manual_seed(0)
layer = torch.nn.Linear(3, 1)
sgd = torch.optim.SGD(layer.parameters(), lr=float(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    sgd.zero_grad()
    layer(torch.rand(4, 3)).sum().backward()
    sgd.step()
"""


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def assert_refused(ran: Any, *words: str) -> None:
    """Exit code 2, one message on standard error that has these words, and no traceback."""
    assert ran.exit_code == 2
    assert "Traceback" not in ran.err + ran.out
    for word in words:
        assert word in ran.err


def test_convert_shows_a_diff_and_writes_nothing(command: Command, project: Make) -> None:
    """The default is a dry run."""
    root = project({"train.py": TRAIN})
    before = tree(root)
    ran = command("convert", root)
    assert ran.exit_code == 0
    assert "-from legacy_lab import Trainer" in ran.out
    assert "+from lab_bridge import Trainer" in ran.out
    assert "Nothing was written" in ran.out
    assert tree(root) == before


def test_convert_writes_a_copy_and_leaves_the_source(command: Command, project: Make, tmp_path: Path) -> None:
    """--out; other files come along."""
    root = project({"train.py": TRAIN, "data/x.txt": "1"})
    before = tree(root)
    assert command("convert", root, "--out", tmp_path / "out").exit_code == 0
    assert tree(root) == before
    out = tree(tmp_path / "out")
    assert out.pop("train.py") == TRAIN.replace("legacy_lab", "lab_bridge").encode()
    assert out.pop("data/x.txt") == b"1"
    assert set(out) == {"MIGRATION.md", "requirements.txt", "test_migration.py"}


def test_a_copy_of_what_was_not_converted_is_not_called_converted(
    command: Command, project: Make, tmp_path: Path
) -> None:
    """Nobody shall verify a project against itself."""
    root = project({"train.py": "from legacy_lab import *\n"})
    ran = command("convert", root, "--out", tmp_path / "out")
    assert "Nothing was converted" in ran.out.replace("\n", " ")
    assert "Verify it" not in ran.out


def test_convert_never_overwrites_and_never_writes_without_a_way_back(
    command: Command, project: Make, tmp_path: Path
) -> None:
    """A folder that holds something, and --write outside of git, are refused."""
    root = project({"train.py": TRAIN})
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("x")
    assert_refused(command("convert", root, "--out", tmp_path / "full"), "expected no folder, or an empty one")
    assert_refused(command("convert", root, "--out", root / "inside"), "outside the project")
    assert_refused(command("convert", root, "--write"), "expected a git tree", "--force")
    assert (root / "train.py").read_text() == TRAIN


def test_convert_check_says_by_its_exit_code_whether_anything_is_left(command: Command, project: Make) -> None:
    """For CI."""
    root = project({"train.py": TRAIN})
    assert command("convert", root, "--check").exit_code == 1
    command("convert", root, "--write", "--force")
    ran = command("convert", root, "--json", "--check")
    assert json.loads(ran.out)["changes"] == []


def test_a_finding_that_needs_a_hand_is_exit_code_1(command: Command, project: Make) -> None:
    """And is printed with its place and what to do."""
    ran = command("convert", project({"train.py": "from legacy_lab import *\n"}))
    assert ran.exit_code == 1
    assert "train.py:1:1 LM102 manual" in ran.out
    assert "name the imported names" in ran.out


def test_rules_are_listed_and_explained(command: Command) -> None:
    """--list-rules, --explain, and a code that does not exist."""
    assert "LM101" in command("convert", "--list-rules").out
    assert "drop-in Trainer" in command("convert", "--explain", "LM101").out
    assert_refused(command("convert", "--explain", "LM999"), "LM101", "LM999")


def test_record_and_compare_any_program(command: Command, tmp_path: Path) -> None:
    """A program that knows nothing of us: identical to itself, diverged from another learning rate."""
    script = tmp_path / "train.py"
    script.write_text(PROGRAM)
    traces = {}
    for name, arguments in {"a": ("0.1", "3"), "b": ("0.1", "3"), "lr": ("0.2", "3"), "longer": ("0.1", "4")}.items():
        traces[name] = tmp_path / f"{name}.trace"
        ran = command("record", "-o", traces[name], "--json", "--", sys.executable, script, *arguments)
        assert (ran.exit_code, json.loads(ran.out)["steps"]) == (0, int(arguments[1]))
    same = command("compare", traces["a"], traces["b"], "--json")
    assert (same.exit_code, json.loads(same.out)["rung"]) == (0, "identical")
    other = command("compare", traces["a"], traces["lr"])
    assert other.exit_code == 1
    assert "step 0, phase optimizer" in other.out
    assert "lr is 0.1 against 0.2" in other.out
    longer = command("compare", traces["a"], traces["longer"])
    assert longer.exit_code == 1
    assert "step 3" in longer.out
    assert_refused(
        command("record", "-o", traces["a"], "--", sys.executable, script, "0.1", "1"), "exists", "never overwrites"
    )


def test_what_is_empty_or_cut_short_is_inconclusive(command: Command, tmp_path: Path) -> None:
    """Exit code 3, never a pass: no step on both sides; a run that died; a file that lost its end."""
    script = tmp_path / "train.py"
    script.write_text(PROGRAM + "sys.exit(int(sys.argv[3]) if len(sys.argv) > 3 else 0)\n")

    def recorded(name: str, *arguments: str) -> Path:
        trace = tmp_path / f"{name}.trace"
        command("record", "-o", trace, "--", sys.executable, script, *arguments)
        return trace

    empty = recorded("empty", "0.1", "0")
    assert command("compare", empty, empty).exit_code == 3
    whole, again = recorded("whole", "0.1", "9"), recorded("again", "0.1", "9")
    assert command("compare", whole, again).exit_code == 0
    again.write_bytes(again.read_bytes()[: again.stat().st_size // 2])
    cut = command("compare", whole, again)
    assert cut.exit_code == 3
    assert "did not finish" in cut.out
    again.write_bytes(b"")
    assert command("compare", whole, again).exit_code in (2, 3)


def test_record_says_when_the_program_fails(command: Command, tmp_path: Path) -> None:
    """Exit code 2; and a program that cannot be started, or trains nothing, is no recording."""
    script = tmp_path / "train.py"
    script.write_text("import torch\nraise SystemExit(5)\n")
    assert command("record", "-o", tmp_path / "t.trace", "--", sys.executable, script).exit_code == 2
    assert_refused(command("record", "-o", tmp_path / "n.trace", "--", "no-such-program"), "no-such-program")
    assert_refused(command("record", "-o", tmp_path / "m.trace"), "expected a command after --")
    script.write_text("import torch\n")
    idle = command("record", "-o", tmp_path / "idle.trace", "--", sys.executable, script)
    assert idle.exit_code == 3
    assert "[[sites]]" in idle.out


def test_missing_files_are_named(command: Command, tmp_path: Path) -> None:
    """One message with the path, whatever the command."""
    gone = tmp_path / "gone"
    for arguments in (["scan", gone], ["convert", gone], ["parity", gone], ["run", gone], ["compare", gone, gone]):
        assert_refused(command(*arguments), str(gone))


def test_a_file_that_is_no_trace_is_refused(command: Command, tmp_path: Path) -> None:
    """By its path."""
    other = tmp_path / "notes.trace"
    other.write_text("hello, this is no trace at all")
    assert_refused(command("compare", other, other), str(other))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("Trainer.step = 3\n", ["lab.gin:1", "step", "Did you mean 'steps'?"]),
        ("Trainer.model = @Modle\n", ["lab.gin:1", "Modle", "Did you mean 'Model'?"]),
        ("Trainer.steps = = 3\n", ["lab.gin:1"]),
        ("Model.blocks = [@Convv()]\n", ["Convv", "Did you mean 'Conv'?"]),
    ],
    ids=["parameter", "reference", "syntax", "block"],
)
def test_a_gin_typo_is_one_message_with_its_line(
    command: Command, tmp_path: Path, config: str, words: list[str]
) -> None:
    """File, line, and the nearest name that exists."""
    path = tmp_path / "lab.gin"
    path.write_text(config)
    assert_refused(command("run", path, "--json"), *words)


def test_a_wrong_shape_is_one_message_with_the_blocks_path(command: Command, tmp_path: Path) -> None:
    """Both shapes; no tensor was allocated."""
    ran = command(
        "run", EXAMPLES / "char_model/char_model.gin", "--json", "--run-dir", tmp_path / "run",
        "--bind", "Trainer.steps = 1", "--bind", "SelfAttention.heads = 7",
    )  # fmt: skip
    assert_refused(ran, "model.blocks[1].layers[1]", "heads=7", "found 48")


def test_run_trains_a_config_under_lightning(command: Command, tmp_path: Path) -> None:
    """And leaves the tracker's run folder."""
    ran = command(
        "run", EXAMPLES / "digits_classifier/digits_classifier.gin", "--json", "--run-dir", tmp_path / "run",
        "--bind", "Trainer.steps = 3", "--bind", "Trainer.log_every = 1",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.err
    assert json.loads(ran.out)["steps"] == 3
    assert (tmp_path / "run/metrics.jsonl").exists()


@pytest.mark.parametrize("level", ["L1", "L2"])
def test_parity_trains_both_and_gives_the_verdict(command: Command, tmp_path: Path, level: str) -> None:
    """On a whole project, in copies; the source stays as it was."""
    source = EXAMPLES / "digits_classifier"
    before = tree(source)
    ran = command(
        "parity", source, "--level", level, "--work", tmp_path / "work", "--json", "--", "--bind", "Trainer.steps = 5"
    )
    assert ran.exit_code == 0, ran.err
    said = json.loads(ran.out)
    assert (said["rung"], said["coverage"]["steps"]) == ("identical", 5)
    assert tree(source) == before


@pytest.mark.sampled
@pytest.mark.parametrize("plant", ["lr", "batch"])
def test_the_demo_finds_a_planted_fault(command: Command, plant: str, tmp_path: Path) -> None:
    """At the step where it was planted; exit code 1."""
    ran = command(
        "demo", "--steps", 4, "--plant", f"{plant}@2", "--work", tmp_path, "--json", "--project", "char_model"
    )
    assert ran.exit_code == 1, ran.err
    (said,) = json.loads(ran.out)
    assert (said["rung"], said["first"]["step"]) == ("diverged", 2)


def test_scan_lists_loops_and_roles_without_running_anything(command: Command, project: Make) -> None:
    """A module that would fail on import is read all the same."""
    root = project({"train.py": "raise SystemExit('imported')\nfrom legacy_lab import Trainer\nt = Trainer()\n"})
    ran = command("scan", root, "--json")
    assert ran.exit_code == 0, ran.err
    assert any(use["role"] == "trainer" and use["line"] == 3 for use in json.loads(ran.out)["roles"])


def test_the_demo_says_how_its_commands_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`make demo` makes an environment that nobody has entered: what it prints next would be no command."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").touch()
    (tmp_path / "bin" / "lab-migrate").touch(mode=0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    said = {}
    for path in ("/nowhere", str(tmp_path / "bin")):
        monkeypatch.setenv("PATH", path)
        out = Console(record=True, width=300, file=io.StringIO())
        _say_next(out, tmp_path, ["char_model"], None)
        said[path] = out.export_text()
    first, second = said.values()
    assert f"source {tmp_path}/bin/activate" in first
    assert "activate" not in second


@pytest.mark.parametrize("name", ["scan", "convert", "record", "compare", "parity", "run", "demo"])
def test_every_command_has_help(command: Command, name: str) -> None:
    """With an example, and --json."""
    said = command(name, "--help").out
    assert "Example:" in said or name == "scan"
    assert "--json" in said


def test_no_command_has_two_options_of_one_name() -> None:
    """The second would take the first one's place in silence, as `config show --defaults` once did."""
    commands = [("lab-migrate", typer.main.get_command(app))]
    for name, command in commands:
        commands += [(f"{name} {key}", inner) for key, inner in getattr(command, "commands", {}).items()]
        spelled = Counter(option for parameter in command.params for option in parameter.opts)
        assert [option for option, times in spelled.items() if times > 1] == [], name
    assert "lab-migrate config show" in dict(commands)


def test_what_was_not_converted_is_not_verified(command: Command, project: Make, tmp_path: Path) -> None:
    """Both runs would be of the same code: no verdict, and no success, even of a copy that was converted before."""
    root = project({"train.py": "import torch\n\nprint(torch.ones(1))\n"})
    ran = command("convert", root, "--out", tmp_path / "out", "--verify", "python train.py")
    assert ran.exit_code == 1
    assert "Not verified" in ran.out
    assert "IDENTICAL" not in ran.out


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("objection", "says"),
    [
        ("assert not lit", "The idiomatic way fails; converted the faithful way instead."),
        ("optimizer.param_groups[0]['lr'] *= 2 if lit else 1", "The idiomatic way trains differently; converted the"),
    ],
)
def test_auto_steps_down_where_the_idiomatic_way_fails_or_differs(
    command: Command, project: Make, tmp_path: Path, objection: str, says: str
) -> None:
    """A program that notices that it was rewritten: what happened is said, and the faithful way is proven instead."""
    source = (
        "import torch\nfrom torch.utils.data import DataLoader\n\nlit = any(line.startswith('class Lit') for line in "
        "open(__file__))\ntorch.manual_seed(0)\n\n\ndef main():\n    model = torch.nn.Linear(3, 1)\n"
        "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "    loader = DataLoader(torch.rand(8, 3), batch_size=4)\n"
        f"    {objection}\n"
        "    for epoch in range(2):\n        for x in loader:\n            optimizer.zero_grad()\n"
        "            loss = model(x).sum()\n            loss.backward()\n            optimizer.step()\n\n\nmain()\n"
    )
    out = tmp_path / "out"
    ran = command(
        "convert", project({"train.py": source}), "--out", out, "--tier", "auto", "--verify", "python train.py"
    )
    assert says in ran.out
    assert "IDENTICAL" in ran.out
    assert ran.exit_code == 0
    assert "outlined.fit" in (out / "train.py").read_text()


def test_reruns_and_a_run_from_legacy_states_make_a_verdict_within_noise(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three commands that the manual names; the migrated program sums in another order."""
    program = PROGRAM.replace(".sum()", ".square().mean()")
    (tmp_path / "legacy.py").write_text(program)
    (tmp_path / "migrated.py").write_text(program.replace(".mean()", ".flip(0).double().mean().float()"))
    monkeypatch.chdir(tmp_path)
    recorded = command("record", "-o", "legacy.trace", "--reruns", "6", "--", sys.executable, "legacy.py", "0.1", "6")
    assert recorded.out.count("Recorded 6 steps") == 7
    words = [sys.executable, "migrated.py", "0.1", "6"]
    assert command("record", "-o", "migrated.trace", "--from", "legacy.trace", "--", *words).exit_code == 0
    reruns = sorted(tmp_path.glob("legacy.rerun*.trace"))
    ran = command("compare", "legacy.trace", "migrated.trace", "--noise", *reruns)
    assert (ran.exit_code, ran.out.split()[0]) == (0, "WITHIN-NOISE"), ran.out
    assert_refused(command("record", "--from", "nothing.trace", "--", *words), "no such trace")
    assert_refused(command("record", "--from", "legacy.trace", "--seeds", "3", "--", *words), "expected one of")


def test_seeds_are_recorded_beside_each_other(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their numbers are in the names, and what the seed is for in the command."""
    (tmp_path / "train.py").write_text(PROGRAM.replace("manual_seed(0)", "manual_seed(int(sys.argv[3]))"))
    monkeypatch.chdir(tmp_path)
    words = [sys.executable, "train.py", "0.1", "2", "{seed}"]
    ran = command("record", "-o", "a.trace", "--seeds", "3", "--first-seed", "4", "--json", "--", *words)
    assert ran.exit_code == 0
    assert [Path(one["trace"]).name for one in json.loads(ran.out)] == [f"a.seed{n}.trace" for n in (4, 5, 6)]
    first, second = (read(tmp_path / f"a.seed{n}.trace") for n in (4, 5))
    assert compare(first, second).first.phase == "config"  # type: ignore[union-attr]


def test_a_golden_is_written_and_compared_with(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Record, export, compare; a damaged one and an unknown level are refused; it becomes a trace again."""
    (tmp_path / "train.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    for name, lr in {"a": "0.1", "b": "0.1", "c": "0.2"}.items():
        assert command("record", "-o", f"{name}.trace", "--", sys.executable, "train.py", lr, "3").exit_code == 0
    assert "level phase" in command("trace", "export", "a.trace", "-o", "a.golden").out
    assert command("compare", "a.golden", "b.trace").out.startswith("IDENTICAL")
    parted = command("compare", "a.golden", "c.trace")
    assert (parted.exit_code, "lr is 0.1 against 0.2" in parted.out) == (1, True)
    assert_refused(command("compare", "a.trace", "a.golden"), "is a golden, where a trace is expected")
    assert_refused(command("trace", "export", "a.trace", "--level", "bit"), "expected one of phase, tensor")
    assert command("trace", "import", "a.golden", "-o", "again.trace").out == "Wrote again.trace (3 steps).\n"
    assert_refused(command("trace", "import", "a.golden", "-o", "again.trace"), "exists")
    (tmp_path / "a.golden").write_text((tmp_path / "a.golden").read_text().replace('"taken": 3', '"taken": 2'))
    assert_refused(command("compare", "a.golden", "b.trace"), "damaged, or was edited")


def test_a_program_that_does_not_repeat_itself_is_not_said_to_train_differently() -> None:
    """Its idiomatic conversion could not be proven, which is all that is known."""
    assert objection_to("diverged") == "trains differently"
    assert objection_to("inconclusive") == "could not be proven"
