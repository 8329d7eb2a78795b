"""Thousands of broken images through real processes: none is lost, none ends anything.

10,000 by default; as many as the variable DEBIAS_FUZZ says (``make fuzz``: 200,000).
"""

import logging
import os
import time

import numpy as np
import pandas as pd
from encoded_images import encoded, exif, many_frames, picture
from PIL import Image

from debias.decoding.pool import Pool
from debias.decoding.protocol import Item
from debias.decoding.rules import REASONS, Place

MUTANTS = int(os.environ.get("DEBIAS_FUZZ", "10000"))
A_ROUND = 10_000
SIZE = 32
SIDE = 24  # pixels


def seeds():
    """An image of every mode that the formats can store, with and without metadata."""
    small, grey = picture(SIDE, 20), picture(SIDE, 20).convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    clear = small.convert("RGBA")
    clear.putalpha(grey)
    about = {"exif": exif(6, tag271="camera"), "xmp": b"<tiff:Orientation>3<", "icc_profile": b"p"}
    made = [encoded(small.convert(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB")]
    made += [encoded(small.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB")]
    made += [encoded(small.convert(mode), "JPEG") for mode in ("L", "RGB", "CMYK")]
    made += [encoded(deep), encoded(clear), encoded(clear, "BMP"), encoded(clear, "WEBP")]
    made += [encoded(clear.quantize(16), transparency=3), encoded(small, transparency=(1, 2, 3))]
    made += [encoded(small, "PNG", **about), encoded(small, "WEBP", **about)]
    made += [encoded(small, "JPEG", progressive=True, comment=b"hello", **about)]
    made += [encoded(small, "JPEG", restart_marker_blocks=1, subsampling=2)]
    made += [encoded(small, "MPO", save_all=True, append_images=[small])]
    made += [encoded(small, "WEBP", lossless=True), many_frames("PNG", 3), many_frames("WEBP", 3)]
    return made


def truncated(content, other, generator):
    return content[: generator.integers(len(content))]


def noisy(content, other, generator):
    bad = np.frombuffer(content, dtype=np.uint8).copy()
    where = generator.integers(len(bad), size=generator.integers(1, 17))
    bad[where] = generator.integers(256, size=len(where))
    return bad.tobytes()


def noisy_header(content, other, generator):
    return noisy(content[:64], other, generator) + content[64:]


def with_a_hole(content, other, generator):
    start = generator.integers(len(content))
    return content[:start] + content[start + generator.integers(1, 64) :]


def with_more(content, other, generator):
    start = generator.integers(len(content))
    return content[:start] + generator.bytes(generator.integers(1, 64)) + content[start:]


def spliced(content, other, generator):
    return content[: generator.integers(len(content))] + other[generator.integers(len(other)) :]


WAYS = (truncated, noisy, noisy_header, with_a_hole, with_more, spliced)


def mutants(number, seed):
    """``number`` broken files; the same for the same seed."""
    generator = np.random.default_rng(seed)
    corpus = seeds()
    for turn in range(number):
        content, other = (corpus[index] for index in generator.integers(len(corpus), size=2))
        yield WAYS[turn % len(WAYS)](content, other, generator)


def packed(path, contents):
    """All in one file, found by slices."""
    path.write_bytes(b"".join(contents))
    lengths = np.array([len(content) for content in contents])
    offsets = np.cumsum(lengths) - lengths
    ids = [str(number) for number in range(len(contents))]
    return pd.DataFrame({"sample_id": ids, "path": str(path), "offset": offsets, "length": lengths})


def memory_of(pool, what):
    """Memory of the largest process, bytes: ``VmRSS`` now, ``VmHWM`` at its peak."""
    largest = 0
    for child in pool.children:
        with open(f"/proc/{child.process.pid}/status", encoding="ascii") as status:
            lines = dict(line.split(":", 1) for line in status)
        largest = max(largest, int(lines[what].split()[0]) * 1024)
    return largest


def read_all(pool, samples):
    """Number of images and of rejected items; every sample is exactly one of them."""
    kept, rejected = [], []
    for block in pool.read(samples):
        assert block.images.shape == (len(block.found), SIZE, SIZE, 3)
        kept += block.found["sample_id"].tolist()
        rejected += block.rejected
    assert {item.reason for item in rejected} <= REASONS
    assert all(item.detail.isprintable() and item.sha256 for item in rejected)
    names = kept + [item.sample_id for item in rejected]
    assert sorted(names) == sorted(samples["sample_id"])
    return len(kept), len(rejected)


def seconds_each(pool, samples):
    """Processor time of each file, asked for one at a time: other programs do not count."""
    child, times = pool.children[0], []
    clock = ~child.process.pid << 3 | 2  # how Linux names the processor clock of a process
    for path, offset, length in samples[["path", "offset", "length"]].itertuples(index=False):
        start = time.clock_gettime(clock)
        child.ask([Item(Place(path.encode(), offset, length))])
        times.append(time.clock_gettime(clock) - start)
    return np.array(times)


def test_no_broken_image_ends_anything_or_is_lost(tmp_path):
    read = np.zeros(2, dtype=int)
    slowest = []
    with Pool(SIZE, workers=2) as pool:
        for seed in range(-(-MUTANTS // A_ROUND)):
            number = min(A_ROUND, MUTANTS - A_ROUND * seed)
            samples = packed(tmp_path / "mutants", list(mutants(number, seed)))
            if seed == 0:
                read_all(pool, samples.iloc[:1024])
                memory = memory_of(pool, "VmRSS")
            read += read_all(pool, samples)
            slowest.append(seconds_each(pool, samples.iloc[::10]))
        assert sum(child.deaths for child in pool.children) == 0
        grown, peak = memory_of(pool, "VmRSS") - memory, memory_of(pool, "VmHWM")
    seconds = np.concatenate(slowest)
    late = np.quantile(seconds, 0.99)
    logging.getLogger(__name__).info(
        "%d images, %d rejected; p99 %.1f ms, most %.1f ms; memory grew by %.0f MB, peak %.0f MB",
        *(*read, late * 1e3, seconds.max() * 1e3, grown / 2**20, peak / 2**20),
    )
    assert read.min() > 0.1 * MUTANTS  # many decode, many do not: both ways were taken
    assert late < 0.05
    assert grown < 300 * 2**20
    assert peak < 1536 * 2**20  # what an image just below the limit of pixels may take


def test_the_mutants_are_the_same_every_time():
    assert list(mutants(50, 3)) == list(mutants(50, 3))
    assert len(set(mutants(600, 0))) > 590
