"""`perdure completion`: prints the script with which a shell completes perdure's commands, and answers the script.

The rule: the scripts call `perdure` for the words, and change no other setting of the shell. `cli/main.py` passes the
calls of the scripts to `answer`.
"""

import os
import shlex
from collections.abc import Iterator

import click
from click.shell_completion import ShellComplete, get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_PERDURE_COMPLETE"

# Not click's script: bash ends a word at each `:`, `=` and `@`, which ids and options contain, and replaces only the
# text after the last of them. So this script passes the line and these characters. It does not change them, because
# they are a setting for all commands.
BASH = """\
_perdure_completion() {
    local IFS=$'\\n' type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE=${COMP_LINE:0:COMP_POINT} COMP_WORDBREAKS=$COMP_WORDBREAKS _PERDURE_COMPLETE=bash_complete "$1")
}

complete -o nosort -F _perdure_completion perdure
"""


BEGIN_WORDS = "@$"  # readline's rl_special_prefixes: they end a word, and begin the next one


@click.command(epilog="\b\nExample:\n  perdure completion bash > ~/.local/share/bash-completion/completions/perdure")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Let a shell complete perdure's commands.

    It prints a script for the shell. After a command it completes options and statuses, and asks
    the daemon for the ids of instances, the names of workflows and of events that an instance waits for, and
    operations. A daemon that does not answer within a second is left alone.

    \b
    bash  perdure completion bash > ~/.local/share/bash-completion/completions/perdure
    zsh   perdure completion zsh > a folder of $fpath/_perdure
    fish  perdure completion fish > ~/.config/fish/completions/perdure.fish
    """
    click.echo(script(shell))


def script(shell: str) -> str:
    """Return the script for a shell."""
    if shell == "bash":
        return BASH
    found = get_completion_class(shell)
    assert found is not None
    # Not the `source` of the subclass, which runs the shell to check its version. The script does not depend on the
    # command.
    source = ShellComplete.source(found(completion, {}, "perdure", VARIABLE))
    if shell == "fish":
        return source.replace('string split ","', 'string split --max 1 ","')  # lists contain commas too
    return source


def answer(command: click.Command, instruction: str) -> Iterator[str]:
    """Yield the lines of the answer to a shell's script.

    Args:
        command: The command `perdure`.
        instruction: The value of `VARIABLE` from the script, such as `zsh_complete`; an unknown value has no answer.
    """
    shell, _, what = instruction.partition("_")
    found = get_completion_class(shell)
    if what != "complete" or shell not in SHELLS or found is None:
        return
    shells = found(command, {}, "perdure", VARIABLE)
    if shell == "bash":
        args, begun, kept = words_of(os.environ.get("COMP_LINE", ""), os.environ.get("COMP_WORDBREAKS", ""))
    else:
        (args, begun), kept = shells.get_completion_args(), ""
    # For `--status=fai` click completes the text after the `=`; shells replace the whole word, or bash's part of it.
    flag, equals, _ = begun.partition("=")
    before = flag + equals if equals and flag.startswith("-") else ""
    for item in shells.get_completions(args, begun):
        word = before + item.value
        if item.type != "plain":
            yield shells.format_completion(item)
        elif word.startswith(kept):
            item.value = word.removeprefix(kept)
            yield shells.format_completion(item)


def words_of(line: str, breaks: str) -> tuple[list[str], str, str]:
    """Split the line before bash's cursor.

    Args:
        breaks: The characters at which bash ends a word.

    Returns:
        The words after the command; the incomplete word; and the part of the latter that bash keeps.
    """
    start = kept = 0
    quote, escaped = "", False
    for at, char in enumerate(line):
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote, kept = char, at + 1
        elif char.isspace():
            start = kept = at + 1
        elif char in breaks:
            kept = at if char in BEGIN_WORDS else at + 1
    return split(line[:start])[1:], "".join(split(line[start:])), "".join(split(line[start:kept]))


def split(line: str) -> list[str]:
    """Split a line as a shell does, also if its last quotation is still open."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words
