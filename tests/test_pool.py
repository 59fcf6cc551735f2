"""Work in several processes: results in order, bounded ahead of the reader, and errors that arrive."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import faceguard.pool
from faceguard.errors import FaceguardError
from faceguard.pool import AHEAD, cores, in_order


def slow_for_small(number):
    time.sleep(0.02 * (number % 3 == 0))
    return number, torch.get_num_threads()


def end_the_process(_):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number):
    raise ValueError(f"{number} is refused")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks_and_from_one_thread_each(workers):
    before = torch.get_num_threads()
    assert list(in_order(slow_for_small, range(20), workers=workers)) == [(number, 1) for number in range(20)]
    assert torch.get_num_threads() == before


def test_tasks_are_taken_only_a_few_ahead_of_the_results():
    taken = []

    def tasks():
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_order(slow_for_small, tasks(), workers=2)
    next(results)
    assert len(taken) <= 2 * AHEAD + 1
    results.close()


def test_a_process_that_is_killed_is_a_sentence():
    with pytest.raises(FaceguardError, match="fewer --workers or --jobs, and with --resume if it has that"):
        list(in_order(end_the_process, range(3), workers=2))


def write_own_number(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(60)


def work_for_long(folder):
    list(in_order(write_own_number, [folder] * 4, workers=2))


def alive(process):
    """Whether a process with this number runs; one that has ended and waits to be asked does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks Linux which processes run")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_one_that_started_them_however_it_ends(tmp_path, how):
    first = multiprocessing.get_context("spawn").Process(target=work_for_long, args=(tmp_path,))
    first.start()
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    started = [int(path.name) for path in tmp_path.iterdir()]
    assert all(map(alive, started))
    os.kill(first.pid, how)
    wait_until(lambda: not any(map(alive, started)))


def wait_until(true):
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize(("platform", "most"), [("win32", 61), ("linux", 100)])
def test_windows_gets_no_more_processes_than_it_can_wait_for(monkeypatch, platform, most):
    asked = []

    def pool(workers, **_):
        asked.append(workers)
        raise InterruptedError

    monkeypatch.setattr(faceguard.pool, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(faceguard.pool, "sys", SimpleNamespace(platform=platform))
    with pytest.raises(InterruptedError):
        list(in_order(slow_for_small, range(3), workers=100))
    assert asked == [most]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bug_arrives_as_itself(workers):
    with pytest.raises(ValueError, match="0 is refused"):
        list(in_order(refuse, range(3), workers=workers))


def test_the_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 8}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == (os.cpu_count() or 1)
