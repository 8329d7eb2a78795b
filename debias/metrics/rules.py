"""What a reader decides before looking at the data: what to compare, and what counts."""

from pydantic import Field, ValidationError

from debias.errors import EvaluationError
from debias.plugins import Settings

MINIMUM = 30  # below this denominator a rate takes no part in a verdict
SUPPRESS_BELOW = 11  # counts of 1 to 10 are withheld


class Rules(Settings):
    """How predictions are evaluated."""

    reference: str | dict[str, str] | list[str] | tuple[str, ...] | None = Field(
        default=None,
        description="Group that the others are compared with, such as race:White, or one value "
        "for each attribute; empty: all pairs are compared.",
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Largest difference that does not matter, 0.05 for 5 percentage points. "
        "Without one a difference can never be ruled out.",
    )
    level: float = Field(
        default=0.95, gt=0, lt=1, description="Of the intervals, and of all gaps together."
    )
    metrics: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Rates to compare; empty: all. Each one adds comparisons.",
    )
    primary: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Figures whose change is asked first and decides the verdict, in order of "
        "priority, such as worst_group_accuracy or accuracy/race:Black; empty: the worst group, "
        "then all images.",
    )
    minimum: int = Field(
        default=MINIMUM, ge=1, description="Smaller denominators take no part in a verdict."
    )
    suppress_below: int = Field(
        default=SUPPRESS_BELOW,
        ge=1,
        description="Counts from 1 to below this are withheld; 1 withholds nothing.",
    )
    noise: bool = Field(
        default=False, description="Shuffle some group labels to see what the gaps depend on."
    )
    seed: int = Field(default=0, ge=0, description="Of the bootstrap and of the shuffling.")


def decided(**values: object) -> Rules:
    """Rules from plain values.

    Raises:
        EvaluationError: A value is out of range.
    """
    try:
        return Rules.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        raise EvaluationError(f"{name} = {first.get('input')!r}: {first['msg']}") from error
