"""Gray constellations: bits to symbols, symbols to LLRs."""

import numpy as np

from tokcom.errors import ParameterError
from tokcom.kernels import kernel
from tokcom.tables import table_row

LLR_METHODS = ("exact", "maxlog")
BIT_ORDERS = ("ieee802.11", "3gpp")
CHUNK = 512
"""Symbols demapped at a time."""
TINY = 1e-30
"""Power assigned to a symbol that is 0."""
SMALLEST_TOTAL = np.float32(1e-25)
"""Sums of likelihoods, relative to the nearest level's, below which digits are lost to underflow."""


class Constellation:
    """A Gray-mapped BPSK or square QAM constellation of unit mean energy.

    In-phase and quadrature component are mapped and demapped separately. Without an interleaver the order of bits
    matters to the code: a component's first bit is safer than its last, and IEEE 802.11 gives neighbouring coded bits
    to one component where 3GPP alternates between the two, which puts two safe bits beside two unsafe ones. Without an
    interleaver the latter costs about 0.15 dB at K=7 and up to 0.6 dB at K=3.

    Args:
        name: row of constellations.json: bpsk, qpsk, 16qam, 64qam, 256qam.
        bit_order: "ieee802.11": the in-phase bits, then the quadrature bits (IEEE 802.11-2020, 17.3.5.8); "3gpp": they
            alternate, with the levels of 3GPP TS 38.211, 5.1.

    Raises:
        ParameterError: no such name or order.
    """

    def __init__(self, name: str, bit_order: str = "ieee802.11"):
        row = table_row("tokcom.modulation", "constellations", "modulation", name)
        if bit_order not in BIT_ORDERS:
            raise ParameterError(f"bit_order is {bit_order!r}; it must be one of {', '.join(BIT_ORDERS)}")
        self.name, self.bit_order = name, bit_order
        component_bits, components = row["in_phase_bits"], 1 + (row["quadrature_bits"] > 0)
        self.bits_per_symbol = component_bits * components
        levels = _gray_levels(component_bits, bit_order)
        self._levels = levels / np.sqrt(components * np.mean(levels**2))
        order = np.arange(self.bits_per_symbol).reshape(components, component_bits)
        # Positions of each component's bits within a symbol.
        self._places = order if bit_order == "ieee802.11" else order.reshape(component_bits, components).T.copy()
        labels = np.arange(1 << self.bits_per_symbol)
        bits = (labels[:, None] >> np.arange(self.bits_per_symbol - 1, -1, -1)) & 1
        weights = 1 << np.arange(component_bits - 1, -1, -1)
        parts = [self._levels[bits[:, places] @ weights] for places in self._places]
        self.points = (parts[0] + 1j * (parts[1] if components == 2 else 0)).astype(np.complex64)
        self._rank_of_label = np.argsort(np.argsort(self._levels))
        self._from_llrs = _parabolas(np.argsort(self._levels), component_bits) if component_bits > 1 else None

    def whole_symbols(self, n_bits: int) -> int:
        """Number of symbols that `n_bits` bits fill completely."""
        return n_bits // self.bits_per_symbol

    def symbols_for(self, n_bits: int) -> int:
        """Number of symbols that carry `n_bits` bits; the last may be padded with zeros."""
        return -(-n_bits // self.bits_per_symbol)

    def map(self, bits: np.ndarray) -> np.ndarray:
        """Map uint8 bits (batch, n) to complex64 symbols (batch, symbols_for(n))."""
        batch, n_bits = bits.shape
        n_symbols = self.symbols_for(n_bits)
        labels = np.empty((batch, n_symbols), np.uint8)
        _label(np.ascontiguousarray(bits, dtype=np.uint8), self.bits_per_symbol, labels)
        return self.points[labels]

    def llrs(
        self, symbols: np.ndarray, noise_variance: float | np.ndarray, n_bits: int, method: str = "exact"
    ) -> np.ndarray:
        """Compute LLRs, log P(bit 1) / P(bit 0), of equally likely bits in Gaussian noise.

        Args:
            symbols: complex array (batch, n_symbols), equalised to unit mean energy.
            noise_variance: N0, the noise's power; one value, or an array that broadcasts to the symbols.
            n_bits: bits per row; padding in its last symbol is left out.
            method: "exact" sums over the points, "maxlog" takes the nearest.

        Returns:
            float32 array (batch, n_bits).

        Raises:
            ParameterError: a parameter is out of its range.
        """
        if method not in LLR_METHODS:
            raise ParameterError(f"llr method is {method!r}; it must be one of {', '.join(LLR_METHODS)}")
        if symbols.ndim != 2 or symbols.shape[1] != self.symbols_for(n_bits):
            raise ParameterError(
                f"symbols have shape {symbols.shape}; {n_bits} bits of {self.name} need "
                f"(batch, {self.symbols_for(n_bits)})"
            )
        variance = np.asarray(noise_variance, dtype=np.float32)
        if not np.all((variance > 0) & np.isfinite(variance)):
            raise ParameterError(f"noise_variance is {noise_variance}; it must be positive and finite")
        symbols = np.ascontiguousarray(symbols, dtype=np.complex64)
        out = np.empty((symbols.size, self.bits_per_symbol), np.float32)
        variance = np.broadcast_to(variance, symbols.shape).ravel()
        _demap(symbols.ravel(), variance, self._levels.astype(np.float32), self._places, method == "exact", out)
        return out.reshape(symbols.shape[0], symbols.shape[1] * self.bits_per_symbol)[:, :n_bits]

    def pair_metrics(self, llrs: np.ndarray) -> np.ndarray | None:
        """Compute joint log-likelihoods of the two bits of a component from their max-log LLRs.

        LLRs of single bits lose the dependence between the bits of one amplitude: half a dB at rate 1/2.
        The two max-log LLRs of a 4-level component determine its received value over N0 and 1/N0, hence the likelihood
        of each of its levels.

        Args:
            llrs: float32 (batch, n), n even, by "maxlog".

        Returns:
            float32 (batch, n / 2, 4), indexed by the pair's label, up to a constant; None if pairs of neighbouring bits
            are not a component of this constellation, or its components have one bit and the LLRs suffice.
        """
        if self._places.shape[1] != 2 or self.bit_order != "ieee802.11" or llrs.shape[1] % 2:
            return None
        sign, inner = llrs[:, 0::2], llrs[:, 1::2]
        # Levels -3a, -a, a, 3a for labels 00, 01, 11, 10; in units of 1/N0: near = 4a |y|, and far = 8a^2.
        near = np.abs(sign) + np.minimum(inner, 0)
        far = np.maximum(inner + near, 0)
        toward = np.copysign(near / 2, sign)
        out = np.empty((*sign.shape, 4), np.float32)
        out[..., 0b00], out[..., 0b01] = -3 * toward - far, -toward
        out[..., 0b11], out[..., 0b10] = toward, 3 * toward - far
        return out

    def misfit(self, symbols: np.ndarray, noise_variance: np.ndarray) -> np.ndarray:
        """Measure how far rows of symbols are from their nearest points, and how unlikely they are as noise alone.

        Args:
            symbols: complex64 (batch, n).
            noise_variance: float32 (batch, n), of each symbol.

        Returns:
            float64 (batch, 2), in nepers: the sums of |difference|^2 over the variance, and the same for the hypothesis
            of noise alone at its most likely power, n (1 + log of that power over the known variance); that noise is
            either scaled by the equaliser as the known noise is, or equal on all symbols.
        """
        out = np.empty((len(symbols), 2))
        levels = np.sort(self._levels)
        _misfit(symbols, noise_variance, levels[0], levels[1] - levels[0], len(levels), len(self._places), out)
        return out

    def beyond_nearest(self, llrs: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """Sum, per row, how much further from the received symbols the points of given bits are than the nearest
        points.

        This follows exactly from max-log LLRs: the squared distances over N0 to a component's levels are a parabola,
        and each LLR is the parabola's value at the nearest level with the opposite bit.

        Args:
            llrs: float32 (batch, n), by "maxlog".
            bits: uint8 (batch, n), of code words.

        Returns:
            float64 (batch,), in units of N0; symbols that the bits do not fill are left out.
        """
        whole = self.whole_symbols(llrs.shape[1])
        used = slice(0, whole * self.bits_per_symbol)
        shape = (len(llrs), whole, self.bits_per_symbol)
        llrs, bits = llrs[:, used].reshape(shape)[..., self._places], bits[:, used].reshape(shape)[..., self._places]
        if self._from_llrs is None:
            return np.where((llrs > 0) != (bits == 1), np.abs(llrs), 0).sum(axis=(1, 2, 3), dtype=np.float64)
        weights = 1 << np.arange(self._places.shape[1] - 1, -1, -1)
        here = self._rank_of_label[(llrs > 0) @ weights]
        steps = self._rank_of_label[bits @ weights] - here
        first, second, inverse = (table[here] for table in self._from_llrs)
        pair = [np.abs(np.take_along_axis(llrs, place[..., None], -1)[..., 0]) for place in (first, second)]
        curve, slope = (inverse[..., row, 0] * pair[0] + inverse[..., row, 1] * pair[1] for row in (0, 1))
        return (curve * steps**2 + slope * steps).sum(axis=(1, 2), dtype=np.float64)


def _parabolas(labels: np.ndarray, n_bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derive the parabola of distances around each level from two LLRs.

    With the nearest level at 0 and the others at integers k, the distances are c k^2 + s k. For two bits the nearest
    level with that bit flipped is known: the two neighbours, or at the edge the neighbour and one further on.

    Args:
        labels: labels of the levels in ascending order.
        n_bits: bits per label.

    Returns:
        Two int arrays (levels,), the positions of the two bits, and float (levels, 2, 2), which maps the magnitudes of
        their LLRs to c and s.
    """
    count = len(labels)
    first, second, inverse = np.zeros(count, int), np.zeros(count, int), np.zeros((count, 2, 2))
    for rank in range(count):
        places = [
            (abs(other - rank), other - rank, place)
            for place in range(n_bits)
            for other in range(count)
            if (labels[rank] ^ labels[other]) >> (n_bits - 1 - place) & 1
        ]
        nearest = {}
        for _, step, place in sorted(places):
            nearest.setdefault(place, step)
        (first[rank], one), (second[rank], two) = sorted(nearest.items(), key=lambda item: abs(item[1]))[:2]
        inverse[rank] = np.linalg.inv([[one**2, one], [two**2, two]])
    return first, second, inverse


def _gray_levels(n_bits: int, bit_order: str) -> np.ndarray:
    """Amplitudes (odd integers), indexed by label."""
    labels = np.arange(1 << n_bits)
    if bit_order == "ieee802.11":
        rank = labels.copy()
        for shift in (1, 2, 4):
            rank ^= rank >> shift
        return 2.0 * rank - (len(labels) - 1)
    # (1-2b0)(2-(1-2b2)) for two bits, and so on.
    signs = 1 - 2 * ((labels[:, None] >> np.arange(n_bits - 1, -1, -1)) & 1)
    amplitude = signs[:, -1]
    for place in range(n_bits - 2, -1, -1):
        amplitude = signs[:, place] * ((1 << (n_bits - 1 - place)) - amplitude)
    return amplitude.astype(np.float64)


@kernel
def _label(bits, width, labels):
    for row in range(labels.shape[0]):
        for i in range(labels.shape[1]):
            label = 0
            for k in range(i * width, (i + 1) * width):
                label = label << 1 | (bits[row, k] if k < bits.shape[1] else 0)
            labels[row, i] = label


@kernel(fastmath=True)
def _demap(symbols, variance, levels, places, exact, out):
    """Compute LLRs of flat arrays of symbols and variances into out, (n, bits), in chunks that suit vector
    instructions."""
    n_levels = levels.shape[0]
    components, width = places.shape
    value, scale = np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32)
    metric, likelihood = np.empty((n_levels, CHUNK), np.float32), np.empty((n_levels, CHUNK), np.float32)
    best, total = np.empty((2, CHUNK), np.float32), np.empty((2, CHUNK), np.float32)
    for first in range(0, symbols.shape[0], CHUNK):
        used = min(CHUNK, symbols.shape[0] - first)
        for i in range(used):
            scale[i] = np.float32(1) / variance[first + i]
        for component in range(components):
            for i in range(used):
                value[i] = symbols[first + i].imag if component else symbols[first + i].real
            for label in range(n_levels):
                for i in range(used):
                    distance = value[i] - levels[label]
                    metric[label, i] = -distance * distance * scale[i]
            if exact and n_levels > 2:
                best[0] = metric[0]
                for label in range(1, n_levels):
                    for i in range(used):
                        best[0, i] = max(best[0, i], metric[label, i])
                for label in range(n_levels):
                    for i in range(used):
                        likelihood[label, i] = np.exp(metric[label, i] - best[0, i])
            for k in range(width):
                place = places[component, k]
                mask = 1 << (width - 1 - k)
                best[:] = -3e38
                for label in range(n_levels):
                    bit = 1 if label & mask else 0
                    for i in range(used):
                        best[bit, i] = max(best[bit, i], metric[label, i])
                if not exact or n_levels == 2:
                    for i in range(used):
                        out[first + i, place] = best[1, i] - best[0, i]
                    continue
                total[:] = 0
                for label in range(n_levels):
                    bit = 1 if label & mask else 0
                    for i in range(used):
                        total[bit, i] += likelihood[label, i]
                for i in range(used):
                    if min(total[0, i], total[1, i]) > SMALLEST_TOTAL:
                        out[first + i, place] = np.log(total[1, i] / total[0, i])
                    else:
                        # One side underflows: take each relative to its own nearest level.
                        sum0, sum1 = np.float32(0), np.float32(0)
                        for label in range(n_levels):
                            if label & mask:
                                sum1 += np.exp(metric[label, i] - best[1, i])
                            else:
                                sum0 += np.exp(metric[label, i] - best[0, i])
                        out[first + i, place] = best[1, i] - best[0, i] + np.log(sum1 / sum0)


@kernel
def _squared_offset(value, least, inverse, spacing, count):
    """Squared distance of a component from the nearest of its evenly spaced levels."""
    rank = min(max(np.rint((value - least) * inverse), 0.0), count - 1.0)
    offset = value - (least + spacing * rank)
    return offset * offset


@kernel
def _misfit(symbols, variances, least, spacing, count, components, out):
    inverse, n = 1 / spacing, symbols.shape[1]
    for row in range(symbols.shape[0]):
        distance = total = ratios = logarithms = 0.0
        product = 1.0
        for i in range(n):
            symbol, variance = symbols[row, i], np.float64(variances[row, i])
            real, imag = np.float64(symbol.real), np.float64(symbol.imag)
            squared = _squared_offset(real, least, inverse, spacing, count)
            squared += _squared_offset(imag, least, inverse, spacing, count) if components == 2 else imag * imag
            power = real * real + imag * imag + TINY
            distance += squared / variance
            total += power
            ratios += power / variance
            # One logarithm for many factors, as many as cannot overflow.
            product *= variance
            if not 1e-140 < product < 1e140:
                logarithms += np.log(product)
                product = 1.0
        logarithms += np.log(product)
        coloured = np.log(ratios / n)
        white = np.log(total / n) - logarithms / n
        out[row, 0] = distance
        out[row, 1] = n * (1 + min(coloured, white))
