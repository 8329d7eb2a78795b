"""How much one file may cost."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may cost before it is set aside.

    Attributes:
        most_bytes: Largest file, or slice of a file, that is read.
        most_pixels: Largest image that is decoded, by its header.
        seconds: Wall-clock time for one file.
        memory: Address space of one decoding process, bytes.
    """

    most_bytes: int = 64 * 2**20
    most_pixels: int = 50_000_000
    seconds: float = 10.0
    memory: int = 2 * 2**30
