"""What a representation can do with pictures, each task beside a plain method that learns nothing.

Pictures are ``uint8 (n, H, W, C)``. ``redraw`` takes pictures and gives what a representation
makes of them: decode(encode(x)). No network here is trained for a task: it moves what it is given
towards the pictures that it knows.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from PIL import Image
from scipy.ndimage import median_filter
from scipy.sparse import csr_array, diags_array, eye_array, kron
from scipy.sparse.linalg import splu

from debias.models.quality.pictures import PEAK, Pictures, squared_error, ssim
from debias.statistics.areas import Area, area_under_curve
from debias.statistics.intervals import Share, share_of

Redraw = Callable[[Pictures], Pictures]
ROUNDS = 10  # in which a hidden part is drawn again
SHRUNK = (1, 2, 4, 8)  # by how much a picture may be reduced before it becomes a JPEG
QUALITIES = (1, 2, 4, 8, 15, 25, 40, 60, 80, 95)


@dataclass(frozen=True, eq=False)
class Trial:
    """A task done twice: by a representation (``drawn``) and by a plain method (``plain``)."""

    task: str
    method: str  # the plain one
    originals: Pictures
    given: Pictures
    drawn: Pictures
    plain: Pictures
    bits: float | None = None  # a picture takes, where it is kept in few
    plain_bits: float | None = None

    def figures(self) -> dict[str, float]:
        """PSNR (decibels, of the mean squared error over pictures), mean SSIM and bits of both."""
        found: dict[str, float] = {}
        for name, pictures in (("", self.drawn), ("plain_", self.plain)):
            error = float(squared_error(self.originals, pictures).mean())
            found[f"{name}psnr"] = -10 * float(np.log10(error)) if error else np.inf
            found[f"{name}ssim"] = float(ssim(self.originals, pictures).mean())
        bits = {"bits": self.bits, "plain_bits": self.plain_bits}
        return found | {name: value for name, value in bits.items() if value is not None}

    def closer(self) -> Share:
        """In how many pictures the representation is closer to the original, by squared error."""
        drawn, plain = (squared_error(self.originals, one) for one in (self.drawn, self.plain))
        return share_of(int((drawn < plain).sum()), len(drawn))


def denoise(
    redraw: Redraw, originals: Pictures, generator: np.random.Generator, level: float = 0.2
) -> Trial:
    """Take away Gaussian noise of standard deviation ``level``, a share of full scale.

    Grey pictures stay grey: noise of its own in every colour would vanish in their mean, which is
    all that a network for one channel sees. Plain: the median of 3 x 3 pixels.
    """
    grey = (originals == originals[..., :1]).all()
    noise = generator.normal(0, level * PEAK, (*originals.shape[:3], 1 if grey else 3))
    given = _whole(originals + noise)
    plain = median_filter(given, size=(1, 3, 3, 1))
    return Trial("denoise", "median filter", originals, given, redraw(given), plain)


def fill_in(redraw: Redraw, originals: Pictures) -> Trial:
    """Draw the hidden middle, a third of the side: redrawn ten times, the rest put back each time.

    Plain: the smoothest continuation, which solves the biharmonic equation inside.

    Reference:
        Rezende, Mohamed, Wierstra 2014, Stochastic Backpropagation and Approximate Inference in
        Deep Generative Models, appendix F. Deviation: posterior means in place of draws.
    """
    hidden = _middle(originals.shape[1])
    given = originals.copy()
    given[:, hidden] = _whole(originals[:, ~hidden].mean(axis=1, keepdims=True))
    drawn = given
    for _ in range(ROUNDS):
        drawn = np.where(hidden[None, :, :, None], redraw(drawn), originals)
    return Trial("fill in", "biharmonic", originals, given, drawn, smoothed(originals, hidden))


def raise_resolution(redraw: Redraw, originals: Pictures, factor: int = 4) -> Trial:
    """Draw what is lost where the side is divided by ``factor``. Plain: bicubic interpolation."""
    small = max(1, originals.shape[1] // factor)
    low = _resized(originals, small, Image.Resampling.BOX)
    given = _resized(low, originals.shape[1], Image.Resampling.NEAREST)
    plain = _resized(low, originals.shape[1], Image.Resampling.BICUBIC)
    return Trial("raise resolution", "bicubic", originals, given, redraw(plain), plain)


def compress(
    decode: Callable[[Float[np.ndarray, "n k"]], Pictures],
    known: Float[np.ndarray, "m k"],
    places: Float[np.ndarray, "n k"],
    originals: Pictures,
    step: float = 0.5,
) -> Trial:
    """Keep a picture as its rounded place in the latent space; plain: JPEG in no more bits.

    Every dimension that varies is rounded to steps of ``step`` standard deviations over ``known``,
    the training pictures; bits are those of an ideal code for the frequencies there. Neither the
    network nor the tables of a JPEG are counted: both ends have them.
    """
    width = step * known.std(axis=0, dtype=np.float64)
    alive = width > 0
    whole = np.where(alive, width, 1)
    codes, seen = (np.rint(z / whole).astype(np.int64)[:, alive] for z in (places, known))
    bits = sum(_code_length(code, of) for code, of in zip(codes.T, seen.T, strict=True))
    rounded = np.where(alive, np.rint(places / whole) * whole, places).astype(np.float32)
    most = float(np.mean(bits))
    packed = [jpeg_within(picture, most) for picture in originals]
    plain, sizes = np.stack([picture for picture, _ in packed]), [size for _, size in packed]
    drawn = decode(rounded)
    return Trial(
        "compress", "JPEG", originals, originals, drawn, plain, most, float(np.mean(sizes))
    )


def jpeg_within(picture: UInt8[np.ndarray, "H W C"], bits: float) -> tuple[np.ndarray, int]:
    """The JPEG closest to a picture whose image data take at most so many bits; and how many.

    The picture may be reduced first and is enlarged again, as low rates are served in practice. If
    none is small enough, the smallest there is: then its bits exceed what was asked for.
    """
    tried = [
        (shrunk, size, float(squared_error(picture[None], shrunk[None])[0]))
        for times in SHRUNK
        for quality in QUALITIES
        for shrunk, size in [_jpeg(picture, times, quality)]
    ]
    fitting = [one for one in tried if one[1] <= bits]
    if fitting:
        found, size, _ = min(fitting, key=lambda one: one[2])
    else:
        found, size, _ = min(tried, key=lambda one: one[1])
    return found, size


@dataclass(frozen=True)
class Spotted:
    """How well pictures of another kind are told from usual ones: areas under the ROC curve."""

    own: Area
    plain: Area


def spot_anomalies(
    score: Callable[[Pictures], Float64[np.ndarray, " n"]],
    known: Pictures,
    usual: Pictures,
    odd: Pictures,
) -> Spotted:
    """Compare a score, larger for what a representation explains worse, on two kinds of pictures.

    Plain: the Euclidean distance to the nearest of the ``known`` pictures.
    """
    from sklearn.neighbors import NearestNeighbors

    flat = [one.reshape(len(one), -1).astype(np.float32) / PEAK for one in (known, usual, odd)]
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat[0])
    plain = [nearest.kneighbors(one)[0][:, 0].astype(np.float64) for one in flat[1:]]
    own = area_under_curve(score(odd), score(usual))
    return Spotted(own, area_under_curve(plain[1], plain[0]))


def swapped_quarters(pictures: Pictures) -> Pictures:
    """Each picture with opposite quarters exchanged: every pixel is there, the picture is not."""
    half = pictures.shape[1] // 2
    return np.roll(pictures, (half, half), axis=(1, 2))


def smoothed(pictures: Pictures, hidden: Bool[np.ndarray, "H W"]) -> Pictures:
    """Fill the hidden part so that the Laplacian of the Laplacian is 0 there.

    Reference:
        Damelin & Hoang 2018, On Surface Completion and Image Inpainting by Biharmonic Functions:
        Numerical Aspects, International Journal of Mathematics and Mathematical Sciences.
    """
    inside = hidden.ravel()
    twice = _laplacian(len(hidden)) @ _laplacian(len(hidden))
    flat = pictures.transpose(1, 2, 0, 3).reshape(inside.size, -1).astype(np.float64)
    solve = splu(twice[inside][:, inside].tocsc()).solve
    flat[inside] = solve(-(twice[inside][:, ~inside] @ flat[~inside]))
    side, count = len(hidden), len(pictures)
    return _whole(flat.reshape(side, side, count, -1).transpose(2, 0, 1, 3))


def _laplacian(side: int) -> csr_array:
    """Of a square grid whose edges reflect."""
    ones = np.ones(side - 1)
    line = diags_array([ones, ones], offsets=[-1, 1])
    line = line - diags_array(line.sum(axis=1))
    whole = eye_array(side)
    return csr_array(kron(line, whole) + kron(whole, line))


def _middle(side: int) -> Bool[np.ndarray, "H W"]:
    """The middle third of a square picture, both ways."""
    inside = np.abs(np.arange(side) - (side - 1) / 2) < side / 6
    return np.outer(inside, inside)


def _code_length(
    codes: Int64[np.ndarray, " n"], seen: Int64[np.ndarray, " m"]
) -> Float64[np.ndarray, " n"]:
    """-log2 of the share of each code among those seen, each possible one counted once more."""
    low, high = min(codes.min(), seen.min()), max(codes.max(), seen.max())
    counts = np.bincount(seen - low, minlength=high - low + 1) + 1
    return -np.log2(counts[codes - low] / counts.sum())


def _jpeg(picture: UInt8[np.ndarray, "H W C"], times: int, quality: int) -> tuple[np.ndarray, int]:
    side = picture.shape[0]
    small = _resized(picture[None], max(1, side // times), Image.Resampling.BOX)[0]
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, format="JPEG", quality=quality, optimize=True)
    data = buffer.getvalue()
    found = np.asarray(Image.open(buffer).convert("RGB"))
    start = data.index(b"\xff\xda")  # start of scan: a header whose length stands in 2 bytes
    header = 2 + int.from_bytes(data[start + 2 : start + 4])
    bits = 8 * (len(data) - start - header - 2)  # less the end-of-image mark
    return _resized(found[None], side, Image.Resampling.BICUBIC)[0], bits


def _resized(pictures: Pictures, side: int, how: Image.Resampling) -> Pictures:
    if pictures.shape[1] == side:
        return pictures
    resize = partial(Image.Image.resize, size=(side, side), resample=how)
    return np.stack([np.asarray(resize(Image.fromarray(one))) for one in pictures])


def _whole(values: Float64[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    return np.rint(values).clip(0, PEAK).astype(np.uint8)
