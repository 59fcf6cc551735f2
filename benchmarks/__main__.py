"""Run benchmarks and write their JSON: ``python -m benchmarks [NAME ...] --out results.json``."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import cells, countermeasures, embedding, generation, memory, protecting, public_code, scale, training
from benchmarks.measure import REPETITIONS, Comparison, hardware

NAMES = (
    "generation",
    "public-code",
    "training",
    "cells",
    "countermeasures",
    "embedding",
    "memory",
    "protecting",
    "scale",
)
HEADER = "| what | measured | reference | unit | ratio | of CPU time | limit |\n|---|---|---|---|---|---|---|"


def main(arguments: list[str] | None = None) -> int:
    """Run the named benchmarks, print a table and write the JSON; 1 when a ratio is above its limit."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    benchmarks = _benchmarks(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    found: list[Comparison] = []
    print(HEADER, flush=True)
    for name in options.names or [name for name in benchmarks if name != "scale"]:
        for comparison in benchmarks[name]():
            found.append(comparison)
            print(row(comparison), flush=True)
    report = {"hardware": hardware(), "results": [comparison.to_json() for comparison in found]}
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(not comparison.within_limit for comparison in found))


def row(comparison: Comparison) -> str:
    """One line of the table."""
    content = comparison.to_json()
    cpu = "" if comparison.cpu_ratio is None else f"{comparison.cpu_ratio:.3f}"
    limit = "" if comparison.limit is None else f"{comparison.limit:.3f}"
    numbers = " | ".join(f"{content[key]:.3f}" for key in ("measured", "reference"))
    return f"| {comparison.name} | {numbers} | {comparison.unit} | {comparison.ratio:.3f} | {cpu} | {limit} |"


def _benchmarks(options: argparse.Namespace) -> dict[str, Callable[[], list[Comparison]]]:
    data = os.environ.get("FACEGUARD_DATA")
    often: dict[str, Any] = {"repetitions": options.repetitions}
    return {
        "generation": lambda: generation.run(**often),
        "public-code": lambda: public_code.run(**often),
        "training": lambda: training.run(**often),
        "cells": lambda: cells.run(**often),
        "countermeasures": lambda: countermeasures.run(**often),
        "embedding": lambda: embedding.run(
            None if data is None else Path(data), photos=options.faces, width=options.width, **often
        ),
        "memory": lambda: memory.run(**often),
        "protecting": lambda: protecting.run(**often),
        "scale": lambda: scale.run(options.photos, folder=options.folder, sparse=options.sparse),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; default: all but scale")
    parser.add_argument("--out", type=Path, help="write every number here, as JSON")
    parser.add_argument("--threads", type=int, help="PyTorch's threads; default: as PyTorch chooses")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="of every side (default: %(default)s)")
    parser.add_argument("--faces", type=int, default=256, help="to embed (default: %(default)s; LFW has 7,701)")
    parser.add_argument("--width", type=int, default=64, help="of the ResNet-18 that embeds (default: %(default)s)")
    parser.add_argument(
        "--photos", type=int, default=scale.PHOTOS, help="of scale (default: %(default)s, 19 GB of disk)"
    )
    parser.add_argument("--folder", type=Path, help="of scale's temporary files; default: the system's own")
    parser.add_argument("--sparse", action="store_true", help="leave scale's faces empty, which takes no disk")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
