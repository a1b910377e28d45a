"""What a flowgraph asks before it opens a radio."""

import sys

from gnuradio import uhd


def require_usrp(device_args: str = "") -> None:
    """End the program with a clear message where no USRP answers.

    Parameters:
        device_args: as UHD takes them, e.g. "addr=192.168.10.2" or "type=b200"; empty for any device.
    """
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
