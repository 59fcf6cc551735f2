"""The same function on many tasks in several processes: results in the order of the tasks, memory flat, Ctrl-C at once.

Processes are spawned, so they inherit no threads; each runs PyTorch on one thread, so that their number changes no result.
"""

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from threading import Thread
from typing import TypeVar, cast

import torch

from faceguard.errors import FaceguardError

Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_ON_WINDOWS = 61  # processes that it can wait for; Python refuses more
AHEAD = 4  # tasks waiting for each process: enough to keep it busy, few enough to keep memory flat


def cores() -> int:
    """How many cores this process may use, which a queue or a container may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function: Callable[[Task], Result], tasks: Iterable[Task], *, workers: int) -> Iterator[Result]:
    """``function(task)`` for every task, in their order, in ``workers`` processes; in this one when there is one worker.

    Whoever stops iterating, or presses Ctrl-C, ends the processes at once, in the middle of their tasks. Raises
    FaceguardError when a process was killed from outside, as by a system that is out of memory; when this one is, the others
    end as well.
    """
    if workers == 1:
        with one_thread():
            yield from map(function, tasks)
        return
    if sys.platform == "win32":
        workers = min(workers, MOST_ON_WINDOWS)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(function,))
    before = set(multiprocessing.active_children())
    finished = False
    try:
        yield from _bounded(pool, iter(tasks), AHEAD * workers)
        finished = True
    except BrokenProcessPool as error:
        raise FaceguardError(
            "A process ended unexpectedly, perhaps because memory ran out; give the command again with fewer --workers or"
            " --jobs, and with --resume if it has that."
        ) from error
    finally:
        if not finished:
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _bounded(pool: ProcessPoolExecutor, tasks: Iterator[Task], ahead: int) -> Iterator[Result]:
    waiting: deque[Future[object]] = deque(pool.submit(_run, task) for task in islice(tasks, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(_run, task) for task in islice(tasks, 1))
        yield cast(Result, result)


_function: Callable[..., object] | None = None  # of this process: sent once, not with every task


def _start(function: Callable[..., object]) -> None:
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one decides
    torch.set_num_threads(1)
    _function = function
    Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """Otherwise a parent that was killed would leave its processes at work, with a gigabyte each."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(task: object) -> object:
    if _function is None:
        raise RuntimeError("the process was not started by in_order")
    return _function(task)


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, as in every process of `in_order`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
