"""What ``debias audit`` takes and prints."""

import os
from pathlib import Path
from typing import Annotated

import typer

from debias.commands.options import (
    Attributes,
    Label,
    Layout,
    Overrides,
    Reference,
    Replace,
    RunOut,
    Size,
    Subject,
    TableFile,
    asked,
    images,
    reading,
)
from debias.commands.screen import Bars, console, explained, named, remark, say
from debias.errors import ConfigError


def audit(  # noqa: PLR0913 (the options of one command)
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE",
            help="Images, as for `debias run`, or a recipe, one for `debias run` included. Without "
            "one: drawn faces.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", hidden=True)] = None,
    attributes: Attributes = None,
    table: TableFile = None,
    subject: Subject = None,
    layout: Layout = None,
    label: Label = None,
    reference: Reference = None,
    earlier: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="An earlier version: what has changed.")
    ] = None,
    shares: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Declared shares: columns attribute, group, share."),
    ] = None,
    show_faces: Annotated[
        bool, typer.Option("--show-faces", help="Put photographs of real people on the page.")
    ] = False,
    size: Size = None,
    set_: Overrides = None,
    out: RunOut = None,
    replace: Replace = False,
) -> None:
    """Who is missing from a collection, how sure that is, and what to collect; no labels needed.

    Writes audit.html and audit.json. In the folder of a run it reuses what was trained there.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with explained():
        from debias.pipeline import examine, open_job
        from debias.pipeline.source import Request, audit_recipe
        from debias.report.audit_terminal import audit_lines
        from debias.tracking.tracker import choose_tracking

        more = {
            "earlier.data": images(earlier),
            "audit.shares": {} if shares else None, "audit.shares_file": shares and str(shares),
            "report.show_faces": show_faces or None,
        }  # fmt: skip
        request = Request(
            source=_one(source, data),
            data=reading(layout, table, subject),
            recipe=asked(label, attributes, size, reference) | named(more),
            overrides=set_ or [],
        )
        chosen = audit_recipe(request)
        folder = out or Path("runs") / chosen.name
        with Bars() as bars:
            job = open_job(chosen, folder, progress=bars, replace=replace)
            document = examine(job.with_tracking(choose_tracking(chosen.tracking, folder.parent)))
        if bars.kept:
            say(f"Reused {len(bars.kept)} finished stages: {', '.join(bars.kept)}.")
        for line in audit_lines(document):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        say(f"\nPage: {folder / 'audit.html'}")
        say(f"Numbers: {folder / 'audit.json'}")
        say(f"Next: open the page; a rebalanced data set: debias export {folder} --as weights")


def _one(source: Path | None, data: Path | None) -> Path | None:
    """SOURCE, which was once called --data where it is no recipe."""
    if data is not None:
        remark("Note: --data FOLDER is now SOURCE: debias audit FOLDER; the old spelling works.")
    if source is not None and data is not None:
        raise ConfigError(f"both SOURCE ({source}) and --data {data} are given; name one")
    return source or data
