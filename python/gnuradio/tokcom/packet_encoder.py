from collections.abc import Mapping, Sequence

import numpy as np

from tokcom import keys
from tokcom.frame import BITS
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.models.codebooks import codebooks
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.packets.labels import NATURAL
from tokcom.packets.seal import TAG_BITS
from tokcom.packets.thinning import packets_sent
from tokcom.security.sealer import Sealer

from ._burst_keys import layout_of, mcs_of, packet_rows, seal_value
from ._frame_keys import outline_of, payload_of
from ._pdu import required, vector_of
from ._pdu_block import PduBlock


class packet_encoder(PduBlock):
    """Protect each packet with a CRC, or with a key's tag, and a convolutional code.

    The check is bound to stream, frame and packet, so that a receiver takes no packet of another burst for one of this.
    Packets whose metadata names an MCS for each keep those.

    Input: message port "packets", PDUs of s32 tokens, or bits, in packet order.
    Output: message port "bits", PDUs of u8 coded bits, one packet after the other, with mcs and stream_id added,
    labels where they are not natural, and seal where a key protects them: header and packets then go out as they
    are described here.

    Parameters:
        mcs: modulation and coding scheme, by name ("16qam-1/2") or index (0 to 14).
        labels: "natural": tokens are sent under their own numbers; "semantic": under labels that let wrong tokens of a
            failed packet mean nearly the same, for receivers that keep those; "contextual": under labels that keep
            apart what the context model confuses, for receivers that decode with it.
        models: models whose labels are known, by name or folder, in a list or between commas.
        stream_id: of several transmitters on one channel, 0 to 63; Burst Framer sends no other.
        key: file of the key that bursts are encrypted and authenticated with, from `tokcom keys new`; empty: they are
            sent in clear. It takes natural labels.
        direction: 0 or 1; two ends that both transmit with one key take one each.
        tag_bits: of each packet's tag, which takes the place of its CRC: 8 to 56 in whole bytes. A forged packet is
            taken for genuine once in 2**tag_bits; receivers ask for 32.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "packets", "bits", "int32", "encoder"

    def __init__(
        self, mcs: str = "16qam-1/2", labels: str = NATURAL, models: str | Sequence[str] = DEFAULT_MODEL,
        stream_id: int = 0, key: str = "", direction: int = 0, tag_bits: int = TAG_BITS,
    ):  # fmt: skip
        PduBlock.__init__(self, "Packet Encoder")
        self._labels, self._stream_id = labels, stream_id
        self._sealer = Sealer.of_file(key, direction, tag_bits) if key else None
        self._codebooks = [] if labels == NATURAL else codebooks(models)
        self.set_mcs(mcs)

    def set_mcs(self, mcs: str) -> None:
        config = TransmitConfig(mcs, labels=self._labels, stream_id=self._stream_id)
        self._transmitter = Transmitter(config, self._codebooks, self._sealer)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        packets = packet_rows(meta, data)
        outline = outline_of(meta)
        sent = packets_sent(outline.thinning, outline.grid, packets.shape[1])
        mcs = mcs_of(meta) if keys.MCS in meta else self._transmitter.choose_mcs(len(packets), sent)
        coded = self._transmitter.coded(outline, mcs, packets.shape[1])
        identity, seal = self._transmitter.identity(outline), None
        if self._sealer is not None:
            seed = required(meta, keys.LAYOUT_SEED, int)
            header = self._transmitter.header(outline, seed, mcs, packets.shape[1], layout=layout_of(meta))
            header, identity = self._transmitter.sealed(header)
            seal = seal_value(header.seal)
        added = {
            keys.MCS: vector_of(mcs),
            keys.LABELS: None if self._labels == NATURAL or payload_of(meta) == BITS else self._labels,
            keys.STREAM_ID: self._stream_id,
            keys.SEAL: seal,
        }
        return added, coded.encode(packets, identity)
