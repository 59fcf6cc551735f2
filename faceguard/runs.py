"""Run folders: a recognizer trained from a folder of faces, kept with everything that is known about it.

A run folder holds ``model.safetensors`` (weights), ``run.json`` (model, identities, settings, the photos it was trained
on, the learning curve) and ``learning-curves.png``; while it is being trained, ``checkpoint.pt``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from faceguard.checkpoint import Checkpoint, reserved
from faceguard.decode import load_faces
from faceguard.device import derive_seed
from faceguard.endings import PHOTO_SUFFIXES
from faceguard.errors import DataError, RunError
from faceguard.face_cache import default_folder
from faceguard.identification import predict
from faceguard.identities import Faces, Failure, split_photos
from faceguard.outputs import not_written, refuse_existing, replacing, write_json
from faceguard.plots import learning_curves
from faceguard.published import PUBLISHED, load_mobilefacenet, load_published, published_file
from faceguard.readers.celeba import PHOTO_FOLDERS
from faceguard.reading import Progress
from faceguard.recognizer import Embedder, OnnxRecognizer, Recognizer, build, check_size
from faceguard.train import Epoch, TrainSettings, fit

WEIGHTS_FILE, RUN_FILE, CHECKPOINT_FILE = "model.safetensors", "run.json", "checkpoint.pt"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A trained recognizer with its identities, and the photos it was trained on, see `photo_id`."""

    model: Recognizer
    identities: tuple[str, ...]
    trained_on: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Everything that determines a run; ``hold_out`` is the share kept for testing. Raises RunError for too small a size."""

    faces: Path
    out: Path
    model: str
    size: int
    settings: TrainSettings
    hold_out: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        check_size(self.model, self.size)  # before half a million photos are read


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a training leaves besides its folder: the learning curve, and the photos that could not be read."""

    curve: Sequence[Epoch]
    failures: Sequence[Failure]


def train_run(
    fabric: Fabric,
    training: Training,
    *,
    progress: Callable[[Epoch], None] | None = None,
    reading: Progress | None = None,
) -> Finished:
    """Train from a folder of faces into a run folder, in every process of a launched ``fabric``; resumes by itself.

    ``hold_out`` of each identity's photos are not trained on, and tested after every epoch. Several processes decode the faces
    once and share the file. ``reading`` is called as in `decode.load_faces`.
    Raises DataError for unusable faces, RunError for a folder of another run or one that another process trains into,
    TrainingDiverged when the loss is not finite.
    """
    checkpoint = training.out / CHECKPOINT_FILE
    with reserved(checkpoint) if fabric.is_global_zero else nullcontext():
        refuse_existing(training.out / RUN_FILE)  # of a run that ended while this one began
        return _train(fabric, training, checkpoint, progress, reading)


def _train(
    fabric: Fabric,
    training: Training,
    checkpoint: Path,
    progress: Callable[[Epoch], None] | None,
    reading: Progress | None,
) -> Finished:
    shared = default_folder() if fabric.world_size > 1 else None
    faces = load_faces(training.faces, size=training.size, cache=shared, progress=reading)
    _refuse_different(fabric, faces)
    if len(faces.names) < 2:
        raise DataError(
            f"{faces.names[0]} is the only identity, and a recognizer learns by telling identities apart;"
            " give FACES of two people or more. Where that folder holds people's folders, name it instead."
        )
    train, test = np.arange(len(faces)), np.array([], dtype=np.int64)  # photos by number: they may be too many to copy
    if training.hold_out > 0:
        train, test = split_photos(faces, share=1 - training.hold_out, seed=training.seed)
    model = build(training.model, identities=len(faces.names), size=training.size, seed=training.seed)

    def measure(network: nn.Module) -> dict[str, float]:
        if not len(test):
            return {}
        with fabric.autocast():
            named = predict(network, faces, photos=test, device=fabric.device)  # type: ignore[arg-type]
        return {"all": float((named == faces.labels[test]).mean())}

    settings = training.settings
    curve = fit(
        fabric,
        model,
        faces,
        settings,
        seed=training.seed,
        learn_on=torch.from_numpy(train),
        measure=measure,
        checkpoint=Checkpoint(path=checkpoint),
        progress=progress,
    )
    if fabric.is_global_zero:
        if len(test):
            ranks = {"run": {"held out": [epoch.measured["all"] for epoch in curve]}}
            learning_curves(ranks, {"run": [epoch.loss for epoch in curve]}, training.out / "learning-curves.png")
        how = {"seed": training.seed, "hold_out": training.hold_out, "precision": fabric._precision.precision}
        save_run(training.out, model, faces, settings, curve, learnt_on=train, how=how)
        checkpoint.unlink(missing_ok=True)
    return Finished(curve=curve, failures=faces.failures)


def _refuse_different(fabric: Fabric, faces: Faces) -> None:
    """Raise DataError, in every process, when one could not read a photo that another has: their batches would not fit."""
    mine = torch.tensor(derive_seed(len(faces), repr(faces.keys)))
    if len(fabric.all_gather(mine).unique()) > 1:  # type: ignore[union-attr]
        raise DataError(
            "The processes could not read the same photos; check the disk or network that they are on, and repeat the command."
        )


def photo_id(identity: str, key: str) -> str:
    """What stays of a photo's name when it is protected: the identity and the path below its folder, without endings.

    Where the key does not begin with the identity's folder it is the whole key. Both endings of ``a.jpg.png`` go, as a protected
    ``a.jpg`` is called beside an ``a.png``. CelebA's folder of photos goes too: they may have been sorted into people's folders.
    """
    name = Path(key)
    while name.suffix.lower() in PHOTO_SUFFIXES:
        name = name.with_suffix("")
    below = name.parts[1:] if name.parts[0] == identity else name.parts
    return _in_any_layout("/".join((identity, *below)))


def _in_any_layout(photo: str) -> str:
    """A photo's id, the same in CelebA's layout and in a folder per identity; runs of earlier versions kept the folder."""
    identity, *below = photo.split("/")
    return "/".join((identity, *(below[1:] if len(below) > 1 and below[0] in PHOTO_FOLDERS else below)))


def save_run(
    folder: Path,
    model: Recognizer,
    faces: Faces,
    settings: TrainSettings,
    curve: Sequence[Epoch],
    *,
    learnt_on: NDArray[np.int64] | None = None,
    how: Mapping[str, Any] | None = None,
) -> None:
    """Write a run folder; weights first and ``run.json`` last, each under a temporary name.

    ``learnt_on`` are the photos (indices) it was trained on; None: all of ``faces``. ``how`` is kept beside the settings.
    """
    weights = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    try:
        with replacing(folder / WEIGHTS_FILE) as temporary:
            save_file(weights, temporary)
    except SafetensorError as error:  # how safetensors says that the disk is full
        raise RunError(not_written(folder / WEIGHTS_FILE, error)) from error
    numbers = range(len(faces)) if learnt_on is None else learnt_on
    photos = [photo_id(faces.names[faces.labels[i]], faces.keys[i]) for i in numbers]
    content = {
        "model": {"name": model.name, "size": model.size, "width": model.width},
        "identities": list(faces.names),
        "settings": asdict(settings) | dict(how or {}),
        "curve": [asdict(epoch) for epoch in curve],
        "trained_on": sorted(photos),
    }
    write_json(folder / RUN_FILE, content)


def load_run(folder: Path) -> Run:
    """Read a run folder. Raises RunError when it is incomplete or damaged."""
    if not (folder / RUN_FILE).is_file():
        hint = (
            "its training was interrupted; repeat the same command to resume it"
            if (folder / CHECKPOINT_FILE).exists()
            else "make one with faceguard train"
        )
        raise RunError(f"{folder} holds no finished run ({RUN_FILE} is missing): {hint}.")
    try:
        about = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        shape, identities = about["model"], tuple(about["identities"])
        model = build(shape["name"], identities=len(identities), size=shape["size"], width=shape["width"], seed=0)
        model.load_state_dict(load_file(folder / WEIGHTS_FILE))
        trained_on = frozenset(_in_any_layout(str(photo)) for photo in about["trained_on"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise RunError(f"The run in {folder} is damaged ({error}); train it again.") from error
    return Run(model=model.eval(), identities=identities, trained_on=trained_on)


def load_model(name: str, *, download: bool = False) -> Embedder:
    """MODEL as an embedder: a run folder, an .onnx file, a MobileFaceNet's .ckpt or a published name.

    Raises RunError when it is none of them.
    """
    path = Path(name)
    if name in PUBLISHED:
        return load_published(name, download=download)
    if path.suffix.lower() == ".onnx":
        return OnnxRecognizer(path)
    if path.suffix.lower() == ".ckpt":
        return load_mobilefacenet(path)
    if path.is_dir():
        return load_run(path).model
    raise RunError(
        f"{name!r} is no run folder and no .onnx or .ckpt file, and none of the published models"
        f" {', '.join(PUBLISHED)}; check the name."
    )


def model_files(name: str) -> tuple[Path, ...]:
    """The files that determine MODEL, present or not; ``name`` as for ``load_model``."""
    if name in PUBLISHED:
        return (published_file(name),)
    path = Path(name)
    return (path / WEIGHTS_FILE, path / RUN_FILE) if path.is_dir() else (path,)
