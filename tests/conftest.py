"""Small values that many tests need."""

import os

# Before torch is loaded, and inherited by servers' workers: two networks that share two cores
# with a server spend most of their time waiting for each other's threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from small_store import make_store

from debias.types import FaceStore


@pytest.fixture
def store() -> FaceStore:
    return make_store()
