"""Everything in the report that is not a number, and faces as embedded pictures."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

QUALITY = 80  # of lossy pictures, 0 to 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Pictures and arrays behind the charts; None when they do not exist.

    Attributes:
        samples: ``uint8 (m, H, W, 3)``, training images drawn at random.
        least_represented: ``uint8 (m, H, W, 3)``, lowest density, rarest first.
        most_represented: ``uint8 (m, H, W, 3)``, highest density, most common first.
        wanted: Arm to two sets ``uint8 (m, H, W, 3)``, the training images its weights favour
            most and least, for arms that aim at a target other than rarity.
        reference: ``uint8 (m, H, W, 3)``, images of the unlabelled reference.
        originals: ``uint8 (m, H, W, 3)``
        reconstructions: ``uint8 (m, H, W, 3)``, in the order of ``originals``.
        traversals: ``uint8 (d, steps, H, W, 3)``, one latent dimension a row.
        traversed_dimensions: Number of the latent dimension of each row of ``traversals``.
        latent_mean: (n, k)
        active: (k,), False for a dimension that carries no information about the image.
        weights: Arm to (n,), probability times n: 1 is drawn as often as in plain training.
        training_curves: Stage to curve name (``train/loss``) to one value an epoch.
        faces_shown: False when the configuration does not allow faces on the page; no picture
            is embedded then, whatever else is given.
    """

    samples: UInt8[np.ndarray, "_ H W 3"] | None = None
    least_represented: UInt8[np.ndarray, "_ H W 3"] | None = None
    most_represented: UInt8[np.ndarray, "_ H W 3"] | None = None
    wanted: Mapping[str, tuple[UInt8[np.ndarray, "_ H W 3"], UInt8[np.ndarray, "_ H W 3"]]] = field(
        default_factory=dict
    )
    reference: UInt8[np.ndarray, "_ H W 3"] | None = None
    originals: UInt8[np.ndarray, "m H W 3"] | None = None
    reconstructions: UInt8[np.ndarray, "m H W 3"] | None = None
    traversals: UInt8[np.ndarray, "d steps H W 3"] | None = None
    traversed_dimensions: tuple[int, ...] = ()
    latent_mean: Float[np.ndarray, "n k"] | None = None
    active: Bool[np.ndarray, " k"] | None = None
    weights: Mapping[str, Float[np.ndarray, " _"]] = field(default_factory=dict)
    training_curves: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)
    faces_shown: bool = True

    def __post_init__(self) -> None:
        rows = 0 if self.traversals is None else len(self.traversals)
        if rows != len(self.traversed_dimensions):
            sizes = rows, len(self.traversed_dimensions)
            raise ValueError(f"traversals and traversed_dimensions have {sizes} rows")
        if (self.originals is None) != (self.reconstructions is None):
            raise ValueError("originals and reconstructions are shown in pairs; give both")


def contact_sheet(
    images: UInt8[np.ndarray, "m H W 3"], columns: int, gap: int = 2
) -> UInt8[np.ndarray, "rows cols 4"]:
    """Lay images out row by row on a transparent sheet.

    Args:
        images: (m, H, W, 3)
        columns: Images in a row; the last row may be shorter.
        gap: Transparent pixels between two images.
    """
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width, :3] = image
        sheet[top : top + height, left : left + width, 3] = 255
    return sheet


def paired_rows(
    above: UInt8[np.ndarray, "m H W 3"], below: UInt8[np.ndarray, "m H W 3"], columns: int
) -> UInt8[np.ndarray, "_ H W 3"]:
    """Interleave two sets so that each full row of ``above`` has its row of ``below`` under it."""
    full = len(above) - len(above) % columns if len(above) > columns else len(above)
    order = [
        images[start : start + columns]
        for start in range(0, full, columns)
        for images in (above, below)
    ]
    return np.concatenate(order)


def shrink(images: UInt8[np.ndarray, "m H W 3"], side: int = 96) -> UInt8[np.ndarray, "m h w 3"]:
    """Reduce large images to at most ``side`` pixels, so that the page stays light."""
    height, width = images.shape[1:3]
    if max(height, width) <= side:
        return images
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smooth = Image.Resampling.LANCZOS
    return np.stack([np.asarray(Image.fromarray(image).resize(size, smooth)) for image in images])


def webp(image: UInt8[np.ndarray, "H W C"]) -> str:
    """Encode as the address of an embedded WebP, without any metadata.

    Lossy, and a tenth of a PNG: grey levels differ by about 4 of 255, which nobody sees on a face.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def sheets(
    images: UInt8[np.ndarray, "m H W 3"] | None, columns: int, parts: int = 1, most: int = 48
) -> list[str]:
    """Encode the first images as ``parts`` sheets side by side, fewer when there are few."""
    if images is None or not len(images):
        return []
    blocks = np.array_split(shrink(images[:most]), parts if len(images) >= parts * columns else 1)
    return [webp(contact_sheet(block, min(columns, len(block)))) for block in blocks]
