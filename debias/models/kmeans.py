"""Distances to the centres of clusters as a latent space.

``B`` batch, ``k`` clusters, ``d`` values of an image, ``C, H, W`` image.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from debias.errors import DataError
from debias.models.representation import Representation
from debias.training.batches import Batch


class KMeans(Representation):
    """Where an image stands to k typical images: the distance to each.

    The nearest centre is the cluster; see the density ``clusters``. It draws no images.

    Reference:
        Sculley 2010, Web-Scale K-Means Clustering: scikit-learn's MiniBatchKMeans.
    """

    name: Literal["kmeans"] = "kmeans"
    clusters: int = Field(default=32, ge=2, le=256, description="Centres k.")
    passes: int = Field(default=5, ge=1, description="Times that every image is looked at.")

    @property
    def draws(self) -> bool:
        return False

    def build(self, image_size: int) -> "KMeansNetwork":
        """Centres that are all zero, for square RGB images of the given side, pixels."""
        return KMeansNetwork(self, 3 * image_size**2)


class KMeansNetwork(nn.Module):
    """Measures distances to centres; nothing in it is trained by descent."""

    centres: Tensor

    def __init__(self, settings: KMeans, values: int) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("centres", torch.zeros(settings.clusters, values))  # (k, d)

    def settle(self, epoch: Callable[[int], Iterable[Batch]], seed: int) -> None:
        """Find the centres.

        Raises:
            DataError: There are fewer images than clusters.
        """
        from sklearn.cluster import MiniBatchKMeans  # seconds that others do not need

        wanted = self.settings.clusters
        found = MiniBatchKMeans(wanted, random_state=seed % 2**32)
        for number in range(self.settings.passes):
            for batch in epoch(number):
                images = batch.image.flatten(1).cpu().numpy()
                if not hasattr(found, "cluster_centers_") and len(images) < wanted:
                    raise DataError(
                        f"kmeans looks for {wanted} clusters among {len(images)} training images; "
                        "set representation.model.clusters to fewer"
                    )
                found.partial_fit(images)
        self.centres.copy_(torch.from_numpy(found.cluster_centers_))

    def encode(self, images: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B k"], None]:
        """Euclidean distance to each centre, in intensities; points, without a spread."""
        exact = "donot_use_mm_for_euclid_dist"  # else it depends on who stands beside an image
        with torch.autocast(images.device.type, enabled=False):
            return torch.cdist(images.flatten(1), self.centres, compute_mode=exact), None

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B k"]:
        """Distance to each centre."""
        return self.encode(images)[0]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Squared distance to the nearest centre, mean over the batch."""
        return {"loss": self.encode(batch.image)[0].amin(dim=1).square().mean()}
