"""The schema in the tree is what the protos compile to."""

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from perdure.rpc.generate import HEAD, compile_protos, entry, source
from perdure.rpc.schema import FILES


def test_the_schema_is_what_the_protos_compile_to() -> None:
    compiled = {name: FileDescriptorProto.FromString(content) for name, content in compile_protos()}
    kept = {name: FileDescriptorProto.FromString(content) for name, content in FILES}
    assert compiled == kept, "run `python rpc/generate.py`"


def test_each_file_stands_after_those_that_it_imports() -> None:
    seen: set[str] = set()
    for name, content in FILES:
        assert set(FileDescriptorProto.FromString(content).dependency) <= seen
        seen.add(name)


def test_the_generated_module_holds_the_bytes_it_was_given() -> None:
    # Given bytes of some length,
    content = bytes(range(256)) * 3
    # when they are written as a module and that is run,
    space: dict[str, object] = {}
    exec(source([("a.proto", content)]), space)  # noqa: S102
    # then they are there again.
    assert space["FILES"] == (("a.proto", content),)
    assert all(len(line) <= 120 for line in "".join([HEAD, *entry("a.proto", content)]).splitlines())
