"""Write the reference of gRPC:  python docs/site/protos.py > docs/reference/grpc.md

The rule: every call of the services in `rpc/protos/` has a row and a sentence, and the messages are those of the files,
as they are. `tests/house/test_grpc_reference.py` holds the page to them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROTOS = Path(__file__).parents[2] / "rpc" / "protos"
# In the order of a reader: the calls, then the messages.
FILES = ("task_hub", "action", "history", "dapr", "state_item", "google_rpc")
HEAD = """# The gRPC API

After this page you know which calls the gRPC port answers, and the messages of each. Dapr's SDKs
make these calls; a program seldom does so itself. The port is 50001 unless `--grpc-port` says
otherwise, and the services are described to tools by reflection (`grpcurl -plaintext
localhost:50001 list`). [Compatibility](../dapr-compatibility.md#different-on-purpose-over-grpc)
lists the deliberate differences from Dapr, and [Dapr's contract](../dapr/contract.md) the facts of
the wire.

* **Token.** If the daemon needs one: metadata `dapr-api-token: TOKEN`.
* **App.** Each app of a daemon has its own port ([several apps](../several-apps.md)).
* **Other calls** of Dapr's services answer `UNIMPLEMENTED`.

This page is made from the files: `python docs/site/protos.py > docs/reference/grpc.md`.
"""
WORDS = {
    "Hello": "Answers: a client looks whether the daemon is there.",
    "StartInstance": "Starts an instance; answers when its first turn is taken.",
    "GetInstance": "Describes an instance, with its payloads if that is asked for.",
    "WaitForInstanceStart": "Answers when the instance has begun.",
    "WaitForInstanceCompletion": "Answers when the instance has ended.",
    "RaiseEvent": "Sends an event; durable when it is answered.",
    "TerminateInstance": "Ends an instance, its children too if `recursive`.",
    "SuspendInstance": "Stops an instance; what arrives is kept.",
    "ResumeInstance": "Lets a suspended instance go on.",
    "PurgeInstances": "Forgets an instance that has ended, or all that fit a filter.",
    "GetWorkItems": "The stream of work for a worker: turns of workflows, and activities.",
    "CompleteActivityTask": "A worker's result of an activity.",
    "CompleteOrchestratorTask": "A worker's answer to a turn; the older name.",
    "CompleteWorkflowTask": "A worker's answer to a turn.",
    "RerunWorkflowFromEvent": "Runs an ended instance again from an event on, under a new id.",
    "ListInstanceIDs": "The ids of instances, in pages.",
    "GetInstanceHistory": "All events of an instance.",
    "GetState": "A value of a state store, with its etag.",
    "GetBulkState": "Several values of a state store.",
    "SaveState": "Saves values.",
    "QueryStateAlpha1": "Refused: state stores cannot be queried.",
    "DeleteState": "Deletes a value.",
    "DeleteBulkState": "Deletes several values.",
    "ExecuteStateTransaction": "Makes several changes, whole or not at all.",
    "StartWorkflow": "Starts an instance.",
    "GetWorkflow": "Describes an instance.",
    "PurgeWorkflow": "Forgets an instance that has ended, with its children.",
    "TerminateWorkflow": "Ends an instance, with its children.",
    "PauseWorkflow": "Stops an instance; what arrives is kept.",
    "ResumeWorkflow": "Lets a paused instance go on.",
    "RaiseEventWorkflow": "Sends an event.",
    "GetMetadata": "The app's id, its actors, its workers, and what was put.",
    "SetMetadata": "Puts a value that GetMetadata shows.",
    "Shutdown": "Stops the daemon in order.",
}
CALL = re.compile(r"^  rpc (\w+)\((stream )?([\w.]+)\) returns \((stream )?([\w.]+)\);", re.MULTILINE)


class Call(NamedTuple):
    """A call of a service."""

    name: str
    request: str
    answer: str

    @property
    def words(self) -> str:
        """What it does. The older names of Dapr's calls end with their generation."""
        return WORDS.get(self.name) or WORDS[re.sub(r"(Alpha1|Beta1)$", "", self.name)]


def services() -> Iterator[tuple[str, list[Call]]]:
    """The services with their calls, by their full names."""
    for name in FILES:
        text = (PROTOS / f"{name}.proto").read_text()
        package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
        for service in re.finditer(r"^service (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            calls = [
                Call(found[1], (found[2] or "") + found[3], (found[4] or "") + found[5])
                for found in CALL.finditer(service[2])
            ]
            yield f"{package[1]}.{service[1]}" if package else service[1], calls


def page() -> str:
    """Return the page in Markdown."""
    lines = [HEAD]
    for service, calls in services():
        lines += [f"## {service}\n", "| Call | Takes | Answers | |", "|---|---|---|---|"]
        lines += [f"| `{call.name}` | {short(call.request)} | {short(call.answer)} | {call.words} |" for call in calls]
        lines.append("")
    lines += ["## Messages", ""]
    for name in FILES:
        lines += [f"### {name}.proto", "", "```proto", (PROTOS / f"{name}.proto").read_text().rstrip("\n"), "```", ""]
    return "\n".join(lines)


def short(message: str) -> str:
    """The name of a message, without the package of the protobuf project."""
    return f"`{message.replace('google.protobuf.', '')}`"


if __name__ == "__main__":
    print(page(), end="")
