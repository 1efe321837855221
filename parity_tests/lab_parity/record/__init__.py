"""Recording: `with record(path): train()`, for any PyTorch program."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab_parity.record.capture_file import refuse_existing
from lab_parity.record.operations import Operations, operations_path
from lab_parity.record.recorder import Recorder
from lab_parity.record.sites import UpdateSite
from lab_parity.record.transplant import Transplant
from lab_parity.trace import End, Scope

__all__ = ["Recorder", "Transplant", "UpdateSite", "record"]


@contextmanager
def record(
    path: str | os.PathLike[str],
    sites: Sequence[UpdateSite] = (),
    *,
    capture: Collection[int] = (),
    states: Collection[int] = (),
    scope: Scope | None = None,
    operations: int | None = None,
    transplant: Transplant | None = None,
) -> Iterator[None]:
    """Record what is trained inside into a trace at `path`; `sites` name home-grown optimizers' update methods.

    `capture` are steps (from 0) of which full tensors are written beside the trace, `states` those of which parameters,
    buffers, optimizer state and generators after the step are; see record/capture_file.py.
    `scope` says how much is recorded, by default every step as digests. `operations` is a step of which every
    operation is written, too; see record/operations.py. `transplant` gives the program another run's state after each
    step; see record/transplant.py.

    Never changes a number, draws from a generator or keeps a graph alive. An exception passes through, and the
    trace says so. Raises FileExistsError at once when `path` exists.
    """
    path = Path(path)
    refuse_existing(path)
    drill = None if operations is None else Operations(operations, operations_path(path, operations))
    recorder = Recorder(
        path,
        sites,
        capture=capture,
        states=states,
        scope=scope,
        transplant=transplant,
        after_step=None if drill is None else drill.ended,
    )
    recorder.start()
    if drill is not None:
        drill.start()
    end = End("finished")
    try:
        yield
    except KeyboardInterrupt:
        end = End("signal", "KeyboardInterrupt")
        raise
    except BaseException as error:
        end = End("exception", f"{type(error).__name__}: {error}")
        raise
    finally:
        if drill is not None:
            drill.stop()
        recorder.stop(end)
