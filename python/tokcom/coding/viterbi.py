"""Maximum-likelihood decoding of convolutional codes (Viterbi), many packets in lockstep.

The innermost loop runs over packets, not states: every operation of the add-compare-select is then the same for all
lanes, whatever the code, and LLVM turns it into vector instructions. For a few packets, such as a header, it runs over
states.
"""

import numpy as np

from tokcom.coding.convolutional import ConvolutionalCode
from tokcom.errors import ParameterError
from tokcom.kernels import kernel

LANES = 64
"""Packets decoded in lockstep, as many as a picture has: with fewer, loop overhead dominates; more outgrow the
cache."""


FEW = 4
"""Number of packets up to which decoding them one by one is faster."""


def viterbi(code: ConvolutionalCode, llrs: np.ndarray, n_bits: int) -> np.ndarray:
    """Find the most likely bits.

    The survivor starts in state 0; it ends there if the code is terminated, else in the best state.

    Args:
        code: the code that the bits were sent with.
        llrs: float array (batch, code.coded_length(n_bits)), log P(bit 1) / P(bit 0); 0 carries no information.
        n_bits: bits of payload in each packet.

    Returns:
        uint8 array (batch, n_bits).

    Raises:
        ParameterError: the LLRs have another shape.
    """
    return _decoded(code, code.depuncture(llrs, n_bits), code.outputs, len(code.generators), n_bits)


def viterbi_of_steps(code: ConvolutionalCode, steps: np.ndarray, n_bits: int) -> np.ndarray:
    """The same by what is known of the code words of every trellis step.

    Args:
        code: the code; its punctures do not matter.
        steps: float array (batch, n_bits + tail, 2**outputs), log-likelihoods, each up to a constant per step.
        n_bits: bits of payload in each packet.

    Raises:
        ParameterError: the steps have another shape.
    """
    words = 1 << len(code.generators)
    if steps.ndim != 3 or steps.shape[1:] != (n_bits + code.tail, words):
        raise ParameterError(f"steps have shape {steps.shape}; they must be (batch, {n_bits + code.tail}, {words})")
    # To the decoder every code word but 0 is an output of its own, whose LLR is the word's against word 0.
    llrs = np.ascontiguousarray((steps[..., 1:] - steps[..., :1]).reshape(len(steps), -1), np.float32)
    alone = np.concatenate([[0], 1 << np.arange(words - 2, -1, -1)]).astype(code.outputs.dtype)
    return _decoded(code, llrs, alone[code.outputs], words - 1, n_bits)


def _decoded(code: ConvolutionalCode, llrs: np.ndarray, outputs: np.ndarray, n_outputs: int, n_bits: int) -> np.ndarray:
    stages = n_bits + code.tail
    bits = np.empty((len(llrs), stages), np.uint8)
    if len(llrs) <= FEW:
        _decode_each(llrs, outputs, n_outputs, code.terminated, bits)
    else:
        decisions = np.empty((stages, outputs.shape[0], LANES), np.uint8)
        _decode(llrs, outputs, n_outputs, code.terminated, decisions, bits)
    return bits[:, :n_bits]


@kernel(fastmath=True)
def _select(metric, survivor, decision, branch, outputs):
    half = metric.shape[0] // 2
    for j in range(half):
        for bit in range(2):
            upper, lower = metric[j], metric[j + half]
            branch_upper, branch_lower = branch[outputs[j, bit]], branch[outputs[j + half, bit]]
            best, chosen = survivor[2 * j + bit], decision[2 * j + bit]
            for lane in range(LANES):
                a = upper[lane] + branch_upper[lane]
                b = lower[lane] + branch_lower[lane]
                best[lane] = max(a, b)
                chosen[lane] = b > a


@kernel(fastmath=True)
def _decode(llrs, outputs, n_outputs, terminated, decisions, bits):
    states, half = outputs.shape[0], outputs.shape[0] // 2
    stages = decisions.shape[0]
    words = 1 << n_outputs
    metric = np.empty((states, LANES), np.float32)
    survivor = np.empty((states, LANES), np.float32)
    branch = np.zeros((words, LANES), np.float32)
    column = np.zeros((n_outputs, LANES), np.float32)
    state = np.zeros(LANES, np.int64)
    for first in range(0, llrs.shape[0], LANES):
        used = min(LANES, llrs.shape[0] - first)
        metric[:] = -1e9
        metric[0] = 0
        for t in range(stages):
            for i in range(n_outputs):
                for lane in range(used):
                    column[i, lane] = llrs[first + lane, t * n_outputs + i]
            for word in range(words):
                branch[word] = 0
                for i in range(n_outputs):
                    if (word >> (n_outputs - 1 - i)) & 1:
                        for lane in range(LANES):
                            branch[word, lane] += column[i, lane]
            _select(metric, survivor, decisions[t], branch, outputs)
            metric, survivor = survivor, metric
        state[:] = 0
        if not terminated:
            for lane in range(used):
                for s in range(states):
                    if metric[s, lane] > metric[state[lane], lane]:
                        state[lane] = s
        for t in range(stages - 1, -1, -1):
            for lane in range(used):
                s = state[lane]
                bits[first + lane, t] = s & 1
                state[lane] = (s >> 1) + decisions[t, s, lane] * half


@kernel(fastmath=True)
def _decode_each(llrs, outputs, n_outputs, terminated, bits):
    states, half = outputs.shape[0], outputs.shape[0] // 2
    stages, words = bits.shape[1], 1 << n_outputs
    metric, survivor = np.empty(states, np.float32), np.empty(states, np.float32)
    # Upper and lower branch into the states that a bit leads to.
    upper, lower = np.empty((2, half), np.float32), np.empty((2, half), np.float32)
    branch = np.empty(words, np.float32)
    chosen = np.empty((stages, 2, half), np.uint8)
    for row in range(llrs.shape[0]):
        metric[:] = -1e9
        metric[0] = 0
        for t in range(stages):
            for word in range(words):
                branch[word] = 0
                for i in range(n_outputs):
                    if (word >> (n_outputs - 1 - i)) & 1:
                        branch[word] += llrs[row, t * n_outputs + i]
            for bit in range(2):
                for j in range(half):
                    upper[bit, j], lower[bit, j] = branch[outputs[j, bit]], branch[outputs[j + half, bit]]
            for bit in range(2):
                for j in range(half):
                    a, b = metric[j] + upper[bit, j], metric[j + half] + lower[bit, j]
                    survivor[2 * j + bit] = max(a, b)
                    chosen[t, bit, j] = b > a
            metric, survivor = survivor, metric
        state = 0
        if not terminated:
            for s in range(states):
                if metric[s] > metric[state]:
                    state = s
        for t in range(stages - 1, -1, -1):
            bits[row, t] = state & 1
            state = (state >> 1) + chosen[t, state & 1, state >> 1] * half
