import pytest

from tokcom.context.classifier import class_label
from tokcom.errors import ParameterError

CLASSES = ("Faces", "airplanes", "cougar_face")


@pytest.mark.parametrize(("name", "label"), [("airplanes", 1), ("FACES", 0), ("2", 2)])
def test_classes_by_name_and_number(name, label):
    assert class_label(name, CLASSES) == label


@pytest.mark.parametrize(
    ("name", "hint"), [("airplane", "airplanes"), ("zebra", "Faces, airplanes, cougar_face"), ("3", "knows")]
)
def test_an_unknown_class_is_answered_with_what_there_is(name, hint):
    with pytest.raises(ParameterError, match=hint):
        class_label(name, CLASSES)
