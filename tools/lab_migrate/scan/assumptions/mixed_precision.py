"""The code runs its own mixed precision

Autocast, a loss scaler, apex or half-precision parameters. Lightning's plugin caches differently and unscales at
another place; its fp16 on a CPU silently becomes bf16.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.kinds import is_model, receiver
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays in the step; the scaler is saved with Lightning's checkpoints"
IDIOMATIC = "a precision plugin with the code's own scaler"
_HOMES = ("torch.cuda.amp.", "torch.amp.", "torch.autocast", "torch.cpu.amp.", "apex.", "timm.utils.NativeScaler")


def find(file: SourceFile) -> Iterator[Evidence]:
    """Autocast and scalers that are made, apex, models cast to half precision."""
    for call in file.calls("GradScaler", "autocast", "initialize", "scale_loss", "NativeScaler", "custom_fwd"):
        if file.name(call.func).startswith(_HOMES):
            yield file.evidence(call)
    for call in file.calls("half", "bfloat16"):
        if not call.args and is_model(file, receiver(call)):
            yield file.evidence(call, "parameters in half precision")
