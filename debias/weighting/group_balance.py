"""Weights by annotated group, complete or partial."""

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from pydantic import Field

from debias.errors import WeightError
from debias.types import Latents, TrainingTable
from debias.weighting.membership import calibrated_membership, cross_fitted_membership
from debias.weighting.rule import Context, Given, Need, Rule, Table, crossed
from debias.weighting.weights import SamplingWeights, check

REMEDY = "balance fewer attributes ('by'), join small groups, or annotate more images of them"


class GroupBalance(Rule):
    """Weights 1 / n_g: every annotated group gets the same total weight.

    Where some groups are empty, each image gets the expected weight sum_g p(g | image) / n_g under
    the membership probabilities, n_g being the expected counts; an annotated image belongs to its
    group for certain.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"groups"})

    name: Literal["group_balance"] = "group_balance"
    within_class: bool = Field(
        default=True, description="Balance the groups inside each class and keep the class shares."
    )
    estimate_on: Literal["images", "latents"] = Field(
        default="images",
        description="How empty groups are estimated from the annotated images: on 'images', by a "
        "small cross-fitted network (see 'discriminator'), or on 'latents', by logistic "
        "regression.",
    )
    by: tuple[str, ...] = Field(
        default=(), description="Attributes to balance, crossed; empty: all attributes."
    )
    annotated_per_group: int | None = Field(
        default=None,
        ge=2,
        description="Use only so many annotated training images of each group, drawn at random, "
        "and treat the others as unknown: what would a small effort of annotation buy?",
    )
    allow_degenerate: bool = Field(
        default=False, description="Go on although the weights rest on very few samples."
    )

    @property
    def blind(self) -> bool:
        return self.estimate_on == "images"

    def score(self, context: Context) -> Given:
        """The groups and, where some are empty, the probability of each."""
        if not context.faces.attributes:
            return Given(lambda: (context.table(), {}))  # the weights say what is missing
        groups = annotated(context.seed, crossed(context.faces, self.by), self.annotated_per_group)
        about = {"annotated": int((groups != "").sum()), "estimated": bool((groups == "").any())}
        if not about["estimated"]:
            return Given(lambda: (context.table(groups=groups), about))
        on_images = self.estimate_on == "images"
        source = context.group_ratio(groups) if on_images else context.latents

        def table() -> Table:
            known, labels = source.load(), context.labels
            if isinstance(known, Latents):
                member = cross_fitted_membership(known.mean, groups, labels, seed=context.seed)
            else:
                member = calibrated_membership(known.population, groups, labels)
            return context.table(groups=groups, membership=member), about

        return Given(table, inputs={"ratio" if on_images else "latents": source.key})

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """Weights of the training samples.

        Raises:
            WeightError: The table has no groups, or some are empty and nobody estimated them.
            WeightDegeneracyError: The weights rest on too few samples.
        """
        if table.groups is None:
            raise WeightError("group_balance needs group annotations; name them in 'attributes'")
        member = _membership(table)  # (n, g)
        classes = np.unique(table.labels, return_inverse=True)[1].astype(np.int64)
        classes = classes if self.within_class else np.zeros_like(classes)
        probability = expected_balance(member, classes)
        weights = SamplingWeights(
            sample_ids=table.sample_ids,
            probability=probability / probability.sum(),
            origin={"rule": self.name, "annotated": int((table.groups != "").sum())},
        )
        return check(weights, allow_degenerate=self.allow_degenerate, remedy=REMEDY)


def annotated(
    seed: int, groups: Shaped[np.ndarray, " n"], per_group: int | None
) -> Shaped[np.ndarray, " n"]:
    """Keep the annotation of at most ``per_group`` training faces of each group."""
    if per_group is None:
        return groups
    from debias.seeding import numpy_generator  # loads torch

    generator = numpy_generator(seed, "annotated")
    kept = np.full_like(groups, "")
    for group in np.unique(groups[groups != ""]):
        rows = generator.permutation(np.flatnonzero(groups == group))[:per_group]
        kept[rows] = group
    return kept


def _membership(table: TrainingTable) -> Float64[np.ndarray, "n g"]:
    """Probability of each known group, certain where the group is annotated."""
    groups = table.groups
    assert groups is not None  # checked by the caller
    known = groups != ""
    if not known.any():
        raise WeightError("group_balance needs annotated images; every group is empty")
    names = np.unique(groups[known])
    if known.all():
        return (groups[:, None] == names).astype(np.float64)
    if table.membership is None:
        raise WeightError(
            f"{(~known).sum()} of {len(groups)} groups are empty and their membership was not "
            "estimated"
        )
    if table.membership.shape != (len(groups), len(names)):
        raise WeightError(
            f"membership has shape {table.membership.shape}, expected {(len(groups), len(names))}"
        )
    return np.where(known[:, None], groups[:, None] == names, table.membership)


def expected_balance(
    member: Float64[np.ndarray, "n g"], classes: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """sum_g p(g | i) / n_g within each class; the share of each class is kept."""
    probability = np.empty(len(member))
    for value in np.unique(classes):
        here = classes == value
        count = member[here].sum(axis=0)
        present = count > 0
        share = here.mean() / present.sum()
        probability[here] = member[here][:, present] @ (share / count[present])
    return probability
