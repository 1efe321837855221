"""Loading gin configs, with errors that say where and what to do."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Sequence
from pathlib import Path

import gin

#: Where everything that registers something stands; importing a package's modules makes their names known to gin.
HOMES = ("blocks", "data", "objectives", "optim", "track", "train")


class ConfigError(ValueError):
    """A gin config that cannot be used; says where and what to do."""


def load_config(paths: str | Path | Sequence[str | Path], bindings: Sequence[str] = ()) -> None:
    """Read gin files and then `bindings` (`"Trainer.steps = 50"`), replacing whatever was configured before.

    Raises `ConfigError` with the file, the line and, for a misspelt name, the nearest one that exists.
    """
    for home in HOMES:
        _import_all(f"legacy_lab.{home}")
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: no such config file")
    gin.clear_config()
    try:
        gin.parse_config_files_and_bindings([str(file) for file in files], list(bindings))
    except (ValueError, SyntaxError, TypeError, AttributeError, OSError, ImportError) as error:
        raise ConfigError(_said(error, files)) from error


def _import_all(name: str) -> None:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
        importlib.import_module(module.name)


def _said(error: Exception, files: Sequence[Path]) -> str:
    text = str(error).strip()
    where = re.search(r'In file "([^"]+)", line (\d+)', text)
    if where is not None:
        place = f"{where[1]}:{where[2]}"
    elif isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    else:
        place = ", ".join(str(file) for file in files)
    first = error.msg if isinstance(error, SyntaxError) else text.splitlines()[0] if text else type(error).__name__
    return f"{place}: {first}{_suggestion(text)}"


def _suggestion(text: str) -> str:
    """` Did you mean …?` for an unknown configurable or parameter, else nothing."""
    unknown = re.search(r"No configurable matching (?:reference )?'?@?(?:\S*/)?([\w.]+)", text)
    if unknown is not None:
        names = [selector.split(".")[-1] for selector, _ in gin.config._REGISTRY.items()]
        return _did_you_mean(unknown[1], names)
    parameter = re.search(r"Configurable '([\w.]+)' doesn't have a parameter named '(\w+)'", text)
    if parameter is not None:
        configurable = gin.config._REGISTRY.get_match(parameter[1])
        import inspect

        names = list(inspect.signature(configurable.wrapped).parameters) if configurable else []
        return _did_you_mean(parameter[2], names)
    return ""


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, sorted(set(names)), n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(sorted(set(names))[:20])}."
