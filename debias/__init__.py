"""Find and mitigate representation bias in face data sets without group labels.

    weights = debias.latent_weights(z, labels)      # z: (n, k), anybody's embeddings
    sampler = debias.WeightedSampler(weights, len(z), seed=0)

    store = debias.ingest("path/to/faces")          # what the commands do, as functions
    report = debias.audit(store, debias.encode(store))
    result = debias.run("path/to/faces", label="smiling", attributes=["gender"])

Names are loaded when they are first used: importing the package loads no library, and the first
use of a name that trains loads torch, which takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from debias.auditing import AuditReport, AuditRules
    from debias.auditing.audit import Placed, audit
    from debias.metrics import ComparisonReport, FairnessReport, evaluate
    from debias.notebook.functions import audit_folder, encode, export, ingest, run
    from debias.pipeline.reports import compare
    from debias.types import Latents
    from debias.weighting.estimators import LatentWeights
    from debias.weighting.imblearn_sampler import LatentResampler
    from debias.weighting.latent_weights import latent_weights
    from debias.weighting.sampling import WeightedSampler
    from debias.weighting.weights import SamplingWeights

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
    "AuditReport": "debias.auditing",
    "AuditRules": "debias.auditing",
    "ComparisonReport": "debias.metrics",
    "FairnessReport": "debias.metrics",
    "LatentResampler": "debias.weighting.imblearn_sampler",
    "LatentWeights": "debias.weighting.estimators",
    "Latents": "debias.types",
    "Placed": "debias.auditing.audit",
    "SamplingWeights": "debias.weighting.weights",
    "WeightedSampler": "debias.weighting.sampling",
    "audit": "debias.auditing.audit",
    "audit_folder": "debias.notebook.functions",
    "compare": "debias.pipeline.reports",
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
