"""`perdure daprd --install`: an executable named daprd, and the files that Dapr's command line needs beside it.

The rule: no file that Perdure has not written is changed. `cli/daprd.py` calls it.

Source for the needs of Dapr's command line: dapr/cli `pkg/standalone/run.go`.
"""

import re
import shlex
import sys
from pathlib import Path

import click

NAME = "daprd"  # Dapr's command line looks for a process of this name

MARK = "# Perdure in the place of Dapr's sidecar; written by `perdure daprd --install`."

SHEBANG_MAX = 127  # bytes that older kernels read of the first line


def install_into(folder: Path) -> Path:
    """Write an executable named daprd that runs `perdure daprd` with this Python.

    Args:
        folder: Made if it is not there.

    Returns:
        The path of the executable.

    Raises:
        click.ClickException: There is another daprd, or the folder cannot be written.
    """
    path = folder / NAME
    try:
        if path.exists() and MARK.encode() not in path.read_bytes():
            raise click.ClickException(
                f"{path} is another daprd, perhaps Dapr's own. Move it away, or choose another folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        # Replaced, not overwritten: a daprd that is running keeps the file that it was started from.
        fresh = path.with_name(f".{NAME}.new")
        fresh.write_text(script(sys.executable))
        fresh.chmod(0o755)
        fresh.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}.") from None
    return path


# What `dapr init --slim` writes, so that `dapr run` has a file to name.
CONFIGURATION = """\
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: daprConfig
spec: {}
"""


# Diagrid's dashboard lists workflows only where a state store is among the resources. It asks the sidecar for them,
# because it cannot open this kind of store itself.
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
    """Write the folder `components` with a state store and the file `config.yaml` beside `.dapr/bin`.

    A file that exists stays as it is, and so does a folder that has resources. `dapr run` checks that `components`
    exists. It names `config.yaml` to the sidecar without a check, and the sidecar refuses a file that does not exist,
    as Dapr's own does.

    Args:
        folder: Where daprd was installed. Beside any other folder than `.dapr/bin` nothing is written.

    Returns:
        The paths that were written.

    Raises:
        click.ClickException: One cannot be written.
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
    """The text of the executable.

    The kernel cuts a first line that is too long or has a space. A shell starts Python then, by two lines that are
    one string to Python, as in the scripts that pip writes.

    Args:
        python: The path of the interpreter.
    """
    first = f"#!{python}"
    if len(first) > SHEBANG_MAX or re.search(r"\s", python):
        first = f"#!/bin/sh\n'''exec' {shlex.quote(python)} \"$0\" \"$@\"\n' '''"
    return f"{first}\n{MARK}\nfrom perdure.cli.daprd import main\n\nmain()\n"
