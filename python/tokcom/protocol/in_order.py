"""Places of packets whose order is known: the best assignment that keeps the order, by dynamic programming.

Sections of consecutive packets follow each other; how many packets were lost between two of them is known or not. Of
all ways to place them, that of the highest score is found in a time proportional to sections times places.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Order:
    """Sections of packets in their order.

    Args:
        counts: packets of each section, at least 1.
        starts: places at which the first section may begin; empty: any.
        gaps: places between each section and the one before; None: any number of them. One fewer than sections.
    """

    counts: tuple[int, ...]
    starts: tuple[int, ...] = ()
    gaps: tuple[int | None, ...] = ()

    def assign(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Find the assignment of the highest total score.

        Args:
            scores: float (n, n_places), of each packet at each place; -inf where it cannot be.

        Returns:
            int (n,), the place of each packet, and float (n,), by how much the total falls if its section lies
            elsewhere, infinite if it cannot. None: there is no assignment.
        """
        own = self._section_scores(scores)
        ahead, behind = self._ahead(own), self._behind(own)
        total, place = ahead + behind, np.zeros(len(own), int)
        for number in range(len(own)):
            reach = total[number] if not number else self._after(number, place[number - 1], own + behind)
            place[number] = reach.argmax()
            if reach[place[number]] == -np.inf:
                return None
        others = total.copy()
        others[np.arange(len(own)), place] = -np.inf
        margin = total[0, place[0]] - others.max(axis=1)
        return self._spread(place), np.repeat(margin, self.counts)

    def ways(self, free: np.ndarray, most: int) -> list[np.ndarray]:
        """List the ways to place the packets, int (n,) each; of more than `most`, the first `most` + 1.

        Args:
            free: bool (n_places,), where packets may be.
            most: at least 1.
        """
        own = self._section_scores(np.where(np.tile(free, (sum(self.counts), 1)), 0.0, -np.inf))
        ahead, rest = self._ahead(own), own + self._behind(own)
        # No way that is begun ends before the last section: `rest` is -inf wherever it would.
        begun = [(place,) for place in np.flatnonzero(ahead[0] + rest[0] > -np.inf)[: most + 1]]
        for number in range(1, len(own)):
            longer = []
            for way in begun:
                reach = np.flatnonzero(self._after(number, way[-1], rest) > -np.inf)
                longer += [(*way, place) for place in reach[: most + 1 - len(longer)]]
            begun = longer
        return [self._spread(np.array(way)) for way in begun]

    def _spread(self, first: np.ndarray) -> np.ndarray:
        """int (n,): place of each packet, from those of the first packets of sections."""
        return np.repeat(first, self.counts) + np.concatenate([np.arange(count) for count in self.counts])

    def _section_scores(self, scores: np.ndarray) -> np.ndarray:
        """float64 (n_sections, n_places): of each section, if it begins at each place."""
        n_places, first = scores.shape[1], 0
        own = np.full((len(self.counts), n_places), -np.inf)
        for number, count in enumerate(self.counts):
            last = n_places - count + 1
            if last > 0:
                own[number, :last] = sum(scores[first + step, step : step + last] for step in range(count))
            first += count
        return own

    def _ahead(self, own: np.ndarray) -> np.ndarray:
        """Best total of each section at each place and of all sections ahead of it."""
        ahead = own.copy()
        if self.starts:
            elsewhere = np.ones(own.shape[1], bool)
            elsewhere[list(self.starts)] = False
            ahead[0, elsewhere] = -np.inf
        for number in range(1, len(own)):
            gap, before = self.gaps[number - 1], ahead[number - 1]
            best = before if gap is not None else np.maximum.accumulate(before)
            ahead[number] += _moved(best, self.counts[number - 1] + (gap or 0))
        return ahead

    def _behind(self, own: np.ndarray) -> np.ndarray:
        """Best total of all sections behind each section, if that begins at each place."""
        behind = np.zeros(own.shape)
        for number in range(len(own) - 2, -1, -1):
            gap, after = self.gaps[number], own[number + 1] + behind[number + 1]
            best = after if gap is not None else np.maximum.accumulate(after[::-1])[::-1]
            behind[number] = _moved(best, -self.counts[number] - (gap or 0))
        return behind

    def _after(self, number: int, before: int, rest: np.ndarray) -> np.ndarray:
        """Scores of a section and of all behind it, `rest`, -inf where it cannot begin after the one at `before`."""
        reach, gap = np.full(rest.shape[1], -np.inf), self.gaps[number - 1]
        first = before + self.counts[number - 1] + (gap or 0)
        until = None if gap is None else first + 1
        reach[first:until] = rest[number, first:until]
        return reach


def _moved(row: np.ndarray, steps: int) -> np.ndarray:
    """A row moved to the right, or to the left if `steps` is negative, -inf where nothing comes from."""
    moved, steps = np.full(len(row), -np.inf), max(min(steps, len(row)), -len(row))
    if steps >= 0:
        moved[steps:] = row[: len(row) - steps]
    else:
        moved[:steps] = row[-steps:]
    return moved
