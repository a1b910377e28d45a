"""Replay of recordings through the receiver."""

from collections.abc import Callable, Iterator

import numpy as np

from tokcom.errors import TokcomError
from tokcom.link.receiver import Receiver, Reception
from tokcom.recording.reader import CHUNK, Recording


def replay(
    recording: Recording,
    receiver: Receiver,
    *,
    chunk: int = CHUNK,
    progress: Callable[[int], None] = lambda samples: None,
    refused: Callable[[int, TokcomError], None] = lambda position, error: None,
) -> Iterator[Reception]:
    """Iterate over the bursts of a recording in the order in which they end; positions count from its first sample.

    At the beginning of each capture the receiver is reset. Its counters are in `receiver.searcher.counters`.

    Args:
        recording: the recording.
        receiver: a receiver that knows the codebooks.
        chunk: number of samples read at a time.
        progress: called with the number of samples done since the last call.
        refused: called with the position of a burst that could not be decoded, and the reason.

    Raises:
        RecordingError: the samples cannot be read.
    """
    for piece in recording.chunks(chunk):
        if piece.begins:
            receiver.searcher.reset(piece.start)
        for found in receiver.search(piece.samples):
            try:
                yield receiver.finish(found)
            except TokcomError as error:
                refused(found.position, error)
        progress(len(piece.samples))


def burst_row(burst: Reception, sample_rate: float) -> dict:
    """Convert a burst to one row of a report, with its tokens (-1 where lost) as a list."""
    header, frame, quality = burst.header, burst.frame, burst.quality
    return {
        "seconds": round(burst.position / sample_rate, 9),
        "frame": header.frame_id,
        "stream": header.stream_id,
        "profile": burst.profile,
        "esn0_db": round(quality.esn0_db, 2),
        "cfo_hz": round(quality.cfo * sample_rate / (2 * np.pi), 3),
        "evm_db": round(quality.evm_db, 2),
        "packets": header.n_packets,
        "packets_lost": int((~burst.packets_ok).sum()),
        "codebook": frame.codebook,
        "tokens": frame.tokens.tolist(),
    }
