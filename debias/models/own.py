"""Networks of the user's, given as objects in place of a name.

A module is copied for every training, which starts from the parameters it came with. A class, or a
function without arguments that makes a module, is called anew in the random stream of each
training: then seeds differ in their first parameters too, as with the networks of debias.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from debias.models.classifiers import Classifier
from debias.models.representation import Representation
from debias.own import Own, require
from debias.training.batches import Batch


class OwnRepresentation(Own, Representation):  # type: ignore[misc]
    """Any module with ``encode`` and ``loss``, or what makes one; pictures if it can ``decode``.

    ``encode(images)`` takes (B, 3, H, W) in [0, 1] and returns points (B, k), or the pair mean and
    log-variance; ``loss(batch)`` looks at ``batch.image`` and returns the loss, or a dictionary of
    batch means with the key ``loss``; ``decode(z)`` returns intensities in [0, 1].
    """

    @property
    def draws(self) -> bool:
        """Of a function, that is not known before it is called: then it may."""
        given = self.given
        return hasattr(given, "decode") or not isinstance(given, nn.Module | type)

    def build(self, image_size: int) -> nn.Module:
        """A copy for one training; a ConfigError if it lacks what is needed or has lazy layers."""
        return _Placing(_module(self, "encode", "loss"), self.called)


class OwnClassifier(Own):
    """Any module from images (B, 3, H, W) in [0, 1] to logits (B, classes), or what makes one."""

    def build(self, classes: int) -> Classifier:
        """A copy, trained by cross-entropy; a ConfigError if it is no module or has lazy layers."""
        return _Classifying(_module(self), self.called, classes)


def _module(own: Own, *methods: str) -> nn.Module:
    made = own.fresh()
    whole = isinstance(made, nn.Module) and all(hasattr(made, name) for name in methods)
    wanted = f" with {' and '.join(methods)}" if methods else ""
    require(whole, own.called, f"it must be a torch module{wanted}, got {type(made).__name__}")
    lazy = any(isinstance(one, UninitializedParameter) for one in made.parameters())
    require(not lazy, own.called, "give lazy layers their sizes: training starts from parameters")
    return made


class _Placing(nn.Module):
    def __init__(self, network: nn.Module, called: str) -> None:
        super().__init__()
        self.network, self.called = network, called
        for name in ("decode", "nats", "figures"):  # what it can, this can too
            if hasattr(network, name):
                setattr(self, name, getattr(network, name))

    def encode(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, Tensor | None]:
        found = self.network.encode(images)  # type: ignore[operator]
        mean, log_var = (found, None) if isinstance(found, Tensor) else tuple(found)
        for part in (mean, log_var):
            fits = part is None or (part.ndim == 2 and len(part) == len(images))
            shape = () if part is None else tuple(part.shape)
            require(fits, self.called, f"encode must return ({len(images)}, k), got shape {shape}")
        return mean.float(), None if log_var is None else log_var.float()

    def forward(self, images: Float[Tensor, "B C H W"]) -> Tensor:
        return self.encode(images)[0]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        found = self.network.loss(batch)  # type: ignore[operator]
        losses = dict(found) if isinstance(found, Mapping) else {"loss": found}
        require("loss" in losses, self.called, f"its losses {sorted(losses)} lack the key 'loss'")
        return losses


class _Classifying(Classifier):
    def __init__(self, network: nn.Module, called: str, classes: int) -> None:
        super().__init__(network)
        self.called, self.classes = called, classes

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        logits = self.network(images)
        wanted, shape = (len(images), self.classes), tuple(logits.shape)
        require(
            shape == wanted, self.called, f"it must return logits of shape {wanted}, got {shape}"
        )
        return logits
