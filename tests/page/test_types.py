"""The page's own modules have the types that their comments say. The compiler is TypeScript's; nothing is built."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.http.page.page import STATIC

from .vendor import VERSIONS

NODE = Path(sys.prefix) / "node"  # where `make test-ui` lays it
TSC = NODE / "node_modules/.bin/tsc"

OPTIONS = {
    "allowJs": True,
    "checkJs": True,
    "noEmit": True,
    "strict": True,
    "skipLibCheck": True,
    "types": [],
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "noUncheckedIndexedAccess": True,
    "noImplicitReturns": True,
    "noUnusedLocals": True,
    "noFallthroughCasesInSwitch": True,
    "exactOptionalPropertyTypes": True,
}
# The types of what is vendored, from its packages.
TYPES = {
    "preact": 'export * from "preact";',
    "hooks": 'export * from "preact/hooks";',
    "signals": 'export * from "@preact/signals";',
    "htm": 'import htm from "htm"; export default htm;',
    "uplot": 'import uPlot from "uplot"; export default uPlot;',
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TSC.exists(), reason="there is no TypeScript; `make test-ui` fetches it"),
]


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    """Have the compiler check a copy of the page's modules."""
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "include": ["**/*.js"]}))
    return subprocess.run([str(TSC), "-p", str(folder)], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    shutil.copytree(STATIC, folder)
    for path in (folder / "vendor").glob("*.js"):
        path.unlink()
    for name, text in TYPES.items():
        (folder / "vendor" / f"{name}.d.ts").write_text(text)
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    return folder


def test_the_modules_are_what_they_say(copy: Path) -> None:
    done = checked(copy)
    assert done.returncode == 0, done.stdout


def test_a_wrong_type_is_found(copy: Path) -> None:
    with (copy / "core/words.js").open("a") as file:
        file.write('size("three");\n')
    assert "words.js" in checked(copy).stdout


def test_the_types_are_those_of_what_is_vendored() -> None:
    wanted = json.loads(Path(__file__).with_name("package.json").read_text())["dependencies"]
    assert {name: version for name, version in wanted.items() if name != "typescript"} == VERSIONS
