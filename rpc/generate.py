"""Compiles `rpc/protos/` into `descriptors.binpb` in the same folder: run `python rpc/generate.py` after an edit.

The rule: it is run by hand, and its output is committed.

The file is a serialized FileDescriptorSet in which each file comes after the files that it imports; `rpc/messages.py`
reads it. The script is for the source tree: it needs grpcio-tools, which an installed Perdure lacks.
"""

import tempfile
from pathlib import Path

PROTOS = Path(__file__).parent / "protos"
DESCRIPTORS = PROTOS / "descriptors.binpb"


def compile_protos() -> bytes:
    """Compile all files and return them as a serialized FileDescriptorSet.

    Google's files that they import are included, so that the descriptor pool needs nothing from the process-wide pool.

    Raises:
        SystemExit: protoc has refused a file and has printed the reason.
    """
    from grpc_tools import protoc  # noqa: PLC0415  an import of this module alone must not need it

    sources = sorted(path.name for path in PROTOS.glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        well_known = Path(protoc.__file__).parent / "_proto"
        arguments = [f"-I{PROTOS}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={out}", *sources]
        if protoc.main(["protoc", *arguments]) != 0:
            raise SystemExit("protoc has failed; its output is above")
        return out.read_bytes()


if __name__ == "__main__":
    DESCRIPTORS.write_bytes(compile_protos())
