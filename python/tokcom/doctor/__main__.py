"""`python -m tokcom.doctor`: the doctor where not even the `tokcom` command runs."""

import signal
import sys

from tokcom.doctor.report import doctor

if __name__ == "__main__":
    for name in ("SIGINT", "SIGPIPE"):  # Ctrl-C, and a reader that has read enough, end it quietly
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    sys.exit(doctor(as_json="--json" in sys.argv[1:]))
