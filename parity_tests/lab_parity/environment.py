"""What a run's bits can depend on besides the program: versions, device, threads, deterministic settings."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import metadata

import torch

__all__ = ["RECORDED", "RECORDED_VARIABLE", "describe_environment"]

RECORDED = "recorded"
"""The fact that says how `lab-migrate record` was called: JSON, see activate.py."""

RECORDED_VARIABLE = "LAB_PARITY_RECORDED"
_PACKAGES = ("torch", "lightning", "pytorch-lightning", "numpy", "lab-migrate")
_VARIABLES = ("PYTHONHASHSEED", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "WORLD_SIZE", "RANK")


def describe_environment() -> dict[str, str]:
    """Name -> value, all strings, of everything that is worth comparing between two runs."""
    facts = {f"version.{name}": _version(name) for name in _PACKAGES}
    facts |= {f"variable.{name}": os.environ.get(name, "unset") for name in _VARIABLES}
    cuda = torch.cuda.is_available()
    facts |= {
        "version.python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "version.cuda": str(torch.version.cuda) if cuda else "none",
        "threads": str(torch.get_num_threads()),
        "deterministic_algorithms": str(torch.are_deterministic_algorithms_enabled()),
        "cudnn.benchmark": str(torch.backends.cudnn.benchmark),
        "cudnn.deterministic": str(torch.backends.cudnn.deterministic),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "command": shlex.join(getattr(sys, "orig_argv", sys.argv)),
        "folder": os.getcwd(),
    }
    if RECORDED_VARIABLE in os.environ:
        facts[RECORDED] = os.environ[RECORDED_VARIABLE]
    return facts


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
