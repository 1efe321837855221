"""Names of Lightning 1.x that Lightning 2 has nowhere

    from pytorch_lightning.plugins import DDPPlugin    # LM506: strategies.DDPStrategy

The import follows to its new place (LM501), and would fail there when the program starts, or only where the name is
used. The Lightning that is installed here is asked; a module of it that wants a package which is not is left unsaid.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import libcst as cst

from lab_migrate.convert.lightning1 import PACKAGE, concerns, moved
from lab_migrate.convert.rule import Proposal, Source
from lab_migrate.convert.rules.lm504_lightning1_gone import CALLS
from lab_migrate.findings import Finding, Status

CODE = "LM506"
LEVELS = {"L1", "L2"}
#: What became of the names that programs have most often.
SUCCESSORS = {
    "DDPPlugin": "lightning.pytorch.strategies.DDPStrategy, given as strategy=",
    "DDPSpawnPlugin": "strategy='ddp_spawn'",
    "DDP2Plugin": "strategy='ddp'",
    "DataParallelPlugin": "strategy='ddp'",
    "DeepSpeedPlugin": "lightning.pytorch.strategies.DeepSpeedStrategy, given as strategy=",
    "DDPShardedPlugin": "lightning.pytorch.strategies.FSDPStrategy, given as strategy=",
    "NativeMixedPrecisionPlugin": "lightning.pytorch.plugins.MixedPrecisionPlugin",
    "ApexMixedPrecisionPlugin": "precision='16-mixed'; apex is gone",
    "GPUStatsMonitor": "lightning.pytorch.callbacks.DeviceStatsMonitor",
    "XLAStatsMonitor": "lightning.pytorch.callbacks.DeviceStatsMonitor",
    "ProgressBarBase": "lightning.pytorch.callbacks.ProgressBar",
    "LightningLoggerBase": "lightning.pytorch.loggers.logger.Logger",
    "LoggerCollection": "a list of loggers",
    "TestTubeLogger": "lightning.pytorch.loggers.TensorBoardLogger",
    "EvalResult": "self.log",
    "TrainResult": "self.log",
}


def propose(source: Source) -> Proposal:
    """Say where each of them is used, at its first line."""
    if not concerns(source):
        return Proposal()
    found: dict[str, Finding] = {}
    for node, name in _names(source):
        module, last = moved(name), name.rpartition(".")[2]
        if module is None or name in found or last in CALLS or _exists(module):
            continue
        step = f"write {SUCCESSORS[last]}" if last in SUCCESSORS else "look it up in Lightning's guide for upgrades"
        found[name] = source.finding(node, CODE, Status.MANUAL, f"Lightning 2 has no {module}", step)
    return Proposal(findings=tuple(found.values()))


def _names(source: Source) -> Iterator[tuple[cst.CSTNode, str]]:
    """What a file names of Lightning 1.x in full: imported from a module, or as an attribute, the longest alone."""
    for line in source.every(cst.ImportFrom):
        module = cst.helpers.get_full_name_for_node(line.module) if line.module and not line.relative else None
        if module and module.split(".")[0] == PACKAGE and not isinstance(line.names, cst.ImportStar):
            for alias in line.names:
                yield alias, f"{module}.{alias.name.value}"
    inner = {id(node.value) for node in source.every(cst.Attribute)}
    for node in source.every(cst.Attribute):
        name = source.qualified(node) if id(node) not in inner else ""
        if name.startswith(f"{PACKAGE}."):
            yield node, name


def _exists(name: str) -> bool:
    """Whether Lightning 2 has a name, as far as the modules on its way can be imported."""
    parts = name.split(".")
    for end in range(len(parts), 1, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                return True  # it wants a package that is not here
            continue
        except Exception:
            return True  # an installation that cannot be imported says nothing of its names
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False
