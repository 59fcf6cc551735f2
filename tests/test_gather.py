"""Batches by number: the right entries on the network's device, wherever a table lies, and no wait for a GPU on the way."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard import device as module
from faceguard.device import fits
from faceguard.errors import DataError
from faceguard.gather import Filed, Numbers, as_table, batches, fetch, send, settle
from tests.waiting import DEVICE, Remote, Waits

TABLE = torch.arange(24.0).view(6, 2, 2)
ORDER = torch.tensor([5, 0, 3, 3, 1])


def test_numbers_on_the_cpu_are_one_tensor():
    for here, there in batches(ORDER, 2, torch.device("cpu")):
        assert here is there or here.data_ptr() == there.data_ptr()


@pytest.mark.parametrize("where", ["cpu", "device"])
def test_entries_arrive_on_the_device_in_order_from_wherever_the_table_lies(where):
    with Waits() as counted:
        table = TABLE.to(DEVICE) if where == "device" else TABLE
        counted.waits.clear()
        found = [numbers.of(table) for numbers in batches(ORDER, 2, DEVICE)]
        assert counted.waits == []
    assert all(isinstance(part, Remote) for part in found)
    assert torch.equal(torch.cat([part.inner for part in found]), TABLE[ORDER])
    assert [len(part) for part in found] == [2, 2, 1]


def test_numbers_beside_a_table_are_those_on_its_device():
    numbers = Numbers(ORDER, Remote(ORDER))
    assert numbers.beside(TABLE) is numbers.here
    assert numbers.beside(Remote(TABLE)) is numbers.there


def test_entries_are_copies():
    for part in (fetch(TABLE, ORDER, torch.device("cpu")), batches(ORDER, 9, torch.device("cpu"))[0].of(TABLE)):
        assert torch.equal(part, TABLE[ORDER])
        part.zero_()
    assert TABLE.sum() == 276


def test_on_the_cpu_nothing_is_copied_to_stay_there():
    assert send(TABLE, torch.device("cpu")) is TABLE
    assert settle(TABLE.numpy(), torch.device("cpu")).data_ptr() == TABLE.data_ptr()


def test_a_table_that_does_not_fit_stays_where_it_is(monkeypatch):
    monkeypatch.setattr("faceguard.gather.fits", lambda device, needed: needed <= 95)
    with Waits():
        assert settle(TABLE.numpy(), DEVICE).data_ptr() == TABLE.data_ptr()
        assert isinstance(settle(TABLE[:5].numpy(), DEVICE), Remote)


# ---- tables in files


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "table.npy", TABLE.numpy())
    return np.load(tmp_path / "table.npy", mmap_mode="c")


def test_a_mapped_table_is_read_from_its_file_and_arrives_like_any_other(mapped):
    with Waits():
        for place in (torch.device("cpu"), DEVICE):
            read = [numbers.of(as_table(mapped)) for numbers in batches(ORDER, 2, place)]
            assert torch.equal(torch.cat([part.cpu() for part in read]), TABLE[ORDER])
    mapped[:] = 0  # private: the file is what counts
    assert torch.equal(fetch(settle(mapped, torch.device("cpu")), ORDER, torch.device("cpu")), TABLE[ORDER])


def test_a_contiguous_part_of_a_mapped_table_is_read_from_the_file_and_other_views_from_memory(mapped):
    for array in (mapped, mapped[2:], mapped[1:5][1:]):
        assert isinstance(as_table(array), Filed)
        last = torch.tensor([len(array) - 1, 0])
        assert torch.equal(fetch(as_table(array), last, torch.device("cpu")), torch.from_numpy(array[[-1, 0]]))
    for array in (mapped[::2], mapped.transpose(0, 2, 1), mapped[[1, 2]], mapped.view(np.ndarray)):
        assert isinstance(as_table(array), torch.Tensor)
        assert torch.equal(as_table(array), torch.from_numpy(array))


def test_a_mapped_table_that_fits_the_device_is_sent_as_a_whole(monkeypatch, mapped):
    with Waits():
        assert isinstance(settle(mapped, DEVICE), Remote)
        monkeypatch.setattr("faceguard.gather.fits", lambda device, needed: False)
        assert isinstance(settle(mapped, DEVICE), Filed)


def test_a_mapped_table_whose_file_has_lost_its_name_is_read_from_memory(mapped, tmp_path):
    (tmp_path / "table.npy").unlink()
    assert torch.equal(as_table(mapped), TABLE)


def test_a_table_whose_file_was_cut_short_says_so(mapped, tmp_path):
    held = as_table(mapped)
    with (tmp_path / "table.npy").open("r+b") as file:
        file.truncate(mapped.offset + 5 * mapped[0].nbytes - 1)
    assert torch.equal(fetch(held, torch.tensor([3, 0]), torch.device("cpu")), TABLE[[3, 0]])
    with pytest.raises(DataError, match=r"table\.npy has been cut short"):
        fetch(held, torch.tensor([3, 4]), torch.device("cpu"))


# ---- how much fits


@pytest.mark.parametrize(("needed", "expected"), [(0, True), (400, True), (401, False)])
@pytest.mark.parametrize("unused", [0, 300])
def test_photos_stay_on_a_gpu_when_they_take_at_most_their_share_of_its_free_memory(
    monkeypatch, needed, expected, unused
):
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(module.torch.cuda, "mem_get_info", lambda device: (1000 - unused, 5000))
    monkeypatch.setattr(module.torch.cuda, "memory_reserved", lambda device: 700 + unused)
    monkeypatch.setattr(module.torch.cuda, "memory_allocated", lambda device: 700)
    assert fits(gpu, needed) == expected
    assert fits(torch.device("cpu"), 10**15)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_values_of_one_number_become_their_mean_without_asking_the_device(numbers, seed):
    values, given = torch.rand(len(numbers), 2, 3, generator=torch.Generator().manual_seed(seed)), torch.tensor(numbers)
    with Waits() as counted:
        remote = values.to(DEVICE)
        counted.waits.clear()
        which, means = Numbers(given, send(given, DEVICE)).means(remote)
        assert counted.waits == []
    assert sorted(which.here.tolist()) == sorted(set(numbers))
    assert torch.equal(which.there.inner, which.here)
    for number, mean in zip(which.here.tolist(), means.inner, strict=True):
        mine = [value for value, other in zip(values, numbers, strict=True) if other == number]
        torch.testing.assert_close(mean, torch.stack(mine).mean(0))
        assert len(mine) > 1 or torch.equal(mean, mine[0])
