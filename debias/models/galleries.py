"""From latents back to pictures: what a trained VAE draws; nothing here trains.

Everything is decoded from posterior means or from places between them, so the same network and
the same latents give the same pictures, ``uint8``. ``B`` batch, ``n`` samples, ``k`` latent
dimensions, ``C, H, W`` image.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from debias.errors import ConfigError
from debias.models.encoding import require_eval
from debias.models.representation import Decodes, Encodes, Samples
from debias.training.batches import Batch
from debias.training.condition import Condition
from debias.training.device import Compute
from debias.types import FaceStore, Latents

AT_ONCE = 256  # faces decoded at once
FRAME = (230, 60, 40)  # red, green, blue
EDGE = 0.05  # share of the points beyond each edge of the manifold grid
Means = Float[np.ndarray, "n k"]
Images = UInt8[np.ndarray, "_ H W C"]
Sheet = UInt8[np.ndarray, "rows columns H W C"]


def decode(
    network: Encodes, z: Means, compute: Compute, told: Float[np.ndarray, "n c"] | None = None
) -> Images:
    """The expected image at each place of the latent space, under a condition or the commonest."""
    drawing = _decoder(network)
    both = (z,) if told is None else (z, told)
    given = [torch.from_numpy(np.asarray(one, dtype=np.float32)) for one in both]
    parts = zip(*(torch.split(one.to(compute.device), AT_ONCE) for one in given), strict=True)
    with torch.inference_mode(), compute.autocast():
        return np.concatenate([_pixels(drawing.decode(*part)) for part in parts])


def redraw(
    network: Decodes, mean: Means, store: FaceStore, rows: Int64[np.ndarray, " n"], compute: Compute
) -> Images:
    """Decode the places of rows of a store, with what the network was told of each."""
    return decode(network, mean, compute, told(network, store, rows))


def told(
    network: object, store: FaceStore, rows: Int64[np.ndarray, " n"]
) -> Float[np.ndarray, "n c"] | None:
    """What a network is told of rows of a store; None for one that is told nothing."""
    condition: Condition | None = getattr(network, "condition", None)
    return None if condition is None else condition.of(store, rows)


def under_conditions(network: Encodes, z: Means, compute: Compute) -> Sheet:
    """A row each: the same place under every value of what the network is told, in their order."""
    condition: Condition = network.condition  # type: ignore[attr-defined]
    every = np.eye(len(condition.values), dtype=np.float32)
    given = np.tile(every, (len(z), 1))
    images = decode(network, np.repeat(z, len(every), axis=0), compute, given)
    return images.reshape(len(z), len(every), *images.shape[1:])


def reconstruct(network: Encodes, batch: Batch, compute: Compute) -> Images:
    """Decoded posterior means."""
    drawing = _decoder(network)
    with torch.inference_mode(), compute.autocast():
        mean, _ = drawing.encode(batch.image, *batch.told)
        return _pixels(drawing.decode(mean, *batch.told))


def prior_samples(
    network: Decodes, size: tuple[int, int], generator: np.random.Generator, compute: Compute
) -> Images:
    """Decoded draws from the prior N(0, I), ``size`` (count, k): what it makes of pure chance."""
    return decode(network, generator.standard_normal(size), compute)


def posterior_samples(
    network: Decodes,
    latents: Latents,
    count: int,
    generator: np.random.Generator,
    compute: Compute,
) -> Images:
    """Decoded draws from the aggregated posterior: an image at random, then its N(mean, var).

    Latents without a spread are points: then the draws are the images' own places.

    Reference:
        Makhzani et al. 2016, Adversarial Autoencoders, section 2: q(z) is the mean of q(z|x)
        over the data.
    """
    chosen = generator.integers(len(latents.mean), size=count)
    z = latents.mean[chosen].astype(np.float64)
    if latents.log_var is not None:
        z += np.exp(0.5 * latents.log_var[chosen]) * generator.standard_normal(z.shape)
    return decode(network, z, compute)


def walk(
    network: Decodes,
    start: Float[np.ndarray, " k"],
    end: Float[np.ndarray, " k"],
    steps: int,
    compute: Compute,
    *,
    beyond: float = 0.0,
) -> Images:
    """Decode a straight line in equal steps; the last lies ``beyond`` its end by a share of it."""
    shares = np.linspace(0, 1 + beyond, steps)[:, None]
    return decode(network, start + shares * (end - start), compute)


def walk_into(
    network: Decodes, mean: Means, inside: Bool[np.ndarray, " n"], steps: int, compute: Compute
) -> Images:
    """From the mean of the images outside a region to the mean of those inside, and on by a half.

    Raises:
        ValueError: All images are inside, or none.
    """
    if inside.all() or not inside.any():
        raise ValueError(f"{inside.sum()} of {len(inside)} images are inside; some must be outside")
    bulk, region = _centre(mean[~inside]), _centre(mean[inside])
    return walk(network, bulk, region, steps, compute, beyond=0.5)


def along(
    network: Decodes,
    mean: Means,
    direction: Float[np.ndarray, " k"],
    compute: Compute,
    steps: int = 7,
) -> Images:
    """Decode a line through the mean, over the 1st to 99th percentile of the images along it.

    Raises:
        ValueError: The direction has no length.
    """
    length = float(np.linalg.norm(direction))
    if not length:
        raise ValueError("a direction of length 0 leads nowhere; give one that is not all zeros")
    unit, centre = direction / length, _centre(mean)
    low, high = np.percentile(mean @ unit, [1, 99]) - centre @ unit
    return decode(network, centre + np.linspace(low, high, steps)[:, None] * unit, compute)


def traverse(
    network: Decodes, mean: Means, dimensions: Iterable[int], compute: Compute, steps: int = 7
) -> Sheet:
    """A row each: :func:`along` single dimensions, the others at their mean."""
    axes = np.eye(mean.shape[1])
    return np.stack([along(network, mean, axes[d], compute, steps) for d in dimensions])


def manifold(network: Decodes, mean: Means, side: int, compute: Compute) -> Sheet:
    """A sheet of decoded places: columns along the first axis, rows along the second, upwards.

    With two latent dimensions and a prior the whole space, in equal parts of the prior; else the
    plane of the first two principal components through the mean, in equal parts of the images along
    each; with one dimension a single row.

    Reference:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes, app. A: the Gaussian quantile
        grid. Deviation: the plane for more than two dimensions.
    """
    from scipy.special import ndtri

    quantiles = np.linspace(EDGE, 1 - EDGE, side)
    if mean.shape[1] <= 2 and isinstance(network, Samples):
        axes = np.eye(mean.shape[1])
        ticks, origin = [ndtri(quantiles)] * len(axes), np.zeros(len(axes))
    else:
        axes, origin = principal_directions(mean)[0][:2], _centre(mean)
        ticks = [np.quantile((mean - origin) @ axis, quantiles) for axis in axes]
    rows = ticks[1][::-1, None, None] * axes[1] if len(axes) > 1 else np.zeros((1, 1, 1))
    return _sheet(network, origin + rows + ticks[0][:, None] * axes[0], compute)


def principal_directions(
    mean: Means,
) -> tuple[Float64[np.ndarray, "k k"], Float64[np.ndarray, " k"]]:
    """Unit directions (rows), the one along which the points vary most first; and variances.

    The largest entry of each is positive: a sign would otherwise be the library's choice.
    """
    centred = mean - _centre(mean)
    variance, columns = np.linalg.eigh(centred.T @ centred / len(mean))
    axes = columns.T[::-1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return axes * np.sign(largest), np.maximum(variance[::-1], 0.0)


def attribute_vector(
    mean: Means, has: Bool[np.ndarray, " n"], lacks: Bool[np.ndarray, " n"]
) -> Float64[np.ndarray, " k"]:
    """Mean of the images with a value less the mean of those without.

    Reference:
        Larsen et al. 2016, Autoencoding beyond Pixels Using a Learned Similarity Metric,
        section 4.2.
    """
    return _centre(mean[has]) - _centre(mean[lacks])


def shifted(
    network: Decodes,
    mean: Means,
    vector: Float[np.ndarray, " k"],
    strengths: Sequence[float],
    compute: Compute,
) -> Sheet:
    """Decode each place with multiples of a vector added; strength 0 is the reconstruction."""
    return _sheet(network, mean[:, None] + np.asarray(strengths)[:, None] * vector, compute)


def course(network: Encodes, batch: Batch, compute: Compute) -> Sheet:
    """Two rows an image: where a network that draws in steps looks before each; below its canvas.

    What it looks at and what it draws are framed; without attention nothing is.
    """
    require_eval(network)
    with torch.inference_mode(), compute.autocast():
        canvases, boxes = network.course(batch.image)  # type: ignore[attr-defined]
    drawn = np.stack([_pixels(canvas) for canvas in canvases])  # (T, B, H, W, C)
    seen = np.broadcast_to(_pixels(batch.image), drawn.shape).copy()
    for of, pictures in zip(boxes or (), (seen, drawn), strict=False):
        for place in np.ndindex(drawn.shape[:2]):
            _frame(pictures[place], of[place].tolist())
    steps, count, *shape = drawn.shape
    return np.stack([seen, drawn]).transpose(2, 0, 1, 3, 4, 5).reshape(2 * count, steps, *shape)


def _frame(picture: UInt8[np.ndarray, "H W C"], box: Sequence[float]) -> None:
    """Draw a frame: first row, first column, last row, last column, as far as they are inside."""
    most = np.array(picture.shape[:2] * 2) - 1
    top, left, bottom, right = np.rint(box).clip(0, most).astype(np.int64)
    picture[[top, bottom], left : right + 1] = FRAME
    picture[top : bottom + 1, [left, right]] = FRAME


def _decoder(network: Encodes) -> Decodes:
    """A ValueError in training mode, a ConfigError for what draws nothing."""
    require_eval(network)
    if not isinstance(network, Decodes):
        raise ConfigError(
            f"{type(network).__name__} has no decoder, so it draws no images: choose a "
            "representation that has one, such as conv_vae, autoencoder or pca"
        )
    return network


def _centre(mean: Means) -> Float64[np.ndarray, " k"]:
    return mean.mean(axis=0, dtype=np.float64)


def _sheet(network: Decodes, z: Float[np.ndarray, "rows columns k"], compute: Compute) -> Sheet:
    images = decode(network, z.reshape(-1, z.shape[-1]), compute)
    return images.reshape(len(z), -1, *images.shape[1:])


def _pixels(images: Float[Tensor, "B C H W"]) -> Images:
    scaled = (images.float() * 255).round().clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).cpu().numpy()
