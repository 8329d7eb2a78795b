"""Memory that is not there: one paragraph, whatever library missed it."""

import pytest
import torch
from torch import nn

from debias.errors import OutOfMemoryError, memory_explained
from debias.models import ConvClassifier
from debias.training import device
from debias.training.device import choose


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("could not create a primitive"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_every_library_says_it_its_own_way(error):
    with pytest.raises(OutOfMemoryError, match="smaller batch_size"), memory_explained():
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), OSError(2, "No such file")])
def test_what_is_not_about_memory_stays_what_it_is(error):
    with pytest.raises(type(error)) as raised, memory_explained():
        raise error
    assert raised.value is error


def test_a_network_that_cannot_be_trained_here_is_refused_before_it_takes_memory(monkeypatch):
    compute = choose("cpu", "float32")
    with pytest.raises(OutOfMemoryError, match=r"takes 1,490 GiB and more.*choose a smaller one"):
        compute.build(lambda: nn.Linear(100_000, 1_000_000))
    monkeypatch.setattr(device, "_memory", lambda: 4 * 4 * 11 - 1)
    with pytest.raises(OutOfMemoryError):
        compute.build(lambda: nn.Linear(10, 1))


def test_counting_a_network_changes_no_random_number():
    found = []
    for build in (choose("cpu", "float32").build, lambda make: make()):
        torch.manual_seed(0)
        network = build(lambda: ConvClassifier(width=4).build(2))
        found.append([*network.parameters(), torch.rand(1)])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
