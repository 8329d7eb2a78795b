"""The shares that groups should have, as people write them down: a table, or part of a recipe.

A table has one row a group and the columns ``attribute``, ``group`` and either ``share`` (0.25) or
``percent`` (25). A group is a value such as ``Black``, or a crossing such as
``race:Black x gender:Female`` of the attribute ``race x gender``. Text stays text: a group called
NO or 01 must not become False or 1.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from debias.errors import ConfigError, DataError, PipelineError
from debias.ingesting.labels import clean_text
from debias.statistics.groupings import CROSS, UNKNOWN
from debias.storage.tables import place_of, read_whole

SLACK = 0.01  # published shares are rounded
AMOUNTS = {"share": 1.0, "percent": 100.0}

Table = dict[str, dict[str, float]]
Row = tuple[str, str, str, float]  # where it stands, attribute, group, share


def read_shares(path: Path) -> Table:
    """Share in [0, 1] of each group by attribute, in the order of a table of any kind.

    Raises:
        DataError: The file cannot be read as a table, a column is missing, a cell is empty, a
            group twice, a share that is no number in [0, 1], shares of an attribute that do not
            sum to 1 within 0.01.
    """
    table = read_whole(path)
    columns = _columns(path, [str(name).strip().lower() for name in table])
    text = table.iloc[:, list(columns)].astype(object)
    text = text.where(text.notna(), "").map(clean_text)
    text = text[(text != "").any(axis=1)]
    if text.empty:
        raise DataError(f"{path} declares no share; write a header and a row for each group")
    unit = AMOUNTS[str(table.columns[columns[2]]).strip().lower()]
    places = [f"{place_of(text, row)} of {path.name}" for row in range(len(text))]
    read = (
        (place, attribute, group, _number(place, amount) / unit)
        for place, (attribute, group, amount) in zip(
            places, text.itertuples(index=False, name=None), strict=True
        )
    )
    return _checked(read, DataError)


def checked_shares(declared: Mapping[str, Mapping[str, float]]) -> Table:
    """The same of shares that are given in a recipe; with a ConfigError in place of a DataError."""
    empty = [attribute for attribute, shares in declared.items() if not shares]
    if empty:
        raise ConfigError(f"shares: {empty[0]!r} has no groups; declare some, or leave it out")
    rows = (
        ("shares", attribute.strip(), group.strip(), share)
        for attribute, shares in declared.items()
        for group, share in shares.items()
    )
    return _checked(rows, ConfigError)


def _checked(rows: Iterable[Row], error: type[PipelineError]) -> Table:
    table: Table = {}
    for place, attribute, name, share in rows:
        group = name.removeprefix(f"{attribute}:")
        if not attribute or not group:
            raise error(f"{place} names no {'group' if attribute else 'attribute'}; fill it in")
        if UNKNOWN in [part.rpartition(":")[2] for part in group.split(CROSS)]:
            raise error(f"{place}: images without a label are no group; leave out {group!r}")
        if group in table.setdefault(attribute, {}):
            raise error(f"{place} declares {group!r} of {attribute!r} a second time; keep one")
        if not 0 <= share <= 1:  # so is NaN refused
            hint = "; write 0.25 for 25%, or name the column percent" if share > 1 else ""
            raise error(
                f"{place}: {group!r} of {attribute!r} has the share {share:g}; it must lie "
                f"between 0 and 1{hint}"
            )
        table[attribute][group] = share
    for attribute, shares in table.items():
        total = sum(shares.values())
        if abs(total - 1) > SLACK + 1e-9:
            raise error(
                f"the declared shares of {attribute!r} sum to {total:.4g}, not to 1 within "
                f"{SLACK}; {_advice(table)}"
            )
    return table


def _advice(table: Table) -> str:
    """What to do about a wrong sum; many attributes with few groups are swapped columns."""
    groups = {group for shares in table.values() for group in shares}
    if len(groups) >= len(table):
        return "list every group, and correct them"
    attribute, group = next((name, *shares) for name, shares in table.items())
    return (
        f"{attribute!r} looks like a group and {group!r} like its attribute: the columns attribute "
        "and group seem to be swapped"
    )


def _columns(path: Path, header: list[str]) -> tuple[int, int, int]:
    """Where attribute, group and the amount stand."""
    amounts = [name for name in header if name in AMOUNTS]
    wanted = ["attribute", "group", *(amounts or ["share"])]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r}; columns: {', '.join(header)}; it needs "
            "attribute, group and share (or percent)"
        )
    if len(wanted) > 3 or any(header.count(name) > 1 for name in wanted):
        raise DataError(
            f"{path} has the columns {', '.join(header)}; keep one attribute, one group, and one "
            "of share and percent"
        )
    return header.index("attribute"), header.index("group"), header.index(amounts[0])


def _number(place: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as problem:
        raise DataError(
            f"{place} has the share {text!r}, which is no number; write it like 0.25, without a "
            "percent sign"
        ) from problem
