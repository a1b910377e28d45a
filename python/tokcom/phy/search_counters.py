"""Counters of the search for bursts."""

from dataclasses import dataclass, field


@dataclass
class SearchCounters:
    """Counters of events in the stream."""

    samples: int = 0
    bad_samples: int = 0
    """Samples that were NaN, infinite or impossibly large, replaced by 0."""
    blanked_samples: int = 0
    """Samples of impulses, replaced by 0."""
    candidates: int = 0
    """Candidates for a training."""
    preambles: int = 0
    """Candidates with a long training."""
    bursts: int = 0
    """Preambles with a valid header."""
    headers_failed: dict[str, int] = field(
        default_factory=lambda: {"crc": 0, "version": 0, "element": 0, "contents": 0}
    )
    dropped: int = 0
    """Bursts dropped because too many were under way."""
    hints: dict[str, int] = field(default_factory=dict)
    """Number of times each of `hints.REMEDIES` applied."""

    def __str__(self) -> str:
        failed = ", ".join(f"{count} {kind}" for kind, count in self.headers_failed.items())
        return (
            f"{self.samples} samples ({self.bad_samples} bad, {self.blanked_samples} blanked), "
            f"{self.preambles} preambles, {self.bursts} bursts ({self.dropped} given up), failed headers: {failed}"
            + "".join(f", {count} x {hint}" for hint, count in self.hints.items())
        )
