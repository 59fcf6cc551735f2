"""Classification sets from where their authors publish them: fetched on request, kept when the published MD5 is right.

Addresses and MD5s are torchvision's own where it has the set. An MD5 finds damage; it is no defence against whoever means
harm, and needs none: what is fetched is unpacked and read, never executed (see ``readers.pickled``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from faceguard.errors import DataError


@dataclass(frozen=True)
class Download:
    """A file to fetch, and its known MD5."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        """What the file is called on disk."""
        return self.url.rsplit("/", 1)[1]


PAGES = {
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar.html",
    "cifar100": "https://www.cs.toronto.edu/~kriz/cifar.html",
    "svhn": "http://ufldl.stanford.edu/housenumbers/",
    "imagenette-128": "https://github.com/fastai/imagenette",
    "tiny-imagenet-32": "http://cs231n.stanford.edu/",
}
# torchvision 0.29 keeps the first of these where only it may look. It lacks the second: its authors give no MD5, this one is
# what several public loaders of the set expect.
IMAGENETTE = Download(
    "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz", "e793b78cc4c9e9a4ccc0c1155377a412"
)
TINY_IMAGENET = Download("http://cs231n.stanford.edu/tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de")
ON_REQUEST = {
    "imagenet-100": "ImageNet is given to researchers who ask at https://image-net.org/download.php; unpack train and val of"
    " ILSVRC 2012 into {folder}/imagenet/train/n01440764/ and {folder}/imagenet/val/n01440764/, one folder per class. The"
    " first 100 classes are enough.",
    "celeba": "CelebA's photos are linked from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, and its authors send"
    " identity_CelebA.txt to researchers who ask; put them into {folder}/celeba/img_align_celeba/ and {folder}/celeba/.",
    "casia-webface": "CASIA-WebFace is given to researchers by its authors (Yi et al. 2014, CBSR), and aligned editions are"
    " listed at https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_; put train.rec with train.idx,"
    " or a folder per identity, into {folder}/casia-webface/.",
    "lfw": "LFW's page http://vis-www.cs.umass.edu/lfw/ is often out of reach; scikit-learn's fetch_lfw_pairs gets a copy with"
    " pairs.txt. Put the photos into {folder}/lfw/images/NAME/NAME_0001.jpg, and pairs.txt beside images.",
}


def downloads(name: str) -> tuple[Download, ...]:
    """What has to be fetched for the set ``name``, one of PAGES."""
    from torchvision.datasets import CIFAR10, CIFAR100, SVHN

    if name == "svhn":
        parts = (SVHN.split_list[split] for split in ("train", "test"))
        return tuple(Download(url, md5) for url, _, md5 in parts)
    if name in ("cifar10", "cifar100"):
        edition = CIFAR10 if name == "cifar10" else CIFAR100
        return (Download(edition.url, edition.tgz_md5),)
    return (IMAGENETTE if name == "imagenette-128" else TINY_IMAGENET,)


def fetch_set(name: str, folder: Path, *, announce: Callable[[str], None]) -> Path:
    """Fetch the set ``name`` into ``folder``/``name`` and unpack it there; ``announce`` is told each address beforehand.

    Nothing has the final name before all of it is there; an interrupted download starts again with the file it was at.
    Raises DataError when the set cannot be fetched freely, is there already, does not arrive, or has another MD5.
    """
    if name not in PAGES:
        raise DataError(ON_REQUEST[name].format(folder=folder))
    path = folder / name
    if path.exists():
        raise DataError(f"{path} already exists and is not overwritten; remove it or choose another --into.")
    arriving = path.with_name(name + ".partial")
    for download in downloads(name):
        announce(f"{download.url}, from the project page {PAGES[name]}")
        _receive(download, arriving)
    for download in downloads(name):
        _unpack(arriving / download.name)
    arriving.rename(path)
    return path


def _receive(download: Download, folder: Path) -> None:
    from torchvision.datasets.utils import download_url

    try:
        download_url(download.url, folder, filename=download.name, md5=download.md5)
    except (OSError, HTTPException, RecursionError) as error:
        raise DataError(
            f"{download.url} cannot be fetched ({error}); check the connection and the disk, then give the command again."
        ) from error
    except RuntimeError as error:  # how torchvision says that the MD5 is another
        (folder / download.name).unlink(missing_ok=True)
        raise DataError(
            f"{download.url} arrived with another MD5 than the published {download.md5}: it was damaged or replaced. It"
            " was removed; give the command again."
        ) from error


def _unpack(archive: Path) -> None:
    """Unpack an archive beside itself and remove it; other files stay as they are."""
    from torchvision.datasets.utils import extract_archive

    if archive.suffix not in (".gz", ".tgz", ".zip"):
        return
    try:
        extract_archive(archive, archive.parent)
        archive.unlink()
    except (OSError, EOFError) as error:
        raise DataError(f"{archive} cannot be unpacked ({error}); free some space and try again.") from error


def unlike_published(files: Iterable[Path]) -> list[Path]:
    """Those of CIFAR's and SVHN's own ``files`` that are there under a published name with another MD5."""
    from torchvision.datasets import CIFAR10, CIFAR100, SVHN
    from torchvision.datasets.utils import check_md5

    md5 = {name: md5 for _, name, md5 in SVHN.split_list.values()}
    for edition in (CIFAR10, CIFAR100):
        md5 |= dict([*edition.train_list, *edition.test_list, (edition.meta["filename"], edition.meta["md5"])])
    return [file for file in files if file.name in md5 and file.is_file() and not check_md5(file, md5[file.name])]
