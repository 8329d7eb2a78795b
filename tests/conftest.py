"""Small values that many tests need."""

import os

# Before torch is loaded, and inherited by servers' workers: two networks that share two cores
# with a server spend most of their time waiting for each other's threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from small_store import make_store

from debias.types import FaceStore


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that wait for servers: last, they would keep one worker waiting."""
    slow = {item.path for item in items if item.get_closest_marker("server")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def store() -> FaceStore:
    return make_store()
