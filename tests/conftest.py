"""Fixtures that several test modules share."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # one thread for each of the processes that share the cores, before torch is loaded
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real research photos; CI always has it, a stranger's clone may not."""
    folder = os.environ.get("FACEGUARD_DATA")
    if folder is None:
        pytest.skip("FACEGUARD_DATA is not set; this test reads real photos")
    path = Path(folder)
    if not (path / "celeba-100").is_dir():
        pytest.fail(f"FACEGUARD_DATA={folder} holds no celeba-100/; point it at the research data or unset it")
    return path


@pytest.fixture(autouse=True)
def own_config(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or makes the secret, or keeps anything in the cache, of whoever runs it."""
    monkeypatch.setenv("FACEGUARD_CONFIG", str(tmp_path_factory.getbasetemp() / "config"))
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """A context in which no file grows beyond a hundred bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="only POSIX can limit the size of files")

    @contextmanager
    def full() -> Iterator[None]:
        usual = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, usual[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)

    return full
