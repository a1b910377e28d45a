"""Check of a flowgraph before it opens a virtual radio over ZeroMQ."""

import sys

from gnuradio import gr, zeromq


def require_addresses(publish: str = "", subscribe: str = "") -> None:
    """End the program with a clear message if ZeroMQ cannot use an address.

    Parameters:
        publish: address at which to send samples, e.g. "tcp://127.0.0.1:5555"; empty for none.
        subscribe: address from which to receive samples; empty for none.
    """
    for address, block in ((publish, zeromq.pub_sink), (subscribe, zeromq.sub_source)):
        try:
            if address:
                block(gr.sizeof_gr_complex, 1, address)
        except RuntimeError as error:
            sys.exit(
                f"the address {address!r} cannot be used: {error}. It must be like tcp://127.0.0.1:5555 and the same "
                "on both sides, and only one program may send there: is another one running?"
            )
