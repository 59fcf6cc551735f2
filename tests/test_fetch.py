"""Fetching classification sets from a publisher that is a folder of this test: faceguard.fetch."""

import hashlib
import shutil
import tarfile
import zipfile
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
from small_sets import write_cifar10, write_cifar100, write_imagenet, write_svhn
from torchvision import datasets as published
from torchvision.datasets import utils

from faceguard import fetch
from faceguard.datasets import NAMES, load_set
from faceguard.errors import DataError
from faceguard.fetch import Download, fetch_set, unlike_published


def archived(folder: Path, file: Path) -> Path:
    """The folder in an archive of its own, as publishers pack it."""
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w") as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder.parent))
    else:
        with tarfile.open(file, "w:gz") as archive:
            archive.add(folder, folder.name)
    return file


def serve(monkeypatch: pytest.MonkeyPatch, *files: Path, md5: str | None = None) -> None:
    """From now on every set is these files, with their own MD5 unless another is given, and comes from this disk."""
    digest = {file: md5 or hashlib.md5(file.read_bytes()).hexdigest() for file in files}
    found = tuple(Download(file.as_uri(), digest[file]) for file in files)
    monkeypatch.setattr(fetch, "downloads", lambda name: found)
    monkeypatch.setattr(utils, "_urlretrieve", lambda url, file: shutil.copyfile(unquote(urlparse(url).path), file))


def publish(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> None:
    match name:
        case "cifar10":
            write_cifar10(folder / "cifar-10-batches-py")
            serve(monkeypatch, archived(folder / "cifar-10-batches-py", folder / "cifar-10-python.tar.gz"))
        case "cifar100":
            write_cifar100(folder / "cifar-100-python")
            serve(monkeypatch, archived(folder / "cifar-100-python", folder / "cifar-100-python.tar.gz"))
        case "svhn":
            write_svhn(folder / "svhn")
            serve(monkeypatch, *(folder / "svhn" / f"{split}_32x32.mat" for split in ("train", "test")))
        case "imagenette-128":
            write_imagenet(folder / "imagenette2-160", size=(180, 160))
            serve(monkeypatch, archived(folder / "imagenette2-160", folder / "imagenette2-160.tgz"))
        case "tiny-imagenet-32":
            write_imagenet(folder / "tiny-imagenet-200", photos=5, test=0, size=(64, 64))
            serve(monkeypatch, archived(folder / "tiny-imagenet-200", folder / "tiny-imagenet-200.zip"))


@pytest.mark.parametrize("name", fetch.PAGES)
def test_a_fetched_set_can_be_loaded_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    publish(monkeypatch, tmp_path / "publisher", name)
    told: list[str] = []
    path = fetch_set(name, tmp_path / "data", announce=told.append)
    assert path == tmp_path / "data" / name
    train, test = load_set(name, tmp_path / "data")
    assert train.names == test.names and len(train) > len(test) > 0
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [name]
    assert not [file for file in path.rglob("*") if file.suffix in (".gz", ".tgz", ".zip")]
    assert len(told) == (2 if name == "svhn" else 1)
    assert all(what.startswith("file://") and what.endswith(fetch.PAGES[name]) for what in told)


def test_what_has_another_md5_is_removed_and_never_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, tmp_path, "cifar10")
    serve(monkeypatch, tmp_path / "cifar-10-python.tar.gz", md5="0" * 32)
    monkeypatch.delattr(utils, "extract_archive")
    with pytest.raises(
        DataError, match=r"arrived with another MD5 than the published 0{32}: it was damaged or replaced"
    ):
        fetch_set("cifar10", tmp_path / "data", announce=len)
    assert not [file for file in (tmp_path / "data").rglob("*") if file.is_file()]
    monkeypatch.undo()
    serve(monkeypatch, tmp_path / "cifar-10-python.tar.gz")
    assert fetch_set("cifar10", tmp_path / "data", announce=len).is_dir()


@pytest.mark.parametrize("error", [OSError("no route"), IncompleteRead(b"", 9), RecursionError("too many redirects")])
def test_a_failing_connection_is_a_sentence_and_what_arrived_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    publish(monkeypatch, tmp_path, "svhn")
    real, asked = utils.download_url, []

    def download_url(url: str, *words: Any, **more: Any) -> None:
        asked.append(url)
        if len(asked) == 2:
            raise error
        real(url, *words, **more)

    monkeypatch.setattr(utils, "download_url", download_url)
    with pytest.raises(DataError, match=r"test_32x32\.mat cannot be fetched .*check the connection"):
        fetch_set("svhn", tmp_path / "data", announce=len)
    assert not (tmp_path / "data/svhn").exists()
    (tmp_path / "svhn/train_32x32.mat").unlink()  # it is not needed again
    assert fetch_set("svhn", tmp_path / "data", announce=len) == tmp_path / "data/svhn"


def test_nothing_is_overwritten_or_even_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(utils, "download_url")
    (tmp_path / "svhn").mkdir()
    with pytest.raises(DataError, match="svhn already exists and is not overwritten"):
        fetch_set("svhn", tmp_path, announce=len)


@pytest.mark.parametrize("name", fetch.ON_REQUEST)
def test_sets_on_request_say_where_to_ask_and_where_to_put_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"https?://.*{tmp_path}/(imagenet|{name})/.*\.$"):
        fetch_set(name, tmp_path, announce=len)
    assert not list(tmp_path.iterdir())


def test_every_known_set_is_fetched_or_asked_for() -> None:
    assert set(NAMES) <= fetch.PAGES.keys() | fetch.ON_REQUEST.keys()
    assert not fetch.PAGES.keys() & fetch.ON_REQUEST.keys()


def test_addresses_and_md5s_are_torchvisions() -> None:
    assert fetch.downloads("cifar10") == (Download(published.CIFAR10.url, published.CIFAR10.tgz_md5),)
    assert fetch.downloads("cifar100") == (Download(published.CIFAR100.url, published.CIFAR100.tgz_md5),)
    assert [file.name for file in fetch.downloads("svhn")] == ["train_32x32.mat", "test_32x32.mat"]
    assert [file.md5 for file in fetch.downloads("svhn")] == [
        published.SVHN.split_list[s][2] for s in ("train", "test")
    ]
    assert fetch.downloads("cifar10")[0].name == published.CIFAR10.filename
    imagenette = fetch.downloads("imagenette-128")[0]
    assert (imagenette.url, imagenette.md5) == published.Imagenette._ARCHIVES["160px"]
    assert all(len(file.md5) == 32 for name in fetch.PAGES for file in fetch.downloads(name))


def test_only_files_with_a_published_name_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / name for name in ("data_batch_1", "data_batch_2", "holiday.jpg")]
    for file in files:
        file.write_bytes(file.name.encode())
    right = hashlib.md5(b"data_batch_2").hexdigest()
    monkeypatch.setattr(published.CIFAR10, "train_list", [["data_batch_1", "0" * 32], ["data_batch_2", right]])
    assert unlike_published([*files, tmp_path / "test_batch"]) == files[:1]
