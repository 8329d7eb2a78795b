"""What was done to an image on its way to RGB: the words by which conversions are counted."""

GREYSCALE = "greyscale"
PALETTE = "palette"
CMYK = "cmyk"
OTHER_COLOURS = "other colour space"
TRANSPARENCY = "transparency on white"
SIXTEEN_BIT = "16 bit to 8"
PROFILE_IGNORED = "colour profile ignored"
ANIMATED = "animated: first frame"
SEVERAL = "several pictures: first one"
TURNED = "turned by exif"
BROKEN_METADATA = "broken metadata ignored"
ENLARGED = "enlarged"
BEYOND_EDGE = "black beyond the edge"

NOTES = frozenset(
    {
        GREYSCALE,
        PALETTE,
        CMYK,
        OTHER_COLOURS,
        TRANSPARENCY,
        SIXTEEN_BIT,
        PROFILE_IGNORED,
        ANIMATED,
        SEVERAL,
        TURNED,
        BROKEN_METADATA,
        ENLARGED,
        BEYOND_EDGE,
    }
)
