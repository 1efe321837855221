"""Training loops that lie in an installed package: `Trainer.train()` of a framework that the project only calls.

Nobody's site-packages are edited. The files of the loops that a profile declares (`[[loops]]`) are outlined as they
are installed, the copies lie beside the entry point, and one call at its top makes `import` take them:

    outlined.use_copies(__file__, "outlined_packages")

A copy knows the bytes that it was made from, and is refused beside any other version of the package.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import attrs

from lab_migrate.analysis import Module, Project, read_project
from lab_migrate.analysis.symbols import dotted
from lab_migrate.convert.engine import apply
from lab_migrate.convert.rule import Edit, NewFile, Rule
from lab_migrate.errors import UsageError
from lab_migrate.findings import Finding, Status
from lab_migrate.outline.naming import after_imports, runtime_name
from lab_migrate.outline.project import outline
from lab_migrate.profile import Profile, Setting

#: Where the copies lie, beside the entry point; see `lab_adapters.outlined.use_copies`.
FOLDER = "outlined_packages"
CODE = "LM240"
REFUSED = "LM241"


@attrs.frozen
class Copies:
    """Files to add to a project, the edits of its entry points, and what there is to say."""

    files: tuple[NewFile, ...] = ()
    edits: dict[str, tuple[Edit, ...]] = attrs.field(factory=dict)
    findings: tuple[Finding, ...] = ()


def outline_installed(
    project: Project,
    entry: str | None,
    profiles: Sequence[Profile],
    packages: Path | None = None,
    rules: Sequence[Rule] | None = None,
) -> Copies:
    """Outline the declared loops of the frameworks whose trainers a project's entry points use. Nothing is imported.

    `packages` is the folder that they are installed in (site-packages); this Python's where it is None. Without
    `entry`, every file that runs as a script and uses a trainer is one.
    """
    files: dict[str, NewFile] = {}
    edits: dict[str, tuple[Edit, ...]] = {}
    findings: list[Finding] = []
    # A framework's own source is converted as any project is.
    for profile in (one for one in profiles if one.loops and not _is_own(project, one.package)):
        users = [module for module in project.modules.values() if _uses_trainer(module, profile)]
        scripts = sorted(module.path for module in users if _is_script(module))
        entries = [entry] if entry is not None and users else scripts
        entries = [path for path in entries if "use_copies(" not in project.modules[path].text]
        if not entries:
            # Nobody trains by it, or the project is converted already.
            continue
        try:
            root = packages or _installed_in(profile.package)
        except UsageError as error:
            findings.append(_refused(entries[0], str(error)))
            continue
        found = _outlined(profile, root, rules)
        findings += [attrs.evolve(one, path=f"{FOLDER}/{one.path}") for one in found.findings]
        for path in entries if found.files else ():
            for new in found.files:
                files[_beside(path) + new.path] = attrs.evolve(new, path=_beside(path) + new.path)
            edits[path] = (_edit(project.modules[path]),)
            findings.append(_said(path, profile, root))
    return Copies(tuple(files.values()), edits, tuple(findings))


def _is_own(project: Project, package: str) -> bool:
    return any(f"/{path}".startswith((f"/{package}/", f"/src/{package}/")) for path in project.modules)


def _uses_trainer(module: Module, profile: Profile) -> bool:
    imports = module.symbols.imports
    if not any(full.split(".")[0] == profile.package for full in imports.values()):
        return False
    used = {full for full in imports.values() if full.startswith(f"{profile.package}.")}
    for node in ast.walk(module.tree):
        head, _, rest = dotted(node).partition(".") if isinstance(node, ast.Attribute) else ("", "", "")
        if rest and head in imports:
            used.add(f"{imports[head]}.{rest}")
    roles = (profile.role_of(name) for name in used)
    return any(role is not None and role.role == "trainer" for role in roles)


def _is_script(module: Module) -> bool:
    """Whether a file does something when it is run, besides defining names."""
    statements = ast.If | ast.Expr | ast.For | ast.With
    is_text = [isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in module.tree.body]
    return any(isinstance(node, statements) and not text for node, text in zip(module.tree.body, is_text, strict=True))


def _installed_in(package: str) -> Path:
    """The folder that holds a package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"expected {package} where this Python finds it, since its training loop is outlined as it is installed, "
            "found none"
        )
    return Path(next(iter(spec.submodule_search_locations))).parent


def _outlined(profile: Profile, root: Path, rules: Sequence[Rule] | None) -> Copies:
    """One framework's copies, by their path below `FOLDER`'s own folder."""
    names = [loop.function for loop in profile.loops]
    files = sorted(
        {file for name in [*names, *(one.name for one in profile.settings)] for file in _file_of(name, root)}
    )
    missing = [name for name in names if not any(True for _ in _file_of(name, root))]
    project = read_project(root, files)
    findings = [_gone(profile, root, name) for name in missing]
    outlining = outline(project, rules=rules, declared=names)
    findings += outlining.findings
    reached = {f"{loop.owner.module.name}.{loop.function}" for loop in outlining.loops}
    findings += [_gone(profile, root, name) for name in names if name not in reached and name not in missing]
    made: list[NewFile] = []
    manifest: dict[str, dict[str, str]] = {}
    for path, module in outlining.files.items():
        edits = [*outlining.edits[path]]
        for setting in profile.settings:
            edit = _set(module, setting)
            if edit is not None:
                edits.append(edit)
                findings.append(
                    Finding(path, 0, 0, CODE, Status.REVIEW, f"{setting.name} = {setting.value}: {setting.because}")
                )
        made.append(NewFile(f"{FOLDER}/{path}", apply(module.text, edits, path), module.text, f"installed/{path}"))
        manifest[module.name] = {
            "file": path,
            "made_from": hashlib.sha256((root / path).read_bytes()).hexdigest(),
            "version": _version(profile.package, root),
        }
    if made:
        made.append(NewFile(f"{FOLDER}/{profile.package}.json", json.dumps(manifest, indent=2) + "\n"))
    return Copies(tuple(made), {}, tuple(findings))


def _file_of(name: str, root: Path) -> Iterator[Path]:
    """The file of `package.module.Class.method`."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        file = root.joinpath(*parts[:end]).with_suffix(".py")
        if file.is_file():
            yield file
            return


def _set(module: Module, setting: Setting) -> Edit | None:
    owner, _, attribute = setting.name.rpartition(".")
    for cls in module.symbols.classes:
        if f"{module.name}.{cls.name}" == owner:
            for node in cls.node.body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                value = getattr(node, "value", None)
                if value is not None and any(isinstance(one, ast.Name) and one.id == attribute for one in targets):
                    return Edit(module.start(value), module.end(value), setting.value)
    return None


def _version(package: str, root: Path) -> str:
    found = [
        one.version
        for one in metadata.distributions(path=[str(root)])
        if any(file.parts[0] == package for file in one.files or ())
    ]
    return found[0] if found else "unknown"


def _beside(path: str) -> str:
    return f"{path.rpartition('/')[0]}/" if "/" in path else ""


def _edit(module: Module) -> Edit:
    """Before the entry's first import, since the copies are found by imports that come after."""
    name = runtime_name(module)
    newline = "\r\n" if module.lines[0].endswith(b"\r\n") else "\n"
    alias = f" as {name}" if name != "outlined" else ""
    lines = [f"from lab_adapters import outlined{alias}", "", f'{name}.use_copies(__file__, "{FOLDER}")', ""]
    at = after_imports(module, only="__future__")
    return Edit(at, at, newline.join(lines))


# ---- what there is to say


def _said(path: str, profile: Profile, root: Path) -> Finding:
    version = _version(profile.package, root)
    return Finding(
        path, 1, 1, CODE, Status.REVIEW,
        f"trains in {profile.package} {version}: its loop runs under Lightning from a copy in {FOLDER}/, "
        "which is used in place of the installed file",
        f"keep {profile.package}=={version} installed; convert again after an update",
    )  # fmt: skip


def _gone(profile: Profile, root: Path, name: str) -> Finding:
    version = _version(profile.package, root)
    return Finding(
        profile.package, 0, 0, REFUSED, Status.UNSUPPORTED,
        f"expected the training loop {name} in {profile.package} {version}, found none",
        "name the function that holds the loop under [[loops]] in your lab-migrate.toml",
    )  # fmt: skip


def _refused(path: str, reason: str) -> Finding:
    return Finding(
        path, 1, 1, REFUSED, Status.UNSUPPORTED, reason,
        "install it beside lab-migrate, or name the folder that holds it with --packages",
    )  # fmt: skip
