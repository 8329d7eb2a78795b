"""Golden pixels for every colour mode, as values and as files."""

import io
import struct

import numpy as np
import pytest
from encoded_images import chunk, encoded, picture, png
from PIL import Image

from debias.decoding.decode import decode, to_rgb
from debias.decoding.rules import RefusedError

TRANSPARENT = "transparency on white"


def one(mode, value):
    return Image.new(mode, (2, 2), value)


def pixel(image, **options):
    rgb, notes = to_rgb(image, **options)
    assert rgb.mode == "RGB"
    return rgb.getpixel((0, 0)), notes


def palette(transparency=None, mode="P", alphas=None):
    image = one(mode, 1) if mode == "P" else one("LA", (1, 60)).convert("PA")
    image.putpalette([0, 0, 0, 10, 120, 230] + [0] * 762)
    if transparency is not None:
        image.info["transparency"] = transparency
    if alphas is not None:
        image.putpalette([0, 0, 0, 255, 10, 120, 230, alphas], "RGBA")
    return image


@pytest.mark.parametrize(
    ("image", "expected", "notes"),
    [
        (one("1", 1), (255, 255, 255), ("greyscale",)),
        (one("1", 0), (0, 0, 0), ("greyscale",)),
        (one("L", 77), (77, 77, 77), ("greyscale",)),
        (one("LA", (77, 255)), (77, 77, 77), ("greyscale",)),
        (one("LA", (77, 0)), (255, 255, 255), ("greyscale", TRANSPARENT)),
        (one("LA", (100, 51)), (224, 224, 224), ("greyscale", TRANSPARENT)),  # 20 + 204
        (one("La", (20, 51)), (224, 224, 224), ("greyscale", TRANSPARENT)),  # premultiplied
        (one("RGB", (1, 2, 3)), (1, 2, 3), ()),
        (one("RGBX", (1, 2, 3, 9)), (1, 2, 3), ()),
        (one("RGBA", (1, 2, 3, 255)), (1, 2, 3), ()),
        (one("RGBA", (1, 2, 3, 0)), (255, 255, 255), (TRANSPARENT,)),
        (one("RGBA", (0, 100, 255, 51)), (204, 224, 255), (TRANSPARENT,)),
        (one("RGBa", (0, 20, 51, 51)), (204, 224, 255), (TRANSPARENT,)),
        (palette(), (10, 120, 230), ("palette",)),
        (palette(transparency=0), (10, 120, 230), ("palette",)),
        (palette(transparency=1), (255, 255, 255), ("palette", TRANSPARENT)),
        (palette(transparency=b"\xff\x33"), (206, 228, 250), ("palette", TRANSPARENT)),
        (palette(alphas=0), (255, 255, 255), ("palette", TRANSPARENT)),
        (one("CMYK", (0, 0, 0, 0)), (255, 255, 255), ("cmyk",)),
        (one("CMYK", (255, 0, 0, 0)), (0, 255, 255), ("cmyk",)),
        (one("CMYK", (51, 0, 0, 51)), (163, 204, 204), ("cmyk",)),  # 204 * 204 / 255
        (one("YCbCr", (100, 128, 128)), (100, 100, 100), ("other colour space",)),
        (one("HSV", (0, 255, 255)), (255, 0, 0), ("other colour space",)),
        (one("LAB", (255, 128, 128)), (255, 255, 255), ("other colour space",)),
        (one("I;16", 65535), (255, 255, 255), ("greyscale", "16 bit to 8")),
        (one("I;16", 128), (0, 0, 0), ("greyscale", "16 bit to 8")),
        (one("I;16", 129), (1, 1, 1), ("greyscale", "16 bit to 8")),  # 129 * 255 / 65535 = 0.502
        (one("I;16B", 25700), (100, 100, 100), ("greyscale", "16 bit to 8")),
        (one("I;16L", 25700), (100, 100, 100), ("greyscale", "16 bit to 8")),
        (one("I", 25700), (100, 100, 100), ("greyscale", "16 bit to 8")),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_golden_pixels(image, expected, notes):
    found, said = pixel(image)
    assert said == notes
    np.testing.assert_allclose(found, expected, atol=1 if image.mode == "LAB" else 0)


@pytest.mark.parametrize("image", [one("F", 0.5), one("I", -1), one("I", 65536)])
def test_a_mode_without_a_rule_is_refused(image):
    with pytest.raises(RefusedError) as caught:
        to_rgb(image)
    assert caught.value.reason == "colour mode not supported"


def test_every_mode_of_pillow_has_a_rule_or_is_refused():
    for mode in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr",
                 "HSV", "LAB", "I", "I;16", "I;16L", "I;16B", "I;16N"):  # fmt: skip
        image = Image.new(mode, (3, 2)) if mode != "I;16N" else Image.new("I;16", (3, 2))
        assert to_rgb(image)[0].size == (3, 2), mode


def test_sixteen_bit_grey_keeps_all_levels():
    ramp = np.linspace(0, 65535, 65536 // 16).astype(np.uint16).reshape(64, 64)
    content = encoded(Image.fromarray(ramp))
    found = decode(content, 64)
    assert found.notes == ("greyscale", "16 bit to 8")
    assert len(np.unique(found.pixels)) == 256
    np.testing.assert_array_equal(found.pixels[..., 0], np.round(ramp * (255 / 65535)))
    assert (
        len(np.unique(Image.open(io.BytesIO(content)).convert("RGB"))) < 200
    )  # why we have a rule


def test_sixteen_bit_colours_are_noted():
    row = b"\0" + struct.pack(">3H", 0x1234, 0x80FF, 0xFFFF) * 2
    found = decode(png(2, 2, 16, 2, row * 2), 2)
    assert found.notes == ("16 bit to 8",)
    assert (found.pixels == [0x12, 0x80, 0xFF]).all()
    grey = b"\0" + struct.pack(">2H", 0x4000, 0xFFFF) * 2  # grey with alpha
    found = decode(png(2, 2, 16, 4, grey * 2), 2)
    assert found.notes == ("16 bit to 8",)
    assert (found.pixels == 0x40).all()


@pytest.mark.parametrize(
    ("depth", "colour", "row", "key", "kept"),
    [
        (8, 0, bytes([7, 9]), struct.pack(">H", 7), 9),
        (2, 0, bytes([0b01_10_0000]), struct.pack(">H", 1), 170),
        (4, 0, bytes([0x3C]), struct.pack(">H", 3), 0xCC),
        (1, 0, bytes([0b01_000000]), struct.pack(">H", 0), 255),
        (16, 0, struct.pack(">2H", 300, 65535), struct.pack(">H", 300), 255),
        (8, 2, bytes([7, 7, 7, 9, 9, 9]), struct.pack(">3H", 7, 7, 7), 9),
        (16, 2, struct.pack(">6H", 1800, 1800, 1800, 2560, 2560, 2560),
         struct.pack(">3H", 1800, 1800, 1800), 10),
    ],
)  # fmt: skip
def test_the_transparent_colour_of_a_file_becomes_white(depth, colour, row, key, kept):
    content = png(2, 2, depth, colour, (b"\0" + row) * 2, chunk(b"tRNS", key))
    found = decode(content, 2)
    assert TRANSPARENT in found.notes
    assert (found.pixels[:, 0] == 255).all()
    assert (found.pixels[:, 1] == kept).all()


def test_hidden_colours_of_transparent_pixels_do_not_show():
    hidden = np.asarray(picture(32, 32).convert("RGBA")).copy()
    hidden[..., 3] = 0
    for kind in ("PNG", "WEBP"):
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        found = decode(encoded(Image.fromarray(hidden), kind, **options), 16)
        assert (found.pixels == 255).all()
        assert found.notes == (TRANSPARENT,)


def adobe_marker(content):
    at = content.find(b"\xff\xee")
    return at, 2 + int.from_bytes(content[at + 2 : at + 4], "big")


def test_inks_in_a_jpeg_are_inverted_with_and_without_adobes_marker():
    content = encoded(one("CMYK", (255, 0, 0, 0)).resize((16, 16)), "JPEG", quality=100)
    at, length = adobe_marker(content)
    assert at > 0
    for file in (content, content[:at] + content[at + length :]):
        found = decode(file, 16)
        assert found.notes == ("cmyk",)
        np.testing.assert_allclose(found.pixels[0, 0], (0, 255, 255), atol=3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "I;16"])
def test_every_mode_that_a_file_can_have_is_recognisable(mode):
    source = picture(32, 32)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    if mode == "I;16":
        image = Image.fromarray(np.asarray(source.convert("L")).astype(np.uint16) * 257)
    else:
        image = source.convert(mode, dither=Image.Dither.NONE)
    found = decode(encoded(image, kind), 32).pixels
    grey = np.asarray(source.convert("L"), dtype=float)
    assert np.corrcoef(found.mean(axis=-1).ravel(), grey.ravel())[0, 1] > 0.6
