"""Cost of a key: time per frame at the receiver, airtime, and forged packets that lists believe."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tokcom.channel.awgn import awgn
from tokcom.coding.list_decoding import ListSettings
from tokcom.coding.packet_codec import PacketCodec
from tokcom.frame import TokenFrame
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import Transmitter
from tokcom.packets.codebook import Codebook
from tokcom.packets.universal_hash import UniversalHash
from tokcom.security.frame_cipher import Direction, FrameCipher
from tokcom.security.keyring import Keyring
from tokcom.security.keys import Key
from tokcom.security.sealer import Sealer

KEY = Key(bytes(range(32)))
BOOK = Codebook("random", 1024)
ESN0_DB = 20.0
PACKETS_AT_ONCE = 512


def seal_cost(frames: int, seed: int = 0, progress: Callable[[int], None] = lambda done: None) -> list[dict]:
    """Time and airtime of frames of 256 tokens in 16-QAM 1/2 with and without a key, one after the other in turns.

    Args:
        frames: of each kind.
        seed: of tokens and noise.
        progress: called with the number of frames done since the last call.

    Returns:
        One row each for bursts in clear, with tags of 16 bits (as long as CRCs) and of 32: samples of a burst, the
        median time to receive one in ms and as a share above that in clear, and the median of what its ciphers take.
    """
    rng, rows = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"clear": (Transmitter(), Receiver([BOOK]))}
        for bits in (16, 32):
            sealer = Sealer(KEY, Path(folder, f"epochs{bits}"), tag_bits=bits)
            keys = Keyring([KEY], replays=None, tag_bits=bits)
            kinds[f"tags of {bits} bits"] = Transmitter(sealer=sealer), Receiver([BOOK], keys=keys)
        taken, airtime = {name: [] for name in kinds}, {}
        for number in range(frames + 1):
            frame = TokenFrame(rng.integers(0, 1024, 256), BOOK.name, BOOK.size, frame_id=number)
            for name in rng.permutation(list(kinds)):
                transmitter, receiver = kinds[name]
                burst = transmitter.transmit(frame)
                airtime[name] = len(burst)
                (found,) = receiver.search(awgn(np.pad(burst, 400), ESN0_DB, rng))
                begun = time.perf_counter()
                receiver.finish(found)
                taken[name].append(time.perf_counter() - begun)
            progress(1)
    clear = np.array(taken["clear"][1:])
    for name, seconds in taken.items():
        ciphers = {} if name == "clear" else _of_ciphers(int(name.split()[2]), frames)
        rows.append(
            {
                "burst": name,
                "samples": airtime[name],
                "receive_ms": round(float(np.median(seconds[1:])) * 1e3, 3),
                "over_clear": round(float(np.median(np.array(seconds[1:]) / clear)) - 1, 4),
                **{each: round(value / float(np.median(clear)), 4) for each, value in ciphers.items()},
            }
        )
    return rows


def _of_ciphers(tag_bits: int, times: int) -> dict[str, float]:
    """Seconds per frame, medians: to make the key stream and turn LLRs by it, and to make and test tags."""
    direction, codec = Direction(KEY, 0, tag_bits), PacketCodec(tag_bits=tag_bits)
    lengths = np.full(64, codec.coded_length)
    llrs, stream, tags = np.ones(lengths.sum(), np.float32), [], []
    packets = np.zeros((64, 40 + tag_bits), np.uint8)
    for number in range(times):
        cipher = FrameCipher(direction, 0, 0, number, b"header")
        begun = time.perf_counter()
        llrs * (1 - 2 * cipher.bits(lengths).view(np.int8))
        between = time.perf_counter()
        check, presets = cipher.tags(40, 64)
        check.check(packets, presets)
        stream.append(between - begun)
        tags.append(time.perf_counter() - between)
    return {"encryption_share": float(np.median(stream)), "tags_share": float(np.median(tags))}


def forgeries(packets: int, sizes: tuple[int, ...] = (1, 4, 16, 64), seed: int = 0) -> list[dict]:
    """Rate at which packets without the key pass tags of 8 bits, short enough to count, by Viterbi decoding and by
    lists.

    Packets of two tokens of 8 bits come as code words with tags at random, in noise between none and more than there
    is signal, and are tested by what every list believes: a share of 1 / list size.

    Args:
        packets: for each noise.
        sizes: of lists.
        seed: of all.

    Returns:
        A row each: packets, those that passed, and how many may by chance.
    """
    rng, codec = np.random.default_rng(seed), PacketCodec("k7", 256, 2, tag_bits=8)
    passed, tried = dict.fromkeys((0, *sizes), 0), 0
    priors = np.full((PACKETS_AT_ONCE, 2, 256), -np.log(256), np.float32)
    for strength in (0.3, 1.0, 3.0, 10.0):
        for _ in range(-(-packets // PACKETS_AT_ONCE)):
            n = PACKETS_AT_ONCE
            tag, forged = (UniversalHash(rng.integers(0, 256, 3, np.uint8), 8, 16) for _ in range(2))
            presets, others = rng.integers(0, 256, (2, n))
            words = codec.encode(rng.integers(0, 256, (n, 2)), others, forged)
            llrs = (strength * (2.0 * words - 1 + rng.standard_normal(words.shape))).astype(np.float32)
            tried += n
            passed[0] += int(codec.decode(llrs, presets, tag)[1].sum())
            steps = codec.list_decoder.steps(llrs)
            for size in sizes:
                found = codec.list_decoder.decode(steps, priors, ListSettings(size), presets, tag)
                passed[size] += int((found.log_share >= -np.log(size)).sum())
    return [
        {
            "decoder": f"list of {size}" if size else "Viterbi",
            "packets": tried,
            "passed": count,
            "allowed": round(tried * max(size, 1) / 256, 1),
        }
        for size, count in passed.items()
    ]
