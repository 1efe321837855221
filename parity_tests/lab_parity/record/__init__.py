"""Recording: `with record(path): train()`, for any PyTorch program."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab_parity.record.recorder import Recorder
from lab_parity.record.sites import UpdateSite
from lab_parity.trace import End

__all__ = ["Recorder", "UpdateSite", "record"]


@contextmanager
def record(path: str | os.PathLike[str], sites: Sequence[UpdateSite] = ()) -> Iterator[None]:
    """Record what is trained inside into a trace at `path`; `sites` name home-grown optimizers' update methods.

    Never changes a number, draws from a generator or keeps a graph alive. An exception passes through, and the
    trace says so. Raises FileExistsError at once when `path` exists.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists; a recording never overwrites another. Remove it or choose another path.")
    recorder = Recorder(path, sites)
    recorder.start()
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
        recorder.stop(end)
