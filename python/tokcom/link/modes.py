"""The four ways to make a frame whole when packets failed.

keep: the Viterbi decoder's tokens, right or wrong. mask: tokens of failed packets are thrown away and guessed by the
context model (the paper). list: the CRC, as part of the code, helps to correct. context: channel, CRC and context model
decide together.
"""

MODES = ("keep", "mask", "list", "context")
DEFAULT_MODE = "context"
