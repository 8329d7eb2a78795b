"""An encoder of the user's: a TorchScript file or an exported program.

``B`` batch, ``k`` dimensions, ``C, H, W`` image.
"""

import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeGuard

import torch
from jaxtyping import Float
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.nn import functional

from debias.errors import DataError
from debias.models.representation import Representation, digest, require_file

Network = Callable[[Tensor], object]
EXPORTED = ".pt2"
# Parts of an exported program that torch would run or unpickle while it loads.
CODE = ("data/aotinductor/", "data/constants/custom_obj_", "data/constants/opaque_obj_")


class Encoder(Representation):
    """A network made elsewhere, called on float RGB images (B, 3, H, W) in [0, 1], in float32.

    ``.pt2`` files are read as ``torch.export.save`` wrote them, in the mode in which they were
    exported, all others as ``torch.jit.save`` did, in evaluation mode. An encoder is a program: use
    files that you trust. Pickled Python objects and compiled libraries are refused, but torch
    itself evaluates the shape expressions of an exported program.
    """

    trained: ClassVar[bool] = False

    name: Literal["encoder"] = "encoder"
    file: Path = Field(description="A TorchScript file or a .pt2 file of torch.export.")
    output: Literal["points", "posterior"] = Field(
        default="points",
        description="What it returns: points (B, k), or the pair mean and log-variance.",
    )
    image_size: int | None = Field(
        default=None, ge=8, le=2048, description="Side it wants, pixels; empty: that of the run."
    )
    mean: tuple[float, float, float] = Field(
        default=(0.0, 0.0, 0.0), description="Subtracted from R, G and B."
    )
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        default=(1.0, 1.0, 1.0), description="R, G and B are divided by it."
    )
    batch_size: int = Field(default=64, ge=1, description="Images at once.")

    def identity(self) -> dict[str, Any]:
        """All settings, and the content of the file in place of its path, which must be there."""
        found = digest(self.file, "representation.model.file")
        # Images at once are no part of the answer.
        return self.model_dump(mode="json", exclude={"file", "batch_size"}) | {"file": found}

    def open(self, device: torch.device) -> "LoadedEncoder":
        """Load the network; a DataError where that cannot be done without running foreign code."""
        require_file(self.file, "representation.model.file")
        load = _exported if self.file.suffix == EXPORTED else _scripted
        return LoadedEncoder(self, load(self.file, device))


@dataclass(frozen=True, eq=False)
class LoadedEncoder:
    """The network of :class:`Encoder`, ready to be called."""

    settings: Encoder
    network: Network

    def encode(
        self, images: Float[Tensor, "B C H W"]
    ) -> tuple[Float[Tensor, "B k"], Float[Tensor, "B k"] | None]:
        """Points of the images, or mean and log-variance where the encoder gives both.

        Raises:
            DataError: The network fails on such images, or returns something else.
        """
        parts = [self._encoded(part) for part in torch.split(images, self.settings.batch_size)]
        spreads = [log_var for _, log_var in parts if log_var is not None]
        return torch.cat([mean for mean, _ in parts]), torch.cat(spreads) if spreads else None

    def _encoded(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, Tensor | None]:
        wanted = self._prepared(images)
        try:
            with torch.autocast(images.device.type, enabled=False):
                found = self.network(wanted)
        except (RuntimeError, AssertionError, ValueError, TypeError) as error:
            raise DataError(
                f"{self.settings.file} fails on images of shape {tuple(wanted.shape)} "
                f"({_first_line(error)}); set representation.model.image_size to the side it "
                "wants, and export it with a dynamic batch dimension or set batch_size to 1"
            ) from error
        return self._checked(found, len(images))

    def _prepared(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        side = self.settings.image_size
        if side is not None and tuple(images.shape[2:]) != (side, side):
            images = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
        mean, std = (
            torch.tensor(values, device=images.device).view(1, 3, 1, 1)
            for values in (self.settings.mean, self.settings.std)
        )
        # Contiguous: a network that reshapes by view was made with such images.
        return ((images - mean) / std).contiguous()

    def _checked(self, found: object, size: int) -> tuple[Tensor, Tensor | None]:
        posterior = self.settings.output == "posterior"
        parts = tuple(found) if isinstance(found, tuple | list) else (found,)
        matrices = [part.float() for part in parts if _is_matrix(part, size)]
        same = len({part.shape for part in matrices}) == 1
        if not (same and len(parts) == len(matrices) == 1 + posterior):
            wanted = "a pair of tensors" if posterior else "one tensor"
            raise DataError(
                f"{self.settings.file} must return {wanted} of shape ({size}, k) for {size} "
                f"images, got {', '.join(map(_described, parts))}; pool or flatten what it "
                "returns, or change representation.model.output"
            )
        bad = sum(int((~part.isfinite()).any(dim=1).sum()) for part in matrices)
        if bad:
            raise DataError(
                f"{self.settings.file} returns values that are not finite for {bad} of {size} "
                "images; check mean and std, and the range of images it was made for: here [0, 1]"
            )
        return matrices[0], matrices[1] if posterior else None


def _is_matrix(part: object, size: int) -> TypeGuard[Tensor]:
    return isinstance(part, Tensor) and part.ndim == 2 and len(part) == size and part.numel() > 0


def _described(part: object) -> str:
    return f"shape {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__


def _scripted(file: Path, device: torch.device) -> Network:
    with warnings.catch_warnings():
        # Torch advises torch.export since 2.15; files of this kind are about for years to come.
        warnings.filterwarnings("ignore", message=".*torch.jit.load. is deprecated")
        try:
            network = torch.jit.load(file, map_location=device)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"{file} is no TorchScript file ({_first_line(error)}); a pickled model or its "
                "parameters alone cannot be used without their Python code: write the model with "
                f"torch.export.save to a {EXPORTED} file, or with torch.jit.save"
            ) from error
    return network.eval()


def _exported(file: Path, device: torch.device) -> Network:
    from torch.export.passes import move_to_device_pass

    _require_program(file)
    with _pickled_code_refused():
        try:
            program = move_to_device_pass(torch.export.load(file), str(device))
        except Exception as error:  # whatever a damaged or foreign file may bring about
            raise DataError(
                f"{file} cannot be loaded ({type(error).__name__}: {_first_line(error)}); write it "
                f"anew with torch.export.save of torch {torch.__version__} or older"
            ) from error
    return program.module()


def _require_program(file: Path) -> None:
    """Refuse what is no exported program, or would run foreign code while it is loaded."""
    names: list[str] = []
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    if not any(name.endswith("/archive_format") for name in names):
        raise DataError(
            f"{file} is no exported program; write it with torch.export.save, or name a "
            f"TorchScript file differently than {EXPORTED}"
        )
    code = [name for name in names if any(part in name for part in CODE)]
    if code:
        raise DataError(
            f"{file} holds compiled code or pickled objects ({code[0]}), which are not run; "
            "export a plain network of tensors with torch.export.save"
        )


@contextmanager
def _pickled_code_refused() -> Iterator[None]:
    """Torch would fall back to unpickling anything; this is its own switch against that."""
    switch = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(switch)
    os.environ[switch] = "1"
    try:
        yield
    finally:
        os.environ.pop(switch)
        if before is not None:
            os.environ[switch] = before


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
