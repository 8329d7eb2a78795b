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

if TYPE_CHECKING:  # each name as itself: that makes it public to type checkers
    from debias.auditing import AuditReport as AuditReport
    from debias.auditing import AuditRules as AuditRules
    from debias.auditing.audit import Placed as Placed
    from debias.auditing.audit import audit as audit
    from debias.metrics import ComparisonReport as ComparisonReport
    from debias.metrics import FairnessReport as FairnessReport
    from debias.metrics import evaluate as evaluate
    from debias.notebook.functions import audit_folder as audit_folder
    from debias.notebook.functions import encode as encode
    from debias.notebook.functions import export as export
    from debias.notebook.functions import ingest as ingest
    from debias.notebook.functions import run as run
    from debias.pipeline.reports import compare as compare
    from debias.types import Latents as Latents
    from debias.weighting.estimators import LatentWeights as LatentWeights
    from debias.weighting.imblearn_sampler import LatentResampler as LatentResampler
    from debias.weighting.latent_weights import latent_weights as latent_weights
    from debias.weighting.sampling import WeightedSampler as WeightedSampler
    from debias.weighting.shards import ShardWeights as ShardWeights
    from debias.weighting.shards import shard_weights as shard_weights
    from debias.weighting.weights import SamplingWeights as SamplingWeights

__version__ = "0.1.0"
_HOMES = {
    name: home
    for home, names in {
        "debias.auditing": "AuditReport AuditRules",
        "debias.auditing.audit": "Placed audit",
        "debias.metrics": "ComparisonReport FairnessReport evaluate",
        "debias.notebook.functions": "audit_folder encode export ingest run",
        "debias.pipeline.reports": "compare",
        "debias.types": "Latents",
        "debias.weighting.estimators": "LatentWeights",
        "debias.weighting.imblearn_sampler": "LatentResampler",
        "debias.weighting.latent_weights": "latent_weights",
        "debias.weighting.sampling": "WeightedSampler",
        "debias.weighting.shards": "ShardWeights shard_weights",
        "debias.weighting.weights": "SamplingWeights",
    }.items()
    for name in names.split()
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
