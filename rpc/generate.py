"""Compile `rpc/protos/` into `descriptors.binpb` beside them: run `python rpc/generate.py` after editing a .proto.

The rule: it is run by hand, and its output is committed.

The file is a serialized FileDescriptorSet in which each file stands after the
files that it imports; `rpc/messages.py` reads it. A script of the tree:
it needs grpcio-tools, which an installed Perdure does not have.
"""

import tempfile
from pathlib import Path

PROTOS = Path(__file__).parent / "protos"
DESCRIPTORS = PROTOS / "descriptors.binpb"


def compile_protos() -> bytes:
    """Compile all files and return them as a serialized FileDescriptorSet.

    The files of Google's that they import come with them, so that the pool in
    which they are loaded needs nothing from the process-wide one.

    Raises:
        SystemExit: protoc has refused a file and has printed why.
    """
    from grpc_tools import protoc  # noqa: PLC0415  is not there where this module is only looked at

    sources = sorted(path.name for path in PROTOS.glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        well_known = Path(protoc.__file__).parent / "_proto"
        arguments = [f"-I{PROTOS}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={out}", *sources]
        if protoc.main(["protoc", *arguments]) != 0:
            raise SystemExit("protoc has refused; its words stand above")
        return out.read_bytes()


if __name__ == "__main__":
    DESCRIPTORS.write_bytes(compile_protos())
