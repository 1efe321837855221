"""Adam's update, identified: learning rate, decay, epsilon and where it stands, bias correction.

With the moments m and v known, the update is `-lr · (m / c1) / d - lr · decay · p` with d one of

    outside  sqrt(v / c2) + eps        (Kingma and Ba 2015, algorithm 1; torch)
    inside   sqrt(v / c2 + eps)
    hat      (sqrt(v) + eps) / sqrt(c2)   (ibid., section 2, epsilon-hat; TensorFlow)

and c1 = 1 - beta1^t, c2 = 1 - beta2^t, or 1 without bias correction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import attrs
from torch import Tensor

from lab_parity.diagnose.fit import Fit, flat, least_squares, measure
from lab_parity.diagnose.moments import moments
from lab_parity.diagnose.scene import Scene
from lab_parity.diagnose.updates import Update, updates

__all__ = ["PLACES", "Adam", "Form", "identify"]

PLACES = ("outside", "inside", "hat")
_GRID = tuple(10.0 ** (-place / 2) for place in range(2, 31))
_MOST = 1 << 15


@attrs.frozen(slots=True)
class Form:
    """How an update is computed; `count` is t of the bias correction, None without one.

    `moments` are those that are corrected, the first and the second.
    """

    place: str
    count: int | None
    eps: float
    moments: tuple[bool, bool] = (True, True)

    def corrections(self, betas: tuple[float, float]) -> tuple[float, float]:
        """c1 and c2."""
        c1, c2 = (
            1 - beta**self.count if self.count and corrected else 1.0
            for beta, corrected in zip(betas, self.moments, strict=True)
        )
        return c1, c2


@attrs.frozen(slots=True, eq=False)
class Adam:
    """The legacy side's form, and everything that a changed one is measured with. Lists hold one tensor a parameter."""

    form: Form
    own: Fit
    step: int
    betas: tuple[float, float]
    lr: float
    decay: float
    listed: Sequence[Update]
    first: Sequence[Tensor]
    second: Sequence[Tensor]
    rates: Sequence[float]

    def directions(self, form: Form) -> list[Tensor]:
        """The update's direction per parameter, without the learning rate."""
        c1, c2 = form.corrections(self.betas)
        return [_direction(m, v, form, c1, c2) for m, v in zip(self.first, self.second, strict=True)]

    def explains(self, form: Form) -> Fit:
        """How well the difference of both sides is explained by the migrated side using `form`."""
        mine, other = self.directions(self.form), self.directions(form)
        differences = [update.difference for update in self.listed]
        left = [
            d + self.lr * rate * (y - x)
            for d, x, y, rate in zip(differences, mine, other, self.rates, strict=True)
        ]  # fmt: skip
        return measure(differences, left, [update.noise for update in self.listed])

    def best_eps(self, place: str, count: int | None) -> tuple[Form, Fit]:
        """The epsilon that explains most, of one form."""
        return _search(lambda eps: self.explains(Form(place, count, eps)), place, count)


def identify(scene: Scene) -> list[Adam]:
    """The legacy side's form, and others that explain its update as well, likeliest first; worked out once.

    One step tells `lr · sqrt(c2) / c1` and `eps · sqrt(c2)`, no more: where the settings do not show the learning rate,
    several counts of the bias correction fit alike. Empty where the state is not Adam's, or no form fits.
    """
    return scene.once("adam", _identify)


def _identify(scene: Scene) -> list[Adam]:
    known = [moment for moment in moments(scene) if moment.identified]
    first = next((moment for moment in known if moment.order == 1), None)
    second = next((moment for moment in known if moment.order == 2), None)
    if first is None or second is None or first.differs or second.differs:
        return []
    ms, vs = (scene.legacy.tensors("optimizer", "after", field=m.field) for m in (first, second))
    listed = [update for update in updates(scene) if update.name in ms and update.name in vs]
    rates = [scene.hyper(update.name, "lr", "learning_rate") for update in listed]
    plain = [float(rate) if isinstance(rate, (int, float)) and rate else 1.0 for rate in rates]
    betas = (_beta(first.of("old"), first.of("gradient")), _beta(second.of("old"), second.of("gradient²")))
    step = 1 + sum(
        past.optimizer == scene.legacy.history.steps[scene.first.step].optimizer
        for past in scene.legacy.history.steps[: scene.first.step]
    )
    stride = max(1, sum(update.before.numel() for update in listed) // _MOST)
    blank = Adam(
        Form("outside", step, 1e-8), Fit(0, 0, 0, 0, 0), step, betas, 1.0, 0.0, [_thin(u, stride) for u in listed],
        [flat(ms[update.name])[::stride] for update in listed],
        [flat(vs[update.name])[::stride] for update in listed], plain,
    )  # fmt: skip
    if not listed:
        return []
    seen = scene.hyper(listed[0].name, "eps", "epsilon")
    found = [_as_form(blank, form) for form in _forms(blank, seen)]
    least = min(adam.own.after for adam in found)
    rivals = [adam for adam in found if adam.own.after <= 1.2 * least + 0.1 and adam.own.share < 0.02]
    if rates[0]:
        return sorted(rivals, key=lambda adam: (abs(math.log(max(adam.lr, 1e-12))) > 1e-3, _unusual(adam)))
    return sorted(rivals, key=_unusual)


def _unusual(adam: Adam) -> tuple[bool, bool, bool, float]:
    """People choose round numbers: of forms that explain one step alike, that one's epsilon is its own."""
    return not _is_round(adam.form.eps), adam.form.count != adam.step, adam.form.place != "outside", adam.own.after


def _is_round(value: float) -> bool:
    """Whether it is a number of one digit, but for what a fit is wrong by."""
    return abs(float(f"{value:.0e}") / value - 1) < 0.01 if value else True


def _forms(blank: Adam, eps: float | None) -> Iterator[Form]:
    counts: list[int | None] = [blank.step, None, blank.step + 1, *([blank.step - 1] if blank.step > 1 else [])]
    for place in PLACES:
        for count in counts:
            if eps is not None:
                yield Form(place, count, float(eps))
            else:

                def own(value: float, place: str = place, count: int | None = count) -> Fit:
                    return _as_form(blank, Form(place, count, value)).own

                yield _search(own, place, count)[0]


def _search(measured: Callable[[float], Fit], place: str, count: int | None) -> tuple[Form, Fit]:
    tried = {eps: measured(eps) for eps in _GRID}
    best = min(tried, key=lambda eps: tried[eps].after)
    low, high = math.log(best) - 1.2, math.log(best) + 1.2
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(28):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if measured(math.exp(left)).after <= measured(math.exp(right)).after:
            high = right
        else:
            low = left
    eps = math.exp((low + high) / 2)
    return Form(place, count, eps), measured(eps)


def _as_form(blank: Adam, form: Form) -> Adam:
    directions = blank.directions(form)
    scaled = [-rate * u for rate, u in zip(blank.rates, directions, strict=True)]
    decays = [-rate * update.before for rate, update in zip(blank.rates, blank.listed, strict=True)]
    changes = [update.change_a for update in blank.listed]
    fit = least_squares(changes, [scaled, decays], [update.noise for update in blank.listed])
    lr, decay = fit.coefficients
    return attrs.evolve(blank, form=form, own=fit, lr=lr, decay=decay)


def _thin(update: Update, stride: int) -> Update:
    return Update(update.name, *(t[::stride] for t in attrs.astuple(update, recurse=False)[1:]))


def _direction(m: Tensor, v: Tensor, form: Form, c1: float, c2: float) -> Tensor:
    if form.place == "inside":
        return m / c1 / (v / c2 + form.eps).sqrt().clamp_min(1e-30)
    if form.place == "hat":
        return m / c1 * math.sqrt(c2) / (v.sqrt() + form.eps).clamp_min(1e-30)
    return m / c1 / ((v / c2).sqrt() + form.eps).clamp_min(1e-30)


def _beta(old: float, new: float) -> float:
    """On the first step nothing is old, and 1 - b is all there is."""
    return old if old else 1 - new
