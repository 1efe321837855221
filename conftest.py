"""What all tests have in common."""

from __future__ import annotations

import gc
import random
from collections import Counter
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
    """Of the cases of a test that is marked `sampled` the first is kept and every second one, the same each time."""
    if config.getoption("--thorough"):
        return
    places: Counter[str] = Counter()
    left_out = []
    for item in items:
        if item.get_closest_marker("sampled") is not None:
            test = item.nodeid.partition("[")[0]
            left_out += [item] if places[test] % 2 else []
            places[test] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture
def some(request: pytest.FixtureRequest) -> Callable[[Sequence[Any]], list[Any]]:
    """`some(things)` are three of them in their order, others for each test; with `--thorough` all."""

    def taken(things: Sequence[Any], most: int = 3) -> list[Any]:
        if request.config.getoption("--thorough") or len(things) <= most:
            return list(things)
        places = random.Random(request.node.nodeid).sample(range(len(things)), most)
        return [things[place] for place in sorted(places)]

    return taken


@pytest.fixture(scope="module", autouse=True)
def _old_objects_are_left_alone() -> Iterator[None]:
    """What earlier modules have imported is not walked again by each recording."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
