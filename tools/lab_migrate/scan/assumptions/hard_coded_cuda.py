"""A CUDA device is written into the code

It fails where there is none, and pins what Lightning's accelerator should choose. A device that is asked for
(`"cuda" if torch.cuda.is_available() else "cpu"`) is no such place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lab_migrate.scan.inventory import Evidence
from lab_migrate.scan.syntax import SourceFile

FAITHFUL = "stays: runs where there is such a device"
IDIOMATIC = "becomes the module's device, chosen by the Trainer's accelerator"
_ASKS = ("is_available", "use_cuda", "cuda", "no_cuda", "gpu", "device_count", "use_gpu", "with_cuda")


def find(file: SourceFile) -> Iterator[Evidence]:
    """`.cuda()`, `torch.device("cuda…")`, `.to("cuda…")`, `torch.cuda.set_device`, unless a condition asks first."""
    for call in file.calls("cuda", "set_device"):
        if isinstance(call.func, ast.Attribute) and not _asked(file, call):
            yield file.evidence(call)
    for node in file.every(ast.Constant):
        assert isinstance(node, ast.Constant)
        if isinstance(node.value, str) and (node.value == "cuda" or node.value.startswith("cuda:")):
            above = file.parent(node)
            if isinstance(above, ast.JoinedStr):
                above = file.parent(above)
            in_call = isinstance(above, ast.keyword) and above.arg == "device"
            if isinstance(above, ast.Call):
                in_call = file.name(above.func).rpartition(".")[2] in ("device", "to")
            if in_call and not _asked(file, node):
                yield file.evidence(node)


def _asked(file: SourceFile, node: ast.AST) -> bool:
    tests = [above.test for above in file.parents(node) if isinstance(above, ast.If | ast.IfExp)]
    return any(
        (isinstance(part, ast.Attribute) and part.attr in _ASKS) or (isinstance(part, ast.Name) and part.id in _ASKS)
        for test in tests
        for part in ast.walk(test)
    )
