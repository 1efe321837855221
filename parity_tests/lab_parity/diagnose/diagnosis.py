"""Every cause is asked; the one that explains most with least is the answer, and no answer is an answer."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import attrs

from lab_parity.compare import compare
from lab_parity.device_digest import device_digest
from lab_parity.diagnose import causes
from lab_parity.diagnose.cause import Cause
from lab_parity.diagnose.scene import Run, Scene, read_runs
from lab_parity.digest import digest_tensor
from lab_parity.errors import ParityError
from lab_parity.ranks import rank_path, ranks_beside
from lab_parity.record.capture_file import CapturedStep, Key5
from lab_parity.trace import Key, Step, Trace, read
from lab_parity.verdict import Divergence, Verdict

__all__ = ["cause_names", "diagnose"]

_OTHERS = 3
_MOMENTS = {"batch": "before", "loss": "after", "param": "after", "buffer": "after"}


def cause_names() -> list[str]:
    """The causes that are tried."""
    return sorted(module.name for module in pkgutil.iter_modules(causes.__path__))


def diagnose(
    a: Trace | str | os.PathLike[str],
    b: Trace | str | os.PathLike[str],
    captures: tuple[Trace | str | os.PathLike[str], Trace | str | os.PathLike[str]] | None = None,
    verdict: Verdict | None = None,
    *,
    transplanted: bool = False,
) -> Cause | None:
    """Why two runs part; None where they do not. `a` is the legacy side, `b` the migrated one.

    The tensors of the first differing step (and the one before) are looked for beside the traces in `captures`, which
    are those of reruns, or else beside `a` and `b` themselves. `verdict` saves comparing again. `transplanted`: `b` was
    given the state of `a` after each step.

    Raises TraceError for a damaged file, ParityError where a captured step is not of the run that was compared.
    """
    a, b = (side if isinstance(side, Trace) else read(side) for side in (a, b))
    verdict = verdict or compare(a, b)
    first = verdict.first
    if first is None:
        return None
    shares = _shares(a, first) if first.rank is not None and first.phase == "batch" else {}
    if first.rank:
        a, b = (read(rank_path(side.path, first.rank)) for side in (a, b))
    runs = read_runs(a, b, first.step)
    if captures is not None:
        paths = [side.path if isinstance(side, Trace) else Path(side) for side in captures]
        again = [read(rank_path(path, first.rank or 0)) for path in paths]
        reruns = read_runs(again[0], again[1], first.step)
        runs = _joined(runs[0], reruns[0]), _joined(runs[1], reruns[1])
    for trace, run in zip((a, b), runs, strict=True):
        _require_same_run(trace, run)
    if transplanted:
        runs = runs[0], attrs.evolve(runs[1], before=runs[0].before, own=runs[0].own)
    return _answer(Scene(verdict, first, *runs, shares))


def _shares(rank_0: Trace, first: Divergence) -> dict[int, list[bytes]]:
    """Of each rank, the fingerprints of the batch in the micro-step where one rank's differs."""
    found = {}
    for rank, path in ranks_beside(rank_0.path).items():
        step = next((item for item in read(path).steps() if isinstance(item, Step) and item.step == first.step), None)
        if step is not None:
            found[rank] = [
                digest.tobytes()
                for key, digest in zip(step.keys, step.digests, strict=True)
                if (key.phase, key.micro) == ("batch", first.micro_step)
            ]
    return found


def _answer(scene: Scene) -> Cause:
    found: list[Cause] = [cause for module in _modules() if _concerns(module, scene) for cause in module.find(scene)]
    good = sorted((cause for cause in found if cause.holds), key=_rank)
    if good:
        best = good[0]
        return attrs.evolve(best, others=tuple(_different(good[1:], best)[:_OTHERS]))
    tried = sorted((cause for cause in found if cause.fit is not None), key=lambda c: c.fit.share if c.fit else 1.0)
    return _unknown(scene, tried)


def _rank(cause: Cause) -> tuple[int, int, float]:
    """Read or exact before close; then fewer free numbers; then less left."""
    left = cause.fit.share if cause.fit is not None else 0.0
    return (cause.confidence == "close", cause.freedom, left)


def _different(causes_: Iterable[Cause], best: Cause) -> list[Cause]:
    seen = {best.sentence: best}
    return [cause for cause in causes_ if seen.setdefault(cause.sentence, cause) is cause]


def _unknown(scene: Scene, tried: list[Cause]) -> Cause:
    where = f"step {scene.first.step}, phase {scene.first.phase}"
    if not scene.captured:
        sentence = f"No cause found at {where}: its tensors were not captured."
        step = scene.first.step
        advice = f"diagnose --rerun, or record both sides with --capture step={max(step - 1, 0)}-{step}"
        return Cause("unknown", sentence, advice)
    said = tuple(f"tried {cause.name}: {cause.fit.sentence()}" for cause in tried[:_OTHERS] if cause.fit is not None)
    sentence = f"No cause found at {where}: none of the {len(cause_names())} known ones explains the difference."
    return Cause("unknown", sentence, "", evidence=said, others=tuple(tried[:_OTHERS]))


def _modules() -> list[ModuleType]:
    return [importlib.import_module(f"{causes.__name__}.{name}") for name in cause_names()]


def _concerns(module: ModuleType, scene: Scene) -> bool:
    return scene.first.phase in module.PHASES


def _joined(run: Run, rerun: Run) -> Run:
    return attrs.evolve(run, now=rerun.now or run.now, before=rerun.before or run.before, own=rerun.own or run.own)


def _require_same_run(trace: Trace, run: Run) -> None:
    """Captured tensors must have the fingerprints that the trace has: a rerun may have gone another way."""
    if run.now is None:
        return
    wrong = [key for key, (digest, _) in run.history.keys.items() if not _agrees(run.now, key, digest)]
    if wrong:
        key = wrong[0]
        raise ParityError(
            f"{trace.path}: the captured step {run.now.step} is not of this run ({len(wrong)} tensors differ, first "
            f"{key.phase} {key.name}): expected a rerun that repeats it bit by bit; seed it, or record with --capture"
        )


def _agrees(captured: CapturedStep, key: Key, digest: bytes) -> bool:
    """True also where the two cannot be compared: a number that was kept as a tensor, a sparse one as a dense one."""
    if key.phase not in _MOMENTS:
        return True
    tensor = captured.tensors.get(Key5(*key, _MOMENTS[key.phase]))
    return tensor is None or digest in (digest_tensor(tensor), device_digest(tensor))
