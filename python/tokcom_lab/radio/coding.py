"""Comparison of the Viterbi decoder with gr-fec's."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pmt
from gnuradio import blocks, fec, gr

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.coding.viterbi import viterbi
from tokcom.link.packet_link import LinkConfig

PAYLOAD_BITS = 56
"""Bits per packet before coding: four 10-bit tokens and CRC-16."""
GR_POLYNOMIALS = [109, 79]
"""133 and 171 (octal) as gr-fec writes them, newest bit last."""
RIVAL = "gr-fec async_decoder, packet by packet"


def decoder_rates(packets: int, rounds: int, esn0_db: float, seed: int) -> list[dict]:
    """Measure speed and wrong packets of each decoder on the same LLRs, as the median over rounds."""
    config = LinkConfig("k7")
    codec, constellation = config.codec(1024), config.constellation()
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 1024, (packets, 4))
    sent = codec.crc.append((tokens[:, :, None] >> np.arange(9, -1, -1) & 1).reshape(packets, 40))
    symbols = awgn(constellation.map(codec.code.encode(sent)), esn0_db, rng)
    llrs = constellation.llrs(symbols, noise_variance(esn0_db), codec.coded_length, config.llr_method)
    contenders = {
        "tokcom, all packets in one call": lambda: viterbi(codec.code, llrs, PAYLOAD_BITS),
        "tokcom, 64 packets (one picture) per call": lambda: in_calls_of(64, codec.code, llrs),
        "tokcom, packet by packet": lambda: in_calls_of(1, codec.code, llrs),
        RIVAL: async_decoder(llrs),
        "gr-fec cc_decoder kernel (fec.decoder stream block)": stream_decoder(llrs),
    }
    seconds = {name: [] for name in contenders}
    wrong = {}
    for decode in contenders.values():
        decode()  # compiles, fills caches
    for _ in range(rounds):
        for name, decode in contenders.items():
            decoded, taken = timed(decode)
            seconds[name].append(taken)
            wrong[name] = float((decoded != sent).any(axis=1).mean())
    rate = {name: packets * PAYLOAD_BITS / statistics.median(taken) / 1e6 for name, taken in seconds.items()}
    return [
        {
            "decoder": name,
            "mbit_per_s": round(rate[name], 2),
            "ratio_to_async_decoder": round(rate[name] / rate[RIVAL], 2),
            "packets_wrong": round(wrong[name], 5),
        }
        for name in contenders
    ]


def in_calls_of(size: int, code: ConvolutionalCode, llrs: np.ndarray) -> np.ndarray:
    """Decode bits in calls of `size` packets."""
    return np.concatenate(
        [viterbi(code, llrs[start : start + size], PAYLOAD_BITS) for start in range(0, len(llrs), size)]
    )


def timed(work: Callable) -> tuple[np.ndarray, float]:
    """Run work and return its result and its duration in seconds, which it may report itself."""
    started = time.perf_counter()
    result = work()
    return result if isinstance(result, tuple) else (result, time.perf_counter() - started)


def cc_decoder() -> object:
    """Make gr-fec's decoder of the same code."""
    return fec.cc_decoder.make(PAYLOAD_BITS, 7, 2, GR_POLYNOMIALS, 0, 0, fec.CC_TERMINATED, False)


def async_decoder(llrs: np.ndarray) -> Callable:
    """Make gr-fec's PDU decoder, whose soft input is not clamped in this version: beyond 2.7 the sign flips."""
    soft = np.clip(llrs * 0.4, -2.6, 2.6)
    messages = [pmt.cons(pmt.PMT_NIL, pmt.init_f32vector(soft.shape[1], row.tolist())) for row in soft]

    def decode():
        top = gr.top_block(catch_exceptions=False)
        block, store = fec.async_decoder(cc_decoder(), False, False, 1500), blocks.message_debug()
        top.msg_connect(block, "out", store, "store")
        for message in messages:
            block.to_basic_block()._post(pmt.intern("in"), message)
        block.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
        started = time.perf_counter()
        top.start()
        top.wait()
        taken = time.perf_counter() - started
        out = [pmt.u8vector_elements(pmt.cdr(store.get_message(i))) for i in range(store.num_messages())]
        return np.array(out, dtype=np.uint8).reshape(len(out), -1)[:, :PAYLOAD_BITS], taken

    return decode


def stream_decoder(llrs: np.ndarray) -> Callable:
    """Make gr-fec's decoder kernel, fed by a stream of 8-bit soft values without Python in between."""
    soft = np.clip(np.round(llrs * 20) + 128, 0, 255).astype(np.uint8)

    def decode():
        top = gr.top_block(catch_exceptions=False)
        source, sink = blocks.vector_source_b(soft.ravel().tolist()), blocks.vector_sink_b()
        decoder = fec.decoder(cc_decoder(), gr.sizeof_char, gr.sizeof_char)
        top.connect(source, decoder, sink)
        started = time.perf_counter()
        top.run()
        taken = time.perf_counter() - started
        return np.array(sink.data(), dtype=np.uint8).reshape(-1, PAYLOAD_BITS), taken

    return decode
