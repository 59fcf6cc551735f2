"""Cells side by side: in two processes, by two commands at once, on a queue, and after a kill."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout
from studies import SMALL, arrays_equal, data, study, trainings  # noqa: F401

import eval.contenders
from eval.cells import CellMissingError, cell_hash, run_cell
from eval.engine import compute, jobs_of
from eval.jobs import run_jobs
from eval.plan import Plan
from faceguard.countermeasure import Countermeasure
from faceguard.device import make_fabric
from faceguard.errors import FaceguardError, NoiseDidNotConverge, RunError

ROOT = Path(__file__).parents[1]
RECIPE = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import eval.contenders
from eval.banks import BankRecipe
from eval.experiment import Condition, Contender, FaceStudy
from commands import quick_noise
from studies import SMALL
eval.contenders.SMALL = {{"small": Contender(adversary=SMALL, seeds=(0,))}}
eval.contenders.contenders.cache_clear()
experiment = FaceStudy(
    claim="", faces="people", noises={{"own": BankRecipe(faces="people", settings=quick_noise())}},
    conditions=(Condition(adversary="small", noise="own", protected=2),), expectations=(),
)
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe that brings its own adversary into whatever process runs it; afterwards this one has the usual ones again."""
    path = tmp_path / "tiny.py"
    path.write_text(RECIPE.format(root=str(ROOT), tests=str(ROOT / "tests")))
    monkeypatch.setattr(eval.contenders, "SMALL", eval.contenders.SMALL)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    eval.contenders.contenders.cache_clear()


def command(recipe, data, out, *words):
    line = ("-m", "eval", recipe, "--folder", data, "--out", out, "--precision", "fp32", *words)
    return [sys.executable, *map(str, line)]


def cells(out):
    found = {path.name: dict(np.load(path)) for path in (out / "cells").glob("*.npz")}
    return {name: {key: array for key, array in cell.items() if key != "seconds"} for name, cell in found.items()}


def test_two_commands_at_once_share_the_work_and_find_what_one_would(recipe, data, tmp_path):
    both = [subprocess.Popen(command(recipe, data, tmp_path / "two", "--jobs", jobs), cwd=ROOT) for jobs in (1, 1)]
    assert [one.wait(timeout=300) for one in both] == [0, 0]
    subprocess.run(command(recipe, data, tmp_path / "one"), cwd=ROOT, check=True)
    alone, together = cells(tmp_path / "one"), cells(tmp_path / "two")
    assert alone.keys() == together.keys()
    assert all(arrays_equal(alone[name], together[name]) for name in alone)
    results = [(tmp_path / name / "tiny" / "result.json").read_bytes() for name in ("one", "two")]
    assert results[0] == results[1]


def finished(out):
    """The cells that are whole, and when each was written; one that is being written has another name."""
    paths = (path for path in (out / "cells").glob("*.npz") if "tmp" not in path.name)
    return {path.name: path.stat().st_mtime_ns for path in paths}


def test_a_killed_sweep_goes_on_without_repeating_a_finished_cell(recipe, data, tmp_path):
    out = tmp_path / "runs"
    sweep = subprocess.Popen(command(recipe, data, out), cwd=ROOT)
    until = time.monotonic() + 240
    while not finished(out) and sweep.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    assert (before := finished(out))
    subprocess.run(command(recipe, data, out), cwd=ROOT, check=True)
    after = finished(out)
    assert len(after) == 3
    assert before.items() <= after.items()
    assert len(json.loads((out / "tiny" / "result.json").read_text())["conditions"]) == 1


def test_cells_are_computed_as_tasks_of_a_queue(recipe, data, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    plan = Plan(recipe=recipe, data=data, out=tmp_path / "runs", precision="fp32")
    jobs = jobs_of(plan)
    done = list(run_jobs(partial(compute, plan), jobs, cluster="local", logs=tmp_path / "logs"))
    assert [job for job, _ in done] == jobs
    assert all(seconds > 0 for _, seconds in done)
    assert len(cells(tmp_path / "runs")) == 3


def fails(_, *, wait=True):
    raise RunError("The weights are not there; fetch them.")


def unlearnt(job, *, wait=True):
    if job.label == "busy" and not wait:
        raise Timeout("cell.lock")
    if job.label != "free":
        raise NoiseDidNotConverge(f"The noise of {job.label} was not learnt.")
    return 1.0


@pytest.mark.parametrize("way", [{"workers": 1}, {"workers": 2}, {"cluster": "local"}])
def test_what_cannot_be_learnt_keeps_no_other_cell_from_being_computed(way, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
    jobs = [Named("first"), Named("busy"), Named("free")]
    became = {job.label: str(what) for job, what in run_jobs(unlearnt, jobs, **way, logs=tmp_path)}
    assert became == {"free": "1.0", **{name: f"The noise of {name} was not learnt." for name in ("first", "busy")}}


def test_a_task_that_fails_in_a_queue_is_a_sentence_and_so_is_a_queue_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FaceguardError, match=r"There is no slurm here .* start this where its commands are\.$"):
        list(run_jobs(fails, [Named("free")], cluster="slurm", logs=tmp_path))
    with pytest.raises(FaceguardError, match=r"in .* ends with: .*RunError: The weights are not there; fetch them\.$"):
        list(run_jobs(fails, [Named("free")], cluster="local", logs=tmp_path / "logs"))


def test_a_cell_that_is_being_written_is_waited_for(data, trainings, tmp_path, monkeypatch):
    """The second of two that ask for one cell finds it, and the lock is held while it is computed."""

    from faceguard.adversary import Scratch
    from faceguard.decode import load_faces
    from faceguard.identities import split

    train, test = split(load_faces(data / "people", size=32), seed=0)
    attack = Scratch.attack

    def watched(self, *arguments, **keywords):
        (lock,) = tmp_path.glob("*.lock")
        with pytest.raises(Timeout):
            FileLock(lock).acquire(timeout=0)
        return attack(self, *arguments, **keywords)

    monkeypatch.setattr(Scratch, "attack", watched)
    for _ in range(2):
        run_cell(make_fabric(device="cpu"), train, test, SMALL, seed=0, lfw=None, folder=tmp_path)
    assert len(trainings) == 1


def test_a_cell_that_somebody_else_computes_is_left_for_the_end(tmp_path, study, monkeypatch):
    import eval.engine

    seen, compute = [], eval.engine.cell_of

    def busy_once(plan, job, *, wait=True, advance=None):
        seen.append((job.arm, wait))
        if job.arm == "clean" and not wait:
            raise Timeout("cell.lock")
        return compute(plan, job, wait=wait)

    monkeypatch.setattr(eval.engine, "cell_of", busy_once)
    assert study("--seeds", "1", "--only", "*")[0] == 0
    assert seen[:4] == [("clean", False), ("random", False), ("error-minimizing", False), ("clean", True)]


@dataclass(frozen=True)
class Named:
    """A job without a study."""

    label: str


def threads_of(job, *, wait=True):
    """How many threads PyTorch has where the job runs; the first time, somebody else is at it."""
    if job.label == "busy" and not wait:
        raise Timeout("cell.lock")
    return float(torch.get_num_threads())


@pytest.mark.parametrize("way", [{"workers": 1}, {"workers": 2}, {"cluster": "local"}])
def test_every_cell_is_computed_on_one_thread_however_many_there_are(way, tmp_path, monkeypatch):
    """Sums on several threads come in another order, so a training would end differently under the same hash."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        done = list(run_jobs(threads_of, [Named("free"), Named("busy")], **way, logs=tmp_path))
    finally:
        torch.set_num_threads(before)
    assert sorted(done, key=lambda one: one[0].label) == [(Named("busy"), 1.0), (Named("free"), 1.0)]


def test_a_cell_that_is_only_read_is_not_waited_for(data, tmp_path):
    from faceguard.decode import load_faces
    from faceguard.identities import split

    train, test = split(load_faces(data / "people", size=32), seed=0)
    fabric = make_fabric(device="cpu")
    lock = tmp_path / f"{cell_hash(train, test, SMALL, Countermeasure(), 0, fabric)}.lock"
    with FileLock(lock), pytest.raises(CellMissingError, match="without --judge"):
        run_cell(fabric, train, test, SMALL, seed=0, lfw=None, folder=tmp_path, read_only=True)
