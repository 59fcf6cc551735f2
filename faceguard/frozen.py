"""A frozen pre-trained extractor that only compares: the training photos are its gallery, the clean held-out faces its probes.

    nearest   logit_k = best cosine of the probe to any gallery photo of identity k; rank-1 by the best photo
    linear    logistic regression on the gallery's unit embeddings (a linear probe)

Nothing is learnt about faces here, so noise against training has nothing to work on. N probes, M gallery photos,
K identities, D embedding.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from faceguard.adversary import Attack, Progress
from faceguard.checkpoint import Checkpoint
from faceguard.decode import resize_faces
from faceguard.errors import DataError, RunError
from faceguard.identification import embed
from faceguard.identities import Faces
from faceguard.manifest import file_hash
from faceguard.published import PUBLISHED
from faceguard.runs import load_model, model_files
from faceguard.train import ChangeBatch

CHUNK = 1024  # probes that are compared with the whole gallery at once


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A pre-trained extractor as it is, and how it names a face.

    ``weights`` is a run folder, an .onnx file, a MobileFaceNet's .ckpt or a published name, see ``runs.load_model``;
    ``strength`` the inverse regularization of the linear probe (scikit-learn's C).
    """

    weights: str
    classifier: Literal["nearest", "linear"] = "nearest"
    strength: float = 10.0

    def attack(
        self,
        fabric: Fabric,
        train: Faces,
        test: Faces,
        *,
        seed: int,  # noqa: ARG002 - nothing is drawn
        change_batch: ChangeBatch | None = None,
        progress: Progress | None = None,  # noqa: ARG002 - there are no epochs
        checkpoint: Checkpoint | None = None,  # noqa: ARG002 - nor anything to keep
    ) -> Attack:
        """Embed ``train`` as gallery and ``test`` as probes at the extractor's size; one row of predictions.

        The loss is the mean log loss of the linear probe on its gallery; a nearest neighbour has none there: 0.
        Raises RunError for weights that cannot be loaded, an unknown classifier, or a ``change_batch``: nothing trains.
        """
        if change_batch is not None:
            raise RunError(
                "A frozen extractor trains on nothing, so there are no batches to change;"
                " combine this countermeasure with an adversary that trains."
            )
        if self.classifier not in ("nearest", "linear"):
            raise RunError(f"Classifier {self.classifier!r} is unknown; use nearest or linear.")
        model = load_model(self.weights)
        if isinstance(model, nn.Module):
            model.to(fabric.device)
        gallery, probes = (
            embed(model, resize_faces(faces, model.size), device=fabric.device) for faces in (train, test)
        )
        if self.classifier == "nearest":
            loss, logits = 0.0, nearest(gallery, train.labels, probes, len(train.names))
        else:
            loss, logits = linear(gallery, train.labels, probes, len(train.names), strength=self.strength)
        return Attack(
            losses=[loss],
            predictions=logits.argmax(1)[None],
            logits=logits.astype(np.float32),
            embeddings=probes,
            embedder=model,
            frozen=f"{Path(self.weights).name} {weights_hash(self.weights)}",
        )

    def located(self, folder: Path) -> "Frozen":
        """With its weights below ``folder``, unless they are published ones or their path is absolute."""
        return replace(self, weights=locate(self.weights, folder))

    def fingerprint(self) -> str:
        """Its fields, the weights by name and SHA-256. Raises RunError when they are missing."""
        return f"{replace(self, weights=Path(self.weights).name)!r} {weights_hash(self.weights)}"


def locate(weights: str, folder: Path) -> str:
    """``weights`` as a path below ``folder``, unless it is a published name or an absolute path."""
    return weights if weights in PUBLISHED else str(folder / weights)


def weights_hash(weights: str) -> str:
    """SHA-256 of every file behind ``weights``. Raises RunError when one is missing."""
    try:
        return " ".join(file_hash(file) for file in model_files(weights))
    except OSError as error:
        raise RunError(
            f"The weights {error.filename} cannot be read ({error.strerror}); put them there, or leave this adversary out."
        ) from error


def nearest(gallery: Tensor, labels: NDArray[np.int64], probes: Tensor, identities: int) -> NDArray[np.float32]:
    """The best cosine of every probe to each identity's photos, N x K; -1 for an identity without photos.

    ``gallery`` M x D and ``probes`` N x D are of unit length, ``labels`` M.
    """
    owners = torch.from_numpy(labels)
    best = []
    for part in probes.split(CHUNK):
        scores = (part @ gallery.T).clamp(-1, 1)
        start = torch.full((len(part), identities), -1.0)
        best.append(start.scatter_reduce(1, owners.expand(len(part), -1), scores, "amax"))
    return np.asarray(torch.cat(best).numpy(), dtype=np.float32)


def linear(
    gallery: Tensor, labels: NDArray[np.int64], probes: Tensor, identities: int, *, strength: float
) -> tuple[float, NDArray[np.float32]]:
    """Multinomial logistic regression (scikit-learn): its mean log loss on the gallery, and log-probabilities, N x K.

    Raises DataError when the gallery shows fewer than two identities.
    """
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(labels)) < 2:
        raise DataError(
            "A linear probe needs photos of two identities or more; use the nearest neighbour, or add people."
        )
    probe: Any = LogisticRegression(C=strength, max_iter=2000).fit(gallery.numpy(), labels)
    own = probe.predict_log_proba(gallery.numpy())[np.arange(len(labels)), np.searchsorted(probe.classes_, labels)]
    logits = np.full((len(probes), identities), -np.inf, dtype=np.float32)
    logits[:, probe.classes_] = probe.predict_log_proba(probes.numpy())
    return float(-own.mean()), logits
