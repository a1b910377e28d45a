"""Classifier of pictures: provides the CMI if the user gives none, and the features of the semantic score."""

import numpy as np
import torch

from tokcom.context.classifier_network import ClassifierNetwork
from tokcom.context.efficientnet_lite import LiteClassifierNetwork
from tokcom.errors import ParameterError, PictureError
from tokcom.tokenizers.vq_network import as_input


class Classifier:
    """Trained classifier of pictures, with the names of its classes.

    Args:
        network: the network, in evaluation mode.
        classes: name of each label.
        unsure_below: probability of the most likely class below which a picture gets no class.
    """

    def __init__(
        self, network: ClassifierNetwork | LiteClassifierNetwork, classes: tuple[str, ...], unsure_below: float = 0.0
    ):
        self.network = network
        self.classes = classes
        self.unsure_below = unsure_below

    def log_probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """Compute log-probabilities of the classes, float32 (batch, classes), of uint8 pictures (batch, size, size, 3).

        Raises:
            PictureError: the pictures do not have the network's size.
        """
        scaled = self._scaled(pictures)
        with torch.inference_mode():
            # A picture and its mirror image show the same thing.
            return (self.network(scaled) + self.network(scaled.flip(3))).div(2).log_softmax(-1).numpy()

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Compute the features before the last layer, float32 (batch, width), of uint8 pictures (batch, size, size, 3);
        their cosine measures the similarity of content.

        Raises:
            PictureError: the pictures do not have the network's size.
        """
        scaled = self._scaled(pictures)
        with torch.inference_mode():
            return (self.network.features(scaled) + self.network.features(scaled.flip(3))).div(2).numpy()

    def _scaled(self, pictures: np.ndarray) -> torch.Tensor:
        size = self.network.config.image_size
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (size, size, 3):
            raise PictureError(
                f"the classifier takes uint8 pictures (batch, {size}, {size}, 3), not {pictures.dtype} {pictures.shape}"
            )
        return as_input(pictures)

    def label(self, picture: np.ndarray) -> int | None:
        """Find the most likely class of one picture (size, size, 3); None if it is not likely enough."""
        log_probabilities = self.log_probabilities(picture[None])[0]
        likeliest = int(log_probabilities.argmax())
        return likeliest if np.exp(log_probabilities[likeliest]) >= self.unsure_below else None

    def likeliest(self, picture: np.ndarray) -> int:
        """Find the most likely class of one picture (size, size, 3), however unlikely."""
        return int(self.log_probabilities(picture[None])[0].argmax())


def class_label(name: str, classes: tuple[str, ...]) -> int:
    """Look up the label of a class by its name, ignoring case, or by its number.

    Raises:
        ParameterError: there is no such class.
    """
    folded = [known.casefold() for known in classes]
    if name.casefold() in folded:
        return folded.index(name.casefold())
    if name.isdecimal() and int(name) < len(classes):
        return int(name)
    near = [known for known in classes if name.casefold() in known.casefold() or known.casefold() in name.casefold()]
    hint = f"did you mean {' or '.join(near)}?" if near else f"the model knows {', '.join(classes)}"
    raise ParameterError(f"class {name!r} is unknown; {hint}")
