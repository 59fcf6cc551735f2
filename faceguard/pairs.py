"""Which copy belongs to which original: as the manifest has it, by path or by content, else by path alone.

The manifest's paths are relative to what was protected. Who names a part of that, a folder in it or one photo, is understood by
the photos' content.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from faceguard.earlier import own_lines
from faceguard.errors import DataError
from faceguard.listing import PhotoJob, list_photos, real_path
from faceguard.manifest import PhotoResult


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Source -> output, and the manifest's line of each source; ``written`` are all its lines. Paths have forward slashes."""

    outputs: Mapping[str, str]
    lines: Mapping[str, PhotoResult]
    written: Sequence[PhotoResult]

    def why_missing(self, source: str) -> str:
        """The reason for an original whose copy is not there, a sentence."""
        if output := self.outputs.get(source):
            return f"The manifest names {output}, and there is no such photo; protect it again."
        if source in self.lines:
            return f"It was not protected: {self.lines[source].reason}"
        return "No copy of it was found; protect it, or name the folder that holds its copy."

    def unmatched(self, copies: Collection[str]) -> tuple[str, ...]:
        """The ``copies`` whose original is missing from what was named; those of other parts of what was protected are not."""
        parts = {line.source.removesuffix(source) for source, line in self.lines.items()} or {""}
        elsewhere = {line.output for line in self.written if not line.source.startswith(tuple(parts))}
        return tuple(sorted(set(copies) - set(self.outputs.values()) - elsewhere))


def copies_in(protected: Path, originals: Path) -> dict[str, PhotoJob]:
    """Relative path -> file, of every photo in ``protected``; only these are ever opened, whatever a manifest says.

    Raises DataError when ``protected`` does not exist, or is ``originals`` itself.
    """
    if not protected.exists():
        raise DataError(f"{protected} does not exist; name the folder that faceguard protect wrote.")
    if real_path(protected) == real_path(originals):
        raise DataError(f"{protected} is named twice; name the originals first, then the folder of their copies.")
    try:
        return {job.relative.as_posix(): job for job in list_photos(protected, out=originals, copies=True)}
    except DataError:
        if not os.access(protected, os.R_OK | os.X_OK):
            raise
        return {}  # a run in which every photo failed leaves its manifest alone


def pair(
    jobs: Sequence[PhotoJob], copies: Collection[str], written: Sequence[PhotoResult], *, both_files: bool
) -> Pairs:
    """Find the copy of every job among the paths ``copies``; ``written`` are the manifest's lines. Two files are a pair."""
    sources = [job.relative.as_posix() for job in jobs]
    named = set(sources)
    lines = {line.source: line for line in written if line.source in named}
    lines |= {line.source: line for line in own_lines(jobs, written) if line is not None}
    contents = {line.sha256_in: line for line in written if line.sha256_in is not None}
    others = [(job, source) for job, source in zip(jobs, sources, strict=True) if source not in lines]
    for job, source in others if contents else ():
        line = contents.get(job.content) if job.problem is None and job.content is not None else None
        lines |= {} if line is None else {source: line}
    return Pairs(outputs=_outputs(sources, copies, lines, both_files=both_files), lines=lines, written=written)


def _outputs(
    sources: Sequence[str], copies: Collection[str], lines: Mapping[str, PhotoResult], *, both_files: bool
) -> dict[str, str]:
    """Source -> output: as the manifest has it, then by path wherever exactly one of each fits."""
    if both_files:
        return dict(zip(sources, copies, strict=True))
    known = {source: lines[source] for source in sources if source in lines}
    found = {source: str(line.output) for source, line in known.items() if line.status == "protected"}
    for of_source, of_output in ((str, str), (str, _without_suffix), (_without_suffix, _without_suffix)):
        ours, theirs = defaultdict(list), defaultdict(list)
        for source in sources:
            if source not in known and source not in found:
                ours[of_source(source)].append(source)
        for output in set(copies) - set(found.values()):
            theirs[of_output(output)].append(output)
        found |= {ours[key][0]: theirs[key][0] for key in ours if len(ours[key]) == len(theirs.get(key, ())) == 1}
    return found


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
