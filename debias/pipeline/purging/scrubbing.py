"""Files as they were, but without one person: tables, lists, JSON."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from debias.pipeline.purging.traces import Traces, contents, is_id

CLUSTER = "duplicate_cluster"
GONE = object()


@dataclass(frozen=True)
class Edit:
    """What becomes of a file.

    Attributes:
        removed: Rows, lines or entries that named the person.
        save: Writes what is left of it; None if nothing is, and the file goes.
    """

    removed: int
    save: Callable[[Path], object] | None


def without(path: Path, traces: Traces) -> Edit | None:
    """The file without the person; None if it does not name them, or is of another kind.

    Raises:
        ValueError: It is not what its ending says.
    """
    edit = EDITORS.get(path.suffix)
    return None if edit is None else edit(path, traces)


def names_person(path: Path, traces: Traces) -> bool:
    """Whether a person still stands in a file: in a table, a list, JSON, any text, or its name."""
    if traces.in_text(path.name):
        return True
    try:
        if without(path, traces) is not None or _is_in_array(path, traces):
            return True
    except (ValueError, OSError):
        pass  # not what its ending says, so its bytes decide
    return any(traces.in_bytes(content) for content in contents(path))


def _is_in_array(path: Path, traces: Traces) -> bool:
    if path.suffix != ".npy":
        return False
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array.dtype.kind in "US" and bool(np.isin(array.astype(str), list(traces.names)).any())


def without_rows(path: Path, gone: Bool[np.ndarray, " n"]) -> Edit | None:
    """An array without the marked rows; None if there are none."""
    if not gone.any():
        return None

    def save(target: Path) -> None:
        # Read when it is written: no more than one array is in memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        np.save(target, array[~gone], allow_pickle=False)

    return Edit(int(gone.sum()), None if gone.all() else save)


def without_in_json(value: Any, traces: Traces) -> tuple[Any, int]:  # noqa: ANN401 (JSON)
    """A JSON value without what names the person, and how much that was.

    An item of a list goes whole, and so does a record that has their id; elsewhere an entry goes.
    """
    counter = _Counter(traces)
    return counter.without(value), counter.removed


def _table(path: Path, traces: Traces) -> Edit | None:
    return _rows(
        traces,
        lambda: pd.read_parquet(path),
        lambda left, target: left.to_parquet(target, index=False),
    )


def _csv(path: Path, traces: Traces) -> Edit | None:
    return _rows(
        traces,
        # As text throughout, so that no number is written in another way.
        lambda: pd.read_csv(path, dtype=str, keep_default_na=False),
        lambda left, target: left.to_csv(target, index=False),
    )


def _rows(
    traces: Traces,
    read: Callable[[], pd.DataFrame],
    save: Callable[[pd.DataFrame, Path], object],
) -> Edit | None:
    left, removed = _left(read(), traces)
    if not removed:
        return None
    if left is None:
        return Edit(removed, None)

    def write(target: Path) -> None:
        # Read again: what is left of all tables would not fit into memory at once.
        again, _ = _left(read(), traces)
        assert again is not None  # the same as before
        save(again, target)

    return Edit(removed, write)


def _left(frame: pd.DataFrame, traces: Traces) -> tuple[pd.DataFrame | None, int]:
    """A table without the person, None if nothing is left to draw; and what that took."""
    gone = traces.rows(frame)
    left = frame[~gone].reset_index(drop=True)
    removed = int(gone.sum())
    for name in left.columns:
        found = traces.texts(left[name])
        if found.any():  # another image's row, which only mentions the person
            left[name] = left[name].mask(found, "")
            removed += int(found.sum())
    return (_consistent(left) if removed else left), removed


def _consistent(frame: pd.DataFrame) -> pd.DataFrame | None:
    """Probabilities sum to 1 and weights average 1 again; None if nothing is left to draw."""
    if "probability" in frame and "sample_id" in frame:
        probability = frame["probability"].astype(np.float64)
        if not probability.sum() > 0:
            return None
        frame = frame.assign(probability=probability / probability.sum())
        if "weight" in frame:
            frame["weight"] = frame["probability"] * len(frame)
    if CLUSTER in frame:
        alone = ~frame[CLUSTER].duplicated(keep=False)
        frame[CLUSTER] = frame[CLUSTER].mask(alone & frame[CLUSTER].notna(), -1)
    return frame


def _json(path: Path, traces: Traces) -> Edit | None:
    left, removed = without_in_json(json.loads(path.read_text(encoding="utf-8")), traces)
    if not removed:
        return None
    if left is GONE:
        return Edit(removed, None)
    text = json.dumps(left, indent=2)
    return Edit(removed, lambda target: target.write_text(text, encoding="utf-8"))


def _lines(path: Path, traces: Traces) -> Edit | None:
    lines = path.read_text(encoding="utf-8").split("\n")
    kept = [line for line in lines if not line.strip() or not _names(json.loads(line), traces)]
    if len(kept) == len(lines):
        return None
    text = "\n".join(kept)
    return Edit(len(lines) - len(kept), lambda target: target.write_text(text, encoding="utf-8"))


def _names(record: object, traces: Traces) -> bool:
    return without_in_json([record], traces)[1] > 0


EDITORS: Mapping[str, Callable[[Path, Traces], Edit | None]] = {
    ".parquet": _table,
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _lines,
}


class _Counter:
    """Walks a JSON value and counts what it leaves out."""

    def __init__(self, traces: Traces) -> None:
        self.traces, self.removed = traces, 0

    def without(self, value: Any, key: str = "") -> Any:  # noqa: ANN401 (JSON)
        if isinstance(value, dict):
            return self._record(value)
        if isinstance(value, list):
            kept = (self._item(item, key) for item in value)
            return [item for item in kept if item is not GONE]
        return self._gone() if self.traces.is_named(key, value) else value

    def _record(self, record: dict[str, Any]) -> Any:  # noqa: ANN401 (JSON)
        if any(_has_id(key) and self.traces.is_named(key, record[key]) for key in record):
            return self._gone()
        left = {}
        for key, value in record.items():
            kept = self._gone() if self.traces.in_text(key) else self.without(value, key)
            if kept is not GONE:
                left[key] = kept
        return _counted(left)

    def _item(self, item: Any, key: str) -> Any:  # noqa: ANN401 (JSON)
        if isinstance(item, dict) and any(
            self.traces.is_named(name, value) for name, value in _leaves(item)
        ):
            return self._gone()
        return self.without(item, key)

    def _gone(self) -> object:
        self.removed += 1
        return GONE


def _has_id(key: str) -> bool:
    return is_id(key) or key in ("subject_id", "sha256")


def _leaves(record: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Every value of a record that is not a record or list itself, with its key."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield key, value


def _counted(record: dict[str, Any]) -> dict[str, Any]:
    """A list that states its own length says it again."""
    if isinstance(record.get("items"), list) and isinstance(record.get("count"), int):
        return record | {"count": len(record["items"])}
    return record
