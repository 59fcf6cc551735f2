"""Batches by number: the right entries on the network's device, wherever a table lies, and no wait for a GPU on the way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard import device as module
from faceguard.device import fits
from faceguard.gather import Numbers, batches, fetch, send, settle
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
    assert send(TABLE, torch.device("cpu")) is settle(TABLE, torch.device("cpu")) is TABLE


def test_a_table_that_does_not_fit_stays_where_it_is(monkeypatch):
    monkeypatch.setattr("faceguard.gather.fits", lambda device, needed: needed <= 95)
    with Waits():
        assert settle(TABLE, DEVICE) is TABLE
        assert isinstance(settle(TABLE[:5], DEVICE), Remote)


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
