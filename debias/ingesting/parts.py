"""Decoded images on disk, part by part: a build that was killed goes on where it stopped.

Every part covers a fixed range of the listing and is a sealed folder, so what is there is whole.
What is put together from parts does not depend on where a build was interrupted.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Int64, Shaped, UInt8, UInt64

from debias.errors import ArtifactCorruptError
from debias.storage.files import link, require_space
from debias.storage.sealed import MANIFEST, is_sealed, read_manifest, sealing, verify, write_json
from debias.tracking.tracker import Advance, silent
from debias.types import CROP, ReadBlock, ReadImages, Rejected, ShardedImages

PART_BYTES = 64 * 2**20  # of pixels; what a build holds in memory is a small multiple of it
ROWS_MULTIPLE = 64
IMAGES, PERCEPTUAL = "images.npy", "perceptual.npy"
FOUND, REJECTED = "found.parquet", "rejected.json"
NOTES = "decode_notes"  # in tables beside columns of other people, who may have notes of their own
# What may go well the next time although the file is the same.
BAD_LUCK = frozenset({"took too long", "decoder died", "out of memory"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """Every image that could be read, in the order of the listing."""

    samples: pd.DataFrame  # rows of those images, with ``sha256`` and ``decode_notes``
    images: ShardedImages  # their pixels, one memory-mapped shard a part
    perceptual: UInt64[np.ndarray, "n 4"]  # their perceptual hashes
    rejected: list[Rejected]  # what could not be read
    parts: tuple[Path, ...]  # folder of each shard


@dataclass(frozen=True, eq=False)
class Source:
    """One earlier store or part: pixels and perceptual hashes of the rows of ``samples``.

    These have ``sha256``, ``notes`` and, where a framing was used, the square.
    """

    samples: pd.DataFrame
    shards: Sequence[np.ndarray]
    perceptual: UInt64[np.ndarray, "n 4"]


@dataclass(frozen=True, eq=False)
class Known:
    """Pixels by content of the file and the square that was cut out of it, each once."""

    identity: pd.Index
    sha256: Shaped[np.ndarray, " n"]
    images: ShardedImages
    perceptual: UInt64[np.ndarray, "n 4"]
    notes: Shaped[np.ndarray, " n"]

    def rows(self, samples: pd.DataFrame) -> Int64[np.ndarray, " m"]:
        """Row of each sample here, -1 for those that are not here."""
        rows = self.identity.get_indexer(_identity(samples)).astype(np.int64)
        agree = self.sha256[rows] == samples["sha256"].to_numpy(dtype=object)
        return np.where(agree, rows, -1)


def known(sources: Sequence[Source]) -> Known | None:
    """Everything that earlier stores and parts hold; None without any."""
    filled = [source for source in sources if len(source.samples)]
    if not filled:
        return None
    index = pd.Index(np.concatenate([_identity(source.samples) for source in filled]))
    first = np.flatnonzero(~index.duplicated())

    def column(name: str) -> Shaped[np.ndarray, " n"]:
        return np.concatenate([one.samples[name].to_numpy(dtype=object) for one in filled])[first]

    return Known(
        identity=index[first],
        sha256=column("sha256"),
        images=ShardedImages([shard for source in filled for shard in source.shards], first),
        perceptual=np.concatenate([source.perceptual for source in filled])[first],
        notes=column("notes"),
    )


def _identity(samples: pd.DataFrame) -> pd.Index:
    """64 bits that tell contents and squares apart."""
    columns: dict[str, object] = {"sha256": samples["sha256"].astype(object)}
    for name in CROP:
        columns[name] = samples[name].astype(np.float64) if name in samples else np.nan
    table = pd.DataFrame(columns, index=samples.index)
    return pd.Index(pd.util.hash_pandas_object(table, index=False).to_numpy())


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What is to be decoded."""

    samples: pd.DataFrame  # by ``sample_id``; with ``sha256`` (empty: unreadable) if hashed before
    size: int  # side of the square images, pixels
    fingerprint: str = ""  # stands for the content where there are no files to hash
    known: Known | None = None  # images that were decoded before
    retry: bool = False  # read again what failed by bad luck
    decoded_by: str = ""  # version of the rules by which files become pixels

    @property
    def parts(self) -> list[pd.DataFrame]:
        """Rows of each part, so many that their pixels take at most 64 MiB."""
        at_most = PART_BYTES // (self.size * self.size * 3)
        rows = max(1, at_most // ROWS_MULTIPLE) * ROWS_MULTIPLE
        starts = range(0, len(self.samples), rows)
        return [self.samples.iloc[start : start + rows] for start in starts]

    def known_rows(self, part: pd.DataFrame) -> Int64[np.ndarray, " n"]:
        """Row of each sample among the known images, -1 for those that are to be decoded."""
        if self.known is None or "sha256" not in part:
            return np.full(len(part), -1)
        return self.known.rows(part)


def decode_parts(
    folder: Path, listing: Listing, read: ReadImages, advance: Advance = silent
) -> Decoded:
    """Decode what is not there yet, and open all of it.

    Nobody else may write to the folder meanwhile; ``read`` turns rows into pixels, in their order.

    Raises:
        StorageError: The folder cannot be written.
    """
    parts = {folder / f"part-{n:05d}": part for n, part in enumerate(listing.parts)}
    waiting = {}
    for place, part in parts.items():
        if _is_usable(place, listing, part):
            advance("", len(part))
        else:
            waiting[place] = part
    folder.mkdir(parents=True, exist_ok=True)
    require_space(folder, sum(map(len, waiting.values())) * listing.size**2 * 3)
    if waiting:
        _build(waiting, listing, read, advance)
    return _opened(list(parts), listing)


def _is_usable(place: Path, listing: Listing, part: pd.DataFrame) -> bool:
    expected = _content(listing, part)
    if expected is None or not is_sealed(place):
        return False
    try:
        verify(place)
    except ArtifactCorruptError:  # it can be made again, so nobody needs to be troubled
        return False
    unlucky = listing.retry and any(item.reason in BAD_LUCK for item in _rejected(place))
    return not unlucky and read_manifest(place)["content"] == expected


def _content(listing: Listing, part: pd.DataFrame) -> str | None:
    """Identifies what a part must hold; None if that is not known before it was read."""
    if not listing.fingerprint and "sha256" not in part:
        return None
    squares = [name for name in CROP if name in part]
    own = part.columns.drop("path", errors="ignore")
    table = part[own if listing.fingerprint else ["sample_id", "sha256", *squares]]
    hashed = pd.util.hash_pandas_object(table.astype(str), index=False).to_numpy()
    head = f"{listing.decoded_by} {listing.fingerprint} {listing.size} {list(table.columns)}"
    return hashlib.sha256(head.encode() + hashed.tobytes()).hexdigest()


def _build(
    waiting: Mapping[Path, pd.DataFrame], listing: Listing, read: ReadImages, advance: Advance
) -> None:
    """Read all missing parts in one stream, so that decoding never pauses between two of them."""
    fresh = pd.concat([part[listing.known_rows(part) < 0] for part in waiting.values()])
    with (
        closing(read(fresh, listing.size)) as blocks,
        ThreadPoolExecutor(1) as writer,  # hashing and writing go on beside decoding
    ):
        results = _one_by_one(fresh["sample_id"].tolist(), blocks, advance)
        written = writer.submit(lambda: None)
        for place, part in waiting.items():
            filled = _filled(part, results, listing)
            written.result()
            written = writer.submit(_write, place, part, filled, listing)
        written.result()


class _Face(NamedTuple):
    """What was read of one sample."""

    image: UInt8[np.ndarray, "H W 3"]
    perceptual: UInt64[np.ndarray, "4"]
    sha256: str
    notes: str


def _one_by_one(
    ids: Iterable[str], blocks: Iterator[ReadBlock], advance: Advance
) -> Iterator[_Face | Rejected]:
    """What became of each sample, as the blocks come."""
    seen: dict[str, _Face | Rejected] = {}
    for sample_id in ids:
        while sample_id not in seen:
            block = next(blocks)
            advance("", len(block.found) + len(block.rejected))
            columns = (block.found[name].tolist() for name in ("sample_id", "sha256", "notes"))
            for name, *told, image, bits in zip(
                *columns, block.images, block.perceptual, strict=True
            ):
                seen[name] = _Face(image, bits, *told)
            seen |= {item.sample_id: item for item in block.rejected}
        yield seen.pop(sample_id)


def _filled(part: pd.DataFrame, results: Iterator[_Face | Rejected], listing: Listing) -> ReadBlock:
    """All samples of one part: those decoded before, and the next ones of the stream."""
    count, rows = len(part), listing.known_rows(part)
    images = np.empty((count, listing.size, listing.size, 3), dtype=np.uint8)
    perceptual = np.empty((count, 4), dtype=np.uint64)
    table = {"sample_id": part["sample_id"].to_numpy(dtype=object)}
    table |= {name: np.full(count, "", dtype=object) for name in ("sha256", "notes")}
    old, kept = rows >= 0, np.ones(count, dtype=bool)
    if listing.known is not None and old.any():
        there = rows[old]
        images[old], perceptual[old] = listing.known.images[there], listing.known.perceptual[there]
        table["sha256"][old] = part["sha256"][old]
        table["notes"][old] = listing.known.notes[there]
    rejected: list[Rejected] = []
    for row in np.flatnonzero(~old):
        match next(results):
            case Rejected() as item:
                kept[row] = False
                rejected.append(item)
            case face:
                images[row], perceptual[row], table["sha256"][row], table["notes"][row] = face
    # The square belongs to what these pixels are.
    squares = {name: part[name].to_numpy() for name in CROP if name in part}
    found = pd.DataFrame({name: column.astype(str) for name, column in table.items()} | squares)
    if not kept.all():
        images, perceptual, found = images[kept], perceptual[kept], found[kept]
    return ReadBlock(images=images, found=found, perceptual=perceptual, rejected=tuple(rejected))


def _write(place: Path, part: pd.DataFrame, block: ReadBlock, listing: Listing) -> None:
    # The manifest goes first: half a part without one does not count.
    (place / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    about: dict[str, object] = {"rows": len(part), "decoded_by": listing.decoded_by}
    with sealing(place, about) as folder:
        np.save(folder / IMAGES, block.images, allow_pickle=False)
        np.save(folder / PERCEPTUAL, block.perceptual, allow_pickle=False)
        block.found.to_parquet(folder / FOUND, index=False)
        write_json(folder / REJECTED, {"items": [asdict(item) for item in block.rejected]})
        digests = dict(zip(block.found["sample_id"], block.found["sha256"], strict=True))
        digests |= {item.sample_id: item.sha256 for item in block.rejected}
        read = part if listing.fingerprint else part.assign(sha256=part["sample_id"].map(digests))
        about["content"] = _content(listing, read)


def _opened(places: Sequence[Path], listing: Listing) -> Decoded:
    found = pd.concat([pd.read_parquet(place / FOUND) for place in places], ignore_index=True)
    samples = listing.samples
    if len(found) < len(samples):
        samples = samples[samples["sample_id"].isin(found["sample_id"]).to_numpy()]
    # A store hands over pixels, but knows of which files they are.
    told = ("sha256", NOTES) if listing.fingerprint else ()
    read = {"sha256": found["sha256"].to_numpy(), NOTES: found["notes"].to_numpy()}
    samples = samples.reset_index(drop=True)
    for name, column in read.items():
        if name not in told or name not in samples:
            samples[name] = column
    return Decoded(
        samples=samples,
        images=ShardedImages([np.load(place / IMAGES, mmap_mode="r") for place in places]),
        perceptual=np.concatenate([np.load(place / PERCEPTUAL) for place in places]),
        rejected=[item for place in places for item in _rejected(place)],
        parts=tuple(places),
    )


def _rejected(place: Path) -> list[Rejected]:
    items = json.loads((place / REJECTED).read_text(encoding="utf-8"))["items"]
    return [
        Rejected(**item | {"dimensions": item["dimensions"] and tuple(item["dimensions"])})
        for item in items
    ]


def write_shards(folder: Path, decoded: Decoded, rows: Int64[np.ndarray, " m"]) -> dict[str, str]:
    """Write ``images-*.npy``, ``uint8 (rows, size, size, 3)`` each, and ``perceptual.npy``.

    The rows are ascending. Returns fingerprints of the files that are links to a part.
    """
    shards = decoded.images.shards
    starts = np.cumsum([0, *map(len, shards)])
    pieces = np.split(rows, np.searchsorted(rows, starts[1:]))[: len(shards)]
    wanted = [piece - start for piece, start in zip(pieces, starts, strict=False)]
    chosen = [each for each in zip(decoded.parts, shards, wanted, strict=True) if len(each[2])]
    cut = (len(here) * shard[:1].nbytes for _, shard, here in chosen if len(here) < len(shard))
    require_space(folder, sum(cut))
    linked = {}
    for number, (part, shard, here) in enumerate(chosen):
        target = folder / f"images-{number:05d}.npy"
        if len(here) == len(shard):
            link(part / IMAGES, target)
            linked[target.name] = read_manifest(part)["files"][IMAGES]
        else:
            np.save(target, shard[here], allow_pickle=False)
    np.save(folder / "perceptual.npy", decoded.perceptual[rows], allow_pickle=False)
    return linked
