"""`python -m perdure` is `perdure`: what the script calls.

The rule: nothing of it is imported before Ctrl-C has an answer.
"""

import sys

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main() -> None:
    """Run the command."""
    try:
        from .cli.main import main as perdure  # noqa: PLC0415  the rule above
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    perdure(prog_name="perdure")


if __name__ == "__main__":
    main()
