"""Which way up an image is, by its metadata; everything else in there is dropped."""

from PIL import ExifTags
from PIL.Image import Image, Transpose

from debias.decoding.notes import BROKEN_METADATA, TURNED

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
SIDEWAYS = frozenset(_TURNS[number] for number in (5, 6, 7, 8))
_PLACES = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")


def turn_of(image: Image) -> tuple[Transpose | None, tuple[str, ...]]:
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
        return None, (BROKEN_METADATA,)
    if unread or orientation not in range(1, 9):
        return None, (BROKEN_METADATA,)
    if orientation == 1:
        return None, ()
    return _TURNS[orientation], (TURNED,)
