"""What both runs printed and wrote, told beside a verdict."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch

from lab_migrate.effects import effects_of, told


def ran(folder: Path, printed: str = "", **files: str) -> tuple[str, Path, Path]:
    """The arguments of `effects_of` for a run from an empty folder; `a__b` is the file a.b."""
    (folder / "before").mkdir(parents=True, exist_ok=True)
    (folder / "ran").mkdir()
    for name, text in files.items():
        (folder / "ran" / name.replace("__", ".")).write_text(text)
    return printed, folder / "ran", folder / "before"


def test_a_run_that_leaves_nothing_is_told_nothing_of(tmp_path: Path) -> None:
    """Neither a line that was printed nor a file: no claim."""
    silent = effects_of(*ran(tmp_path))
    assert told(silent, silent) == []


def test_files_that_were_there_before_are_no_effects(tmp_path: Path) -> None:
    """Only what the run wrote or changed; compiled Python is nobody's output."""
    for folder in ("before", "ran"):
        (tmp_path / folder / "__pycache__").mkdir(parents=True)
        (tmp_path / folder / "train.py").write_text("same")
        (tmp_path / folder / "log.txt").write_text(folder)
    (tmp_path / "ran" / "__pycache__" / "train.pyc").write_text("compiled")
    assert list(effects_of("", tmp_path / "ran", tmp_path / "before").files) == ["log.txt"]


def test_equal_prints_and_files_are_counted(tmp_path: Path) -> None:
    """A carriage return overwrites what stood before it, as in a terminal."""
    legacy = effects_of(*ran(tmp_path / "a", "1%\r100%\nloss 1\n", best__pt="weights"))
    migrated = effects_of(*ran(tmp_path / "b", "5%\r100%\nloss 1\n", best__pt="weights"))
    assert told(legacy, migrated) == ["printed: the same 2 lines", "files written: 1, the same bytes"]


def test_the_first_line_that_differs_is_shown(tmp_path: Path) -> None:
    """With how many do; a missing line differs, too."""
    legacy = effects_of(*ran(tmp_path / "a", "epoch 1\nloss 1.5\nsaved\n"))
    migrated = effects_of(*ran(tmp_path / "b", "epoch 1\nloss 1.6\n"))
    assert told(legacy, migrated) == [
        "printed: 2 of 3 lines differ, 1 of them in more than numbers, first line 3: 'saved' against nothing"
    ]


def test_where_each_line_has_its_time_the_one_of_other_words_is_shown_where_they_part(tmp_path: Path) -> None:
    """Which is what there is to look at; the times differ between two runs of one program, too."""
    legacy = effects_of(*ran(tmp_path / "a", f"12:30:01 start\n12:30:02 {'-' * 70} loss 1 saved\n12:30:04 end\n"))
    migrated = effects_of(*ran(tmp_path / "b", f"12:30:07 start\n12:30:08 {'-' * 70} loss 1 kept\n12:30:11 end\n"))
    (said,) = told(legacy, migrated)
    assert said.startswith("printed: 3 of 3 lines differ, 1 of them in more than numbers, first line 2: '…---")
    assert "loss 1 saved' against '…" in said
    assert said.endswith("loss 1 kept'")


def test_lines_that_differ_in_their_numbers_only_are_told_so_and_cut_to_where_they_differ(tmp_path: Path) -> None:
    """As times, paths of temporary folders and addresses of objects do."""
    legacy, migrated = (
        effects_of(*ran(tmp_path / side, f"<function f at {at}>\n"))
        for side, at in (("c", "0x7f2d305bb6a0"), ("d", "0x7fd99840"))
    )
    assert told(legacy, migrated)[0].startswith("printed: 1 of 1 line differ, in numbers only")
    legacy = effects_of(*ran(tmp_path / "a", "=" * 200 + " took  3 s\nend\n"))
    migrated = effects_of(*ran(tmp_path / "b", "=" * 200 + " took 14 s\nend\n"))
    said = told(legacy, migrated)[0]
    assert said.startswith("printed: 1 of 2 lines differ, in numbers only, first line 1: '…===")
    assert said.endswith("= took 14 s'")
    assert "= took  3 s' against '…" in said


def test_files_that_differ_or_are_on_one_side_only_are_named(tmp_path: Path) -> None:
    """Names that differ in their numbers only, as event files do, are the same file."""
    legacy = effects_of(*ran(tmp_path / "a", best__pt="x", events17__log="e", only__txt="1"))
    migrated = effects_of(*ran(tmp_path / "b", best__pt="y", events18__log="e", more__txt="1"))
    assert told(legacy, migrated) == [
        "files written: 3 of 4 differ: best.pt, only.txt (legacy only), more.txt (migrated only)"
    ]


def test_a_log_that_differs_in_its_numbers_only_is_told_so(tmp_path: Path) -> None:
    """As one with times; bytes that are no text are not looked into."""
    legacy = effects_of(*ran(tmp_path / "a", train__log="at 12:30 loss 1.5\n"))
    migrated = effects_of(*ran(tmp_path / "b", train__log="at 12:31 loss 1.5\n"))
    assert told(legacy, migrated) == ["files written: 1 of 1 differ: train.log (in numbers only)"]
    (tmp_path / "a" / "ran" / "train.log").write_bytes(b"\xff\xfe1")
    (tmp_path / "b" / "ran" / "train.log").write_bytes(b"\xff\xfe2")
    assert told(legacy, migrated) == ["files written: 1 of 1 differ: train.log"]


def test_checkpoints_of_other_bytes_that_hold_the_same_are_told_so(tmp_path: Path) -> None:
    """torch writes the file's name into the file; another type, another version of a module, key or bit is told of."""
    arguments = [ran(tmp_path / side) for side in "ab"]
    state = {"weight": torch.ones(2), "steps": 3}
    for (_, folder, _), saved in zip(arguments, [OrderedDict(state), state], strict=True):
        torch.save(saved, folder / "same.pt")
        torch.save(
            {f"module.{key}" if saved is state else key: value for key, value in state.items()}, folder / "key.pt"
        )
        torch.save({"weight": torch.full((2,), -0.0 if saved is state else 0.0)}, folder / "sign.pt")
    legacy, migrated = (effects_of(*one) for one in arguments)
    assert told(legacy, migrated) == [
        "files written: 3 of 3 differ: key.pt, "
        "same.pt (as checkpoints the same but for their type (OrderedDict against dict)), sign.pt"
    ]


def test_checkpoints_without_the_versions_of_their_modules_are_told_of(tmp_path: Path) -> None:
    """A state dict that was taken apart has lost them; the same one by another name has not."""
    arguments = [ran(tmp_path / side) for side in "ab"]
    state = torch.nn.BatchNorm1d(2).state_dict()
    torch.save({"model": state}, arguments[0][1] / "last.pt")
    torch.save({"model": OrderedDict(state)}, arguments[1][1] / "last.pt")
    legacy, migrated = (effects_of(*one) for one in arguments)
    said = "last.pt (as checkpoints the same but for the versions of their modules (_metadata))"
    assert told(legacy, migrated) == [f"files written: 1 of 1 differ: {said}"]
