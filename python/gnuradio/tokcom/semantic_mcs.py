import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pmt

from tokcom import keys
from tokcom.adaptation.cqi import CqiMemory, CqiState
from tokcom.adaptation.outer_loop import OuterLoop
from tokcom.context.condition import Condition
from tokcom.errors import ModelError, ParameterError
from tokcom.frame import BitFrame, Payload
from tokcom.link.adaptation import SEMANTIC, AdaptationConfig, Choice, LinkAdapter
from tokcom.link.frame_memory import FrameMemory
from tokcom.link.transmitter import TransmitConfig
from tokcom.models.by_codebook import load_expectations
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.packets.header_fields import FRAME_IDS
from tokcom.packets.layout import SPREAD, unpack
from tokcom.packets.mcs_map import MCS_NOT_SENT

from ._burst_keys import carriers_of, layout_of, packet_rows
from ._frame_keys import outline_of
from ._pdu import make_pdu, open_pdu, required, vector_of
from ._pdu_block import PduBlock


class semantic_mcs(PduBlock):
    """Choose the modulation and coding of every packet, the packets' layout and the burst's power from the channel
    quality and the tokens' predictability to the receiver.

    Without CQI, or with an old one, it assumes a poor channel, and says so in the log and with every choice.

    Input: message port "packets", PDUs of s32 tokens in packet order from token_packetizer. Message port "cqi", PDUs
        whose metadata hold carrier_esn0_db, or esn0_db, of a received burst. Message port "reports", PDUs whose
        metadata describe the reception of a burst: frame_id, packets_lost and, with policy "cqi-context", packets_open.
        PDUs of another transmitter's stream are ignored. From a remote receiver, both come through feedback_decoder.
    Output: message port "packets", the same tokens in the order of the layout chosen, with layout_seed, mcs and
    power_db. Message port "choice": per frame policy, mcs_summary, power_db, esn0_db, offset_db, cqi_state,
    cqi_age, expected_ter, airtime_samples and signalling_bits. Message port "readout": the same as a pair of the word
    "readout" and a line of text, for Message Pair to Var and a label.

    Parameters:
        policy: "fixed": always the same MCS; "cqi" and "cqi-context": the fastest whose expected PER meets the target,
            as today's networks do; "semantic": the shortest burst whose expected token errors are within the bound;
            "semantic-power": the one of least energy that is not longer than that of "cqi". For frames of bits, both
            are "cqi" with the bound as the target.
        models: the receiver's models, by name or folder, as a list or separated by commas; for each frame, the one of
            its codebook is used.
        mcs: MCS of policy "fixed", by name or index.
        target: packet error rate of "cqi" and "cqi-context", above 0 and below 1.
        bound: upper bound on the expected share of wrong tokens, or lost bits, per frame, above 0 and below 1.
        max_age: seconds for which a CQI is fresh.
        fallback_esn0_db: Es/N0 in dB assumed without a CQI.
        step_db: step of the outer loop per lost packet, in dB; 0 for no outer loop.
        peak_db: largest power of a burst in dB, with "semantic-power".
        profile: "standard" or "robust", as in burst_framer.
        stream_id: stream number of this transmitter, 0 to 63, as in burst_framer; -1 to use CQI and reports of all
            streams.
        device: where networks run: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:N"; or "onnx", of models
            that `./run models export` wrote.
        tag_bits: of each packet's tag, where Packet Encoder has a key: airtime and errors are reckoned with it; 0: it
            has none.
        assumed_bits: bits per token that the semantic policies take every frame to have, so that the shape of a burst
            tells nothing of its content; 0: the frame's own.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "packets", "packets", "int32", "semantic_mcs"
    CQI, REPORTS = pmt.intern("cqi"), pmt.intern("reports")
    CHOICE, READOUT = pmt.intern("choice"), pmt.intern("readout")
    REMEMBERED = 64
    """Number of frames whose reports are still accepted."""

    def __init__(
        self, policy: str = "semantic", models: str | Sequence[str] = DEFAULT_MODEL, mcs: str = "16qam-1/2",
        target: float = 0.1, bound: float = 0.02, max_age: float = 1.0, fallback_esn0_db: float = 1.5,
        step_db: float = 0.02, peak_db: float = 3.0, profile: str = "standard", stream_id: int = 0,
        device: str = "auto", tag_bits: int = 0, assumed_bits: float = 0.0,
    ):  # fmt: skip
        PduBlock.__init__(self, "Semantic MCS")
        if not -1 <= stream_id <= 63:
            raise ParameterError(f"stream_id is {stream_id}; it must be 0 to 63, or -1 for any")
        self._models, self._device, self._stream_id, self._tag_bits = models, device, stream_id, tag_bits
        self._transmit, self._expectations = TransmitConfig(profile=profile), None
        self._settings = {"policy": policy, "mcs": mcs, "target": target, "bound": bound, "peak_db": peak_db}
        self._settings["assumed_bits"] = assumed_bits or None
        self._memory = CqiMemory(max_age, fallback_esn0_db=fallback_esn0_db)
        self._loop = OuterLoop(target, step_db) if step_db else None
        self._before = FrameMemory()
        self._sent: OrderedDict[int, Choice] = OrderedDict()
        self._unreported: set[int] = set()
        self._cqi_state = ""
        self._configuring = threading.Lock()
        self._configure()
        self.message_port_register_in(self.CQI)
        self.message_port_register_in(self.REPORTS)
        self.message_port_register_out(self.CHOICE)
        self.message_port_register_out(self.READOUT)
        self.set_msg_handler(self.CQI, self._on_cqi)
        self.set_msg_handler(self.REPORTS, self._on_report)

    def set_policy(self, policy: str) -> None:
        self._configure(policy=policy)

    def set_mcs(self, mcs: str) -> None:
        self._configure(mcs=mcs)

    def set_target(self, target: float) -> None:
        self._configure(target=target)
        if self._loop is not None:
            self._loop.target = target

    def set_bound(self, bound: float) -> None:
        self._configure(bound=bound)

    def _configure(self, **changed: object) -> None:
        with self._configuring:
            settings, tag_bits = self._settings | changed, self._tag_bits
            config = AdaptationConfig(**settings)
            if config.policy in SEMANTIC and self._expectations is None:
                self._expectations = load_expectations(self._models, self._device)

            def new_adapter(transmit: TransmitConfig, codebook: str, bits: bool) -> LinkAdapter:
                if bits:
                    return LinkAdapter(config.for_bits(), transmit, tag_bits=tag_bits)
                if config.policy not in SEMANTIC:
                    return LinkAdapter(config, transmit, tag_bits=tag_bits)
                expected = self._expectations.find(codebook)
                if expected is None:
                    raise ModelError(
                        f"codebook {codebook} has no residual model; the models here have {self._expectations.known()}"
                    )
                return LinkAdapter(config, transmit, *expected, tag_bits=tag_bits)

            # The frames' thread reads them in reverse order, so it never sees an old adapter with these.
            self._new_adapter = new_adapter
            self._adapters: dict[tuple[TransmitConfig, str, bool], LinkAdapter] = {}
            self._settings = settings

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray]:
        packets = packet_rows(meta, data)
        outline, seed = outline_of(meta), required(meta, keys.LAYOUT_SEED, int)
        adapter = self._adapter(packets.shape[1], outline.codebook, layout_of(meta), isinstance(outline, BitFrame))
        frame = outline.with_tokens(unpack(packets, adapter.transmitter.positions(outline, seed)))
        now = time.monotonic()
        known = self._memory.now(now)
        self._tell(known)
        offset = self._loop.offset_db if self._loop is not None else 0.0
        if known.state != "fresh":
            offset = min(offset, 0.0)
        choice = adapter.choose(frame, seed, known.carrier_esn0_db, offset, condition=self._told(frame))
        number = frame.frame_id % FRAME_IDS
        self._sent[number] = choice
        if known.state == "fresh":
            # Losses are not informative about the offset if the channel was unknown.
            self._unreported.add(number)
        while len(self._sent) > self.REMEMBERED:
            self._unreported.discard(self._sent.popitem(last=False)[0])
        said = {
            keys.FRAME_ID: frame.frame_id,
            keys.POLICY: self._settings["policy"],
            keys.MCS_SUMMARY: choice.summary,
            keys.POWER_DB: choice.power_db,
            keys.ESN0_DB: choice.esn0_db,
            keys.OFFSET_DB: offset,
            keys.CQI_STATE: known.state,
            keys.CQI_AGE: known.age,
            keys.AIRTIME_SAMPLES: choice.airtime,
            keys.SIGNALLING_BITS: choice.signalling_bits,
        }
        if not np.isnan(choice.expected_ter):
            said[keys.EXPECTED_TER] = choice.expected_ter
        self.message_port_pub(self.CHOICE, make_pdu(pmt.make_dict(), said, np.zeros(0, np.uint8)))
        self.message_port_pub(self.READOUT, pmt.cons(self.READOUT, pmt.intern(readout(said))))
        again = adapter.transmitter.packetize(frame, choice.layout_seed)
        added = {keys.LAYOUT_SEED: choice.layout_seed, keys.MCS: vector_of(choice.mcs), keys.POWER_DB: choice.power_db}
        return added, again

    def _told(self, frame: Payload) -> Condition | None:
        """Return the receiver's side information on a frame, if it received those before; remember the frame."""
        if isinstance(frame, BitFrame):
            return None
        told = self._before.condition(frame.codebook, frame)
        self._before.keep(frame.codebook, frame)
        return told

    def _tell(self, known: CqiState) -> None:
        """Log changes of the state of the CQI."""
        if known.state == self._cqi_state:
            return
        self._cqi_state = known.state
        if known.state == "fresh":
            self.logger.info(f"CQI is fresh: Es/N0 {known.carrier_esn0_db.mean():.1f} dB")
            return
        why = "no CQI" if known.state == "missing" else f"the last CQI is {known.age:.1f} s old"
        self.logger.warn(f"{why}: Es/N0 {known.carrier_esn0_db.mean():.1f} dB is assumed")

    def _adapter(self, per_packet: int, codebook: str, layout: str = SPREAD, bits: bool = False) -> LinkAdapter:
        """Return the adapter for frames of a codebook with `per_packet` tokens, or bits, per packet."""
        adapters, size = self._adapters, "bits_per_packet" if bits else "tokens_per_packet"
        key = replace(self._transmit, layout=layout, **{size: per_packet}), codebook, bits
        if key not in adapters:
            adapters[key] = self._new_adapter(*key)
        return adapters[key]

    def _is_ours(self, meta: Mapping) -> bool:
        """Tell whether a PDU belongs to this transmitter's stream, or names none."""
        return self._stream_id in (-1, meta.get(keys.STREAM_ID, self._stream_id))

    def _on_cqi(self, pdu: object) -> None:
        try:
            meta, _ = open_pdu(pdu, None)
            if not self._is_ours(meta):
                return
            # The measurement includes the power of its burst.
            sent = self._sent.get(meta.get(keys.FRAME_ID))
            self._memory.update(carriers_of(meta) - (sent.power_db if sent else 0.0), time.monotonic())
        except Exception as error:
            self.refuse(error)

    def _on_report(self, pdu: object) -> None:
        try:
            meta, _ = open_pdu(pdu, None)
            number = required(meta, keys.FRAME_ID, int)
            if self._loop is None or not self._is_ours(meta) or number not in self._unreported:
                return
            # Kept: the CQI of the same burst may come later.
            self._unreported.remove(number)
            sent = self._sent[number]
            with_context = self._settings["policy"] == "cqi-context" and keys.PACKETS_OPEN in meta
            left_out = int(np.sum(sent.mcs == MCS_NOT_SENT))
            lost = required(meta, keys.PACKETS_OPEN if with_context else keys.PACKETS_LOST, int)
            packets = len(sent.mcs) - left_out
            lost = min(packets, max(0, lost - (0 if with_context else left_out)))
            follows_target = self._settings["policy"] in ("cqi", "cqi-context")
            self._loop.report(lost, packets, None if follows_target else sent.expected_lost)
        except Exception as error:
            self.refuse(error)


def readout(said: dict) -> str:
    """Format a choice in one line."""
    age = f", {said[keys.CQI_AGE]:.1f} s old" if said[keys.CQI_STATE] != "missing" else ""
    expected = f", {100 * said[keys.EXPECTED_TER]:.2g}% of tokens wrong" if keys.EXPECTED_TER in said else ""
    return (
        f"frame {said[keys.FRAME_ID]}: {said[keys.MCS_SUMMARY]}; {said[keys.AIRTIME_SAMPLES]} samples at "
        f"{said[keys.POWER_DB]:.1f} dB{expected}; CQI {said[keys.CQI_STATE]}{age}, Es/N0 {said[keys.ESN0_DB]:.1f} dB"
    )
