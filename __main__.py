"""`python -m perdure` is `perdure`."""

from .cli.main import main

if __name__ == "__main__":
    main(prog_name="perdure")
