"""For `class_path` in YAML: an object that is built once for each `key` (gin's singleton), one function a role.

    class_path: lab_bridge.config.shared.Block
    init_args: {key: stem, constructor: {class_path: legacy_lab.blocks.conv.Conv, init_args: {channels: 16}}}

The functions are made on demand, since LightningCLI takes a function only where its return annotation fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab_bridge.config.build import import_target
from lab_bridge.config.lab import lab_schema

__all__ = ["forget"]

_BUILT: dict[str, Any] = {}


def forget() -> None:
    """Forget what was built, as `gin.clear_config` does: the next use of a key builds anew."""
    _BUILT.clear()


def __getattr__(role: str) -> Callable[..., Any]:
    """The function for a role of Lab's, such as `Block` (PEP 562)."""
    found = lab_schema().roles.get(role)
    if found is None:
        raise AttributeError(f"lab_bridge.config.shared: expected a role of Lab's, found {role!r}")
    kind = import_target(found.source)

    def once(key: str, constructor: Any) -> Any:
        if key not in _BUILT:
            _BUILT[key] = constructor()
        return _BUILT[key]

    once.__name__ = once.__qualname__ = role
    once.__annotations__ = {"key": str, "constructor": Callable[[], kind], "return": kind}
    globals()[role] = once
    return once
