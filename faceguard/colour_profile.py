"""What describes a photo's colours: an ICC profile without what tells a device, a program, a person or a day.

ICC.1:2022, section 7: 128 bytes of header, a table of tags (signature, offset, size), and their data. Screens and cameras add
tags of their own, such as a monitor's serial number; only the tags of the standard that a conversion reads are kept.
"""

import io
import re
import struct
from pathlib import Path

from PIL import ExifTags, Image, ImageCms

from faceguard.formats import DAMAGE, head

_HEADER, _ENTRY = 128, 12
_NEEDED = frozenset(
    {b"wtpt", b"chad", b"cicp", b"kTRC"}
    | {colour + kind for colour in (b"r", b"g", b"b") for kind in (b"XYZ", b"TRC")}
    | {way + intent for way in (b"A2B", b"B2A", b"D2B", b"B2D") for intent in (b"0", b"1", b"2", b"3")}
)
# of the header: preferred program, day and time, platform, device with its maker and attributes, creator, checksum
_TELLING = ((4, 8), (24, 36), (40, 44), (48, 64), (80, 100))
_NAME = "Colours of a photo"
_SRGB_GAMMA = 0.45455  # of a PNG's gAMA
# primaries and transfers of ITU-T H.273 that a viewer takes for sRGB's, or that say nothing
_PLAIN = ((1, 2, 5, 6), (1, 2, 6, 13))


def colours_only(icc: bytes) -> bytes | None:
    """The profile ``icc`` without its private parts, converting colours as before; None when it is damaged."""
    try:
        tags = [(name, data) for name, data in _tags(icc) if name in _NEEDED]
        made = _made(_header(icc), [*tags, (b"desc", _text(icc[8])), (b"cprt", _text(icc[8], copyright_=True))])
        ImageCms.ImageCmsProfile(io.BytesIO(made))
    except (ImageCms.PyCMSError, *DAMAGE):
        return None
    return made


def described_otherwise(image: Image.Image, source: bytes | Path) -> bool:
    """Whether a file without an ICC profile says that its colours are not sRGB: by nclx, cICP, gAMA or EXIF's R03 (Adobe RGB)."""
    start = head(source, 65_536)
    codes = [struct.unpack(">HH", found) for found in re.findall(rb"(?s)colrnclx(.{4})", start)]
    codes += [tuple(found) for found in re.findall(rb"(?s)\0\0\0\x04cICP(..)", start)]
    if any(code not in plain for one in codes for code, plain in zip(one, _PLAIN, strict=True)):
        return True
    gamma = _SRGB_GAMMA if "srgb" in image.info else image.info.get("gamma", _SRGB_GAMMA)
    try:
        space = image.getexif().get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except DAMAGE:
        space = None
    return abs(gamma - _SRGB_GAMMA) > 0.01 or space == "R03"


def _header(icc: bytes) -> bytes:
    header = bytearray(icc[:_HEADER])
    for start, end in _TELLING:
        header[start:end] = bytes(end - start)
    return bytes(header)


def _tags(icc: bytes) -> list[tuple[bytes, bytes]]:
    """Every tag's signature and data; raises ValueError for one that lies outside the profile."""
    (count,) = struct.unpack_from(">I", icc, _HEADER)
    found = []
    for place in range(min(count, len(icc) // _ENTRY)):
        name, start, size = struct.unpack_from(">4sII", icc, _HEADER + 4 + _ENTRY * place)
        if start + size > len(icc):
            raise ValueError(f"the tag {name!r} ends behind the profile")
        found.append((name, icc[start : start + size]))
    return found


def _made(header: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """Header, table and data, each tag's at a multiple of four bytes; equal data are stored once."""
    start = _HEADER + 4 + _ENTRY * len(tags)
    places: dict[bytes, int] = {}
    body = b""
    for _, data in tags:
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
    table = b"".join(struct.pack(">4sII", name, places[data], len(data)) for name, data in tags)
    return struct.pack(">I", start + len(body)) + header[4:] + struct.pack(">I", len(tags)) + table + body


def _text(version: int, *, copyright_: bool = False) -> bytes:
    """A name, or an empty claim, in the form that the profile's major ``version`` asks for."""
    words = "" if copyright_ else _NAME
    if version >= 4:
        wide = words.encode("utf-16-be")
        return b"mluc" + struct.pack(">5I", 0, 1, 12, int.from_bytes(b"enUS"), len(wide)) + struct.pack(">I", 28) + wide
    plain = words.encode("ascii") + b"\0"
    if copyright_:
        return b"text" + bytes(4) + plain
    return b"desc" + struct.pack(">2I", 0, len(plain)) + plain + bytes(4 + 4 + 2 + 1 + 67)
