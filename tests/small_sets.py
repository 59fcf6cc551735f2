"""Classification sets of a few photos in the formats that they are published in."""

import io
import pickle
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.io import savemat


def png(level, size=32):
    """A photo filled with one level, encoded without loss."""
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(file, labels, names, *, photos=None):
    """Row i's photo is filled with level i unless ``photos`` has other bytes for it; without names there is no metadata."""
    rows = [{"bytes": (photos or {}).get(i, png(i)), "path": f"{i}.png"} for i in range(len(labels))]
    file.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"class_names": "\n".join(names)} if names else None
    table = pa.table({"image": rows, "label": labels}).replace_schema_metadata(metadata)
    pq.write_table(table, file, row_group_size=3)


def drawn(count, seed=0):
    """Random photos, uint8 N x 32 x 32 x 3."""
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def _number(value):
    return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)


def _string(value):
    return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value


def batch_in_python_2(photos, labels, key=b"labels", *, protocol_1=False):
    """A batch as CIFAR's author wrote it: Python 2's strings, numpy's array with its old module names, opcodes spelt out."""
    planes = photos.transpose(0, 3, 1, 2).tobytes()
    dtype = b"cnumpy\ndtype\nq\x07" + _string(b"u1") + b"K\x00K\x01\x87R" + b"(K\x03" + _string(b"|") + b"NNN"
    dtype += 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    shape = _number(len(photos)) + _number(3072) + b"\x86"
    false = b"I00\n" if protocol_1 else b"\x89"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nK\x00\x85" + _string(b"b") + b"\x87R"
    array += b"(K\x01" + shape + dtype + false + _string(planes) + b"tb"
    listed = b"]q\x03(" + b"".join(map(_number, labels)) + b"e"
    text = _string(b"batch_label") + b"q\x02" + _string(b"training batch 1 of 5")
    return b"\x80\x02}q\x01(" + text + _string(key) + listed + _string(b"data") + array + b"u."


def names_in_protocol_0(names, key="label_names"):
    """A list of names as the oldest protocol writes it for Python 2: text lines, one opcode each."""
    listed = "".join(f"S'{name}'\np{i + 3}\na" for i, name in enumerate(names))
    return f"(dp1\nS'num_vis'\np0\nI3072\nsS'{key}'\np1\n(lp2\n{listed}s.".encode()


def write_cifar10(folder, classes=("airplane", "automobile", "bird"), *, python_2=True):
    """Two photos in each of the five batches and three in the test batch; returns all thirteen photos and their labels."""
    folder.mkdir(parents=True)
    photos, labels = drawn(13), [i % len(classes) for i in range(13)]
    starts = {f"data_batch_{i + 1}": slice(2 * i, 2 * i + 2) for i in range(5)} | {"test_batch": slice(10, 13)}
    for name, part in starts.items():
        content = {b"data": _rows(photos[part]), b"labels": labels[part]}
        data = batch_in_python_2(photos[part], labels[part]) if python_2 else pickle.dumps(content)
        (folder / name).write_bytes(data)
    names = names_in_protocol_0(classes) if python_2 else pickle.dumps({b"label_names": [n.encode() for n in classes]})
    (folder / "batches.meta").write_bytes(names)
    return photos, labels


def write_cifar100(folder, classes=("apple", "aquarium_fish")):
    """Four photos to train on, two to test on; returns all six and their labels."""
    folder.mkdir(parents=True)
    photos, labels = drawn(6), [1, 0, 0, 1, 1, 0]
    for name, part in (("train", slice(4)), ("test", slice(4, 6))):
        table = {"data": _rows(photos[part]), "fine_labels": labels[part], "coarse_labels": [9] * len(labels[part])}
        (folder / name).write_bytes(pickle.dumps(table, protocol=2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list(classes), "coarse_label_names": ["fish"]}))
    return photos, labels


def _rows(photos):
    return np.ascontiguousarray(photos.transpose(0, 3, 1, 2)).reshape(len(photos), 3072)


def write_svhn(folder, train=(1, 10, 9), test=(10, 2)):
    """MATLAB files with these labels, of which 10 is the digit 0; returns the photos to train on."""
    folder.mkdir(parents=True)
    for name, labels in (("train", train), ("test", test)):
        content = {"X": drawn(len(labels)).transpose(1, 2, 3, 0), "y": np.array(labels, dtype=np.uint8)[:, None]}
        savemat(folder / f"{name}_32x32.mat", content, do_compression=True)
    return drawn(len(train))


def write_imagenet(folder, classes=("n02000001", "n01000001", "n03000001"), *, photos=3, test=1, size=(40, 32)):
    """JPEGs in train/ and val/, a folder per class."""
    for split, count in (("train", photos), ("val", test)):
        for name in classes:
            for i in range(count):
                path = folder / split / name / f"{name}_{i}.JPEG"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", size, (20 * i, 0, 0)).save(path, "JPEG")
    return folder
