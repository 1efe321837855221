"""Global switches of torch are set

Determinism, cudnn's search, default types, thread counts: they change bits, and the Trainer has arguments for some.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays; the Trainer leaves the switches alone"
IDIOMATIC = "arguments of the Trainer: deterministic, benchmark, detect_anomaly"
_CALLS = (
    "use_deterministic_algorithms", "set_detect_anomaly", "set_float32_matmul_precision", "set_default_dtype",
    "set_default_tensor_type", "set_num_threads", "set_default_device", "enable_flash_sdp",
)  # fmt: skip


def find(file: SourceFile) -> Iterator[Evidence]:
    """torch's setters, and assignments below `torch.backends`."""
    for call in file.calls(*_CALLS):
        if file.name(call.func).startswith("torch."):
            yield file.evidence(call)
    for node in file.every(ast.Assign):
        assert isinstance(node, ast.Assign)
        for target in node.targets:
            if isinstance(target, ast.Attribute) and file.name(target).startswith(("torch.backends.", "cudnn.")):
                yield file.evidence(node)
