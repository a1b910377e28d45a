"""Metadata that describe a burst and its packets: header, MCS, fit, channel."""

from collections.abc import Mapping
from dataclasses import astuple, fields

import numpy as np

from tokcom import keys
from tokcom.errors import FrameError
from tokcom.frame import TOKENS
from tokcom.packets.header import BurstHeader
from tokcom.packets.labels import NATURAL
from tokcom.packets.layout import SPREAD
from tokcom.packets.seal import Seal

from ._frame_keys import payload_of, shared_keys, shared_values
from ._pdu import bytes_of, bytes_value, optional, required, vector_of


def header_keys(header: BurstHeader) -> dict:
    """Make the metadata that describe a burst header."""
    described = {
        keys.STREAM_ID: header.stream_id,
        keys.FRAME_ID: header.frame_id,
        keys.CODEBOOK_ID: header.codebook_id,
        keys.LAYOUT_SEED: header.layout_seed,
        keys.GRID: header.grid,
        keys.TOKENS_PER_PACKET: header.tokens_per_packet,
        keys.TOKEN_BITS: header.token_bits,
        keys.PACKETS: header.n_packets,
        keys.MCS: vector_of(header.mcs),
    }
    usual = {
        keys.LABELS: (header.labels, NATURAL),
        keys.LAYOUT: (header.layout, SPREAD),
        keys.PAYLOAD: (header.payload, TOKENS),
        keys.SEAL: (seal_value(header.seal), None),
        keys.ELEMENTS: (bytes_value(header.elements), None),
    }
    described |= {key: value for key, (value, common) in usual.items() if value != common}
    return described | shared_keys(header)


def header_of(meta: Mapping) -> BurstHeader:
    """Make the burst header that metadata describe.

    Raises:
        FrameError: keys are missing.
        ParameterError: a value is out of its range.
    """
    return BurstHeader(
        required(meta, keys.STREAM_ID, int),
        required(meta, keys.FRAME_ID, int),
        required(meta, keys.CODEBOOK_ID, int),
        required(meta, keys.GRID, tuple),
        required(meta, keys.TOKENS_PER_PACKET, int),
        required(meta, keys.TOKEN_BITS, int),
        mcs_of(meta),
        layout=layout_of(meta),
        layout_seed=required(meta, keys.LAYOUT_SEED, int),
        labels=labels_of(meta),
        payload=payload_of(meta),
        elements=bytes_of(meta, keys.ELEMENTS),
        seal=seal_of(meta),
        **shared_values(meta),
    )


def mcs_of(meta: Mapping) -> np.ndarray:
    """Return the MCS of each packet, uint8 (n_packets,).

    Raises:
        FrameError: the key is missing, or does not have one byte per packet.
    """
    mcs = np.asarray(required(meta, keys.MCS, np.ndarray))
    if mcs.shape != (required(meta, keys.PACKETS, int),):
        raise FrameError(f"the PDU has the MCS of {mcs.size} packets, but {meta[keys.PACKETS]} packets")
    return mcs.astype(np.uint8)


def labels_of(meta: Mapping) -> str:
    """Return the labels of the tokens, one of `labels.LABELS`, "natural" by default.

    Raises:
        FrameError: the key is not a string.
    """
    return optional(meta, keys.LABELS, str, NATURAL)


def layout_of(meta: Mapping) -> str:
    """Return the layout of the tokens, one of `layout.LAYOUTS`, "spread" by default.

    Raises:
        FrameError: the key is not a string.
    """
    return optional(meta, keys.LAYOUT, str, SPREAD)


def seal_value(seal: Seal | None) -> tuple[int, ...] | None:
    """A seal as metadata."""
    return None if seal is None else astuple(seal)


def seal_of(meta: Mapping) -> Seal | None:
    """The key that protects packets; None: none does.

    Raises:
        FrameError: the metadata's key is no tuple of five.
        ParameterError: a value is out of its range.
    """
    value = optional(meta, keys.SEAL, tuple, None)
    if value is None:
        return None
    if len(value) != len(fields(Seal)) or not all(isinstance(each, int) for each in value):
        names = ", ".join(field.name for field in fields(Seal))
        raise FrameError(f"seal is {value}; it must be the numbers {names}")
    return Seal(*value)


def misfit_of(meta: Mapping) -> np.ndarray | None:
    """Return the statistics of each packet's fit, float32 (n_packets, 2); None if missing.

    Raises:
        FrameError: the key does not have two values per packet.
    """
    if keys.MISFIT not in meta:
        return None
    misfit = np.asarray(required(meta, keys.MISFIT, np.ndarray), np.float32)
    packets = required(meta, keys.PACKETS, int)
    if misfit.shape != (2 * packets,):
        raise FrameError(f"the PDU's misfit has {misfit.size} values; {packets} packets have two each")
    return misfit.reshape(packets, 2)


def carriers_of(meta: Mapping) -> np.ndarray:
    """Return the Es/N0 in dB per carrier, float32 (n_carriers,); a single value if only the mean is known.

    Raises:
        FrameError: neither is present.
    """
    if keys.CARRIER_ESN0_DB in meta:
        return np.asarray(meta[keys.CARRIER_ESN0_DB], np.float32)
    return np.array([required(meta, keys.ESN0_DB, float)], np.float32)


def packet_rows(meta: Mapping, data: np.ndarray) -> np.ndarray:
    """Arrange the content of a PDU as one row per packet.

    Raises:
        FrameError: the values do not make that many rows.
    """
    packets = required(meta, keys.PACKETS, int)
    if packets < 1 or not data.size or data.size % packets:
        raise FrameError(f"{data.size} values do not make {packets} packets of one length")
    return data.reshape(packets, -1)
