"""Profiles: which of a framework's names play which role, with their assumptions; and what a project says of itself."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError
from cattrs.v import format_exception

from lab_migrate.errors import UsageError

if TYPE_CHECKING:
    from lab_parity import UpdateSite

__all__ = [
    "OWN", "ROLES", "Loop", "Move", "Profile", "Role", "Setting", "Site", "profiles_for",
    "read_own", "read_profile", "shipped_profiles",
]  # fmt: skip

#: Where a project says what inference cannot find.
OWN = "lab-migrate.toml"
ROLES = (
    "trainer", "model", "objective", "block", "dataset", "loader", "sampler", "optimizer", "schedule", "scaler", "ema",
    "hook", "checkpoint", "tracker", "config", "distributed", "seed",
)  # fmt: skip


def _is_role(instance: Any, attribute: Any, value: str) -> None:
    if value not in ROLES:
        raise ValueError(f"expected one of {', '.join(ROLES)}, found {value!r}{_meant(value, ROLES)}")


@attrs.frozen
class Role:
    """Names of the framework and what they are for; `assumptions` are facts that a report prints.

    `names` are dotted and say where a thing is defined; a shorter path to it, through packages that hand it on, is
    the same thing. `becomes` is what it is in Lightning.
    """

    role: str = attrs.field(validator=_is_role)
    names: tuple[str, ...]
    assumptions: tuple[str, ...] = ()
    becomes: str = ""


@attrs.frozen
class Move:
    """A method that subclasses define, or an argument (`Trainer(gpus)`), under its name in Lightning 2."""

    name: str
    becomes: str


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
class Loop:
    """A loop in the installed package: a function, by the module that defines it; see `outline.installed`."""

    function: str


@attrs.frozen
class Setting:
    """A class attribute of the installed package that its outlined copy assigns otherwise; `because` is reported."""

    name: str
    value: str
    because: str


@attrs.frozen
class Profile:
    """One framework: its package, its roles, its update sites, what moves, and the loops it trains in.

    The last three are for a project's own: `entries` train, files under `skip` are not read, and `assumptions` says
    of an assumption that it holds (true) or that what was found is none (false).
    """

    package: str
    roles: tuple[Role, ...] = ()
    sites: tuple[Site, ...] = ()
    moves: tuple[Move, ...] = ()
    loops: tuple[Loop, ...] = ()
    settings: tuple[Setting, ...] = ()
    entries: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    assumptions: dict[str, bool] = attrs.field(factory=dict)

    def role_of(self, name: str) -> Role | None:
        """The role of a dotted name; `package.Name` is `package.module.Name`, which it hands on."""
        last = name.rpartition(".")[2]
        for role in self.roles:
            if any(known.endswith(last) and _same(name, known) for known in role.names):
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


def read_own(project: Path | None, known: Iterable[str] = ()) -> Profile | None:
    """The project's own `lab-migrate.toml` where there is one. `known` are the assumptions that there are.

    Raises `UsageError`, also for an assumption that nothing detects.
    """
    if project is None or not (project / OWN).exists():
        return None
    own = read_profile(project / OWN)
    names = tuple(known)
    wrong = [name for name in own.assumptions if names and name not in names]
    if wrong:
        raise UsageError(
            "\n".join(f"{project / OWN}: assumptions.{name}: no such assumption{_meant(name, names)}" for name in wrong)
        )
    return own


def profiles_for(project: Path | None) -> list[Profile]:
    """The shipped profiles, after the project's own `lab-migrate.toml` where there is one."""
    own = read_own(project)
    return ([own] if own is not None else []) + shipped_profiles()


def _same(name: str, known: str) -> bool:
    """Whether a dotted name is a known one, with some packages in the middle left out."""
    if name == known:
        return True
    parts = name.split(".")
    return any(
        known.startswith(".".join(parts[:at]) + ".") and known.endswith("." + ".".join(parts[at:]))
        for at in range(1, len(parts))
    ) and len(known) > len(name)  # fmt: skip


def _is_tuple(type_: Any) -> bool:
    origin: Any = get_origin(type_)
    return origin is tuple


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)

    def text(value: Any, _: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected text, found {value!r}")
        return value

    def flag(value: Any, _: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError(f"expected true or false, found {value!r}")
        return value

    def several(value: Any, type_: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, found {value!r}")
        items: Any = list[get_args(type_)[0]]  # type: ignore[misc]
        return tuple(converter.structure(value, items))

    converter.register_structure_hook(str, text)
    converter.register_structure_hook(bool, flag)
    converter.register_structure_hook_func(_is_tuple, several)
    return converter


def _lines(error: ClassValidationError) -> list[str]:
    def say(inner: BaseException, type_: Any) -> str:
        if isinstance(inner, ForbiddenExtraKeysError):
            allowed = [field.name for field in attrs.fields(inner.cl)]
            return "; ".join(f"no such field: {name}{_meant(name, allowed)}" for name in sorted(inner.extra_fields))
        return str(inner) if isinstance(inner, TypeError | ValueError) else format_exception(inner, type_)

    return cattrs.transform_error(error, path="profile", format_exception=say)


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
