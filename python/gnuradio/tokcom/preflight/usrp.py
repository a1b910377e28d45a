"""What a flowgraph asks before it opens a radio."""

import sys

from gnuradio import uhd

HALF_BAND, FARTHEST = 0.5, 100.0
"""Half of the band that a radio delivers, and an offset that no radio has room for, in sample rates."""


def require_usrp(device_args: str = "", lo_offset: float = 0.0) -> None:
    """End the program with a clear message where no USRP answers, or where its oscillator would lie in the band.

    Parameters:
        device_args: as UHD takes them, e.g. "addr=192.168.10.2" or "type=b200"; empty for any device.
        lo_offset: of the oscillator from the middle of the band, in sample rates; 0 for none.
    """
    if lo_offset and not HALF_BAND < abs(lo_offset) <= FARTHEST:
        sys.exit(
            f"the LO offset is {lo_offset:g} sample rates; it must be above {HALF_BAND:g}, so that the oscillator's "
            f"leakage stays out of the band, and at most {FARTHEST:g}: take 1, or 0 where the radio has no room for it"
        )
    try:
        # Not find_devices, which is broken in GNU Radio 3.10.
        found = uhd.find(uhd.device_addr(device_args))
    except RuntimeError as error:
        sys.exit(f"device arguments {device_args!r} are wrong: {error}")
    if not len(found):
        which = f"no USRP with {device_args!r}" if device_args else "no USRP"
        sys.exit(
            f"{which} was found. See that it has power and is connected, that its network is the computer's, and what "
            "uhd_find_devices says; a USB device may need uhd_images_downloader once. Without a radio, try "
            "examples/zmq_tx.grc, zmq_channel.grc and zmq_rx.grc."
        )
