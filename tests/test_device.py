"""Devices that are there or a sentence, and draws that depend on the seed and the name alone."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from faceguard.device import alone, derive_seed, fastest_precision, generator, launch, make_fabric, seeded
from faceguard.errors import DataError, DeviceError, FaceguardError


def test_the_cpu_is_always_there_in_both_precisions():
    assert make_fabric(device="cpu").device.type == "cpu"
    layer = torch.nn.Linear(2, 2)
    with make_fabric(device="cpu", precision="bf16").autocast():
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    with make_fabric(device="cpu", precision="fp32").autocast():
        assert layer(torch.ones(1, 2)).dtype == torch.float32


def is_rounding(_=None):
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.fixture
def rounded():
    """PyTorch as it may be found: it computes with TF32 wherever a GPU can."""
    before = is_rounding()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize(("precision", "expected"), [("fp32", (False, False)), ("bf16", (True, True))])
@pytest.mark.usefixtures("rounded")
def test_fp32_is_not_rounded_to_tf32_on_a_gpu(precision, expected):
    assert is_rounding() == (True, True)
    make_fabric(device="cpu", precision=precision)
    assert is_rounding() == expected


def test_nor_is_it_in_the_processes_of_several_gpus():
    assert launch(make_fabric(device="cpu", precision="fp32", devices=2), is_rounding) == (False, False)


def tries_convolutions(_=None):
    return torch.backends.cudnn.benchmark


def test_the_fastest_convolution_is_looked_for_in_every_process():
    torch.backends.cudnn.benchmark = False
    fabric = make_fabric(device="cpu", devices=2)
    assert tries_convolutions() and launch(fabric, tries_convolutions)


def test_auto_takes_the_gpu_when_there_is_one():
    assert make_fabric().device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "AMD EPYC"}, "bf16"),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "Intel Xeon"}, "fp32"),
        ({"avx512_bf16": True, "amx_bf16": True, "cpu_name": "Intel Xeon"}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"architecture": "aarch64", "neon": True}, "fp32"),
    ],
)
def test_auto_precision_is_bf16_only_where_the_processor_computes_faster_in_it(monkeypatch, abilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert fastest_precision("cpu") == expected
    with make_fabric(device="cpu", precision="auto").autocast():
        computed = torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype
    assert computed == {"bf16": torch.bfloat16, "fp32": torch.float32}[expected]


def test_a_pytorch_that_does_not_tell_gets_fp32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fastest_precision("cpu") == "fp32"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_on_a_gpu_is_what_the_gpu_supports(monkeypatch, supported, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert fastest_precision() == fastest_precision("cuda") == expected


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"device": "tpu"}, "Device 'tpu' is unknown; use auto, cpu or cuda"),
        ({"precision": "fp8"}, "Precision 'fp8' is unknown; use auto, fp32 or bf16"),
        ({"devices": 0}, "asks for no device at all"),
        ({"device": "cpu", "devices": -2}, "asks for no device at all"),
    ],
)
def test_a_device_that_does_not_exist_is_a_sentence(wanted, sentence):
    with pytest.raises(DeviceError, match=sentence):
        make_fabric(**wanted)


@pytest.mark.parametrize(("present", "wanted"), [(0, 1), (1, 2)])
def test_more_gpus_than_the_machine_has_is_a_sentence(monkeypatch, present, wanted):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: present)
    with pytest.raises(DeviceError, match=rf"{wanted} CUDA device\(s\) are asked for and this machine has {present}"):
        make_fabric(device="cuda", devices=wanted)


def test_derived_seeds_are_the_same_on_every_machine_and_for_ever():
    """Fixed values: a change here changes every result that was ever published with a seed."""
    assert derive_seed(0, "split", "Ada") == 611041250235995497
    assert derive_seed(7, "noise order", 3) == 7127963727898189719
    assert derive_seed(0) == 3456079177858693020


def test_derived_seeds_differ_by_seed_name_and_number():
    seeds = {derive_seed(s, name, i) for s in range(5) for name in ("a", "b", "ab") for i in range(5)}
    assert len(seeds) == 75
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_of_one_name_draw_the_same_and_of_another_do_not():
    first, again, other = (torch.rand(4, generator=generator(0, name)) for name in ("a", "a", "b"))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_seeded_draws_the_same_and_gives_the_callers_generator_back():
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with seeded(3, "layer"):
            drawn.append(torch.rand(4))
        torch.rand(1)
    assert torch.equal(drawn[0], drawn[1])
    torch.set_rng_state(before)
    expected = torch.rand(2)
    torch.set_rng_state(before)
    with seeded(3, "layer"):
        torch.rand(100)
    assert torch.equal(torch.rand(2), expected)


def test_seeded_gives_the_generator_back_after_an_error_too():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), seeded(1, "x"):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def rank_or_error(fabric, name, *, fail):
    if fail:
        raise DataError(f"{name} is missing.")
    return name, fabric.global_rank, fabric.world_size


def test_launch_in_one_process_calls_the_function_here():
    assert launch(make_fabric(device="cpu"), rank_or_error, "photo", fail=False) == ("photo", 0, 1)
    with pytest.raises(DataError, match=r"photo is missing\."):
        launch(make_fabric(device="cpu"), rank_or_error, "photo", fail=True)


def long_text(fabric, length):
    return fabric.global_rank, "x" * length


def test_a_result_larger_than_a_pipe_holds_comes_back_from_the_first_process():
    assert launch(make_fabric(device="cpu", devices=2), long_text, 300_000) == (0, "x" * 300_000)


def test_several_processes_start_inside_a_slurm_job_of_one_task_too(monkeypatch):
    job = {"NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0", "JOB_NAME": "night", "JOB_ID": "77123"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert alone(make_fabric(device="cpu"))
    fabric = make_fabric(device="cpu", devices=2)
    assert not alone(fabric)
    assert launch(fabric, rank_or_error, "photo", fail=False) == ("photo", 0, 2)


# ---- torchrun

BY_TORCHRUN = """
import json, sys
from pathlib import Path
from faceguard.device import alone, launch, make_fabric
def sum_of_ranks(fabric):
    return float(fabric.all_reduce(float(fabric.global_rank + 1), reduce_op="sum"))
fabric = make_fabric(device="cpu")
found = [alone(fabric), launch(fabric, sum_of_ranks), fabric.world_size]
Path(sys.argv[1], f"{fabric.global_rank}.json").write_text(json.dumps(found))
"""


def test_torchruns_processes_are_one_launch_and_the_first_has_its_result(tmp_path):
    """Two groups of one process each, as on two machines."""
    script = tmp_path / "script.py"
    script.write_text(BY_TORCHRUN)
    root = Path(__file__).parents[1]
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    meeting = ("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "test")
    line = [sys.executable, "-m", "torch.distributed.run", *meeting, "--rdzv-endpoint", f"localhost:{port}"]
    machines = [
        subprocess.Popen(
            [*line, "--local-addr", "localhost", script, tmp_path], env=os.environ | {"PYTHONPATH": str(root)}
        )
        for _ in range(2)
    ]
    assert [machine.wait(timeout=300) for machine in machines] == [0, 0]
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert found == [[False, 3.0, 2], [False, None, 2]]


def test_torchrun_and_devices_together_are_a_sentence(monkeypatch):
    torchrun = {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4", "RANK": "0", "LOCAL_RANK": "0"}
    for name, value in torchrun.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DeviceError, match="leave --devices 2 out"):
        make_fabric(device="cpu", devices=2)


def killed(fabric):
    if fabric.global_rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="only POSIX kills so")
def test_a_process_that_the_system_killed_is_a_sentence():
    with pytest.raises(FaceguardError, match="A process ended unexpectedly, perhaps because memory ran out"):
        launch(make_fabric(device="cpu", devices=2), killed)
