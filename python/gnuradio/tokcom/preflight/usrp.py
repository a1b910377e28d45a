"""Check of a flowgraph before it opens a USRP."""

import sys

from gnuradio import uhd

HALF_BAND, FARTHEST = 0.5, 100.0
"""Half of the received band, and an offset that no radio supports, in sample rates."""


def require_usrp(device_args: str = "", lo_offset: float = 0.0) -> None:
    """End the program with a clear message if no USRP answers, or if its oscillator would lie in the band.

    Parameters:
        device_args: device arguments of UHD, e.g. "addr=192.168.10.2" or "type=b200"; empty for any device.
        lo_offset: offset of the oscillator from the middle of the band, in sample rates; 0 for none.
    """
    if lo_offset and not HALF_BAND < abs(lo_offset) <= FARTHEST:
        sys.exit(
            f"the LO offset is {lo_offset:g} sample rates; it must be above {HALF_BAND:g}, so that the oscillator's "
            f"leakage stays out of the band, and at most {FARTHEST:g}: use 1, or 0 if the radio does not support it"
        )
    try:
        # Not find_devices, which is broken in GNU Radio 3.10.
        found = uhd.find(uhd.device_addr(device_args))
    except RuntimeError as error:
        sys.exit(f"device arguments {device_args!r} are wrong: {error}")
    if not len(found):
        which = f"no USRP with {device_args!r}" if device_args else "no USRP"
        sys.exit(
            f"{which} was found. Check that it has power and is connected, that it is in the computer's subnet, and "
            "the output of uhd_find_devices; a USB device may need uhd_images_downloader once. Without a radio, try "
            "examples/zmq_tx.grc, zmq_channel.grc and zmq_rx.grc."
        )
