"""Building blocks that several networks share."""

from torch import nn


def strided(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Halve the resolution: convolution with stride 2, batch norm, ReLU."""
    # Batch norm subtracts the mean, so a bias before it would do nothing.
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def pooled(inputs: int, outputs: int) -> list[nn.Module]:
    """Halve the resolution: convolution, batch norm, ReLU, maximum of 2 x 2 pixels."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
