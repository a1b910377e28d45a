"""Differences between GNU Radio 3.10.1 and 3.10.12 that affect the blocks.

- Python blocks have a `logger` from 3.10.5 on, hierarchical blocks from 3.10.6 on.
- 3.10.12 is built for numpy 2, the others for numpy 1: nothing here depends on it, as arrays are converted to and from
    messages in serial form (`_pdu.py`).
"""

from functools import cached_property

from gnuradio import gr
from gnuradio.gr.gateway import gateway_block


def give_logger(block_class: type) -> None:
    """Give the blocks of a class a `logger` with their own name, unless they have one."""
    attribute = cached_property(lambda block: gr.logger(block.name()))
    attribute.__set_name__(block_class, "logger")
    block_class.logger = attribute


def make_alike() -> None:
    """Add to an older GNU Radio the features of newer ones that the blocks use."""
    if not hasattr(gr.block_gateway, "logger"):
        give_logger(gateway_block)
    if not hasattr(gr.hier_block2, "logger"):
        give_logger(gr.hier_block2)
