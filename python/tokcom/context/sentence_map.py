"""Map from the space of sentences to what a MaskGIT is told of a frame, for one that was trained with labels alone."""

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from tokcom.context.description import WIDTH


@dataclass(frozen=True)
class SentenceMapConfig:
    """Shape of a `SentenceMap`; it is stored in the model's card.

    Attributes:
        width: width of the MaskGIT.
        hidden: width of the layer in between.
        embedding: components of a sentence's embedding.
    """

    width: int = 192
    hidden: int = 128
    embedding: int = WIDTH

    as_dict = asdict


class SentenceMap(nn.Module):
    """Sentences' embeddings (batch, embedding) to vectors in the place of a class's, (batch, width)."""

    def __init__(self, config: SentenceMapConfig):
        super().__init__()
        self.config = config
        self.straight = nn.Linear(config.embedding, config.width)
        self.bent = nn.Sequential(
            nn.Linear(config.embedding, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.width)
        )

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings."""
        return self.straight(embeddings) + self.bent(embeddings)
