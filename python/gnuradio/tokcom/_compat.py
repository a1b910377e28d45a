"""What differs between GNU Radio 3.10.1 and 3.10.12, as far as the blocks are concerned.

- Python blocks have a `logger` from 3.10.5 on, hierarchical blocks from 3.10.6 on.
- 3.10.12 is built for numpy 2, the others for numpy 1: nothing here depends on it, as arrays go into messages and out
  of them in their serial form (`_pdu.py`).
"""

from functools import cached_property

from gnuradio import gr
from gnuradio.gr.gateway import gateway_block


def give_logger(block_class: type) -> None:
    """Give the blocks of a class a `logger` under their own name; one that they have or make themselves stays."""
    attribute = cached_property(lambda block: gr.logger(block.name()))
    attribute.__set_name__(block_class, "logger")
    block_class.logger = attribute


def make_alike() -> None:
    """Add to an older GNU Radio what the blocks use of a newer one."""
    if not hasattr(gr.block_gateway, "logger"):
        give_logger(gateway_block)
    if not hasattr(gr.hier_block2, "logger"):
        give_logger(gr.hier_block2)
