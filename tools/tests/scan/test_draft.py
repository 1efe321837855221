"""`scan --write-profile`: what it drafts can be read, says what was found, and never overwrites."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab_migrate.profile import read_profile
from lab_migrate.scan import Inventory, RoleUse, scan_project
from lab_migrate.scan.draft import draft_profile

Make = Callable[[Mapping[str, str]], Path]
TRAIN = """\
    import torch
    from own.optim import Momentum
    for x in loader:
        loss = f(x.cuda())
        loss.backward()
        optimizer.step()
"""
OPTIM = """\
    class Momentum:
        def step(self):
            for p in self.params:
                p.data.add_(p.grad, alpha=-self.lr)
"""


def test_a_profile_is_never_overwritten(command: Any, project: Make) -> None:
    """It may hold a person's work."""
    root = project({"train.py": TRAIN, "lab-migrate.toml": 'package = "mine"\n'})
    ran = command("scan", root, "--write-profile", root / "lab-migrate.toml")
    assert ran.exit_code == 2
    assert "never overwritten" in ran.err
    assert (root / "lab-migrate.toml").read_text() == 'package = "mine"\n'


def test_the_draft_says_what_was_found_and_scans_as_before(command: Any, project: Make, tmp_path: Path) -> None:
    """Entries, roles, the site of the home-grown optimizer, assumptions; with it in place the scan says the same."""
    root = project({"train.py": TRAIN, "own/__init__.py": "", "own/optim.py": OPTIM})
    ran = command("scan", root, "--write-profile", tmp_path / "p.toml", "--json")
    assert ran.exit_code == 0, ran.err
    drafted = read_profile(tmp_path / "p.toml")
    assert drafted.entries == ("train.py",)
    assert [role.names for role in drafted.roles if role.role == "optimizer"] == [("own.optim.Momentum",)]
    assert [site.target for site in drafted.sites] == ["own.optim:Momentum.step"]
    before = scan_project(root)
    assert set(drafted.assumptions) == {found["name"] for found in json.loads(ran.out)["assumptions"]}
    (root / "lab-migrate.toml").write_bytes((tmp_path / "p.toml").read_bytes())
    assert scan_project(root).assumptions == before.assumptions


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=20), path=st.text(min_size=1, max_size=20))
def test_any_name_survives_the_draft(tmp_path: Path, name: str, path: str) -> None:
    """Names and paths are escaped, whatever is in them."""
    name, path = (text.encode("utf-8", "replace").decode() for text in (name, path))
    inventory = Inventory("p", 1, 1, roles=(RoleUse("loader", path, 1, name, (), "class"),))
    (tmp_path / "p.toml").write_text(draft_profile(inventory), encoding="utf-8", newline="")
    roles = read_profile(tmp_path / "p.toml").roles
    assert [role.role for role in roles] in ([], ["loader"])
    assert not roles or roles[0].names[0].endswith(name)
