"""A trained run on photos it has not seen: recognition and verification, by group."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faceguard.device import generator
from faceguard.errors import DataError
from faceguard.identification import Groups, embed, predict, rank1, verify_groups
from faceguard.identities import Faces
from faceguard.outputs import write_json
from faceguard.plots import roc_figure
from faceguard.runs import Run, photo_id
from faceguard.study import make_groups

MOST_VERIFIED = 4000  # photos of a group: their 8 million pairs take 1.3 GB
_IDENTITIES = 50  # of a group are drawn at least, where it has so many


def evaluate_identities(
    run: Run,
    faces: Faces,
    out: Path,
    *,
    protected: Sequence[str] | None = None,
    seed: int,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """Write ``identities.json`` and ``roc.png``: rank-1, AUC and EER of every group on photos ``run`` was not trained on.

    The groups are the ``protected`` identities, see `read_groups`, and the others; without, everybody is one group.
    A group of one identity, or of one photo each, makes no pairs: it has no AUC, but ``not_verified``, which says why. A photo
    counts as trained on when its `photo_id` does, whatever its ending: the protected copy of a photo and the photo are one. Of a
    group of more than ``MOST_VERIFIED`` photos, no more are verified, drawn with ``seed`` of 50 identities or more where it has
    them, and ``photos_verified`` is their number. ``photos_trained_on`` were left out. The model moves to ``device``.
    Raises DataError when nothing is left, an identity is unknown to the run, or no photo counts as trained on although some
    have the file names of such.
    """
    given = len(faces)
    faces = _held_out(run, faces)
    groups = {"all": np.arange(len(faces.names))} if protected is None else make_groups(faces, protected)
    if device is not None:
        run.model.to(device)
    recognized = rank1(predict(run.model, faces, device=device), faces, groups)
    verified = _verify(run, faces, groups, out, seed=seed, device=device)
    photos = np.bincount(faces.labels, minlength=len(faces.names))
    counted = {
        group: {"photos": int(photos[labels].sum()), "identities": len(labels)} for group, labels in groups.items()
    }
    content = {
        "groups": {group: verified[group] | {"rank1": recognized[group]} | counted[group] for group in groups},
        "photos_trained_on": given - len(faces),
    }
    write_json(out / "identities.json", content)
    return content


def read_groups(path: Path, names: Sequence[str]) -> list[str]:
    """The protected identities in ``{"protected": [...]}``, also below "identities" as in a demo's report.

    Raises DataError when the file does not say it, or one of them is not among the ``names`` that a run knows.
    """
    wanted = 'it should read {"protected": ["name", ...]}.'
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no groups file ({error}); {wanted}") from error
    inner = content.get("identities", content) if isinstance(content, dict) else None
    named = inner.get("protected") if isinstance(inner, dict) else None
    if not isinstance(named, list):
        raise DataError(f"{path} is no groups file: it lists nobody as protected; {wanted}")
    protected = [str(name) for name in named]
    if unknown := sorted(set(protected) - set(names)):
        raise DataError(f"{path} names {', '.join(unknown[:5])}, whom the run does not know; check the spelling.")
    return protected


def _verify(
    run: Run, faces: Faces, groups: Groups, out: Path, *, seed: int, device: torch.device | None
) -> dict[str, dict[str, Any]]:
    """What every group's entry says of verification; ``roc.png`` shows the groups that make pairs, and is left out without."""
    lacking = {group: lack for group, labels in groups.items() if (lack := _lack(faces, labels))}
    pairable = {group: labels for group, labels in groups.items() if group not in lacking}
    entries: dict[str, dict[str, Any]] = {group: {"not_verified": lack} for group, lack in lacking.items()}
    if not pairable:
        return entries
    drawn = {group: _drawn(faces, labels, generator(seed, "verified", group)) for group, labels in pairable.items()}
    chosen = np.sort(np.concatenate(list(drawn.values())))
    compared = faces if len(chosen) == len(faces) else faces.take(chosen)
    verified = verify_groups(embed(run.model, compared, device=device), compared, pairable, seed=seed)
    for group, found in verified.items():
        some = len(drawn[group]) < np.isin(faces.labels, pairable[group]).sum()
        entries[group] = found.to_json() | ({"photos_verified": len(drawn[group])} if some else {})
    curves = {group: (found.far, found.tar) for group, found in verified.items()}
    roc_figure(curves, out / "roc.png", title="Verification of held-out photos")
    return entries


def _drawn(faces: Faces, labels: NDArray[np.int64], draw: torch.Generator) -> NDArray[np.int64]:
    """The photos of a group that are verified, by number: all, unless they are too many."""
    everything = np.flatnonzero(np.isin(faces.labels, labels))
    if len(everything) <= MOST_VERIFIED:
        return everything
    each = max(2, MOST_VERIFIED // min(len(labels), _IDENTITIES))  # photos of an identity at most
    ordered = labels[torch.randperm(len(labels), generator=draw).numpy()]
    counts = np.bincount(faces.labels, minlength=len(faces.names))[ordered]
    first = int(np.argmax(counts >= 2))  # without somebody who has two photos there are no genuine pairs
    kept: list[int] = []
    for label in (ordered[first], *np.delete(ordered, first)):
        photos = np.flatnonzero(faces.labels == label)
        chosen = photos[torch.randperm(len(photos), generator=draw).numpy()[:each]]
        if len(kept) + len(chosen) > MOST_VERIFIED:
            break
        kept += chosen.tolist()
    return np.array(kept, dtype=np.int64)


def _lack(faces: Faces, labels: NDArray[np.int64]) -> str | None:
    """Why the identities ``labels`` make no impostors or no genuine pairs; None when they make both."""
    if len(labels) < 2:
        return "it has one identity, and verification needs two"
    if np.bincount(faces.labels, minlength=len(faces.names))[labels].max() < 2:
        return "it has one held-out photo of each identity, and verification needs two of somebody"
    return None


def _held_out(run: Run, faces: Faces) -> Faces:
    """The faces that were not trained on, labelled as the run labels its identities."""
    strangers = sorted(set(faces.names) - set(run.identities))
    if strangers:
        raise DataError(
            f"The run does not know {', '.join(strangers[:5])}; give photos of the identities it was trained on."
        )
    photos = [photo_id(faces.names[label], key) for label, key in zip(faces.labels, faces.keys, strict=True)]
    unseen = [i for i, photo in enumerate(photos) if photo not in run.trained_on]
    if len(unseen) == len(photos):
        _refuse_moved(run, photos)
    if not unseen:
        raise DataError(
            "Every one of these photos was trained on, so they prove nothing; give photos that were held out."
        )
    present = set(faces.labels[unseen].tolist())
    wanted = [name for name in run.identities if name in faces.names and faces.names.index(name) in present]
    if wanted != list(run.identities):
        absent = sorted(set(run.identities) - set(wanted))
        raise DataError(
            f"No held-out photo shows {', '.join(absent[:5])}; give at least one of every identity of the run."
        )
    return faces.take(unseen).of(run.identities)


def _refuse_moved(run: Run, photos: Sequence[str]) -> None:
    """Raise DataError when ``photos``, none of them trained on, have the people and the file names of such at another depth.

    At the same depth they are another video's frames, or another day's photos.
    """
    trained_on = {_ends(photo): photo for photo in sorted(run.trained_on, reverse=True)}
    named = [photo for photo in photos if _ends(photo) in trained_on]
    alike = [photo for photo in named if photo.count("/") != trained_on[_ends(photo)].count("/")]
    if alike:
        raise DataError(
            f"{len(alike)} of these {len(photos)} photos have the names of photos that were trained on, in other folders (here"
            f" {alike[0]}, there {trained_on[_ends(alike[0])]}), so those trained on cannot be left out; give them in the"
            " folders that the run was trained on, or give photos that were held out other names."
        )


def _ends(photo: str) -> tuple[str, str]:
    """The identity and the file's name in a photo's id."""
    parts = photo.split("/")
    return parts[0], parts[-1]
