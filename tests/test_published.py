"""Published weights: fetched only when asked, believed only with the right SHA-256, and never unpickled."""

import hashlib
import io
import pickle
import zipfile
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from commands import fail, write_corrupt

from faceguard import published
from faceguard.errors import RunError
from faceguard.published import PUBLISHED, Published, load_published


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty cache folder, and a failed test for whoever reaches for the network."""
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("the network was used"))


@pytest.fixture
def serve(monkeypatch):
    """Let the network answer with the given bytes, or error, and say which addresses were asked for."""
    asked = []

    def answer_with(answer):
        def download(url, target, progress=True):
            asked.append(url)
            if isinstance(answer, BaseException):
                Path(target).write_bytes(b"half")
                raise answer
            Path(target).write_bytes(answer)

        monkeypatch.setattr(torch.hub, "download_url_to_file", download)
        return asked

    return answer_with


@pytest.fixture(scope="module")
def facenet_bytes():
    """What facenet-pytorch publishes, with random weights: a state dict with a classifier of its own."""
    from facenet_pytorch import InceptionResnetV1

    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = InceptionResnetV1(classify=True, num_classes=2).state_dict()
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def expect(monkeypatch, name, content):
    """Make ``content`` the one whose SHA-256 is known for ``name``."""
    known = PUBLISHED[name]
    sha256 = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(PUBLISHED, name, Published(url=known.url, sha256=sha256, member=known.member))


def weights(tmp_path):
    return tmp_path / "cache" / "weights"


@pytest.mark.parametrize("name", PUBLISHED)
def test_absent_weights_are_not_fetched_without_being_asked(capsys, tmp_path, name):
    sentence = fail(capsys, "eval-lfw", name, "--lfw", tmp_path, "--out", tmp_path / "out")
    assert f"The weights of {name} are not on this machine; add --download" in sentence
    assert not weights(tmp_path).exists()


def test_every_address_is_secure_and_every_known_hash_is_one():
    assert PUBLISHED.keys() == {"vggface2", "casia-webface", "buffalo_l"}
    for known in PUBLISHED.values():
        assert known.url.startswith("https://github.com/")
        assert known.sha256 is None or (len(known.sha256) == 64 and int(known.sha256, 16))


def test_fetched_weights_with_the_right_hash_embed_faces_and_are_kept(monkeypatch, tmp_path, serve, facenet_bytes):
    expect(monkeypatch, "vggface2", facenet_bytes)
    asked = serve(facenet_bytes)
    model = load_published("vggface2", download=True)
    assert model.size == 160
    with torch.inference_mode():
        embeddings = model.embed(torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0)))
    assert embeddings.shape == (2, 512)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    assert asked == [PUBLISHED["vggface2"].url]
    load_published("vggface2", download=False)
    assert len(asked) == 1
    assert [path.name for path in weights(tmp_path).iterdir()] == ["20180402-114759-vggface2.pt"]


@pytest.mark.parametrize("download", [True, False])
def test_weights_with_another_hash_are_refused(tmp_path, serve, facenet_bytes, download):
    serve(facenet_bytes)
    if not download:
        write_corrupt(weights(tmp_path) / "20180402-114759-vggface2.pt")
    with pytest.raises(RunError, match="does not have the expected SHA-256"):
        load_published("vggface2", download=download)


def test_one_member_of_an_archive_is_kept_and_checked(monkeypatch, tmp_path, serve):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("w600k_r50.onnx", b"the recognizer")
        file.writestr("det_10g.onnx", b"something else")
    expect(monkeypatch, "buffalo_l", b"the recognizer")
    monkeypatch.setattr(published, "OnnxRecognizer", lambda path: path.read_bytes())
    serve(archive.getvalue())
    assert load_published("buffalo_l", download=True) == b"the recognizer"
    assert [path.name for path in weights(tmp_path).iterdir()] == ["w600k_r50.onnx"]


def test_without_a_known_hash_the_first_one_seen_must_stay(tmp_path, serve, facenet_bytes):
    serve(facenet_bytes)
    load_published("casia-webface", download=True)
    load_published("casia-webface", download=False)
    path = weights(tmp_path) / "20180408-102900-casia-webface.pt"
    note = path.with_name(path.name + ".sha256")
    assert note.read_text().strip() == hashlib.sha256(facenet_bytes).hexdigest()
    path.write_bytes(facenet_bytes + b"more")
    with pytest.raises(RunError, match="expected SHA-256"):
        load_published("casia-webface", download=False)


class _Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize(
    "content", [b"<html>not found</html>", b"", pickle.dumps(_Trap(), protocol=2)], ids=["page", "empty", "trap"]
)
def test_a_first_download_that_is_no_weights_is_refused_and_not_remembered(tmp_path, serve, content):
    serve(content)
    with pytest.raises(RunError, match="holds no weights of casia-webface"):
        load_published("casia-webface", download=True)
    path = weights(tmp_path) / "20180408-102900-casia-webface.pt"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "answer", [URLError("no route"), IncompleteRead(b""), b"no archive"], ids=["route", "cut", "zip"]
)
def test_a_failed_download_says_where_to_fetch_by_hand_and_leaves_nothing(tmp_path, serve, answer):
    serve(answer)
    with pytest.raises(RunError, match="fetch it by hand into") as error:
        load_published("buffalo_l", download=True)
    assert PUBLISHED["buffalo_l"].url in str(error.value)
    assert not list(weights(tmp_path).iterdir())


def test_an_archive_without_the_recognizer_is_refused(tmp_path, serve):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("det_10g.onnx", b"something else")
    serve(archive.getvalue())
    with pytest.raises(RunError, match="could not be fetched"):
        load_published("buffalo_l", download=True)
    assert not list(weights(tmp_path).iterdir())


def test_a_cache_folder_that_cannot_be_made_is_a_sentence(monkeypatch, tmp_path, serve):
    serve(b"never asked for")
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "file"))
    with pytest.raises(RunError, match="could not be fetched"):
        load_published("vggface2", download=True)
