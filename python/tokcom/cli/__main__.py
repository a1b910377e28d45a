"""`python -m tokcom.cli`: run the `tokcom` command if the program is not on the path."""

from tokcom.cli.main import main

if __name__ == "__main__":
    main(prog_name="tokcom")
