"""The advice of an error names the flags of commands, and the rest of its text does not change."""

import msgspec
import pytest

from perdure import PerdureError
from perdure.api.management.words import management_refusal
from perdure.cli.instances.advice import WORDS
from perdure.cli.instances.connection import ended
from perdure.client.errors import ServerUnreachable, TokenRefused, Told, error_of
from perdure.http.errors import refusal_json
from perdure.runtime.errors import ADVICE_WORDS, Advice, EventRefused, IdTaken, WorkflowUnknown
from perdure.runtime.operations.bulk.actor import OperationNotFound


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (IdTaken("i", name="w", status="FAILED", restart=False), "--if-exists return"),
        (IdTaken("i", name="w", status="FAILED", restart=False), "--if-exists restart"),
        (IdTaken("i", name="w", status="RUNNING", restart=True), "Add --force to terminate it first."),
        (EventRefused("i", "go", "COMPLETED"), "(--if-exists restart)"),
        (OperationNotFound("x"), "there is no operation 'x'. `perdure operations` lists them."),
        (WorkflowUnknown("w", app="shop", nearest=()), "GET /api/v1/workflows lists its workflows."),
        (ServerUnreachable("http://x", "refused", sent=False), "--server or PERDURE_SERVER"),
        (TokenRefused(401, "", "Who?"), "Who? Give a token with --token-file or PERDURE_API_TOKEN."),
    ],
)
def test_the_advice_of_an_error_names_the_flags_of_commands(told: PerdureError, shown: str) -> None:
    message = ended(told).message
    assert shown in message
    assert "=" not in message


def test_the_advice_of_a_daemon_is_worded_anew_and_its_problem_is_not() -> None:
    # Given the answer to a start, of an id that looks like a parameter,
    taken = management_refusal(IdTaken("force=true", name="w", status="RUNNING", restart=True))
    told = Told.of(msgspec.json.decode(refusal_json(taken)))
    # then the command shows the id as it is, and names its flag.
    for status, code in ((409, told.code), (409, "ERR_OTHER")):
        message = ended(error_of(status, told._replace(code=code), instance_id="force=true")).message
        assert message.startswith("ID 'force=true' belongs")
        assert message.endswith("only a finished one is restarted. Add --force to terminate it first.")


def test_each_advice_has_words_for_commands_and_for_others() -> None:
    assert set(WORDS) == set(ADVICE_WORDS) == set(Advice)
