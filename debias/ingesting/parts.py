"""Decoded images on disk, part by part: a build that was killed goes on where it stopped.

Every part covers a fixed range of the listing and is a sealed folder, so what is there is whole.
What is put together from parts does not depend on where a build was interrupted.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64, Shaped, UInt8, UInt64

from debias.errors import ArtifactCorruptError
from debias.storage.files import require_space
from debias.storage.sealed import MANIFEST, is_sealed, read_manifest, sealing, verify, write_json
from debias.tracking.progress import Advance, silent
from debias.types import CROP, ReadBlock, ReadImages, Rejected, ShardedImages

PART_BYTES = 64 * 2**20  # of pixels; what a build holds in memory is a small multiple of it
ROWS_MULTIPLE = 64
IMAGES, PERCEPTUAL = "images.npy", "perceptual.npy"
FOUND, REJECTED = "found.parquet", "rejected.json"
NOTES = "decode_notes"  # in tables beside columns of other people, who may have notes of their own


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """Every image that could be read, in the order of the listing.

    Attributes:
        samples: The listing's rows of those images, with ``sha256`` and ``decode_notes``.
        images: Their pixels, one memory-mapped shard a part.
        perceptual: (n, 4) perceptual hashes.
        rejected: What could not be read.
        parts: Folder of each shard.
    """

    samples: pd.DataFrame
    images: ShardedImages
    perceptual: UInt64[np.ndarray, "n 4"]
    rejected: list[Rejected]
    parts: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Known:
    """Pixels by content of the file and the square that was cut out of it.

    Attributes:
        identity: Of every image, unique.
        sha256: (n,) contents.
        images: Their pixels.
        perceptual: (n, 4) perceptual hashes.
        notes: (n,) text.
    """

    identity: pd.Index
    sha256: Shaped[np.ndarray, " n"]
    images: ShardedImages
    perceptual: UInt64[np.ndarray, "n 4"]
    notes: Shaped[np.ndarray, " n"]

    def rows(self, samples: pd.DataFrame) -> Int64[np.ndarray, " m"]:
        """Row of each sample here, -1 for those that are not here."""
        rows = self.identity.get_indexer(pd.Index(identity(samples))).astype(np.int64)
        agree = self.sha256[rows] == samples["sha256"].to_numpy(dtype=object)
        return np.where(agree, rows, -1)


@dataclass(frozen=True, eq=False)
class Source:
    """One earlier store or part.

    Attributes:
        samples: ``sha256``, ``notes`` and, where a framing was used, the square.
        shards: Pixels of those rows.
        perceptual: (n, 4).
    """

    samples: pd.DataFrame
    shards: Sequence[np.ndarray]
    perceptual: UInt64[np.ndarray, "n 4"]


def known(sources: Sequence[Source]) -> Known | None:
    """Everything that earlier stores and parts hold; None without any."""
    filled = [source for source in sources if len(source.samples)]
    if not filled:
        return None
    samples = pd.concat([_identity_columns(source.samples) for source in filled], ignore_index=True)
    index = pd.Index(identity(samples))
    first = np.flatnonzero(~index.duplicated())
    return Known(
        identity=index[first],
        sha256=samples["sha256"].to_numpy(dtype=object)[first],
        images=ShardedImages([shard for source in filled for shard in source.shards], first),
        perceptual=np.concatenate([source.perceptual for source in filled])[first],
        notes=samples["notes"].to_numpy(dtype=object)[first],
    )


def identity(samples: pd.DataFrame) -> UInt64[np.ndarray, " n"]:
    """64 bits that tell contents and squares apart."""
    named = _identity_columns(samples)[["sha256", *CROP]]
    return pd.util.hash_pandas_object(named, index=False).to_numpy()


def _identity_columns(samples: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, object] = {"sha256": samples["sha256"].astype(object)}
    columns["notes"] = samples.get("notes", "")
    for name in CROP:
        columns[name] = samples[name].astype(np.float64) if name in samples else np.nan
    return pd.DataFrame(columns, index=samples.index)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What is to be decoded.

    Attributes:
        samples: Sorted by ``sample_id``; with ``sha256`` (empty: unreadable) if the files were
            hashed before.
        size: Side of the square images, pixels.
        fingerprint: Stands for the content where there are no files to hash.
        known: Images that were decoded before.
        retry: Read again what failed by bad luck.
        decoded_by: Version of the rules by which files become pixels.
    """

    samples: pd.DataFrame
    size: int
    fingerprint: str = ""
    known: Known | None = None
    retry: bool = False
    decoded_by: str = ""

    @property
    def parts(self) -> list[pd.DataFrame]:
        """Rows of each part, so many that their pixels take at most 64 MiB."""
        at_most = PART_BYTES // (self.size * self.size * 3)
        rows = max(1, at_most // ROWS_MULTIPLE) * ROWS_MULTIPLE
        starts = range(0, len(self.samples), rows)
        return [self.samples.iloc[start : start + rows] for start in starts]


# What may go well the next time although the file is the same.
BAD_LUCK = frozenset({"took too long", "decoder died", "out of memory"})


def decode_parts(
    folder: Path, listing: Listing, read: ReadImages, advance: Advance = silent
) -> Decoded:
    """Decode what is not there yet, and open all of it.

    Args:
        folder: Of the parts; nobody else may write there meanwhile.
        listing: What to decode.
        read: Turns rows into pixels.
        advance: Told how many samples are done.

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
    missing = sum(map(len, waiting.values()))
    folder.mkdir(parents=True, exist_ok=True)
    require_space(folder, missing * listing.size**2 * 3)
    _build(waiting, listing, read, advance)
    return _opened(list(parts), listing)


def _is_usable(place: Path, listing: Listing, part: pd.DataFrame) -> bool:
    expected = _content(listing, part)
    if expected is None or not _is_whole(place):
        return False
    if listing.retry and any(item.reason in BAD_LUCK for item in _rejected(place)):
        return False
    return read_manifest(place)["content"] == expected


def _is_whole(place: Path) -> bool:
    if not is_sealed(place):
        return False
    try:
        verify(place)
    except ArtifactCorruptError:  # it can be made again, so nobody needs to be troubled
        return False
    return True


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
    if not waiting:
        return
    fresh = [part[~_known(part, listing)] for part in waiting.values()]
    with (
        closing(_Stream(read(pd.concat(fresh), listing.size), advance)) as stream,
        ThreadPoolExecutor(1) as writer,  # hashing and writing go on beside decoding
    ):
        pending: Future[None] | None = None
        for (place, part), new in zip(waiting.items(), fresh, strict=True):
            filled = _filled(part, new, stream, listing)
            if pending is not None:
                pending.result()
            pending = writer.submit(_write, place, part, filled, listing)
        if pending is not None:
            pending.result()


def _known(part: pd.DataFrame, listing: Listing) -> Bool[np.ndarray, " n"]:
    if listing.known is None or "sha256" not in part:
        return np.zeros(len(part), dtype=bool)
    return listing.known.rows(part) >= 0


class _Stream:
    """Blocks as they come, handed out by sample."""

    def __init__(self, blocks: Iterator[ReadBlock], advance: Advance) -> None:
        self.blocks, self.advance = blocks, advance
        self.rest: ReadBlock | None = None

    def take(self, ids: set[str]) -> Iterator[ReadBlock]:
        """Blocks until every one of these samples, which come next, has been seen."""
        left = len(ids)
        while left:
            block, self.rest = self.rest or next(self.blocks), None
            if _samples(block) > left:
                block, self.rest = _cut(block, ids)
            done = _samples(block)
            left -= done
            self.advance("", done)
            yield block

    def close(self) -> None:
        close = getattr(self.blocks, "close", None)
        if close:
            close()


def _samples(block: ReadBlock) -> int:
    return len(block.found) + len(block.rejected)


def _cut(block: ReadBlock, ids: set[str]) -> tuple[ReadBlock, ReadBlock]:
    """The samples of a block that are among ``ids``, and the others."""
    inside = np.array([name in ids for name in block.found["sample_id"]], dtype=bool)
    return _some(block, inside, ids, wanted=True), _some(block, ~inside, ids, wanted=False)


def _some(block: ReadBlock, rows: np.ndarray, ids: set[str], *, wanted: bool) -> ReadBlock:
    return ReadBlock(
        images=block.images[rows],
        found=block.found[rows],
        perceptual=block.perceptual[rows],
        rejected=tuple(item for item in block.rejected if (item.sample_id in ids) == wanted),
    )


def _filled(
    part: pd.DataFrame, fresh: pd.DataFrame, stream: _Stream, listing: Listing
) -> ReadBlock:
    """All samples of one part: those decoded before, and those of the stream."""
    images = np.empty((len(part), listing.size, listing.size, 3), dtype=np.uint8)
    perceptual = np.empty((len(part), 4), dtype=np.uint64)
    known = _known(part, listing)
    found = [_copied(part, known, listing, images, perceptual)]
    rejected: list[Rejected] = []
    places, names, done = np.flatnonzero(~known), fresh["sample_id"].tolist(), 0
    kept = [np.flatnonzero(known)]
    for block in stream.take(set(names)):
        rows = places[done : done + _samples(block)]
        if block.rejected:
            lost = {item.sample_id for item in block.rejected}
            rows = rows[[name not in lost for name in names[done : done + len(rows)]]]
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:  # in one go where they follow
            images[rows[0] : rows[-1] + 1] = block.images
        else:
            images[rows] = block.images
        perceptual[rows] = block.perceptual
        done += _samples(block)
        found.append(block.found)
        kept.append(rows)
        rejected += block.rejected
    order = np.concatenate(kept)
    table = pd.concat(found, ignore_index=True).iloc[np.argsort(order)]
    order = np.sort(order)
    # The square belongs to what these pixels are.
    table = table.assign(**{name: part[name].to_numpy()[order] for name in CROP if name in part})
    if len(order) < len(part):
        images, perceptual = images[order], perceptual[order]
    return ReadBlock(images=images, found=table, perceptual=perceptual, rejected=tuple(rejected))


def _copied(
    part: pd.DataFrame,
    known: Bool[np.ndarray, " n"],
    listing: Listing,
    images: UInt8[np.ndarray, "n H W 3"],
    perceptual: UInt64[np.ndarray, "n 4"],
) -> pd.DataFrame:
    """Copy in what was decoded before; returns its rows."""
    table = pd.DataFrame({"sample_id": part["sample_id"][known]})
    if listing.known is None or not known.any():
        return table.assign(sha256="", notes="").iloc[:0]
    source = listing.known
    rows = source.rows(part[known])
    images[known], perceptual[known] = source.images[rows], source.perceptual[rows]
    return table.assign(sha256=part["sha256"][known], notes=source.notes[rows])


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
    samples = samples.assign(
        **{name: x for name, x in read.items() if not (name in told and name in samples)}
    )
    shards = [np.load(place / IMAGES, mmap_mode="r", allow_pickle=False) for place in places]
    perceptual = [np.load(place / PERCEPTUAL, allow_pickle=False) for place in places]
    return Decoded(
        samples=samples.reset_index(drop=True),
        images=ShardedImages(shards),
        perceptual=np.concatenate(perceptual),
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

    Args:
        folder: To fill, on the file system of the parts.
        decoded: All images.
        rows: Those wanted, ascending.

    Returns:
        Fingerprints of the files that are links to a part: they need not be read again.
    """
    shards = decoded.images.shards
    ends = np.searchsorted(rows, np.cumsum([len(shard) for shard in shards]))
    starts = np.cumsum([0, *map(len, shards)])
    wanted = [part - start for part, start in zip(np.split(rows, ends), starts, strict=True)]
    chosen = [
        (part, shard, here)
        for part, shard, here in zip(decoded.parts, shards, wanted[:-1], strict=True)
        if len(here)
    ]
    cut = (len(here) * shard[:1].nbytes for _, shard, here in chosen if len(here) < len(shard))
    require_space(folder, sum(cut))
    known = {}
    for number, (part, shard, here) in enumerate(chosen):
        target = folder / f"images-{number:05d}.npy"
        if len(here) == len(shard):
            _link(part / IMAGES, target)
            known[target.name] = read_manifest(part)["files"][IMAGES]
        else:
            np.save(target, shard[here], allow_pickle=False)
    np.save(folder / "perceptual.npy", decoded.perceptual[rows], allow_pickle=False)
    return known


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # some file systems have no links
        shutil.copyfile(source, target)
