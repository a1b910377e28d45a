"""Check of a flowgraph before it opens a radio by SoapySDR."""

import sys

from gnuradio import soapy


def require_soapy(device: str, antenna: str, transmit: bool = False) -> None:
    """End the program with a clear message if no such radio answers, or if it has no such antenna.

    Parameters:
        device: the driver's name, and arguments after a comma, e.g. "plutosdr,uri=ip:192.168.2.1".
        antenna: antenna of the radio.
        transmit: whether it is to transmit.
    """
    open_device, does = (soapy.sink, "sends") if transmit else (soapy.source, "receives")
    try:
        radio = open_device(f"driver={device}", "fc32", 1, "", "", [""], [""])
    except (RuntimeError, ValueError) as error:
        sys.exit(
            f"no radio {device!r} that {does} was found ({error}). Check that it is connected and has power, that the "
            "package of its driver is installed (soapysdr-module-lms7, -hackrf, -rtlsdr, or SoapyPlutoSDR), and the "
            "output of SoapySDRUtil --find. Without a radio, try examples/zmq_tx.grc, zmq_channel.grc and zmq_rx.grc."
        )
    antennas = list(radio.list_antennas(0))
    if antenna not in antennas:
        option = "--tx-antenna" if transmit else "--rx-antenna"
        sys.exit(f"{device!r} has no antenna {antenna!r}: name one of {', '.join(antennas)} by {option}")
