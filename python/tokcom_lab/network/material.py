"""Material of the network benchmarks: photographs as frames, and the quality of frames that arrived in part."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tokcom.context.prior import Prior
from tokcom.context.recovery import Recovery
from tokcom.frame import TokenFrame
from tokcom.metrics.pictures import psnr_db
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.source.filling import expected_picture, filled_picture
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer
from tokcom_lab.photographs import Photographs

TOKENS_PER_PACKET = 4


@dataclass(frozen=True, eq=False)
class Material:
    """Photographs, their tokens, and the model that they are of.

    Attributes:
        photographs: as sent.
        frames: of each.
        prior, tokenizer: of the model.
    """

    photographs: Photographs
    frames: list[TokenFrame]
    prior: Prior
    tokenizer: PictureTokenizer

    @classmethod
    def of(cls, photographs: Photographs, model: str, visits: int, device: str) -> "Material":
        """Tokenize photographs; `visits` of the search for better tokens to each."""
        tokenizer = load_tokenizer(model, visits, device)
        frames = tokenizer.frames(tokenizer.encode(photographs.pictures), photographs.labels)
        return cls(photographs, frames, load_context(model, device), tokenizer)

    @cached_property
    def _whole_psnr_db(self) -> dict[int, float]:
        return {}

    def whole_psnr_db(self, number: int) -> float:
        """PSNR in dB of a photograph all of whose tokens came."""
        if number not in self._whole_psnr_db:
            self._whole_psnr_db[number] = self._psnr_db(self.frames[number])
        return self._whole_psnr_db[number]

    @property
    def packets(self) -> int:
        """Packets of a frame."""
        return -(-len(self.frames[0].tokens) // TOKENS_PER_PACKET)

    def psnr_db(self, frame: TokenFrame) -> float:
        """PSNR in dB of a frame's picture, against the photograph."""
        whole = np.array_equal(frame.tokens, self.frames[frame.frame_id].tokens)
        return self.whole_psnr_db(frame.frame_id) if whole else self._psnr_db(frame)

    def _psnr_db(self, frame: TokenFrame) -> float:
        return psnr_db(self.photographs.pictures[frame.frame_id], self.tokenizer.detokenize(frame))

    def filled_psnr_db(self, frame: TokenFrame) -> float:
        """The same with what the prior expects in place of lost tokens."""
        if not frame.lost.any():
            return self.psnr_db(frame)
        return psnr_db(self.photographs.pictures[frame.frame_id], self.filled(frame))

    def filled(self, frame: TokenFrame) -> np.ndarray:
        """A frame as the receiver shows it, uint8 (size, size, 3)."""
        return filled_picture(frame, self.prior, self.tokenizer)

    def mean_psnr_db(self, frame: TokenFrame) -> float:
        """The same with the mean of the code vectors that the prior expects in place of lost tokens."""
        if not frame.lost.any():
            return self.psnr_db(frame)
        return psnr_db(self.photographs.pictures[frame.frame_id], expected_picture(frame, self.prior, self.tokenizer))

    def likeliest_psnr_db(self, frame: TokenFrame) -> float:
        """The same with the prior's likeliest tokens in place of lost ones, found in turns."""
        return self.psnr_db(Recovery(self.prior).recover(frame)[0])

    def grey_psnr_db(self, number: int) -> float:
        """PSNR in dB of a plain grey picture in place of a photograph."""
        picture = self.photographs.pictures[number]
        return psnr_db(picture, np.full_like(picture, 128))


Progress = Callable[[int], None]
