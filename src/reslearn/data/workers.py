"""Tasks done by worker processes or threads in order, or here: what reads pictures in training, checking and scoring.

Workers start by fork or spawn, live as long as their owner, and work ahead. A worker's error comes back as a value, so
that the main process raises one plain line instead of a remote traceback.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import cv2
from torch.multiprocessing.reductions import shared_cache
from torch.utils.data import DataLoader, Dataset, Sampler

from ..spec.errors import BadPicture, Fault, UserError
from ..spec.rule import MOST
from .dataset import Indices, Progress

T = TypeVar("T")
R = TypeVar("R")
WORKER_DIED = (
    "a process that reads pictures has died or was killed, perhaps for want of memory; what is done is kept: "
    "run the command again, or resume, with fewer of them (--workers, --set settings.workers=N)"
)


class Workers:
    """`function` applied to tasks in order by persistent worker processes, or here when `workers` is 0."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        workers: int,
        *,
        pin: bool = False,
        start_method: Literal["fork", "spawn", "forkserver"] | None = None,
    ) -> None:
        self._function = function
        self._tasks = _Tasks()
        self._loader: DataLoader[Any] | None = None
        if workers > MOST:
            raise UserError(f"{workers:,} worker processes; at most {MOST:,} are begun, and a few do as well")
        if workers > 0:
            self._loader = DataLoader(
                _Caught(function),
                batch_size=None,
                sampler=self._tasks,
                num_workers=workers,
                persistent_workers=True,
                prefetch_factor=2,
                pin_memory=pin,
                collate_fn=_as_it_is,
                worker_init_fn=_start_worker,
                multiprocessing_context=start_method,
            )

    def map(self, tasks: Sequence[Any]) -> Iterator[Any]:
        """Results in the order of `tasks`; a `UserError` of a worker is raised here."""
        if self._loader is None:
            yield from map(self._function, tasks)
            return
        self._tasks.items = tasks
        for result in self._results():
            if isinstance(result, _Failure):
                self.close()
                raise result.error
            yield result

    def _results(self) -> Iterator[Any]:
        """What the workers return. Raises `Fault` where one of them has died."""
        try:
            for result in self._loader or ():
                yield result
                _forget()
        except RuntimeError as error:  # torch says it so, wherever the main process happens to be
            if not str(error).startswith("DataLoader worker"):
                raise
            self.close()
            raise Fault(WORKER_DIED) from error
        except BaseException as error:
            if not isinstance(error, (Exception, GeneratorExit)):  # a signal, of which workers hear nothing
                for worker in getattr(getattr(self._loader, "_iterator", None), "_workers", ()):
                    worker.terminate()  # it may wait for a network
            raise

    def close(self) -> None:
        """End the workers now, rather than when the loader happens to be collected; `map` starts new ones."""
        if self._loader is not None:
            self._loader._iterator = None


def _as_it_is(result: Any) -> Any:
    return result


def _forget() -> None:
    """Let torch forget the tensors that workers have sent and that are gone, as it does by itself after 128 of them.

    What it remembers of each is a few bytes, but they lie in the memory that a batch has left: the next batch does not
    fit in there any more and takes new memory, 128 times.
    """
    with shared_cache.lock:
        shared_cache.free_dead_references()  # type: ignore[no-untyped-call]


class _Failure:
    def __init__(self, error: UserError) -> None:
        kind = BadPicture if isinstance(error, BadPicture) else UserError
        self.error = kind(str(error))  # what it came from can perhaps not be told to another process


class _Caught(Dataset[Any]):
    """The function as a map-style data set for torch's loader; a task is its own key."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __getitem__(self, task: Any) -> Any:
        try:
            return self._function(task)
        except UserError as error:
            return _Failure(error)


class _Tasks(Sampler[Any]):
    """Whatever tasks were set last; torch's loader asks for them anew at each iteration."""

    def __init__(self) -> None:
        self.items: Sequence[Any] = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def _start_worker(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    gc.freeze()  # a collection would write to everything that is shared with the main process, and so copy it
    cv2.setNumThreads(0)  # one worker, one core; and OpenCV's pool does not survive a fork


def parallel_map(function: Callable[[Any], Any], tasks: Sequence[Any], workers: int) -> Iterator[Any]:
    """`Workers.map` for one pass."""
    yield from Workers(function, min(workers, len(tasks))).map(tasks)


def map_chunks(
    function: Callable[[Indices], Any],
    indices: Indices,
    workers: int,
    *,
    size: int = 64,
    progress: Progress | None = None,
) -> Iterator[Any]:
    """`function` of `indices`, `size` of them at a time, in order; `progress` is told of each once it was taken.

    `function` goes to worker processes, so it must be picklable: one of a module, or a `partial` of it.
    """
    done = 0
    chunks = [indices[i : i + size] for i in range(0, len(indices), size)]
    for chunk, result in zip(chunks, parallel_map(function, chunks, workers), strict=True):
        yield result
        done += len(chunk)
        if progress is not None:
            progress(done, len(indices))


def in_threads(function: Callable[[T], R], tasks: Iterable[T], threads: int | None) -> Generator[R]:
    """Results in the order of `tasks`, by threads that run a little ahead of their taker (None: one a core, 0: here).

    The first error is raised here; tasks that have not begun then never do, and so it is where the iterator is closed.
    Those that have are waited for, but not at a signal: they may wait for a network.
    """
    if threads == 0:
        yield from map(function, tasks)
        return
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) > 4 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException as error:
        pool.shutdown(wait=isinstance(error, (Exception, GeneratorExit)), cancel_futures=True)
        raise
    pool.shutdown()
