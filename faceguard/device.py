"""Where and how the networks run: device, precision, seeds, processes (Lightning Fabric).

The device is chosen once, here; everything inside follows the tensor. Randomness comes from generators derived by
name from one seed, so that adding a draw in one place never changes another.
"""

import hashlib
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException

from faceguard.errors import DeviceError, FaceguardError

Precision = Literal["auto", "fp32", "bf16"]
ChosenPrecision = Literal["fp32", "bf16"]

RESIDENT = 0.4  # the share of a GPU's free memory that photos may take


def apart(fabric: Fabric) -> tuple[str, ...]:
    """What tells this device's results from a processor's in their names: a GPU sums in another order. Empty for a CPU."""
    return () if fabric.device.type == "cpu" else (fabric.device.type,)


def precision_of(fabric: Fabric) -> ChosenPrecision:
    """What the networks compute in on this ``fabric``, also where it was left to ``auto``."""
    return "fp32" if fabric._precision.precision == "32-true" else "bf16"


def make_fabric(*, device: str = "auto", precision: str = "fp32", devices: int = 1) -> Fabric:
    """Choose the device (``auto``, ``cpu``, ``cuda``), the precision and the number of processes, not yet launched.

    The precision ``auto`` is what this device computes fastest, see ``fastest_precision``.

    Under torchrun, which starts one process for every device of every machine, these are the processes, and ``devices`` is 1.
    Raises DeviceError when the machine lacks what is asked for.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise DeviceError(f"Precision {precision!r} is unknown; use auto, fp32 or bf16.")
    if devices < 1:
        raise DeviceError(f"--devices {devices} asks for no device at all; use 1 or more.")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would announce the precision each time
    accelerator = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if accelerator not in ("cpu", "cuda"):
        raise DeviceError(f"Device {device!r} is unknown; use auto, cpu or cuda.")
    available = torch.cuda.device_count() if accelerator == "cuda" else devices
    if available < devices:
        raise DeviceError(
            f"{devices} CUDA device(s) are asked for and this machine has {available};"
            f" use --device cpu{', or fewer --devices' if devices > 1 and available else ''}."
        )
    arithmetic = fastest_precision(accelerator) if precision == "auto" else precision
    numbers: Literal["32-true", "bf16-mixed"] = "32-true" if arithmetic == "fp32" else "bf16-mixed"
    _set_arithmetic(numbers)
    if TorchElasticEnvironment.detect():
        if devices > 1:
            raise DeviceError(f"torchrun starts the processes; leave --devices {devices} out.")
        here, everywhere = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return Fabric(
            accelerator=accelerator, devices=here, num_nodes=everywhere // here, strategy="ddp", precision=numbers
        )
    if devices == 1:
        return Fabric(accelerator=accelerator, devices=1, precision=numbers)
    own = LightningEnvironment()  # inside a job of Slurm's, its one task would number all processes as the first
    return Fabric(accelerator=accelerator, devices=devices, strategy="ddp_spawn", precision=numbers, plugins=[own])


def _set_arithmetic(numbers: str) -> None:
    """Let fp32 be fp32 on a GPU too: PyTorch would round what goes into convolutions to the 10 bits of TF32.

    There cuDNN tries which of its convolutions is the fastest, for all batches but the last have one size.
    """
    torch.backends.cudnn.benchmark = True
    if numbers == "32-true":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def fastest_precision(device: str = "auto") -> ChosenPrecision:
    """bf16 on a GPU or processor that multiplies faster in it; elsewhere fp32, for emulated bf16 is many times slower.

    Intel's AVX512-BF16 alone, without AMX, multiplies slower than fp32 (docs/log.md, 2026-11-29); AMD's is faster.
    """
    if device != "cpu" and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # PyTorch did not always tell what the processor can do by itself
    abilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    vectors = abilities.get("avx512_bf16") and not str(abilities.get("cpu_name", "")).startswith("Intel")
    return "bf16" if vectors or abilities.get("amx_bf16") else "fp32"


def fits(device: torch.device, needed: int) -> bool:
    """Whether ``needed`` bytes of photos may stay on a GPU: they leave most of its free memory to the network.

    What PyTorch has reserved there for tensors that are gone counts as free. Elsewhere photos are read where they are: True.
    """
    if device.type != "cuda":
        return True
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return needed <= RESIDENT * (torch.cuda.mem_get_info(device)[0] + unused)


def alone(fabric: Fabric) -> bool:
    """Whether there is one process only, so that ``launch`` would change nothing."""
    return isinstance(fabric.strategy, SingleDeviceStrategy)


def launch(fabric: Fabric, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Run ``function(fabric, ...)`` in every process, and return what it returned in the first; None in torchrun's others.

    The function must be defined at the top of a module. A FaceguardError raised in any of the processes arrives here as
    itself. Results are read while the processes run: Fabric would wait for their end first, and a large one never ends.
    """
    said = multiprocessing.get_context("spawn").SimpleQueue()
    messages: list[tuple[str, Any]] = []
    reader = threading.Thread(target=lambda: messages.extend(iter(said.get, None)), daemon=True)
    reader.start()
    failure: Exception | None = None
    try:
        fabric.launch(partial(_say_outcome, said=said, function=function, arguments=arguments, keywords=keywords))
    except ProcessException as error:
        failure = error
    finally:
        said.put(None)
        reader.join()
    errors = [content for kind, content in messages if kind == "error"]
    if errors:
        raise errors[0]
    if isinstance(failure, ProcessExitedException):
        raise FaceguardError(
            "A process ended unexpectedly, perhaps because memory ran out; give the command again with fewer --devices, and it"
            " goes on where it stopped."
        ) from failure
    if failure is not None:
        raise failure
    return next((content for kind, content in messages if kind == "result"), None)


def _say_outcome(fabric: Fabric, said: Any, function: Callable[..., Any], arguments: Any, keywords: Any) -> None:
    """In a process of its own: the first one tells its result, and whichever fails its error."""
    _set_arithmetic(fabric._precision.precision)  # for a spawned process starts as PyTorch does
    try:
        result = function(fabric, *arguments, **keywords)
    except FaceguardError as error:
        said.put(("error", error))
        raise
    if fabric.is_global_zero:
        said.put(("result", result))


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the draw called ``names`` under the user's ``seed``; SHA-256, so the same on every machine.

    Names of folders need not be valid text; their bytes count then.
    """
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator for the draw called ``names`` under the user's ``seed``."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Give layers that know only the global generator (dropout, kornia, initial weights) a derived seed, then restore it."""
    cuda = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(derive_seed(seed, *names))
        yield
