"""Packets without index, put in place by the receiver's model (paper, section V-D).

If their order is known, as that of datagrams is by their numbers, and only what is lost between them is not, the best
places that keep the order are found by dynamic programming (`in_order`). If it is known within windows only, places
are dealt out by the Hungarian method: of all ways to place the packets, the one whose tokens the prior finds likeliest
together. Each turn scores every packet at every open place, given those that are settled, and settles the surest of
the assignment. Where no place is known and the order tells little, there is nothing to begin with; pictures are then
arranged like a jigsaw puzzle. At the end each packet's place is scored against its neighbours'.
"""

from collections.abc import Callable

import numpy as np

from tokcom.context.prior import Prior
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.layout import PADDING
from tokcom.protocol.in_order import Order
from tokcom.protocol.incoming import ReceivedFrame
from tokcom.protocol.puzzle import arrange, is_puzzle
from tokcom.scientific import linear_sum_assignment

TURNS, REVISIONS = 8, 4
UNLIKELY = -1e5
"""Log-probability of a packet where it may be, at least: an assignment that is allowed is found, however unlikely."""
MAX_TRIED = 32
"""Ways to place packets in order of which each is judged as a whole, at most."""
MAX_CELLS = 1 << 22
"""Packets times places, at most: frames of a peer may have any number of both."""
Assign = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Finds the likeliest assignment by scores, float (n, n_places): places, int (n,), and how sure each is, float (n,)."""
FEW_PLACES = 4
"""Places per packet up to which turns find them without any token in a known place."""


class Placement:
    """Places packets of one frame.

    Args:
        prior: the receiver's.
        outline: the frame, LOST where nothing is known.
        positions: int (n_packets, tokens_per_packet), which tokens each place carries.
        turns: passes of the prior in which places are settled, at least 1.
        revisions: passes after that in which they may be exchanged, at least 0.

    Raises:
        ModelError: the prior does not fit the frame.
    """

    def __init__(
        self, prior: Prior, outline: TokenFrame, positions: np.ndarray, turns: int = TURNS, revisions: int = REVISIONS
    ):  # fmt: skip
        self._prior, self._outline, self._positions = prior, outline, positions
        self._turns, self._revisions = turns, revisions
        self._condition = prior.told_with(outline)
        prior.require_fit(outline, self._condition)

    def place(self, packets: np.ndarray, allowed: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """int (n,): a place for each packet, each place at most once.

        Args:
            packets: int (n, tokens_per_packet).
            allowed: bool (n, n_packets), where each may be.
            known: int32 (n_tokens,), tokens that came with their index; None: those of the outline.
        """
        told = self._outline.tokens if known is None else known
        grid, positions = self._outline.grid, self._positions
        unknown = (told == LOST).all() and allowed.sum() > FEW_PLACES * len(packets)
        if unknown and is_puzzle(grid, positions):
            seed = self._outline.frame_id
            place = arrange(self._prior, grid, self._condition, packets, positions, allowed, seed)
        else:
            place = self._in_turns(told, packets, allowed, _assign)
        return self._revised(told, packets, allowed, place, _assign)[0]

    def place_in_order(self, packets: np.ndarray, order: Order, free: np.ndarray) -> np.ndarray | None:
        """int (n,): a place for each packet, in their order. None: there are no such places, or too many.

        Args:
            packets: int (n, tokens_per_packet), of the sections of `order`.
            order: what is known of it.
            free: bool (n_packets,), where packets may be.
        """
        if len(packets) * len(free) > MAX_CELLS:
            return None
        told, allowed = self._outline.tokens, np.tile(free, (len(packets), 1))
        ways = order.ways(free, MAX_TRIED)
        if len(ways) <= 1:
            return ways[0] if ways else None
        if len(ways) <= MAX_TRIED:
            return max(ways, key=lambda place: self._judged(told, packets, allowed, place)[1])
        # Turns settle whole sections early. As early, or late, as can be, those ahead of the first gap, or behind the
        # last, are right at once.
        late = np.where(allowed, np.arange(len(free)) / len(free), -np.inf)
        begun = [self._in_turns(told, packets, allowed, order.assign)]
        begun += [order.assign(scores)[0] for scores in (late, np.where(allowed, -late, -np.inf))]
        found = [self._revised(told, packets, allowed, place, order.assign) for place in begun]
        return max(found, key=lambda each: each[1])[0]

    def _in_turns(self, told: np.ndarray, packets: np.ndarray, allowed: np.ndarray, assign: Assign) -> np.ndarray:
        tokens, place = told.astype(np.int32), np.full(len(packets), -1)
        for turn in range(self._turns):
            open_packets, settled = np.flatnonzero(place < 0), np.flatnonzero(place >= 0)
            if not len(open_packets):
                break
            scores = self._scores(tokens, packets, allowed)
            scores[settled] = -np.inf
            scores[settled, place[settled]] = 0
            chosen, margin = assign(scores)
            count = max(1, round(len(open_packets) / (self._turns - turn)))
            for packet in open_packets[np.argsort(-margin[open_packets], kind="stable")[:count]]:
                place[packet] = chosen[packet]
                self._put(tokens, packets[packet], chosen[packet])
        return place

    def _revised(
        self, told: np.ndarray, packets: np.ndarray, allowed: np.ndarray, place: np.ndarray, assign: Assign
    ) -> tuple[np.ndarray, float]:  # fmt: skip
        """The places of highest pseudo-likelihood among those that come about as packets are exchanged, and that."""
        best, most = place, -np.inf
        for turn in range(self._revisions + 1 if self._revisions else 0):
            scores, likelihood = self._judged(told, packets, allowed, place)
            if likelihood > most:
                best, most = place, likelihood
            revised, _ = assign(scores)
            if turn == self._revisions or (revised == place).all():
                break
            place = revised
        return best, most

    def _judged(
        self, told: np.ndarray, packets: np.ndarray, allowed: np.ndarray, place: np.ndarray
    ) -> tuple[np.ndarray, float]:  # fmt: skip
        """Scores of packets at each place given the others where they are, and the pseudo-likelihood of all."""
        tokens = told.astype(np.int32)
        for packet, where in zip(packets, place, strict=True):
            self._put(tokens, packet, where)
        scores = self._held_out_scores(tokens, packets, allowed, place)
        return scores, float(scores[np.arange(len(place)), place].sum())

    def _put(self, tokens: np.ndarray, packet: np.ndarray, where: int) -> None:
        places = self._positions[where]
        tokens[places[places != PADDING]] = packet[places != PADDING]

    def _scores(self, tokens: np.ndarray, packets: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """float64 (n, n_packets): log-probability of each packet at each place that is free, given the tokens known."""
        wanted = tokens == LOST
        logs = self._prior.log_probabilities(tokens[None], wanted[None], [self._condition])
        table = np.full((len(tokens), logs.shape[1]), np.nan, np.float32)
        table[wanted] = logs
        return self._sum(table, packets, allowed)

    def _held_out_scores(
        self, tokens: np.ndarray, packets: np.ndarray, allowed: np.ndarray, place: np.ndarray
    ) -> np.ndarray:  # fmt: skip
        """The same where every place is filled: each place given the tokens of other places, a quarter masked at a
        time."""
        table = np.full((len(tokens), self._outline.codebook_size), np.nan, np.float32)
        for part in range(4):
            hidden = np.zeros(len(tokens), bool)
            places = self._positions[place[part::4]]
            hidden[places[places != PADDING]] = True
            shown = np.where(hidden, LOST, tokens).astype(np.int32)
            wanted = shown == LOST
            table[wanted] = self._prior.log_probabilities(shown[None], wanted[None], [self._condition])
        return self._sum(table, packets, allowed)

    def _sum(self, table: np.ndarray, packets: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        scores = np.zeros(allowed.shape)
        for slot in range(self._positions.shape[1]):
            places = self._positions[:, slot]
            column = table[np.where(places == PADDING, 0, places)][:, packets[:, slot]].T.astype(np.float64)
            # A slot that carries nothing holds 0.
            nothing = np.where(packets[:, slot] == 0, 0.0, -np.inf)[:, None]
            scores += np.where(places == PADDING, nothing, column)
        return np.where(allowed & ~np.isnan(scores), np.maximum(scores, UNLIKELY), -np.inf)


def _assign(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest assignment, int (n,), and how much better each packet's place is than its next best."""
    finite = np.where(np.isfinite(scores), scores, -1e6)
    rows, columns = linear_sum_assignment(-finite)
    chosen = columns[np.argsort(rows)]
    own = finite[np.arange(len(finite)), chosen]
    others = finite.copy()
    others[np.arange(len(finite)), chosen] = -np.inf
    return chosen, own - others.max(axis=1)


def windows(count: int, n_packets: int, window: int) -> np.ndarray:
    """bool (count, n_packets): where packets of a frame may be that came in their order but for windows.

    Args:
        count: packets that came.
        n_packets: of the frame; the others are lost, nobody knows which.
        window: packets within which the order is not known; 1: it is known, n_packets: it is not known at all.
    """
    came, places = np.arange(count), np.arange(n_packets)
    first = came // window * window
    # Those lost ahead of a packet move it on.
    return (places >= first[:, None]) & (places < first[:, None] + window + n_packets - count)


def placed(received: ReceivedFrame, prior: Prior) -> TokenFrame:
    """A frame with its packets without index put in place, as far as there are places for them.

    Raises:
        ModelError: the prior does not fit the frame.
    """
    frame, unplaced = received.frame, received.unplaced
    if unplaced is None or not isinstance(frame, TokenFrame):
        return frame
    packets = np.concatenate(unplaced.sections)
    order = Order(tuple(map(len, unplaced.sections)), unplaced.starts, unplaced.gaps)
    place = Placement(prior, frame, received.positions).place_in_order(packets, order, ~received.packets_ok)
    if place is None:
        return frame
    tokens = frame.tokens.copy()
    where = received.positions[place]
    tokens[where[where != PADDING]] = packets[where != PADDING]
    return frame.with_tokens(tokens)
