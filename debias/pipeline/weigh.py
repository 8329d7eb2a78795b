"""What ``debias weigh`` does: embeddings in a file become weights in a file, and a picture."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64, Shaped

from debias.density import Points
from debias.density.principal import PrincipalComponents
from debias.errors import ConfigError, DataError, StorageError, WeightError
from debias.ingesting.quarantine import summarise
from debias.statistics.concentration import association
from debias.statistics.groupings import UNKNOWN
from debias.storage.embeddings import EmbeddingTable, is_table, read_embeddings, unreadable
from debias.storage.files import replace_file, shown
from debias.storage.joining import ALLOWED, join, value_column
from debias.storage.tables import KINDS, file_and_column, is_missing, read_bytes, read_whole
from debias.types import Latents, Rejected
from debias.weighting.latent_weights import latent_weights
from debias.weighting.reach import reach, readings
from debias.weighting.weights import SamplingWeights

POINTS_DRAWN = 20_000
NAMED = 8  # columns in a sentence
WIDE = 4  # times as many dimensions as samples: perhaps the table lies on its side
LISTS = (".npy", ".txt")  # of values without names
Column = Shaped[np.ndarray, " n"]
WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command was asked for.

    Attributes:
        embeddings: File of embeddings, see :mod:`debias.storage.embeddings`.
        out: Where the weights go; the suffix says as what.
        labels: Class of each sample: a column of the embeddings, or a file (see ``_column``).
        groups: Group of each sample, likewise. They enter the weights only with target ``groups``;
            otherwise they show whom the weights reach.
        reference: File of embeddings of the reference set.
        elsewhere: File of embeddings of a collection in which groups are annotated.
        elsewhere_groups: Group of each of them, as ``groups``.
        ids: File of one sample id per row, for embeddings that hold none.
        dimensions: Columns of a table that are the embedding; empty for what looks like one.
        beside: Columns that are not.
        by_order: Files go by the order of their rows where no names are in common.
        allow_unjoined: Share of the rows of a file that may belong to no sample.
        allow_missing: Share of the samples that may have no embedding.
        target: None for ``reference`` or ``elsewhere`` where one is given, else ``uniform``.
        density: None for ``ratio``, which ranks best, where a reference is aimed at, else
            ``histogram``.
        settings: The other arguments of :func:`debias.latent_weights`.
    """

    embeddings: Path
    out: Path
    labels: str | None = None
    groups: str | None = None
    reference: Path | None = None
    elsewhere: Path | None = None
    elsewhere_groups: str | None = None
    ids: Path | None = None
    dimensions: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    by_order: bool = False
    allow_unjoined: float = ALLOWED
    allow_missing: float = ALLOWED
    target: str | None = None
    density: str | None = None
    settings: dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """Weights, what they do to known groups (or None), what to tell, and the files written."""

    weights: SamplingWeights
    by_group: pd.DataFrame | None
    sentences: list[str]
    picture: Path


def weigh(request: Request) -> Outcome:
    """Read, weigh, write, draw.

    Raises:
        PipelineError: A file or a setting cannot be used, or the output cannot be written.
    """
    if request.out.suffix.lower() not in WRITERS:
        raise ConfigError(
            f"weights are written as {' or '.join(WRITERS)}, got --out {request.out}; change its "
            "ending"
        )
    table, labels, groups, told = _read(request)
    latents = Latents(sample_ids=table.names, mean=table.values)
    reference, missed = _reference(request, table)
    elsewhere, learned = _elsewhere(request, table)
    own = labels, groups
    weights, notes = _weights(request, latents, own, reference=reference, elsewhere=elsewhere)
    codes = np.zeros(len(table.values)) if labels is None else pd.factorize(labels)[0]
    classes = codes.astype(np.int64)
    names = None if groups is None else _named(groups)
    by_group = None if names is None else weights.describe(names, classes)["by_group"]
    picture = request.out.with_suffix(".svg")
    drawn = _drawn(latents, weights, by_group)
    columns = {"weight": weights.weight, "probability": weights.probability}
    frame = pd.DataFrame({"sample_id": weights.sample_ids, **columns})
    _write(request.out, lambda path: WRITERS[path.suffix](frame, path))
    _write(picture, lambda path: path.write_bytes(drawn))
    sentences = [
        *told,
        *missed,
        *learned,
        *_shares(weights),
        *_found(latents, weights, classes),
        *notes,
    ]
    if weights.origin["target"] == "groups":
        sentences.append(
            "These annotations made the weights: shares and areas of annotated samples show what "
            "was asked for, not what was found."
        )
    else:
        sentences += readings_of(by_group)
    if labels is not None and names is not None:
        sentences += correlation(labels, names)
    return Outcome(weights=weights, by_group=by_group, sentences=sentences, picture=picture)


def _read(
    request: Request,
) -> tuple[EmbeddingTable, Column | None, Column | None, list[str]]:
    """Samples that have an embedding, their labels and groups, and what was done with the rest."""
    asked = (request.labels, request.groups)
    table = read_embeddings(
        request.embeddings, ids=request.ids, columns=request.dimensions,
        beside=[*(name for name in asked if name and not _file(name)[0]), *request.beside],
    )  # fmt: skip
    (labels, of_labels), (groups, of_groups) = (_column(table, one, request) for one in asked)
    told = [table.sentence, of_labels, of_groups]
    labels, groups = (_known(one, told) for one in (labels, groups))
    told.append(_left_out(table, groups, request))
    labels, groups = (None if one is None else one[~table.missing] for one in (labels, groups))
    return table.without_missing(), labels, groups, [*filter(None, dict.fromkeys(told))]


def _known(values: Column | None, told: list[str]) -> Column | None:
    """With None where a text says that nothing is known."""
    if values is None:
        return None
    empty = is_missing(pd.Series(values))
    if words := sorted({one for one in values[empty] if isinstance(one, str) and one.strip()}):
        told.append(f"{', '.join(words)} counts as missing; write a class or group otherwise.")
    known = values.astype(object)
    known[empty] = None
    return known


def _named(groups: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    return np.where(pd.isna(groups), UNKNOWN, groups).astype(str)


def _reference(
    request: Request, table: EmbeddingTable
) -> tuple[Float[np.ndarray, "m k"] | None, list[str]]:
    """Embeddings of the reference, dimension by dimension those of the table; what was left out."""
    if request.reference is None:
        return None, []
    found, missed = _alike(request.reference, table, request)
    return found.without_missing().values, missed


def _alike(
    file: Path, table: EmbeddingTable, request: Request, beside: Sequence[str] = ()
) -> tuple[EmbeddingTable, list[str]]:
    """Embeddings with the dimensions of the table, and what is to be left out."""
    same = table.is_wide and is_table(file)
    found = read_embeddings(
        file, columns=table.dimensions if same else (), beside=() if same else beside
    )
    missed = _left_out(found, None, replace(request, embeddings=file))
    return found, [missed] if missed else []


def _elsewhere(
    request: Request, table: EmbeddingTable
) -> tuple[tuple[Float[np.ndarray, "m k"], Column] | None, list[str]]:
    """Embeddings of another collection with their groups, and how these were joined."""
    source = request.elsewhere_groups
    if request.elsewhere is None:
        if source is not None:
            raise ConfigError("--elsewhere-groups is given without --elsewhere FILE: give both")
        return None, []
    if source is None:
        raise ConfigError(
            "--elsewhere needs the groups of its samples: give --elsewhere-groups COLUMN|FILE"
        )
    beside = [] if _file(source)[0] else [source]
    found, missed = _alike(request.elsewhere, table, request, beside)
    groups, how = _column(found, source, request)
    known = _known(groups, missed)
    assert known is not None  # a source was given
    return (found.without_missing().values, known[~found.missing]), [*missed, *filter(None, [how])]


def _shares(weights: SamplingWeights) -> list[str]:
    """Shares of groups that were learned in another collection, in words."""
    found = weights.origin.get("elsewhere")
    if found is None:
        return []
    told = ", ".join(
        f"{name} {one['share']:.1%} ({one['low']:.1%} to {one['high']:.1%})"
        for name, one in found["shares"].items()
    )
    return [
        f"Estimated from {found['images']:,} samples annotated elsewhere (95% intervals): {told}. "
        "No annotation of a sample here was read for it."
    ]


def _left_out(
    table: EmbeddingTable, groups: Shaped[np.ndarray, " n"] | None, request: Request
) -> str:
    """Which samples have no embedding, and whether some group has fewer than the others.

    Raises:
        DataError: More than are allowed.
    """
    size, rows = len(table.missing), np.flatnonzero(table.missing)
    if not len(rows):
        return ""
    ids = table.names
    first = ", ".join(ids[rows[:NAMED]]) + (", ..." if len(rows) > NAMED else "")
    told = (
        f"{len(rows):,} of {size:,} rows of {request.embeddings} without an embedding "
        f"({len(rows) / size:.1%}): {first}"
    )
    if len(rows) > request.allow_missing * size:
        raise DataError(
            f"{told}. At most {request.allow_missing:.0%} may be left out: compute them again, or "
            "allow more with --allow-missing SHARE"
        )
    hit: list[str] = []
    if groups is not None:
        listed = pd.DataFrame({"sample_id": ids, "group": _named(groups)})
        lost = [
            Rejected(sample_id=name, path=name, reason="no embedding", detail="")
            for name in ids[rows]
        ]
        tested = summarise(lost, listed, ["group"]).by_group
        hit = [
            f"{row['group'].partition(':')[2]} ({row['rejected']:,} of {row['listed']:,})"
            for row in tested[tested["flagged"]].to_dict("records")
        ]
    more = f" Left out more often than the others, beyond chance: {', '.join(hit)}." if hit else ""
    return f"Left out: {told}.{more}"


def _weights(
    request: Request,
    latents: Latents,
    own: tuple[Column | None, Column | None],
    **others: Any,  # noqa: ANN401 (data of a target)
) -> tuple[SamplingWeights, list[str]]:
    """The weights, and what was warned about on the way."""
    labels, groups = own
    given = [name for name, one in others.items() if one is not None]
    target = request.target or (given[0] if given else "uniform")
    _require_data(target, request)
    density = request.density or ("ratio" if target == "reference" else "histogram")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        weights = latent_weights(
            latents, labels, density=density, target=target,
            groups=groups if target == "groups" else None, **others, **request.settings,
        )  # fmt: skip
    texts = [str(warning.message) for warning in caught if warning.category is UserWarning]
    return weights, [f"Note: {text}." for text in dict.fromkeys(texts)]


def _require_data(target: str, request: Request) -> None:
    """Speak of the command's options where the library would speak of its arguments."""
    given = {"groups": request.groups, "reference": request.reference}
    given["elsewhere"] = request.elsewhere
    options = {"groups": "--attributes COLUMN|FILE", "reference": "--reference FILE"}
    options["elsewhere"] = "--elsewhere FILE --elsewhere-groups COLUMN|FILE"
    if target in given and given[target] is None:
        raise ConfigError(f"--target {target} needs its data: give {options[target]}")
    for name in ("reference", "elsewhere"):
        if target != name and given[name] is not None:
            raise ConfigError(
                f"--{name} is given, but the target is {target!r}; leave out --target, or --{name}"
            )


def _file(source: str) -> tuple[Path | None, str | None]:
    """``FILE`` or ``FILE:COLUMN`` taken apart; no file if it must be the name of a column."""
    return file_and_column(source, (*KINDS, ".npy"))


def _column(
    table: EmbeddingTable, source: str | None, request: Request
) -> tuple[Shaped[np.ndarray, " n"] | None, str]:
    """One value a sample, from a column beside the embedding or a file of its own, and how."""
    if source is None:
        return None, ""
    file, column = _file(source)
    if file is None:
        return table.columns[source].to_numpy(dtype=object), ""
    needed = [column] if column else []
    rows = _list(file) if file.suffix.lower() in LISTS else read_whole(file, needed)
    names = (
        table.columns if table.ids is None else table.columns.assign(**{table.named_by: table.ids})
    )
    value = value_column(rows, file, column)
    values = rows[value].to_numpy(dtype=object)
    found = join(
        names, rows, called=("the embeddings", file.name), allow_unjoined=1.0,
        by_order=request.by_order, nameless=True,
    )  # fmt: skip
    if found.unused > request.allow_unjoined * len(rows):
        raise DataError(
            f"{found.sentence}. More than {request.allow_unjoined:.0%} of {file.name} belongs to "
            "no sample: correct the names, or allow it with --allow-unjoined SHARE"
        )
    unused = [shown(str(name)) for name in rows if name not in (value, found.column)]
    told = f"; columns not used: {', '.join(unused[:NAMED])}" if unused else ""
    # Not every sample need be annotated; the last entry is that of the others.
    return np.append(values, [None])[found.rows], f"{found.sentence}{told}."


def _list(file: Path) -> pd.DataFrame:
    """A plain list of values, without a header."""
    if not file.is_file():
        raise DataError(f"the file {file.absolute()} does not exist; correct the path")
    try:
        if file.suffix.lower() == ".txt":
            return pd.DataFrame({"value": read_bytes(file, errors="strict").decode().splitlines()})
        return pd.DataFrame(np.load(file, allow_pickle=False)).rename(columns=str)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} {unreadable(error)}") from error


def _write(path: Path, save: Callable[[Path], object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, save, mode=0o600)  # weights name images, and may name people
    except OSError as error:
        raise StorageError(
            f"cannot write {path.absolute()} ({error}); choose another place with --out"
        ) from error


def _drawn(latents: Latents, weights: SamplingWeights, by_group: pd.DataFrame | None) -> bytes:
    from debias.report.charts.curves import Weighed, picture

    every = weights.weight
    # Which samples are drawn decides nothing, so the picture has a seed of its own.
    generator, size = np.random.default_rng(0), len(every)
    rows = generator.choice(size, min(size, POINTS_DRAWN), replace=False)
    points = _plane(latents.mean, rows)
    return picture(Weighed(points=points, multiple=every[rows], every=every, by_group=by_group))


def _plane(
    mean: Float[np.ndarray, "n k"], rows: Int64[np.ndarray, " m"]
) -> Float64[np.ndarray, "m 2"]:
    """Two leading principal components; zeros where there is only one direction."""
    drawn = mean[rows]
    for directions in (2, 1):
        with suppress(WeightError):  # the points spread in fewer directions
            found = PrincipalComponents.fit(Points(mean=drawn), directions)(drawn)
            return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))
    return np.zeros((len(rows), 2))


def _found(
    latents: Latents, weights: SamplingWeights, classes: Int64[np.ndarray, " n"]
) -> list[str]:
    size, width = latents.mean.shape
    about, figures = weights.origin, weights.describe()
    dropped = len(about.get("dropped_dimensions", ()))
    left_out = f" ({dropped} constant, left out)" if dropped else ""
    kinds = len(np.unique(classes))
    sentences = [
        f"{size:,} samples, {width:,} dimension{'s' * (width != 1)}{left_out}, "
        f"{kinds} {'class' if kinds == 1 else 'classes'}.",
        f"Effective sample size {figures['ess']:.1%} ({figures['effective_samples']:,.0f} "
        f"samples); the largest weight is {figures['largest']:.1f} times the mean, and the "
        f"heaviest hundredth of the samples holds {figures['top_1_percent']:.1%} of the weight.",
    ]
    if width > WIDE * size:
        sentences.insert(
            1,
            f"Note: {width:,} dimensions of {size:,} samples are many; if the file holds a sample "
            "in each column and a dimension in each row, transpose it.",
        )
    counts = about.get("directions", about.get("factors"))
    if counts is not None:
        kept = ", ".join(dict.fromkeys(str(count) for count in counts))
        ending = "" if kept == "1" else "s"
        sentences.insert(1, f"Density {about['density']!r} over {kept} direction{ending}.")
    return sentences


def readings_of(by_group: pd.DataFrame | None) -> list[str]:
    """What shares and areas of known groups say about the weights, in words."""
    if by_group is None or set(by_group["group"]) == {UNKNOWN}:
        return [
            "No groups were given, so nothing here says whom the weights reach. With --attributes, "
            "annotations of some samples show it; they do not enter the weights."
        ]
    found = reach(by_group)
    if not found.partly:
        return readings(found)
    known = by_group["count"][by_group["group"] != UNKNOWN].sum()
    return [
        f"{known:,} of {by_group['count'].sum():,} samples are annotated; the others are a group "
        "of their own here, so shares tell less than areas do.",
        *readings(found),
    ]


def correlation(labels: Shaped[np.ndarray, " n"], groups: Shaped[np.ndarray, " n"]) -> list[str]:
    known = groups != UNKNOWN
    codes, values = pd.factorize(labels)
    if len(np.unique(codes[known])) < 2 or len(np.unique(groups[known])) < 2:
        return []
    found = association(codes[known].astype(np.int64), groups[known])
    if found.nested:
        return ["The groups say what the labels say: there is nothing to weigh within a class."]
    if not found.tied:
        return []
    label, group = found.rarest_cell
    return [
        f"The label goes with the group (Cramér's V {found.cramers_v:.2f}): {group} with label "
        f"{values[int(label)]} has {found.rarest_count:,} samples, {found.expected_count:,.0f} if "
        "they were independent. A correlation is not a rarity: use a reference, or --target groups "
        "with some samples annotated."
    ]
