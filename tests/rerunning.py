"""What the tests of second runs share: two people's folders, a run, and what it left."""

from pathlib import Path

import numpy as np
import pytest
from commands import coarse_bank
from PIL import Image

from faceguard.batch import ProtectReport, protect_photos
from faceguard.listing import list_photos
from faceguard.manifest import MANIFEST, read_results
from faceguard.protect import Protection

HOW = Protection(bank=coarse_bank(rows=2))


def save(path: Path, seed: int, **options: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def run(source: Path, out: Path, how: Protection = HOW, **more: object) -> ProtectReport:
    jobs = list_photos(source, str(more.pop("identity", "")) or None, out=out)
    rows = {job.identity: len(job.identity) % 2 for job in jobs}
    return protect_photos(jobs, out, how, rows=rows, **more)  # type: ignore[arg-type]


def tree(folder: Path) -> dict[str, bytes]:
    """Every photo below the folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*") if p.name != MANIFEST}


def lines(out: Path) -> set[tuple[str, str, str | None]]:
    return {(line.source, line.identity, line.output) for line in read_results(out / MANIFEST)}


def outputs(report: ProtectReport) -> list[str | None]:
    return [result.output for result in report.results]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two people's folders with photos of the same names."""
    for seed, name in enumerate(["alice/1.jpg", "alice/2.png", "bob/1.jpg", "bob/2.png"]):
        save(tmp_path / "in" / name, seed)
    return tmp_path / "in"
