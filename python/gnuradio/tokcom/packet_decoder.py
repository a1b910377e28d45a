from collections.abc import Mapping, Sequence

import numpy as np
import pmt

from tokcom import keys
from tokcom.errors import LockedError, RejectedError
from tokcom.frame import BITS
from tokcom.link.receiver import Receiver
from tokcom.models.codebooks import codebook
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.installed import model_card, model_names
from tokcom.packets import feedback
from tokcom.packets.codebook import Codebook
from tokcom.security.keyring import Keyring
from tokcom.source.frame_coder import coded_content

from ._burst_keys import header_of, misfit_of
from ._frame_keys import frame_keys
from ._pdu import make_pdu, vector_of
from ._pdu_block import PduBlock, Unknown


class packet_decoder(PduBlock):
    """Decode packets (soft Viterbi), check their CRCs, or tags, and put the tokens back in order; those of failed
    packets are -1. Packets of bits whose check does not hold are list-decoded.

    Input: message port "llrs", PDUs of f32 LLRs, one packet after the other, with the fields of the burst's header and
        the packets' misfit; without misfit, LLRs are believed as they are.
    Output: message port "tokens", PDUs of s32 tokens, one frame each, with modality, codebook, codebook_size, cmi_name
        and packets_lost added, and the LLRs if packets were lost: Token Recovery decodes them again. Message port
    "bits": frames of bits of any kind, PDUs of s32 bits, -1 where lost, with the same keys. Message port "feedback":
    reports of a receiver, for Feedback Decoder.

    Parameters:
        models: models whose codebooks are known, and bits that hold coded tokens of them, by name or folder, in a list
            or between commas. Frames of others are
            passed on under a name that tells their codebook's id, counted in `frames_unknown`, and the codebook is
            logged the first time; their tokens are the numbers that were on the air.
        keys: files of the keys that bursts may be encrypted with, in a list or between commas. Frames that are
            encrypted with others are counted in `frames_locked`, and the key is logged the first time. With any keys,
            frames are believed that come from a holder of one, each once: others are counted in `frames_rejected`, by
            "clear" (no key protects them), "forged" and "replayed"; nothing of either is shown. The word clear among
            the files: frames without a key are taken, too. The word replays: frames are taken again, as from a
            recording. What came is kept beside each key, in a file whose name ends in `.seen`.
    """

    INPUT, OUTPUT, INPUT_KIND, STAGE = "llrs", "tokens", "float32", "decoder"
    BITS, FEEDBACK = pmt.intern("bits"), pmt.intern("feedback")

    def __init__(self, models: str | Sequence[str] = DEFAULT_MODEL, keys: str | Sequence[str] = ""):
        PduBlock.__init__(self, "Packet Decoder")
        books = {name: codebook(name) for name in model_names(models)}
        coded = [Codebook(coded_content(book.name), 2, BITS) for book in books.values()]
        self._receiver = Receiver(
            [feedback.CODEBOOK, *books.values(), *coded], keys=Keyring.of_files(keys, remember=True)
        )
        self._classes = {book.name: model_card(name).classes for name, book in books.items()}
        self.packets_seen = self.packets_lost = 0
        self._unknown, self._locked = Unknown(self), Unknown(self, "frames_locked")
        self._rejected = Unknown(self, "frames_rejected")
        self.message_port_register_out(self.BITS)
        self.message_port_register_out(self.FEEDBACK)

    def process(self, meta: Mapping, data: np.ndarray) -> tuple[dict, np.ndarray] | None:
        header = header_of(meta)
        try:
            self._receiver.admit(header)
        except LockedError as error:
            self._locked.count(error.key_id, str(error))
            return None
        except RejectedError as error:
            self._rejected.count(error.kind, str(error))
            return None
        packets, ok = self._receiver.decode(data, header, misfit_of(meta))
        reception = self._receiver.assemble(packets, ok, header)
        # A rule that leaves out packets loses none.
        lost = int((~reception.packets_ok[: header.n_described]).sum())
        frame = reception.frame
        added = frame_keys(frame) | {keys.PACKETS_LOST: lost}
        if frame.codebook == feedback.CODEBOOK.name:
            self.message_port_pub(self.FEEDBACK, make_pdu(self._received, added, frame.tokens))
            return None
        if (said := self._receiver.stranger(header)) is not None:
            self._unknown.count(frame.codebook, said)
        self.packets_seen += len(ok)
        self.packets_lost += lost
        if header.payload == BITS:
            self.message_port_pub(self.BITS, make_pdu(self._received, added, frame.tokens))
            return None
        if not reception.packets_ok.all():
            added[keys.LLRS] = vector_of(data)
        classes = self._classes.get(frame.codebook, ())
        if frame.cmi is not None and frame.cmi < len(classes):
            added[keys.CMI_NAME] = classes[frame.cmi]
        return added, frame.tokens
