"""The bytes of one image file to a square of RGB; every colour mode by an explicit rule.

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

import io
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, NamedTuple

from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from debias.decoding import cropping, rules
from debias.decoding.cropping import Square
from debias.decoding.rules import Limits, RefusedError

if TYPE_CHECKING:
    import numpy as np


_SIXTEEN = (rules.GREYSCALE, rules.SIXTEEN_BIT)
_WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("RGB", "RGBX", "RGBA", "RGBa"), ()),
    **dict.fromkeys(("1", "L", "LA", "La"), (rules.GREYSCALE,)),
    **dict.fromkeys(("P", "PA"), (rules.PALETTE,)),
    **dict.fromkeys(("YCbCr", "HSV", "LAB"), (rules.OTHER_COLOURS,)),
    **dict.fromkeys(("I", "I;16", "I;16L", "I;16B", "I;16N"), _SIXTEEN),
    "CMYK": (rules.CMYK,),
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
    """Convert an image, ``stored_as`` so, by the table of this module; and what was done to it.

    Raises:
        RefusedError: There is no rule for its mode.
    """
    mode = image.mode
    if mode not in _WORDS:
        raise RefusedError(rules.MODE_NOT_SUPPORTED, f"colour mode {mode}; convert it to RGB")
    words = _WORDS[mode]
    if rules.SIXTEEN_BIT in words:
        rgb, see_through = _from_sixteen_bits(image)
    elif mode in _KEYED and "transparency" in image.info:
        rgb, see_through = _without_key(image, stored)
    elif image.has_transparency_data:
        rgb, see_through = _on_white(image.convert(_FIRST.get(mode, mode)).convert("RGBA"))
    else:
        rgb, see_through = (image if mode == "RGB" else image.convert("RGB")), False
    if rules.SIXTEEN_BIT not in words and stored.endswith(";16B"):
        words = (*words, rules.SIXTEEN_BIT)
    return rgb, (*words, rules.TRANSPARENCY) if see_through else words


def _from_sixteen_bits(image: Image.Image) -> tuple[Image.Image, bool]:
    import numpy as np  # only the few images that need it pay for loading it

    values = np.asarray(image)
    if image.mode == "I" and (values.min() < 0 or values.max() > 65535):
        raise RefusedError(
            rules.MODE_NOT_SUPPORTED,
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


# The only decoders that ever see a byte. They are called by name: Pillow's own choice would load
# some fifty others, and read the index of further pictures that some JPEG files carry.
READERS: dict[str, Callable[[IO[bytes]], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
}

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}  # fmt: skip
SIDEWAYS = frozenset(_TURNS[number] for number in (5, 6, 7, 8))
_PLACES = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")


def turn_of(image: Image.Image) -> tuple[Transpose | None, tuple[str, ...]]:
    """The turn that makes the image upright, by EXIF or, without it, XMP orientation 1 to 8.

    Metadata that cannot be read are ignored and noted: pixels are not thrown away for them.
    """
    if not any(name in image.info for name in _PLACES):
        return None, ()
    try:
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        unread = not exif and any(image.info.get(name) for name in _PLACES[:2])
    except Exception:  # whatever nonsense stands there
        return None, (rules.BROKEN_METADATA,)
    if unread or orientation not in range(1, 9):
        return None, (rules.BROKEN_METADATA,)
    if orientation == 1:
        return None, ()
    return _TURNS[orientation], (rules.TURNED,)


LONGEST_DETAIL = 200  # characters


class DecodedImage(NamedTuple):
    """What became of one file."""

    face: Image.Image  # RGB, ``size`` pixels wide and high
    notes: tuple[str, ...]  # what was done on the way
    format: str  # JPEG, PNG, WEBP or BMP
    dimensions: tuple[int, int]  # width and height in pixels as the header says

    @property
    def pixels(self) -> "np.ndarray":
        """``uint8 (size, size, 3)`` RGB."""
        import numpy as np

        return np.asarray(self.face)


def decode(
    content: bytes, size: int, limits: Limits | None = None, crop: Square | None = None
) -> DecodedImage:
    """First frame, upright by EXIF, RGB on white, resampled (bicubic); metadata are dropped.

    Args:
        content: A whole JPEG, PNG, WebP or BMP file.
        size: Side of the result, pixels.
        limits: How many pixels are decoded at most, by the header.
        crop: In pixels of the upright image; None for the largest centred square.

    Raises:
        RefusedError: There is no image, or none that can be used; nothing else is raised,
            whatever the content.
    """
    image: ImageFile | None = None
    try:
        image = _opened(content)
        (width, height), most = image.size, (limits or Limits()).most_pixels
        if width * height > most:
            detail = f"{width} x {height} pixels; at most {most} are decoded"
            raise RefusedError(rules.IMAGE_TOO_LARGE, detail)
        return _decoded(image, size, crop)
    except Exception as error:  # decoders fail in every way there is
        refused = as_refused(error)
        refused.dimensions = image.size if image else None
        raise refused from error


def as_refused(error: Exception) -> RefusedError:
    """The reason that an exception of a decoder stands for, in text that is safe to print."""
    if isinstance(error, RefusedError):
        return error
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    text = text.encode("ascii", "backslashreplace").decode()
    text = "".join(letter for letter in text if letter.isprintable())[:LONGEST_DETAIL]
    if isinstance(error, MemoryError):
        return RefusedError(rules.OUT_OF_MEMORY, text)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return RefusedError(rules.IMAGE_TOO_LARGE, text)
    return RefusedError(rules.NOT_DECODABLE, text)


def _opened(content: bytes) -> ImageFile:
    if not content:
        raise RefusedError(rules.NOT_DECODABLE, "the file is empty")
    kind = rules.format_of(content)
    if kind in READERS:
        return READERS[kind](io.BytesIO(content))
    if kind == "HTML":
        raise RefusedError(
            rules.NOT_DECODABLE, "HTML: a web page in place of an image; get it again"
        )
    if not kind or kind in rules.DOCUMENTS:
        found = f"{kind} files are not read" if kind else "this is no image file"
        raise RefusedError(rules.NOT_DECODABLE, f"{found}; JPEG, PNG, WebP and BMP are")
    raise RefusedError(
        rules.FORMAT_NOT_READ,
        f"{kind} files are not read; JPEG, PNG, WebP and BMP are: convert it, for example with "
        "ImageMagick, magick FILE FILE.png",
    )


def _decoded(image: ImageFile, size: int, crop: Square | None) -> DecodedImage:
    kind, dimensions, stored = str(image.format), image.size, stored_as(image)
    if kind == "PNG":
        image.load()  # its metadata may stand behind the pixels
    turn, turned = turn_of(image)
    width, height = reversed(dimensions) if turn in SIDEWAYS else dimensions
    square = crop or cropping.centred(width, height)
    if crop:
        cropping.check(crop, width, height)
    # A mirrored image whose last pixel is a part of one would be mirrored about another axis.
    exact = turn is None or not (width % 8 or height % 8)
    scale = _draft(image, square.side / size) if kind == "JPEG" and exact else 1
    rgb, converted = to_rgb(image, stored)
    upright = rgb if turn is None else rgb.transpose(turn)
    face, beyond = cropping.cut(upright, square.scaled(1 / scale), size)
    facts = {
        rules.ANIMATED: getattr(image, "is_animated", False),
        rules.SEVERAL: "mp" in image.info,
        rules.PROFILE_IGNORED: image.info.get("icc_profile"),
        rules.ENLARGED: square.side < size,
        rules.BEYOND_EDGE: beyond,
    }
    notes = (*turned, *converted, *(note for note, true in facts.items() if true))
    return DecodedImage(face, notes, kind, dimensions)


def _draft(image: ImageFile, shrink: float) -> int:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 of its size if no less than wanted is left.

    The transform of its blocks yields the smaller image at once, which is most of the time saved.
    """
    scale = next((scale for scale in (8, 4, 2) if shrink >= scale), 1)
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    return scale
