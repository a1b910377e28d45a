"""Feedback from a receiver to the transmitter of a burst: channel quality by band, and numbers of lost packets.

It is sent as an ordinary frame whose tokens are the bytes of the report, with the preamble, header, code and CRC of
every burst (docs/air-interface.md, "Feedback").
"""

from dataclasses import dataclass

import numpy as np

from tokcom.errors import FrameError, ParameterError
from tokcom.frame import TokenFrame
from tokcom.packets.bits import bits_to_tokens, tokens_to_bits
from tokcom.packets.codebook import Codebook
from tokcom.packets.header_fields import FRAME_IDS, MAX_PACKETS

MODALITY = "feedback"
CODEBOOK = Codebook("feedback", 256, MODALITY)
"""Codebook of reports, whose words are bytes."""
MCS = "qpsk-1/2"
BANDS = 13
"""Number of bands, each of neighbouring carriers: four of 52."""
FIELDS = {"stream_id": 6, "frame_id": 20, "packets": 15, "packets_lost": 15, "packets_open": 15}
"""Bits of each number, in transmission order, most significant bit first; the bands follow."""
UNKNOWN = (1 << FIELDS["packets_open"]) - 1
BAND_BITS, LOWEST_DB, STEP_DB = 7, -16.0, 0.5
"""A band's Es/N0 in dB is LOWEST_DB + STEP_DB times its number."""
TOKENS = -(-(sum(FIELDS.values()) + BANDS * BAND_BITS) // 8)
"""Bytes per report; unused bits are 0."""


@dataclass(frozen=True)
class Feedback:
    """Feedback report on one burst.

    Args:
        stream_id: stream number of the burst, 0 to 63.
        frame_id: frame number of the burst, 0 to 2**20 - 1.
        packets: packets of the burst's frame, 1 to 2**14.
        packets_lost: packets that failed their CRC.
        packets_open: packets that recovery could not accept; None if unknown.
        carrier_esn0_db: float (n_carriers,), Es/N0 in dB per carrier.

    Raises:
        ParameterError: a value is out of its range.
    """

    stream_id: int
    frame_id: int
    packets: int
    packets_lost: int
    packets_open: int | None
    carrier_esn0_db: np.ndarray

    def __post_init__(self) -> None:
        limits = {
            "stream_id": (0, 63), "frame_id": (0, FRAME_IDS - 1), "packets": (1, MAX_PACKETS),
            "packets_lost": (0, self.packets), "packets_open": (0, self.packets),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not (value is None and name == "packets_open") and not low <= value <= high:
                raise ParameterError(f"{name} is {value}; it must be {low} to {high}")
        carriers = np.asarray(self.carrier_esn0_db, np.float32)
        if carriers.ndim != 1 or not carriers.size or not np.isfinite(carriers).all():
            raise ParameterError(
                f"carrier_esn0_db is {self.carrier_esn0_db!r}; it must be a non-empty 1-D array of finite numbers"
            )
        object.__setattr__(self, "carrier_esn0_db", carriers)

    def to_frame(self, frame_id: int = 0) -> TokenFrame:
        """Convert the report to a frame of TOKENS tokens, with its own frame number.

        A band's Es/N0 is the mean over its carriers in dB, rounded to STEP_DB and clipped to the range of BAND_BITS.
        """
        bands = [band.mean() for band in np.array_split(_spread(self.carrier_esn0_db), BANDS)]
        levels = np.clip(np.rint((np.array(bands) - LOWEST_DB) / STEP_DB), 0, (1 << BAND_BITS) - 1).astype(int)
        values = [getattr(self, name) for name in FIELDS]
        values = [UNKNOWN if value is None else value for value in values]
        parts = [tokens_to_bits(np.array([value]), width) for value, width in zip(values, FIELDS.values(), strict=True)]
        bits = np.concatenate([*parts, tokens_to_bits(levels, BAND_BITS)])
        bits = np.pad(bits, (0, 8 * TOKENS - len(bits)))
        return TokenFrame(
            bits_to_tokens(bits, 8), CODEBOOK.name, CODEBOOK.size, modality=CODEBOOK.modality, frame_id=frame_id
        )

    @classmethod
    def from_frame(cls, frame: TokenFrame) -> "Feedback":
        """Parse a frame to a report, with one value per band.

        Raises:
            FrameError: the frame is not a complete report.
        """
        if frame.codebook != CODEBOOK.name or len(frame.tokens) != TOKENS:
            raise FrameError(
                f"frame {frame.frame_id} of {len(frame.tokens)} tokens of codebook {frame.codebook} is not a feedback "
                f"report: expected {TOKENS} tokens of codebook {CODEBOOK.name}"
            )
        if frame.lost.any():
            raise FrameError(f"feedback {frame.frame_id} was lost: the CRC of its packet fails")
        bits = tokens_to_bits(frame.tokens, 8)
        values, start = {}, 0
        for name, width in FIELDS.items():
            values[name] = int(bits_to_tokens(bits[start : start + width], width)[0])
            start += width
        levels = bits_to_tokens(bits[start : start + BANDS * BAND_BITS], BAND_BITS)
        if bits[start + BANDS * BAND_BITS :].any():
            raise FrameError(f"feedback {frame.frame_id} has reserved bits set")
        values["packets_open"] = None if values["packets_open"] == UNKNOWN else values["packets_open"]
        try:
            return cls(**values, carrier_esn0_db=LOWEST_DB + STEP_DB * levels)
        except ParameterError as error:
            raise FrameError(
                f"the CRC of feedback {frame.frame_id} holds but its values are impossible: {error}"
            ) from None


def _spread(carriers: np.ndarray) -> np.ndarray:
    """Repeat carriers in place if there are fewer than bands."""
    return carriers[np.arange(BANDS) * len(carriers) // BANDS] if len(carriers) < BANDS else carriers
