"""What a flowgraph asks before it opens a virtual radio over ZeroMQ."""

import sys

from gnuradio import gr, zeromq


def require_addresses(publish: str = "", subscribe: str = "") -> None:
    """End the program with a clear message where ZeroMQ takes no samples at an address.

    Parameters:
        publish: address at which samples are to be sent, e.g. "tcp://127.0.0.1:5555"; empty for none.
        subscribe: address from which they are to come; empty for none.
    """
    for address, block in ((publish, zeromq.pub_sink), (subscribe, zeromq.sub_source)):
        try:
            if address:
                block(gr.sizeof_gr_complex, 1, address)
        except RuntimeError as error:
            sys.exit(
                f"the address {address!r} cannot be used: {error}. It must be like tcp://127.0.0.1:5555 and the same "
                "on both sides, and only one program may send there: does another one run?"
            )
