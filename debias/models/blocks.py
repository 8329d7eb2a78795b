"""Building blocks that several networks share."""

from torch import nn


def strided(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Halve the resolution: convolution with stride 2, batch norm, ReLU."""
    # Batch norm subtracts the mean, so a bias before it would do nothing.
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
