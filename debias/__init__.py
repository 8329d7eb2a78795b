"""Find and mitigate representation bias in face data sets without group labels.

    weights = debias.latent_weights(z, labels)      # z: (n, k), anybody's embeddings
    sampler = debias.WeightedSampler(weights, len(z), seed=0)

    store = debias.ingest("path/to/faces")          # what the commands do, as functions
    report = debias.audit(store, debias.encode(store))
    result = debias.run("path/to/faces", label="smiling", attributes=["gender"])

Names are loaded when they are first used: importing the package loads no library, and the first
use of a name that trains loads torch, which takes seconds.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from debias.weighting.latent_weights import latent_weights
    from debias.auditing import AuditReport, AuditRules
    from debias.auditing.audit import Placed, audit
    from debias.pipeline.comparing import compare
    from debias.weighting.estimators import LatentWeights
    from debias.weighting.imblearn_sampler import LatentResampler
    from debias.metrics import ComparisonReport, FairnessReport, evaluate
    from debias.notebook.functions import audit_folder, encode, export, ingest, run
    from debias.weighting.sampling import WeightedSampler
    from debias.types import Latents, SamplingWeights

__version__ = "0.1.0"
__all__ = [
    "AuditReport",
    "AuditRules",
    "ComparisonReport",
    "FairnessReport",
    "LatentResampler",
    "LatentWeights",
    "Latents",
    "Placed",
    "SamplingWeights",
    "WeightedSampler",
    "__version__",
    "audit",
    "audit_folder",
    "compare",
    "encode",
    "evaluate",
    "export",
    "ingest",
    "latent_weights",
    "run",
]

_HOMES = {
    "AuditReport": "debias.audit",
    "AuditRules": "debias.audit",
    "ComparisonReport": "debias.metrics",
    "FairnessReport": "debias.metrics",
    "LatentResampler": "debias.weighting.imblearn_sampler",
    "LatentWeights": "debias.weighting.estimators",
    "Latents": "debias.types",
    "Placed": "debias.auditing.audit",
    "SamplingWeights": "debias.types",
    "WeightedSampler": "debias.weighting.sampling",
    "audit": "debias.auditing.audit",
    "audit_folder": "debias.notebook.functions",
    "compare": "debias.pipeline.comparing",
    "encode": "debias.notebook.functions",
    "evaluate": "debias.metrics",
    "export": "debias.notebook.functions",
    "ingest": "debias.notebook.functions",
    "latent_weights": "debias.weighting.latent_weights",
    "run": "debias.notebook.functions",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """This package, in which ``audit`` and ``ingest`` are the functions and not their rooms."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing a room would put it in the place of the function of the same name.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
