"""The process that touches unknown files: ``python -m debias.decoding.worker``.

It reads requests from standard input and answers on standard output until the input ends, which it
does when the parent dies, however that happens. See ``protocol``.
"""

import gc
import hashlib
import os
import resource
import signal
import sys
import warnings
from typing import IO

from PIL import Image

from debias.decoding.decode import as_refused, decode
from debias.decoding.protocol import READY, Item, message, received, unpacked
from debias.decoding.rules import Limits, format_of, read


def main() -> None:
    """Answer requests until there are no more."""
    requests, answers = sys.stdin.buffer, _own_output()
    settings = received(requests.read)
    size, limits = settings["size"], Limits(**settings["limits"])
    confine(limits)
    answers.write(message(READY))
    answers.flush()
    while (values := received(requests.read)) is not None:
        for part in answer(unpacked(values), size, limits):
            answers.write(part)
        answers.flush()


def confine(limits: Limits) -> None:
    """Take from this process what decoding does not need."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = limits.most_pixels
    _lower(resource.RLIMIT_AS, limits.memory)
    _lower(resource.RLIMIT_CORE, 0)  # a core file would hold faces
    _lower(resource.RLIMIT_FSIZE, 0)
    # The default action: the kernel ends the process even inside a decoder that never returns.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    gc.freeze()  # what was imported stays, and need not be looked at again and again


def answer(items: list[Item], size: int, limits: Limits) -> tuple[bytes, ...]:
    """Records of one request, then the pixels of each image."""
    records: list[tuple[object, ...]] = []
    pixels: list[bytes] = []
    for item in items:
        signal.setitimer(signal.ITIMER_REAL, limits.seconds)
        record, face = _read(item, size, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        records.append(record)
        pixels.append(face)
    return message(records), b"".join(pixels)


def _read(item: Item, size: int, limits: Limits) -> tuple[tuple[object, ...], bytes]:
    """The record of an image and its pixels, or why there are none."""
    try:
        content = read(item.place, limits.most_bytes)
    except Exception as error:  # one file never ends the others
        refused = as_refused(error)
        return (refused.reason, refused.detail, "", refused.size, "", None), b""
    digest = hashlib.sha256(content).hexdigest()
    try:
        found = decode(content, size, limits, item.crop)
        return (digest, ", ".join(found.notes)), found.face.tobytes()
    except Exception as error:
        refused = as_refused(error)
        about = len(content), format_of(content), refused.dimensions
        return (refused.reason, refused.detail, digest, *about), b""


def _lower(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _own_output() -> IO[bytes]:
    """Standard output for us alone: what a library prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return answers


if __name__ == "__main__":
    main()
