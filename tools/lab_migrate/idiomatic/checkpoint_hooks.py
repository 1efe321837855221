"""`on_save_checkpoint` and `on_load_checkpoint`: their lines, by the keys of the checkpoint."""

from __future__ import annotations

import attrs

from lab_migrate.idiomatic.layout import method

__all__ = ["Kept", "attributes_of"]


@attrs.define(eq=False)
class Kept:
    """Lines of the two hooks, by the keys of the checkpoint.

    `started` are those of `on_train_start`, where Lightning would undo what is loaded. `lost` are the legacy names of
    what begins anew.
    """

    saved: dict[str, list[str]] = attrs.field(factory=dict)
    loaded: dict[str, list[str]] = attrs.field(factory=dict)
    started: list[str] = attrs.field(factory=list)
    lost: list[str] = attrs.field(factory=list)

    def keep(self, key: str, saved: str | list[str], loaded: str | list[str]) -> None:
        """Under a key."""
        self.saved[key] = [saved] if isinstance(saved, str) else saved
        self.loaded[key] = [loaded] if isinstance(loaded, str) else loaded

    def source(self, unit: str) -> list[str]:
        """The hooks; none where Lightning's checkpoint has all."""
        if not self.saved:
            return []
        hooks = [
            method(unit, hook, "self, checkpoint", [line for each in lines.values() for line in each])
            for hook, lines in (("on_save_checkpoint", self.saved), ("on_load_checkpoint", self.loaded))
        ]
        return [*hooks, method(unit, "on_train_start", "self", self.started)] if self.started else hooks


def attributes_of(text: str, attributes: list[str], key: str, numpy: str) -> tuple[list[str], str]:
    """Lines that save attributes of an object, and the one that loads them.

    Where `numpy` is what the file calls numpy by, one of them may be a number of numpy's.
    """
    names = ", ".join(f'"{one}"' for one in attributes)
    saved = [
        f'checkpoint["{key}"] = {{',
        f"    name: value.item() if isinstance(value, {numpy}.generic) else value" if numpy else "    name: value",
        f"    for name, value in vars({text}).items()",
        f"    if name in ({names},)" if len(attributes) == 1 else f"    if name in ({names})",
        "}",
    ]
    return saved, f'vars({text}).update(checkpoint["{key}"])'
