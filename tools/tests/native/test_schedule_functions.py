"""Level L3: schedules that are functions, and what they are given."""

from __future__ import annotations

from typing import Any

import pytest

from .settings import GAN

RATES = '''
import math

import gin


@gin.configurable
def cooled(peak, warmup: int = 3, total=9, *, points=(1.0, 0.5)):
    """Warms up, and cools down by points."""
    bends = [total * point for point in points]

    def rate(step):
        found = {}
        if step < warmup:
            found["lr"] = peak * (step + 1) / warmup
            return found
        found["lr"] = peak * math.cos(step / total) * (0.5 if step > bends[1] else 1.0)
        return found

    return rate


@gin.configurable
def halved(step, lr=0.02, every=2):
    """Asked with the number itself."""
    return {"lr": lr * 0.5 ** (step // every)}


@gin.configurable
def swinging(step):
    return {"weight": 1.0 + math.sin(step)}


@gin.configurable
def cyclical(period, top=2.0):
    return lambda step: {"weight": top * (step % period) / period}
'''
COOLED = ("Adam.schedule = @cooled()", "cooled.peak = 1e-2")
ANNEAL = ("Trainer.hooks = [@Anneal()]", "Anneal.of = 'margin'", "Trainer.objective = @Margin()")
PROJECTS: dict[str, tuple[str, ...]] = {
    "one that returns it": (*COOLED, "cooled.points = (0.2, 0.6)", "Adam.accumulate = 2"),
    "one that is it": ("Adam.schedule = @halved", "halved.every = 3", "Adam.multipliers = {'*.bias': 2.0}"),
    "behind every second update": (
        "Adam.schedule = @Timed()", "Timed.schedule = @halved", "Timed.every = 2", "Timed.when = 'after'",
    ),
    "of a weight of the objective": (*ANNEAL, "Anneal.schedule = @cyclical()", "cyclical.period = 4"),
    "of a weight, without settings": (*ANNEAL, "Anneal.schedule = @swinging"),
    "of a generator and its critic": (
        *GAN, "critic/Adam.schedule = @c/cooled()", "c/cooled.peak = 0.01", "generator/SGD.schedule = @g/cooled()",
        "g/cooled.peak = 0.1", "g/cooled.total = 12",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
def test_a_schedule_that_is_a_function_has_the_bits(native: Any, name: str) -> None:
    """Over nine steps."""
    module = f"rates_{list(PROJECTS).index(name)}"
    native.more[f"{module}.py"] = RATES
    with native.registered(module):
        native.identical(*PROJECTS[name])


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROJECTS)
def test_a_training_with_such_a_schedule_goes_on(native: Any, name: str) -> None:
    """From its own checkpoints and from Lab's."""
    module = f"rates_on_{list(PROJECTS).index(name)}"
    native.more[f"{module}.py"] = RATES
    with native.registered(module):
        native.goes_on(*PROJECTS[name])


def test_the_settings_of_a_function_are_options(native: Any) -> None:
    """A class of the config has them, with the function's own defaults."""
    native.more["rates_written.py"] = RATES
    files = {one.path: one.after for one in native.converted(*COOLED).changes}
    config, module = files["blobs/config.py"], files["blobs/module.py"]
    assert "class CooledSchedule:" in config
    assert "    peak: float\n    warmup: int = 3\n" in config
    assert "schedule: CooledSchedule = CooledSchedule(peak=0.01)" in config
    assert "from rates_written import cooled" in module
    assert "peak=self.config.schedule.peak" in module


REFUSED: dict[str, tuple[str, str]] = {
    "draws": ("return lambda step: {'lr': peak * random.random()}", "calls random.random, which may draw"),
    "counts": (
        "seen = [0]\n    def rate(step):\n        seen[0] += 1\n        return {'lr': peak}\n    return rate",
        "changes what it remembers (seen[0])",
    ),
    "gathers": (
        "seen = []\n    def rate(step):\n        seen.append(step)\n        return {'lr': peak}\n    return rate",
        "changes what it remembers (seen.append(step))",
    ),
    "is built of another name": (
        "last = peak\n    def rate(step):\n        nonlocal last\n        return {'lr': last}\n    return rate",
        "changes what it remembers (nonlocal last)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_function_that_draws_or_remembers_is_refused(native: Any, name: str) -> None:
    """A native training makes it at another time, and asks ahead; the finding stands at its line."""
    body, said = REFUSED[name]
    native.more["odd_rates.py"] = f"import random\nimport gin\n\n\n@gin.configurable\ndef odd(peak):\n    {body}\n"
    (finding,) = native.converted("Adam.schedule = @odd()", "odd.peak = 0.1").findings
    assert said in finding.message
    assert (finding.path, finding.line) == ("odd_rates.py", 5) or (finding.path, finding.line) == ("odd_rates.py", 6)


def test_a_function_with_a_decorator_of_the_projects_is_refused(native: Any) -> None:
    """It may return another function."""
    native.more["odd_rates.py"] = (
        "import functools\nimport gin\n\n\ndef traced(f):\n    return f\n\n\n"
        "@gin.configurable\n@traced\ndef odd(peak):\n    return lambda step: {'lr': peak}\n"
    )
    found = native.converted("Adam.schedule = @odd()", "odd.peak = 0.1").findings
    assert any("has the decorator @traced" in one.message for one in found), found
