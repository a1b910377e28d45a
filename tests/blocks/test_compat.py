"""Older versions of GNU Radio are brought to what the blocks use."""

import subprocess
import sys

from gnuradio import gr
from gnuradio.tokcom._compat import give_logger

OLDER = """
import numpy as np, pmt
from gnuradio import gr
from gnuradio.gr import gateway
whole = gr.block_gateway
class Without:
    # The gateway of 3.10.1: all but the logger.
    def __init__(self, *arguments):
        self._whole = whole(*arguments)
    def __getattr__(self, name):
        if name == "logger":
            raise AttributeError(name)
        return getattr(self._whole, name)
gr.block_gateway = gateway.block_gateway = Without
from gnuradio import tokcom
block = tokcom.token_packetizer()
block.refuse(ValueError("nothing is wrong"))
assert block.frames_refused == 1 and block.logger is block.logger
class Both(gr.hier_block2):
    def __init__(self):
        gr.hier_block2.__init__(self, "Both", gr.io_signature(0, 0, 0), gr.io_signature(0, 0, 0))
Both().logger.warn("from both")
"""


def test_blocks_log_where_gnu_radio_gives_them_no_logger():
    done = subprocess.run([sys.executable, "-c", OLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr
    assert "frame refused (1 so far): ValueError: nothing is wrong" in told and "from both" in told


def test_a_logger_that_a_block_makes_itself_stays():
    class Own:
        def __init__(self):
            self.logger = "own"

    class Without:
        def name(self):
            return "a block"

    for block_class in (Own, Without):
        give_logger(block_class)
    assert Own().logger == "own" and isinstance(Without().logger, gr.logger)


def test_loggers_have_what_the_blocks_call():
    assert all(callable(getattr(gr.logger, method)) for method in ("info", "warn", "error"))
