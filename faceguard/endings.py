"""What a file's name says about it: which endings photos have, which are read here and which are not.

What is in a file is decided by its content alone (`faceguard.formats`).
"""

# Files with these endings are photos; those that cannot be read are reported, never passed over.
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".mpo", ".png", ".apng", ".webp", ".bmp"}
    | {".gif", ".tif", ".tiff", ".heic", ".heif", ".hif", ".heics", ".heifs", ".avif", ".avifs"}
)
_RAW = (
    {".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".arq", ".srf", ".sr2", ".orf", ".ori", ".rw2"}
    | {".rwl", ".raf", ".pef", ".srw", ".x3f", ".3fr", ".fff", ".iiq", ".eip", ".mos", ".mef", ".mrw", ".mdc", ".gpr"}
    | {".dcr", ".dcs", ".kdc", ".k25", ".erf", ".bay", ".ari", ".pxn"}
)
_OTHER_PICTURES = {
    ".jp2",
    ".j2k",
    ".j2c",
    ".jpc",
    ".jpf",
    ".jpx",
    ".jpm",
    ".jls",
    ".jxl",
    ".jxr",
    ".wdp",
    ".hdp",
    ".psd",
    ".psb",
} | {".xcf", ".dib", ".exr", ".tga", ".pcx", ".qoi", ".pbm", ".pgm", ".ppm", ".pnm"}
# photos too, of formats that are not read here: named, never passed over, unless the same photo lies beside them in another
UNREAD_SUFFIXES = frozenset(_RAW | _OTHER_PICTURES)
# Files that are not worth a word where they lie among photos: what systems put there, and what this program does.
UNMENTIONED = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "icon\r",
        "manifest.jsonl",
        "check.html",
        "check.json",
    }
)
