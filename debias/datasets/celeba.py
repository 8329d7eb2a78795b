"""CelebA: faces of celebrities with forty yes-or-no attributes, identities and a split.

Images: 202,599 aligned and cropped photographs, 178 x 218, of 10,177 people (the owner's count).
Labels: forty attributes, each present or absent, by a professional labelling company, in a way that
    was not described; none is self-reported. "Male", "Young" and "Attractive" are judgements.
Splits: train, validation and test, made by person according to the paper; a person on two sides
    stops the run.
Source: mmlab.ie.cuhk.edu.hk/projects/CelebA.html, folders Anno, Eval and Img or all in one, some
    folders deeper or not; the same tables as CSV files (Kaggle) are read too, but come without
    identities.
Citation: Liu, Luo, Wang, Tang 2015, Deep Learning Face Attributes in the Wild.
Licence: the owner's agreement: non-commercial research only; no copy, sale or publication of any
    portion of the images or of derived data; identities on request, for research; the images belong
    to others.
    CelebA-HQ with the attributes of CelebAMask-HQ is read, too, without identities and split.
Known problems: two annotators agree in 95 % of the cases for only 12 of the 40 attributes; of 5,068
    faces that stand there twice, 10 to 860 contradict each other in an attribute (Wu et al. 2023,
    Consistency and Accuracy of CelebA Attribute Values); some identities are wrong; skin tone is
    only labelled as "pale_skin"; celebrities, mostly light-skinned, made up and smiling; the boxes
    of faces are in pixels of the original photographs, of no use for the aligned images.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from jaxtyping import Shaped
from pydantic import Field

from debias.datasets.listing import (
    regular_files,
    require_folder,
    require_paths,
    sample_ids,
)
from debias.datasets.owners_lists import SplitBy, completed_split, matched, require_one_side
from debias.datasets.people import WithPeople
from debias.datasets.places import (
    Listing,
    Place,
    accounted,
    key,
    mostly,
    tables_like,
    tree,
)
from debias.datasets.ways import sides_of
from debias.errors import DataError
from debias.storage.files import shown
from debias.storage.tables import (
    PROBLEM,
    first_lines,
    marked,
    plain_column,
    read_bytes,
    read_rows,
    require_columns,
    require_unique,
)
from debias.types import Collection, Rejected

WHERE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (aligned images, Anno, Eval)"
FILES, NO_NAME = "image_id", "unnamed"
# What a table says for no and yes: one of these ways throughout.
CODES = ({"-1": 0, "1": 1}, {"0": 0, "1": 1}, {"false": 0, "true": 1}, {"no": 0, "yes": 1})
ANSWERS, GENDERS = ("no", "yes"), ("female", "male")
PARTS = {"0": "train", "1": "validation", "2": "test"}
IMAGES, ATTRIBUTES, PARTITION = "img_align_celeba", "list_attr_celeba", "list_eval_partition"
PEOPLE, NUMBERS = "identity_CelebA", ("list_bbox_celeba", "list_landmarks_align_celeba")
HQ = "CelebAMask-HQ-attribute-anno", "CelebA-HQ-img"  # CelebA-HQ: its attributes, its images
NUMBERED = re.compile(r"\d{6}\.(jpe?g|png)", re.ASCII | re.IGNORECASE)
NAME = re.compile(r"\d{1,6}\.(jpe?g|png)", re.ASCII | re.IGNORECASE)
UNSPLIT = "Nothing says of which split an image is: one is drawn{}."


class CelebA(WithPeople):
    """CelebA as its owner distributes it, or the same tables as CSV files.

    Columns: ``perceived_gender`` (male, female), every other attribute in lower case ("yes" or
    "no": ``smiling``, ``young``, ``eyeglasses``, ``blond_hair``, ...) and, where their files are
    there, ``x_1``, ``y_1``, ``width``, ``height`` (face box in the *original* image, which is not
    the aligned one) and ``lefteye_x`` to ``rightmouth_y`` (landmarks in the aligned image, pixels).
    """

    groups: ClassVar[tuple[str, ...]] = ("perceived_gender", "young")
    source: ClassVar[str] = "annotated"
    annotation: ClassVar[str] = (
        "The attributes of CelebA were annotated by a labelling company, looking at the "
        "photographs, in a way that was not described: they say how people are perceived, not "
        "how they describe themselves."
    )
    name: Literal["celeba"] = "celeba"
    root: Path = Field(description="Folder that holds the tables and img_align_celeba.")
    split: SplitBy = Field(
        default="owner",
        description="'owner': the owner's partition, or folders named train, val, test; 'drawn': "
        "a split drawn by selection, by person where identity_CelebA.txt is there.",
    )

    def collect(self, seed: int) -> Collection:
        """One row per image that the attribute list names and the folder holds.

        Raises:
            FileNotFoundError: The folder, a table or the images do not exist.
            DataError: A table is cut off, names an image twice or is no CelebA table.
            SplitLeakageError: The owner's split puts one person on two sides.
        """
        require_folder(self.root, WHERE)
        place = self.find(tree(self.root)) or Place()
        images, tables = place.images or self.root / IMAGES, dict(place.tables)
        sides = {} if PARTITION in tables else _split_folders(images)
        owner = self.split == "owner" and not sides
        needed = [ATTRIBUTES, *([PARTITION] if owner else [])]
        absent = [self.root / f"{stem}.txt" for stem in needed if stem not in tables]
        require_paths([*absent, images], WHERE)
        rows, rejected = _attributes(tables[ATTRIBUTES])
        names = rows["file"]
        if PEOPLE in tables:
            rows = _with_people(rows, tables[PEOPLE])
        if owner:
            rows = _with_split(rows, tables[PARTITION])
        for stem in NUMBERS:
            if stem in tables:
                table = _looked_up(_read(tables[stem])[0], rows["file"])
                rows[table.columns] = table.apply(_numbers)
        there = _photographs(images)
        present = set(there.values())
        rows["file"] = [there.get(key(name, 1), name) for name in names]
        if self.split == "owner" and not owner:
            rows = _with_folders(rows, present, sides, images)
        found = matched(rows, present, images, rejected, lambda _: sample_ids(names))
        if self.split == "drawn" and not (sides or PARTITION in tables):
            by = " by person" if PEOPLE in tables else ""
            found = replace(found, remarks=(UNSPLIT.format(by),))
        return completed_split(self.with_people(accounted(found, self.root, place, names)), seed)

    @classmethod
    def find(cls, listings: Sequence[Listing]) -> Place | None:
        """Where the owner's tables and the aligned images lie."""
        tables = tables_like(listings, (ATTRIBUTES, HQ[0], PARTITION, PEOPLE, *NUMBERS))
        high = tables.pop(HQ[0], None)
        if high is not None:
            tables.setdefault(ATTRIBUTES, high)
        called = [(one, one.place.resolve().name) for one in listings if one.files]
        there = [one for one, name in called if name.startswith(IMAGES) or (high and name == HQ[1])]
        if ATTRIBUTES in tables:
            there += [one for one in listings if mostly(one.files, NUMBERED.fullmatch)]
        images = _around(there)
        if images is None and ATTRIBUTES not in tables:
            return None
        lacks = "" if ATTRIBUTES in tables else f"its attributes, {ATTRIBUTES}.txt (or .csv)"
        divided = PARTITION in tables or (images and _split_folders(images))
        settings = {} if divided else {"split": "drawn"}
        return Place(images=images, tables=tables, settings=settings, lacks=lacks)


def _around(folders: Sequence[Listing]) -> Path | None:
    """The first folder, or what holds it and those beside it that hold other images of the set.

    Some divide them: into splits, or into folders of a size that a file system likes.
    """
    if not folders:
        return None
    first, known, divided = folders[0].place, set[str](), False
    for one in folders:
        stems = {key(name, 1) for name in one.files}
        divided |= bool(known) and one.place.parent == first.parent and not stems & known
        known |= stems
    return first.parent if divided else first


def _photographs(images: Path) -> dict[str, str]:
    """Paths of the files below the folder by the number of the image, the nearest of each."""
    found: dict[str, str] = {}
    for one in tree(images):
        above = one.place.relative_to(images).as_posix()
        for name in sorted(regular_files(one.place)):
            if NAME.fullmatch(name):
                found.setdefault(key(name, 1), name if above == "." else f"{above}/{name}")
    return found


def _attributes(path: Path) -> tuple[pd.DataFrame, list[Rejected]]:
    """Every attribute as text; rows with anything but the two values are marked.

    These are -1 and 1 or, in tables that went through other hands, 0 and 1, or False and True. A
    table that has both -1 and 0 uses 0 for something else.
    """
    table, rejected = _read(path)
    if not {"male", "smiling"} <= set(table.columns):
        raise DataError(
            f"{shown(path)} has no attributes Male and Smiling: {list(table.columns)[:8]}"
        )
    texts, codes = {"file": table["file"].to_numpy(dtype=object)}, _codes(table)
    for name in table.columns.drop("file"):
        said = GENDERS if name == "male" else ANSWERS
        words = {value: said[code] for value, code in codes.items()}
        texts["perceived_gender" if name == "male" else name] = _texts(table[name], words)
    known = np.all([pd.notna(column) for column in texts.values()], axis=0)
    detail = f"an attribute is neither {' nor '.join(codes)}"
    return marked(pd.DataFrame(texts), known, path, detail), rejected


def _codes(table: pd.DataFrame) -> dict[str, int]:
    """How a table writes no and yes: the way that most of its values have, by attribute."""
    held = Counter(
        _plain(value) for name in table.columns.drop("file") for value in table[name].cat.categories
    )
    return max(CODES, key=lambda codes: held[next(iter(codes))])


def _plain(value: str) -> str:
    """A value in lower case, a whole number without a point."""
    return value.strip().lower().removesuffix(".0")


def _with_people(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Who is shown, where a table says so: somebody unknown could stand on two sides of a split."""
    table, _ = _read(path, ["identity"])
    require_columns(table, ["identity"], path)
    people = _texts(_looked_up(table, rows["file"])["identity"])
    rows = rows.assign(subject_id=people)
    return marked(rows, rows["subject_id"].notna().to_numpy(), path, "no identity is listed")


def _with_split(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    table, _ = _read(path, ["partition"])
    require_columns(table, ["partition"], path)
    rows = rows.assign(split=_texts(_looked_up(table, rows["file"])["partition"], PARTS))
    known = rows["split"].notna().to_numpy()
    return _on_one_side(marked(rows, known, path, "no partition 0, 1 or 2 is listed"))


def _split_folders(images: Path) -> dict[str, str]:
    """Split by folder, where the images lie in train and others; else nothing."""
    sides = sides_of(tree(images, 0)[0].folders)
    return sides if "train" in sides.values() and len(sides) > 1 else {}


def _with_folders(
    rows: pd.DataFrame, present: set[str], sides: Mapping[str, str], images: Path
) -> pd.DataFrame:
    """The split that the folders of the images state; of those that are missing nothing does."""
    rows = rows.assign(split=rows["file"].str.partition("/")[0].map(sides))
    known = rows["split"].notna() | ~rows["file"].isin(present)
    return _on_one_side(marked(rows, known.to_numpy(), images, "in no folder of a split"))


def _on_one_side(rows: pd.DataFrame) -> pd.DataFrame:
    if "subject_id" in rows:
        require_one_side(rows[rows[PROBLEM] == ""])
    return rows


def _looked_up(table: pd.DataFrame, files: "pd.Series[str]") -> pd.DataFrame:
    """The rows of one table in the order of another, missing where it does not name the file."""
    return table.set_index("file").reindex(files).set_axis(files.index)


def _texts(column: pd.Series, words: Mapping[str, str] | None = None) -> Shaped[np.ndarray, " n"]:
    """Words for categories, or the categories themselves; None where there is no word."""
    values = [value.strip() for value in column.cat.categories.to_numpy(dtype=object)]
    named = values if words is None else [words.get(_plain(value)) for value in values]
    # The code of a missing value is -1: the last entry.
    return np.array([*named, None], dtype=object)[column.cat.codes.to_numpy()]


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column.astype(object), errors="coerce").astype(np.float64)


def _read(path: Path, names: list[str] | None = None) -> tuple[pd.DataFrame, list[Rejected]]:
    """A table of the owner: ``file`` and the other columns in lower case, as categories.

    With commas it has a header, whatever it is called; in columns of blanks a count and a header,
    unless the ``names`` of its columns are given. The column of files may be called ``image_id``,
    as the owner's, or stand first.
    """
    separator = "," if "," in first_lines(read_bytes(path), 1)[0] else " "
    content = read_bytes(path, separator)
    skip, count = 0, None
    if separator == ",":
        header, skip = next(csv.reader(first_lines(content, 1))), 1
        names = [plain_column(name) or NO_NAME for name in header]
        names[names.index(FILES) if FILES in names else 0] = "file"
    elif names is None:
        (stated, line), skip = first_lines(content, 2), 2
        if not stated.isdigit():
            raise DataError(
                f"{shown(path)} must begin with the number of images, got {stated[:40]!r}"
            )
        count, names = int(stated), ["file", *line.lower().replace(FILES, "").split()]
    else:
        names = ["file", *names]
    rows, rejected = read_rows(path, content, names, separator, skip)
    if count is not None and count != len(rows) + len(rejected):
        raise DataError(
            f"{shown(path)} says {count} images but has {len(rows) + len(rejected)} rows; it may "
            f"be cut off: get it again from {WHERE}"
        )
    rows = rows.drop(columns=NO_NAME, errors="ignore")  # where pandas has put its index
    rows["file"] = [name.strip() for name in rows["file"].to_numpy(dtype=object)]
    require_unique(rows["file"], shown(path))
    return rows, rejected
