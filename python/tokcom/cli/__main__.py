"""`python -m tokcom.cli`: the `tokcom` command where the program is not on the path."""

from tokcom.cli.main import main

if __name__ == "__main__":
    main(prog_name="tokcom")
