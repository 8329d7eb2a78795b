"""Class and latent space learned together, and draws that follow the latent space."""

from typing import ClassVar, Literal, TypeVar

from pydantic import Field
from torch import nn

from debias.errors import ConfigError
from debias.training.objectives.objective import Objective, Supervised, Task

Labels = TypeVar("Labels")  # an array or a tensor


class DBVAE(Objective):
    """c1 * classification + [explained] * (c2 * reconstruction + c3 * KL), by one encoder.

    The first epoch draws every image equally often. Before every other the explained images are
    placed anew, and the weighting of the arm makes their weights of the places, with the density
    of the recipe; the others keep their share. What a density sees of a place is its own affair:
    ``histogram`` the mean, ``aggregate`` the whole posterior.

    Reference:
        Amini, Soleimany, Schwarting, Bhatia, Rus 2019, Uncovering and Mitigating Algorithmic Bias
        through Learned Latent Structure, algorithm 1. The paper leaves c1, c2, c3 and k open.
    """

    joint: ClassVar[bool] = True

    name: Literal["db_vae"] = "db_vae"
    latent_dim: int = Field(default=16, ge=1, le=2048, description="Latent dimensions k.")
    width: int = Field(default=8, ge=2, description="Filters of the first convolution.")
    hidden: int = Field(default=256, ge=8, description="Units of the dense layer.")
    c1: float = Field(default=1.0, gt=0, description="Weight of the classification, nats.")
    c2: float = Field(
        default=1e-3, ge=0, description="Weight of the reconstruction, nats of a whole image."
    )
    c3: float = Field(default=1e-3, ge=0, description="Weight of the KL divergence, nats.")
    latent_of: Literal["positives", "all"] = Field(
        default="positives", description="Which images are explained and weighed: as published "
        "those of the positive class, or those of every class, each weighed by itself.",
    )  # fmt: skip

    def require_classes(self, classes: int) -> None:
        """A ConfigError where no class is the positive one."""
        if self.latent_of == "positives" and classes != 2:
            raise ConfigError(
                f"{self.name} with latent_of: positives explains the images of the positive class "
                f"of two, but the label has {classes} classes and none of them is the positive "
                "one: set latent_of: all, by which every class is explained and weighed by "
                "itself, or name a label of two classes"
            )

    def explained(self, labels: Labels) -> Labels:
        """Whose latents are learned and weighed."""
        found: Labels = (labels == 1) | (self.latent_of == "all")  # type: ignore[assignment]
        return found

    def train(self, task: Task) -> nn.Module:
        """Raises WeightError where the weights of an epoch cannot be used."""
        network, among = task.network(), self.explained(task.labels_of("train"))
        return task.fit(
            Supervised(network),
            multiples=lambda epoch: task.weigh(network, among) if epoch else None,
        )
