"""`python -m tokcom.doctor`: run the doctor even if the `tokcom` command does not start."""

import signal
import sys

from tokcom.doctor.report import doctor

if __name__ == "__main__":
    for name in ("SIGINT", "SIGPIPE"):  # end quietly on Ctrl-C and on a closed pipe
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    sys.exit(doctor(as_json="--json" in sys.argv[1:]))
