"""A legacy program's error shows the legacy program's frames, not the forty of Lightning's that it passed through."""

from __future__ import annotations

from types import TracebackType

__all__ = ["hide_ours"]

_PACKAGES = ("lightning", "lab_adapters")


def hide_ours(error: BaseException) -> None:
    """Take the frames of Lightning and of this package out of an error's traceback.

    Untouched where the innermost frame is one of theirs: then the error is theirs, and all of them matter.
    """
    frames: list[TracebackType] = []
    at = error.__traceback__
    while at is not None:
        frames.append(at)
        at = at.tb_next
    if not frames or _is_ours(frames[-1]):
        return
    shown: TracebackType | None = None
    for frame in reversed(frames):
        if not _is_ours(frame):
            shown = TracebackType(shown, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    error.__traceback__ = shown


def _is_ours(frame: TracebackType) -> bool:
    return str(frame.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in _PACKAGES
