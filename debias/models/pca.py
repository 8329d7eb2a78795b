"""Principal components of the pixels as a latent space.

``B`` batch, ``k`` components, ``d`` values of an image, ``C, H, W`` image.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from debias.errors import DataError
from debias.models.autoencoder import squared_error
from debias.models.representation import Representation
from debias.training.batches import Batch

SPARE = 4  # times the wanted components are carried from batch to batch


class PCA(Representation):
    """The directions in which images vary most, learned batch by batch, in one pass.

    Reference:
        Ross, Lim, Lin, Yang 2008, Incremental Learning for Robust Visual Tracking: scikit-learn's
        IncrementalPCA. Memory is that of a batch.
    """

    name: Literal["pca"] = "pca"
    latent_dim: int = Field(default=32, ge=1, le=256, description="Components k.")

    def build(self, image_size: int) -> "PCANetwork":
        """Components that are all zero, for square RGB images of the given side, pixels."""
        return PCANetwork(self, 3 * image_size**2)


class PCANetwork(nn.Module):
    """Projects images onto components; nothing in it is trained by descent."""

    mean: Tensor
    components: Tensor

    def __init__(self, settings: PCA, values: int) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("components", torch.zeros(settings.latent_dim, values))  # (k, d)

    def settle(self, epoch: Callable[[int], Iterable[Batch]], seed: int) -> None:
        """Find the components; a last batch with fewer images than components is left out.

        Raises:
            DataError: There are fewer images than components.
        """
        from sklearn.decomposition import IncrementalPCA  # seconds that others do not need

        wanted, found = self.settings.latent_dim, None
        parts = (batch.image.flatten(1).cpu().numpy() for batch in epoch(0))
        for part in parts:
            if found is None and len(part) >= wanted:
                # What one batch leaves out the next cannot find: the last components would depend
                # on the order of the images.
                found = IncrementalPCA(min(len(part), SPARE * wanted))
            if found is not None and len(part) >= found.n_components:
                found.partial_fit(part)
        if found is None:
            raise DataError(
                f"pca looks for {wanted} components, more than there are training images; set "
                "representation.model.latent_dim to fewer"
            )
        self.mean.copy_(torch.from_numpy(found.mean_))
        self.components.copy_(torch.from_numpy(found.components_[:wanted]))

    def encode(self, images: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B k"], None]:
        """Places along the components, in intensities; points, without a spread."""
        with torch.autocast(images.device.type, enabled=False):
            return (images.flatten(1) - self.mean) @ self.components.T, None

    def decode(self, z: Float[Tensor, "B k"]) -> Float[Tensor, "B C H W"]:
        """The image at each place, cut off at 0 and 1."""
        side = round((len(self.mean) / 3) ** 0.5)
        with torch.autocast(z.device.type, enabled=False):
            values = self.mean + z @ self.components
        return values.clamp(0, 1).reshape(-1, 3, side, side)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B k"]:
        """Places along the components."""
        return self.encode(images)[0]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error, summed over pixels and channels, mean over the batch."""
        drawn = self.decode(self.encode(batch.image)[0])
        return {"loss": squared_error(batch.image, drawn).mean()}
