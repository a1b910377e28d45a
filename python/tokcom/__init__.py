"""Token communications: pictures, text and speech over the air as tokens of a shared codebook."""

__version__ = "0.1.0"
