"""Which step feeds which: one list for a run, one for an audit, one for a study.

The command line walks a plan step by step, a flow makes a task of every stop.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from debias.errors import TrackingError
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
from debias.pipeline.step import Step
from debias.pipeline.study import make_measures, make_space, make_studied_faces, make_study
from debias.pipeline.study_recipe import StudyConfig
from debias.pipeline.weights import make_arm
from debias.pipeline.workers import hired
from debias.report.audit_document import Document
from debias.report.documents import RunDocument
from debias.report.study_document import Study as StudyDocument
from debias.storage.artifacts import Artifact

Which = tuple[str, ...]  # an arm, then a seed
Made = Mapping[
    str, Any
]  # artifacts by stop, arm and seed, as "weights/latent"; or why there is none


@dataclass(frozen=True)
class Stop:
    """A step on the way.

    Attributes:
        name: Of what it makes; inputs are asked for by it.
        make: ``make(job, *which, **inputs)``.
        needs: Stops whose results it takes, those that there are: of the same arm, if they have
            one; with a star, of all arms and seeds.
        each: Which arms and seeds, from the recipe and what was made; by default it is made once.
        spared: Which of its needs a piece goes without.
        here: Whether it is made in the process that walks, and not by a worker.
    """

    name: str
    make: Callable[..., Any]
    needs: tuple[str, ...] = ()
    each: Callable[[Any, Made], Iterable[Which]] = lambda config, made: [()]
    spared: Callable[[Any, Which], Collection[str]] = lambda config, which: ()
    here: bool = False

    def title(self, which: Which) -> str:
        return " ".join((self.name, " seed ".join(which))).strip()

    def inputs(self, config: SpaceRecipe, made: Made, which: Which) -> Made:
        """Of one piece of its work."""
        needs = set(self.needs) - set(self.spared(config, which))
        found: dict[str, Any] = {}
        for name, one in made.items():
            stem, *of = name.split("/")
            if f"{stem}*" in needs:
                found[name] = one
            elif stem in needs and tuple(of) in ((), which[:1], which):
                found[stem] = one
        return found


Do = Callable[[Stop, Which, Made], Any]


@dataclass(frozen=True)
class Finished(Mapping[str, Any]):
    """What the steps before made; whoever looks at one that is at work waits for it."""

    made: Made
    result: Callable[[Any], Any]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (an artifact, or why there is none)
        return self.result(self.made[name])

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.made))

    def __len__(self) -> int:
        return len(self.made)


def walk(
    plan: Iterable[Stop],
    config: SpaceRecipe,
    do: Do,
    result: Callable[[Any], Any] = lambda made: made,
) -> Any:  # noqa: ANN401 (a document)
    """Do every piece of work of a plan in its order by ``do``; what the last stop made.

    ``do`` may begin a piece and return something that stands for what becomes of it, ``result``
    then waits for that.
    """
    made: dict[str, Any] = {}
    done = None
    for stop in plan:
        for which in stop.each(config, Finished(made, result)):
            done = do(stop, which, stop.inputs(config, made, which))
            made["/".join((stop.name, *which))] = done
    return result(done)


def _if_named(part: str) -> Callable[[SpaceRecipe, Made], list[Which]]:
    return lambda config, made: [()] if getattr(config, part) is not None else []


def _arms(config: RunConfig, made: Made) -> list[Which]:
    return [(arm,) for arm in config.arms]


def _blind(config: RunConfig, which: Which) -> Collection[str]:
    """An arm that looks at no latent space need not wait for one."""
    return ["representation"] if config.drawn(which[0]).blind else []


def _generating(config: RunConfig, made: Made) -> list[Which]:
    return [(arm,) for arm in config.generating]


def _arms_and_seeds(config: RunConfig, made: Made) -> Iterator[Which]:
    """Seed by seed, all arms; with looks, until all questions are answered.

    ``made`` grows while this goes on.
    """
    seeds, looks = config.seeds, config.looks
    for seed in range(looks.most if looks else cast(int, seeds)):
        if looks and seed >= looks.least and enough_trainings(config, Stages.of(made)):
            return
        yield from ((arm, str(seed)) for arm in config.arms)


def _columns(config: StudyConfig, made: Made) -> list[Which]:
    return [(column,) for column in config.columns]


def _spaces_and_seeds(config: StudyConfig, made: Made) -> list[Which]:
    return [(space, str(seed)) for space in config.spaces for seed in range(config.seeds)]


def _unless_refused(step: Step[Run]) -> Callable[..., Any]:
    """A step of an arm; of one whose weights were refused, why they were."""

    def make(job: Run, *which: str, weights: Artifact | str, **inputs: Artifact) -> Any:  # noqa: ANN401
        if isinstance(weights, str):
            return weights
        return step.make(job, *which, weights=weights, **inputs)

    return make


# The reference comes before what takes long: it can fail, and takes seconds.
REFERENCE = Stop("reference", make_reference, needs=("faces",), each=_if_named("reference"))
REPRESENTATION = Stop("representation", PLACED.make, needs=("faces",))
RUN = (
    Stop("faces", make_faces, here=True),
    REFERENCE,
    Stop("elsewhere", make_elsewhere, needs=("faces",), each=_if_named("elsewhere")),
    REPRESENTATION,
    Stop(
        "weights",
        make_arm,
        needs=("faces", "representation", "reference", "elsewhere"),
        each=_arms,
        spared=_blind,
    ),
    Stop(
        "generated",
        _unless_refused(GENERATED),
        needs=("faces", "representation", "weights"),
        each=_generating,
    ),
    Stop(
        "classifier",
        _unless_refused(CLASSIFIER),
        needs=("faces", "weights", "generated"),
        each=_arms_and_seeds,
    ),
    Stop(
        "report",
        make_report,
        needs=("faces", "representation", "reference", "weights*", "generated*", "classifier*"),
        here=True,
    ),
)
AUDIT = (
    Stop("faces", make_audited_faces, here=True),
    REFERENCE,
    Stop("earlier", make_earlier, each=_if_named("earlier")),
    REPRESENTATION,
    Stop("audit", make_audit, needs=("faces", "representation", "reference", "earlier"), here=True),
)
STUDY = (
    Stop("faces", make_studied_faces, here=True),
    Stop("judge", JUDGE.make, needs=("faces",), each=_columns),
    Stop("space", make_space, needs=("faces",), each=_spaces_and_seeds),
    Stop("measures", make_measures, needs=("faces", "space", "judge*"), each=_spaces_and_seeds),
    Stop("study", make_study, needs=("faces", "space*", "measures*", "judge*"), here=True),
)


def plan_of(config: SpaceRecipe) -> tuple[Stop, ...]:
    """The plan that a recipe is for; one that trains no classifier is audited."""
    if isinstance(config, StudyConfig):
        return STUDY
    return RUN if isinstance(config, RunConfig) else AUDIT


def mitigate(run: Run) -> RunDocument:
    """Faces, latent space, weights, classifiers, report; returns the document of the report."""
    document: RunDocument = _walked(run)
    return document


def examine(job: Job) -> Document:
    """Faces, reference, earlier version, latent space, audit; returns its document."""
    document: Document = _walked(job)
    return document


def survey(job: Study) -> StudyDocument:
    """Faces, judges, every representation and its measures, the page; returns its document."""
    document: StudyDocument = _walked(job)
    return document


def publish(job: Job) -> None:
    """Send the tracker what it lacks of a job of :func:`debias.pipeline.job.reopen`.

    Raises:
        ArtifactError: A step is not finished.
        TrackingError: It has not everything now, either.
    """
    _through(job)
    if lost := job.unpublished():
        raise TrackingError(lost)


def _walked(job: Job) -> Any:  # noqa: ANN401 (a document)
    """Walk the plan of a job; in the end, what the tracker lacks is said."""
    document = _through(job)
    if lost := job.unpublished():
        job.progress.note(lost)
    return document


def _through(job: Job) -> Any:  # noqa: ANN401 (a document)
    plan = plan_of(job.config)
    with hired(job) as hands:

        def do(stop: Stop, which: Which, inputs: Made) -> object:
            piece = partial(make_piece, plan.index(stop), which)
            return hands.do(piece, stop.title(which), inputs, here=stop.here)

        return walk(plan, job.config, do, hands.result)


def make_piece(place: int, which: Which, job: Job, **inputs: Any) -> Any:  # noqa: ANN401
    """One piece of work of the stop at this place of the plan of a job."""
    return plan_of(job.config)[place].make(job, *which, **inputs)
