"""`perdure completion`: what a shell reads so that it completes perdure's commands and options.

The rule: the scripts are click's, and call `perdure` for the words.
"""

import click
from click.shell_completion import ShellComplete, get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_PERDURE_COMPLETE"
COLONS = """\
# The ids of children have colons, which bash would take for the ends of words.
COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}

"""


@click.command(epilog="\b\nExample:\n  perdure completion bash > ~/.local/share/bash-completion/completions/perdure")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Let a shell complete perdure's commands.

    What is printed is a script for the shell to read. Behind a command it completes options and statuses, and asks
    the daemon for the ids of instances, the names of workflows and of events that an instance waits for, and
    operations. A daemon that does not answer within a second is left alone.

    \b
    bash  perdure completion bash > ~/.local/share/bash-completion/completions/perdure
    zsh   perdure completion zsh > a folder of $fpath/_perdure
    fish  perdure completion fish > ~/.config/fish/completions/perdure.fish
    """
    click.echo(script(shell))


def script(shell: str) -> str:
    """The script for a shell."""
    found = get_completion_class(shell)
    assert found is not None
    # Not its own `source`, which runs the shell to look how old it is. The command plays no part in the script.
    source = ShellComplete.source(found(completion, {}, "perdure", VARIABLE))
    if shell == "fish":
        return source.replace('string split ","', 'string split --max 1 ","')  # a list has commas of its own
    return COLONS + source if shell == "bash" else source
