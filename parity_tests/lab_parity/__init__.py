"""Record a PyTorch training as a trace of fingerprints, and compare two traces bit by bit."""

from __future__ import annotations

from lab_parity.activate import recording_environment
from lab_parity.compare import compare
from lab_parity.diagnose import Cause, cause_names, diagnose
from lab_parity.errors import ParityError, SiteError, TraceError
from lab_parity.record import UpdateSite, record
from lab_parity.record.marks import Update, updates
from lab_parity.testing import assert_same_bits, assert_same_training
from lab_parity.trace import Scope, Trace, read
from lab_parity.verdict import Coverage, Divergence, Verdict

__all__ = [
    "Cause", "Coverage", "Divergence", "ParityError", "Scope", "SiteError", "Trace", "TraceError", "Update",
    "UpdateSite", "Verdict", "assert_same_bits", "assert_same_training", "cause_names", "compare", "diagnose", "read",
    "record", "recording_environment", "updates",
]  # fmt: skip
