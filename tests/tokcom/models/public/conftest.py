import pytest


@pytest.fixture
def bring(tmp_path):
    """Imports files, as their publishers lay them out, as a model: folder of the model."""

    def make(**parts):
        from tokcom.models.public.catalogue import PublicModel, PublicPart
        from tokcom.models.public.importing import import_model

        entries, files = {}, {}
        for part, (layout, path, settings, *others) in parts.items():
            names = tuple(each.name for each in others)
            entries[part] = PublicPart(
                layout, path.name, repository="somebody/something", companions=names, settings=settings
            )
            files[part] = [path, *others]
        model = PublicModel("public", "a public model", "image", "", "MIT", "nothing", entries)
        return str(import_model(model, files, tmp_path / "zoo" / "public").parent)

    return make


@pytest.fixture(scope="session")
def random_tensors():
    """Random tensors that half precision represents exactly, of shapes by name; norms near the identity."""

    def make(shapes, seed=0):
        import torch

        rng = torch.Generator().manual_seed(seed)
        made = {}
        for name, shape in shapes.items():
            values = torch.randn(shape, generator=rng)
            if name.endswith(("bias", "/bias")):
                values = 0.1 * values
            elif len(shape) > 1:
                values = values / max(values[0].numel(), 1) ** 0.5
            else:
                values = 1 + 0.1 * values
            made[name] = values.half().float()
        return made

    return make
