"""`python -m tokcom.cli`: run the `tokcom` command if the program is not on the path."""

from tokcom.cli.main import main
from tokcom.interruption import end_in_order

if __name__ == "__main__":
    end_in_order()
    main(prog_name="tokcom")
