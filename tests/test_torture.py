"""The torture folder: every format and oddity that people have. Each file ends protected, or reported with a reason."""

import io
import json
import os
import re
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
import skimage.data
from commands import coarse_bank
from PIL import ExifTags, Image

from faceguard import photo
from faceguard.cli import main

NO_FACE = "No face was found"


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def heic(image):
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=90)
    return file.getvalue()


def png16(pixels):
    """A PNG of sixteen bits a channel, which Pillow cannot write: its chunks by hand."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb():
    """A PNG header that claims 60,000 x 60,000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def person():
    return Image.fromarray(skimage.data.astronaut()[:320, 60:380])


def good(person):
    """Name -> a file in which the face must be protected."""
    translucent = person.convert("RGBA")
    translucent.putalpha(Image.linear_gradient("L").resize(person.size))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Model] = "a camera"
    lying = person.transpose(Image.Transpose.ROTATE_90)
    return {
        "baseline.jpg": encoded(person, "JPEG", quality=92),
        "progressive.jpeg": encoded(person, "JPEG", progressive=True),
        "cmyk.jpg": encoded(person.convert("CMYK"), "JPEG"),
        "gray.jpg": encoded(person.convert("L"), "JPEG"),
        "lying.jpg": encoded(lying, "JPEG", exif=exif),
        "eight.png": encoded(person, "PNG"),
        "sixteen.png": png16(np.asarray(person)),
        "palette.png": encoded(person.quantize(256), "PNG"),
        "alpha.png": encoded(translucent, "PNG"),
        "lossy.webp": encoded(person, "WEBP", quality=90),
        "lossless.webp": encoded(translucent, "WEBP", lossless=True),
        "pages.tif": encoded(person, "TIFF", compression="tiff_lzw"),
        "plain.bmp": encoded(person, "BMP"),
        "apple.heic": heic(person),
        "wrong.png": encoded(person, "JPEG", quality=95),
        "deep/er/still/anna.png": encoded(person, "PNG"),
        "-o.png": encoded(person, "PNG"),
        "übermäßig 顔 😀.png": encoded(person, "PNG"),
        "n" * 251 + ".png": encoded(person, "PNG"),
        "<b> & [red].png": encoded(person, "PNG"),
    }


def bad(person):
    """Name -> (a file that cannot be protected, words of the reason)."""
    frames = [person.resize((40, 40)), person.resize((40, 40)).rotate(90)]
    whole = encoded(person, "JPEG")
    animated = {"save_all": True, "append_images": frames[1:]}
    return {
        "animated.gif": (encoded(frames[0], "GIF", **animated), "is an animated (GIF|PNG|WEBP), not one photo"),
        "animated.webp": (encoded(frames[0], "WEBP", **animated), "is an animated (GIF|PNG|WEBP), not one photo"),
        "animated.png": (encoded(frames[0], "PNG", **animated), "is an animated (GIF|PNG|WEBP), not one photo"),
        "album.tiff": (encoded(frames[0], "TIFF", **animated), "is a TIFF with 2 pages"),
        "truncated.jpg": (whole[: len(whole) // 2], "is damaged"),
        "zero.jpg": (b"", "empty"),
        "text.jpg": (b"these are words", "is not a picture that can be read"),
        "one.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), NO_FACE),
        "strip.png": (encoded(Image.new("RGB", (20_000, 50)), "PNG"), NO_FACE),
        "bomb.png": (bomb(), "claims more pixels than is safe"),
        "cut.png": (encoded(person.crop((130, 0, 320, 320)), "PNG"), "is cut by the photo's edge"),
        "sky.png": (encoded(Image.new("RGB", (300, 200), (90, 140, 220)), "PNG"), NO_FACE),
        "folder.jpg/readme.txt": (b"a folder with a photo's name", None),
    }


@pytest.fixture(scope="module")
def torture(tmp_path_factory, person):
    """The folder, run once through the command line; exit code, what it printed, and where."""
    root = tmp_path_factory.mktemp("torture")
    source, out = root / "photos", root / "photos" / "out"
    files = good(person) | {name: data for name, (data, _) in bad(person).items()}
    for name, data in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (source / ".hidden.jpg").write_bytes(files["baseline.jpg"])
    (source / "manifest.jsonl").write_text("not ours")
    (root / "elsewhere.jpg").write_bytes(files["baseline.jpg"])
    (source / "link.jpg").symlink_to(root / "elsewhere.jpg")
    (source / "manifest.jsonl.d").mkdir()
    os.mkfifo(source / "pipe.jpg")
    coarse_bank().save(root / "bank")
    return source, out, root / "bank"


@pytest.fixture(scope="module")
def outcome(torture):
    source, out, bank = torture
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as left:
        main(["protect", str(source), str(out), "--noise", str(bank), "--identity", "anna", "--seed", "0"])
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    return left.value.code, {line["source"]: line for line in lines}, before


def test_every_good_photo_is_protected_and_every_other_has_its_reason(outcome, person):
    code, lines, _ = outcome
    assert code == 1
    assert {name for name, line in lines.items() if line["status"] == "protected"} == set(good(person))
    wanted = {name: words for name, (_, words) in bad(person).items() if words} | {
        "link.jpg": "leads out of the folder",
        "pipe.jpg": "no ordinary file",
    }
    assert {name for name, line in lines.items() if line["status"] == "failed"} == set(wanted)
    for name, words in wanted.items():
        assert re.search(words, lines[name]["reason"]), (name, lines[name]["reason"])
        assert lines[name]["reason"].endswith(".")


def test_nothing_but_protected_photos_and_the_manifest_is_written_and_no_input_changes(outcome, torture):
    source, out, _ = torture
    _, lines, before = outcome
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {line["output"] for line in lines.values() if line["output"]} | {"manifest.jsonl"}
    assert {path: path.read_bytes() for path in before} == before
    assert not any(path.name.startswith(".faceguard") for path in source.rglob("*"))


def test_each_keeps_the_budget_its_alpha_and_its_shape_and_says_how_much_noise_a_trainer_finds(outcome, torture):
    source, out, _ = torture
    for name, line in outcome[1].items():
        if line["status"] == "protected":
            original, written = photo.read(source / name), photo.read(out / line["output"])
            change = np.abs(original.pixels.astype(int) - written.pixels)
            assert 0 < change.max() == line["max_change"] <= 16, name
            assert not change[230:].any(), name
            assert (original.alpha is None) == (written.alpha is None)
            assert original.alpha is None or np.array_equal(original.alpha, written.alpha)
            assert line["noise_kept"] > 0.8, (name, line["noise_kept"])


def test_a_second_run_with_resume_changes_nothing(outcome, torture):
    source, out, bank = torture
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as left:
        words = ("--noise", str(bank), "--identity", "anna", "--seed", "0", "--resume")
        main(["protect", str(source), str(out), *words])
    assert left.value.code == 1
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
