"""What a flowgraph asks before it opens a radio by SoapySDR."""

import sys

from gnuradio import soapy


def require_soapy(device: str, antenna: str, transmit: bool = False) -> None:
    """End the program with a clear message where no such radio answers, or where it has no such antenna.

    Parameters:
        device: the driver's name, and arguments behind a comma, e.g. "plutosdr,uri=ip:192.168.2.1".
        antenna: one of the radio's.
        transmit: whether it is to send.
    """
    open_device, does = (soapy.sink, "sends") if transmit else (soapy.source, "receives")
    try:
        radio = open_device(f"driver={device}", "fc32", 1, "", "", [""], [""])
    except (RuntimeError, ValueError) as error:
        sys.exit(
            f"no radio {device!r} that {does} was found ({error}). See that it is connected and has power, that the "
            "package of its driver is installed (soapysdr-module-lms7, -hackrf, -rtlsdr, or SoapyPlutoSDR), and what "
            "SoapySDRUtil --find says. Without a radio, try examples/zmq_tx.grc, zmq_channel.grc and zmq_rx.grc."
        )
    antennas = list(radio.list_antennas(0))
    if antenna not in antennas:
        option = "--tx-antenna" if transmit else "--rx-antenna"
        sys.exit(f"{device!r} has no antenna {antenna!r}: name one of {', '.join(antennas)} by {option}")
