"""Labelled faces -> a noise bank: Algorithm 1 with its source model, and everything a bank remembers about it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric

from faceguard.bank import NoiseBank, make_bank
from faceguard.device import derive_seed
from faceguard.errors import DataError, NoiseDidNotConverge
from faceguard.identification import centroids
from faceguard.identities import Faces
from faceguard.noise import Form, NoiseSettings, Round, generate
from faceguard.publication import Publication
from faceguard.recognizer import build
from faceguard.train import TrainSettings, fit

PUBLICATION_CELLS = 28  # a side: cells of 4 x 4 pixels of the aligned face


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """The network that learns together with the noise; ``width`` concerns resnet-18 only."""

    name: str = "resnet-18"
    width: int = 16


def face_noise(
    *,
    epsilon: float = 16 / 255,
    form: Form = "class-wise",
    max_rounds: int = 60,
    publication: bool = False,
    gray: float = 0.0,
) -> NoiseSettings:
    """Settings for noise that meets a face trainer: the paper's, learnt through flips and small shifts, and to a lower error.

    With ``publication`` the noise has few cells, interpolated smoothly, and is learnt through what publishing does to a
    photo, so that it survives that; a share ``gray`` of the photos is gray meanwhile.
    Sample-wise noise takes one step of half of epsilon a round, where the paper takes 20 of a tenth. The paper's own settings
    are NoiseSettings(); docs/adr/0002, 0005, 0008 and 0010 have the measurements behind the differences.
    """
    return NoiseSettings(
        form=form,
        epsilon=epsilon,
        step_size=epsilon / (10 if form == "class-wise" else 2),
        stop_error=0.01,
        max_rounds=max_rounds,
        learning_rate=0.1,
        flip=True,
        crop_share=0.03,
        cells=PUBLICATION_CELLS if publication else None,
        publication=Publication(gray=gray) if publication else None,
    )


def learn_bank(
    fabric: Fabric,
    faces: Faces,
    settings: NoiseSettings,
    *,
    source_model: SourceModel | None = None,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[Round], None] | None = None,
) -> NoiseBank:
    """Learn noise for ``faces`` and pack it; a row for every identity, or for every photo of sample-wise noise.

    Error-maximizing and targeted noise need a source model that knows the faces, so it is trained on the clean faces first.
    Raises DataError for a single identity, and what ``noise.generate`` does; after NoiseDidNotConverge its checkpoint allows
    more rounds.
    """
    if len(faces.names) < 2:
        raise DataError(
            f"{faces.names[0]} is the only identity, and noise is learnt by telling identities apart; give FACES of other"
            " people, and your own with --with. Where that folder holds people's folders, name it instead."
        )
    settings.check_size(faces.size)
    shape = source_model or SourceModel()
    start = derive_seed(seed, "source model")  # a trainer of the same seed must not start from the same weights
    source = build(shape.name, identities=len(faces.names), size=faces.size, width=shape.width, seed=start)
    if not settings.learns_source:
        training = derive_seed(seed, "source training")  # nor see its batches, flips and crops
        fit(fabric, source, faces, TrainSettings(epochs=20, batch_size=settings.batch_size), seed=training)
    try:
        noise = generate(fabric, faces, source, settings, seed=seed, checkpoint=checkpoint, progress=progress)
    except NoiseDidNotConverge as error:
        kept = f" {checkpoint} keeps the rounds: the same with a larger --max-rounds goes on."
        raise NoiseDidNotConverge(f"{error}{kept if checkpoint else ''}") from error
    directions = centroids(source.eval(), faces, device=fabric.device)
    source.cpu().requires_grad_(False)  # a bank lives in memory, wherever it was learnt
    return make_bank(
        noise,
        epsilon=settings.epsilon,
        identities=faces.names if settings.form == "class-wise" else faces.keys,
        form=settings.form,
        seed=seed,
        cells=settings.cells,
        source_model={"name": shape.name, "width": shape.width, "size": faces.size, "identities": len(faces.names)},
        centroids=directions,
        source_weights=source.state_dict(),
    )
