"""``s3plan completion``: the script that lets a shell complete s3plan's commands and options."""

from __future__ import annotations

import click

from s3plan.cli.command import Command


@click.command(
    cls=Command, name="completion", short_help="Print the completion script of a shell.", exits=(0,)
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script of a shell.

    For bash: eval "$(s3plan completion bash)" in ~/.bashrc; the same with zsh in ~/.zshrc. For
    fish: s3plan completion fish > ~/.config/fish/completions/s3plan.fish
    """
    from click.shell_completion import get_completion_class

    from s3plan.cli.program import COMPLETE, program

    completer = get_completion_class(shell)
    assert completer is not None  # click knows the three shells
    click.echo(completer(program, {}, "s3plan", COMPLETE).source())
    return 0
