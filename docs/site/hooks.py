"""What the site has beside the pages of `docs/`: pages of the root, one of all modules, and the design notes.

The rule: a page reads the same in the repository and on the site. Pages link to one another by their paths in the
repository; a link to a file that is no page of the site (source, an example) becomes its text. MkDocs calls the
functions by their names (https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

import os
import re
import runpy
import shutil
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Pages of the root -> their names on the site.
PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
NOTES = "Design notes"
INDEX = "design/README.md"
MODULES = "reference/modules.md"
FENCED = re.compile(r"(^ *```.*?^ *```[^\n]*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:)([^)#\s]*)(#[^)\s]*)?\)")
CODE = re.compile("\x00(\\d+)\x00")
STYLE = "assets/site.css"
# What lets the search box work on pages that are opened from a folder; the theme would load it from the network.
SHIM = "https://unpkg.com/iframe-worker/shim"
OWN_SHIM = "assets/javascripts/iframe-worker.js"
ELSEWHERE = re.compile(r"<(?:script|img|link)[^>]* (?:src|href)=\"?(https?://[^\s\">]+)")


def on_startup(command: str, dirty: bool) -> None:
    """Copy the code for the reference, before its maker looks for it."""
    copy_code(ROOT / "build" / "reference")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add each design note to the navigation, behind their index."""
    notes = sorted(
        f"design/{path.name}" for path in (ROOT / "docs" / "design").glob("*.md") if path.name != "README.md"
    )
    _section(config.nav, NOTES).extend(notes)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, that of all modules, and the site's style."""
    for source, name in PAGES.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    modules = runpy.run_path(str(Path(__file__).with_name("modules.py")))
    files.append(File.generated(config, MODULES, content=modules["page"]()))
    files.append(File.generated(config, STYLE, abs_src_path=str(Path(__file__).with_name("site.css"))))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links by the paths of the repository into links by the paths of the site."""
    inverse = {name: source for source, name in PAGES.items()}
    here = PurePosixPath(inverse.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def moved(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        if not target:
            return link[0]
        path = os.path.normpath(here.parent / target)
        if path == "docs/design":
            path = f"docs/{INDEX}"
        name = PAGES.get(path, path.removeprefix("docs/"))
        if (path not in PAGES and not path.startswith("docs/")) or files.get_file_from_path(name) is None:
            return text
        return f"[{text}]({os.path.relpath(name, PurePosixPath(page.file.src_uri).parent)}{anchor})"

    code: list[str] = []  # links within code are text

    def put_aside(block: re.Match[str]) -> str:
        code.append(block[0])
        return f"\x00{len(code) - 1}\x00"

    return CODE.sub(lambda found: code[int(found[1])], LINK.sub(moved, FENCED.sub(put_aside, markdown)))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Let a page load its own files only."""
    output = output.replace(SHIM, os.path.relpath(OWN_SHIM, PurePosixPath(page.file.dest_uri).parent))
    if elsewhere := ELSEWHERE.findall(output):
        raise PluginError(f"{page.file.src_uri} loads {elsewhere[0]}; pages of the site work without a network")
    return output


def on_post_build(config: MkDocsConfig) -> None:
    """Add the script that lets the search box work without a server."""
    shutil.copy(Path(__file__).with_name("iframe-worker.js"), Path(config.site_dir) / OWN_SHIM)


def copy_code(folder: Path) -> None:
    """Copy the package into a folder, with an `__init__.py` in each of its folders, and its fields' comments as texts.

    The reference is made from the text of the code, and its maker (griffe) passes over folders without an
    `__init__.py`. Ours have none (docs/design/layout.md).
    """
    documented = runpy.run_path(str(Path(__file__).with_name("fields.py")))["documented"]
    shutil.rmtree(folder, ignore_errors=True)
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]:
        parts = package.split(".")[1:]
        copy = folder.joinpath("perdure", *parts)
        copy.mkdir(parents=True)
        for module in ROOT.joinpath(*parts).glob("*.py"):
            (copy / module.name).write_text(documented(module.read_text()))
        (copy / "__init__.py").touch()


def _section(nav: Any, title: str) -> list[Any]:
    """The entries of a section of the navigation, wherever it stands."""
    for entry in nav:
        if isinstance(entry, dict):
            for name, entries in entry.items():
                if name == title:
                    return list_of(entries)
                if isinstance(entries, list):
                    try:
                        return _section(entries, title)
                    except LookupError:
                        continue
    raise LookupError(f"mkdocs.yml has no section {title!r} in its navigation")


def list_of(entries: Any) -> list[Any]:
    assert isinstance(entries, list), entries
    return entries
