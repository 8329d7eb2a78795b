"""Classifiers: images in, one logit per class out."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from debias.errors import ConfigError
from debias.models.convolutions import strided
from debias.plugins import Settings
from debias.training.batches import Batch
from debias.training.parallel import BatchNorm2d, Dropout, by_row


def pooled(inputs: int, outputs: int) -> list[nn.Module]:
    """Halve the resolution: convolution, batch norm, ReLU, maximum of 2 x 2 pixels."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [convolution, BatchNorm2d(outputs), nn.ReLU(inplace=True), nn.MaxPool2d(2)]


class Classifier(nn.Module):
    """A network and the loss it is trained with."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Logits."""
        # Centred intensities: the first layer should not have to learn the offset.
        return by_row(self.network, (images - 0.5) / 0.25)

    def features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B d"]:
        """What the last of its layers decides by.

        Raises:
            ConfigError: The layer that was defined last is not the one that gives the logits.
        """
        *_, last = self.network.modules()
        seen: list[tuple[Tensor, Tensor]] = []
        with last.register_forward_hook(lambda _, given, made: seen.append((given[0], made))):
            logits = self.network((images - 0.5) / 0.25)
        if not seen or seen[-1][1] is not logits:
            raise ConfigError(
                f"features of this classifier cannot be told: {last}, its last layer, does not "
                "give the logits; define the layers in the order in which they are used, and give "
                "out what the last of them gives"
            )
        return seen[-1][0].flatten(1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy in nats and accuracy, means over the batch."""
        logits = self(batch.image).float()
        accuracy = (logits.argmax(1) == batch.label).float().mean()
        return {"loss": nn.functional.cross_entropy(logits, batch.label), "accuracy": accuracy}


class ConvClassifier(Settings):
    """Four strided convolutions, average pooling, one dense layer."""

    name: Literal["conv"] = "conv"
    width: int = Field(default=16, ge=2, description="Filters of the first convolution.")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="Share of features dropped.")

    def build(self, classes: int) -> Classifier:
        width = self.width
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        steps = zip(pairwise(widths), (5, 3, 3, 3), strict=True)
        blocks = [layer for pair, kernel in steps for layer in strided(*pair, kernel)]
        return _headed(blocks, 8 * width, self.dropout, classes)


class PooledClassifier(Settings):
    """Four 3 x 3 convolutions at full resolution, each followed by max pooling; one dense layer.

    Slower than strided convolutions of the same width, and better where examples are few.
    """

    name: Literal["pooled"] = "pooled"
    width: int = Field(default=32, ge=2, description="Filters of the first convolution.")
    dropout: float = Field(default=0.3, ge=0, lt=1, description="Share of features dropped.")

    def build(self, classes: int) -> Classifier:
        width = self.width
        widths = (3, width, 2 * width, 4 * width, 4 * width)
        blocks = [layer for step in pairwise(widths) for layer in pooled(*step)]
        return _headed(blocks, 4 * width, self.dropout, classes)


class ResNet18(Settings):
    """torchvision's ResNet-18 without pretrained weights.

    Reference:
        He, Zhang, Ren, Sun 2016, Deep Residual Learning for Image Recognition.
    """

    name: Literal["resnet18"] = "resnet18"

    def build(self, classes: int) -> Classifier:
        from torchvision.models import resnet18  # four seconds that only this model needs

        return Classifier(resnet18(weights=None, num_classes=classes, norm_layer=BatchNorm2d))


def _headed(blocks: Iterable[nn.Module], filters: int, dropout: float, classes: int) -> Classifier:
    """Convolutions and, on averages over quarters of their ``filters`` maps, one dense layer."""
    pooling, flatten = nn.AdaptiveAvgPool2d(2), nn.Flatten()
    head = Dropout(dropout), nn.Linear(4 * filters, classes)
    return Classifier(nn.Sequential(*blocks, pooling, flatten, *head))


def probabilities(logits: Float[Tensor, "B classes"]) -> Float[Tensor, "B classes"]:
    return torch.softmax(logits.double(), dim=1)
