"""Link adaptation: choice of the packets' MCS, their layout and the burst's power by a policy."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tokcom.adaptation.allocation import Allocation, allocate_freely, allocate_two_groups
from tokcom.adaptation.cqi import choose_by_cqi, predicted_per, table_esn0_db
from tokcom.adaptation.power import PowerBudget
from tokcom.adaptation.predictability import token_bits
from tokcom.adaptation.residual import ResidualModel
from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.errors import ParameterError
from tokcom.frame import BitFrame, Payload
from tokcom.link.bit_packets import all_listed
from tokcom.link.refresh import TokenRefresh
from tokcom.link.transmitter import TransmitConfig, Transmitter
from tokcom.mcs import find_mcs, mcs_table
from tokcom.packets.bits import bits_per_token
from tokcom.packets.header import FREE_TOKENS
from tokcom.packets.header_fields import CRC
from tokcom.packets.layout import PADDING, SEEDED, SEEDS, packet_positions
from tokcom.packets.mcs_map import MCS_COUNT, MCS_NOT_SENT
from tokcom.packets.seal import Seal
from tokcom.packets.thinning import packets_sent
from tokcom.phy import grid
from tokcom.phy.burst import plan_burst
from tokcom.phy.profile import profile
from tokcom.tokenizers.groups import is_group

POLICIES = ("fixed", "cqi", "cqi-context", "semantic", "semantic-power")
SEMANTIC = ("semantic", "semantic-power")
POWER_STEP_DB, LOWEST_POWER_DB = 0.5, -10.0


@dataclass(frozen=True)
class AdaptationConfig:
    """Configuration of link adaptation.

    Args:
        policy: one of POLICIES. "fixed": always `mcs`. "cqi" and "cqi-context": the fastest MCS whose predicted PER
            meets `target`, the same for all packets; they differ in the receiver's mode, and hence in its reports.
            "semantic": the shortest burst whose expected share of wrong tokens after context decoding is within
            `bound`. "semantic-power": the burst of least energy within `bound` that is no longer than that of "cqi".
        mcs: name or index of the MCS of "fixed".
        target: PER of "cqi" and "cqi-context", above 0 and below 1.
        bound: expected share of wrong tokens in a frame, above 0 and below 1.
        layouts: number of seeds of the layout "spread" that the semantic policies try, 1 to 1024.
        power_db: mean power in dB over bursts, for "semantic-power"; the other policies use 0.
        peak_db: largest power of a burst in dB, at least `power_db`.
        header_esn0_db: Es/N0 in dB below which power is not reduced, so that the header is received.
        assumed_bits: bits per token attributed to every frame regardless of its tokens, above 0: all bursts at one CQI
            then have the same shape, which reveals nothing of their content. None: the frame's own.
        refresh: frames of a video in each of whose runs every token is sent at least once, at least 1, whatever the
            semantic policies would leave out: damage to a frame is over that many frames later, and with 4, a second
            chance comes within 8 frames. What must be sent for this goes out with the MCS of "cqi".

    Raises:
        ParameterError: a parameter is out of its range.
    """

    policy: str = "semantic"
    mcs: str | int = "16qam-1/2"
    target: float = 0.1
    bound: float = 0.02
    layouts: int = 64
    power_db: float = 0.0
    peak_db: float = 3.0
    header_esn0_db: float = 4.0
    assumed_bits: float | None = None
    refresh: int = 4

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ParameterError(f"policy is {self.policy!r}; it must be one of {', '.join(POLICIES)}")
        find_mcs(self.mcs)
        for name in ("target", "bound"):
            if not 0 < getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if self.assumed_bits is not None and not 0 < self.assumed_bits < np.inf:
            raise ParameterError(f"assumed_bits is {self.assumed_bits}; it must be above 0")
        TokenRefresh(self.refresh)
        if not 1 <= self.layouts <= SEEDS:
            raise ParameterError(f"layouts is {self.layouts}; it must be 1 to {SEEDS}")
        if not self.peak_db >= self.power_db:
            raise ParameterError(f"peak_db is {self.peak_db}; it must be at least power_db, {self.power_db}")

    def for_bits(self) -> "AdaptationConfig":
        """The same for frames of bits, which no model predicts: of the semantic policies, "cqi" with their bound as the
        target, since the expected share of wrong bits is that of lost packets."""
        return replace(self, policy="cqi", target=self.bound) if self.policy in SEMANTIC else self


@dataclass(frozen=True)
class Choice:
    """Choice of the transmission parameters of a frame.

    Attributes:
        mcs: uint8 (n_packets,), MCS of each packet.
        layout_seed: seed of the packets' layout.
        power_db: power of the burst in dB.
        esn0_db: effective Es/N0 in dB on which the choice is based, for the first packet's MCS.
        expected_ter: expected share of wrong tokens after context decoding; NaN for policies that do not compute it.
        expected_lost: expected number of packets that fail their CRC, or are not believed, before context decoding.
        airtime: length of the burst in samples.
        signalling_bits: bits of its header, CRCs included.
        feasible: whether the target or the bound is expected to be met.
        gap: upper bound on the OFDM symbols by which a burst of the same kind could be shorter.
    """

    mcs: np.ndarray
    layout_seed: int
    power_db: float
    esn0_db: float
    expected_ter: float
    expected_lost: float
    airtime: int
    signalling_bits: int
    feasible: bool
    gap: float = 0.0

    @property
    def summary(self) -> str:
        """The numbers of packets by MCS, in words."""
        values, counts = np.unique(self.mcs, return_counts=True)
        names = ["not sent" if value == MCS_NOT_SENT else find_mcs(int(value)).name for value in values]
        return ", ".join(f"{count} x {name}" for name, count in zip(names, counts, strict=True))


class LinkAdapter:
    """Link adapter: chooses the transmission parameters of frames.

    Args:
        config: how.
        transmit: tokens per packet, profile and stream of the transmitter.
        prior: the receiver's; the semantic policies need it.
        residual: what is expected after context decoding; the semantic policies need it.
        seed: of the masks behind predictability.
        tag_bits: of each packet's tag, if the transmitter has a key; 0: it has none.

    Raises:
        ParameterError: a semantic policy lacks its model, or there are no such tags.
    """

    def __init__(
        self, config: AdaptationConfig | None = None, transmit: TransmitConfig | None = None,
        prior: Prior | None = None, residual: ResidualModel | None = None, seed: int = 0, tag_bits: int = 0,
    ):  # fmt: skip
        self.config = config or AdaptationConfig()
        # Any seal: all of one length of tags take the same room in the header.
        self._seal = Seal(0, 0, 0, tag_bits) if tag_bits else None
        self.transmitter = Transmitter(transmit)
        self._profile = profile(self.transmitter.config.profile)
        if self.config.policy in SEMANTIC and (prior is None or residual is None):
            raise ParameterError(
                f"policy {self.config.policy!r} needs a context model and its residual model; without them there "
                "are 'fixed', 'cqi' and 'cqi-context'"
            )
        self.prior, self.residual, self.seed = prior, residual, seed
        self._budget = PowerBudget(self.config.power_db, self.config.peak_db)
        self._refresh = TokenRefresh(self.config.refresh)

    def choose(
        self, frame: Payload, layout_seed: int, carrier_esn0_db: np.ndarray, offset_db: float = 0.0,
        bits: np.ndarray | None = None, condition: Condition | None = None,
    ) -> Choice:  # fmt: skip
        """Choose the transmission parameters of a frame.

        Args:
            frame: the frame, without lost tokens.
            layout_seed: seed of the packets' layout; the semantic policies also try the following seeds.
            carrier_esn0_db: float (n_carriers,), CQI at power 0 dB.
            offset_db: offset of the outer loop in dB, added to the CQI.
            bits: float (n_tokens,), predictability, if known already.
            condition: the receiver's side information; None for what is sent with the frame.

        Raises:
            ModelError: the prior does not fit the frame.
            TokcomError: no burst can hold the frame, or the CQI is not a finite number per carrier.
        """
        esn0_db = table_esn0_db(carrier_esn0_db) + offset_db
        n_packets = -(-len(frame.tokens) // self.transmitter.per_packet(frame))
        symbols = _packet_symbols(frame.codebook_size, self.transmitter.per_packet(frame), self._tag_bits)
        decoding = self._payload_bits(frame), self._listed(frame)
        if self.config.policy not in SEMANTIC:
            scheme = find_mcs(self.config.mcs).index
            if self.config.policy != "fixed":
                scheme = choose_by_cqi(esn0_db, self.config.target, symbols[:-1], *decoding)
            mcs = np.full(n_packets, scheme, np.uint8)
            mcs[packets_sent(frame.thinning, frame.grid, self.transmitter.per_packet(frame)) :] = MCS_NOT_SENT
            predicted = predicted_per(mcs_table()[scheme], esn0_db[scheme], *decoding)
            feasible = bool(predicted <= self.config.target)
            return self._choice(frame, layout_seed, mcs, 0.0, esn0_db, np.nan, feasible)
        if frame.thinning:
            raise ParameterError(
                f"frame {frame.frame_id} has a rule of what is sent, which policy {self.config.policy!r} decides "
                "itself; use policy 'fixed', 'cqi' or 'cqi-context'"
            )
        if self.config.assumed_bits is not None:
            bits = np.full(len(frame.tokens), self.config.assumed_bits, np.float32)
        bits = token_bits(self.prior, frame, seed=self.seed, condition=condition) if bits is None else bits
        solver = _Solver(self, self._residual_of(frame, condition), frame, layout_seed, bits, esn0_db, symbols)
        scheme = choose_by_cqi(esn0_db, self.config.target, symbols[:-1], *decoding)
        if self.config.policy == "semantic":
            return self._refreshed(frame, solver.shortest(0.0), solver, scheme)
        longest = grid.symbols_for(int(symbols[scheme]) * n_packets)
        choice = solver.least_energy(longest, self._budget, self.config.header_esn0_db)
        choice = self._refreshed(frame, choice, solver, scheme)
        self._budget.spend(choice.airtime, choice.power_db)
        return choice

    def expected_ter(self, frame: Payload, choice: Choice, carrier_esn0_db: np.ndarray, bits: np.ndarray) -> float:
        """Expected errors of a frame sent with the chosen parameters.

        Args:
            frame: the whole frame.
            choice: what it is sent with, which may have been chosen for another.
            carrier_esn0_db: as in `choose`.
            bits: float (n_tokens,), the frame's own predictability.

        Returns:
            Expected share of wrong tokens after context decoding.
        """
        layout = self.transmitter.positions(frame, choice.layout_seed)
        used = layout != PADDING
        packet_bits = (np.where(used, bits[layout], 0).sum(axis=1) / used.sum(axis=1)).astype(np.float32)
        esn0_db = table_esn0_db(carrier_esn0_db) + choice.power_db
        rates = self.residual.token_error_rates(
            packet_bits[None], float(bits.mean()), esn0_db, self._payload_bits(frame)
        )
        return float((rates[0][np.arange(len(layout)), choice.mcs] * used.sum(axis=1)).sum() / len(bits))

    def _refreshed(self, frame: Payload, choice: Choice, solver: "_Solver", scheme: int) -> Choice:
        """Send with an MCS the packets that a choice leaves out and that are due, and remember what is sent."""
        if len(frame.grid) < 2 or frame.quantizers > 1:
            return choice  # of lines and of sounds, a frame goes on where the one before ends
        due = self._refresh.due(frame, self.transmitter.positions(frame, choice.layout_seed), choice.mcs)
        if due.any():
            choice = solver.with_sent(choice, due, scheme)
        self._refresh.keep(frame, self.transmitter.positions(frame, choice.layout_seed), choice.mcs)
        return choice

    def _residual_of(self, frame: Payload, condition: Condition | None) -> ResidualModel:
        """Return what is expected of a frame: of videos, where the receiver predicts most of it from the one before."""
        followed = is_group(frame) or (condition is not None and condition.before is not None)
        return self.residual.following if followed and self.residual.following is not None else self.residual

    def _payload_bits(self, frame: Payload) -> int:
        """Bits of a packet with a CRC that is as long as this frame's packets, without the CRC."""
        content = self.transmitter.per_packet(frame) * bits_per_token(frame.codebook_size)
        return content if self._seal is None else max(content + self._tag_bits - CRC.width, 1)

    def _listed(self, frame: Payload) -> bool:
        """Tell whether the thresholds of list decoding hold for a frame's packets.

        They do not where a key protects them: beside the 512 likeliest, no candidate is believed however well its tag
        fits, so that the losses fall more slowly with Es/N0.
        """
        per_packet = self.transmitter.per_packet(frame)
        bits = isinstance(frame, BitFrame) and self._seal is None
        return bits and all_listed(-(-len(frame.tokens) // per_packet), per_packet)

    @property
    def _tag_bits(self) -> int:
        return 0 if self._seal is None else self._seal.tag_bits

    def _choice(self, frame, layout_seed, mcs, power_db, esn0_db, ter, feasible, gap=0.0) -> Choice:
        header = self.transmitter.header(frame, layout_seed, mcs, self.transmitter.per_packet(frame), seal=self._seal)
        sent = mcs[mcs != MCS_NOT_SENT]
        decoding = self._payload_bits(frame), self._listed(frame)
        lost = sum(
            float(predicted_per(mcs_table()[i], esn0_db[i] + power_db, *decoding)) * np.sum(sent == i)
            for i in np.unique(sent)
        )
        first = int(sent[0]) if len(sent) else 0
        return Choice(
            mcs, layout_seed, power_db, float(esn0_db[first]) + power_db, float(ter), float(lost),
            plan_burst(header, self._profile).length, header.bits, feasible, gap,
        )  # fmt: skip


class _Solver:
    """Solver of the semantic choice for one frame."""

    def __init__(self, parent: LinkAdapter, residual, frame, layout_seed, bits, esn0_db, symbols):
        self.parent, self.residual, self.frame, self.esn0_db = parent, residual, frame, esn0_db
        self.symbols = symbols
        transmitter = parent.transmitter
        shape = frame.grid, transmitter.per_packet(frame), transmitter.layout(frame)
        searched = transmitter.layout(frame) in SEEDED and parent.config.assumed_bits is None
        self.seeds = (layout_seed + np.arange(parent.config.layouts if searched else 1)) % SEEDS
        layouts = np.stack([_positions(*shape, int(seed), frame.quantizers) for seed in self.seeds])
        used = layouts != PADDING
        self.tokens = used.sum(axis=2)
        self.packet_bits = (np.where(used, bits[layouts], 0).sum(axis=2) / self.tokens).astype(np.float32)
        self.frame_bits = float(bits.mean())
        self.bound = parent.config.bound * len(bits)
        self.allowed = np.ones(MCS_COUNT + 1, bool)
        # A header must not announce many more tokens than its burst sends.
        self.allowed[MCS_COUNT] = len(bits) <= FREE_TOKENS

    def errors(self, power_db: float, layouts: slice = slice(None)) -> np.ndarray:
        """Compute the expected wrong tokens (n_layouts, n_packets, n_mcs + 1)."""
        rates = self.residual.token_error_rates(
            self.packet_bits[layouts], self.frame_bits, self.esn0_db + power_db, self.parent._payload_bits(self.frame)
        )
        return rates * self.tokens[layouts][..., None]

    def shortest(self, power_db: float) -> Choice:
        """Find the shortest burst of a given power within the bound: of two groups, or of a free choice with its
        extension."""
        errors = self.errors(power_db)
        groups = allocate_two_groups(errors, self.symbols, self.bound, self.allowed)
        best = self._choice(groups, power_db)
        free = allocate_freely(errors[groups.layout], self.symbols, self.bound, self.allowed)
        if groups.feasible == free.feasible and free.symbols < groups.symbols:
            try:
                other = self._choice(free, power_db, groups.layout)
            except ParameterError:  # the packets' MCS do not fit in a header
                return best
            if other.airtime < best.airtime:
                return other
        return best

    def least_energy(self, longest: int, budget: PowerBudget, header_esn0_db: float) -> Choice:
        """Find the burst of least energy with at most `longest` OFDM symbols of packets."""
        highest = budget.highest_db(longest * 80)
        # Not below the header's requirement, unless the channel is already worse.
        lowest = max(LOWEST_POWER_DB, min(highest, header_esn0_db - float(self.esn0_db.min())))
        levels = np.arange(np.ceil(lowest / POWER_STEP_DB), np.floor(highest / POWER_STEP_DB) + 1) * POWER_STEP_DB
        best, least = min(0.0, highest), np.inf
        for level in levels:
            found = allocate_two_groups(self.errors(level, slice(0, 1)), self.symbols, self.bound, self.allowed)
            energy = grid.symbols_for(found.symbols) * 10 ** (level / 10)
            if found.feasible and grid.symbols_for(found.symbols) <= longest and energy < least:
                best, least = float(level), energy
        return self.shortest(best)

    def with_sent(self, choice: Choice, due: np.ndarray, scheme: int) -> Choice:
        """Change a choice such that the packets `due`, bool (n_packets,), are sent with an MCS; if no header can say
        so, find the shortest burst that sends all packets."""
        mcs = np.where(due, scheme, choice.mcs).astype(np.uint8)
        row = int(np.flatnonzero(self.seeds == choice.layout_seed)[0])
        errors = self.errors(choice.power_db, slice(row, row + 1))[0][np.arange(len(mcs)), mcs].sum()
        try:
            return self.parent._choice(
                self.frame, choice.layout_seed, mcs, choice.power_db, self.esn0_db, errors / len(self.frame.tokens),
                bool(errors <= self.bound), choice.gap,
            )  # fmt: skip
        except ParameterError:  # the packets' MCS do not fit in a header
            self.allowed[MCS_COUNT] = False
            return self.shortest(choice.power_db)

    def _choice(self, found: Allocation, power_db: float, layout: int | None = None) -> Choice:
        seed = int(self.seeds[found.layout if layout is None else layout])
        return self.parent._choice(
            self.frame, seed, found.mcs, power_db, self.esn0_db, found.errors / len(self.frame.tokens), found.feasible,
            found.gap / grid.N_DATA,
        )  # fmt: skip


@lru_cache(maxsize=8)
def _packet_symbols(codebook_size: int, tokens_per_packet: int, tag_bits: int) -> np.ndarray:
    return np.array([*(row.symbols(codebook_size, tokens_per_packet, tag_bits) for row in mcs_table()), 0])


_positions = lru_cache(maxsize=8192)(packet_positions)
