"""What a store and a recipe let one know before anything is trained."""

from collections.abc import Iterator

from debias.pipeline.recipe import RunConfig
from debias.types import BASELINE, FaceStore

FEW = 2000  # training images
NAMED = 6  # groups


def few_images(faces: FaceStore) -> list[str]:
    """What a small training set means for everything that follows."""
    count = len(faces.rows("train"))
    if count >= FEW:
        return []
    return [
        f"{count:,} training images are few (below {FEW:,}): the latent space is coarse, weights "
        "show the same images again and again, and results vary from training to training. "
        "Expect wide intervals; many questions will end in 'cannot tell'."
    ]


def foreseen(config: RunConfig, faces: FaceStore) -> list[str]:
    found = [*_without_baseline(config), *few_images(faces), *_groups(config, faces)]
    return [*found, *_untested(config, faces)]


def _without_baseline(config: RunConfig) -> Iterator[str]:
    if BASELINE not in config.arms:
        yield (
            f"No arm is called {BASELINE!r}, so there is no plain training to compare with: the "
            "report will describe the arms and judge no change. Add "
            f"--set arms.{BASELINE}={BASELINE}."
        )


def _untested(config: RunConfig, faces: FaceStore) -> Iterator[str]:
    """Groups of which the test set holds too few for a verdict."""
    least, tested = config.evaluation.minimum, faces.groups(faces.rows("test"))
    for attribute in faces.attributes:
        counts = tested[attribute].value_counts()
        small = sorted(str(name) for name in counts.index[counts < least])
        if small:
            more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
            yield (
                f"No verdict can be reached on {attribute} {', '.join(small[:NAMED])}{more}: fewer "
                f"than {least} test images each. More images of them help, or a larger "
                "selection.test_fraction."
            )


def _groups(config: RunConfig, faces: FaceStore) -> Iterator[str]:
    groups = faces.groups(faces.rows("train"))
    for arm, rule in config.arms.items():
        if "groups" in rule.needs and not faces.attributes:
            yield (
                f"Arm {arm!r} balances annotated groups and none are named, so it will be left "
                "out: name columns with --attributes, or drop the arm."
            )
        elif "groups" in rule.needs:
            chosen = list(getattr(rule, "by", ()) or faces.attributes)
            if (groups[chosen].nunique() < 2).all():
                yield (
                    f"Arm {arm!r} balances {', '.join(map(str, chosen))}, but all training images "
                    "are of one group: it will be plain training."
                )
