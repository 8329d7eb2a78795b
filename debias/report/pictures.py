"""Everything on a page that is not a number: faces, drawings, maps; and how they are embedded."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from PIL import Image

from debias.metrics.rules import SUPPRESS_BELOW
from debias.report.words import shown
from debias.statistics.groupings import UNKNOWN

QUALITY = 80  # of lossy pictures, 0 to 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Pictures and arrays behind the charts of a run; None when they do not exist.

    Attributes:
        samples: Training images drawn at random; the rarest and the most common come first in
            ``least_represented`` and ``most_represented``.
        wanted: Arm to the training images its weights favour most and least, for arms that aim at
            a target other than rarity.
        film: Arm to epoch, counted from 1, to the training images drawn most in it, for arms that
            weigh anew before every epoch.
        generated: Arm to first parents, generated images and second parents, for arms whose
            training sets are filled with generated images.
        reference: Images of the unlabelled reference.
        reconstructions: In the order of ``originals``.
        traversals: One latent dimension a row, whose number is in ``traversed_dimensions``.
        active: False for a dimension that carries no information about the image.
        weights: Arm to probability times n: 1 is drawn as often as in plain training.
        training_curves: Stage to curve name (``train/loss``) to one value an epoch.
        faces_shown: False where faces are not allowed on the page: none is embedded then.
    """

    samples: UInt8[np.ndarray, "_ H W 3"] | None = None
    least_represented: UInt8[np.ndarray, "_ H W 3"] | None = None
    most_represented: UInt8[np.ndarray, "_ H W 3"] | None = None
    wanted: Mapping[str, tuple[UInt8[np.ndarray, "_ H W 3"], UInt8[np.ndarray, "_ H W 3"]]] = field(
        default_factory=dict
    )
    film: Mapping[str, Mapping[int, UInt8[np.ndarray, "_ H W 3"]]] = field(default_factory=dict)
    generated: Mapping[str, UInt8[np.ndarray, "3 _ H W 3"]] = field(default_factory=dict)
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


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditMap:
    """The two-dimensional map of the latent space; it may be given where faces may not be shown.

    Attributes:
        xy: Finite; only distances between near neighbours mean anything.
        density: How crowded the surroundings of each image are, on any rising scale.
        cluster: Number of the cluster as in the document; ``region`` likewise, 0 for none.
        attributes: Name of an annotation to its (m,) values as text, ``unknown`` where nobody said.
        thumbnail_rows: Rows of ``xy`` of which there is a thumbnail.
    """

    xy: Float[np.ndarray, "m 2"]
    density: Float[np.ndarray, " m"]
    cluster: Int64[np.ndarray, " m"]
    region: Int64[np.ndarray, " m"]
    attributes: Mapping[str, Shaped[np.ndarray, " _"]] = field(default_factory=dict)
    thumbnail_rows: Int64[np.ndarray, " t"] = field(
        default_factory=lambda: np.zeros(0, dtype=np.int64)
    )
    thumbnails: UInt8[np.ndarray, "t H W 3"] | None = None

    @classmethod
    def of(cls, drawn: pd.DataFrame, groups: pd.DataFrame) -> "AuditMap":
        """Without thumbnails, from the drawn rows of an audit's images and their annotation."""
        return cls(
            xy=drawn[["x", "y"]].to_numpy(),
            density=-drawn["rarity"].to_numpy(dtype=np.float64),
            cluster=drawn["cluster"].to_numpy(dtype=np.int64),
            region=drawn["region"].to_numpy(dtype=np.int64),
            attributes={str(name): column.to_numpy(dtype=str) for name, column in groups.items()},
        )

    def countable(self, attribute: str, stated: Mapping[str, object]) -> list[str]:
        """Values that may be told apart, commonest first: withheld counts could be read off a map.

        Args:
            attribute: One of the annotations.
            stated: Group (``attribute:value``) to its count, None where that is withheld; a value
                needs one. Where nothing at all is stated, it needs enough points.
        """
        values, counts = np.unique(self.attributes[attribute].astype(str), return_counts=True)
        kept = [
            (-count, str(value)) for value, count in zip(values, counts, strict=True)
            if (stated.get(f"{attribute}:{value}") is not None
                if stated else count >= SUPPRESS_BELOW)
        ]  # fmt: skip
        return [value for _, value in sorted(kept) if value not in ("", UNKNOWN)]


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditPictures:
    """Pictures behind an audit page; all but the map are empty unless faces may be shown.

    Attributes:
        faces: Id in the document to ``uint8 (H, W, 3)``, all of one size.
        pages: Name of a latent page to ``uint8 (rows, columns, H, W, 3)``.
        regions: Number of a thin region to ``uint8 (steps, H, W, 3)``, decoded from the bulk of
            the images to the region; ``directions`` likewise, along a direction.
        paths: Id in the document to the file's path, where one is known.
    """

    faces: Mapping[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict)
    pages: Mapping[str, UInt8[np.ndarray, "_ _ _ _ 3"]] = field(default_factory=dict)
    regions: Mapping[int, UInt8[np.ndarray, "_ _ _ 3"]] = field(default_factory=dict)
    directions: Mapping[int, UInt8[np.ndarray, "_ _ _ 3"]] = field(default_factory=dict)
    map: AuditMap | None = None
    paths: Mapping[str, str] = field(default_factory=dict)

    def called(self, sample_id: str) -> str:
        """The name of an image by which it can be found: its path, if that is known."""
        return shown(self.paths.get(sample_id, sample_id), 60)


def contact_sheet(
    images: UInt8[np.ndarray, "m H W 3"], columns: int, gap: int = 2
) -> UInt8[np.ndarray, "rows cols 4"]:
    """Lay images out row by row on a sheet, ``gap`` transparent pixels between two of them."""
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
