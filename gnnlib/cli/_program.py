"""What all commands share: how errors leave the program, and how options stand in the help."""

from typing import Any

import click

EXPECTED_ERRORS = (ValueError, TypeError, OSError, ImportError, ArithmeticError, RuntimeError)


class Program(click.Group):
    """A group of commands that turns what goes wrong into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's own ways to leave
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)
        except EXPECTED_ERRORS as error:
            if ctx.params["traceback"]:
                raise
            message = " ".join(str(error).split()) or type(error).__name__
            click.echo(f"error: {message}", err=True)
            ctx.exit(1)


class Grouped(click.Option):
    """An option with the heading under which it stands in the help."""

    def __init__(self, *args: Any, heading: str, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.heading = heading


class GroupedCommand(click.Command):
    """A command whose help lists its options under headings, in the order of their first ones."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            line = parameter.get_help_record(ctx)
            if line is not None:
                heading = getattr(parameter, "heading", "Other options")
                sections.setdefault(heading, []).append(line)
        for heading, lines in sections.items():
            with formatter.section(heading):
                formatter.write_dl(lines)


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
