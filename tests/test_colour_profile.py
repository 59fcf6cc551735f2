"""A colour profile keeps what a conversion reads, and nothing that tells a device, a person or a day."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from faceguard.colour_profile import colours_only

SECRETS = (b"SN-4711", b"Anna's screen", b"APPL", b"fgmk", b"fgmd", b"fgcr", struct.pack(">6H", 2024, 5, 6, 7, 8, 9))


def profile(version: int, *, gamma: float = 1.8) -> bytes:
    """An RGB profile with a serial number, a maker, a day, and what else SECRETS names (ICC.1:2022, 7.2 and 7.3)."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(256 * gamma))
    tags = [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    matrix = {
        b"rXYZ": (0.6, 0.3, 0.0),
        b"gXYZ": (0.2, 0.6, 0.1),
        b"bXYZ": (0.16, 0.1, 0.72),
        b"wtpt": (0.9642, 1, 0.8249),
    }
    for name, values in matrix.items():
        tags.append((name, b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(65_536 * one)) for one in values)))
    tags += [(b"mmod", b"mmod" + bytes(4) + SECRETS[0] + b"\0"), (b"desc", b"text" + bytes(4) + SECRETS[1] + bytes(3))]
    start, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags:
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"fgpr", version << 24, b"mntr", b"RGB ", b"XYZ ")
    head += SECRETS[-1] + b"acsp" + b"APPL" + bytes(4) + b"fgmk" + b"fgmd" + bytes(12)
    head += b"".join(struct.pack(">i", round(65_536 * one)) for one in (0.9642, 1, 0.8249)) + b"fgcr"
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


KEPT = colours_only(profile(4))


def in_srgb(icc: bytes) -> np.ndarray:
    levels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(levels), source, ImageCms.createProfile("sRGB")))


@pytest.mark.parametrize("version", [2, 4])
def test_nothing_that_tells_a_device_or_a_day_is_left_and_colours_are_converted_as_before(version: int) -> None:
    whole = profile(version)
    kept = colours_only(whole)
    assert kept is not None and all(secret in whole and secret not in kept for secret in SECRETS)
    assert np.array_equal(in_srgb(kept), in_srgb(whole))
    assert not np.array_equal(in_srgb(kept), in_srgb(profile(version, gamma=2.2)))
    assert colours_only(kept) == kept
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(kept))).strip() == "Colours of a photo"


def test_two_devices_with_equal_colours_have_equal_profiles() -> None:
    whole = profile(4)
    assert colours_only(whole.replace(b"SN-4711", b"SN-0815").replace(b"Anna's", b"Berta's")) == colours_only(whole)


def test_a_damaged_profile_is_none() -> None:
    whole = profile(2)
    assert colours_only(b"") is colours_only(b"no profile") is None
    assert all(colours_only(whole[:length]) is None for length in range(0, 300, 7))
    assert colours_only(whole[:128] + b"\xff\xff\xff\xff" + whole[132:]) is None
