from collections.abc import Mapping, Sequence

import numpy as np

from tokcom import keys
from tokcom.frame import BITS
from tokcom.link.bursts import TransmitConfig, Transmitter
from tokcom.models.zoo import DEFAULT_MODEL, codebooks
from tokcom.packets.labels import NATURAL
from tokcom.security.sender import Sender

from ._pdu import PduBlock, mcs_of, outline_of, packet_rows, payload_of, seal_value, vector_of


class packet_encoder(PduBlock):
    """Protect each packet with a CRC and a convolutional code.

    The CRC is bound to stream, frame and packet, so that a receiver cannot mistake a packet of another burst for one of
    this. An MCS per packet in the metadata takes precedence.

    Input: message port "packets", PDUs of s32 tokens, or bits, in packet order.
    Output: message port "bits", PDUs of u8 coded bits, one packet after the other, with mcs and stream_id added, labels
        if they are not natural, and seal if they are encrypted.

    Parameters:
        mcs: modulation and coding scheme, by name ("16qam-1/2") or index (0 to 14).
        labels: "natural": tokens are sent under their own numbers; "semantic": with labels such that wrong tokens of a
            failed packet have similar meanings, for receivers that keep them; "contextual": with labels that keep apart
            what the context model confuses, for receivers that decode with it.
        models: models whose labels are known, by name or folder, as a list or separated by commas.
        stream_id: stream number, for channels shared by several transmitters, 0 to 63; the same as in Burst Framer.
        key: file of the key that encrypts packets, from `tokcom keys new`; empty to send them in clear. It requires
            natural labels.
        direction: 0 or 1; two ends that both transmit with one key use one each.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "packets", "bits", "int32", "encoder"

    def __init__(
        self, mcs: str = "16qam-1/2", labels: str = NATURAL, models: str | Sequence[str] = DEFAULT_MODEL,
        stream_id: int = 0, key: str = "", direction: int = 0,
    ):  # fmt: skip
        PduBlock.__init__(self, "Packet Encoder")
        self._labels, self._stream_id = labels, stream_id
        self._sender = Sender.of_file(key, direction) if key else None
        self._codebooks = [] if labels == NATURAL else codebooks(models)
        self.set_mcs(mcs)

    def set_mcs(self, mcs: str) -> None:
        config = TransmitConfig(mcs, labels=self._labels, stream_id=self._stream_id)
        self._transmitter = Transmitter(config, self._codebooks, self._sender)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        packets = packet_rows(meta, data)
        mcs = mcs_of(meta) if keys.MCS in meta else self._transmitter.choose_mcs(len(packets))
        outline = outline_of(meta)
        coded = self._transmitter.coded(outline, mcs, packets.shape[1])
        stream = self._transmitter.key_stream(outline)
        added = {
            keys.MCS: vector_of(mcs),
            keys.LABELS: None if self._labels == NATURAL or payload_of(meta) == BITS else self._labels,
            keys.STREAM_ID: self._stream_id,
            keys.SEAL: None if stream is None else seal_value(stream.seal),
        }
        return added, coded.encode(packets, self._transmitter.identity(outline, stream))
