"""Every colour mode to RGB by explicit rules.

=====================  =========================================================================
mode                   becomes RGB by
=====================  =========================================================================
RGB, RGBX              as it is; an embedded colour profile is ignored, values are read as sRGB
1, L                   the same value three times
LA, La, RGBA, RGBa     blended with white by alpha; hidden colours of transparent pixels vanish
P, PA                  palette looked up; with transparency, blended with white
RGB, L, 1, I;16 + tRNS pixels of the transparent colour become white
CMYK                   (255 - C)(255 - K) / 255 and so on; JPEG stores inks inverted, as Adobe does,
                       whether or not the file says so
YCbCr, HSV             the usual formulas of Pillow
LAB                    CIE L*a*b* (D50) to sRGB
I;16*, I               v * 255 / 65535, rounded: all 256 levels are kept
RGB of 16 bit          the upper 8 bits (all that the decoder hands out)
F and any other        refused
=====================  =========================================================================
"""

from PIL import Image
from PIL.ImageFile import ImageFile

from debias.decoding.rules import (
    CMYK,
    GREYSCALE,
    MODE_NOT_SUPPORTED,
    OTHER_COLOURS,
    PALETTE,
    SIXTEEN_BIT,
    TRANSPARENCY,
    RefusedError,
)

_WORDS: dict[str, tuple[str, ...]] = {
    "RGB": (),
    "RGBX": (),
    "RGBA": (),
    "RGBa": (),
    "1": (GREYSCALE,),
    "L": (GREYSCALE,),
    "LA": (GREYSCALE,),
    "La": (GREYSCALE,),
    "P": (PALETTE,),
    "PA": (PALETTE,),
    "CMYK": (CMYK,),
    "YCbCr": (OTHER_COLOURS,),
    "HSV": (OTHER_COLOURS,),
    "LAB": (OTHER_COLOURS,),
    "I": (GREYSCALE, SIXTEEN_BIT),
    "I;16": (GREYSCALE, SIXTEEN_BIT),
    "I;16L": (GREYSCALE, SIXTEEN_BIT),
    "I;16B": (GREYSCALE, SIXTEEN_BIT),
    "I;16N": (GREYSCALE, SIXTEEN_BIT),
}
_KEYED = frozenset({"1", "L", "RGB"})  # modes whose transparency is one colour
_FIRST = {"La": "LA", "RGBa": "RGBA"}  # premultiplied modes convert to nothing else
# The transparent colour is given in the depth of the file, the pixels in 8 bits.
_KEY_SCALE = {"L;2": 85.0, "L;4": 17.0, "RGB;16B": 1 / 256}


def stored_as(image: ImageFile) -> str:
    """How the file stores its pixels, in Pillow's words; to be asked before they are loaded."""
    raw = image.tile[0].args if image.tile else ""
    raw = raw[0] if isinstance(raw, tuple) and raw else raw
    return raw if isinstance(raw, str) else ""


def to_rgb(image: Image.Image, stored: str = "") -> tuple[Image.Image, tuple[str, ...]]:
    """Convert by the table of this module.

    Args:
        image: Of any mode.
        stored: See :func:`stored_as`.

    Returns:
        The image in mode RGB and what was done to it.

    Raises:
        RefusedError: There is no rule for its mode.
    """
    mode = image.mode
    if mode not in _WORDS:
        raise RefusedError(MODE_NOT_SUPPORTED, f"colour mode {mode}; convert it to RGB")
    words = _WORDS[mode]
    if SIXTEEN_BIT in words:
        rgb, see_through = _from_sixteen_bits(image)
    elif mode in _KEYED and "transparency" in image.info:
        rgb, see_through = _without_key(image, stored)
    elif image.has_transparency_data:
        rgb, see_through = _on_white(image.convert(_FIRST.get(mode, mode)).convert("RGBA"))
    else:
        rgb, see_through = (image if mode == "RGB" else image.convert("RGB")), False
    if SIXTEEN_BIT not in words and stored.endswith(";16B"):
        words = (*words, SIXTEEN_BIT)
    return rgb, (*words, TRANSPARENCY) if see_through else words


def _from_sixteen_bits(image: Image.Image) -> tuple[Image.Image, bool]:
    import numpy as np  # only the few images that need it pay for loading it

    values = np.asarray(image)
    if image.mode == "I" and (values.min() < 0 or values.max() > 65535):
        raise RefusedError(
            MODE_NOT_SUPPORTED,
            f"values from {values.min()} to {values.max()}; 0 to 65535 are understood",
        )
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)  # round(v * 255 / 65535)
    key = image.info.get("transparency")
    hidden = values == key if isinstance(key, int) else np.zeros((), dtype=bool)
    grey = np.where(hidden, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB"), bool(hidden.any())


def _without_key(image: Image.Image, stored: str) -> tuple[Image.Image, bool]:
    """White for the one colour that stands for transparent."""
    import numpy as np

    given = image.info["transparency"]
    key = [int(value * _KEY_SCALE.get(stored, 1)) for value in np.broadcast_to(given, 3)]
    plain = image.copy()
    plain.info.pop("transparency")
    pixels = np.array(plain.convert("RGB"))
    red, green, blue = (pixels[..., channel] == value for channel, value in enumerate(key))
    hidden = red & green & blue
    pixels[hidden] = 255
    return Image.fromarray(pixels), bool(hidden.any())


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return image.convert("RGB"), False
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image.convert("RGB"), mask=alpha)
    return canvas, True
