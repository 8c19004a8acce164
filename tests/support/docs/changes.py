"""Diffs of a page, applied to the files that it has its reader write."""


def changed(source: str, diff: str) -> str:
    """A source after a diff; each part of the diff is in it once."""
    for hunk in diff.strip("\n").split("\n\n"):
        lines = hunk.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        assert source.count(before) == 1, f"{before!r} is {source.count(before)} times in\n{source}"
        source = source.replace(before, after)
    return source
