"""Vendored files come from npm: they are those of the manifest, each with its licence.

`python -m tests.page.vendor` writes them.
"""

import hashlib
import json

from ...page.vendor import ADDED, FILES, REPLACED, VENDOR, VERSIONS, made_ours

MANIFEST = json.loads((VENDOR / "manifest.json").read_text())


def test_each_file_is_the_one_that_was_vendored() -> None:
    files = {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    assert files == set(MANIFEST) == set(FILES)
    for name, entry in MANIFEST.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == entry["sha256"], name
        assert (entry["package"], entry["file"]) == FILES[name]
        assert entry["version"] == VERSIONS[entry["package"]]


def test_each_file_has_its_licence() -> None:
    for name, entry in MANIFEST.items():
        text = (VENDOR / entry["licence_text"]).read_text()
        assert entry["licence"] in ("MIT", "Apache-2.0"), name
        assert "MIT" in text or "Apache License" in text, name


def test_only_names_of_modules_are_changed() -> None:
    source = 'import{h}from"preact";import{useState}from"preact/hooks";f();\n//# sourceMappingURL=x.map\n'
    assert made_ours("x.js", source) == 'import{h}from"./preact.js";import{useState}from"./hooks.js";f();\n'
    assert set(ADDED) <= set(FILES)
    assert all(new.startswith('from"./') for new in REPLACED.values())
