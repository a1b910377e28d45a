"""Joint or separate: tokens sent as they are, or compressed first and then protected, at the same noise.

Every scheme takes the fastest MCS with which frames arrive; that gives its airtime. With one MCS for all, PSNR over
Es/N0 shows how each fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.context.recovery import Recovery
from tokcom.errors import ParameterError
from tokcom.frame import LOST, BitFrame, TokenFrame
from tokcom.link.airtime import frame_samples
from tokcom.link.known_noise import SymbolLink
from tokcom.link.packet_link import LinkConfig, PacketLink
from tokcom.link.receiver import Receiver
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import Mcs, mcs_table
from tokcom.metrics.pictures import psnr_db
from tokcom.models.codebooks import codebook
from tokcom.models.recovery import load_recovery
from tokcom.models.zoo import load_context
from tokcom.packets.bits import bits_per_token
from tokcom.source.blocks import SourceSettings
from tokcom.source.frame_blocks import region_of
from tokcom.source.frame_coder import FrameCoder
from tokcom.source.payload import from_bits
from tokcom.tokenizers.vq import VQTokenizer
from tokcom_lab.curves.link_curve import list_decoded

SAMPLE_RATE = 1e6
WRONG = 1e-3
"""Largest share of wrong frames that counts as arriving."""
PSNR_LOSS_DB = 0.1
"""Largest loss of PSNR that counts as equal, for schemes whose wrong tokens are not lost frames."""
ROOM_DB = {"alone": 0.5, "raw, list": 0.5, "raw, context": 3.0}
"""Distance in dB below an MCS's threshold within which packets that are decoded alone, or a scheme, are tried."""
SLOWEST = ("raw, list", "raw, context")


@dataclass(frozen=True)
class SchemePoint:
    """A scheme at one Es/N0.

    Attributes:
        scheme: the scheme.
        esn0_db: Es/N0 in dB.
        mcs: name of the MCS of all packets.
        packets: packets per frame.
        airtime_ms: mean burst length in ms at 1 MS/s, preamble and header included.
        psnr_db: mean PSNR of the pictures shown with respect to the photographs.
        frames_wrong: share of frames with a wrong or lost token before the model fills in.
        frames: number of frames behind `frames_wrong`.
        chosen: whether the scheme chose the MCS; otherwise, it is the same for all.
    """

    scheme: str
    esn0_db: float
    mcs: str
    packets: int
    airtime_ms: float
    psnr_db: float
    frames_wrong: float
    frames: int
    chosen: bool


class CompressedLinkBench:
    """Frames of photographs, sent in several ways.

    Args:
        pictures: uint8 (n, size, size, 3).
        tokens: int (n, rows, columns), their tokens.
        model: name or folder of the model.
        tokenizer: the model's tokenizer.
        blocks: numbers of independent blocks, and packets, per compressed frame.
        turns: evaluations of the context model per block.
        seed: seed of the noise.
        progress: called after each frame that was compressed.
    """

    def __init__(
        self, pictures: np.ndarray, tokens: np.ndarray, model: str, tokenizer: VQTokenizer,
        blocks: Sequence[int] = (2, 4), turns: int = 16, seed: int = 0,
        progress: Callable[[int], None] = lambda done: None,
    ):  # fmt: skip
        self.pictures, self.tokenizer, self.model, self.seed = pictures, tokenizer, model, seed
        self.frames = tokenizer.frames(tokens)
        self._prior = load_context(model, "cpu")
        self._recoveries = {scheme: load_recovery(model, scheme.split(", ")[1], "cpu") for scheme in SLOWEST}
        self._recoveries["raw, Viterbi"] = load_recovery(model, "keep", "cpu")
        self.coded: dict[int, list[BitFrame]] = {}
        for each in blocks:
            coder = FrameCoder(self._prior, settings=SourceSettings(turns, each))
            self.coded[each] = []
            for frame in self.frames:
                self.coded[each].append(coder.encode(frame))
                progress(1)
        self.clean_db = float(np.mean([self._shown(number, frame) for number, frame in enumerate(self.frames)]))
        self._filled: dict[tuple, float] = {}

    def _shown(self, number: int, frame: TokenFrame) -> float:
        return psnr_db(self.pictures[number], self.tokenizer.detokenize(frame))

    def airtime_ms(self, frame: TokenFrame | BitFrame, per_packet: int, mcs: Mcs) -> float:
        """Compute the length of a frame's burst."""
        field = "bits_per_packet" if isinstance(frame, BitFrame) else "tokens_per_packet"
        return 1e3 * frame_samples(frame, TransmitConfig(mcs.name, **{field: per_packet})) / SAMPLE_RATE

    def decoded_alone(self, per_packet: int, esn0_db: float, frames: int) -> SchemePoint:
        """Find the fastest MCS of raw tokens with the Viterbi decoder, in packets of some number of tokens."""
        frame, name = self.frames[0], f"raw, Viterbi, {per_packet} tokens per packet"
        size, width = len(frame.tokens), frame.codebook_size
        return self._fastest(
            name, esn0_db, -(-size // per_packet), per_packet, width, frames,
            lambda mcs: self.airtime_ms(frame, per_packet, mcs),
        )  # fmt: skip

    def compressed(self, blocks: int, esn0_db: float, frames: int) -> SchemePoint:
        """Find the fastest MCS of compressed tokens, one block per packet."""
        sizes = [len(each.bits) // blocks for each in self.coded[blocks]]
        middle = int(np.median(sizes))
        return self._fastest(
            f"compressed, {blocks} packet{'s' * (blocks > 1)}", esn0_db, blocks, middle, 2, frames,
            lambda mcs: float(np.mean([
                self.airtime_ms(each, size, mcs) for each, size in zip(self.coded[blocks], sizes, strict=True)
            ])),
        )  # fmt: skip

    def _fastest(
        self, scheme: str, esn0_db: float, packets: int, per_packet: int, words: int, frames: int,
        airtime: Callable[[Mcs], float],
    ) -> SchemePoint:  # fmt: skip
        bits, listed, room_db = per_packet * bits_per_token(words), words == 2, ROOM_DB["alone"]
        rows = sorted(mcs_table(), key=airtime)
        for mcs in [row for row in rows if row.thresholds_db(bits, listed)[1] <= esn0_db + room_db] or rows[-1:]:
            wrong = frames_wrong(mcs, packets, per_packet, words, esn0_db, frames, self.seed)
            if wrong <= WRONG:
                break
        return SchemePoint(
            scheme, esn0_db, mcs.name, packets, airtime(mcs), self.clean_db, wrong, frames, True
        )  # fmt: skip

    def jointly(self, scheme: str, esn0_db: float, draws: int) -> SchemePoint:
        """Find the fastest MCS with which a scheme of SLOWEST shows pictures of equal PSNR."""
        rows = sorted(mcs_table(), key=lambda mcs: self.airtime_ms(self.frames[0], 4, mcs))
        for mcs in [row for row in rows if row.per10_esn0_db <= esn0_db + ROOM_DB[scheme]] or rows[-1:]:
            point = self.received(scheme, esn0_db, mcs, draws, chosen=True)
            if point.psnr_db >= self.clean_db - PSNR_LOSS_DB:
                break
        return point

    def received(self, scheme: str, esn0_db: float, mcs: Mcs, draws: int, chosen: bool = False) -> SchemePoint:
        """Send raw tokens, four per packet, and recover them."""
        link = SymbolLink(Transmitter(TransmitConfig(mcs.name)), Receiver([codebook(self.model)]))
        shown, wrong = [], 0
        for draw in range(draws):
            for number, frame in enumerate(self.frames):
                rng = np.random.default_rng([self.seed, number, draw, round(1000 * esn0_db) & 0xFFFFFFFF])
                (arrival,) = link.receive(link.transmit(frame, number).in_noise(esn0_db, rng))
                found = self._recoveries[scheme].recover(arrival.frame, arrival.received).frame
                wrong += not np.array_equal(found.tokens, frame.tokens)
                shown.append(self._shown(number, found))
        return SchemePoint(
            scheme, esn0_db, mcs.name, len(frame.tokens) // 4, self.airtime_ms(frame, 4, mcs), float(np.mean(shown)),
            wrong / len(shown), len(shown), chosen,
        )  # fmt: skip

    def blocks_received(self, blocks: int, esn0_db: float, mcs: Mcs, draws: int) -> SchemePoint:
        """Send compressed tokens; the model fills in lost blocks."""
        shown, wrong, airtime = [], 0, []
        for draw in range(draws):
            for number, each in enumerate(self.coded[blocks]):
                rng = np.random.default_rng([self.seed, number, draw, round(1000 * esn0_db) & 0xFFFFFFFF])
                size = len(each.bits) // blocks
                link = _link(mcs, size, 2)
                symbols = awgn(link.modulate(each.bits.reshape(blocks, size)), esn0_db, rng)
                _, ok = _decoded(link, link.demap(symbols, noise_variance(esn0_db)), 2)
                wrong += not ok.all()
                shown.append(self._with_blocks(number, blocks, tuple(ok.tolist())))
                airtime.append(self.airtime_ms(each, size, mcs))
        return SchemePoint(
            f"compressed, {blocks} packets", esn0_db, mcs.name, blocks, float(np.mean(airtime)), float(np.mean(shown)),
            wrong / len(shown), len(shown), False,
        )  # fmt: skip

    def _with_blocks(self, number: int, blocks: int, ok: tuple[bool, ...]) -> float:
        key = number, blocks, ok
        if key not in self._filled:
            tokens = self.frames[number].tokens.copy()
            for block in np.flatnonzero(~np.array(ok)):
                data = from_bits(self.coded[blocks][number], blocks)[block]
                tokens[region_of(data, block, blocks, self.frames[number].grid).places] = LOST
            found, _ = Recovery(self._prior).recover(self.frames[number].with_tokens(tokens))
            self._filled[key] = self._shown(number, found)
        return self._filled[key]


def _link(mcs: Mcs, per_packet: int, words: int) -> PacketLink:
    return PacketLink(LinkConfig("k7", mcs.modulation, per_packet, rate=mcs.rate), words)


def _decoded(link: PacketLink, llrs: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Packets, and which are believed: receivers list-decode bits as well."""
    return list_decoded(link, llrs) if words == 2 else link.decode(llrs)


def frames_wrong(
    mcs: Mcs, packets: int, per_packet: int, words: int, esn0_db: float, frames: int, seed: int
) -> float:  # fmt: skip
    """Simulate random frames in AWGN; return the share of those with a lost or wrong packet.

    Args:
        mcs: MCS of all packets.
        packets: packets per frame.
        per_packet: tokens, or bits, per packet.
        words: number of words of the codebook; 2 for bits.
        esn0_db: Es/N0 in dB.
        frames: number of frames, at least 1.
        seed: seed of content and noise.

    Raises:
        ParameterError: a parameter is out of its range.
    """
    if frames < 1:
        raise ParameterError(f"frames is {frames}; it must be at least 1")
    link, wrong = _link(mcs, per_packet, words), 0
    # Bits that are far too noisy are soon told, since to list-decode them takes long.
    at_once = max(1, (20_000 if words == 2 else 100_000) // (packets * per_packet))
    rng = np.random.default_rng([seed, packets, per_packet, mcs.index, round(1000 * esn0_db) & 0xFFFFFFFF])
    for start in range(0, frames, at_once):
        count = min(at_once, frames - start)
        sent = rng.integers(0, words, (count * packets, per_packet), dtype=np.int32)
        symbols = awgn(link.modulate(sent), esn0_db, rng)
        decoded, ok = _decoded(link, link.demap(symbols, noise_variance(esn0_db)), words)
        right = ok & (decoded == sent).all(axis=1)
        wrong += int((~right.reshape(count, packets).all(axis=1)).sum())
        if wrong > 20 * WRONG * frames:
            return wrong / (start + count)
    return wrong / frames
