"""The descriptors in the tree are the compiled protos."""

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from perdure.rpc.generate import DESCRIPTORS, compile_protos


def test_the_descriptors_are_what_the_protos_compile_to() -> None:
    compiled = FileDescriptorSet.FromString(compile_protos()).file
    kept = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
    assert {file.name: file for file in compiled} == {file.name: file for file in kept}, "run `python rpc/generate.py`"


def test_each_file_stands_after_those_that_it_imports() -> None:
    seen: set[str] = set()
    for file in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        assert set(file.dependency) <= seen
        seen.add(file.name)
