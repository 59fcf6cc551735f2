"""``faceguard train`` on half a million faces that are decoded already: seconds until its first step, and its own memory.

The data set comes as CASIA-WebFace does, a RecordIO file of N photos, here of 112 px and 50 to an identity. No record holds
a photo, so whoever decodes one fails. The faces stand where a first call would have left them: few drawn ones, again and
again. Then the command's own function runs in a new process, on a narrow network and in batches of 64, for a few steps.

Linux only: the memory is /proc's. RssAnon is the process's own; RssFile is what it has touched of files, the faces among
them, which the system takes back when it needs to.
"""

import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Comparison
from faceguard import face_cache, readers
from faceguard.identities import Faces
from faceguard.journal import Journal
from faceguard.readers.recordio import MAGIC, REC_NAME
from faceguard.readers.synthetic import synthetic_faces

PHOTOS = 500_000
PER_IDENTITY = 50
SIZE = 112
SECONDS = 60.0  # until the first step, from the start of the process
MEMORY = 2048.0  # MiB of the process's own
STEPS = 5

CHILD = """
import json, os, sys, time
began = time.perf_counter()
from functools import partial
from pathlib import Path
from faceguard import decode, runs, train
from faceguard.device import make_fabric
folder, steps = Path(sys.argv[1]), int(sys.argv[2])
decode.LARGEST_IN_MEMORY = 0  # so that few faces are looked for where many are
runs.build = partial(runs.build, width=8)
step, done = train.optimizer_step, []
def counted(*arguments):
    result = step(*arguments)
    done.append([time.perf_counter() - began, time.process_time()])
    if len(done) == steps:
        print(json.dumps(done), Path("/proc/self/status").read_text(encoding="utf-8"), sep="\\n", flush=True)
        os._exit(0)
    return result
train.optimizer_step = counted
training = runs.Training(
    faces=folder / "photos", out=folder, model="resnet-18", size=112, settings=train.TrainSettings(batch_size=64)
)
runs.train_run(make_fabric(device="cpu"), training)
raise SystemExit("the training ended before its steps were done")
"""


def run(photos: int = PHOTOS, *, folder: Path | None = None, sparse: bool = False) -> list[Comparison]:
    """The first step of a training on ``photos`` faces, once, and the memory then; a multiple of 50.

    A temporary ``folder`` within the given one takes 38 kB a face and is removed at the end; ``sparse`` leaves the faces out,
    as zeros that take no disk. Raises DataError when the disk is too full.
    """
    with tempfile.TemporaryDirectory(dir=folder) as work:
        write_records(Path(work) / "photos", photos)
        keep_faces(Path(work) / "photos", Path(work) / "cache", sparse=sparse)
        steps, memory = train_briefly(Path(work))
        if sum(entry.is_dir() for entry in (Path(work) / "cache").iterdir()) != 1:
            raise RuntimeError("The training of this benchmark decoded its faces again.")
    (wall, cpu), name = steps[0], f"training on {photos:,} faces"
    settings = {"photos": photos, "size": SIZE, "model": "resnet-18, width 8", "batch": 64, "sparse": sparse}
    notes = {"seconds of every step": [step[0] for step in steps], "MiB": memory}
    return [
        Comparison(
            name=f"{name}, {what}",
            unit=unit,
            measured=[measured],
            reference=[most],
            limit=1.0,
            cpu_ratio=ratio,
            settings=settings,
            notes=notes,
        )
        for what, unit, measured, most, ratio in (
            ("first step", "s", wall, SECONDS, cpu / SECONDS),
            ("own memory", "MiB", memory["RssAnon"], MEMORY, None),
        )
    ]


def write_records(folder: Path, photos: int) -> None:
    """A RecordIO data set of ``photos`` records without photos, and of the records that list each identity's."""
    folder.mkdir()
    identities = photos // PER_IDENTITY
    labels: list[tuple[float, ...]] = [
        (photos + 1, photos + 1 + identities)
    ]  # of record 0: where identities are listed
    labels += [(number // PER_IDENTITY,) for number in range(photos)]
    labels += [(1 + i * PER_IDENTITY, 1 + (i + 1) * PER_IDENTITY) for i in range(identities)]
    with (folder / REC_NAME).open("wb") as rec, (folder / REC_NAME).with_suffix(".idx").open("w") as index:
        for number, label in enumerate(labels):
            index.write(f"{number}\t{rec.tell()}\n")
            rec.write(_record(label))


def _record(labels: tuple[float, ...]) -> bytes:
    more = labels if len(labels) > 1 else ()
    content = struct.pack(f"<IfQQ{len(more)}f", len(more), labels[0], 0, 0, *more)
    return struct.pack("<II", MAGIC, len(content)) + content


def keep_faces(photos: Path, cache: Path, *, sparse: bool) -> None:
    """Put drawn faces, or none but their file's size, where decoding ``photos`` would put theirs."""
    records = readers.find(photos)

    def fill(pixels: NDArray[np.uint8], _: Journal) -> Faces:
        drawn = synthetic_faces(8, 4, size=SIZE, seed=0).pixels
        for start in range(0, 0 if sparse else len(pixels), len(drawn)):
            part = pixels[start : start + len(drawn)]
            part[:] = drawn[: len(part)]
        labels = np.array([int(record.identity) for record in records])
        names = tuple(map(str, range(labels.max() + 1)))
        return Faces(pixels=pixels, labels=labels, names=names, keys=tuple(record.key for record in records))

    shape = (len(records), SIZE, SIZE, 3)
    folder = cache / face_cache.digest(records, SIZE)
    face_cache.load_or_make(folder, shape, fill)
    if sparse:  # the cache set the room aside, which is given back here
        file = folder / "pixels.npy"
        size = file.stat().st_size
        os.truncate(file, size - int(np.prod(shape)))
        os.truncate(file, size)


def train_briefly(folder: Path) -> tuple[list[tuple[float, float]], dict[str, float]]:
    """Wall and CPU seconds from the start of a new process to each of its first steps, and its memory then, in MiB."""
    environment = os.environ | {"FACEGUARD_CACHE": str(folder / "cache")}
    words = [sys.executable, "-c", CHILD, str(folder), str(STEPS)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"The training of this benchmark failed: {done.stderr}")
    steps, status = done.stdout.split("\n", 1)
    sizes = re.findall(r"^(RssAnon|RssFile|VmHWM):\s+(\d+) kB", status, re.MULTILINE)
    return json.loads(steps), {name: int(kilobytes) / 1024 for name, kilobytes in sizes}
