"""The one place that picks the device and the precision, from the config."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch

from debias.errors import ConfigError, OutOfMemoryError

N = TypeVar("N", bound=torch.nn.Module)
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16"]
COPIES = 4  # of every parameter in training: itself, its gradient, and two moments of Adam
GRANTED = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Compute:
    """Where tensors live and in which precision networks multiply."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager[object]:
        """Run networks in the chosen precision; losses are reduced in float32 all the same."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def place(self, module: torch.nn.Module) -> torch.nn.Module:
        """Move to the device, channels last: convolutions run faster and batches come that way."""
        return module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def build(self, make: Callable[[], N]) -> N:
        """The network that ``make`` makes, placed; OutOfMemoryError if it cannot be trained here.

        Systems grant memory that there is not, and end the process that uses it: so a network is
        counted before it takes any.
        """
        needed = 0
        with torch.random.fork_rng(devices=[]), suppress(Exception), torch.device("meta"):
            # One of the user's own may not build without values: then it is not counted.
            needed = COPIES * sum(one.nbytes for one in make().parameters())
        if self.device.type == "cpu" and needed > (there := _memory()):
            raise OutOfMemoryError(
                f"to train this network takes {needed / 2**30:,.0f} GiB and more, and this machine "
                f"has {there / 2**30:,.0f} GiB of memory: choose a smaller one (model.width, "
                "model.hidden, model.latent_dim) or a smaller image_size"
            )
        network = make()
        self.place(network)
        return network

    def identity(self) -> dict[str, object]:
        """What changes the numbers of a training, and so belongs to its content key.

        Of torch its first number, beginning with 3: keys that do not say so are of torch 2.
        """
        about = {"device": str(self.device), "precision": str(self.dtype).removeprefix("torch.")}
        major = torch.__version__.split(".")[0]
        return {**about} if major == "2" else {**about, "torch": major}

    def describe(self) -> dict[str, object]:
        """For manifests: on what else the last bits depend, which makes no other result."""
        return self.identity() | {
            "threads": torch.get_num_threads(), "torch": torch.__version__,
            "processor": torch.backends.cpu.get_cpu_capability(),
        }  # fmt: skip


def choose(device: Device = "auto", precision: Precision = "auto") -> Compute:
    """Resolve ``auto`` and check that what was asked for exists on this machine."""
    name = _best_device() if device == "auto" else device
    _require(name)
    fast = precision == "bfloat16" or (precision == "auto" and _multiplies_bfloat16(name))
    return Compute(torch.device(name), torch.bfloat16 if fast else torch.float32)


def threads() -> int:
    """On how many threads networks multiply in this process."""
    return torch.get_num_threads()


def _memory() -> int:
    """Bytes that this machine has, or may use where a container is given less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # none is given, or "max"
        return min(whole, int(GRANTED.read_text()))
    return whole


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _require(name: str) -> None:
    present = {"cpu": True, "cuda": torch.cuda.is_available()}
    if not present.get(name, torch.backends.mps.is_available()):
        raise ConfigError(f"device {name!r} is not available on this machine; use 'auto' or 'cpu'")


def _multiplies_bfloat16(name: str) -> bool:
    """Whether the hardware multiplies bfloat16 itself; emulation would be slower than float32."""
    if name == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return name == "cpu" and torch.cpu._is_avx512_bf16_supported()
