"""What SciPy has for the library, on one processor: it runs where it is called."""

from tokcom.processors import blas_on_one_processor

with blas_on_one_processor():
    from scipy import fft, linalg, special

__all__ = ["fft", "linalg", "special"]
