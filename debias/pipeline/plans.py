"""Which step feeds which: one list for a run, one for an audit, one for a study.

The command line walks a plan step by step, a flow makes a task of every stop.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from debias.errors import TrackingError, WeightError
from debias.pipeline.about import Stages
from debias.pipeline.audit import make_audit
from debias.pipeline.classifier import CLASSIFIER
from debias.pipeline.comparison import make_report
from debias.pipeline.faces import (
    make_audited_faces,
    make_earlier,
    make_elsewhere,
    make_faces,
    make_reference,
)
from debias.pipeline.fairness import enough_trainings
from debias.pipeline.generated import GENERATED
from debias.pipeline.job import Job, Run, Study
from debias.pipeline.judge import JUDGE
from debias.pipeline.recipe import RunConfig, SpaceRecipe
from debias.pipeline.representation import REPRESENTATION as PLACED
from debias.pipeline.study import make_measures, make_space, make_studied_faces, make_study
from debias.pipeline.study_recipe import StudyConfig
from debias.pipeline.weights import make_arm
from debias.report.audit_document import Document
from debias.report.documents import RunDocument
from debias.report.study_document import Study as StudyDocument

Which = tuple[str, ...]  # an arm, then a seed
Made = dict[str, Any]  # artifacts by stop, arm and seed, as "weights/latent"; or why there is none


@dataclass(frozen=True)
class Stop:
    """A step on the way.

    Attributes:
        name: Of what it makes; inputs are asked for by it.
        make: ``make(job, *which, **inputs)``.
        needs: Stops whose results it takes, those that there are: of the same arm, if they have
            one; with a star, of all arms and seeds.
        each: Which arms and seeds, from the recipe and what was made; by default it is made once.
    """

    name: str
    make: Callable[..., Any]
    needs: tuple[str, ...] = ()
    each: Callable[[Any, Made], Iterable[Which]] = lambda config, made: [()]

    def title(self, which: Which) -> str:
        return " ".join((self.name, " seed ".join(which))).strip()

    def inputs(self, made: Made, which: Which) -> Made:
        """Of one piece of its work."""
        found: Made = {}
        for name, one in made.items():
            stem, *of = name.split("/")
            if f"{stem}*" in self.needs:
                found[name] = one
            elif stem in self.needs and tuple(of) in ((), which[:1], which):
                found[stem] = one
        return found


def walk(plan: Iterable[Stop], config: SpaceRecipe, do: Callable[[Stop, Which, Made], Any]) -> Any:  # noqa: ANN401 (a document)
    """Do every piece of work of a plan in its order by ``do``; what the last stop made."""
    made: Made = {}
    result = None
    for stop in plan:
        for which in stop.each(config, made):
            result = do(stop, which, stop.inputs(made, which))
            made["/".join((stop.name, *which))] = result
    return result


def _if_named(part: str) -> Callable[[SpaceRecipe, Made], list[Which]]:
    return lambda config, made: [()] if getattr(config, part) is not None else []


def _arms(config: RunConfig, made: Made) -> list[Which]:
    return [(arm,) for arm in config.arms]


def _generating(config: RunConfig, made: Made) -> list[Which]:
    return [(arm,) for arm in config.generating if not isinstance(made[f"weights/{arm}"], str)]


def _arms_and_seeds(config: RunConfig, made: Made) -> Iterator[Which]:
    """Seed by seed, the arms that were not refused; with looks, until all questions are answered.

    ``made`` grows while this goes on.
    """
    arms, seeds, looks = usable(made), config.seeds, config.looks
    for seed in range(looks.most if looks else cast(int, seeds)):
        if looks and seed >= looks.least and enough_trainings(config, Stages.of(made)):
            return
        yield from ((arm, str(seed)) for arm in arms)


def _columns(config: StudyConfig, made: Made) -> list[Which]:
    return [(column,) for column in config.columns]


def _spaces_and_seeds(config: StudyConfig, made: Made) -> list[Which]:
    return [(space, str(seed)) for space in config.spaces for seed in range(config.seeds)]


def usable(made: Made) -> list[str]:
    """The arms to train; WeightError if every one was refused."""
    arms = {name.removeprefix("weights/"): one for name, one in made.items() if "weights/" in name}
    kept = [arm for arm, one in arms.items() if not isinstance(one, str)]
    if not kept:
        reasons = "; ".join(f"{arm}: {reason}" for arm, reason in arms.items())
        raise WeightError(f"every arm was refused, so there is nothing to train ({reasons})")
    return kept


# The reference comes before what takes long: it can fail, and takes seconds.
REFERENCE = Stop("reference", make_reference, needs=("faces",), each=_if_named("reference"))
REPRESENTATION = Stop("representation", PLACED.make, needs=("faces",))
RUN = (
    Stop("faces", make_faces),
    REFERENCE,
    Stop("elsewhere", make_elsewhere, needs=("faces",), each=_if_named("elsewhere")),
    REPRESENTATION,
    Stop(
        "weights",
        make_arm,
        needs=("faces", "representation", "reference", "elsewhere"),
        each=_arms,
    ),
    Stop(
        "generated",
        GENERATED.make,
        needs=("faces", "representation", "weights"),
        each=_generating,
    ),
    Stop(
        "classifier",
        CLASSIFIER.make,
        needs=("faces", "weights", "generated"),
        each=_arms_and_seeds,
    ),
    Stop(
        "report",
        make_report,
        needs=("faces", "representation", "reference", "weights*", "generated*", "classifier*"),
    ),
)
AUDIT = (
    Stop("faces", make_audited_faces),
    REFERENCE,
    Stop("earlier", make_earlier, each=_if_named("earlier")),
    REPRESENTATION,
    Stop("audit", make_audit, needs=("faces", "representation", "reference", "earlier")),
)
STUDY = (
    Stop("faces", make_studied_faces),
    Stop("judge", JUDGE.make, needs=("faces",), each=_columns),
    Stop("space", make_space, needs=("faces",), each=_spaces_and_seeds),
    Stop("measures", make_measures, needs=("faces", "space", "judge*"), each=_spaces_and_seeds),
    Stop("study", make_study, needs=("faces", "space*", "measures*", "judge*")),
)


def plan_of(config: SpaceRecipe) -> tuple[Stop, ...]:
    """The plan that a recipe is for; one that trains no classifier is audited."""
    if isinstance(config, StudyConfig):
        return STUDY
    return RUN if isinstance(config, RunConfig) else AUDIT


def mitigate(run: Run) -> RunDocument:
    """Faces, latent space, weights, classifiers, report; returns the document of the report."""
    document: RunDocument = _walked(RUN, run)
    return document


def examine(job: Job) -> Document:
    """Faces, reference, earlier version, latent space, audit; returns its document."""
    document: Document = _walked(AUDIT, job)
    return document


def survey(job: Study) -> StudyDocument:
    """Faces, judges, every representation and its measures, the page; returns its document."""
    document: StudyDocument = _walked(STUDY, job)
    return document


def publish(job: Job) -> None:
    """Send the tracker what it lacks of a job of :func:`debias.pipeline.job.reopen`.

    Raises:
        ArtifactError: A step is not finished.
        TrackingError: It has not everything now, either.
    """
    walk(plan_of(job.config), job.config, partial(_do, job))
    if lost := job.unpublished():
        raise TrackingError(lost)


def _walked(plan: Iterable[Stop], job: Job) -> Any:  # noqa: ANN401 (a document)
    """Walk a plan; in the end, what the tracker lacks is said."""
    document = walk(plan, job.config, partial(_do, job))
    if lost := job.unpublished():
        job.progress.note(lost)
    return document


def _do(job: Job, stop: Stop, which: Which, inputs: Made) -> Any:  # noqa: ANN401 (an artifact, a document)
    return stop.make(job, *which, **inputs)
