"""Encoder of sentences to vectors: all-MiniLM-L6-v2, in which similar sentences are close together.

BERT (Devlin et al., NAACL 2019) of six layers, distilled (Wang et al., "MiniLM", NeurIPS 2020) and trained on a billion
pairs of sentences (Reimers and Gurevych, "Sentence-BERT", EMNLP 2019). Modules have the names of the published weights.
"""

import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokcom.errors import ParameterError

WIDTH, LAYERS, HEADS, INNER, POSITIONS = 384, 6, 12, 1536, 256
NORM_EPSILON = 1e-12
LONGEST_WORD = 100
"""Letters of the longest word; longer ones are unknown."""


class WordPieces:
    """Tokenizer of text to word pieces (Wu et al., 2016), lower case and without accents.

    Args:
        vocabulary: the pieces, by number; those that continue a word begin with ##.
    """

    def __init__(self, vocabulary: Sequence[str]):
        self.numbers = {piece: number for number, piece in enumerate(vocabulary)}
        try:
            self.first, self.last, self.unknown, self.padding = (
                self.numbers[piece] for piece in ("[CLS]", "[SEP]", "[UNK]", "[PAD]")
            )
        except KeyError as error:
            raise ParameterError(f"the vocabulary of {len(vocabulary)} pieces has no {error}") from None

    def __call__(self, text: str) -> list[int]:
        """Convert a text to numbers of pieces between [CLS] and [SEP], truncated to POSITIONS."""
        pieces = [piece for word in _words(text) for piece in self._pieces(word)]
        return [self.first, *pieces[: POSITIONS - 2], self.last]

    def _pieces(self, word: str) -> list[int]:
        """Split a word into its longest pieces; a word that they cannot form is unknown."""
        if len(word) > LONGEST_WORD:
            return [self.unknown]
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self.numbers.get(("##" if start else "") + word[start:end])
                if number is not None:
                    break
            else:
                return [self.unknown]
            found.append(number)
            start = end
        return found


def _words(text: str) -> list[str]:
    """Split text into words and single punctuation marks."""
    plain = unicodedata.normalize("NFD", text.lower())
    marked = []
    for letter in plain:
        kind = unicodedata.category(letter)
        if kind == "Mn" or (kind[0] == "C" and not letter.isspace()):
            continue
        alone = kind[0] == "P" or letter in "$+<=>^`|~" or "\u4e00" <= letter <= "\u9fff"
        marked.append(f" {letter} " if alone else letter)
    return "".join(marked).split()


class SentenceEncoder(nn.Module):
    """Network from sentences to unit vectors.

    Args:
        pieces: number of word pieces in the vocabulary.
    """

    def __init__(self, pieces: int):
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(pieces, WIDTH),
                "position_embeddings": nn.Embedding(2 * POSITIONS, WIDTH),
                "token_type_embeddings": nn.Embedding(2, WIDTH),
                "LayerNorm": nn.LayerNorm(WIDTH, NORM_EPSILON),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer() for _ in range(LAYERS))})

    def forward(self, numbers: Tensor, known: Tensor) -> Tensor:
        """Compute unit vectors (batch, 384), the means over the sentences' pieces.

        Args:
            numbers: int64 (batch, pieces), padded at the end.
            known: bool (batch, pieces), False where padded.
        """
        places = torch.arange(numbers.shape[1], device=numbers.device)
        x = self.embeddings["word_embeddings"](numbers) + self.embeddings["position_embeddings"](places)
        x = self.embeddings["LayerNorm"](x + self.embeddings["token_type_embeddings"].weight[0])
        for layer in self.encoder["layer"]:
            x = layer(x, known)
        mean = (x * known[..., None]).sum(1) / known.sum(1, keepdim=True)
        return F.normalize(mean, dim=-1)


class _Layer(nn.Module):
    """Layer of attention over the pieces and an MLP, each residual and post-normalised."""

    def __init__(self):
        super().__init__()
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict({name: nn.Linear(WIDTH, WIDTH) for name in ("query", "key", "value")}),
                "output": nn.ModuleDict(
                    {"dense": nn.Linear(WIDTH, WIDTH), "LayerNorm": nn.LayerNorm(WIDTH, NORM_EPSILON)}
                ),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, INNER)})
        self.output = nn.ModuleDict({"dense": nn.Linear(INNER, WIDTH), "LayerNorm": nn.LayerNorm(WIDTH, NORM_EPSILON)})

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        batch, pieces, _ = x.shape
        query, key, value = (
            self.attention["self"][name](x).reshape(batch, pieces, HEADS, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(query, key, value, known[:, None, None, :])
        output = self.attention["output"]
        x = output["LayerNorm"](x + output["dense"](mixed.transpose(1, 2).reshape(x.shape)))
        inner = F.gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](x + self.output["dense"](inner))


class Sentences:
    """Trained `SentenceEncoder` with its vocabulary.

    Args:
        network: the network, in evaluation mode.
        pieces: tokenizer of the texts.
    """

    def __init__(self, network: SentenceEncoder, pieces: WordPieces):
        self.network, self.pieces = network, pieces

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as unit vectors, float32 (len(texts), 384).

        Raises:
            ParameterError: there are no texts.
        """
        if not texts:
            raise ParameterError("no sentences to embed; give at least one")
        cut = [torch.tensor(self.pieces(text)) for text in texts]
        numbers = nn.utils.rnn.pad_sequence(cut, batch_first=True, padding_value=self.pieces.padding)
        lengths = torch.tensor([len(each) for each in cut])
        return self.network(numbers, torch.arange(numbers.shape[1]) < lengths[:, None])
