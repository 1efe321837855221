"""What all tests have in common."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says how loaded the machine is; timings are measured in benchmarks/.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
