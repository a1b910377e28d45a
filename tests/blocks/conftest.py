import threading

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr

DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))
VECTORS = {
    "uint8": pmt.init_u8vector,
    "int32": pmt.init_s32vector,
    "float32": pmt.init_f32vector,
    "complex64": pmt.init_c32vector,
}


@pytest.fixture
def pdu():
    """Makes a PDU of an array and metadata."""

    def make(array, **meta):
        array = np.asarray(array)
        dictionary = pmt.make_dict()
        for key, value in meta.items():
            dictionary = pmt.dict_add(dictionary, pmt.intern(key), pmt.to_pmt(value))
        return pmt.cons(dictionary, VECTORS[array.dtype.name](array.size, array.ravel().tolist()))

    return make


@pytest.fixture(scope="session")
def frame():
    """A photograph's tokens, with a class label."""
    from tokcom.models.zoo import load_tokenizer
    from tokcom.tokenizers.pictures import load_picture, sample_pictures, square

    tokenizer = load_tokenizer("caltech64", 0, "cpu")
    picture = square(load_picture(sample_pictures()[3]), tokenizer.image_size)
    return tokenizer.tokenize(picture, cmi=7, frame_id=5)


@pytest.fixture
def tokens_pdu(pdu):
    """Makes the PDU of a frame with that label, with other tokens if given."""

    def make(frame, tokens=None, **more):
        meta = {
            "frame_id": frame.frame_id, "modality": frame.modality, "codebook": frame.codebook,
            "codebook_size": frame.codebook_size, "grid": frame.grid, "cmi": 7, "cmi_name": "x", "name": "cat",
        }  # fmt: skip
        return pdu(frame.tokens if tokens is None else tokens, **meta | more)

    return make


@pytest.fixture
def send():
    """Posts PDUs to a block in a strict flowgraph that runs to its end; returns (metadata, array) of what came out."""

    def run(block, pdus, into=None, out=None):
        top = gr.top_block(catch_exceptions=False)
        store = blocks.message_debug()
        top.msg_connect(block, out or block.OUTPUT, store, "store")
        for message in pdus:
            block.to_basic_block()._post(pmt.intern(into or block.INPUT), message)
        block.to_basic_block()._post(pmt.intern("system"), DONE)
        top.start()
        top.wait()
        messages = [store.get_message(i) for i in range(store.num_messages())]
        return [(pmt.to_python(pmt.car(m)), np.asarray(pmt.to_python(pmt.cdr(m)))) for m in messages]

    return run


class Collector(gr.basic_block):
    """Keeps messages as (metadata, array), of those that have a key where one is named; `done` is set once as many as
    expected are here."""

    def __init__(self, expected, key=None):
        gr.basic_block.__init__(self, name="Collector", in_sig=None, out_sig=None)
        self.messages, self.done, self._expected, self._key = [], threading.Event(), expected, key
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self._take)

    def _take(self, message):
        meta, data = pmt.to_python(pmt.car(message)), np.asarray(pmt.to_python(pmt.cdr(message)))
        if self._key is not None and self._key not in meta:
            return
        self.messages.append((meta, data))
        if len(self.messages) == self._expected:
            self.done.set()


@pytest.fixture
def collector():
    """Makes a block that collects messages until as many as expected are here."""
    return Collector
