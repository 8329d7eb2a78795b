"""How far drawn pictures are from the originals, by pixel and by structure.

Pictures are ``uint8 (n, H, W, C)`` in [0, 255], as stores hold them.
"""

import numpy as np
from jaxtyping import Float64, UInt8
from scipy.ndimage import gaussian_filter

Pictures = UInt8[np.ndarray, "_ _ _ _"]  # n H W C
PEAK = 255.0
SIGMA, REACH = 1.5, 5  # of the window: standard deviation and half its side less one, pixels
STABLE = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2  # C1, C2


def squared_error(originals: Pictures, drawn: Pictures) -> Float64[np.ndarray, " n"]:
    """Mean squared error of intensities in [0, 1] over pixels and channels; 0 is equal."""
    _require_pairs(originals, drawn)
    difference = (originals.astype(np.float32) - drawn) / np.float32(PEAK)
    return np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64)


def psnr(originals: Pictures, drawn: Pictures) -> Float64[np.ndarray, " n"]:
    """Peak signal-to-noise ratio of each picture: -10 log10(mean squared error), decibels.

    Higher is closer; infinite for equal pictures.
    """
    with np.errstate(divide="ignore"):
        return -10 * np.log10(squared_error(originals, drawn))


def ssim(originals: Pictures, drawn: Pictures) -> Float64[np.ndarray, " n"]:
    """Structural similarity of each picture, mean over windows and channels; in [-1, 1], 1 equal.

    ((2 m_x m_y + C1)(2 s_xy + C2)) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2)) with means,
    variances and covariance in a Gaussian window of 11 x 11 pixels, C1 = (0.01 L)^2 and
    C2 = (0.03 L)^2, L = 255. Windows that reach over the edge are left out.

    Raises:
        ValueError: Pictures that are no pairs, or smaller than the window.

    Reference:
        Wang, Bovik, Sheikh, Simoncelli 2004, Image Quality Assessment: From Error Visibility to
        Structural Similarity, IEEE Transactions on Image Processing 13, eq. 13.
    """
    _require_pairs(originals, drawn)
    if min(originals.shape[1:3]) <= 2 * REACH:
        raise ValueError(f"SSIM needs pictures of at least 11 pixels, got {originals.shape[1:3]}")
    return np.array([_ssim(one, other) for one, other in zip(originals, drawn, strict=True)])


def _ssim(original: UInt8[np.ndarray, "H W C"], drawn: UInt8[np.ndarray, "H W C"]) -> float:
    x, y = original.astype(np.float64), drawn.astype(np.float64)
    mean_x, mean_y = _windowed(x), _windowed(y)
    spread_x, spread_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    together = _windowed(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + STABLE[0]) / (mean_x**2 + mean_y**2 + STABLE[0])
    structure = (2 * together + STABLE[1]) / (spread_x + spread_y + STABLE[1])
    return float((light * structure).mean())


def _windowed(image: Float64[np.ndarray, "H W C"]) -> Float64[np.ndarray, "h w C"]:
    averaged = gaussian_filter(image, SIGMA, axes=(0, 1), radius=REACH)
    return averaged[REACH:-REACH, REACH:-REACH]


def _require_pairs(originals: Pictures, drawn: Pictures) -> None:
    if originals.shape != drawn.shape:
        raise ValueError(f"pictures must come in pairs, got {originals.shape} and {drawn.shape}")
