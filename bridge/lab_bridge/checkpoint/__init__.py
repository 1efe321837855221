"""Checkpoints: read without unpickling code, translated between formats both ways, compared bit by bit."""

from lab_bridge.checkpoint.contents import Contents
from lab_bridge.checkpoint.convert import Conversion, convert
from lab_bridge.checkpoint.errors import CheckpointError, UntrustedError
from lab_bridge.checkpoint.opened import Opened, Reading, open_checkpoint
from lab_bridge.checkpoint.verify import Verification, verify

__all__ = [
    "CheckpointError",
    "Contents",
    "Conversion",
    "Opened",
    "Reading",
    "UntrustedError",
    "Verification",
    "convert",
    "open_checkpoint",
    "verify",
]
