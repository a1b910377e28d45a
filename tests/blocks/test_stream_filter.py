import numpy as np
import pmt
import pytest
from gnuradio import gr, tokcom

from tokcom.errors import ParameterError


def run(block, collector, messages, expected):
    top, out = gr.top_block(catch_exceptions=False), collector(expected)
    top.msg_connect(block, "out", out, "in")
    top.start()
    for message in messages:
        block.to_basic_block()._post(pmt.intern("in"), message)
    assert out.done.wait(20)
    top.stop()
    top.wait()
    return [(meta["stream_id"], meta["mine"]) for meta, _ in out.messages]


@pytest.fixture
def bursts(pdu):
    return [pdu(np.zeros(2, np.complex64), stream_id=stream, mine=n) for n, stream in enumerate((0, 5, 63, 5, 0))]


@pytest.mark.parametrize(
    ("streams", "passing"), [("", [0, 1, 2, 3, 4]), ("5", [1, 3]), ("0, 63", [0, 2, 4]), ("63,", [2])]
)
def test_the_streams_that_are_named_pass(streams, passing, collector, bursts):
    block = tokcom.stream_filter(streams)
    assert [number for _, number in run(block, collector, bursts, len(passing))] == passing
    assert block.frames_passed == len(passing) and block.frames_held == 5 - len(passing)


def test_streams_may_change_while_it_runs_and_bad_messages_are_counted(collector, bursts, pdu):
    block = tokcom.stream_filter("1")
    block.set_streams("0")
    bad = [pmt.intern("no PDU"), pdu(np.zeros(2, np.complex64), mine=0), pdu(np.zeros(2, np.complex64), stream_id="x")]
    assert [number for _, number in run(block, collector, bad + bursts, 2)] == [0, 4]
    assert block.frames_refused == 3


@pytest.mark.parametrize("streams", ["64", "-1", "one", "1;2"])
def test_bad_streams_are_named(streams):
    with pytest.raises(ParameterError, match=f"streams is '{streams}'; it must be numbers from 0 to 63"):
        tokcom.stream_filter(streams)
