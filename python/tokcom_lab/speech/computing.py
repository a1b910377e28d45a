"""Processor time of a speech tokenizer as a stream."""

import time

import numpy as np

from tokcom.tokenizers.pitch import FRAME, RATE
from tokcom.tokenizers.speech import DELAY, LOOK_AHEAD, SpeechDecoder, SpeechEncoder, SpeechTokenizer


def computing(tokenizer: SpeechTokenizer, signal: np.ndarray, frames: int) -> dict[str, float]:
    """Measure a stream sent piece by piece.

    Args:
        tokenizer: the tokenizer.
        signal: float32 (n,).
        frames: frames of 40 ms per piece.

    Returns:
        Processor seconds per second of speech of encoder and decoder, and the delay from microphone to loudspeaker in
        ms without channel and computing.
    """
    encoder, decoder = SpeechEncoder(tokenizer), SpeechDecoder(tokenizer)
    spent = {"encoder": 0.0, "decoder": 0.0}
    for start in range(0, len(signal), frames * FRAME):
        begun = time.process_time()
        words = encoder.push(signal[start : start + frames * FRAME])
        between = time.process_time()
        decoder.push(words)
        spent["encoder"] += between - begun
        spent["decoder"] += time.process_time() - between
    seconds = len(signal) / RATE
    delay = 1000 * (frames * FRAME + LOOK_AHEAD + DELAY) / RATE
    return {"frames": frames, "delay_ms": delay} | {f"{name}_load": each / seconds for name, each in spent.items()}
