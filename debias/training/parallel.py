"""One training by several processes: each takes its rows of every batch through the networks.

Draws, views, noise, losses, and what objectives remember, every process has of the whole batch,
from the same random streams. Only inside :func:`by_row` it has its rows alone, so what looks at a
whole batch means the same as in one process, whose gradients these are, up to rounding.

Every process descends by the mean of all their gradients. So that this is right for parameters
inside as well as outside, a process counts the part of its rows ``size`` times.

``B`` images in a batch.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from debias import stopping
from debias.errors import TrainingError
from debias.training.team import Team

T = TypeVar("T")
APART = 1e-3  # relative difference of a loss from which on processes do not train the same


class _Now:
    """What this process is at."""

    team: Team | None = None  # with which it trains
    total: int | None = None  # images of the batch of which a network has some rows
    stop = False  # whether all of them shall end at this batch


@contextmanager
def training(team: Team) -> Iterator[None]:
    """In the block, networks are trained by all processes of a team, each of which is in it."""
    _Now.team, _Now.stop = team, False
    try:
        yield
    finally:
        _Now.team = None


def by_row(
    part: Callable[[Tensor], Tensor], whole: Shaped[Tensor, " B *_"]
) -> Shaped[Tensor, " B *_"]:
    """``part(whole)``, of which every process computes some rows.

    Args:
        part: Makes each row of the same row alone, but for batch norm and dropout of this file.
        whole: The same in every process.
    """
    team = _Now.team
    if team is None or _Now.total is not None or not team.shares(len(whole)):
        return part(whole)
    _Now.total = len(whole)
    try:
        own = part(_Own.apply(whole, team))
    finally:
        _Now.total = None
    found: Tensor = _Whole.apply(own, team, len(whole))
    return found


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm by the whole batch.

    Reference:
        Ioffe & Szegedy 2015, Batch Normalization. torch.nn.SyncBatchNorm is none of a processor's.
    """

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        team = _Now.team
        if team is None or _Now.total is None or not self.training:
            return super().forward(images)
        x = images if images.dtype == torch.float64 else images.float()
        variance, mean = _moments(x, _Now.total, team)
        count = _Now.total * x.shape[2] * x.shape[3]
        self._follow(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        off = self.bias - mean * scale
        return (x * scale[:, None, None] + off[:, None, None]).to(images.dtype)

    def _follow(self, mean: Float[Tensor, " C"], variance: Float[Tensor, " C"]) -> None:
        """Move what is used in evaluation."""
        assert self.momentum is not None  # as nowhere here
        for kept, now in ((self.running_mean, mean), (self.running_var, variance)):
            assert kept is not None
            kept.lerp_(now, self.momentum)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1


class Dropout(nn.Dropout):
    """Dropout of which every process draws that of the whole batch, as one alone would."""

    def forward(self, values: Shaped[Tensor, " B *_"]) -> Shaped[Tensor, " B *_"]:
        team = _Now.team
        if team is None or _Now.total is None or not self.training:
            return super().forward(values)
        kept = functional.dropout(values.new_ones(_Now.total, *values.shape[1:]), self.p)
        return values * kept[team.rows(_Now.total)]


def averaged(
    parameters: Iterable[nn.Parameter], losses: Float[Tensor, " names"]
) -> Float[Tensor, " names"]:
    """Give every parameter the mean of its gradients over the processes; that of the losses.

    Alone, nothing is to do. All learn of it if one was asked to end.

    Raises:
        TrainingError: The processes do not have the same losses, so they train different things.
    """
    team = _Now.team
    if team is None:
        return losses
    asked = losses.new_tensor([float(stopping.asked())])
    means = losses.clone()
    _average([*(one.grad for one in parameters if one.grad is not None), means, asked], team)
    if not torch.allclose(means, losses, rtol=APART, atol=APART, equal_nan=True):
        raise TrainingError(
            f"{team.size} processes train together and disagree about the loss: {losses.tolist()} "
            f"in one, {means.tolist()} on average; they need the same version of this package and "
            "of torch, the same data and the same kind of processor or GPU"
        )
    _Now.stop = bool(asked > 0)
    return means


def processes() -> int:
    """How many train what is trained now."""
    return 1 if _Now.team is None else _Now.team.size


def stop_asked() -> bool:
    """Whether the training shall end after this batch: that of all processes, or of this one."""
    if _Now.team is None:
        return stopping.asked()
    if _Now.stop and not stopping.asked():
        stopping.ask()
    return _Now.stop


def same(make: Callable[[], T]) -> T:
    """What ``make`` makes; in a team, what it makes for the one who leads."""
    own = make()
    return own if _Now.team is None else _Now.team.same(own)


def _moments(x: Float[Tensor, "b C H W"], total: int, team: Team) -> tuple[Tensor, Tensor]:
    """Variance and mean of each channel over ``total`` images, of which ``x`` are this process's.

    Those of each process in one message, merged as shards are (Chan, Golub, LeVeque 1983).
    """
    own = torch.stack(torch.var_mean(x, (0, 2, 3), correction=0))  # (2, C)
    ranks = range(team.size)
    slots = torch.stack([own if rank == team.rank else torch.zeros_like(own) for rank in ranks])
    variances, means = _over_all(slots, team).unbind(1)  # (size, C)
    counts = [team.rows(total, rank).stop - team.rows(total, rank).start for rank in ranks]
    share = x.new_tensor(counts)[:, None] / total
    mean = (share * means).sum(0)
    return (share * (variances + (means - mean).square())).sum(0), mean


def _average(tensors: list[Tensor], team: Team) -> None:
    """In place, one message for each type of number."""
    for dtype in dict.fromkeys(one.dtype for one in tensors):
        parts = [one for one in tensors if one.dtype == dtype]
        flat = torch.cat([one.reshape(-1) for one in parts])
        team.add(flat)
        flat /= team.size
        means = torch.split(flat, [one.numel() for one in parts])
        for part, mean in zip(parts, means, strict=True):
            part.copy_(mean.view(part.shape))


class _Own(torch.autograd.Function):
    """The rows of this process of what is the same in all; a gradient is of the mean over them."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, team: Team) -> Tensor:  # noqa: ANN401 (of torch)
        ctx.team, ctx.total = team, len(whole)
        return whole[team.rows(len(whole))].clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        whole: Tensor = _Whole.apply(gradient, ctx.team, ctx.total)
        return whole / ctx.team.size, None


class _Whole(torch.autograd.Function):
    """All rows, in every process, of those that each has; its transpose is :class:`_Own`."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, team: Team, total: int) -> Tensor:  # noqa: ANN401
        ctx.team = team
        padded = own.new_zeros(team.rows(total, 0).stop, *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in range(team.size)]
        team.gather(parts, padded)
        return torch.cat(parts)[:total]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        own: Tensor = _Own.apply(gradient, ctx.team)
        return own * ctx.team.size, None, None


class _Sum(torch.autograd.Function):
    """The sum over the processes, each of which goes on with it."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, team: Team) -> Tensor:  # noqa: ANN401
        ctx.team = team
        total = part.clone()
        team.add(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return _over_all(gradient, ctx.team), None


def _over_all(part: Tensor, team: Team) -> Tensor:
    total: Tensor = _Sum.apply(part, team)
    return total
