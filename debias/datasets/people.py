"""Who is shown: a column that says so, and a table with one row a person."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from pydantic import Field

from debias.datasets.listing import require_regular
from debias.errors import DataError
from debias.plugins import Settings
from debias.storage.files import shown
from debias.storage.joining import ALLOW, ALLOWED, above
from debias.storage.tables import (
    OURS,
    plain_column,
    read_table,
    require_columns,
    require_unique,
)
from debias.types import Collection

OWNER = "the owner of the data"
FEWEST = 3  # people in a column that is taken for its name
# What columns are called that say who is shown; the first that a table has counts.
SUBJECTS = (
    "subject_id", "person_id", "identity_id", "individual_id", "participant_id", "celebrity_id",
    "subject", "person", "identity", "individual", "participant", "celebrity",
)  # fmt: skip


class WithPeople(Settings):
    """Settings of a data set that may be told who is shown."""

    subject_column: str | None = Field(
        default=None, description="Column that says who is shown; keeps people in one split."
    )
    people: Path | None = Field(
        default=None, description="CSV or Parquet file with one row a person; joined by person."
    )
    people_column: str | None = Field(
        default=None, description="Its column of people; empty: the one that names most of them."
    )
    allow_unjoined: float = Field(
        default=ALLOWED, ge=0, le=1, description="Share of the images that may stand on no row of "
        "a table, or show people whom the table by person lacks.",
    )  # fmt: skip

    def with_people(self, found: Collection, *, told: bool = False) -> Collection:
        """With ``subject_id`` from the column that is named, or called so, and :meth:`joined`.

        ``told``: a column ``subject_id`` stands in a table of the user, not in one of ours.

        Raises:
            DataError: There is no such column; or as there.
        """
        known = "subject_id" in found.samples and not told
        column = self.subject_column or (None if known else person_column(found.samples))
        if column is None:
            return self.joined(found)
        lost = None if found.lost is None else _named(found.lost, column)
        samples = _named(found.samples, column)
        people = samples["subject_id"].nunique()
        remark = () if self.subject_column else (taken(column, people),)
        remarks = (*found.remarks, *remark)
        return self.joined(replace(found, samples=samples, lost=lost, remarks=remarks))

    def joined(self, found: Collection) -> Collection:
        """With the columns of the table by person.

        Raises:
            DataError: Nobody says who is shown, or the table names too few of the people.
        """
        if self.people is None:
            return found
        told, unread, unused = self._told(found.samples)
        remark = _joined(found.samples, told, unread, self.people, most=self.allow_unjoined)
        remark += f" Not used: {', '.join(map(shown, unused))}." if unused else ""
        lost = None if found.lost is None else _with(found.lost, told)
        samples = _with(found.samples, told)
        return replace(found, samples=samples, lost=lost, remarks=(*found.remarks, remark))

    def _told(self, samples: pd.DataFrame) -> tuple[pd.DataFrame, int, list[str]]:
        """What the table says, by person; how many rows could not be read; columns not used."""
        assert self.people is not None  # asked before
        if "subject_id" not in samples:
            raise DataError(
                f"{shown(self.people)} tells of people, but nothing says who is shown: name a "
                f"column with --subject, or a folder with --folders; columns: {_columns(samples)}"
            )
        require_regular(self.people, OWNER)
        rows, rejected, odd = read_table(self.people)
        rows = rows.apply(_stripped)
        column = self.people_column or _best(rows, set(samples["subject_id"].dropna()))
        if column is None:
            first = shown(str(samples["subject_id"].iloc[0]))
            raise DataError(
                f"no column of {shown(self.people)} names the people of the images (first: "
                f"{first}); columns: {list(rows.columns)}; set data.people_column"
            )
        require_columns(rows, [column], self.people)
        require_unique(rows[column], shown(self.people))
        taken = {*OURS, *samples.columns}.intersection(rows.columns.drop(column))
        both = sorted(taken.difference(OURS))
        if both:
            raise DataError(f"{shown(self.people)} and the images both have {both}; rename one")
        told = rows.drop(columns=list(taken)).set_index(column)
        return told, len(rejected), [*sorted(taken), *odd]


def person_column(rows: pd.DataFrame) -> str | None:
    """The column that says by its name who is shown, and names some people more than once."""
    named = {plain_column(str(name)): str(name) for name in reversed(rows.columns)}
    for name in (named[word] for word in SUBJECTS if word in named):
        if FEWEST <= rows[name].nunique() < rows[name].count():
            return name
    return None


def taken(column: str, people: int) -> str:
    """What is said of a column of so many people that was taken for its name."""
    return (
        f"Column {shown(column)!r} says who is shown, by its name: the images of each of "
        f"{people:,} people stay on one side of the split. --subject names another."
    )


def _named(table: pd.DataFrame, column: str) -> pd.DataFrame:
    if column not in table:
        raise DataError(
            f"there is no column {column!r} to say who is shown (--subject, data.subject_column); "
            f"columns: {_columns(table)}"
        )
    return table.assign(subject_id=table[column]).drop(columns={column} - {"subject_id"})


def _columns(samples: pd.DataFrame) -> str:
    return ", ".join(str(name) for name in samples if name not in OURS) or "none"


def _stripped(column: pd.Series) -> pd.Series:
    """Text without blanks and quotes around it, as VGGFace2 writes names."""
    if not pd.api.types.is_string_dtype(column):
        return column.astype(str).where(column.notna())
    return column.str.strip().str.strip('"')


def _best(rows: pd.DataFrame, people: set[str]) -> str | None:
    """The column that names most people; None if it is not half of them."""
    named = {str(name): len(people.intersection(rows[name])) for name in rows}
    best = max(named, key=lambda name: named[name], default=None)
    return best if best is not None and 2 * named[best] >= len(people) else None


def _with(samples: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    if "subject_id" not in samples:
        return samples
    return samples.join(told, on="subject_id")


def _joined(
    samples: pd.DataFrame, told: pd.DataFrame, unread: int, table: Path, *, most: float
) -> str:
    """What was joined and what was not, in a sentence."""
    known = samples["subject_id"].isin(told.index)
    people = samples["subject_id"].nunique()
    found = samples["subject_id"][known].nunique()
    if (share := float((~known).mean())) > most:
        absent = samples["subject_id"][~known].iloc[0]
        raise DataError(
            f"{shown(table)} names {found:,} of {people:,} people, so {(~known).sum():,} of "
            f"{len(samples):,} images would stay without what it says, first: "
            f"{shown(str(absent))}; complete it, or allow it with {ALLOW} {above(share)} "
            "(data.allow_unjoined)"
        )
    rest = len(told) - found
    more = f", {unread:,} rows were not understood" if unread else ""
    return (
        f"{shown(table.name)} names {found:,} of {people:,} people; {rest:,} of its rows name "
        f"nobody who is shown here{more}. Columns: {', '.join(map(str, told)) or 'none'}."
    )
