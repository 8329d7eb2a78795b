"""Many files through real processes: order, slices, crops, deaths, and nothing left behind."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from encoded_images import bomb, encoded, exif, many_frames, picture, text_bomb, with_text

from debias.decoding.cropping import Square
from debias.decoding.decode import decode
from debias.decoding.perceptual import perceptual_hash
from debias.decoding.pool import CROP, ITEMS_AT_ONCE, Pool, read_files
from debias.decoding.rules import REASONS, Limits
from debias.errors import DecodingError

SIZE = 16

# The real worker, with a decoder that does to itself what the file says.
WORKER_THAT_OBEYS = textwrap.dedent(
    """
    import os, signal, sys
    from debias.decoding import worker
    original = worker.decode
    def decode(content, size, limits, crop):
        if content == b"exit": os._exit(7)
        if content == b"segv": os.kill(os.getpid(), signal.SIGSEGV)
        if content == b"kill": os.kill(os.getpid(), signal.SIGKILL)
        if content == b"hang":
            while True: pass
        if content == b"memory": bytearray(8 << 30)
        if content == b"recursion": return decode(content, size, limits, crop)
        if content == b"print": print("hello"); os.write(1, b"hello"); os.write(2, b"hello")
        if content == b"write": os.write(os.memfd_create("file"), b"x")
        if content == b"secret": raise ValueError(os.environ.get("PLANTED_PASSWORD", "none"))
        if content == b"keep": return original(GOOD, size, limits, crop)
        return original(content, size, limits, crop)
    GOOD = bytes.fromhex(sys.argv.pop())
    worker.decode = decode
    worker.main()
    """
)
GOOD = encoded(picture())
OBEYS = (sys.executable, "-P", "-c", WORKER_THAT_OBEYS, GOOD.hex())

# Speaks the protocol, says what it is told to about the pixels, and has none.
LIAR = textwrap.dedent(
    """
    import json, os, struct, sys, time
    def get():
        n = sys.stdin.buffer.read(4)
        if len(n) < 4: sys.exit()
        return json.loads(sys.stdin.buffer.read(struct.unpack(">I", n)[0]))
    def say(value):
        text = json.dumps(value).encode()
        out(struct.pack(">I", len(text)) + text)
    def out(data):
        sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
    settings = get(); say("ready")
    while True:
        items = get()
    """
)
LIES = {
    "no JSON": "    out(bytes([0, 0, 0, 3]) + b'abc')",
    "four gigabytes": "    out(b'\\xff' * 4)",
    "deep": "    out(struct.pack('>I', 2000) + b'[' * 2000)",
    "too few": "    say([])",
    "unknown reason": "    say([['because', '', '', None, '', None]] * len(items))",
    "pixels missing": "    say([['a' * 64, '']] * len(items)); sys.exit(3)",
    "no answer": "    time.sleep(60)",
    "closed": "    os.close(1); time.sleep(60)",
}


def table(folder, contents, **columns):
    """One file a content; ``None`` for a file that is not there."""
    rows = []
    for number, content in enumerate(contents):
        path = folder / f"{number:04d}.jpg"
        if content is not None:
            path.write_bytes(content)
        rows.append({"sample_id": f"s{number}", "path": str(path)})
    return pd.DataFrame(rows).assign(**columns)


def everything(blocks):
    """All blocks as one: images, found, perceptual, rejected by id."""
    blocks = list(blocks)
    images = np.concatenate([block.images for block in blocks])
    found = pd.concat([block.found for block in blocks], ignore_index=True)
    perceptual = np.concatenate([block.perceptual for block in blocks])
    return images, found, perceptual, {
        item.sample_id: item for block in blocks for item in block.rejected
    }  # fmt: skip


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids, seconds=20.0):
    end = time.monotonic() + seconds
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(is_alive, pids))


def pids_of(pool):
    return [child.process.pid for child in pool.children if child.process]


def test_images_come_in_the_order_of_the_table_with_what_is_known_of_them(tmp_path):
    contents = [encoded(picture(seed=seed), "JPEG") for seed in range(2 * ITEMS_AT_ONCE + 5)]
    contents[3], contents[70], contents[71] = b"", None, b"<html>"
    samples = table(tmp_path, contents).iloc[::-1]
    images, found, perceptual, rejected = everything(read_files(samples, SIZE))
    assert set(rejected) == {"s3", "s70", "s71"}
    kept = [name for name in samples["sample_id"] if name not in rejected]
    assert found["sample_id"].tolist() == kept
    numbers = [int(name[1:]) for name in kept]
    assert found["sha256"].tolist() == [hashlib.sha256(contents[n]).hexdigest() for n in numbers]
    assert set(found["notes"]) == {""}
    expected = np.stack([decode(contents[number], SIZE).pixels for number in numbers])
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(perceptual, perceptual_hash(expected))
    assert samples.columns.tolist() == ["sample_id", "path"]


def test_the_same_images_whatever_the_number_of_processes(tmp_path):
    samples = table(tmp_path, [encoded(picture(seed=seed), "PNG") for seed in range(150)])
    one = everything(read_files(samples, SIZE, workers=1))
    three = everything(read_files(samples, SIZE, workers=3))
    np.testing.assert_array_equal(one[0], three[0])
    pd.testing.assert_frame_equal(one[1], three[1])


def test_rejected_files_say_why_and_what_is_known(tmp_path):
    large = encoded(picture(1000, 800), "BMP")
    contents = [None, b"", bomb(8000), GOOD[:-40], large, many_frames("PNG", 10_000), text_bomb()]
    samples = table(tmp_path, contents)
    (tmp_path / "0007").mkdir()
    os.mkfifo(tmp_path / "0008")
    (tmp_path / "0009").symlink_to(tmp_path / "0009")
    odd = [tmp_path / "0007", tmp_path / "0008", tmp_path / "0009"]
    more = pd.DataFrame({"sample_id": ["s7", "s8", "s9"], "path": list(map(str, odd))})
    start = time.monotonic()
    limits = Limits(most_bytes=2_000_000)
    _, found, _, rejected = everything(read_files(pd.concat([samples, more]), SIZE, limits))
    assert time.monotonic() - start < 20  # nothing waited for the pipe
    assert {name: item.reason for name, item in rejected.items()} == {
        "s0": "file missing",
        "s1": "not decodable",
        "s2": "image too large",
        "s3": "not decodable",
        "s4": "file too large",
        "s6": "not decodable",
        "s7": "not a regular file",
        "s8": "not a regular file",
        "s9": "not a regular file",
    }
    assert found["notes"].tolist() == ["animated: first frame"]
    assert rejected["s0"].size is None
    assert (rejected["s4"].size, rejected["s4"].sha256) == (len(large), "")
    assert rejected["s2"].dimensions == (8000, 8000)
    truncated = rejected["s3"]
    assert truncated.sha256 == hashlib.sha256(GOOD[:-40]).hexdigest()
    assert (truncated.size, truncated.format) == (len(GOOD) - 40, "PNG")
    assert truncated.dimensions == (48, 40)
    assert all(item.detail and item.path for item in rejected.values())


def test_names_of_any_bytes(tmp_path):
    names = [b"caf\xc3\xa9", b"\xff\xfe", b"-rf ; $(x)", b"<b>", "\u202egnp".encode(), b"a\nb",
             b" ", b"\xed\xa0\x80", b"x" * 255]  # fmt: skip
    paths = [os.fsencode(tmp_path) + b"/" + name for name in names]
    for path in paths:
        Path(os.fsdecode(path)).write_bytes(GOOD)
    missing = [str(tmp_path / "\ud800"), str(tmp_path / "a\0b"), str(tmp_path / ("y" * 5000)), ""]
    samples = pd.DataFrame(
        {"sample_id": [str(n) for n in range(len(names) + len(missing))],
         "path": pd.Series([os.fsdecode(path) for path in paths] + missing, dtype=object)}
    )  # fmt: skip
    _, found, _, rejected = everything(read_files(samples, SIZE))
    assert len(found) == len(names)
    assert {item.reason for item in rejected.values()} == {"file missing"}
    assert len(rejected) == len(missing)
    for item in rejected.values():
        item.path.encode("utf-8")
    assert rejected[str(len(names))].path.endswith("\\ud800")


def test_slices_of_one_file(tmp_path):
    contents = [encoded(picture(seed=seed), kind) for seed, kind in enumerate(("PNG", "JPEG"))]
    samples = table(tmp_path, [contents[0] + contents[1], contents[1]]).iloc[[0, 0, 0, 1, 0]]
    cut = len(contents[0])
    samples = samples.assign(
        sample_id=list("abcde"),
        offset=[0, cut, cut, np.nan, 7],
        length=[cut, np.nan, len(contents[1]), np.nan, 10**9],
    )
    images, found, _, rejected = everything(read_files(samples, SIZE))
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    assert found["sha256"].tolist() == [digests[n] for n in (0, 1, 1, 1)]
    np.testing.assert_array_equal(images[0], decode(contents[0], SIZE).pixels)
    assert rejected["e"].reason == "not readable"


def test_crops_by_row(tmp_path):
    squares = [(20.0, 15.0, 20.0, 0.0), (np.nan,) * 4, (24.0, 20.0, 18.0, 30.0),
               (np.nan, 5.0, 5.0, 0.0), (1e9, 5.0, 5.0, 0.0)]  # fmt: skip
    columns = dict(zip(CROP, map(list, zip(*squares, strict=True)), strict=True))
    samples = table(tmp_path, [GOOD] * 5, **columns)
    images, _, _, rejected = everything(read_files(samples, SIZE))
    assert {name: item.reason for name, item in rejected.items()} == {
        "s3": "outside the image",
        "s4": "outside the image",
    }
    for image, crop in zip(images, (Square(*squares[0]), None, Square(*squares[2])), strict=True):
        np.testing.assert_array_equal(image, decode(GOOD, SIZE, crop=crop).pixels)


def test_no_rows_no_blocks(tmp_path):
    assert list(read_files(table(tmp_path, [GOOD]).iloc[:0], SIZE)) == []


def deaths_in(pool):
    """How often a process had to be replaced."""
    return sum(child.deaths for child in pool.children)


def test_large_images_come_in_small_blocks(tmp_path):
    blocks = list(read_files(table(tmp_path, [GOOD] * 9), 1024, workers=1))
    assert max(block.images.nbytes for block in blocks) <= 8 * 2**20
    assert sum(len(block.images) for block in blocks) == 9


@pytest.mark.parametrize(
    ("does", "reason", "words", "deaths"),
    [
        (b"exit", "decoder died", "exit code 7", 2),
        (b"segv", "decoder died", "SIGSEGV", 2),
        (b"kill", "decoder died", "SIGKILL", 2),
        (b"hang", "took too long", "0.4 seconds", 2),
        (b"memory", "out of memory", "MemoryError", 0),
        (b"recursion", "not decodable", "RecursionError", 0),
        (b"write", "not decodable", "File too large", 0),
    ],
)
def test_only_the_culprit_pays(does, reason, words, deaths, tmp_path):
    samples = table(tmp_path, [b"keep", GOOD, does, b"keep", None])
    with Pool(SIZE, Limits(seconds=0.4), workers=1, command=OBEYS) as pool:
        images, found, _, rejected = everything(pool.read(samples))
        assert deaths_in(pool) == deaths
    assert found["sample_id"].tolist() == ["s0", "s1", "s3"]
    for image in images:
        np.testing.assert_array_equal(image, decode(GOOD, SIZE).pixels)
    assert {name: item.reason for name, item in rejected.items()} == {
        "s2": reason,
        "s4": "file missing",
    }
    assert words in rejected["s2"].detail


def test_a_file_that_takes_long_does_not_use_up_the_time_of_the_next(tmp_path):
    samples = table(tmp_path, [b"hang", *[GOOD] * 300])
    with Pool(SIZE, Limits(seconds=0.4), workers=1, command=OBEYS) as pool:
        _, found, _, rejected = everything(pool.read(samples))
    assert len(found) == 300
    assert set(rejected) == {"s0"}


def test_what_a_decoder_prints_goes_nowhere(tmp_path, capfd):
    with Pool(SIZE, workers=1, command=OBEYS) as pool:
        _, found, _, rejected = everything(pool.read(table(tmp_path, [b"print", b"keep"])))
        assert deaths_in(pool) == 0
    assert found["sample_id"].tolist() == ["s1"]
    assert set(rejected) == {"s0"}
    assert capfd.readouterr() == ("", "")


def test_a_decoder_knows_no_passwords(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED_PASSWORD", "canary")
    with Pool(SIZE, workers=1, command=OBEYS) as pool:
        rejected = everything(pool.read(table(tmp_path, [b"secret"])))[3]
    assert rejected["s0"].detail == "ValueError: none"


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_talks_nonsense_is_a_dead_child(lie, tmp_path):
    command = (sys.executable, "-c", LIAR + LIES[lie])
    with Pool(SIZE, Limits(seconds=0.1), workers=1, command=command) as pool:
        images, _, _, rejected = everything(pool.read(table(tmp_path, [GOOD] * 2)))
        assert deaths_in(pool) == 3  # the chunk, and each of its items alone
    assert len(images) == 0
    assert {item.reason for item in rejected.values()} <= {"decoder died", "took too long"}
    assert len(rejected) == 2


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "-c", "import sys; sys.exit(5)"),
        (sys.executable, "-c", "print('hello, this is no length')"),
        ("/no/such/python",),
    ],
)
def test_processes_that_do_not_start_are_no_fault_of_the_files(command, tmp_path):
    with (
        Pool(SIZE, workers=2, command=command) as pool,
        pytest.raises(DecodingError, match="does not start"),
    ):
        list(pool.read(table(tmp_path, [GOOD])))


def test_the_time_of_a_file_ends_with_it(tmp_path):
    samples = table(tmp_path, [GOOD])
    with Pool(SIZE, Limits(seconds=0.2), workers=1) as pool:
        for _ in range(2):
            list(pool.read(samples))
            time.sleep(0.5)
        assert deaths_in(pool) == 0


def test_the_signal_that_ends_a_hanging_decoder_may_be_blocked_in_the_parent(tmp_path):
    samples = table(tmp_path, [b"hang", *[GOOD] * 60])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    start = time.monotonic()
    try:
        with Pool(SIZE, Limits(seconds=0.5), workers=1, command=OBEYS) as pool:
            rejected = everything(pool.read(samples))[3]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert rejected["s0"].reason == "took too long"
    assert time.monotonic() - start < 20  # the parent itself would wait for 30 seconds


def children_of_this_process():
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text().split()}


@pytest.mark.parametrize("how", ["exhausted", "closed", "error", "thrown away"])
def test_no_process_outlives_the_reading(how, tmp_path):
    before = children_of_this_process()
    handles = len(os.listdir("/proc/self/fd"))
    blocks = read_files(table(tmp_path, [GOOD] * 500), SIZE, workers=2)
    next(blocks)
    assert len(children_of_this_process() - before) == 2
    if how == "exhausted":
        list(blocks)
    elif how == "closed":
        blocks.close()
    elif how == "error":
        with suppress(KeyboardInterrupt):
            blocks.throw(KeyboardInterrupt)
    del blocks
    assert children_of_this_process() == before  # a zombie would be among them
    assert len(os.listdir("/proc/self/fd")) == handles


def test_a_hanging_decoder_does_not_delay_the_end(tmp_path):
    samples = table(tmp_path, [GOOD] * ITEMS_AT_ONCE + [b"hang"])
    with Pool(SIZE, Limits(seconds=60.0), workers=2, command=OBEYS) as pool:
        next(pool.read(samples))
        pids, start = pids_of(pool), time.monotonic()
    assert time.monotonic() - start < 20
    assert not any(map(is_alive, pids))


PARENT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
import pandas as pd
from debias.decoding.pool import Pool
samples = pd.DataFrame({"sample_id": [str(n) for n in range(5000)], "path": sys.argv[1]})
with Pool(16, workers=2) as pool:
    blocks = pool.read(samples)
    next(blocks), next(blocks)
    print(*(child.process.pid for child in pool.children), flush=True)
    if sys.argv[2] == "wait":
        time.sleep(60)
    for block in blocks:
        pass
"""


@pytest.mark.parametrize(("how", "doing"), [(signal.SIGKILL, "wait"), (signal.SIGINT, "read")])
def test_children_end_with_their_parent(how, doing, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(encoded(picture(400, 400)))  # slow enough to be in the middle
    command = [sys.executable, "-c", PARENT, str(image), doing]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        parent.send_signal(how)
        parent.wait(10)
        assert gone(pids)


def test_reading_ahead_is_bounded(tmp_path, monkeypatch):
    samples = table(tmp_path, [GOOD]).iloc[[0] * (ITEMS_AT_ONCE * 30)]
    asked = []
    with Pool(SIZE, workers=2) as pool:
        original = pool._block
        monkeypatch.setattr(pool, "_block", lambda part: (asked.append(1), original(part))[1])
        blocks = pool.read(samples)
        for taken in range(1, 4):
            next(blocks)
            time.sleep(0.3)
            assert len(asked) <= taken + 4  # two for each of two processes


CANARIES = ("CANARYCOMMENT", "CANARYMAKER", "CANARYXMP", "51.4778")


def with_canaries(kind):
    tags = {"tag271": CANARIES[1], "tag272": CANARIES[3]}
    if kind == "text":
        return with_text(picture(), CANARIES[0] + CANARIES[2])
    options = {"comment": CANARIES[0]} if kind == "JPEG" else {}
    return encoded(picture(), kind, exif=exif(3, **tags), xmp=CANARIES[2].encode(), **options)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "text"])
def test_no_metadata_come_back(kind, tmp_path):
    content = with_canaries(kind)
    assert any(canary.encode() in content for canary in CANARIES)
    broken = [content[:at] for at in range(30, len(content) - 1, 97)]
    images, found, perceptual, rejected = everything(
        read_files(table(tmp_path, [content, *broken]), SIZE)
    )
    assert len(found) >= 1
    back = images.tobytes() + perceptual.tobytes() + repr(rejected).encode()
    back += found.to_csv().encode()
    assert not [canary for canary in CANARIES if canary.encode() in back]
    assert {item.reason for item in rejected.values()} <= REASONS
