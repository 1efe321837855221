"""What a schedule is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: From a count, as a rule of the updates done, to hyperparameters, e.g. `{"lr": 1e-3}`.
Schedule = Callable[[int], dict[str, Any]]
