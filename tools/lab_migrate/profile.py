"""Profiles: which of a framework's names play which role, with their assumptions."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import cattrs
from cattrs.errors import ClassValidationError
from cattrs.v import format_exception

from lab_migrate.errors import UsageError

if TYPE_CHECKING:
    from lab_parity import UpdateSite

ROLES = (
    "trainer", "loader", "optimizer", "schedule", "objective", "block", "hook", "tracker", "ema", "checkpoint",
    "config",
)  # fmt: skip


@attrs.frozen
class Role:
    """A name of the framework and what it is for; `assumptions` are facts that a report prints."""

    role: str = attrs.field(validator=attrs.validators.in_(ROLES))
    names: tuple[str, ...]
    assumptions: tuple[str, ...] = ()


@attrs.frozen
class Site:
    """Where a home-grown optimizer updates; see `lab_parity.UpdateSite`."""

    target: str
    groups: str = "groups"
    slots: str | None = "slots"
    steps: str | None = "steps"

    def update_site(self) -> UpdateSite:
        """As the recorder wants it."""
        from lab_parity import UpdateSite  # brings torch in, which reading a project never needs

        return UpdateSite(self.target, groups=self.groups, slots=self.slots, steps=self.steps)


@attrs.frozen
class Profile:
    """One framework: its package, its roles, its update sites."""

    package: str
    roles: tuple[Role, ...] = ()
    sites: tuple[Site, ...] = ()

    def role_of(self, name: str) -> Role | None:
        """The role of `package.module.Name`, which may also be imported from the package's top."""
        for role in self.roles:
            if name in role.names or any(name == f"{self.package}.{known.rsplit('.', 1)[-1]}" for known in role.names):
                return role
        return None


def read_profile(path: Path) -> Profile:
    """Read a profile. Raises `UsageError` naming every wrong field at once."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such profile") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: expected TOML: {error}") from error
    try:
        return _converter().structure(content, Profile)
    except ClassValidationError as error:
        raise UsageError("\n".join(f"{path}: {line}" for line in _lines(error))) from error


def shipped_profiles() -> list[Profile]:
    """The profiles that come with lab-migrate."""
    folder = resources.files("lab_migrate") / "profiles"
    with resources.as_file(folder) as place:
        return [read_profile(path) for path in sorted(place.glob("*.toml"))]


def profiles_for(project: Path | None) -> list[Profile]:
    """The shipped profiles, after the project's own `lab-migrate.toml` where there is one."""
    own = project / "lab-migrate.toml" if project is not None else None
    return ([read_profile(own)] if own is not None and own.exists() else []) + shipped_profiles()


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)

    def text(value: Any, _: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected text, found {value!r}")
        return value

    converter.register_structure_hook(str, text)
    return converter


def _lines(error: ClassValidationError) -> list[str]:
    def say(inner: BaseException, type_: Any) -> str:
        return str(inner) if isinstance(inner, TypeError | ValueError) else format_exception(inner, type_)

    return cattrs.transform_error(error, path="profile", format_exception=say)
