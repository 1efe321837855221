"""The YAML that LightningCLI reads: YAML 1.1 without dates, and `1e-3` a number, as jsonargparse has it."""

from __future__ import annotations

import re

import yaml

__all__ = ["Loader", "needs_quotes"]

_FLOAT = re.compile(
    r"""^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
        |\.[0-9_]+(?:[eE][-+][0-9]+)?
        |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
        |[-+]?\.(?:inf|Inf|INF)
        |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with jsonargparse's notion of numbers."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith((":float", ":timestamp"))]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def needs_quotes(text: str) -> bool:
    """Whether some reader of YAML would take plain `text` for something else than text."""
    return any(
        not isinstance(_loaded(text, loader), str) or _loaded(text, loader) != text
        for loader in (Loader, yaml.SafeLoader)
    )


def _loaded(text: str, loader: type[yaml.SafeLoader]) -> object:
    try:
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError):
        return None
