"""`perdure daprd --install`: writes an executable named daprd, and the files that Dapr's command line needs.

The rule: only files that Perdure has written are changed. `cli/daprd.py` calls it.

Source for the needs of Dapr's command line: dapr/cli `pkg/standalone/run.go`.
"""

import re
import shlex
import sys
from pathlib import Path

import click

NAME = "daprd"  # Dapr's command line searches for a process of this name

MARK = "# Perdure in the place of Dapr's sidecar; written by `perdure daprd --install`."

SHEBANG_MAX = 127  # the bytes of the first line that older kernels read


def install_into(folder: Path) -> Path:
    """Write an executable named daprd that runs `perdure daprd` with this Python.

    Args:
        folder: The folder; it is made if it is missing.

    Returns:
        The path of the executable.

    Raises:
        click.ClickException: The folder has another daprd, or cannot be written.
    """
    path = folder / NAME
    try:
        if path.exists() and MARK.encode() not in path.read_bytes():
            raise click.ClickException(
                f"{path} is another daprd, perhaps Dapr's own. Move it away, or choose another folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        # Replaced, not overwritten: a running daprd keeps the file from which it was started.
        fresh = path.with_name(f".{NAME}.new")
        fresh.write_text(script(sys.executable))
        fresh.chmod(0o755)
        fresh.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}.") from None
    return path


# The content that `dapr init --slim` writes, for `dapr run`.
CONFIGURATION = """\
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: daprConfig
spec: {}
"""


# Diagrid's dashboard lists workflows only if the resources have a state store. It cannot open a store of this type
# itself, so it reads the workflows from the sidecar.
STATE_STORE = """\
# The store of workflows is Perdure's own. This file is for tools that look for a state store among the resources.
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
spec:
  type: state.in-memory
  version: v1
  metadata:
    - name: actorStateStore
      value: "true"
"""
STATE_STORE_NAME = "statestore.yaml"


def write_dapr_home(folder: Path) -> list[Path]:
    """Write the folder `components`, with a state store, and the file `config.yaml` beside `.dapr/bin`.

    An existing file is not changed, and neither is a folder with resources. `dapr run` checks that `components` exists.
    It passes `config.yaml` to the sidecar without a check, and the sidecar refuses a missing file, as in Dapr.

    Args:
        folder: The folder of daprd. If it is not `.dapr/bin`, no file is written.

    Returns:
        The paths of the new files.

    Raises:
        click.ClickException: A file cannot be written.
    """
    folder = folder.absolute()
    home = folder.parent
    if (home.name, folder.name) != (".dapr", "bin"):
        return []
    components, configuration = home / "components", home / "config.yaml"
    written = []
    try:
        if not components.exists():
            components.mkdir()
            written.append(components)
        if not any(components.iterdir()):
            store = components / STATE_STORE_NAME
            store.write_text(STATE_STORE)
            written.append(store)
        if not configuration.exists():
            configuration.write_text(CONFIGURATION)
            written.append(configuration)
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written: {error.strerror or error}.") from None
    return written


def script(python: str) -> str:
    """Return the text of the executable.

    The kernel truncates a first line that is too long or has a space. Then a shell starts Python, with two lines that
    are a string to Python, as in the scripts of pip.

    Args:
        python: The path of the interpreter.
    """
    first = f"#!{python}"
    if len(first) > SHEBANG_MAX or re.search(r"\s", python):
        first = f"#!/bin/sh\n'''exec' {shlex.quote(python)} \"$0\" \"$@\"\n' '''"
    return f"{first}\n{MARK}\nfrom perdure.cli.daprd import main\n\nmain()\n"
