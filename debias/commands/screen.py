"""What every command shares: the console, progress bars, errors as one paragraph."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from debias.errors import PipelineError, memory_explained
from debias.stopping import Stopped, end_now, stoppable
from debias.storage.files import amount

if TYPE_CHECKING:
    from rich.table import Table

    from debias.tracking.tracker import Advance

# Names of files and groups are printed as they are: ":b:" is no picture.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


class Bars:
    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
        )
        self.bars = Progress(*columns, console=console)
        self.kept: list[str] = []

    def __enter__(self) -> "Bars":
        self.bars.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.bars.stop()

    def start(self, title: str, total: int) -> "Advance":
        task = self.bars.add_task(title, total=total, note="")

        def advance(note: str, steps: int = 1) -> None:
            self.bars.update(task, advance=steps, note=note)

        return advance

    def reused(self, title: str) -> None:
        self.kept.append(title)

    def note(self, text: str) -> None:
        say(f"Note: {text}")

    def tell_kept(self) -> None:
        if self.kept:
            say(f"Reused {amount(len(self.kept), 'finished stage')}: {', '.join(self.kept)}.")


def listed(text: str) -> list[str]:
    from debias.statistics.ranges import listed as split

    return split(text)


def pairs(option: str, given: list[str] | None) -> dict[str, str]:
    from debias.errors import ConfigError

    broken = [text for text in given or [] if "=" not in text]
    if broken:
        raise ConfigError(f"{option} takes COLUMN=VALUE, got {broken[0]!r}")
    found = [text.partition("=") for text in given or []]
    names = [name for name, _, _ in found]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ConfigError(f"{option} names {repeated[0]!r} twice; each column has one")
    return {name: value for name, _, value in found}


def say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def show(lines: Iterable["str | Table"]) -> None:
    for line in lines:
        console.print(line, highlight=False, soft_wrap=isinstance(line, str))


def remark(text: str) -> None:
    """Say something beside the result, which stays alone on the standard output."""
    errors.print(text, markup=False, highlight=False, soft_wrap=True)


def exit_codes() -> str:
    """The exit code of every family of errors, for the help."""
    found = {kind.exit_code: kind.__doc__ or "" for kind in PipelineError.__subclasses__()}
    found[PipelineError.exit_code] = "Anything else that was expected; the message says what."
    found[130] = "Interrupted (Ctrl-C); finished steps are kept."
    found[143] = "Ended (SIGTERM); finished steps are kept."
    lines = [f"* {code}: {text.strip()}" for code, text in sorted(found.items())]
    return "\n".join(["Exit codes:", "", "* 0: Done.", *lines])


@contextmanager
def explained() -> Iterator[None]:
    """Turn an expected problem into one paragraph and its exit code."""
    try:
        with stoppable(), memory_explained():
            yield
    except PipelineError as error:
        errors.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        remark(
            "Interrupted: finished steps are kept, and so is a training up to its last checkpoint; "
            "run the same command again to go on."
        )
        if isinstance(error, Stopped):
            end_now(error.exit_code)
        raise typer.Exit(130) from error
