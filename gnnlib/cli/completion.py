"""`gnnlib completion`."""

import click
from click.shell_completion import get_completion_class

from ._program import examples
from ._types import Choice


@click.command(
    epilog=examples(
        'eval "$(gnnlib completion bash)"       in ~/.bashrc',
        'eval "$(gnnlib completion zsh)"        in ~/.zshrc',
        "gnnlib completion fish | source        in ~/.config/fish/config.fish",
    )
)
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a SHELL (bash, zsh or fish) complete commands, options and their values."""
    kind = get_completion_class(shell)
    assert kind is not None  # click has these three
    click.echo(kind(ctx.find_root().command, {}, "gnnlib", "_GNNLIB_COMPLETE").source())
