"""What all tests have in common."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says how loaded the machine is; timings are measured in benchmarks/.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--thorough`, which CI's half hour has no room for: `make nightly` gives it."""
    parser.addoption("--thorough", action="store_true", help="all sampled cases, resumed from every checkpoint")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the cases of a test that is marked `sampled` a third are kept, the same each time."""
    if config.getoption("--thorough"):
        return
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled") is not None:
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out: set[pytest.Item] = set()
    for test, cases in tests.items():
        left_out |= set(cases) - set(_sample(test, cases, (len(cases) + 2) // 3))
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def some(request: pytest.FixtureRequest) -> Callable[[Sequence[Any]], list[Any]]:
    """`some(things)` are three of them in their order, others for each test; with `--thorough` all."""
    most = None if request.config.getoption("--thorough") else 3
    return lambda things: _sample(request.node.nodeid, things, most)


def _sample(name: str, things: Sequence[Any], most: int | None) -> list[Any]:
    """By chance and not every second one: of two settings that are combined, one may be every second."""
    if most is None or most >= len(things):
        return list(things)
    places = random.Random(name).sample(range(len(things)), most)
    return [things[place] for place in sorted(places)]


@pytest.fixture(scope="module", autouse=True)
def _old_objects_are_left_alone() -> Iterator[None]:
    """What earlier modules have imported is not walked again by each recording."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
