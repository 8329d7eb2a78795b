"""A variational autoencoder that draws in steps, and looks at the image before each (DRAW).

``B`` batch, ``T`` steps, ``d`` latent dimensions of a step, ``k = T d`` of an image, ``N`` side of
a grid of filters, ``h`` units, ``C, H, W`` image.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from debias.models.convolutions import in_channels
from debias.models.vae import VAE, Posterior, VAENetwork, as_posterior

Cells = tuple[Tensor, Tensor]  # output and memory of a recurrent network, each (B, h)
Boxes = Float[Tensor, "T B 4"]


class DRAW(VAE):
    """Settings of DRAW. The place of an image is that of all its steps, one after the other.

    Reference:
        Gregor, Danihelka, Graves, Rezende, Wierstra 2015, DRAW: A Recurrent Neural Network For
        Image Generation. Deviation: the memories of the networks start at zero, the canvas at a
        learned picture.
    """

    name: Literal["draw"] = "draw"
    latent_dim: int = Field(default=6, ge=1, le=2048, description="Latent dimensions of a step.")
    steps: int = Field(default=8, ge=1, le=128, description="Times T that the canvas is drawn on.")
    hidden: int = Field(default=256, ge=8, description="Units of either recurrent network.")
    attention: bool = Field(
        default=True, description="Look and draw by grids of filters; else at the whole image."
    )
    read: int = Field(default=12, ge=1, le=64, description="Side N of the grid it looks by.")
    write: int = Field(default=12, ge=1, le=64, description="Side N of the grid it draws by.")

    def build(self, image_size: int) -> "DRAWNetwork":
        """The untrained network for square RGB images of the given side, pixels."""
        return DRAWNetwork(self, image_size)


class Grid(NamedTuple):
    """N x N Gaussian filters on an image: where their centres lie in rows and columns, pixels."""

    rows: Float[Tensor, "B N"]
    columns: Float[Tensor, "B N"]
    variance: Float[Tensor, " B"]
    side: int

    def read(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C N N"]:
        """F_Y x F_X^T: each filter's mean of the image; with variance 0 the pixel at its centre.

        Reference:
            Gregor et al. 2015, eqs. 25 to 27, without the intensity.
        """
        down, across = self._filters()
        return down @ images @ across.mT

    def write(self, patches: Float[Tensor, "B C N N"]) -> Float[Tensor, "B C H W"]:
        """F_Y^T w F_X: the transpose of :meth:`read`, eq. 29."""
        down, across = self._filters()
        return down.mT @ patches @ across

    def box(self) -> Float[Tensor, "B 4"]:
        """First row, first column, last row, last column of the centres, pixels."""
        ends = [self.rows[:, 0], self.columns[:, 0], self.rows[:, -1], self.columns[:, -1]]
        return torch.stack(ends, dim=1)

    def _filters(self) -> tuple[Float[Tensor, "B 1 N H"], Float[Tensor, "B 1 N W"]]:
        """Weights over the pixels of a row or column, each filter's sum 1."""
        pixels = torch.arange(self.side, device=self.rows.device)
        spread = 2 * self.variance[:, None, None]

        def weights(centres: Float[Tensor, "B N"]) -> Float[Tensor, "B 1 N H"]:
            # A softmax is the normalised filter, and is one pixel where the variance vanishes.
            return torch.softmax(-(pixels - centres[..., None]).square() / spread, -1)[:, None]

        return weights(self.rows), weights(self.columns)


class Attention(nn.Module):
    """From what the decoder says to a grid of filters, and the intensity of what it sees."""

    def __init__(self, hidden: int, grid: int, side: int) -> None:
        super().__init__()
        self.grid, self.side = grid, side
        self.parameters_of = nn.Linear(hidden, 5)

    def forward(self, said: Float[Tensor, "B h"]) -> tuple[Grid, Float[Tensor, "B 1 1 1"]]:
        """Centre, stride, variance and intensity; at 0 the grid spans the image (eqs. 21 to 24)."""
        row, column, *logs = self.parameters_of(said).unbind(1)
        variance, stride, intensity = (log.exp() for log in logs)
        from_centre = torch.arange(self.grid, device=said.device) - (self.grid - 1) / 2
        offsets = stride[:, None] * (self.side - 1) / max(self.grid - 1, 1) * from_centre
        centres = [((self.side - 1) * (one + 1) / 2)[:, None] + offsets for one in (row, column)]
        return Grid(centres[0], centres[1], variance, self.side), intensity[:, None, None, None]


def _attention(settings: DRAW, grid: int, side: int) -> Attention | None:
    return Attention(settings.hidden, grid, side) if settings.attention else None


class Reader(nn.Module):
    """What the encoder sees of an image and of what the canvas lacks of it."""

    def __init__(self, settings: DRAW, channels: int, side: int) -> None:
        super().__init__()
        self.attention = _attention(settings, settings.read, side)
        self.size = 2 * channels * (settings.read if settings.attention else side) ** 2

    def forward(
        self, images: Tensor, lacking: Tensor, said: Float[Tensor, "B h"]
    ) -> Float[Tensor, "B _"]:
        both = torch.cat([images, lacking], dim=1)
        if self.attention is not None:
            grid, intensity = self.attention(said)
            both = intensity * grid.read(both)
        return both.flatten(1)


class Writer(nn.Module):
    """What is added to the canvas."""

    def __init__(self, settings: DRAW, channels: int, side: int) -> None:
        super().__init__()
        self.attention = _attention(settings, settings.write, side)
        self.shape = channels, *[settings.write if settings.attention else side] * 2
        self.patch = nn.Linear(settings.hidden, channels * self.shape[1] ** 2)

    def forward(self, said: Float[Tensor, "B h"]) -> Float[Tensor, "B C H W"]:
        patch = self.patch(said).unflatten(1, self.shape)
        if self.attention is None:
            return patch
        grid, intensity = self.attention(said)
        return grid.write(patch) / intensity


class State(NamedTuple):
    """After a step: the canvas before the sigmoid, and the decoder."""

    canvas: Float[Tensor, "B C H W"]
    decoder: Cells


class DRAWNetwork(VAENetwork):
    """Two LSTMs that take turns: one looks and infers, the other draws.

    q(z|x) is a product over the steps of N(z_t; mean, exp(log_var)), given what was drawn before.
    """

    settings: DRAW

    def __init__(self, settings: DRAW, image_size: int) -> None:
        super().__init__(settings, image_size)
        h, d = settings.hidden, settings.latent_dim
        self.reader = Reader(settings, self.channels, image_size)
        self.encoder = nn.LSTMCell(self.reader.size + h, h)
        self.posterior = nn.Linear(h, 2 * d)
        self.decoder = nn.LSTMCell(d, h)
        self.writer = Writer(settings, self.channels, image_size)
        self.canvas = nn.Parameter(torch.zeros(self.channels, image_size, image_size))

    @property
    def latent_dim(self) -> int:
        return self.settings.steps * self.settings.latent_dim

    def encode(self, images: Float[Tensor, "B C H W"], *told: Tensor) -> Posterior:
        """The posterior where every step draws its mean; no draw of it, so the same every time."""
        return self.unfold(images, images.new_zeros(len(images), self.latent_dim))

    def unfold(self, images: Float[Tensor, "B C H W"], noise: Float[Tensor, "B k"]) -> Posterior:
        """The posterior of every step given the draws before it, mean + exp(log_var / 2) noise."""
        return self._drawn(images, noise)[0]

    def decode(self, z: Float[Tensor, "B k"], *told: Tensor) -> Float[Tensor, "B C H W"]:
        """Expected intensities in [0, 1] once all steps are drawn; the encoder has no say."""
        with torch.autocast(z.device.type, enabled=False):
            state = self._start(len(z))
            for part in z.float().chunk(self.settings.steps, dim=1):
                state = self._written(part, state)
        return self._shown(state.canvas)

    def inferred(
        self, images: Float[Tensor, "B C H W"], *told: Tensor
    ) -> tuple[Posterior, Float[Tensor, "B C H W"]]:
        noise = torch.randn(len(images), self.latent_dim, device=images.device)
        posterior, states = self._drawn(images, noise)
        return posterior, self._shown(states[-1].canvas)

    def course(
        self, images: Float[Tensor, "B C H W"]
    ) -> tuple[Float[Tensor, "T B C H W"], tuple[Boxes, Boxes] | None]:
        """The canvas after every step that draws its mean; where it looked and where it drew.

        Boxes as :meth:`Grid.box` has them; None without attention.
        """
        _, states = self._drawn(images, torch.zeros_like(self.encode(images).mean))
        canvases = torch.stack([self._shown(state.canvas) for state in states[1:]])
        if (look := self.reader.attention) is None or (draw := self.writer.attention) is None:
            return canvases, None
        said = [state.decoder[0] for state in states]
        looked, wrote = ([head(one)[0].box() for one in of]
                         for head, of in ((look, said[:-1]), (draw, said[1:])))  # fmt: skip
        return canvases, (torch.stack(looked), torch.stack(wrote))

    def _drawn(
        self, images: Float[Tensor, "B C H W"], noise: Float[Tensor, "B k"]
    ) -> tuple[Posterior, list[State]]:
        """Look, infer, draw, T times (eqs. 3 to 8): the start, and what stands after every step."""
        with torch.autocast(images.device.type, enabled=False):
            images, parts = in_channels(images, self.channels), []
            states = [self._start(len(images))]
            encoder: Cells = states[0].decoder
            for eps in noise.chunk(self.settings.steps, dim=1):
                canvas, (said, _) = states[-1]
                seen = self.reader(images, images - canvas.sigmoid(), said)
                encoder = self.encoder(torch.cat([seen, said], dim=1), encoder)
                mean, log_var = as_posterior(self.posterior(encoder[0]))
                parts.append((mean, log_var))
                states.append(self._written(mean + (0.5 * log_var).exp() * eps, states[-1]))
            means, log_vars = zip(*parts, strict=True)
            return Posterior(torch.cat(means, dim=1), torch.cat(log_vars, dim=1)), states

    def _start(self, size: int) -> State:
        empty = self.canvas.new_zeros(size, self.settings.hidden)
        return State(self.canvas.expand(size, -1, -1, -1), (empty, empty))

    def _written(self, z: Float[Tensor, "B d"], state: State) -> State:
        decoder: Cells = self.decoder(z, state.decoder)
        return State(state.canvas + self.writer(decoder[0]), decoder)

    def _shown(self, canvas: Float[Tensor, "B _ H W"]) -> Float[Tensor, "B C H W"]:
        return in_channels(canvas.sigmoid(), 3)
