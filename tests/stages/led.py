"""Two processes that train together: this one leads, and a second one helps it."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from debias.pipeline import ranks
from debias.training import parallel, team
from debias.training.checkpoint import checkpoints

HELP = "from debias.pipeline.ranks import leading\nwith leading():\n    pass"


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


@contextmanager
def led():
    """The helper's process; it has ended when the block has."""
    about = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test",
    }  # fmt: skip
    own = {"RANK": "0", "LOCAL_RANK": "0"}
    theirs = about | {"RANK": "1", "LOCAL_RANK": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    helper = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HELP],
        env=os.environ | theirs, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (about | own).items():
                patch.setenv(name, value)
            with ranks.leading() as leads:
                assert leads
                yield helper
        helper.wait(timeout=20)
    finally:
        helper.kill()
        if team.distributed.is_initialized():
            team.leave()


def both(function, *given):
    """What a function makes here while the helper does the same; it takes no helper's answer."""
    here = ranks._At.team
    here.send((_called, (function, given)))
    with parallel.training(here), checkpoints(None):
        return function(*given)


def _called(piece, tracker):
    function, given = piece
    function(*given)
