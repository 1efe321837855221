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
    parser.addoption("--thorough", action="store_true", help="resume from every checkpoint, not from three of them")


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
