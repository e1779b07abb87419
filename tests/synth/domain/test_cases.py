"""Cases: which images paths stand for, how they are called, and that each has its landmarks."""

import numpy as np
import pytest

from synth.domain.cases import find_images, match, name_cases
from synth.domain.dicom import dicom_files
from synth.domain.landmarks import Annotation
from tests.dicoms import write_radiograph


def annotation(case):
    return Annotation(case=case, subject=case, points=np.zeros((5, 3)))


def test_cases_are_matched_by_name_and_sorted(tmp_path):
    paths = [tmp_path / name for name in ("b.nii.gz", "a.mha")]
    pairs = match(paths, {name: annotation(name) for name in "ab"})
    assert [path.name for path, _ in pairs] == ["a.mha", "b.nii.gz"]
    assert [item.case for _, item in pairs] == ["a", "b"]


def test_cases_that_collide_or_stand_alone_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"'a' is the name of both .*a\.png and .*a\.nii\.gz"):
        match([tmp_path / "a.png", tmp_path / "a.nii.gz"], {"a": annotation("a")})
    with pytest.raises(ValueError, match="no landmarks for 1 images: b"):
        match([tmp_path / "a.png", tmp_path / "b.png"], {"a": annotation("a")})
    with pytest.raises(ValueError, match="no image for 1 cases with landmarks: c"):
        match([tmp_path / "a.png"], {"a": annotation("a"), "c": annotation("c")})


def test_a_folder_stands_for_its_images(tmp_path):
    for name in ("b.png", "a.nii.gz", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in find_images([tmp_path])] == ["a.nii.gz", "b.png"]
    with pytest.raises(ValueError, match="does not exist"):
        find_images([tmp_path / "none"])
    write_radiograph(tmp_path / "slice", np.zeros((4, 4), np.uint16))
    with pytest.raises(ValueError, match=r"holds images \(a\.nii\.gz\) beside DICOM files \(slice\)"):
        find_images([tmp_path])


def test_a_disc_is_called_as_the_user_calls_it(tmp_path):
    inner = tmp_path / "knee 7" / "DICOM" / "DOE^JOHN" / "19990101" / "SER1"
    write_radiograph(inner / "IM1", np.zeros((4, 4), np.uint16))
    (tmp_path / "knee 7" / "logo.png").touch()
    with pytest.raises(ValueError, match=r"holds images \(logo.png\) beside DICOM files"):
        write_radiograph(tmp_path / "knee 7" / "DICOMDIR", np.zeros((4, 4), np.uint16))
        find_images([tmp_path / "knee 7"])
    (tmp_path / "knee 7" / "logo.png").unlink()
    assert list(name_cases(find_images([tmp_path / "knee 7"]))) == ["knee 7"]
    assert dicom_files(tmp_path / "knee 7") == [inner / "IM1"]


@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[2J.png", "a\u202egnp.png", "a\udcff.png", " .png"])
def test_names_that_would_disturb_a_terminal_or_a_table_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="rename it") as caught:
        match([tmp_path / name], {})
    assert str(caught.value).isprintable()
