"""Images in tar archives, as WebDataset writes them: ``KEY.jpg``, and ``KEY.json`` beside it.

Images: JPEG, PNG, WebP or BMP, read later as slices of the archives, which are never unpacked.
Labels and attributes: a flat JSON object a sample, or the class in a text file; who annotated them
    is for their owner to say.
Splits: archives named train-0000.tar, val-0000.tar, test-0000.tar, or in folders of these names.
Source, citation, licence: those of the owner of the archives. The layout is that of WebDataset,
    github.com/webdataset/webdataset: a key is the name up to the first dot after the last slash,
    and all members of one key stand side by side.
Known problems: only uncompressed archives can be read in slices; links, absolute names and names
    with ``..`` are set aside; ``KEY.txt`` and all other endings are ignored; of the attributes,
    ``sample_id``, ``path``, ``offset``, ``length``, ``sha256``, ``split``, ``duplicate_cluster``
    and, unless a setting names it, ``subject_id`` are left out.
"""

import re
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from debias.datasets.listing import require_path, require_regular, set_aside, walk
from debias.datasets.owners_lists import SPLIT_NAMES, SplitBy, completed_split
from debias.datasets.tar_samples import TarSamples
from debias.errors import DataError, EmptyDatasetError
from debias.plugins import Settings
from debias.storage.names import is_text, shown
from debias.types import Collection, Rejected

SIDE = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?![a-z])", re.IGNORECASE)
COMPRESSED = re.compile(r"\.(tgz|tar\.\w+)$", re.IGNORECASE)


class TarShards(Settings):
    """A folder of tar archives, or one, in the layout of WebDataset.

    Columns: the names in the JSON objects, as numbers where all values are, else as text;
    ``class``, where there are class files.
    """

    name: Literal["tar"] = "tar"
    root: Path = Field(description="Folder of .tar files, or one .tar file.")
    split: SplitBy = Field(
        default="owner",
        description="'owner': archives named after train, val and test decide, where there are "
        "such; without test, val is the test set; without both val and test, a tenth of train is "
        "drawn for validation; 'drawn': a split drawn by selection.",
    )
    subject_column: str | None = Field(
        default=None, description="Attribute that says who is shown; keeps people in one split."
    )
    annotation: str = Field(
        default="The archives do not say who annotated the attributes or how.",
        description="Who annotated the attributes and how; printed in the report.",
    )
    source: Literal["self-reported", "annotated", "inferred", "not stated"] = Field(
        default="not stated", description="The same in a word; machine guesses get a warning."
    )

    def collect(self, seed: int) -> Collection:
        """One row per key with an image; everything else is set aside.

        Raises:
            FileNotFoundError: The folder or file does not exist.
            EmptyDatasetError: No archive holds an image.
            DataError: An archive is compressed, cut off or damaged, or only some name a split.
            DuplicateIdError: A key stands in two places, or has two images.
            UnsafeArchiveError: An archive is built to exhaust whoever lists it.
        """
        shards, rejected = _shards(self.root)
        sides = [_side(shard, self.root) for shard in shards]
        listing = TarSamples(rejected)
        for shard, side in zip(shards, sides, strict=True):
            listing.add(shard, side)
        if len(listing.names) == len(listing.lost):
            named = Path(rejected[0].path) if rejected else self.root
            first = f", first: {shown(named)}: {rejected[0].detail}" if rejected else ""
            raise EmptyDatasetError(
                f"{len(shards)} archives in {shown(self.root.absolute())} hold no image beside a "
                f"key, like 000001.jpg{first}"
            )
        everyone = listing.frame(shards, self.subject_column)
        split = self.split == "owner" and "train" in sides
        if split:
            _require_sides(shards, sides, self.root)
            everyone["split"] = np.array(sides, dtype=object)[np.array(listing.shards)]
        kept = ~np.isin(np.arange(len(everyone)), listing.lost)
        samples = everyone[kept].reset_index(drop=True)
        samples = completed_split(samples, seed) if split else samples
        lost = everyone[~kept].drop(columns=["path", "offset", "length"]).reset_index(drop=True)
        return Collection(
            samples=samples, rejected=tuple(rejected), lost=lost if len(lost) else None
        )


def _shards(root: Path) -> tuple[list[Path], list[Rejected]]:
    """The archives, sorted by name, and everything else that lies beside them."""
    require_path(root)
    if not root.is_dir():
        require_regular(root, "the owner of the data")
        return [root.resolve()], []  # a link is followed here, where a person named it
    shards, rejected = [], []
    for entry in sorted(walk(root)):
        path = root / entry.name
        if not entry.problem and COMPRESSED.search(entry.name):
            raise DataError(
                f"{shown(path)} is compressed, so its images cannot be read one by one: unpack it, "
                "or pack it again without compression"
            )
        problem, detail = entry.problem, ""
        if not problem and not entry.name.lower().endswith(".tar"):
            problem, detail = "not an image file", "no .tar archive"
        elif not problem and not is_text(entry.name):
            problem = "name not understood"
        if problem:
            rejected.append(set_aside(entry.name, str(path), problem, detail))
        else:
            shards.append(path)
    if not shards:
        raise EmptyDatasetError(
            f"{shown(root.absolute())} holds no .tar archive, only {len(rejected)} other files"
        )
    return shards, rejected


def _side(shard: Path, root: Path) -> str:
    """Split that the name of an archive or of its first folder states; empty if none."""
    stated = SIDE.match(str(shard.relative_to(root)) if root.is_dir() else root.name)
    return SPLIT_NAMES[stated[1].lower()] if stated else ""


def _require_sides(shards: list[Path], sides: list[str], root: Path) -> None:
    """Refuse archives of which only some name a split: nobody could tell what others are for."""
    silent = [shard for shard, side in zip(shards, sides, strict=True) if not side]
    if silent:
        raise DataError(
            f"{len(silent)} of {len(shards)} archives in {shown(root.absolute())} do not begin "
            f"with {', '.join(SPLIT_NAMES)} as the others do, first: {shown(silent[0].name)}; "
            "rename or move them, or set data.split to 'drawn'"
        )
