import pytest
import torch

from tokcom.context.classifier_network import ClassifierConfig, ClassifierNetwork
from tokcom.context.maskgit_network import MaskGitConfig, MaskGitNetwork
from tokcom.tokenizers.vq_network import VQConfig, VQNetwork
from tokcom.training.export import Run, export_part


@pytest.fixture
def tiny_model(tmp_path):
    """Folder of a complete model with random weights: 16 x 16 pixels, 4 x 4 tokens of 32 words, 3 classes."""
    torch.manual_seed(0)
    folder = tmp_path / "zoo" / "tiny"
    run = Run("none", "none", 0, 0, 0.0)
    classes = ("cat", "dog", "owl")
    vq = VQNetwork(VQConfig(16, 4, 32, 8, 16, 1, 1, 8, 1))
    export_part(folder, "tokenizer", "vq", vq, {}, run, classes)
    maskgit = MaskGitNetwork(MaskGitConfig(32, 4, 4, 3, 16, 1, 2, 3, 2))
    export_part(folder, "context", "maskgit", maskgit, {}, run, classes)
    classifier = ClassifierNetwork(ClassifierConfig(16, 3, (4, 8)))
    export_part(folder, "classifier", "classifier", classifier, {}, run, classes)
    return folder
