"""What ``debias weigh --workers`` does: shards of latents become shards of weights."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from debias.errors import ConfigError, StorageError
from debias.pipeline.recipe import Workers
from debias.pipeline.workers import lent
from debias.storage.shards import find_shards
from debias.weighting.shards import ShardWeights, shard_weights


def weigh_shards(
    addresses: Sequence[str],
    workers: str,
    out: Path,
    columns: Sequence[str],
    settings: Mapping[str, Any],
) -> list[str]:
    """Weigh, write, and say what was found; ``settings`` as of :func:`debias.shard_weights`.

    Raises:
        PipelineError: A shard or a setting cannot be used, or the output cannot be written.
    """
    try:
        whom = TypeAdapter[int | str](Workers).validate_python(workers)
    except ValidationError as error:
        raise ConfigError(str(error.errors()[0]["ctx"]["error"])) from error
    if out.exists():  # before any work is done
        raise StorageError(f"{out.absolute()} is there already; choose another place with --out")
    shards = find_shards(addresses, columns)
    with lent(whom) as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        found = shard_weights(shards, client=client, **settings)
        found.save(out)
    texts = [str(warning.message) for warning in caught if warning.category is UserWarning]
    return [*_sentences(found), *(f"Note: {text}." for text in dict.fromkeys(texts))]


def _sentences(found: ShardWeights) -> list[str]:
    about, width, count = found.origin, found.shards[0].width, len(found.shards)
    dropped = len(about["dropped_dimensions"])
    left_out = f" ({dropped} constant, left out)" if dropped else ""
    (directions,) = about.get("directions", about.get("factors"))
    return [
        f"{len(found):,} samples in {count:,} shard{'s' * (count != 1)}, {width:,} "
        f"dimension{'s' * (width != 1)}{left_out}.",
        f"Density {about['density']!r} over {directions} direction{'s' * (directions != 1)}.",
        f"Effective sample size {found.ess:.1%} ({found.ess * len(found):,.0f} samples); the "
        f"largest weight is {found.largest:.1f} times the mean.",
    ]
