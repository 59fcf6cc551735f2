"""``faceguard protect``: its own share of a photo's time, what a second process gains, photos per second, peak memory.

Every photo is made of scikit-image's astronaut: scaled to the photo's height and continued by its mirror image on both
sides, so that it shows one face of a fifth of the height. PNG is written, as for anybody who asks for nothing else.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from benchmarks.measure import REPETITIONS, Comparison, Times, compare, take_turns
from faceguard.bank import default_bank
from faceguard.batch import protect_photos
from faceguard.faces import align_photo
from faceguard.finder import find
from faceguard.listing import PhotoJob, list_photos
from faceguard.pool import one_thread
from faceguard.protect import Protection, protect_photo

OWN_SHARE = 0.15  # of a large photo's time: all that is not decoding, finding faces or encoding
GAIN = 1.7  # of two processes over one
GROWTH = 1.2  # of the peak memory, from few photos to many
MEGAPIXELS = (0.5, 2.0, 12.0)
QUALITY = 90  # of the JPEG files that are protected
LEVEL = 3  # of PNG's compression, as in faceguard.photo
PERSON = "astronaut"

# The peak of the resident set is /proc's, so Linux only: ru_maxrss survives exec, and a child would report its parent's.
PEAK = r"VmHWM:\s+(\d+) kB"
CHILD = """
import atexit, sys
from pathlib import Path
from faceguard.cli import main
atexit.register(lambda: print(Path("/proc/self/status").read_text(encoding="utf-8")))
main(sys.argv[1:])
"""


def run(
    *,
    megapixels: Sequence[float] = MEGAPIXELS,
    batch: tuple[float, int, int] = (0.5, 4, 20),
    aligned: tuple[int, int] = (100, 10_000),
    repetitions: int = REPETITIONS,
) -> list[Comparison]:
    """All comparisons: of photos of ``megapixels``; of processes for the ``batch`` (megapixels, few, many photos); of the
    peak memory for few and many ``aligned`` faces."""
    found = []
    for size in megapixels:
        found += one_photo(size, repetitions)
    return [*found, two_processes(*batch, repetitions), peak_memory(*aligned)]


def one_photo(megapixels: float, repetitions: int = REPETITIONS) -> list[Comparison]:
    """Whole over bare seconds for one photo, and the photos per second of both; one process, one thread."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        whole, bare = take_turns(photo_sides(write_photo(Path(folder) / "photo.jpg", megapixels)), repetitions)
    name, settings = f"protecting, {megapixels:g} megapixels", {"megapixels": megapixels, "quality": QUALITY}
    rates = [[1 / seconds for seconds in side.wall] for side in (whole, bare)]
    time = compare(name, whole, bare, limit=share_limit(megapixels), settings=settings)
    rate = Comparison(name=name, unit="photos/s", measured=rates[0], reference=rates[1], limit=None, settings=settings)
    return [time, rate]


def share_limit(megapixels: float) -> float | None:
    """Whole over bare at the largest own share, for large photos; smaller ones are only reported."""
    return 1 / (1 - OWN_SHARE) if megapixels >= 12 else None


def photo_sides(source: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """``protect_photo``, and what it cannot do without: decode, find, encode, decode, find, with Pillow and ``find`` alone.

    The bare side encodes the pixels that ``protect_photo`` wrote, so both write the same bytes.
    """
    job = PhotoJob(source=source, relative=Path(source.name), identity=PERSON)
    how, out = Protection(bank=default_bank()), source.parent
    ours, theirs = Path("whole.png"), out / "bare.png"

    def whole() -> None:
        result = protect_photo(job, out, ours, how, row=0, existing="replace")
        if result.status != "protected":
            raise RuntimeError(f"The photo of this benchmark was not protected: {result.reason}")

    whole()
    protected = _decoded(out / ours)

    def bare() -> None:
        find(_decoded(source))
        Image.fromarray(protected).save(theirs, compress_level=LEVEL)
        find(_decoded(theirs))

    return whole, bare


def two_processes(megapixels: float, few: int, many: int, repetitions: int = REPETITIONS) -> Comparison:
    """Two processes over one, start-up subtracted: the time of ``many`` photos less that of ``few``, on either side.

    Even the few are enough for both processes to load what their first photo needs. The CPU time is that of all
    processes, divided by their number: its ratio is the least that the other could be on as many idle cores.
    """
    cpu: dict[tuple[int, int], list[float]] = {(n, count): [] for count in (few, many) for n in (1, 2)}
    with tempfile.TemporaryDirectory() as folder:
        jobs = copies([write_photo(Path(folder) / "photo.jpg", megapixels)], Path(folder) / "photos", many)
        sides = [batch_side(jobs[:count], Path(folder) / f"{n}-{count}", n, cpu[n, count]) for n, count in cpu]
        turns = dict(zip(cpu, take_turns(sides, repetitions), strict=True))
    # each list begins with the unmeasured run
    spent = {side: Times(wall=turns[side].wall, cpu=tuple(seconds[1:])) for side, seconds in cpu.items()}
    one, two = (difference(spent[n, many], spent[n, few], n) for n in (1, 2))
    settings = {"megapixels": megapixels, "photos": [few, many], "quality": QUALITY}
    return compare("protecting, two processes over one", two, one, limit=1 / GAIN, settings=settings)


def batch_side(jobs: Sequence[PhotoJob], out: Path, processes: int, cpu: list[float]) -> Callable[[], None]:
    """``protect_photos``, which adds the CPU seconds of all its processes to ``cpu``."""
    how = Protection(bank=default_bank())

    def side() -> None:
        before = _cpu_seconds()
        report = protect_photos(jobs, out, how, rows={PERSON: 0}, rerun="overwrite", workers=processes)
        cpu.append(_cpu_seconds() - before)
        if not report.complete:
            raise RuntimeError(f"A photo of this benchmark was not protected: {report.failed[0].reason}")

    return side


def difference(many: Times, few: Times, processes: int) -> Times:
    """What the further photos took, repetition by repetition; CPU seconds of one process."""
    wall = tuple(more - less for more, less in zip(many.wall, few.wall, strict=True))
    cpu = tuple((more - less) / processes for more, less in zip(many.cpu, few.cpu, strict=True))
    return Times(wall=wall, cpu=cpu)


def peak_memory(few: int, many: int) -> Comparison:
    """The largest resident set of ``faceguard protect`` on ``many`` aligned faces over that on ``few``; once each."""
    with tempfile.TemporaryDirectory() as folder:
        faces = write_aligned(Path(folder) / "faces")
        small, large = (peak(faces, Path(folder) / str(count), count) for count in (few, many))
    settings = {"photos": [few, many], "size": 112}
    return Comparison(
        name="protecting, peak memory of many photos over few",
        unit="MB",
        measured=[large],
        reference=[small],
        limit=GROWTH,
        settings=settings,
    )


def peak(faces: Sequence[Path], folder: Path, count: int) -> float:
    """MB of the largest resident set of the whole command, in a process of its own with one worker."""
    copies(faces, folder / "photos", count)
    words = ["protect", str(folder / "photos"), str(folder / "out"), "--workers", "1", "--seed", "0"]
    done = subprocess.run([sys.executable, "-c", CHILD, *words], capture_output=True, text=True)
    found = re.search(PEAK, done.stdout)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"The command of this benchmark failed: {done.stderr}")
    return int(found[1]) * 1024 / 1e6


def astronaut_photo(megapixels: float) -> NDArray[np.uint8]:
    """H x W x 3 with W : H = 4 : 3."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    square = np.asarray(Image.fromarray(_astronaut()).resize((height, height), Image.Resampling.LANCZOS))
    left = (width - height) // 2
    return np.pad(square, ((0, 0), (left, width - height - left), (0, 0)), mode="reflect")


def write_photo(path: Path, megapixels: float) -> Path:
    """One photo as a JPEG file."""
    Image.fromarray(astronaut_photo(megapixels)).save(path, quality=QUALITY)
    return path


def write_aligned(folder: Path, count: int = 4) -> list[Path]:
    """The aligned face as JPEG files, each moved by another pixel."""
    folder.mkdir(parents=True)
    face = align_photo(_astronaut())
    paths = [folder / f"{shift}.jpg" for shift in range(count)]
    for shift, path in enumerate(paths):
        Image.fromarray(np.roll(face, shift, axis=1)).save(path, quality=QUALITY)
    return paths


def copies(photos: Sequence[Path], folder: Path, count: int) -> list[PhotoJob]:
    """``count`` photos of one person in ``folder``, in turn the same few files under names of their own."""
    (folder / PERSON).mkdir(parents=True)
    for number in range(count):
        os.link(photos[number % len(photos)], folder / PERSON / f"{number:06}.jpg")
    return list_photos(folder)


def _astronaut() -> NDArray[np.uint8]:
    """512 x 512 x 3, a picture of NASA's in the public domain that comes with scikit-image."""
    return np.asarray(skimage.data.astronaut())


def _decoded(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image)


def _cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    return sum(os.times()[:4])
