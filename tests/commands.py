"""The command line as the tests call it, and the small folders that they give it."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

from faceguard import terminal
from faceguard.bank import NoiseBank
from faceguard.cli import main
from faceguard.noise import NoiseSettings
from faceguard.publication import Publication
from faceguard.readers.synthetic import synthetic_faces

ON_CPU = ("--device", "cpu", "--precision", "fp32")


def run(capsys, *words):
    """Run a command in this process; returns its exit code, standard output and standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return (left.value.code or 0, *capsys.readouterr())


def succeed(capsys, *words):
    """Run a command that must exit with 0; returns standard output."""
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    return out


def fail(capsys, *words):
    """Run a command that must exit with 1 and say why in one line; returns the sentence."""
    code, _, err = run(capsys, *words)
    assert code == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1, err
    assert err.rstrip().endswith(".")
    return err.removeprefix("Error: ").strip()


def mistype(capsys, *words):
    """Run a command that must exit with 2; returns what it says."""
    code, _, err = run(capsys, *words)
    assert code == 2
    return err


def train_once(faces, out, *words):
    """The folder ``out`` of a run of ``faceguard train`` on the folder ``faces``."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in ("train", faces, "--out", out, *words)])
    assert not left.value.code
    return out


def write_faces(folder, *, identities=3, photos=4, size=112, seed=0, suffix=".png"):
    """A folder per identity with synthetic photos."""
    faces = synthetic_faces(identities, photos, size=size, seed=seed)
    for key, pixels in zip(faces.keys, faces.pixels, strict=True):
        path = (folder / key).with_suffix(suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def write_corrupt(path):
    """A file that is no photo, whatever its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\xd8\xff no photo at all")
    return path


def coarse_bank(rows=3, *, size=112, epsilon=16 / 255, form="class-wise"):
    """A bank of random noise in patches of a seventh, which survives alignment and resizing."""
    drawn = torch.randint(-127, 128, (rows, 3, 7, 7), generator=torch.Generator().manual_seed(0)).float()
    whole = torch.nn.functional.interpolate(drawn, size=(size, size)).to(torch.int8)
    return NoiseBank(rows=whole, identities=tuple(f"row {i}" for i in range(rows)), epsilon=epsilon, form=form, seed=0)


def quick_noise(*, epsilon=16 / 255, form="class-wise", max_rounds=60, publication=False, gray=0.0):
    """In place of ``faceguard.generate.face_noise``: settings that end within a second."""
    steps = {"train_steps": 2, "batch_size": 12, "stop_error": 0.99, "cells": 28 if publication else None}
    steps |= {"publication": Publication(compressed=0, gray=gray)} if gray else {}
    return NoiseSettings(form=form, epsilon=epsilon, step_size=epsilon / 10, max_rounds=max_rounds, **steps)


def interrupt_after(monkeypatch, calls):
    """From now on, bars press Ctrl-C on the user's behalf when they have advanced ``calls`` times since the photos were read."""
    left = iter(range(calls - 1))

    def advance(name, *_):
        if name != "photos read" and next(left, None) is None:
            raise KeyboardInterrupt

    @contextmanager
    def bars():
        yield advance

    monkeypatch.setattr(terminal, "bars", bars)


def pixels_of(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)
