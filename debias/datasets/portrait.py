"""A studio portrait, painted from the back to the front.

Lengths are in units of half the image's side at scale 1, measured from the middle of the face,
v down; the head reaches from about -0.7 to 0.6. Features inside the face are placed by
``across``, which turns with the head, and cut off at the face's outline.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8

from debias.datasets.drawing import (
    HEAD_CENTRE,
    HEAD_HEIGHT,
    HEAD_WIDTH,
    Canvas,
    Colour,
    Plane,
    Pose,
    blank,
    develop,
    ellipse,
    glow,
    hue_colour,
    inside,
    palette,
    wave,
)  # fmt: skip


class Factor(NamedTuple):
    """The limits within which a factor can be drawn, and what it means."""

    low: float
    high: float
    meaning: str


FACTORS = {
    "skin_tone": Factor(0.0, 1.0, "0 dark, 1 light"),
    "femininity": Factor(0.0, 1.0, "jaw, brows, lashes and lips: 0 masculine, 1 feminine"),
    "smile": Factor(-1.0, 1.0, "corners of the mouth: -1 down, 0 level, 1 up"),
    "mouth_open": Factor(0.0, 1.0, "gap between the lips"),
    "mouth_width": Factor(0.8, 1.2, "relative"),
    "lip_fullness": Factor(0.6, 1.4, "relative"),
    "face_width": Factor(0.9, 1.1, "relative"),
    "nose_width": Factor(0.8, 1.4, "relative"),
    "eye_open": Factor(0.7, 1.2, "relative"),
    "eye_lightness": Factor(0.0, 1.0, "colour of the iris: brown, green, blue"),
    "hair_lightness": Factor(0.0, 1.0, "black, brown, blond"),
    "hair_redness": Factor(0.0, 1.0, "0 none, 1 red"),
    "hair_length": Factor(0.0, 1.0, "0 short, 1 below the shoulders"),
    "hair_volume": Factor(0.0, 1.0, "how far the hair stands off the head"),
    "hair_curl": Factor(0.0, 1.0, "0 straight, 1 curly"),
    "hair_part": Factor(-1.0, 1.0, "side on which the hairline is highest"),
    "fringe": Factor(0.0, 1.0, "how far the hair hangs into the forehead"),
    "beard": Factor(0.0, 1.0, "0 shaven, 1 full"),
    "eyewear": Factor(0.0, 1.0, "0 no glasses, above 0 the strength of the frame"),
    "eyewear_colour": Factor(0.0, 1.0, "black, tortoiseshell, metal"),
    "yaw": Factor(-0.5, 0.5, "turn of the head to the right of the image, radians"),
    "roll": Factor(-0.4, 0.4, "tilt of the head, clockwise in the image, radians"),
    "shift_x": Factor(-0.3, 0.3, "middle of the face, half image sides right of the centre"),
    "shift_y": Factor(-0.3, 0.3, "middle of the face, half image sides below the centre"),
    "scale": Factor(0.6, 1.4, "size of the head"),
    "light_azimuth": Factor(-1.0, 1.0, "lamp: -1 from the left, 1 from the right"),
    "light_elevation": Factor(0.0, 1.0, "height of the lamp, radians"),
    "ambient": Factor(0.1, 0.8, "share of the light that comes from everywhere"),
    "exposure": Factor(0.3, 1.4, "relative"),
    "light_hue": Factor(0.0, 1.0, "colour of the light, place on the colour wheel"),
    "light_saturation": Factor(0.0, 1.0, "0 white light, 1 pure"),
    "backdrop_hue": Factor(0.0, 1.0, "place on the colour wheel"),
    "backdrop_saturation": Factor(0.0, 1.0, "0 grey, 1 pure"),
    "backdrop_lightness": Factor(0.0, 1.0, "0 black, 1 full"),
    "pattern_hue": Factor(0.0, 1.0, "place on the colour wheel"),
    "pattern_lightness": Factor(0.0, 1.0, "0 black, 1 full"),
    "pattern_strength": Factor(0.0, 1.0, "0 plain backdrop, 1 strong pattern"),
    "pattern_angle": Factor(0.0, 3.2, "radians"),
    "pattern_frequency": Factor(0.1, 6.0, "stripes per half image side"),
    "pattern_shift": Factor(0.0, 1.0, "place of the first stripe, share of the pattern's period"),
    "pattern_check": Factor(0.0, 1.0, "0 stripes, 1 checks"),
    "clothing_hue": Factor(0.0, 1.0, "place on the colour wheel"),
    "clothing_saturation": Factor(0.0, 1.0, "0 grey, 1 pure"),
    "clothing_lightness": Factor(0.0, 1.0, "0 black, 1 full"),
    "noise_level": Factor(0.0, 0.1, "standard deviation of the grain, share of full scale"),
    "noise_seed": Factor(0.0, 2.0**31 - 1, "integer that fixes the grain"),
}

FACE_WIDTH, FACE_HEIGHT = 0.44, 0.58
SIDES = (-1, 1)

SKIN = (
    (0.0, (0.29, 0.18, 0.135)), (0.2, (0.39, 0.25, 0.185)), (0.4, (0.53, 0.36, 0.27)),
    (0.6, (0.78, 0.59, 0.46)), (0.8, (0.90, 0.72, 0.60)), (1.0, (0.97, 0.84, 0.76)),
)  # fmt: skip
# On light skin lips are darker and redder than what surrounds them, on dark skin they are
# lighter and pinker: the contrast that shows a mouth's curve changes its sign.
UPPER_LIP = (
    (0.0, (0.38, 0.235, 0.21)), (0.4, (0.61, 0.40, 0.345)), (0.6, (0.66, 0.38, 0.35)),
    (1.0, (0.76, 0.43, 0.42)),
)  # fmt: skip
LOWER_LIP = (
    (0.0, (0.55, 0.33, 0.315)), (0.4, (0.72, 0.47, 0.43)), (0.6, (0.72, 0.42, 0.39)),
    (1.0, (0.82, 0.47, 0.46)),
)  # fmt: skip
LIP_LINE = (
    (0.0, (0.25, 0.145, 0.12)), (0.4, (0.43, 0.27, 0.22)), (0.6, (0.46, 0.24, 0.22)),
    (1.0, (0.50, 0.24, 0.24)),
)  # fmt: skip
HAIR = (
    (0.0, (0.09, 0.075, 0.075)), (0.35, (0.22, 0.145, 0.10)), (0.6, (0.40, 0.26, 0.165)),
    (0.8, (0.64, 0.47, 0.28)), (1.0, (0.86, 0.73, 0.50)),
)  # fmt: skip
RED_HAIR = ((0.0, (0.28, 0.105, 0.06)), (1.0, (0.80, 0.40, 0.18)))
IRIS = (
    (0.0, (0.20, 0.11, 0.07)), (0.5, (0.32, 0.20, 0.11)), (0.75, (0.36, 0.42, 0.25)),
    (1.0, (0.30, 0.48, 0.66)),
)  # fmt: skip
FRAME = ((0.0, (0.06, 0.06, 0.07)), (0.6, (0.34, 0.17, 0.10)), (1.0, (0.66, 0.60, 0.50)))
WHITE, EYE_WHITE, TEETH = (1.0, 1.0, 1.0), (0.70, 0.69, 0.68), (0.89, 0.88, 0.85)
BLACK, MOUTH_INSIDE = (0.07, 0.06, 0.06), (0.25, 0.13, 0.13)


class Traits(dict[str, Plane]):
    """The factors of ``B`` faces: ``traits["smile"]`` is ``float32 (B, 1, 1)``."""

    def __init__(self, columns: Mapping[str, Float64[np.ndarray, " B"]]) -> None:
        super().__init__({k: v.astype(np.float32)[:, None, None] for k, v in columns.items()})
        self.columns = columns

    def colour(
        self, name: str, stops: tuple[tuple[float, tuple[float, float, float]], ...]
    ) -> Colour:
        """The colours of a palette at the values of one factor."""
        return palette(self.columns[name], stops)

    def dyed(self, thing: str, as_pure_as: str | None = None) -> Colour:
        """The free colours of the backdrop, its pattern or the clothing."""
        saturation = self.columns[f"{as_pure_as or thing}_saturation"]
        return hue_colour(
            self.columns[f"{thing}_hue"], saturation, self.columns[f"{thing}_lightness"]
        )

    @property
    def hair(self) -> Colour:
        plain, red = self.colour("hair_lightness", HAIR), self.colour("hair_lightness", RED_HAIR)
        return plain + self["hair_redness"] * (red - plain)

    @property
    def lamp(self) -> tuple[Plane, Plane, Plane]:
        """Unit vector towards the lamp: right, down, towards the camera."""
        azimuth, elevation = self["light_azimuth"] * 1.1, self["light_elevation"]
        level = np.cos(elevation)
        return np.sin(azimuth) * level, -np.sin(elevation), np.cos(azimuth) * level


def portraits(
    columns: Mapping[str, Float64[np.ndarray, " B"]], size: int
) -> UInt8[np.ndarray, "B H W 3"]:
    """Draw ``B`` faces at once from every factor of :data:`FACTORS`, within its limits."""
    traits = Traits(columns)
    pose = Pose(**{name: traits[name] for name in ("shift_x", "shift_y", "scale", "roll", "yaw")})
    canvas = blank(pose, size)
    for layer in LAYERS:
        layer(canvas, traits)
    tint = hue_colour(
        columns["light_hue"], columns["light_saturation"], np.ones_like(columns["light_hue"])
    )
    return develop(canvas, tint, traits["noise_level"], columns["noise_seed"].astype(np.int64))


def _lamp(canvas: Canvas, traits: Traits) -> None:
    """Light on the round of the head: ambient, and a lamp soft enough to reach past the edge."""
    right, down, front = traits.lamp
    facing = canvas.u * (right / HEAD_WIDTH) + (canvas.v - HEAD_CENTRE) * (down / HEAD_HEIGHT)
    lamp = np.clip((facing + canvas.depth * front + 0.25) / 1.25, 0, 1.1)
    canvas.lit[...] = traits["exposure"] * (traits["ambient"] + (1.1 - traits["ambient"]) * lamp)


def _backdrop(canvas: Canvas, traits: Traits) -> None:
    angle, frequency = traits["pattern_angle"], traits["pattern_frequency"]
    along = canvas.x * np.cos(angle) + canvas.y * np.sin(angle)
    stripes = wave(along * frequency + traits["pattern_shift"])
    across = wave((canvas.y * np.cos(angle) - canvas.x * np.sin(angle)) * frequency)
    checks = stripes + traits["pattern_check"] * (across - 2 * stripes * across)
    everywhere = np.ones_like(canvas.light)
    canvas.paint(everywhere, traits.dyed("backdrop"))
    canvas.paint(checks * traits["pattern_strength"], traits.dyed("pattern", "backdrop"))
    distance = (canvas.x - 0.5 * traits["light_azimuth"]) ** 2 + (canvas.y + 0.2) ** 2
    canvas.shade(everywhere, np.clip(1.12 - 0.22 * distance, 0.3, 2))


def _body(canvas: Canvas, traits: Traits) -> None:
    """Neck, shoulders, and the shadow that the chin throws on them."""
    part = canvas.around((-2.0, 2.0), (0.1, 3.0))
    u, v, soft = part.u, part.v, 2.5 * part.pixel
    feminine = traits["femininity"]
    daylight = np.clip(0.85 + 0.5 * traits.lamp[0] * u, 0.4, 1.2) * traits["exposure"]
    half = 0.215 - 0.03 * feminine + 0.12 * np.clip(v - 0.62, 0, 1)
    neck = inside(np.abs(u) - half, soft) * inside(0.2 - v, soft)
    part.paint(neck, traits.colour("skin_tone", SKIN))
    part.illuminate(neck, daylight * 0.62)
    shoulders = ellipse(u, v - 1.28, (0.86 - 0.14 * feminine, 0.62), soft)
    neckline = ellipse(u, v - 0.60, (0.235, 0.14 + 0.14 * feminine), soft)
    part.paint(shoulders * neckline, traits.colour("skin_tone", SKIN))
    part.paint(shoulders * (1 - neckline), traits.dyed("clothing"))
    part.illuminate(shoulders, daylight * 0.92)
    part.shade(glow(u, v - 0.62, (0.36, 0.22)) * shoulders, 0.7)


def _ears(canvas: Canvas, traits: Traits) -> None:
    for side in SIDES:
        part = canvas.around((side * 0.45 - 0.2, side * 0.45 + 0.2), (-0.15, 0.2))
        u = part.u - side * 0.435 + 0.08 * np.sin(traits["yaw"])
        ear = ellipse(u, part.v - 0.02, (0.06, 0.12), 1.8 * part.pixel)
        part.paint(ear, traits.colour("skin_tone", SKIN))
        part.illuminate(ear, part.lit * 0.8 + 0.05)


def _curls(canvas: Canvas, traits: Traits) -> Plane:
    """A ripple in [-1, 1] over the hair, 0 where it is straight."""
    u, v = canvas.u, canvas.v
    return traits["hair_curl"] * (wave(6 * u + 2.5 * v) + wave(6 * v - 2.5 * u) - 1)


def _skull(canvas: Canvas, traits: Traits, curls: Plane) -> Plane:
    """The outline of the hair on top of the head."""
    off = 0.1 * traits["hair_volume"] * (1 + 0.6 * traits["hair_curl"]) + 0.02 * curls
    u = canvas.u + 0.06 * np.sin(traits["yaw"])
    return ellipse(u, canvas.v + 0.12, (0.45 + off, 0.55 + off), 2 * canvas.pixel)


def _mane(canvas: Canvas, traits: Traits) -> None:
    """Hair behind the face: a cap, and from half length on two curtains beside the neck."""
    part = canvas.around((-0.9, 0.9), (-1.0, 1.3))
    u, v, soft = np.abs(part.u + 0.06 * np.sin(traits["yaw"])), part.v, 2 * part.pixel
    curls = _curls(part, traits)
    cap = _skull(part, traits, curls) * inside(v - 0.03 - 0.1 * traits["hair_curl"], 6 * soft)
    tips = traits["hair_length"] * 1.35 - 0.35
    rounding = 0.09 * np.clip((v - tips + 0.2) / 0.2, 0, 1.2) ** 2
    half = 0.44 + 0.1 * traits["hair_volume"] + 0.05 * np.clip(v, -0.1, 0.6) + 0.02 * curls
    fall = inside(u - half + rounding, soft) * inside(-0.05 - v, 6 * soft)
    fall *= inside(v - tips - 0.04 * curls, 4 * soft)
    fall *= 1 - inside(u - 0.155, soft) * inside(0.3 - v, soft)
    mane = np.maximum(cap, fall)
    part.paint(mane, traits.hair)
    part.illuminate(mane, (part.lit * 0.8 + 0.1) * (1 + 0.1 * curls))


def _face(canvas: Canvas, traits: Traits) -> None:
    part = canvas.around((-0.5, 0.5), (-0.62, 0.62))
    below = np.clip(part.v, 0, 1) / FACE_HEIGHT
    jaw = 1 - (0.14 + 0.16 * traits["femininity"]) * below * below
    radii = FACE_WIDTH * traits["face_width"], FACE_HEIGHT
    part.face[...] = ellipse(part.u / jaw, part.v, radii, 1.8 * part.pixel)
    part.paint(part.face, traits.colour("skin_tone", SKIN))
    part.illuminate(part.face, part.lit)
    part.shade(inside(0.52 - part.v, 0.4) * part.face, 0.80)


def _complexion(canvas: Canvas, traits: Traits) -> None:
    """Blush, eye sockets, and the shine of forehead and cheek on the lamp's side."""
    right, down, _ = traits.lamp
    blush = (
        traits.colour("skin_tone", SKIN)
        * np.array([1.08, 0.72, 0.70], np.float32)[:, None, None, None]
    )
    for side in SIDES:
        part = canvas.around((side * 0.2 - 0.22, side * 0.2 + 0.22), (-0.25, 0.34))
        a, v = part.across - side * 0.2, part.v
        part.paint(glow(a - side * 0.04, v - 0.16, (0.16, 0.15)) * part.face * 0.55, blush)
        part.shade(glow(a + side * 0.03, v + 0.11, (0.15, 0.11)) * part.face, 0.80)
    part = canvas.around((-0.56, 0.56), (-0.6, 0.22))
    a, v = part.across, part.v
    shine = glow(a - 0.22 * right, v + 0.27 + 0.1 * down, (0.30, 0.20))
    shine += 0.6 * glow(a - 0.26 * right - 0.1 * np.sign(right), v - 0.07, (0.12, 0.13))
    part.polish(shine * part.face * (0.055 * traits["exposure"]))


def _nose(canvas: Canvas, traits: Traits) -> None:
    part = canvas.around((-0.2, 0.2), (-0.28, 0.26))
    a, v, wide = part.across, part.v, traits["nose_width"]
    lamp_side = np.clip(a * traits.lamp[0] * 14, -1, 1)
    part.shade(glow(a, v + 0.02, (0.085, 0.24)) * lamp_side * part.face, 1.28)
    tip = glow(a, v - 0.125, (0.085 * wide, 0.075)) * part.face
    part.polish(tip * (0.05 * traits["exposure"]))
    part.shade(tip, 1.1)
    part.shade(glow(a, v - 0.195, (0.11 * wide, 0.045)) * part.face, 0.62)
    for side in SIDES:
        nostril = ellipse(a - side * 0.045 * wide, v - 0.185, (0.022, 0.014), 2 * part.pixel)
        part.shade(nostril * part.face, 0.45)


def _beard(canvas: Canvas, traits: Traits) -> None:
    part = canvas.around((-0.56, 0.56), (-0.2, 0.64))
    a, v = part.across, part.v
    edge = 0.225 - 1.25 * np.clip(np.abs(a) - 0.20, 0, 1)
    around_lips = ellipse(a, v - 0.335, (0.17, 0.085), 0.08) * 0.75
    grown = inside(edge - v, 0.12) * (1 - around_lips) * traits["beard"] * 0.9
    part.paint(grown * part.face, traits.hair * 0.8)


class _Mouth(NamedTuple):
    """The mouth's own coordinates."""

    half: Plane  # of its width
    along: Plane  # square of the position along it, 0 in the middle, 1 at the corners
    below: Plane  # distance under the line on which the lips meet
    arch: Plane  # 1 in the middle, 0 from the corners on
    gap: Plane  # opening between the lips


def _mouth(canvas: Canvas, traits: Traits) -> None:
    part = canvas.around((-0.36, 0.36), (0.1, 0.56))
    smile = traits["smile"]
    half = 0.185 * traits["mouth_width"] * (1 + 0.22 * smile)
    along = np.clip((part.across / half) ** 2, 0, 1.6)
    below = part.v - 0.335 + 0.125 * smile * (along - 0.45)
    arch = np.clip(1 - along, 0, 1)
    mouth = _Mouth(half, along, below, arch, 0.075 * traits["mouth_open"] * arch)
    _lips(part, traits, mouth)
    _opening(part, traits, mouth)
    for side in SIDES:  # the folds that a smile draws beside the mouth
        a = part.across - side * (half + 0.055)
        fold = glow(a, part.v - 0.27 - 0.3 * side * a, (0.035, 0.12)) * part.face
        part.shade(fold * np.maximum(smile, 0), 0.78)


def _lips(part: Canvas, traits: Traits, mouth: _Mouth) -> None:
    a, soft = part.across, 1.6 * part.pixel
    full = traits["lip_fullness"] * (0.8 + 0.35 * traits["femininity"])
    bow = 1 - 0.35 * np.clip(1 - (a / (0.3 * mouth.half)) ** 2, 0, 1)
    rim = mouth.gap / 2 + full * mouth.arch * np.where(mouth.below < 0, 0.052 * bow, 0.075)
    lips = inside(np.abs(mouth.below) - rim, soft) * inside(mouth.along - 1, 0.25) * part.face
    lower = inside(-mouth.below, soft)
    part.shade(glow(a, mouth.below - 0.125, (0.14, 0.05)) * part.face, 0.80)
    part.paint(lips * (1 - lower), traits.colour("skin_tone", UPPER_LIP))
    part.paint(lips * lower, traits.colour("skin_tone", LOWER_LIP))
    shine = glow(a, mouth.below - mouth.gap / 2 - 0.035 * full, (0.08, 0.022))
    part.polish(shine * part.face * 0.03)


def _opening(part: Canvas, traits: Traits, mouth: _Mouth) -> None:
    """The line between the lips, and the teeth behind it when they part."""
    soft, between = 1.6 * part.pixel, np.abs(mouth.below) - mouth.gap / 2
    line = inside(between - 0.008, soft) * inside(mouth.along - 1.12, 0.2) * part.face
    part.paint(line, traits.colour("skin_tone", LIP_LINE))
    # Less than a pixel apart is not yet open.
    apart = np.clip(mouth.gap / part.pixel, 0, 1) * part.face
    part.paint(inside(between, soft) * apart * 0.85, part.plain(MOUTH_INSIDE))
    teeth = inside(np.abs(mouth.below + 0.14 * mouth.gap) - 0.28 * mouth.gap, soft)
    seen = np.clip(mouth.gap / (1.2 * part.pixel) - 0.3, 0, 1) * inside(mouth.along - 0.7, 0.4)
    part.paint(teeth * seen * part.face * 0.92, part.plain(TEETH))


def _eyes(canvas: Canvas, traits: Traits) -> None:
    for side in SIDES:
        part = canvas.around((side * 0.17 - 0.17, side * 0.17 + 0.17), (-0.33, 0.04))
        _eye(part, traits, part.across - side * 0.17)
        _brow(part, traits, part.across - side * 0.182, side)


def _eye(part: Canvas, traits: Traits, a: Plane) -> None:
    soft, v = 1.5 * part.pixel, part.v + 0.09
    along = (a / 0.088) ** 2
    droop, lid = 0.012 * along, 0.047 * traits["eye_open"] * np.clip(1 - along, 0, 1)
    ball = inside(np.abs(v + droop) - lid, soft) * inside(along - 1, 0.3) * part.face
    part.paint(ball, part.plain(EYE_WHITE))
    part.paint(ellipse(a, v, (0.044, 0.044), soft) * ball, traits.colour("eye_lightness", IRIS))
    part.paint(ellipse(a, v, (0.021, 0.021), soft) * ball, part.plain(BLACK))
    spark = a - 0.016 * np.sign(traits["light_azimuth"])
    part.paint(ellipse(spark, v + 0.016, (0.013, 0.013), soft) * ball, part.plain(WHITE))
    lash = inside(np.abs(v + lid + droop) - 0.006 - 0.010 * traits["femininity"], soft)
    part.paint(lash * inside(along - 1.25, 0.25) * part.face * 0.85, part.plain(BLACK))


def _brow(part: Canvas, traits: Traits, a: Plane, side: int) -> None:
    feminine, along = traits["femininity"], (a / 0.125) ** 2
    arch = 0.02 * np.clip(1 - along, 0, 1) * (1 + feminine)
    height = np.abs(part.v + 0.225 + arch + 0.05 * side * a)
    thick = (0.030 - 0.013 * feminine) * np.clip(1.1 - along, 0, 2)
    brow = inside(height - thick, 1.5 * part.pixel) * inside(along - 1, 0.3) * part.face
    part.paint(brow * 0.88, traits.hair * 0.75)


def _fringe(canvas: Canvas, traits: Traits) -> None:
    """Hair in front of the forehead, with a band of shine across the crown."""
    part = canvas.around((-0.9, 0.9), (-1.0, 0.3))
    curls, fringe = _curls(part, traits), traits["fringe"]
    off = part.across - 0.22 * traits["hair_part"]
    hairline = 0.10 * fringe - 0.40 + np.clip((1 + 0.5 * fringe) * off * off, 0, 0.45)
    edge = inside(part.v - hairline - 0.03 * curls, 6 * part.pixel)
    front = _skull(part, traits, curls) * edge
    part.paint(front, traits.hair)
    part.illuminate(front, (part.lit * 0.85 + 0.08) * (1 + 0.1 * curls))
    band = glow(part.u - 0.25 * traits.lamp[0], part.v + 0.50 - 0.5 * part.u**2, (0.36, 0.09))
    strength = (0.02 + 0.06 * traits["hair_lightness"]) * (1 - 0.7 * traits["hair_curl"])
    part.polish(band * front * strength * traits["exposure"])


def _glasses(canvas: Canvas, traits: Traits) -> None:
    part = canvas.around((-0.56, 0.56), (-0.30, 0.12))
    a, v, soft = part.across, part.v + 0.085, 1.5 * part.pixel
    # The frame fades in quickly: any strength above a twentieth is a full pair of glasses.
    worn = np.minimum(traits["eyewear"] * 20, 1)
    thick = 0.012 + 0.028 * traits["eyewear"]
    beside = np.maximum(inside(np.abs(a) - 0.07, soft), inside(0.28 - np.abs(a), soft) * part.face)
    frame = inside(np.abs(v + 0.02) - thick * 0.65, soft) * beside
    for side in SIDES:
        b = a - side * 0.175
        radius = np.sqrt(np.sqrt(np.square((b / 0.125) ** 2) + np.square((v / 0.098) ** 2)))
        rim = (radius - 1) * 0.1
        frame = np.maximum(frame, inside(np.abs(rim) - thick / 2, soft))
        reflection = inside(rim, soft) * inside(np.abs(b + v - 0.03) - 0.03, 0.04)
        part.polish(reflection * worn * 0.035)
    part.paint(frame * worn, traits.colour("eyewear_colour", FRAME))


LAYERS = (
    _lamp, _backdrop, _body, _ears, _mane, _face, _complexion, _nose, _beard, _mouth, _eyes,
    _fringe, _glasses,
)  # fmt: skip
