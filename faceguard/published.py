"""Recognizers that others publish: fetched only on request, used only when their SHA-256 is right, never unpickled.

Of ``casia-webface`` no SHA-256 is known: that of the first download is kept, and every later one has to agree.

``vggface2`` and ``casia-webface`` are facenet-pytorch's Inception-ResNet-v1 weights, ``buffalo_l`` is insightface's ArcFace
ResNet-50. They are kept in the cache folder (see ``face_cache.default_folder``) under ``weights/``.
"""

import pickle
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
from torch import nn
from torchvision.transforms import CenterCrop

from faceguard.errors import RunError
from faceguard.face_cache import default_folder
from faceguard.manifest import file_hash
from faceguard.mobilefacenet import DIMENSION, MobileFaceNet
from faceguard.recognizer import Embedder, Extractor, OnnxRecognizer, Standardized, inception_features

_UNREADABLE = (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)


@dataclass(frozen=True, kw_only=True)
class Published:
    """Weights that others publish: where they are, and the archive member when they come in a zip.

    Without a known ``sha256`` the one of the first download is kept beside the file and must stay the same.
    """

    url: str
    sha256: str | None
    member: str | None = None


_FACENET = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
PUBLISHED = {
    "vggface2": Published(
        url=_FACENET + "20180402-114759-vggface2.pt",
        sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    ),
    "casia-webface": Published(url=_FACENET + "20180408-102900-casia-webface.pt", sha256=None),
    "buffalo_l": Published(
        url="https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
        sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        member="w600k_r50.onnx",
    ),
}


def _load_facenet(weights: Path) -> Extractor:
    """facenet-pytorch's Inception-ResNet-v1 with published weights; the larger photos it was trained on, 160 px."""
    features = inception_features()
    state = torch.load(weights, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ValueError("not a state dict")
    features.network.load_state_dict({k: v for k, v in state.items() if not k.startswith("logits.")})
    return Extractor(features, 512, size=160).eval()


def load_mobilefacenet(path: Path) -> Extractor:
    """A MobileFaceNet of 112 x 96 pixels from a PyTorch checkpoint, whose state dict may lie below ``net_state_dict``.

    It sees the central 96 columns of an aligned 112 px face. Raises RunError when the file is something else.
    """
    if not path.is_file():
        raise RunError(f"There is no file {path}; give a .ckpt of a MobileFaceNet, a run folder or a model's name.")
    network = MobileFaceNet(112, 96)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state.get("net_state_dict", state))
    except (OSError, AttributeError, TypeError, *_UNREADABLE) as error:
        problem = str(error).strip().splitlines()[:1]
        raise RunError(f"{path} holds no MobileFaceNet of 112 x 96 px ({''.join(problem)}); check the file.") from error
    return Extractor(nn.Sequential(CenterCrop((112, 96)), Standardized(network)), DIMENSION, size=112).eval()


def load_published(name: str, *, download: bool) -> Embedder:
    """The published recognizer called ``name``. Raises RunError when it is absent, or its SHA-256 is wrong."""
    published = PUBLISHED[name]
    path = published_file(name)
    if not path.is_file():
        if not download:
            raise RunError(
                f"The weights of {name} are not on this machine; add --download to fetch them from {published.url}."
            )
        _fetch(published, path)
    seen, first_seen = file_hash(path), path.with_name(path.name + ".sha256")
    expected = published.sha256 or (first_seen.read_text(encoding="ascii").strip() if first_seen.is_file() else None)
    if expected is not None and seen != expected:
        raise RunError(f"{path} does not have the expected SHA-256; delete it and use --download again.")
    try:
        model = OnnxRecognizer(path) if path.suffix == ".onnx" else _load_facenet(path)
    except _UNREADABLE as error:
        raise RunError(f"{path} holds no weights of {name} ({error}); delete it and use --download again.") from error
    if expected is None:
        first_seen.write_text(seen + "\n", encoding="ascii")
    return model


def published_file(name: str) -> Path:
    """Where the weights called ``name`` are kept, present or not."""
    published = PUBLISHED[name]
    return default_folder() / "weights" / (published.member or Path(published.url).name)


def _fetch(published: Published, path: Path) -> None:
    arriving = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(published.url, str(arriving), progress=False)
        if published.member is not None:
            with zipfile.ZipFile(arriving) as archive:
                unpacked = archive.read(published.member)
            arriving.write_bytes(unpacked)
        arriving.replace(path)
    except (OSError, HTTPException, KeyError, zipfile.BadZipFile) as error:
        with suppress(OSError):
            arriving.unlink(missing_ok=True)
        raise RunError(
            f"{published.url} could not be fetched ({error}); fetch it by hand into {path.parent}."
        ) from error
