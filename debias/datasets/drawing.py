"""Soft shapes, light and noise: what a face is drawn with, many faces at a time.

Arrays are ``float32 (B, H, W)``, one plane a quantity, and parameters of a face are
``(B, 1, 1)``. Only additions, products, roots and comparisons touch the planes, so that a pixel
comes out the same to the last bit whatever chunk or window it is computed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

Plane = Float32[np.ndarray, "B _ _"]
Colour = Float32[np.ndarray, "3 _ 1 1"]

HEAD_WIDTH, HEAD_HEIGHT, HEAD_CENTRE = 0.50, 0.66, -0.05


@dataclass(frozen=True, eq=False)
class Pose:
    """Where each head is; all are ``(B, 1, 1)``."""

    shift_x: Plane  # half image sides right of the middle
    shift_y: Plane  # half image sides below the middle
    scale: Plane  # 1 for a face that fills about 60 % of the height
    roll: Plane  # tilt, clockwise in the image, radians
    yaw: Plane  # turn to the right of the image, radians


@dataclass(frozen=True, eq=False)
class Canvas:
    """A stack of images being painted, and the coordinates of each head."""

    albedo: Float32[np.ndarray, "3 B H W"]  # linear reflectance in [0, 1]
    light: Float32[np.ndarray, "B H W"]  # that falls on each pixel, about 1 when fully lit
    gloss: Float32[np.ndarray, "B H W"]  # light mirrored on top of the albedo
    lit: Float32[np.ndarray, "B H W"]  # the light that the surface of the head would receive there
    x: Float32[np.ndarray, "1 1 W"]  # position in the image, [-1, 1]
    y: Float32[np.ndarray, "1 H 1"]  # the same, downwards
    u: Float32[np.ndarray, "B H W"]  # position on the upright head, to the right
    v: Float32[np.ndarray, "B H W"]  # position on the upright head, downwards
    across: Float32[np.ndarray, "B H W"]  # like u but turned with the head: 0 on the nose's line
    depth: Float32[np.ndarray, "B H W"]  # of the head's surface towards the camera, [0, 1]
    face: Float32[np.ndarray, "B H W"]  # coverage by the face; features are cut off at its outline
    pose: Pose
    pixel: Plane  # size of a pixel in units of u

    def around(self, across: tuple[float, float], v: tuple[float, float]) -> "Canvas":
        """The smallest window that holds a box of the turned head on every image.

        The window shares memory with this canvas. Nothing but time depends on its size: what is
        painted in it must vanish outside the box.
        """
        rows, columns = _box(self.pose, across, v, self.albedo.shape[-1])
        part = (slice(None), rows, columns)
        planes = ("light", "gloss", "lit", "u", "v", "across", "depth", "face")
        return replace(
            self,
            albedo=self.albedo[(slice(None), *part)],
            x=self.x[:, :, columns],
            y=self.y[:, rows],
            **{name: getattr(self, name)[part] for name in planes},
        )

    def paint(self, mask: Plane, colour: Colour) -> None:
        """Cover with ``colour`` where ``mask`` is 1, blend where it is between 0 and 1."""
        for plane, value in zip(self.albedo, colour, strict=True):
            plane += mask * (value - plane)

    def plain(self, display: tuple[float, float, float]) -> Colour:
        """The same colour for every face, from display RGB in [0, 1]."""
        return np.square(np.array(display, np.float32))[:, None, None, None]

    def shade(self, mask: Plane, factor: Plane | float) -> None:
        """Multiply the light by ``factor`` where ``mask`` is 1."""
        np.multiply(self.light, 1 + mask * (factor - 1), out=self.light)

    def illuminate(self, mask: Plane, level: Plane) -> None:
        """Replace the light by ``level`` where ``mask`` is 1."""
        np.add(self.light, mask * (level - self.light), out=self.light)

    def polish(self, shine: Plane) -> None:
        """Add mirrored light."""
        np.add(self.gloss, shine, out=self.gloss)


def blank(pose: Pose, size: int) -> Canvas:
    """An unpainted canvas of ``size`` x ``size`` pixels with the heads' coordinates."""
    axis = ((np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1).astype(np.float32)
    x, y = axis[None, None, :], axis[None, :, None]
    sine, cosine = np.sin(pose.roll) / pose.scale, np.cos(pose.roll) / pose.scale
    dx, dy = x - pose.shift_x, y - pose.shift_y  # (B, 1, W), (B, H, 1)
    u, v = dx * cosine + dy * sine, dy * cosine - dx * sine
    depth = np.sqrt(
        np.clip(1 - (u / HEAD_WIDTH) ** 2 - ((v - HEAD_CENTRE) / HEAD_HEIGHT) ** 2, 0, 1)
    )
    across = u * np.cos(pose.yaw) - depth * (HEAD_WIDTH * np.sin(pose.yaw))
    albedo, light = np.zeros((3, *u.shape), np.float32), np.ones(u.shape, np.float32)
    gloss, lit, face = (np.zeros(u.shape, np.float32) for _ in range(3))
    pixel = 2 / (size * pose.scale)
    return Canvas(albedo, light, gloss, lit, x, y, u, v, across, depth, face, pose, pixel)


def _box(
    pose: Pose, across: tuple[float, float], v: tuple[float, float], size: int
) -> tuple[slice, slice]:
    """Rows and columns that hold the box on every image; a turn moves it by the head's depth."""
    swing = HEAD_WIDTH * np.sin(pose.yaw)
    left = np.minimum(across[0], across[0] * np.cos(pose.yaw)) + np.minimum(swing, 0)
    right = np.maximum(across[1], across[1] * np.cos(pose.yaw)) + np.maximum(swing, 0)
    sine, cosine = np.sin(pose.roll), np.cos(pose.roll)
    corners = [(a, b) for a in (left, right) for b in v]
    xs = np.stack([pose.shift_x + pose.scale * (a * cosine - b * sine) for a, b in corners])
    ys = np.stack([pose.shift_y + pose.scale * (a * sine + b * cosine) for a, b in corners])
    return _pixels(ys, size), _pixels(xs, size)


def _pixels(position: Float[np.ndarray, "..."], size: int) -> slice:
    margin = 2  # soft edges reach at most two pixels beyond their shape
    first = int(np.floor((position.min() + 1) / 2 * size)) - margin
    last = int(np.ceil((position.max() + 1) / 2 * size)) + margin
    return slice(max(first, 0), max(min(last, size), 1))


def inside(distance: Plane, softness: Plane | float) -> Plane:
    """Coverage in [0, 1] of the side where ``distance`` is negative, with an edge so wide.

    Both are in units of u; a softness of a pixel or two looks sharp.
    """
    ramp = np.clip(0.5 - distance / softness, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def ellipse(
    u: Plane, v: Plane, radii: tuple[Plane | float, Plane | float], softness: Plane | float
) -> Plane:
    """Coverage by an ellipse about the origin of ``u, v``."""
    radius = np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2)
    return inside((radius - 1) * np.minimum(*radii, dtype=np.float32), softness)


def glow(u: Plane, v: Plane, radii: tuple[Plane | float, Plane | float]) -> Plane:
    """A soft hill: 1 in the middle, falling smoothly to 0 at the radii."""
    # NumPy clips between two bounds several times faster than it takes a maximum with a number.
    hill = np.clip(1 - (u / radii[0]) ** 2 - (v / radii[1]) ** 2, 0, 1)
    return hill * hill


def wave(phase: Plane) -> Plane:
    """A smooth wave of period 1 between 0 and 1, without a sine."""
    ramp = np.abs(phase - np.round(phase)) * 2
    return ramp * ramp * (3 - 2 * ramp)


def palette(
    position: Float[np.ndarray, " B"], stops: Sequence[tuple[float, tuple[float, float, float]]]
) -> Colour:
    """Colours between the stops (position, display RGB in [0, 1]), as linear reflectance."""
    at = [stop for stop, _ in stops]
    channels = zip(*(rgb for _, rgb in stops), strict=True)
    display = np.stack([np.interp(position, at, channel) for channel in channels])
    return (display**2).astype(np.float32)[:, :, None, None]


def hue_colour(
    hue: Float[np.ndarray, " B"],
    saturation: Float[np.ndarray, " B"],
    lightness: Float[np.ndarray, " B"],
) -> Colour:
    """Colours of a hue on the wheel, as linear reflectance; all three in [0, 1]."""
    wheel = np.abs((hue + np.array([[0.0], [2 / 3], [1 / 3]])) % 1.0 * 6 - 3) - 1  # (3, B)
    display = lightness * (1 - saturation * (1 - np.clip(wheel, 0, 1)))
    return (display**2).astype(np.float32)[:, :, None, None]


def grain(seeds: Int64[np.ndarray, " B"], size: int) -> Float32[np.ndarray, "3 B size size"]:
    """Noise with mean 0 and unit variance that depends on a face's seed and the pixel only.

    One 32-bit hash a pixel gives four bytes; each channel is the sum of two neighbouring ones,
    so channels are correlated by 1/2, as after the demosaicing of a sensor's colour filter. The
    integer mixer is "lowbias32" of Chris Wellons' hash prospector, 2018.
    """
    pixels = np.arange(size * size, dtype=np.uint32).reshape(1, size, size)
    start = _mix(seeds.astype(np.uint32))[:, None, None]
    four = _mix(start + pixels * np.uint32(0x9E3779B9)).astype("<u4").view(np.uint8)
    four = four.reshape(len(seeds), size, size, 4).astype(np.float32)
    spread = np.float32(np.sqrt(2 * (256**2 - 1) / 12))
    return np.stack([(four[..., c] + four[..., c + 1] - 255) / spread for c in range(3)])


def _mix(value: np.ndarray) -> np.ndarray:
    value = (value ^ (value >> np.uint32(16))) * np.uint32(0x7FEB352D)
    value = (value ^ (value >> np.uint32(15))) * np.uint32(0x846CA68B)
    return value ^ (value >> np.uint32(16))


def develop(
    canvas: Canvas, tint: Colour, noise: Plane, seeds: Int64[np.ndarray, " B"]
) -> UInt8[np.ndarray, "B H W 3"]:
    """Turn reflectance and light of a finished painting into display values, as a camera would.

    ``tint`` is the colour of the light, ``noise`` the standard deviation of the grain as a share of
    full scale; ``seeds`` fix each face's grain.
    """
    image = np.empty((*canvas.light.shape, 3), np.uint8)
    for c, sensed in enumerate(grain(seeds, canvas.light.shape[-1])):
        linear = (canvas.albedo[c] * canvas.light + canvas.gloss) * tint[c]
        display = np.sqrt(linear) + noise * sensed
        image[..., c] = np.clip(display * 255 + 0.5, 0, 255)
    return image
