"""How a command line is read: old spellings go on working, and flags take no value."""

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup

from debias.commands.screen import remark


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
