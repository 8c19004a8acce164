"""The errors of a daemon in the words of the command line.

The rule: an error says what has happened and names its advice by a word, and the advice is told in flags and commands.
`runtime/errors.py` has the words for other callers. `cli/instances/connection.py` ends commands with these texts.
"""

from collections.abc import Mapping

from ...actors.errors import PerdureError
from ...runtime.errors import Advice, Advised

WORDS: Mapping[Advice, str] = {
    Advice.IF_EXISTS: (
        "Choose another ID, or ask with --if-exists return for the instance that is there if it is of the same "
        "workflow, or with --if-exists restart for a new run of it."
    ),
    Advice.FORCE: "Add --force to terminate it first.",
    Advice.START_ANEW: "Start it anew (--if-exists restart), or rerun it.",
    Advice.LIST_WORKFLOWS: "GET /api/v1/workflows lists its workflows.",
    Advice.LIST_OPERATIONS: "`perdure operations` lists them.",
    Advice.FIND_SERVER: ("Is `perdure run` running there? Another address is given with --server or PERDURE_SERVER."),
    Advice.GIVE_TOKEN: "Give a token with --token-file or PERDURE_API_TOKEN.",
}


def worded(error: PerdureError) -> str:
    """Return the text of an error, with its advice in the words of the command line."""
    problem, advice = error.parts() if isinstance(error, Advised) else (str(error), None)
    return problem if advice is None else f"{problem} {WORDS[advice]}"
