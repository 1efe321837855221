"""Says where code that a resumed training runs once more reads a tensor that has not its value of then."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, _pop_mode, _push_mode

from lab_adapters.outlined.kinds import leaves_of

__all__ = ["Stale", "Watched", "tensors_in"]

#: Getters and methods that read no number. Where a call returns the tensor itself, none is read either.
_NAMES = """
    grad requires_grad is_leaf shape dtype device layout ndim grad_fn is_cuda is_cpu is_meta is_sparse is_nested
    is_quantized _backward_hooks _post_accumulate_grad_hooks _version names output_nr retains_grad itemsize nbytes
    is_mps is_xla
    size dim ndimension numel nelement element_size stride storage_offset data_ptr is_floating_point is_complex
    is_contiguous register_hook register_post_accumulate_grad_hook retain_grad is_pinned get_device __len__ __hash__
    _has_compatible_shallow_copy_type __set__ is_inference is_same_size is_tensor
"""
_HARMLESS = frozenset(_NAMES.split())


#: Tensors and their names by identity; a tensor that is gone must not lend its identity to another.
Watched = Mapping[int, tuple[torch.Tensor, str]]


class Stale(TorchFunctionMode):
    """While it watches, the first read of one of `tensors` is a warning; then it watches no more.

    It may be left while other modes of the program's, entered later, stay.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tensors: Watched = {}
        self._where = ""
        self._watches = False

    def watch(self, tensors: Watched, where: str) -> None:
        """From now on."""
        self._tensors, self._where = tensors, where
        if not self._watches and tensors:
            self._watches = True
            _push_mode(self)  # type: ignore[no-untyped-call]

    def rest(self) -> None:
        """No more, for now."""
        if not self._watches:
            return
        self._watches = False
        above = []
        while (mode := _pop_mode()) is not self:  # type: ignore[no-untyped-call]
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """While what runs reads for itself, and not for the program."""
        watched = self._watches
        self.rest()
        try:
            yield
        finally:
            if watched:
                self.watch(self._tensors, self._where)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The function's own result."""
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name == "__get__":
            name = getattr(func.__self__, "__name__", "")
        if self._watches and name not in _HARMLESS:
            for tensor in tensors_in((args, kwargs)):
                if id(tensor) in self._tensors and result is not tensor:
                    self._say(self._tensors[id(tensor)][1])
                    break
        return result

    def _say(self, name: str) -> None:
        self._tensors = {}
        warnings.warn(
            f"resume: {self._where} reads {name}, which has not the value that it had there when the checkpoint was "
            "written: what this code computes of it is different, and with it the resumed training; mark the body of "
            "the loop around with @outlined.reads_models (convert does where it sees such code), and resume from a "
            "checkpoint written since",
            stacklevel=4,
        )


def tensors_in(value: Any) -> list[torch.Tensor]:
    """Those that a value is, or that its containers hold."""
    return [leaf for leaf in leaves_of(value) if isinstance(leaf, torch.Tensor)]
