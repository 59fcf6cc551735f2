"""``identification.embed`` against a bare forward loop over the same batches of ready float tensors.

The faces are LFW's aligned ones where FACEGUARD_DATA names the research data, and random pixels elsewhere. SFace (ONNX,
one photo at a time, as its file demands) is measured where its weights are, on a few faces; the bare side then is
onnxruntime itself with the same options.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from benchmarks.generation import IDENTITIES, OVERHEAD, random_faces
from benchmarks.measure import REPETITIONS, Comparison, compare, take_turns
from faceguard.decode import load_records
from faceguard.identification import embed
from faceguard.identities import Faces, to_pixels
from faceguard.readers.lfw import read_pairs
from faceguard.recognizer import OnnxRecognizer, Recognizer, build

SIZE, BATCH = 112, 64
ONNX_PHOTOS = 128  # each takes tens of milliseconds on its own, and more of them change no ratio
LFW, SFACE = Path("lfw/lfw-aligned-112"), Path("weights/sface_2021dec_int8.onnx")

Sides = tuple[Callable[[], Tensor], Callable[[], Tensor]]


def run(
    data: Path | None = None, *, photos: int = 256, width: int = 64, repetitions: int = REPETITIONS
) -> list[Comparison]:
    """ResNet-18, and SFace where ``data`` (the research data) holds it, on the first ``photos`` faces."""
    faces = random_faces(photos, SIZE) if data is None else lfw_faces(data, photos)
    settings = {"photos": len(faces), "size": SIZE, "batch_size": BATCH, "faces": "random" if data is None else "LFW"}
    model = build("resnet-18", identities=IDENTITIES, size=SIZE, width=width, seed=0).eval()
    sides = {f"resnet-18 width {width}": torch_sides(model, faces)}
    if data is not None:
        few = faces.take(range(min(len(faces), ONNX_PHOTOS)))
        sides[f"SFace (ONNX), {len(few)} faces"] = onnx_sides(data / SFACE, few)
    found = []
    for name, pair in sides.items():
        ours, bare = take_turns(pair, repetitions)
        found.append(compare(f"embedding, {name}", ours, bare, limit=OVERHEAD, settings=settings))
    return found


def lfw_faces(data: Path, photos: int) -> Faces:
    """The first ``photos`` images of LFW's protocol."""
    return load_records(read_pairs(data / LFW).records[:photos], size=SIZE)


def torch_sides(model: Recognizer, faces: Faces) -> Sides:
    """Ours, and the network alone; both in channels_last, the layout that training leaves behind."""
    model.to(memory_format=torch.channels_last)
    batches = to_pixels(faces.pixels).split(BATCH)

    @torch.inference_mode()
    def bare() -> Tensor:
        return torch.cat([model.features(batch) for batch in batches])

    return lambda: embed(model, faces, batch_size=BATCH), bare


def onnx_sides(path: Path, faces: Faces) -> Sides:
    """Ours, and a session of onnxruntime that gets one normalised photo after another."""
    model = OnnxRecognizer(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # as ours, and so is the next line
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    photos = np.split(to_pixels(faces.pixels).mul(255).contiguous().numpy(), len(faces))

    def bare() -> Tensor:
        return torch.cat([torch.from_numpy(session.run(None, {name: photo})[0]) for photo in photos])

    return lambda: embed(model, faces, batch_size=BATCH), bare
