"""Independent random streams: one per (seed, purpose), so that adding one shifts no other."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def stream_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose, such as ``"classifier/order"``."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng(stream_seed(seed, purpose))


def torch_generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device=device).manual_seed(stream_seed(seed, purpose))


@contextmanager
def torch_stream(seed: int, purpose: str) -> Iterator[None]:
    """Give torch's global generator its own stream for a while, then put it back as it was.

    Initialisers and dropout take no generator, so this is the only way to seed them.
    """
    with torch.random.fork_rng():
        restart_stream(seed, purpose)
        yield


def restart_stream(seed: int, purpose: str) -> None:
    """Begin a stream of torch's global generator, inside :func:`torch_stream`."""
    torch.manual_seed(stream_seed(seed, purpose))
