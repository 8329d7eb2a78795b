"""The page of a study: pictures first, then one table, then whom each representation finds."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from debias.report import blocks as b
from debias.report.charts.maps import coloured_map
from debias.report.html import put, render
from debias.report.pictures import contact_sheet, webp
from debias.report.study_document import Figure, Found, Served, Space, Study
from debias.report.words import amount, day, plain_value, shown, words

TEXTS = tomllib.loads(files("debias.report").joinpath("study.toml").read_text(encoding="utf-8"))
ORDER = (
    "reconstructions", "course", "samples", "conditions", "map", "manifold", "traversals", "walks",
    "arithmetic",
)  # fmt: skip
Pictures = Mapping[str, Mapping[str, np.ndarray]]  # by representation, then by name
NONE = "none"


def write_study_page(document: Study, pictures: Pictures, path: Path) -> None:
    """Write the page, or leave what was there untouched; readable by its owner alone.

    ``pictures`` are those that may be shown, by representation and name.
    """
    put(path, render(page(document, pictures)))


def page(document: Study, pictures: Pictures) -> b.Page:
    """What the page says, from top to bottom."""
    data, made = document["data"], day(document["created"])
    sections = [*_galleries(document, pictures), *_numbers(document)]
    return b.Page(
        title=f"{shown(document['name'])}: representations side by side",
        kicker=f"{shown(document['name'])} · {data['name']} · {made}",
        heading=headline(document),
        opening=tuple(_opening(document)),
        sections=[one for one in sections if one.blocks],
        footer=f"Made by debias {document['version']}, {made}. Figures hold for these images only.",
        crisp=data["image_size"] < 40,
    )


def summary(document: Study) -> Iterator[b.Block]:
    """What a terminal and Prefect show."""
    yield b.Sentence(headline(document), "verdict")
    yield from _caution(document)
    columns = {
        "bound, nats": ("weighted_bound", "count"), "PSNR": ("psnr", "auc"),
        "FID": ("fid", "auc"), "centre": ("nearest_centroid", "percent"),
        "seconds": ("seconds", "seconds"),
    }  # fmt: skip
    whom = ("finds the rare",) if best(document) else ()
    rows = tuple(
        b.Row((
            space["name"],
            *(_value(space, *one) for one in columns.values()),
            *(b.Value(_best_of(document, space["name"]), "auc", NONE) for _ in whom),
        ))
        for space in document["spaces"]
    )  # fmt: skip
    yield b.Table(("representation", *columns, *whom), rows)


def headline(document: Study) -> str:
    """Which representation finds the rare groups best; or that there are none."""
    found, count = best(document), amount(len(document["spaces"]), "representation")
    if found is None:
        return f"{count} of the same images, side by side"
    space, density, area = found
    return f"Of {count}, {space} finds the rare groups best: area {area:.2f} under {density}"


def best(document: Study) -> tuple[str, str, float] | None:
    """Representation, density, and its area, mean over the rare groups; None where none is rare."""
    every = [(*key, area) for key, area in _areas(document).items()]
    return max(every, key=lambda one: one[2]) if every else None


def _areas(document: Study) -> dict[tuple[str, str], float]:
    """By representation and density, over the rare groups; those of which all areas are known."""

    def of(row: Found) -> tuple[str, str]:
        return row["space"], row["density"]

    found: dict[tuple[str, str], float] = {}
    for key, rows in groupby(sorted(filter(_is_rare, document["found"]), key=of), of):
        areas = [row["auc"] for row in rows]
        known = [area for area in areas if area is not None]
        if len(known) == len(areas):
            found[key] = sum(known) / len(known)
    return found


def _is_rare(row: Found) -> bool:
    return row["rare"]


def _best_of(document: Study, space: str) -> float | None:
    return max(
        (area for (name, _), area in _areas(document).items() if name == space), default=None
    )


def _opening(document: Study) -> Iterator[b.Block]:
    data, seeds = document["data"], document["run"]["seeds"]
    images = sum(data["images"].values())
    trained = f"{amount(seeds, 'training')} of each" if seeds > 1 else "one training of each"
    yield b.Sentence(
        f"{amount(images, 'image')}, {amount(len(document['spaces']), 'representation')}, "
        f"{trained}. Whom does each let you find, what does it draw, and what is it good for?",
        "lead",
    )
    yield from _caution(document)
    yield b.Sentence(("Pictures first; then ", b.Link("one table", "#table"), "; then ",
                      b.Link("who is found", "#found"), "."), "note")  # fmt: skip


def _caution(document: Study) -> Iterator[b.Block]:
    if best(document) is not None:
        yield b.Sentence(b.said(TEXTS["notes"]["best"], count=len(_areas(document))), "note")


def _galleries(document: Study, pictures: Pictures) -> Iterator[b.Section]:
    for name in ORDER:
        title = TEXTS["sections"][name][0]
        yield b.Section(name, title, tuple(_gallery(name, document, pictures)))
    tasks = [name for name in TEXTS["sections"] if name.startswith("task_")]
    blocks = [
        block
        for name in tasks
        if (inside := tuple(_gallery(name, document, pictures)))
        for block in (b.Heading(TEXTS["sections"][name][0]), *inside)
    ]
    yield b.Section("tasks", "What each can do", tuple(blocks))


def _gallery(name: str, document: Study, pictures: Pictures) -> Iterator[b.Block]:
    """Pictures of one kind, those of all representations side by side."""
    column, value = document["data"]["difference"] or ("", "")
    coloured = words(document["data"]["columns"][-1]) if document["data"]["columns"] else "nothing"
    about = b.said(TEXTS["sections"][name][1], column=words(column), value=value, by=coloured)
    cells = [
        (_picture(name, space, of), *_said_of(name, document, space))
        for space, of in pictures.items()
        if name in of
    ]
    if cells:
        yield b.Sentence(about)
        yield b.Grid(tuple(cells), least="17rem")


def _picture(name: str, space: str, of: Mapping[str, np.ndarray]) -> b.Block:
    if name == "map":
        values = of.get("map_values", np.full(len(of["map"]), ""))
        return b.Chart(coloured_map(of["map"], values, space), f"Map of {space}")
    return b.Faces((webp(_sheet(name, of[name])),), f"{words(name)}: {space}", label=space)


def _sheet(name: str, images: np.ndarray) -> UInt8[np.ndarray, "rows columns 4"]:
    """Rows of pictures as one; those of the sheet of all places touch."""
    columns = 8 if name == "samples" else images.shape[1]
    flat = images.reshape(-1, *images.shape[-3:])
    return contact_sheet(flat, columns, gap=0 if name == "manifold" else 2)


def _said_of(name: str, document: Study, space: str) -> Iterator[b.Block]:
    """Below the pictures of one representation, what they are made of."""
    if name == "samples":
        one = next(one for one in document["spaces"] if one["name"] == space)
        yield b.Sentence(f"From {one['drawn_from']}.", "note")


def _numbers(document: Study) -> Iterator[b.Section]:
    yield b.Section("table", "One table", tuple(_table(document)), "One table")
    yield b.Section("found", "Who is found", tuple(_found(document)), "Who is found")
    yield b.Section("served", "Who is served worse", tuple(_served(document)), "Who is served")
    yield b.Section("shares", "Who is drawn", tuple(_shares(document)))
    yield b.Section("provenance", "Provenance", tuple(_provenance(document)))


def _table(document: Study) -> Iterator[b.Block]:
    spaces, seeds = document["spaces"], document["run"]["seeds"]
    trainings = f"Intervals are over {seeds} trainings." if seeds > 1 else ""
    yield b.Sentence(b.said(TEXTS["notes"]["table"], trainings=trainings))
    features = document["features"]
    note = TEXTS["notes"]["features" if features else "nobody"]
    yield b.Sentence(b.said(note, features=features))
    rows: list[b.Row] = []
    for part in TEXTS["parts"]:
        inside = [_row(spaces, *figure[:4]) for figure in part["figures"]
                  if any(figure[0] in one["figures"] for one in spaces)]  # fmt: skip
        if inside:
            rows += [b.Row((b.Strong(part["title"]), *[""] * len(spaces)), "mean"), *inside]
    rows.append(_row(spaces, "seconds", "seconds of one training", "seconds", "lower"))
    for group, density in sorted(
        {(r["group"], r["density"]) for r in document["found"] if r["rare"]}
    ):
        rows.append(_found_row(document, group, density))
    yield b.Table(("", *(one["name"] for one in spaces)), tuple(rows), look="wide")
    meant = [(figure[1], figure[4]) for part in TEXTS["parts"] for figure in part["figures"]]
    yield b.Fold("What the rows mean", (b.Facts(meant),))


def _row(spaces: Sequence[Space], key: str, heading: str, kind: str, better: str) -> b.Row:
    """A figure of every representation, the best in bold, with the plain method's below."""
    known = [one["figures"].get(key) for one in spaces]
    return b.Row((
        heading,
        *(_cell(one, kind, _is_best(one, known, better), _plain(space, key, kind))
          for one, space in zip(known, spaces, strict=True)),
    ))  # fmt: skip


def _found_row(document: Study, group: str, density: str) -> b.Row:
    rows = {row["space"]: row for row in document["found"]
            if (row["group"], row["density"]) == (group, density)}  # fmt: skip
    known = [_area(rows.get(one["name"])) for one in document["spaces"]]
    cells = (_cell(one, "auc", _is_best(one, known, "higher")) for one in known)
    return b.Row((f"finds {group}, {density}", *cells))


def _area(row: Found | None) -> Figure | None:
    return row and {"value": row["auc"], "low": row["low"], "high": row["high"]}


def _is_best(one: Figure | None, known: Sequence[Figure | None], better: str) -> bool:
    values = [other["value"] for other in known if other and other["value"] is not None]
    if one is None or one["value"] is None or not better or len(values) < 2:
        return False
    return one["value"] == (max if better == "higher" else min)(values)


def _cell(one: Figure | None, kind: str, is_best: bool, plain: b.Text = "") -> b.Cell:
    value = b.Value(one["value"] if one else None, kind, NONE)
    interval: b.Text = ""
    if one and one["low"] is not None:
        interval = b.between(one["low"], one["high"], kind)
    return b.Cell(b.Strong(str(value)) if is_best else value, b.joined((interval, plain), "; "))


def _plain(space: Space, key: str, kind: str) -> b.Text:
    name, method = TEXTS["plain"].get(key, ("", ""))
    one = space["figures"].get(name)
    return (f"{method} ", b.Value(one["value"], kind, NONE)) if one else ""


def _value(space: Space, key: str, kind: str) -> b.Value:
    one = space["figures"].get(key)
    return b.Value(one["value"] if one else None, kind, NONE)


def _found(document: Study) -> Iterator[b.Block]:
    if not document["found"]:
        return
    yield b.Sentence(b.said(TEXTS["notes"]["found"]))
    areas = ("{auc:auc|none}", "{low..high:auc|}")
    for is_rare, title in ((True, "Groups that are rare here"), (False, "The other groups")):
        rows = [row for row in document["found"] if row["rare"] == is_rare]
        if rows:
            table = _crossed(rows, lambda row: f"{row['group']}, {row['density']}", areas, title)
            yield table if is_rare else b.Fold(title, (table,))
    if left_out := _left_out(document):
        yield b.Points(tuple(left_out))
    yield b.Sentence(b.said(TEXTS["notes"]["withheld"]), "note")


def _left_out(document: Study) -> list[str]:
    return [f"{one['name']}: {said}" for one in document["spaces"] for said in one["left_out"]]


def _served(document: Study) -> Iterator[b.Block]:
    if document["served"]:
        yield b.Sentence(b.said(TEXTS["notes"]["served"]))
        if answers := informed(document):
            yield b.Points(answers)
        figures = ("{worse:auc|none}", "mean {mean:plain|none}, {mean_low..mean_high:plain|none}")
        for measure in dict.fromkeys(row["measure"] for row in document["served"]):
            rows = [row for row in document["served"] if row["measure"] == measure]
            yield _crossed(rows, _group_of, figures, words(measure))


def informed(document: Study) -> list[str]:
    """Is the encoder worse informed about rare people? A sentence a representation and group."""
    rare = {(row["attribute"], row["group"]) for row in document["found"] if row["rare"]}
    return [
        f"{row['space']}: is the encoder worse informed about {_group_of(row)}, which is rare? "
        f"{_answer(row)}"
        for row in document["served"]
        if row["measure"] == "inference_gap" and (row["attribute"], row["group"]) in rare
    ]


def _answer(row: Served) -> str:
    """By the share of pairs in which the encoder's answer for a member is farther off."""
    worse, low, high = row["worse"], row["worse_low"], row["worse_high"]
    if worse is None or low is None or high is None:
        return "Cannot tell: too few of its images are held out."
    found = "Yes" if low > 0.5 else "No, it is better informed" if high < 0.5 else "Cannot tell"
    mean = f", mean {row['mean']:.3g} nats" if row["mean"] is not None else ""
    return (
        f"{found}: its answer is farther from the sampled posterior than for somebody else in "
        f"{worse:.0%} of pairs ({low:.0%} to {high:.0%}){mean}."
    )


def _shares(document: Study) -> Iterator[b.Block]:
    if not document["shares"]:
        return
    yield b.Sentence(b.said(TEXTS["notes"]["shares"]))
    yield b.Points(tuple(
        f"The judge of {words(judge['column'])} names {judge['accuracy']:.1%} of "
        f"{amount(judge['images'], 'held-out image')} rightly." for judge in document["judges"]
    ))  # fmt: skip
    real: list[Any] = [
        {"space": title, "attribute": judge["column"], "group": name, "share": share}
        for title, key in (("the images", "share"), ("the images, as judged", "judged"))
        for judge in document["judges"]
        for name, share in zip(judge["classes"], judge[key], strict=True)  # type: ignore[literal-required]
    ]
    figures = ("{share:percent|none}", "{low..high:percent|}")
    yield _crossed([*real, *document["shares"]], _group_of, figures)


def _crossed(
    rows: Sequence[Any], column: Callable[[Any], str], cell: tuple[str, str], title: str = ""
) -> b.Table:
    """A row a representation, a column a group; each cell a value and, below it, what more."""
    columns = list(dict.fromkeys(map(column, rows)))
    by_space = {
        space: {column(row): row for row in inside}
        for space, inside in groupby(sorted(rows, key=_space_of), _space_of)
    }
    order = dict.fromkeys(map(_space_of, rows))
    filled = (
        b.Row((space, *(_filled(by_space[space].get(name), *cell) for name in columns)))
        for space in order
    )
    return b.Table(("", *columns), tuple(filled), title)


def _group_of(row: Any) -> str:  # noqa: ANN401
    return f"{words(row['attribute'])}: {row['group']}"


def _space_of(row: Any) -> str:  # noqa: ANN401 (a row of one of the tables)
    return str(row["space"])


def _filled(row: Mapping[str, object] | None, text: str, note: str) -> b.Cell:
    return b.Cell(NONE) if row is None else b.Cell(b.said(text, row), b.said(note, row, ""))


def _provenance(document: Study) -> Iterator[b.Block]:
    command = document["run"]["command"]
    yield b.Sentence(b.said("The recipe below repeats this study."))
    yield from [b.Preformatted(command)] * bool(command)
    if lost := document["run"].get("unpublished"):
        yield b.Sentence(lost)
    text = json.dumps(document["run"]["config"], indent=2, ensure_ascii=False, default=plain_value)
    yield b.Fold("Recipe", (b.Preformatted(text),))
