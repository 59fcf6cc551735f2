"""Whoever trains on the photos, behind one interface: training faces in, what is made of clean held-out faces out.

    train (protected or not), test (clean) -> Adversary.attack -> Attack {predictions, logits, embeddings, embedder}

``Scratch`` trains a recognizer from scratch. Others live in modules of their own: ``faceguard.frozen`` compares embeddings
of a pre-trained extractor, ``faceguard.averaging`` removes what a person's photos have in common and goes on as another.

N clean held-out faces, K identities, E epochs, D embedding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from faceguard.arcface import arcface_loss
from faceguard.checkpoint import Checkpoint
from faceguard.decode import resize_faces
from faceguard.identification import classify, embed, predict
from faceguard.identities import Faces
from faceguard.recognizer import Embedder, Head, Recognizer, build
from faceguard.train import ChangeBatch, Epoch, Loss, TrainSettings, fit

Progress = Callable[[Epoch], None]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What an adversary makes of the N clean held-out faces: nothing here depends on the groups.

    ``losses`` E mean losses on the training faces; ``predictions`` E x N labels, one row an epoch (E = 1 for adversaries
    that do not train in epochs); ``logits`` N x K, any score that ranks the identities, and ``embeddings`` N x D of unit
    length after the last epoch; ``embedder`` compares other faces, such as LFW's. ``frozen`` says which embedder that is (its
    weights by name and SHA-256) where nothing of it was learnt here, so that it is the same whatever the training faces;
    None for one that was trained.
    """

    losses: Sequence[float]
    predictions: NDArray[np.int64]
    logits: NDArray[np.float32]
    embeddings: Tensor
    embedder: Embedder
    frozen: str | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a result is measured from, see ``measures.Cell``."""
        return {
            "predictions": self.predictions.astype(np.int32),
            "logits": self.logits,
            "losses": np.array(self.losses),
            "embeddings": self.embeddings.numpy(),
        }


class Adversary(Protocol):
    """A frozen, keyword-only dataclass whose fields determine the attack, together with the files that they name."""

    def attack(
        self,
        fabric: Fabric,
        train: Faces,
        test: Faces,
        *,
        seed: int,
        change_batch: ChangeBatch | None = None,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Attack:
        """Learn from ``train``, as protected as it is, and name the clean held-out ``test`` faces.

        ``change_batch`` is the adversary's countermeasure, see ``train.fit``. The same seed gives the same attack. A training
        is kept in ``checkpoint`` and goes on from there.
        Raises RunError when a file of weights is missing or unfit, or when nothing is trained that could be changed.
        """
        ...

    def located(self, folder: Path) -> "Adversary":
        """The same adversary, whose relative file names are taken to lie below ``folder``."""
        ...

    def fingerprint(self) -> str:
        """All that determines the attack but seed and faces, as text: kind, fields, and files by name and SHA-256."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A recognizer trained from scratch: the network, the face size in pixels, the head, and the training.

    ``scale`` and ``margin`` concern ``head="arcface"`` alone, see ``faceguard.arcface``; ``width`` resnet-18 alone. The paper's
    64 and 0.5 are for millions of photos: on 105 identities of 24 (resnet-18, 64 px, 25 epochs) rank-1 was 0.31 with
    16 and 0.2, 0.30 with 32 and 0.2, and 0.28 with the paper's, so the first are the defaults.
    """

    model: str = "resnet-18"
    width: int = 64
    size: int = 112
    head: Head = "softmax"
    scale: float = 16.0
    margin: float = 0.2
    train: TrainSettings = field(default_factory=TrainSettings)

    def attack(
        self,
        fabric: Fabric,
        train: Faces,
        test: Faces,
        *,
        seed: int,
        change_batch: ChangeBatch | None = None,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Attack:
        """Train on ``train`` at the adversary's own size, and try the clean ``test`` after every epoch."""
        model = build(
            self.model,
            identities=len(train.names),
            size=self.size,
            width=self.width,
            head=self.head,
            scale=self.scale,
            seed=seed,
        )
        loss_of = (
            F.cross_entropy if self.head == "softmax" else partial(arcface_loss, scale=self.scale, margin=self.margin)
        )
        return train_and_try(
            fabric,
            model,
            train,
            test,
            self.train,
            seed=seed,
            loss_of=loss_of,
            change_batch=change_batch,
            progress=progress,
            checkpoint=checkpoint,
        )

    def located(self, folder: Path) -> "Scratch":  # noqa: ARG002 - it reads no file
        """Itself: it needs no file."""
        return self

    def fingerprint(self) -> str:
        """Its kind and fields."""
        return repr(self)


def train_and_try(
    fabric: Fabric,
    model: Recognizer,
    train: Faces,
    test: Faces,
    settings: TrainSettings,
    *,
    seed: int,
    loss_of: Loss = F.cross_entropy,
    change_batch: ChangeBatch | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Attack:
    """Train ``model`` in place on ``train``, both sets resized to the model's size; its labels of ``test`` by epoch."""
    train, test = resize_faces(train, model.size), resize_faces(test, model.size)
    predictions: list[Tensor] = [] if checkpoint is None else checkpoint.beside  # one tensor of labels an epoch

    def measure(_: nn.Module) -> dict[str, float]:
        with fabric.autocast():
            predicted = predict(model, test, device=fabric.device)
        predictions.append(torch.from_numpy(predicted))
        return {"rank-1": float((predicted == test.labels).mean())}

    curve = fit(
        fabric,
        model,
        train,
        settings,
        seed=seed,
        change_batch=change_batch,
        loss_of=loss_of,
        measure=measure,
        progress=progress,
        checkpoint=checkpoint,
    )
    with fabric.autocast():
        logits = classify(model, test, device=fabric.device)
        embeddings = embed(model, test, device=fabric.device)
    return Attack(
        losses=[epoch.loss for epoch in curve],
        predictions=torch.stack(predictions).numpy(),
        logits=logits,
        embeddings=embeddings,
        embedder=model,
    )
