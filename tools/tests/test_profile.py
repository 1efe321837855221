"""Profiles: every error at once with what was meant, names that exist in the real packages, what a project says."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab_migrate.errors import UsageError
from lab_migrate.profile import Profile, Role, read_own, read_profile, shipped_profiles
from lab_migrate.scan import scan_project

Make = Callable[[Mapping[str, str]], Path]


def test_every_wrong_field_is_said_at_once_with_what_was_meant(tmp_path: Path) -> None:
    """A person mends a file in one round."""
    (tmp_path / "p.toml").write_text(
        'packge = "x"\nentries = "train.py"\n[[roles]]\nrole = "optimiser"\nnames = [1]\n'
        '[[roles]]\nrole = "loader"\nnames = "a.B"\n[assumptions]\nclips = "yes"\n'
    )
    with pytest.raises(UsageError) as error:
        read_profile(tmp_path / "p.toml")
    said = str(error.value)
    assert "no such field: packge; did you mean 'package'?" in said
    assert "found 'optimiser'; did you mean 'optimizer'?" in said or "expected text, found 1" in said
    assert "expected text, found 1" in said
    assert "expected a list, found 'a.B'" in said
    assert "expected a list, found 'train.py'" in said
    assert "expected true or false, found 'yes'" in said


def test_a_role_that_is_none_is_refused_with_the_one_that_was_meant(tmp_path: Path) -> None:
    """A typo in a role would otherwise hide what plays it."""
    (tmp_path / "p.toml").write_text('package = "x"\n[[roles]]\nrole = "optimiser"\nnames = ["x.A"]\n')
    with pytest.raises(UsageError, match="did you mean 'optimizer'"):
        read_profile(tmp_path / "p.toml")


@pytest.mark.parametrize("text", ["package = ", "\xff", 'package = "a"\npackage = "b"'])
def test_what_is_no_toml_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    """And no traceback."""
    (tmp_path / "p.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"p\.toml: expected TOML"):
        read_profile(tmp_path / "p.toml")


def test_an_assumption_that_nothing_detects_is_refused(project: Make) -> None:
    """With the name that was meant."""
    root = project({"lab-migrate.toml": 'package = "x"\n[assumptions]\nclip = true\n', "a.py": "import torch\n"})
    with pytest.raises(UsageError, match=r"assumptions\.clip: no such assumption; did you mean 'clips'"):
        scan_project(root)


def test_a_shorter_path_to_a_name_is_the_same_thing_and_a_likeness_is_not() -> None:
    """Packages hand names on; other packages have the same names."""
    profile = Profile("p", (Role("trainer", ("p.a.b.Runner", "p.a.b.Runner.run")),))
    assert all(
        profile.role_of(name) for name in ("p.a.b.Runner", "p.a.Runner", "p.Runner", "p.Runner.run", "p.a.Runner.run")
    )
    assert not any(
        profile.role_of(name)
        for name in ("q.Runner", "p.c.Runner", "Runner", "p.a.b", "p.xRunner", "p.a.b.Runner.stop")
    )


def test_a_project_says_what_holds_and_what_does_not(project: Make) -> None:
    """True adds an assumption that no line shows, false takes a false alarm away."""
    own = 'package = "x"\nentries = ["go.py"]\nskip = ["old/*"]\n[assumptions]\ncompiles = true\nclips = false\n'
    root = project(
        {
            "lab-migrate.toml": own,
            "go.py": "import torch\ntorch.nn.utils.clip_grad_norm_(p, 1)\n",
            "old/train.py": "import torch\nfor x in l:\n    x.backward()\n    opt.step()\n",
        }
    )
    found = scan_project(root)
    assert [assumption.name for assumption in found.assumptions] == ["compiles"]
    assert [entry.path for entry in found.entries] == ["go.py"]
    assert found.loops == ()
    assert [(item.kind, item.path) for item in found.skipped] == [("profile", "old/train.py")]


def test_an_instance_of_a_frameworks_class_is_followed_to_its_methods(project: Make) -> None:
    """`accelerator.backward` is a name of accelerate's."""
    source = "from accelerate import Accelerator\nacc = Accelerator()\nacc.backward(loss)\nother.backward(loss)\n"
    uses = {(use.role, use.line, use.name) for use in scan_project(project({"a.py": source})).roles}
    assert ("scaler", 3, "accelerate.Accelerator.backward") in uses
    assert not any(line == 4 for _, line, _ in uses)


def test_what_lightning_renamed_is_told_by_line(project: Make) -> None:
    """Methods of modules and arguments of the Trainer, and no other class's methods."""
    source = """\
        import pytorch_lightning as pl
        class Net(pl.LightningModule):
            def validation_epoch_end(self, outputs): ...
        class Other:
            def validation_epoch_end(self, outputs): ...
        trainer = pl.Trainer(gpus=1, max_steps=2)
    """
    moved = [use for use in scan_project(project({"a.py": source})).roles if use.how == "moves"]
    assert {(use.line, use.name) for use in moved} == {(3, "validation_epoch_end"), (6, "Trainer(gpus)")}


def test_no_own_profile_is_no_error(tmp_path: Path) -> None:
    """Most projects have none."""
    assert read_own(tmp_path) is None


# ---- the shipped profiles against the real packages


def defined(name: str) -> bool:
    """Whether a dotted name is defined where it says, told by reading the installed package's source."""
    parts = name.split(".")
    spec = importlib.util.find_spec(parts[0])
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    at = 1
    while at < len(parts) and (folder / parts[at] / "__init__.py").exists():
        folder, at = folder / parts[at], at + 1
    file = folder / "__init__.py"
    if at < len(parts) and (folder / f"{parts[at]}.py").exists():
        file, at = folder / f"{parts[at]}.py", at + 1
    body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body
    for part in parts[at:]:
        found = next((node for node in _flat(body) if _binds(node, part)), None)
        patched = _patched(file, part)
        if found is None and not patched:
            return False
        body = [*(found.body if isinstance(found, ast.ClassDef) else []), *patched]
    return len(parts) > at


def _flat(body: list[ast.stmt]) -> list[ast.stmt]:
    return [
        inner
        for node in body
        for inner in ([node] if not isinstance(node, ast.If | ast.Try) else [*node.body, *node.orelse])
    ]


def _binds(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any((alias.asname or alias.name) == name for alias in node.names)
    return getattr(node, "name", "") == name


def _patched(file: Path, cls: str) -> list[ast.stmt]:
    """fastai's `@patch def fit_one_cycle(self: Learner)`."""
    return [
        node
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and node.args.args
        and (annotation := node.args.args[0].annotation) is not None
        and ast.unparse(annotation) == cls
    ]


SHIPPED = {profile.package: profile for profile in shipped_profiles()}


def test_profiles_ship_for_the_frameworks_that_people_come_from() -> None:
    """A profile that is not in the package helps nobody."""
    assert set(SHIPPED) >= {
        "legacy_lab", "ignite", "mmengine", "transformers", "accelerate", "fastai", "pytorch_lightning",
    }  # fmt: skip


@pytest.mark.parametrize("package", sorted(SHIPPED))
def test_every_name_of_a_profile_exists_in_the_real_package(package: str) -> None:
    """A name that is misspelt, or that the framework has dropped, would find nothing in silence."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    if package == "pytorch_lightning" and not (Path(spec.origin).parent / "lite").is_dir():
        pytest.skip("the pytorch_lightning that is installed is no 1.x")
    names = [name for role in SHIPPED[package].roles for name in role.names]
    assert len(names) >= 5
    assert [name for name in names if importlib.util.find_spec(name.split(".")[0]) and not defined(name)] == []
