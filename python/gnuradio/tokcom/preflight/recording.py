"""Check of a flowgraph before it replays a recording."""

import sys

from tokcom.errors import TokcomError
from tokcom.recording.reader import open_recording

SAMPLES = "cf32_le"


def require_recording(file: str) -> None:
    """End the program with a clear message unless there is a recording of complex 32-bit floats.

    Parameters:
        file: NAME of NAME.sigmf-data and NAME.sigmf-meta.
    """
    try:
        datatype = open_recording(f"{file}.sigmf-meta").datatype
    except TokcomError as error:
        sys.exit(f"{error}. Make a recording with examples/record.grc, or name one by --file NAME.")
    if datatype != SAMPLES:
        sys.exit(
            f"{file}: its samples are {datatype}, but a File Source needs {SAMPLES}; ./run replay {file} reads both."
        )
