"""Update sites: how a home-grown optimizer is told apart from any other object."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Protocol

import attrs

from lab_parity.errors import SiteError

__all__ = ["MARKED", "UpdateSite", "listening", "watch"]

_LISTENERS = "_lab_parity_listeners"


@attrs.frozen(slots=True)
class UpdateSite:
    """The method that updates the parameters of a home-grown optimizer, and where its object keeps what matters.

    `target` is "package.module:Class.method"; subclasses that override the method are covered. `groups` names the
    attribute with the list of {"params": [...], hyperparameters}, `slots` the one with {parameter's name or
    parameter: {field: tensor}}, `steps` the one that counts updates.
    """

    target: str
    groups: str = "groups"
    slots: str | None = "slots"
    steps: str | None = "steps"

    def __attrs_post_init__(self) -> None:
        """Refuse a target that cannot be one."""
        module, _, path = self.target.partition(":")
        if not module or path.count(".") != 1:
            raise SiteError(f"update site {self.target!r}: expected 'package.module:Class.method'")

    @property
    def module(self) -> str:
        """The module to wait for."""
        return self.target.partition(":")[0]


class SiteListener(Protocol):
    """Told around each outermost call of an update method."""

    def before_update(self, site: UpdateSite, optimizer: Any) -> None:
        """Told before the parameters change."""

    def after_update(self, site: UpdateSite, optimizer: Any) -> None:
        """Told after the parameters changed."""

    def failed_update(self, optimizer: Any) -> None:
        """Told instead where the update has raised."""


MARKED: list[SiteListener] = []
"""Those that listen now to what a program marks itself (marks.py)."""


def watch(sites: Sequence[UpdateSite], listener: SiteListener) -> Callable[[], None]:
    """Patch each site now, or when its module is imported; listen to marks. Returns the function that undoes it all."""
    MARKED.append(listener)
    undo: list[Callable[[], None]] = [lambda: MARKED.remove(listener)]
    waiting = []
    for site in sites:
        module = sys.modules.get(site.module)
        if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
            undo.append(_patch(site, module, listener))
        else:
            waiting.append(site)
    if waiting:
        finder = _AfterImport(waiting, lambda site, module: undo.append(_patch(site, module, listener)))
        sys.meta_path.insert(0, finder)
        undo.append(lambda: sys.meta_path.remove(finder))

    def stop() -> None:
        for action in reversed(undo):
            action()
        undo.clear()

    return stop


def _patch(site: UpdateSite, module: ModuleType, listener: SiteListener) -> Callable[[], None]:
    class_name, method = site.target.partition(":")[2].split(".")
    cls = getattr(module, class_name, None)
    if not isinstance(cls, type) or not callable(getattr(cls, method, None)):
        raise SiteError(f"update site {site.target!r}: {module.__name__} has no {class_name}.{method}")
    undo: list[Callable[[], None]] = []
    inside: set[int] = set()

    def watch_method(owner: type) -> None:
        original = owner.__dict__.get(method)
        if original is None:
            return
        listeners = getattr(original, _LISTENERS, None)
        if listeners is None:
            listeners = []
            setattr(owner, method, listening(original, site, listeners, inside))
            undo.append(lambda: setattr(owner, method, original))
        listeners.append(listener)
        undo.append(lambda: listeners.remove(listener))

    def watch_tree(owner: type) -> None:
        watch_method(owner)
        children: list[type] = owner.__subclasses__()
        for child in children:
            watch_tree(child)

    if method not in cls.__dict__:  # inherited from outside: watch it here without touching the base
        inherited = getattr(cls, method)
        setattr(cls, method, lambda self, *args, **kwargs: inherited(self, *args, **kwargs))
        undo.append(lambda: delattr(cls, method))
    watch_tree(cls)
    undo.append(_watch_subclasses(cls, watch_method))

    def stop() -> None:
        for action in reversed(undo):
            action()

    return stop


def listening(
    original: Callable[..., Any], site: UpdateSite, listeners: list[SiteListener], inside: set[int]
) -> Callable[..., Any]:
    """`original` with its listeners told around it in the order in which they came, as torch's hooks are.

    A planted fault, which comes first, is thereby seen by the recorder before the update and after it.
    """

    @functools.wraps(original)
    def update(self: Any, *args: Any, **kwargs: Any) -> Any:
        if id(self) in inside:
            return original(self, *args, **kwargs)
        inside.add(id(self))
        try:
            for listener in listeners:
                listener.before_update(site, self)
            try:
                result = original(self, *args, **kwargs)
            except BaseException:
                for listener in listeners:
                    listener.failed_update(self)
                raise
            for listener in listeners:
                listener.after_update(site, self)
            return result
        finally:
            inside.discard(id(self))

    setattr(update, _LISTENERS, listeners)
    return update


def _watch_subclasses(cls: type, wrap: Callable[[type], None]) -> Callable[[], None]:
    """Call `wrap` on each subclass made from now on."""
    own = cls.__dict__.get("__init_subclass__")

    def init_subclass(child: type[Any], /, **kwargs: Any) -> None:
        if own is not None:
            own.__func__(child, **kwargs)
        else:
            base: Any = super(cls, child)
            base.__init_subclass__(**kwargs)
        wrap(child)

    setattr(cls, "__init_subclass__", classmethod(init_subclass))  # noqa: B010

    def stop() -> None:
        if own is not None:
            setattr(cls, "__init_subclass__", own)  # noqa: B010
        else:
            delattr(cls, "__init_subclass__")

    return stop


class _AfterImport(importlib.abc.MetaPathFinder):
    """Lets the ordinary finders find a module, and patches it right after it ran."""

    def __init__(self, sites: Sequence[UpdateSite], patch: Callable[[UpdateSite, ModuleType], None]) -> None:
        self._sites = {site.module: [other for other in sites if other.module == site.module] for site in sites}
        self._patch = patch
        self._busy = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The ordinary spec with a loader that patches afterwards; None for every other module."""
        if fullname not in self._sites or self._busy:
            return None
        self._busy = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._busy = False
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module
        sites = self._sites.pop(fullname)

        def exec_module(module: ModuleType) -> None:
            load(module)
            for site in sites:
                self._patch(site, module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
