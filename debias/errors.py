"""The errors a user can meet, each with the exit code of its family."""

from collections.abc import Iterator
from contextlib import contextmanager


class PipelineError(Exception):
    """An expected problem: the message says what was wrong, the value, the limit, what to do."""

    exit_code = 1


class ConfigError(PipelineError):
    """A setting is unknown, of the wrong type, out of range, or contradicts another."""

    exit_code = 2


class DataError(PipelineError):
    """The data cannot be used as they are."""

    exit_code = 3


class EmptyDatasetError(DataError):
    """No usable sample is left."""


class DuplicateIdError(DataError):
    """Two rows, or two members of an archive, speak of one image."""


class UnsafePathError(DataError):
    """The place of the data itself is not a path that can be opened."""


class LabelError(DataError):
    """A label column is missing, or holds a missing or unknown value."""


class SingleClassError(LabelError):
    """Every sample has the same label: nothing can be learned."""


class GroupSchemaError(DataError):
    """An attribute column is missing or holds a value that was not declared."""


class SplitLeakageError(DataError):
    """One person stands on two sides of a split."""


class DatasetSmallerThanBatchError(DataError):
    """Fewer training images than one batch."""


class NonFiniteLatentError(DataError):
    """A latent mean or log-variance is NaN or infinite."""


class QuarantineLimitExceededError(DataError):
    """More items were set aside than the share that is allowed."""


class ArtifactError(PipelineError):
    """A saved value is missing, incomplete or altered, or cannot be written."""

    exit_code = 4


class ArtifactCorruptError(ArtifactError):
    """A file differs from what its manifest says; ``what`` is the message without the remedy."""

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        super().__init__(f"{what}; {remedy}" if remedy else what)


class StorageError(ArtifactError):
    """The output folder cannot be written."""


class StorageFullError(StorageError):
    """The disk, a quota or a file size limit is exhausted."""


class DecodingError(PipelineError):
    """The processes that read image files do not start."""


class WorkerError(PipelineError):
    """A process that worked for this one is gone, again and again."""


class TrainingError(PipelineError):
    """Training cannot go on."""

    exit_code = 5


class NonFiniteLossError(TrainingError):
    """The loss is NaN or infinite."""


class DivergedLossError(TrainingError):
    """The loss is finite but has left the range in which training means anything."""


class CheckpointMismatchError(TrainingError):
    """An interrupted training was of another network than the one that is trained here."""


class WeightError(PipelineError):
    """Weights cannot be built, or are not usable."""

    exit_code = 6


class NonFiniteWeightError(WeightError):
    """A weight or its density is NaN or infinite."""


class WeightDegeneracyError(WeightError):
    """The weights rest on too few samples."""


class AllDimensionsInactiveError(WeightError):
    """Every latent dimension is constant: there is no density to estimate."""


class EvaluationError(PipelineError):
    """Predictions cannot be evaluated as they are."""

    exit_code = 7


class OutOfMemoryError(PipelineError):
    """There is less memory than the work needs."""

    exit_code = 10


class TrackingError(PipelineError):
    """The tracking configuration cannot be used. An outage is never fatal."""

    exit_code = 8


class SecurityError(PipelineError):
    """Something was refused because reading it could do harm."""

    exit_code = 9


class UnsafeArchiveError(SecurityError):
    """An archive is built to exhaust or mislead whoever lists it."""


# How libraries say that there is no memory left where they raise no MemoryError: oneDNN, torch, the
# system.
NO_MEMORY = (
    "could not create a primitive",
    "DefaultCPUAllocator",
    "out of memory",
    "Cannot allocate memory",
)


@contextmanager
def memory_explained() -> Iterator[None]:
    """OutOfMemoryError for whatever a library raises when there is no memory left."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
            said = str(error).strip()[:200] or "MemoryError"
            raise OutOfMemoryError(
                f"there was not enough memory ({said}). Choose a smaller batch_size, image_size or "
                "network, or end other programs, and run the same command again: finished stages "
                "are kept"
            ) from error
        raise
