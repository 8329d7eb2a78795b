"""One file: formats, limits, orientation, metadata, draft; every failure is one kind of error."""

import io
import resource
import struct

import numpy as np
import pytest
from encoded_images import (
    ORIENTATIONS,
    UNDO,
    bomb,
    chunk,
    encoded,
    exif,
    many_frames,
    picture,
    png,
    text_bomb,
)
from PIL import Image, JpegImagePlugin

from debias.decoding import decode as module
from debias.decoding.cropping import Square
from debias.decoding.decode import decode
from debias.decoding.rules import Limits, RefusedError, format_of


def refused(content, **options):
    with pytest.raises(RefusedError) as caught:
        decode(content, 16, **options)
    return caught.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_square_picture_of_the_wanted_size_comes_back_as_it_is(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(picture(16, 16), kind, **options)
    found = decode(content, 16)
    assert (found.format, found.dimensions, found.notes) == (kind, (16, 16), ())
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(found.pixels, expected)


def test_the_middle_of_a_wide_picture_is_taken():
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 200
    assert (decode(encoded(Image.fromarray(wide)), 10).pixels == 200).all()
    assert (decode(encoded(Image.fromarray(wide.transpose(1, 0, 2))), 10).pixels == 200).all()


@pytest.mark.parametrize(
    ("content", "words", "kind"),
    [
        (b"", "empty", ""),
        (b"some text", "no image file", ""),
        (b"<!DOCTYPE html><p>404", "HTML", "HTML"),
        (encoded(picture(), "GIF"), "GIF", "GIF"),
        (encoded(picture(), "TIFF"), "TIFF", "TIFF"),
        (encoded(picture(), "PDF"), "PDF", "PDF"),
        (encoded(picture(), "AVIF"), "AVIF", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC", "HEIC"),
        (b"\xff\xd8\xff", "", "JPEG"),
        (encoded(picture(), "JPEG")[:400], "", "JPEG"),
        (encoded(picture(), "PNG")[:200], "", "PNG"),
        (encoded(picture(), "WEBP")[:60], "", "WEBP"),
        (encoded(picture(), "BMP")[:300], "", "BMP"),
        (b"BM" + bytes(100), "", "BMP"),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(40), "", "WEBP"),
    ],
)
def test_what_is_no_image_is_not_decodable(content, words, kind):
    error = refused(content)
    assert error.reason == ("format not read" if "convert" in error.detail else "not decodable")
    assert ("convert" in error.detail) == (kind in ("TIFF", "GIF", "AVIF", "HEIC"))
    assert words in error.detail
    assert error.detail.isprintable()
    assert format_of(content) == kind


@pytest.mark.parametrize("side", [8000, 20_000])
def test_a_bomb_is_refused_by_its_header(side):
    content = bomb(side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = refused(content)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert error.reason == "image too large"
    assert error.dimensions == (side, side)
    assert grown < 30_000  # kilobytes; decoded it would take 64 to 400 MB


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP"])
def test_other_formats_are_refused_by_their_header_too(kind):
    error = refused(encoded(picture(), kind), limits=Limits(most_pixels=48 * 40 - 1))
    assert error.reason == "image too large"
    assert error.dimensions == (48, 40)
    assert decode(encoded(picture(), kind), 16, Limits(most_pixels=48 * 40)).format == kind


def test_a_text_bomb_is_refused():
    assert refused(text_bomb()).reason == "not decodable"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_many_frames_the_first_is_taken(kind):
    found = decode(many_frames(kind, 200), 16)
    assert found.notes == ("animated: first frame",)
    assert (found.pixels == [255, 0, 0]).all()


def test_a_header_that_promises_four_billion_frames_costs_nothing():
    promise = chunk(b"acTL", struct.pack(">II", 2**31, 0))
    content = png(16, 16, 8, 2, (b"\0" + bytes(48)) * 16, promise)
    assert "animated: first frame" in decode(content, 16).notes


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientation_is_undone(orientation, kind):
    upright = picture(64, 48)
    turn = UNDO[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    found = decode(encoded(stored, kind, exif=exif(orientation), **options), 24)
    assert found.notes == (() if orientation == 1 else ("turned by exif",))
    assert found.dimensions == stored.size
    plain = decode(encoded(upright), 24).pixels
    difference = np.abs(found.pixels.astype(int) - plain)
    assert difference.max() <= (0 if kind == "PNG" else 6)


def test_orientation_may_stand_behind_the_pixels():
    rows = b"".join(b"\0" + bytes([0, 0, 0, value, 0, 0]) for value in (7, 200))
    turned = png(2, 2, 8, 2, rows, last=chunk(b"eXIf", exif(3)[6:]))
    np.testing.assert_array_equal(decode(turned, 2).pixels[..., 0], [[200, 0], [7, 0]])


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_crop_is_in_pixels_of_the_upright_picture_even_when_a_draft_is_decoded(orientation):
    upright = picture(203, 157)  # no multiple of 8: the last pixel of a draft is a part of one
    turn = UNDO[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    content = encoded(stored, "JPEG", quality=98, subsampling=0, exif=exif(orientation))
    crop = Square(x=120.0, y=70.0, side=100.0, angle=0.0)
    found = decode(content, 16, crop=crop).pixels.astype(int)
    exact = decode(encoded(upright), 16, crop=crop).pixels
    moved = decode(encoded(upright), 16, crop=Square(x=122.0, y=70.0, side=100.0)).pixels
    error = np.abs(found - exact).mean()
    assert error < 1.5
    assert error < np.abs(moved.astype(int) - exact).mean()


@pytest.mark.parametrize(
    ("metadata", "notes"),
    [
        (b"Exif\0\0nonsense", ("broken metadata ignored",)),
        (b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(30), ("broken metadata ignored",)),
        (exif(9), ("broken metadata ignored",)),
        (exif(0), ("broken metadata ignored",)),
        (exif(1), ()),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_metadata_cost_no_pixels(kind, metadata, notes):
    found = decode(encoded(picture(), kind, exif=metadata), 16)
    assert found.notes == notes
    np.testing.assert_array_equal(found.pixels, decode(encoded(picture(), kind), 16).pixels)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_bytes_in_metadata_cost_no_pixels():
    generator = np.random.default_rng(0)
    good = exif(6, tag271="camera")
    plain = decode(encoded(picture(40, 40), "WEBP", lossless=True), 40).pixels
    seen = set()
    for _ in range(300):
        bad = bytearray(good)
        for at in generator.integers(6, len(bad), size=generator.integers(1, 8)):
            bad[at] = generator.integers(256)
        content = encoded(picture(40, 40), "WEBP", lossless=True, exif=bytes(bad))
        found = decode(content, 40)
        turned = np.rot90(plain, -1) if "turned by exif" in found.notes else plain
        if found.notes in {(), ("broken metadata ignored",)}:
            np.testing.assert_array_equal(found.pixels, turned)
        seen.add(found.notes)
    assert len(seen) >= 3


@pytest.mark.parametrize("xmp", [b"\xff\xfe\0broken", b"<tiff:Orientation>99"])
def test_broken_xmp_costs_no_pixels(xmp):
    found = decode(encoded(picture(), "JPEG", xmp=xmp), 16)
    np.testing.assert_array_equal(found.pixels, decode(encoded(picture(), "JPEG"), 16).pixels)


def test_an_embedded_profile_and_further_pictures_are_noted():
    assert decode(encoded(picture(), "JPEG", icc_profile=b"x" * 200), 16).notes == (
        "colour profile ignored",
    )
    two = encoded(picture(), "MPO", save_all=True, append_images=[picture(seed=1)])
    found = decode(two, 16)
    assert (found.format, found.notes) == ("JPEG", ("several pictures: first one",))
    first = decode(encoded(picture(), "JPEG"), 16)
    np.testing.assert_array_equal(found.pixels, first.pixels)


def test_a_small_picture_is_enlarged_and_noted():
    found = decode(encoded(picture(8, 10)), 16)
    assert found.notes == ("enlarged",)
    assert found.pixels.shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("width", "scale"), [(127, 1), (128, 2), (255, 2), (256, 4), (512, 8), (1024, 8)]
)
def test_a_jpeg_is_decoded_no_smaller_than_wanted(width, scale, monkeypatch):
    asked = []
    original = JpegImagePlugin.JpegImageFile.load

    def load(image):
        asked.append(image.size)
        return original(image)

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", load)
    decode(encoded(picture(width, 2 * width), "JPEG"), 64)
    assert asked[0][0] == -(-width // scale)
    assert min(asked[0]) >= 64


def test_a_draft_looks_like_the_whole_picture():
    large = picture(512, 512)
    drafted = decode(encoded(large, "JPEG", quality=98, subsampling=0), 64).pixels
    whole = np.asarray(large.resize((64, 64), Image.Resampling.BOX))
    assert np.abs(drafted.astype(int) - whole).mean() < 1.5


ERRORS = [
    ValueError("v"), SyntaxError("s"), ZeroDivisionError(), struct.error("x"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), NotImplementedError("n"), RecursionError(),
    OSError(5, "broken"), KeyError((2, 5)), AssertionError(), EOFError(), IndexError(),
    TypeError("t"), OverflowError(), AttributeError("a"), RuntimeError("\x1b[31m\ud800é"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["open", "load"])
def test_whatever_a_decoder_raises_sets_one_file_aside(error, where, monkeypatch):
    def fail(*_):
        raise error

    if where == "open":
        monkeypatch.setitem(module.READERS, "PNG", fail)
    else:
        monkeypatch.setattr(module.READERS["PNG"], "load", fail)
    found = refused(encoded(picture()))
    assert found.reason == "not decodable"
    assert found.detail.startswith(type(error).__name__)
    assert found.detail.isascii()
    assert found.detail.isprintable()
    assert found.dimensions == (None if where == "open" else (48, 40))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory"),
        (Image.DecompressionBombError("large"), "image too large"),
        (Image.DecompressionBombWarning("large"), "image too large"),
    ],
)
def test_some_errors_have_their_own_reason(error, reason, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setitem(module.READERS, "PNG", fail)
    assert refused(encoded(picture())).reason == reason


def test_an_interrupt_is_no_broken_file(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(module.READERS, "PNG", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode(encoded(picture()), 16)
