"""Fetch the libraries of the page from npm again, and write them and their manifest:

    python -m tests.page.vendor            (needs npm and a network)

The rule: what is vendored is what npm has, but for the names of modules, which become relative paths, and an `export`
where the file has none. The manifest has the hash of each file before and after. tests/http/page/test_vendored.py
holds the files to it; a new release is a change of VERSIONS here.
"""

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ..support.paths import ROOT

VENDOR = ROOT / "http/page/static/vendor"

VERSIONS = {
    "preact": "11.2.0",
    "htm": "3.1.1",
    "@preact/signals": "2.11.4",
    "@preact/signals-core": "1.14.5",
    "uplot": "1.6.32",
}
# Vendored file -> the package and its file. Texts that are replaced, and by what.
FILES = {
    "preact.js": ("preact", "dist/preact.mjs"),
    "hooks.js": ("preact", "hooks/dist/hooks.mjs"),
    "htm.js": ("htm", "dist/htm.mjs"),
    "signals.js": ("@preact/signals", "dist/signals.mjs"),
    "signals-core.js": ("@preact/signals-core", "dist/signals-core.mjs"),
    "uplot.js": ("uplot", "dist/uPlot.iife.min.js"),
    "uplot.css": ("uplot", "dist/uPlot.min.css"),
}
REPLACED = {
    'from"preact/hooks"': 'from"./hooks.js"',
    'from"preact"': 'from"./preact.js"',
    'from"@preact/signals-core"': 'from"./signals-core.js"',
}
SOURCE_MAP = "//# sourceMappingURL="
ADDED = {"uplot.js": "export default uPlot;\n"}


def main() -> None:
    """Write the files, the licences and the manifest."""
    manifest: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for package, version in VERSIONS.items():
            unpacked = unpack(package, version, Path(folder))
            licence = f"licences/{package.removeprefix('@').replace('/', '-')}.txt"
            (VENDOR / licence).write_bytes((unpacked / "LICENSE").read_bytes())
            about = json.loads((unpacked / "package.json").read_text())
            for name, (owner, path) in FILES.items():
                if owner == package:
                    source = (unpacked / path).read_text()
                    text = made_ours(name, source)
                    (VENDOR / name).write_text(text)
                    manifest[name] = {
                        "package": package,
                        "version": version,
                        "file": path,
                        "licence": about["license"],
                        "licence_text": licence,
                        "sha256_in_package": digest(source),
                        "sha256": digest(text),
                    }
    (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def unpack(package: str, version: str, folder: Path) -> Path:
    """Have npm fetch a package, and return the folder that it was unpacked to."""
    into = folder / package.replace("/", "-")
    into.mkdir()
    subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=into, check=True, capture_output=True)
    (archive,) = into.glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extractall(into, filter="data")
    return into / "package"


def made_ours(name: str, text: str) -> str:
    """Let a module import its neighbours by relative paths, and export what it has."""
    for old, new in REPLACED.items():
        text = text.replace(old, new)
    lines = [line for line in text.splitlines() if not line.startswith(SOURCE_MAP)]
    return "\n".join(lines) + "\n" + ADDED.get(name, "")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
