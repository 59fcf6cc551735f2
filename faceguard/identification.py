"""What a recognizer makes of held-out faces: embeddings, rank-1 recognition and verification, by group.

A group is a set of identities (``protected``, ``others``). Recognition is closed-set, as in the paper's Figure 4 b: the
trained classifier names the identity of a clean photo it has not seen. Verification compares all pairs within a group.

N photos, K identities, D embedding.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from faceguard.gather import as_table, fetch, send
from faceguard.identities import Faces, to_pixels
from faceguard.recognizer import Embedder, Recognizer
from faceguard.verification import Verification, all_pairs, verify

Groups = Mapping[str, NDArray[np.int64]]  # group -> the labels of its identities
REPLICATES = 200  # of the bootstrap: a group has tens of thousands of pairs

CPU = torch.device("cpu")


def at_once(size: int, device: torch.device) -> int:
    """Faces of ``size`` pixels that go through a network together: 64, or what makes 2^20 pixels, if more, on a GPU.

    The features of so many pixels take less memory there than those a training batch of 128 small photos keeps.
    """
    return 64 if device.type == "cpu" else max(64, 2**20 // size**2)


@torch.inference_mode()
def embed(
    model: Embedder,
    faces: Faces,
    *,
    device: torch.device | None = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """N unit embeddings, N x D float32 on the CPU; every face is embedded once. ``progress`` gets (done, N)."""
    embeddings: list[Tensor] = []
    place = device or CPU
    size = batch_size or at_once(faces.size, place)
    for batch in torch.from_numpy(faces.pixels).split(size):
        embeddings.append(model.embed(to_pixels(send(batch, place))).cpu())
        if progress is not None:
            progress(min(len(embeddings) * size, len(faces)), len(faces))
    return torch.cat(embeddings)


@torch.inference_mode()
def classify(
    model: Recognizer, faces: Faces, *, device: torch.device | None = None, batch_size: int | None = None
) -> NDArray[np.float32]:
    """The trained classifier's logits for every face, N x K: 4 N K bytes, so ask for them once, not after every epoch.

    In half precision two identities may tie of which the network named one, and rank-1 within a group contradict rank-1.
    """
    place = device or CPU
    photos = torch.from_numpy(faces.pixels).split(batch_size or at_once(faces.size, place))
    return np.concatenate([model(to_pixels(send(batch, place))).float().cpu().numpy() for batch in photos])


def centroids(model: Embedder, faces: Faces, *, device: torch.device | None = None) -> Tensor:
    """The unit mean of every identity's embeddings, K x D on the CPU."""
    embeddings = embed(model, faces, device=device)
    sums = torch.zeros(len(faces.names), embeddings.shape[1]).index_add_(0, torch.from_numpy(faces.labels), embeddings)
    return F.normalize(sums, dim=1)


@torch.inference_mode()
def predict(
    model: Recognizer,
    faces: Faces,
    *,
    photos: NDArray[np.int64] | None = None,
    device: torch.device | None = None,
    batch_size: int | None = None,
) -> NDArray[np.int64]:
    """The identity that the trained classifier names for every face, or for those of ``photos`` (indices): N labels.

    A GPU is waited for once, at the end.
    """
    pixels, place = as_table(faces.pixels), device or CPU
    chosen = torch.arange(len(faces)) if photos is None else torch.from_numpy(photos)
    batches = (fetch(pixels, batch, place) for batch in chosen.split(batch_size or at_once(faces.size, place)))
    return torch.cat([model(to_pixels(batch)).argmax(1) for batch in batches]).cpu().numpy()


def rank1(predicted: NDArray[np.int64], faces: Faces, groups: Groups) -> dict[str, float]:
    """Share of correctly named faces in every group, in [0, 1]."""
    correct = predicted == faces.labels
    return {group: float(correct[np.isin(faces.labels, labels)].mean()) for group, labels in groups.items()}


def rank1_within(logits: NDArray[np.floating], faces: Faces, groups: Groups) -> dict[str, float]:
    """Rank-1 in every group when only its own identities are on offer, in [0, 1]; chance is 1 over their number.

    A network that tells noisy photos from clean ones takes every clean photo for one of the unprotected. That fools
    ``rank1`` without hiding anything about the faces; here it has no effect.
    """
    found = {}
    for group, labels in groups.items():
        inside = np.isin(faces.labels, labels)
        named = labels[logits[inside][:, labels].argmax(1)]
        found[group] = float((named == faces.labels[inside]).mean())
    return found


def verify_groups(embeddings: Tensor, faces: Faces, groups: Groups, *, seed: int) -> dict[str, Verification]:
    """Verification over all pairs of faces within each group, with intervals from a bootstrap over its identities."""
    found = {}
    for group, labels in groups.items():
        inside = np.isin(faces.labels, labels)
        scores, genuine, first, second = all_pairs(embeddings.numpy()[inside], faces.labels[inside])
        identities = faces.labels[inside][first], faces.labels[inside][second]
        found[group] = verify(scores, genuine, identities=identities, replicates=REPLICATES, seed=seed)
    return found
