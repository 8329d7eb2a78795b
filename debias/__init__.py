"""Find and mitigate representation bias in face data sets without group labels.

    weights = debias.latent_weights(z, labels)      # z: (n, k), anybody's embeddings
    report = debias.audit(store, latents)           # who is missing from a collection
    sampler = debias.WeightedSampler(weights, len(z), seed=0)

Names are loaded when they are first used: importing the package loads no library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from debias.api import latent_weights
    from debias.audit import AuditReport, AuditRules
    from debias.auditing import Placed, audit
    from debias.comparing import compare
    from debias.estimators import LatentWeights
    from debias.imblearn_sampler import LatentResampler
    from debias.metrics import ComparisonReport, FairnessReport, evaluate
    from debias.sampling import WeightedSampler
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
    "compare",
    "evaluate",
    "latent_weights",
]

_HOMES = {
    "AuditReport": "debias.audit",
    "AuditRules": "debias.audit",
    "ComparisonReport": "debias.metrics",
    "FairnessReport": "debias.metrics",
    "LatentResampler": "debias.imblearn_sampler",
    "LatentWeights": "debias.estimators",
    "Latents": "debias.types",
    "Placed": "debias.auditing",
    "SamplingWeights": "debias.types",
    "WeightedSampler": "debias.sampling",
    "audit": "debias.auditing",
    "compare": "debias.comparing",
    "evaluate": "debias.metrics",
    "latent_weights": "debias.api",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
