"""Coded bits of several transmitters on the same cells: K=7, then QPSK or 16-QAM, each packet protected by itself.

Either the strongest is decoded first and taken away (NOMA with successive cancellation), or all are weighed in each
cell together, spread by random sequences of their own (after arXiv 2512.17628), and what passes its CRC is taken away.
"""

import numpy as np

from tokcom.link.packets import MixedPackets
from tokcom.mcs import find_mcs
from tokcom.packets.identity import PacketIdentity
from tokcom.packets.layout import pack, packet_layout, unpack
from tokcom.phy.numerology import CARRIERS
from tokcom_lab.multiple_access.scene import Scene

MCS_BY_LENGTH = {8: "16qam-1/2", 12: "qpsk-2/3", 16: "qpsk-1/2", 24: "qpsk-1/2", 32: "qpsk-1/2"}
"""MCS by carriers per slot: the fastest one whose burst fits into the cells of slots of that width."""
TOKENS_PER_PACKET = 4
ROUNDS = 4


class Overlay:
    """A scene whose transmitters send coded bits on the same cells.

    Args:
        scene: frames and channels.
        spread: with random sequences and joint weighing; else with successive cancellation.
    """

    def __init__(self, scene: Scene, spread: bool):
        self.scene, self.spread = scene, spread
        first = scene.frames[0]
        self.layout = packet_layout(len(first.tokens), TOKENS_PER_PACKET, 0)
        mcs = find_mcs(MCS_BY_LENGTH[scene.plan.codebook.length])
        self.coded = MixedPackets.of(first.codebook_size, TOKENS_PER_PACKET, np.full(len(self.layout), mcs.index))
        self.points = mcs.constellation()
        self.identity = PacketIdentity(0, 0, 0)
        self.count = int(self.coded.symbols.sum())
        total = scene.plan.payload_symbols * len(CARRIERS)
        self.copies = total // self.count
        used = self.copies * self.count
        rngs = [np.random.default_rng([7, user if spread else 0]) for user in range(len(scene.frames))]
        self.cells = np.stack([rng.permutation(total)[:used] for rng in rngs])
        self.turns = np.stack([1j ** rng.integers(0, 4, used) if spread else np.ones(used) for rng in rngs])

    def tokens(self) -> np.ndarray:
        """int32 (users, n_slots), as decoded, whether CRCs hold or not.

        Raises:
            BurstError: the burst is not found.
        """
        scene = self.scene
        packets = [pack(frame.tokens, self.layout) for frame in scene.frames]
        symbols = np.stack([self._symbols(each) for each in packets])
        total = scene.plan.payload_symbols * len(CARRIERS)
        cells = np.stack([self._spread(each, user, total) for user, each in enumerate(symbols)])
        observed = scene.observe(cells.reshape(len(cells), -1, len(CARRIERS)))
        users = len(observed.users)
        channels = observed.cell_channels.reshape(users, -1)
        noise = np.full(total, observed.noise_power + sum(each.channel.error for each in observed.users))
        received = observed.cells.reshape(-1)
        done = [np.zeros(len(self.layout), bool) for _ in range(users)]
        found = [np.zeros_like(packets[0]) for _ in range(users)]
        sent = np.zeros((users, total), np.complex128)
        # Where a transmitter sends nothing, that is known.
        known = np.ones((users, total), bool)
        for user in range(users):
            known[user, self.cells[user]] = False
        order = np.argsort([-each.channel.power for each in observed.users])
        for _ in range(ROUNDS):
            before = sum(each.sum() for each in done)
            for user in order:
                left = received - sum(channels[o] * sent[o] for o in range(users) if o != user)
                llrs = self._llrs(user, left, channels, noise, known)
                tokens, ok = self.coded.decode(llrs, self.identity)
                keep = done[user]
                found[user] = np.where(keep[:, None], found[user], tokens).astype(np.int32)
                done[user] = keep | ok
                good = np.repeat(done[user], self.coded.symbols)
                again = np.where(
                    good, self._symbols(np.minimum(found[user], self.scene.frames[0].codebook_size - 1)), 0
                )
                sent[user] = self._spread(again, user, total)
                known[user, self.cells[user]] = np.tile(good, self.copies)
            if sum(each.sum() for each in done) == before:
                break
        out = np.zeros((len(scene.frames), scene.plan.n_slots), np.int32)
        for row, each in enumerate(observed.users):
            out[each.port] = unpack(found[row], self.layout)
        return out

    def _symbols(self, packets: np.ndarray) -> np.ndarray:
        return self.coded.map(self.coded.encode(packets, self.identity))

    def _spread(self, symbols: np.ndarray, user: int, total: int) -> np.ndarray:
        out = np.zeros(total, np.complex128)
        out[self.cells[user]] = np.tile(symbols, self.copies) * self.turns[user]
        return out

    def _llrs(
        self, user: int, left: np.ndarray, channels: np.ndarray, noise: np.ndarray, known: np.ndarray
    ) -> np.ndarray:
        """LLRs of a user's coded bits; others are noise, or weighed with it where they are not known yet."""
        places = self.cells[user]
        others = [other for other in range(len(channels)) if other != user]
        h = channels[user, places] * self.turns[user]
        y, n = left[places], noise[places]
        open_others = [np.where(known[o, places], 0, channels[o, places]) for o in others]
        if self.spread and len(others) == 1:
            symbols = self._joint(y, h, open_others[0], n)
            return symbols.reshape(self.copies, -1).sum(axis=0).astype(np.float32)
        variance = n + sum(np.abs(each) ** 2 for each in open_others)
        # Copies by maximum ratio.
        weight = (np.abs(h) ** 2 / variance).reshape(self.copies, -1)
        value = (h.conj() * y / variance).reshape(self.copies, -1).sum(axis=0)
        gain = np.maximum(weight.sum(axis=0), 1e-12)
        return self.coded.demap((value / gain).astype(np.complex64), (1 / gain).astype(np.float32))

    def _joint(self, y: np.ndarray, h: np.ndarray, other: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """float32: LLRs of every cell, weighed over all points of both."""
        points = self.points.points
        apart = y[:, None, None] - h[:, None, None] * points[:, None] - other[:, None, None] * points
        metric = -(np.abs(apart) ** 2) / noise[:, None, None]
        own = np.logaddexp.reduce(metric, axis=2)
        width = self.points.bits_per_symbol
        labels = (np.arange(len(points))[:, None] >> np.arange(width - 1, -1, -1)) & 1
        llrs = [
            np.logaddexp.reduce(own[:, labels[:, bit] == 1], axis=1)
            - np.logaddexp.reduce(own[:, labels[:, bit] == 0], axis=1)
            for bit in range(width)
        ]
        stacked = np.stack(llrs, axis=1).reshape(self.copies, len(self.layout), -1)
        coded = int(self.coded.bits[0])
        return stacked[:, :, :coded].reshape(self.copies, -1)
