"""Learning from what a network that believes in shortcuts fails on."""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from debias.training.batches import Batch
from debias.training.objectives.objective import Objective, Task


class LfF(Objective):
    """Train a network on easy images beside the one that is wanted, which learns from the others.

    The biased network has the generalised cross-entropy (1 - p^q) / q, whose gradient is that of
    cross-entropy times p^q: what it finds hard, it leaves. The other has cross-entropy times
    b / (b + d), with b and d the two networks' cross-entropies of the image, averaged over its
    draws by exponential moving averages and divided by the largest of its class.

    Reference:
        Nam, Cha, Ahn, Lee, Shin 2020, Learning from Failure: Training Debiased Classifier from
        Biased Classifier, algorithm 1; averages and division as in the authors' code. Deviations:
        both networks start from the same parameters; an image drawn twice in a batch counts with
        its mean; the authors' code multiplies the biased network's gradient by q once more, which
        Adam takes out again.
    """

    name: Literal["lff"] = "lff"
    q: float = Field(default=0.7, gt=0, le=1, description="Larger: the easy images count more.")
    decay: float = Field(default=0.7, ge=0, lt=1, description="Of the moving averages; 0 is none.")

    def train(self, task: Task) -> nn.Module:
        return task.fit(Pair(task, self.q, self.decay))


class Pair(nn.Module):
    """The network that is wanted, the biased one, and what both have made of every image."""

    def __init__(self, task: Task, q: float, decay: float) -> None:
        super().__init__()
        labels = torch.from_numpy(task.labels_of("train"))
        self.task, self.q = task, q
        self.network, self.biased = task.network(), task.network()
        self.hard, self.easy = MovingLosses(labels, decay), MovingLosses(labels, decay)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Sum of both networks' means over the batch; accuracy of the one that is wanted."""
        logits, rows = self.network(batch.image).float(), self.task.positions(batch)
        each = functional.cross_entropy(logits, batch.label, reduction="none")
        biased = functional.cross_entropy(
            self.biased(batch.image).float(), batch.label, reduction="none"
        )
        b, d = self.easy(biased.detach(), rows), self.hard(each.detach(), rows)
        loss = (b / (b + d + 1e-8) * each).mean() + generalised(biased, self.q).mean()
        return {"loss": loss, "accuracy": (logits.argmax(1) == batch.label).float().mean()}


def generalised(cross_entropy: Tensor, q: float) -> Tensor:
    """(1 - p^q) / q, with p = exp(-cross-entropy)."""
    return -(-q * cross_entropy).expm1() / q


class MovingLosses(nn.Module):
    """Exponential moving average of the loss of every training image, beginning at its first."""

    average: Tensor
    seen: Tensor
    labels: Tensor
    largest: Tensor

    def __init__(self, labels: Int64[Tensor, " n"], decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("labels", labels)
        self.register_buffer("average", torch.zeros(len(labels)))
        self.register_buffer("seen", torch.zeros(len(labels)))
        self.register_buffer("largest", torch.zeros(int(labels.max()) + 1))

    def forward(
        self, losses: Float[Tensor, " B"], rows: Int64[Tensor, " B"]
    ) -> Float[Tensor, " B"]:
        """Take in the losses of a batch; their averages, as shares of the largest of the class."""
        # The mean of an image's draws: which of them is stored last would depend on the device.
        mean = torch.zeros_like(self.average).scatter_reduce(
            0, rows, losses, "mean", include_self=False
        )
        decay = self.decay * self.seen[rows]
        self.average[rows] = decay * self.average[rows] + (1 - decay) * mean[rows]
        self.seen[rows] = 1
        largest = self.largest.zero_().scatter_reduce_(0, self.labels, self.average, "amax")
        return self.average[rows] / largest[self.labels[rows]].clamp(min=torch.finfo().tiny)
