"""What the documents have their readers do works: each command of each page runs in its order, as the page has it.

A page's programs are files where a comment `<!-- file: NAME -->` stands before them, or their first line is `# NAME`;
`<!-- change: NAME -->` stands before a diff of one. What cannot run in a test is looked up, and stands in `NOT_RUN`
with its reason. What a page shows below a command is compared with what the command prints
(`tests/support/docs/printed.py`).
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
import yaml

from perdure.cli.main import main

from ..support.docs.blocks import SHELL, Block, Command, blocks, commands, commands_of, inline, pages
from ..support.docs.changes import changed
from ..support.docs.printed import fits, shows
from ..support.docs.reader import Reader, Said, within, words_of
from ..support.paths import ROOT

# Pages whose commands other tests run, because they need more hosts or more processes.
WALKED_ELSEWHERE = {
    "docs/from-one-machine-to-three.md": "test_three_hosts.py",
    "docs/tutorials/from-dapr.md": "test_from_dapr.py",
    "docs/tutorials/a-deploy-and-its-way-back.md": "test_tutorials.py",
    "docs/tutorials/charged-at-most-once.md": "test_tutorials.py",
}

# Commands that no test runs, by the words that they begin with, and why. What of them can be looked up is: targets of
# make, extras of the package, flags of our commands.
NOT_RUN = {
    ".venv/bin/coverage": "reports what `make test` has measured in this folder",
    "make": "its targets are looked up; they take minutes",
    ".ci/run": "runs these tests",
    "git tag": "of a release; the rest of docs/releasing.md is looked up",
    "pip wheel": "tests/house/test_wheel.py has the wheel",
    "pip install": "the extras are looked up; the wheel is built and installed before any test",
    "perdure bench": "its flags are looked up; it takes minutes, and tests/benchmarks/ has it",
    "perdure run DATABASE": "its flags are looked up; tests/docs/test_three_hosts.py has daemons on a database",
    "perdure store DATABASE": "its flags are looked up; tests/whole/test_shared_store.py has stores on a database",
    "perdure store check --data copy-of-a-store.db": "of the last release; tests/cli/test_store.py checks stores",
    "perdure hosts": "of several hosts; tests/docs/test_three_hosts.py has them",
    "python3 -m venv": "an environment takes seconds; the tests have theirs",
    "python docs/site/sdks.py": "needs the results of make test-sdks; tests/house/test_sdks.py calls it",
    "python app.py": "needs one of Dapr's SDKs; make test-sdks runs the apps of examples/",
    "npm install": "needs a network; make test-sdks does it",
    "node app.js": "needs one of Dapr's SDKs; make test-sdks runs it",
    "dapr": "Dapr's command line, which is not a package that the tests could install",
    "git clone": "needs a network",
    "cd quickstarts": "the folder of that clone",
    "pg_basebackup": "of a database with a standby; tests/chaos/standby.py has one",
    "psql": "of a database with a standby; tests/chaos/standby.py has one",
    "pg_dump": "PostgreSQL's own",
    "createdb": "PostgreSQL's own",
    "pg_restore": "PostgreSQL's own",
}
DATABASE = "postgresql://"
# A command that only looks, and how often it is repeated; each takes some 20 ms.
LOOK, LOOKS_MAX = "curl http", 200

APP = """
from datetime import timedelta

import perdure

app = perdure.App("{name}")


@app.workflow
async def {name}_work(ctx: perdure.WorkflowContext) -> None:
    await ctx.create_timer(timedelta(seconds=1))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How a page is walked.

    Args:
        goes_on: Daemons have the store of those before them; else each begins with nothing.
        changes: Texts of the page, and what the test has in their place.
        runs: Commands of `NOT_RUN` that run nevertheless.
        before: What the text of the page has its reader do before the first command that begins so.
    """

    goes_on: bool = False
    runs: Sequence[str] = ()
    changes: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, Callable[[Reader], None]] = field(default_factory=dict)


def begin_orders(reader: Reader) -> None:
    """A daemon with the orders of the examples."""
    reader.do(command("perdure run examples/order_processing.py"))


def order_again(reader: Reader) -> None:
    """The order of the page once more, and its state is what the page shows."""
    (shown,) = (block for block in blocks("docs/http-api.md") if block.language == "json")
    said = json.loads(shown.text)
    given = said["properties"]["dapr.workflow.input"]
    reader.do(command(f"perdure start {said['workflowName']} --id {said['instanceID']} --input '{given}'"))

    def waits() -> bool:
        asked = reader.shell(f"curl http://127.0.0.1:3500/v1.0/workflows/dapr/{said['instanceID']}")
        return fits(json.loads(asked.text), said)

    within(waits)


def kill_and_begin(app: str) -> Callable[[Reader], None]:
    def again(reader: Reader) -> None:
        reader.kill()
        assert reader.do(command(f"perdure run {app}")).code == 0
        within(lambda: "COMPLETED" in reader.do(command("perdure show first")).text)

    return again


def kill(reader: Reader) -> None:
    reader.kill()


def a_store(reader: Reader) -> None:
    """A store of which no daemon is running any more."""
    reader.do(command("perdure run app.py"))
    reader.stop()


def a_backup(reader: Reader) -> None:
    a_store(reader)
    assert reader.do(command("perdure store backup monday.db --data perdure.db")).code == 0


def three_more(reader: Reader) -> None:
    for number in (19, 20, 21):
        given = '{"Name": "Paperclips", "TotalCost": 99.95, "Quantity": 4}'
        reader.do(command(f"perdure start OrderProcessingWorkflow --id order-{number} --input '{given}'"))
    for number in (17, 19, 20, 21):
        until(f"perdure show order-{number}", "approval")(reader)


def until(asked: str, told: str) -> Callable[[Reader], None]:
    """Wait until a command tells something."""
    return lambda reader: within(lambda: told in reader.do(command(asked)).text)


def all_have_been_left_alone(reader: Reader) -> None:
    within(lambda: len(reader.do(command("perdure ls --updated-before 1s -o ids")).text.split()) == 5)


def the_bank_is_away(reader: Reader) -> None:
    reader.do(command("""perdure start ship --id order-3 --input '"order-3"'"""))
    until("perdure show order-3", "59m")(reader)


def begin_app(reader: Reader) -> None:
    reader.do(command("perdure run app.py"))


def components(reader: Reader) -> None:
    (reader.folder / "components").mkdir()


WALKS = {
    "README.md": Walk(
        goes_on=True,
        changes={"seconds=5": "seconds=1"},
        before={"curl http://127.0.0.1:3500/v1.0/workflows/dapr/first": kill_and_begin("hello.py")},
    ),
    "docs/getting-started.md": Walk(
        goes_on=True, changes={"seconds=30": "seconds=1", "pkill": ": pkill"}, before={": pkill": kill}
    ),
    "docs/http-api.md": Walk(
        goes_on=True,
        # The stream of changes has no end of its own, and nobody approves the order.
        changes={"curl -N": "! timeout 0.5 curl -N", "timeout=60s": "timeout=0.1s"},
        before={"BASE=": begin_orders, "API=": order_again},
    ),
    "docs/see-and-steer.md": Walk(
        goes_on=True,
        before={"perdure ls": three_more, "perdure purge": all_have_been_left_alone},
    ),
    "docs/stuck-instances.md": Walk(
        goes_on=True,
        changes={"--stuck-for 15m": "--stuck-for 0.1s"},
        before={
            "perdure ls": until("perdure count --stuck-for 0.1s --by status", " 2\n"),
            "perdure show order-3": the_bank_is_away,
        },
    ),
    "docs/exports.md": Walk(goes_on=True, before={"perdure start": begin_app}),
    "docs/tutorials/a-web-app.md": Walk(goes_on=True),
    "docs/tutorials/an-operators-first-day.md": Walk(goes_on=True, before={"rm perdure.db": kill}),
    "docs/operations/store.md": Walk(goes_on=True, before={"perdure store spread": a_store}),
    "docs/store-files.md": Walk(goes_on=True, changes={"/backups/": ""}, before={"perdure store restore": a_backup}),
    "docs/quickstarts.md": Walk(changes={"../../../components": "components"}, before={"perdure daprd": components}),
}


def command(text: str) -> Command:
    return Command(page="", line=0, language="console", text=text, shown=())


def kind(text: str) -> str | None:
    """By which words of `NOT_RUN` a command is not run; None if it is."""
    words = words_of(text)
    if words[:1] == ["perdure"] and any(word.startswith(DATABASE) for word in words):
        return f"perdure {words[1]} DATABASE"
    known = " ".join(words)
    return next((each for each in NOT_RUN if re.match(rf"{re.escape(each)}(?![\w-])", known)), None)


def walked() -> list[str]:
    """The pages that are walked here."""
    return [page for page in pages() if page not in WALKED_ELSEWHERE and any(commands(page))]


def file_of(block: Block) -> str | None:
    """The name under which a reader keeps a block; None if it is no file."""
    if block.mark.startswith("file: "):
        return block.mark.removeprefix("file: ")
    named = re.match(r"# (\w+\.py)\n", block.text)
    return named[1] if named and block.language == "python" else None


# Pages whose daemons have four processes.
SLOW = ("docs/operations/store.md", "docs/operations/several-processes.md")


@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.slow] * (page in SLOW)) for page in walked()])
def test_what_a_page_has_its_reader_do_works(page: str, tmp_path: Path) -> None:
    walk = WALKS.get(page, Walk())
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name in ("app", "shop", "bank"):
        (tmp_path / f"{name}.py").write_text(APP.format(name=name))
    with Reader(tmp_path) as reader:
        waiting = dict(walk.before)
        for block in blocks(page):
            walk_block(block, walk, waiting, reader)
    assert not waiting, "no command of the page begins so"


def walk_block(block: Block, walk: Walk, waiting: dict[str, Callable[[Reader], None]], reader: Reader) -> None:
    text = block.text
    for old, new in walk.changes.items():
        text = text.replace(old, new)
    if (name := file_of(block)) is not None:
        (reader.folder / name).write_text(text)
    elif block.mark.startswith("change: "):
        path = reader.folder / block.mark.removeprefix("change: ")
        path.write_text(changed(path.read_text(), text))
    elif block.language in SHELL:
        script: list[str] = []
        for each in commands_of(Block(page=block.page, line=block.line, language=block.language, mark="", text=text)):
            for beginning in [known for known in waiting if each.text.startswith(known)]:
                waiting.pop(beginning)(reader)
            if kind(each.text) is not None and each.text not in walk.runs:
                continue
            if block.language == "sh" and not each.text.startswith(("perdure ", "export ", "uvicorn ", "python ")):
                script.append(each.text)  # with the lines before it: they may have set variables
                continue
            if each.text.startswith(("perdure run", "perdure daprd")) and not walk.goes_on:
                reader.begin_anew()
            said = done(each, reader)
            assert said.code == 0 or each.shown, f"{block.place}: {each.text}\n{said.text}"  # a failure is shown
            assert not each.shown or shows(said.text.splitlines(), each.shown), (
                f"{block.place}: {each.text}\n{said.text}"
            )
        said = reader.shell("\n".join(script))
        assert said.code == 0, f"{block.place}: {said.text}"


def done(each: Command, reader: Reader) -> Said:
    """Do a command of a page. A look at an instance is repeated until it shows what the page has: the instance goes on
    meanwhile, and a reader types more slowly than a test.
    """
    said = reader.do(each)
    for _ in range(LOOKS_MAX if each.shown and each.text.startswith(LOOK) else 0):
        if shows(said.text.splitlines(), each.shown):
            break
        said = reader.do(each)
    return said


# What is looked up.


def flags_of(words: Sequence[str]) -> set[str]:
    """The flags of one of our commands, which has to be there."""
    found: click.Command = main
    rest = list(words)
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        child = found.get_command(click.Context(found), rest.pop(0))
        assert child is not None, words
        found = child
    return {flag for option in found.params for flag in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("page", [page for page in pages() if any(commands(page))])
def test_the_flags_targets_and_extras_that_a_page_names_are_there(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    extras = re.search(
        r"^\[project.optional-dependencies\]\n(.*?)^\[", (ROOT / "pyproject.toml").read_text(), re.S | re.M
    )
    assert extras is not None
    for each in commands(page):
        for part in each.text.split(" | "):
            words = words_of(part)
            if words[:1] == ["perdure"]:
                flags = [word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)]
                assert set(flags) <= flags_of(words[1:]) | {"--help"}, f"{page}:{each.line}: {each.text}"
            if words[:1] == ["make"]:
                targets = [word for word in words[1:] if "=" not in word]
                assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), each.text
        for names in re.findall(r"perdure\[([\w,-]+)\]", each.text):
            assert all(re.search(rf"^{name} = ", extras[1], re.MULTILINE) for name in names.split(",")), each.text


@pytest.mark.parametrize("page", pages())
def test_the_commands_and_flags_in_the_sentences_of_a_page_are_there(page: str) -> None:
    for text in inline(page):
        words = text.split()[1:]
        flags = {word.partition("=")[0].strip("[],") for word in words if word.startswith("--")}
        assert flags <= flags_of(words) | {"--help"}, text


def test_no_command_is_left_out_without_need() -> None:
    used = {kind(each.text) for page in walked() for each in commands(page)}
    assert set(NOT_RUN) - used == set(), "no page has these any more"
    assert [page for page in WALKED_ELSEWHERE if not any(commands(page))] == []
    assert set(WALKS) <= set(walked())


# Every block.

# Languages, and the test that tries their blocks.
TRIED = {
    "sh": "here, or where WALKED_ELSEWHERE says",
    "console": "as sh",
    "python": "here as files, or in test_python.py",
    "diff": "as changes of files",
    "json": "below",
    "yaml": "below",
    "sql": "test_sql.py",
    "proto": "tests/house/test_grpc_reference.py compares it with its files",
    "text": "output that goes on for longer, drawings",
    "": "as text",
}


def test_every_language_is_tried() -> None:
    found = {block.language for page in pages() for block in blocks(page)}
    assert found == set(TRIED)


def test_every_fence_is_a_block() -> None:
    for page in pages():
        fences = re.findall(r"^ *```", (ROOT / page).read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), page


@pytest.mark.parametrize(
    "block",
    [each for page in pages() for each in blocks(page) if each.language == "json"],
    ids=lambda block: block.place,
)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.text)


@pytest.mark.parametrize(
    "block",
    [each for page in pages() for each in blocks(page) if each.language == "yaml"],
    ids=lambda block: block.place,
)
def test_yaml_is_yaml(block: Block) -> None:
    assert all(isinstance(each, dict) and each for each in yaml.safe_load_all(block.text))


def test_shell_is_split_as_a_shell_splits_it() -> None:
    text = "a --b \\\n    'c d'  # why\n# nothing\n\n$ e\n"
    block = Block(page="x", line=1, language="sh", mark="", text=text)
    assert [shlex.split(each.text) for each in commands_of(block)] == [["a", "--b", "c d"], ["$", "e"]]
    shown = Block(page="x", line=1, language="console", mark="", text="$ a # b\nc\n\nd\n$ e\n")
    assert [(each.text, each.shown) for each in commands_of(shown)] == [("a", ("c", "d")), ("e", ())]
