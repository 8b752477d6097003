"""Switches of the whole process, which no single call may turn for itself: how exact fp32 is, and torch's threads.

Whoever owns the process (a training, a benchmark, a server) holds them while it works. A call that needs them holds
them too: the first holder sets them, the last one puts them back, so that no thread turns them under another.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
PutBack = Callable[[], None]

_lock = threading.Lock()
_held: dict[Hashable, tuple[int, PutBack]] = {}  # what is held -> by how many, and how it is put back


@contextlib.contextmanager
def held(what: Hashable, take: Callable[[], PutBack]) -> Iterator[None]:
    """Hold `what` for the block: `take` is called for its first holder, what that returned after its last one."""
    with _lock:
        holders, put_back = _held[what] if what in _held else (0, take())
        _held[what] = (holders + 1, put_back)
    try:
        yield
    finally:
        with _lock:
            holders, put_back = _held.pop(what)
            if holders > 1:
                _held[what] = (holders - 1, put_back)
            else:
                put_back()


def exact_fp32() -> contextlib.AbstractContextManager[None]:
    """While it is held, fp32 means fp32 in this process: no TF32 and no bf16 inside a product or a convolution."""
    return held("fp32", _take_fp32)


@contextlib.contextmanager
def owned(threads: int) -> Iterator[None]:
    """What the owner of a process holds while it computes: `threads` torch threads, and `exact_fp32`."""
    with held(("threads", threads), lambda: _take_threads(threads)), exact_fp32():
        yield


def _take_fp32() -> PutBack:
    import torch

    backends: Any = torch.backends  # torch gives its switches no types
    # torch has two sets of names for this, and reading the old ones is an error where only the new ones were used
    operations = (
        backends.cuda.matmul,
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.mkldnn.matmul,
        backends.mkldnn.conv,
        backends.mkldnn.rnn,
    )
    before = [operation.fp32_precision for operation in operations]
    matmul, tf32 = _readable(torch.get_float32_matmul_precision), _readable(lambda: backends.cudnn.allow_tf32)
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = False
    for operation in operations:
        operation.fp32_precision = "ieee"

    def put_back() -> None:
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        if tf32 is not None:
            backends.cudnn.allow_tf32 = tf32
        for operation, precision in zip(operations, before, strict=True):
            operation.fp32_precision = precision

    return put_back


def _readable(get: Callable[[], T]) -> T | None:
    try:
        return get()
    except RuntimeError:
        return None


def _take_threads(count: int) -> PutBack:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    return lambda: torch.set_num_threads(before)
