"""How options are written down, each once, and how a command line is read."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from debias.commands.screen import explained, remark
from debias.processes import several

if TYPE_CHECKING:
    from debias.pipeline.source import Request

T = TypeVar("T")


class Options:
    """What a command takes: one annotated attribute an option, made by the functions below."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 (as Typer has read it)
        vars(self).update(given)


def argument(help_: str, metavar: str | None = None, default: object = ...) -> Any:  # noqa: ANN401
    """One that is known by its place; without a default it must be given."""
    return typer.Argument(default, metavar=metavar, help=help_)


def option(
    help_: str,
    metavar: str | None = None,
    default: object = None,
    name: str = "",
    **more: Any,  # noqa: ANN401 (of Typer)
) -> Any:  # noqa: ANN401 (whatever the attribute is annotated with)
    """One that is known by its name, which is that of the attribute unless another is given."""
    return typer.Option(default, *filter(None, [name]), metavar=metavar, help=help_, **more)


def command(function: Callable[[T], None]) -> Callable[..., None]:
    """As Typer wants it, with a parameter for each option; errors become one paragraph."""
    kind = get_type_hints(function)["given"]
    hints = get_type_hints(kind)
    parameters = []
    for name, hint in hints.items():
        about = getattr(kind, name)
        if hint is bool and not about.param_decls:  # no --no-NAME beside it
            about.param_decls = (f"--{name.replace('_', '-')}",)
        how = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, how, default=about, annotation=hint))

    @wraps(function)
    def run(**given: Any) -> None:  # noqa: ANN401
        with explained(), _leading() as leads:
            if leads:
                function(kind(**given))

    run.__annotations__ = hints
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _leading() -> AbstractContextManager[bool]:
    """Whether this process does the work; of several that train together, one does."""
    if not several():
        return nullcontext(True)
    from debias.pipeline.ranks import leading

    return leading()


class Images(Options):
    """How images are to be read, and what is asked of them."""

    label: str | None = option("What a classifier predicts: two values.", "COLUMN")
    attributes: str | None = option(
        "Annotated groups, by which results are broken down; age:0-17,18-: ranges.", "COLUMN,..."
    )
    table: Path | None = option(
        "One row per image, column `path`: .csv, .tsv, .jsonl, .json or .parquet.", "FILE"
    )
    subject: str | None = option("Column of who is shown: in one split.", "COLUMN")
    folders: str | None = option(
        "What the folders on the way to an image say: race/person, split/person.", "WORD/..."
    )
    people: Path | None = option("CSV or Parquet, one row per person, joined to them.", "FILE")
    allow_unjoined: float | None = option(
        "Share of the images that may stand on no row of a table. [default: 0.01]", "SHARE"
    )
    layout: str | None = option("How SOURCE is to be read. [default: recognised]", "NAME")
    size: int | None = option("Side of the images, 16 to 512. [default: 64]", "PIXELS")
    most_rejected: float | None = option(
        "Largest share of the images that may be left out. [default: 0.01]", "SHARE"
    )
    set_: list[str] | None = option(
        "Override one setting; repeat.", "SECTION.KEY=VALUE", name="--set"
    )

    def request(self, source: Path | None) -> "Request":
        from debias.pipeline.source import Request, options

        return Request(source=source, overrides=self.set_ or [], **options(vars(self)))


class Joined(Options):
    """How a second table is joined, where a command takes one."""

    by_order: bool = option("Join tables without names in common row by row.", default=False)
    allow_unjoined: float = option(
        "Share of the rows, 0 to 1, that may stay without a partner in the other table.", "SHARE",
        default=0.01,
    )  # fmt: skip


class Referenced(Images):
    reference: Path | None = option("Images that the data should look like; unlabelled.", "FOLDER")


class InFolder(Options):
    out: Path | None = option("By default runs/NAME. Continued if it is there.", "FOLDER")
    replace: bool = option(
        "Use the folder of another recipe; its report is deleted.", default=False
    )


class Shared(InFolder):
    workers: str | None = option(
        "Trainings at the same time: so many processes, or a Dask scheduler's address. "
        "[default: 1]", "N|ADDRESS",
    )  # fmt: skip


class Group(TyperGroup):
    """The command with its subcommands."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 (of typer or of click)
        return _flags_bare(super().get_params(ctx))


class Command(TyperCommand):
    """A subcommand; ``renamed`` has the new spelling of each old option."""

    renamed: Mapping[str, str] = {}

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401
        return _flags_bare(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        return super().parse_args(ctx, [self._current(argument) for argument in args])

    def _current(self, argument: str) -> str:
        option, separator, value = argument.partition("=")
        if option not in self.renamed:
            return argument
        remark(f"Note: {option} is now called {self.renamed[option]}; the old spelling works.")
        return self.renamed[option] + separator + value


def renaming(**old: str) -> type[Command]:
    """A subcommand some of whose options were called otherwise: ``old="new"``, without dashes."""
    renamed = {f"--{name}": f"--{new}" for name, new in old.items()}
    return type("Renaming", (Command,), {"renamed": renamed})


def _flags_bare(params: list[Any]) -> list[Any]:
    """Without `<bool>` in the help, which reads as if a flag took a value."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params
