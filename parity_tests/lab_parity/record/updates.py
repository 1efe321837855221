"""Updates under way: which of them is the step, and when its gradients are those that it uses.

An update may be made inside another one: a subclass calls `super().step()`, a wrapper its inner optimizer's step, a
home-grown optimizer one of torch's. That is one step. It is the outermost one's, except that a home-grown optimizer
knows more than one of torch's around it; settings and state are also those of the optimizers inside (inside.py).

What an update is made of may come to be inside it, by a closure that is evaluated as often as it likes. So its
gradients are looked at where it begins, behind each evaluation, and where an update inside it begins: the last time
before parameters are known to change for good is what counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

from lab_parity.record.around import steps_around
from lab_parity.record.inside import parameters_of
from lab_parity.record.parents import Parents
from lab_parity.record.sites import UpdateSite, watch
from lab_parity.record.uncompiled import Uncompiled
from lab_parity.record.view import OptimizerView, Views
from lab_parity.trace import Key, Row

__all__ = ["Update", "Updates", "has_gradient"]

Look = Callable[[OptimizerView | None], OptimizerView]
_OURS = "_lab_parity_updates"


@attrs.define(slots=True, eq=False)
class Update:
    """One update, and what has been seen of it so far.

    `look` looks at its optimizer, given how that looked a moment ago; `groups` are the optimizer's. It is `replaced`
    where another one is the step, or a part of the step `whole`. `inside` are the optimizers whose updates are parts of
    this one, `made` whether one of them, or the parent class's step, has been made; `within` how many calls of parents'
    steps are under way. `by_closure`: it may evaluate the loss once more. `moves` when it is a step at all.
    """

    optimizer: Any
    look: Look
    groups: Any
    home_grown: bool = False
    replaced: bool = False
    whole: Update | None = None
    inside: list[Optimizer] = attrs.field(factory=list)
    made: bool = False
    within: int = 0
    by_closure: bool = False
    moves: bool = False
    under: frozenset[str] = frozenset()
    view: OptimizerView | None = None
    initial: list[Row] = attrs.field(factory=list)
    gradients: list[Row] = attrs.field(factory=list)
    schedules: dict[Key, Row] = attrs.field(factory=dict)
    hyper: list[Row] = attrs.field(factory=list)
    texts: Mapping[bytes, str] = attrs.field(factory=dict)
    layouts: Mapping[bytes, str] = attrs.field(factory=dict)


def has_gradient(groups: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any parameter has one."""
    for group in groups:
        params = group["params"]
        if group.get("gradients") or any(
            tensor.grad is not None for tensor in ([params] if isinstance(params, Tensor) else params)
        ):
            return True
    return False


class Updates:
    """Follows the updates of `sites` and of torch's optimizers.

    `begins` is told before each; `see(update, only)` when its gradients may be those that it uses, all of them or those
    of the optimizer `only` that is inside it; `ended(update)` when a step has been taken.
    """

    def __init__(
        self,
        sites: Sequence[UpdateSite],
        views: Views,
        begins: Callable[[], None],
        see: Callable[[Update, Optimizer | None], None],
        ended: Callable[[Update], None],
    ) -> None:
        self._sites, self._views = sites, views
        self._begins, self._see, self._ended = begins, see, ended
        self._parents = Parents(self._parent_begins, self._parent_ends)
        self._open: list[Update] = []
        self._evaluating = 0
        self._evaluate: set[type] = set()  # optimizers that are known to evaluate the closure that they are given

    def __bool__(self) -> bool:
        """Whether one is under way."""
        return bool(self._open)

    def watch(self) -> list[Callable[[], None]]:
        """Put the hooks in place; returns what takes them away. Raises SiteError where a site's method is missing."""
        return [
            watch(self._sites, self),
            self._parents.stop,
            torch_optimizer.register_optimizer_step_pre_hook(self._step_begins).remove,
            torch_optimizer.register_optimizer_step_post_hook(self._step_ends).remove,
        ]

    def gradients_changed(self) -> None:
        """By a backward pass, or by clipping: what is evaluated in a closure is looked at behind it."""
        if self._open and not self._evaluating:
            self._look()

    def before_update(self, site: UpdateSite, optimizer: Any) -> None:
        """A home-grown update begins; it is recorded in place of a torch step around it, which knows less."""
        with Uncompiled():
            for outer in self._open:
                outer.replaced = True
            groups = getattr(optimizer, site.groups, None)
            look = functools.partial(self._views.of_site, site, optimizer)
            self._enter(Update(optimizer, look, groups, home_grown=True))
            self._look()

    def after_update(self, site: UpdateSite, optimizer: Any) -> None:
        """A home-grown update has ended."""
        with Uncompiled():
            self._leave(optimizer)

    def failed_update(self, optimizer: Any) -> None:
        """A home-grown update has raised: it is none."""
        self._forget(optimizer)

    def _step_begins(self, *given: Any) -> Any:
        with Uncompiled():
            return self._before_step(*given)

    def _step_ends(self, *given: Any) -> None:
        with Uncompiled():
            self._after_step(*given)

    def _before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        outer = self._of(optimizer)
        if outer is not None and steps_around(optimizer) > 1:
            outer.within += 1
            self._parent_begins(optimizer)
            return None
        self._parents.watch(type(optimizer))
        self._forget(optimizer)
        update = Update(optimizer, lambda seen: self._views.of_torch(optimizer, seen), optimizer.param_groups)
        whole = self._whole_around(optimizer)
        self._enter(update)
        if whole is not None:
            update.replaced, update.whole = True, whole
            if not any(optimizer is other for other in whole.inside):
                whole.inside.append(optimizer)
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure) or isinstance(closure, nn.Module):
            self._look()
            return None
        (whole or update).by_closure = True
        if getattr(closure, _OURS, None) is self:  # a wrapper hands on the one that it was given
            return None
        if type(optimizer) not in self._evaluate:  # Lightning gives one to each: some pass it over
            self._look()
        looking = self._looking_behind(closure, type(optimizer))
        if "closure" in kwargs:
            return args, {**kwargs, "closure": looking}
        return (args[0], looking, *args[2:]), kwargs

    def _after_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        outer = self._of(optimizer)
        if outer is not None and outer.within:
            outer.within -= 1
            self._parent_ends(optimizer)
        else:
            self._leave(optimizer)

    def _parent_begins(self, optimizer: Optimizer) -> None:
        if self._open and self._open[-1].optimizer is optimizer:
            self._look()

    def _parent_ends(self, optimizer: Optimizer) -> None:
        if self._open and self._open[-1].optimizer is optimizer:
            (self._open[-1].whole or self._open[-1]).made = True

    def _looking_behind(self, closure: Callable[..., Any], kind: type) -> Callable[..., Any]:
        def evaluated(*args: Any, **kwargs: Any) -> Any:
            self._evaluate.add(kind)
            self._evaluating += 1
            try:
                result = closure(*args, **kwargs)
            finally:
                self._evaluating -= 1
            self._look()
            return result

        setattr(evaluated, _OURS, self)
        return evaluated

    def _look(self) -> None:
        """At the step that the innermost update is, or is a part of."""
        innermost = self._open[-1] if self._open else None
        step = innermost and (innermost.whole or innermost)
        if innermost is None or step is None or step.replaced:
            return
        if not step.made:
            self._see(step, None)
        elif innermost is not step:  # others have been updated with what they had
            self._see(step, innermost.optimizer)

    def _whole_around(self, optimizer: Optimizer) -> Update | None:
        """The step that an update of the optimizer is a part of: it has all of its parameters, or is home-grown."""
        for outer in self._open:
            if outer.replaced:
                continue
            if outer.home_grown:
                return outer
            # An exception may have left one open that is under way no more.
            if steps_around(outer.optimizer) and parameters_of(optimizer) <= parameters_of(outer.optimizer):
                return outer
        return None

    def _of(self, optimizer: Any) -> Update | None:
        return next((update for update in self._open if update.optimizer is optimizer), None)

    def _enter(self, update: Update) -> None:
        self._begins()
        self._forget(update.optimizer)
        self._open.append(update)

    def _forget(self, optimizer: Any) -> None:
        """An update of the optimizer that an exception left open, and those inside it."""
        for place, outer in enumerate(self._open):
            if outer.optimizer is optimizer:
                del self._open[place:]
                break

    def _leave(self, optimizer: Any) -> None:
        while self._open:
            update = self._open.pop()
            if update.optimizer is optimizer:
                break
        else:
            return
        if update.whole is not None:
            update.whole.made = True
        elif not update.replaced:
            self._ended(update)
