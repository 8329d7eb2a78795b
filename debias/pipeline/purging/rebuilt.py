"""A store of faces without one person, sealed beside the old one under a key of its own.

Its manifest says ``instead_of``: runs that look for the old store find it, and do not read the
person again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Bool

from debias.ingesting import account, quarantine
from debias.ingesting.build import ACCOUNT, PAIRS, QUARANTINE
from debias.ingesting.quarantine import LEAKS, STRANGERS, by_group
from debias.pipeline.purging.holdings import SAMPLES, Store, is_of
from debias.pipeline.purging.traces import Traces
from debias.storage.artifacts import content_key
from debias.storage.files import amount, link
from debias.storage.sealed import is_sealed, read_manifest, sealing, verify, write_json
from debias.types import Rejected

CLUSTER = "duplicate_cluster"
Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Rebuilding:
    """What a store becomes.

    Attributes:
        store: The old one.
        traces: Names of the person.
    """

    store: Store
    traces: Traces

    @cached_property
    def gone(self) -> Bool[np.ndarray, " n"]:
        """Images of the person."""
        return self.traces.rows(self.store.samples)

    @cached_property
    def records(self) -> tuple[list[Record], list[Record]]:
        """What was set aside: of the person, and of others."""
        every = self.store.set_aside
        return (
            [one for one in every if is_of(one, self.traces)],
            [one for one in every if not is_of(one, self.traces)],
        )

    @property
    def removed(self) -> int:
        return self.images or len(self.records[0])

    @property
    def images(self) -> int:
        return int(self.gone.sum())

    @cached_property
    def final(self) -> Path | None:
        """Where the new store lies; None if no image is left for one."""
        if self.gone.all():
            return None
        path = self.store.path
        ids = self.store.samples["sample_id"][~self.gone].tolist()
        ids += [str(one.get("sample_id")) for one in self.records[1]]
        key = content_key(path.parent.name, {"instead_of": self._origin}, {"left": json.dumps(ids)})
        return path.with_name(key)

    @cached_property
    def _origin(self) -> str:
        path = self.store.path
        return str(read_manifest(path).get("instead_of", path.name))

    def seal(self) -> None:
        """Write and seal the new store, or StorageError; one that is finished stays."""
        old, final = self.store.path, self.final
        if final is None:
            return
        if is_sealed(final):
            verify(final)
            return
        manifest = read_manifest(old)
        about = manifest | {"key": final.name, "instead_of": self._origin, "files": {}}
        about["purged"] = manifest.get("purged", 0) + self.removed
        with sealing(final, about) as folder:
            for name, fingerprint in manifest["files"].items():
                if not self._written(name, folder):
                    link(old / name, folder / name)
                    about["files"][name] = fingerprint
            self._count(folder)

    def _written(self, name: str, folder: Path) -> bool:
        """Whether the file has another content now; it is written then, or left out."""
        file = self.store.path / name
        if name.endswith(".npy"):
            rows = self._rows(name)
            if not rows.any():
                return False
            if not rows.all():
                array = np.load(file, mmap_mode="r", allow_pickle=False)
                np.save(folder / name, array[~rows], allow_pickle=False)
        elif name == SAMPLES:
            self._samples().to_parquet(folder / name, index=False)
        elif name == PAIRS:
            pairs = pd.read_parquet(file)[~self.store.paired(self.traces)]
            pairs.to_parquet(folder / name, index=False)
        elif name == QUARANTINE:
            lines = "".join(f"{json.dumps(record)}\n" for record in self.records[1])
            (folder / name).write_text(lines, encoding="utf-8")
        else:
            return name == ACCOUNT  # last: it is counted from the others
        return True

    def _samples(self) -> pd.DataFrame:
        samples = pd.read_parquet(self.store.path / SAMPLES)[~self.gone].reset_index(drop=True)
        if CLUSTER in samples:  # whoever is left alone in a cluster is in none
            alone = ~samples[CLUSTER].duplicated(keep=False) & samples[CLUSTER].notna()
            samples[CLUSTER] = samples[CLUSTER].mask(alone, -1)
        for name in samples.columns:
            mentioned = self.traces.texts(samples[name])
            if mentioned.any():  # in another image's row
                samples[name] = samples[name].mask(mentioned, "")
        return samples

    @cached_property
    def _shards(self) -> dict[str, slice]:
        """Which images each shard holds, one shard behind another."""
        found, start = dict[str, slice](), 0
        for shard in sorted(self.store.path.glob("images-*.npy")):
            size = len(np.load(shard, mmap_mode="r", allow_pickle=False))
            found[shard.name] = slice(start, start + size)
            start += size
        return found

    def _rows(self, name: str) -> Bool[np.ndarray, " m"]:
        """The person's rows of an array: of a shard, or of one with a row for every image."""
        if name in self._shards:
            return self.gone[self._shards[name]]
        array = np.load(self.store.path / name, mmap_mode="r", allow_pickle=False)
        return self.gone if array.shape[:1] == self.gone.shape else self.gone[:0]

    def _count(self, folder: Path) -> None:
        before = self.store.path / ACCOUNT
        if before.exists():
            old = json.loads(before.read_text(encoding="utf-8"))
            samples, pairs = pd.read_parquet(folder / SAMPLES), pd.read_parquet(folder / PAIRS)
            write_json(folder / ACCOUNT, self.account(old, samples, pairs))

    def account(
        self, old: Mapping[str, Any], samples: pd.DataFrame, pairs: pd.DataFrame
    ) -> dict[str, Any]:
        """The account of the store, counted again from its tables.

        What was listed cannot be counted again, so everybody who is gone is subtracted from it.
        Tests of groups belong to the ingest: their verdicts stay, their p-values go.
        """
        theirs, others = self.records
        purged = self.images + sum(record["reason"] not in STRANGERS for record in theirs)
        listed, held = old["counts"]["listed"] - purged, old.get("held_back", 0)
        shown = (group["attribute"] for split in old["splits"] for group in split["by_group"])
        attributes = list(dict.fromkeys(shown))
        seen = old.get("seen", {})  # stores were once made without
        kinds, purged = seen.get("kinds", []), purged + seen.get("held_back", held)
        records = cast("list[quarantine.Record]", others)
        again = account.counted(
            samples, pairs, records, attributes, listed, kinds, purged, seen.get("notes", 0)
        )
        document = {**old, **again}
        removed = sum(record["reason"] in LEAKS for record in others)
        document["leaks"] = {**old["leaks"], "removed": removed}
        document["groups"] = self._groups(old["groups"], attributes)
        document["purged"] = old.get("purged", 0) + self.images
        were = amount(document["purged"], "image was", "images were")
        told = (
            f"{were} taken out after this store was made. The counts are those of what is left; "
            "groups were tested before, and are not tested again."
        )
        document["concluded"] = [told, *account.concluded(again, document["groups"])]
        return document

    def _groups(
        self, rows: Sequence[Mapping[str, Any]], attributes: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Groups without what was removed from them; those that nobody is left of go."""
        theirs = [one for one in self.records[0] if one.get("groups")]
        set_aside = [{"sample_id": one["sample_id"], **one["groups"]} for one in theirs]
        images = pd.read_parquet(self.store.path / SAMPLES)[self.gone]
        listed = pd.concat([images, pd.DataFrame(set_aside)], ignore_index=True)
        gone = by_group([_rejected(one) for one in theirs], listed, attributes)
        lost = gone.set_index(["attribute", "group"])[KINDS].to_dict("index")
        left = []
        for row in rows:
            less = lost.get((row["attribute"], row["group"]), dict.fromkeys(KINDS, 0))
            counts = {name: row[name] - less[name] for name in KINDS}
            if counts["listed"] > 0:
                left.append({**row, **counts, "p": None, "p_adjusted": None})
        return [_with_rates(row, left) for row in left]


KINDS = ["listed", "rejected", "duplicates", "leaks"]


def _rejected(record: Record) -> Rejected:
    return Rejected(**{name: record[name] for name in ("sample_id", "path", "reason", "detail")})


def _with_rates(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rates of a group; every listed item is in one group of each attribute."""
    same = [one for one in rows if one["attribute"] == row["attribute"]]
    listed, failed = (sum(one[kind] for one in same) for kind in ("listed", "rejected"))
    share = row["rejected"] / row["listed"]
    return {**row, "share": share, "times_overall": share / (failed / listed) if failed else None}
