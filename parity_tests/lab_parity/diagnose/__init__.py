"""Why two trainings part: causes, tried one by one on the captured tensors of the first step that differs.

One cause per file in causes/; each is found there by standing there, and offers

    PHASES             the phases of a first difference for which it is tried
    find(scene)        the causes that it proposes, each with its measured fit (see cause.py)
"""

from __future__ import annotations

from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.diagnosis import cause_names, diagnose
from lab_parity.diagnose.fit import Fit

__all__ = ["Cause", "Fit", "cause_names", "diagnose"]
