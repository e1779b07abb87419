"""Elements found without a library are those that pydicom finds, or the file is left to it."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from synth.domain.dicom_elements import plain_elements
from synth.domain.dicom_header import read_header, read_headers
from tests.dicoms import AXIAL, dataset, save


def ct(**attributes):
    """A slice of a CT with what scanners write around it."""
    made = dataset(np.arange(48, dtype=np.int16).reshape(6, 8), Modality="CT", PatientPosition="HFS", SeriesNumber=3)
    made.ImagePositionPatient, made.ImageOrientationPatient, made.PixelSpacing = [1.5, -2, 30], list(AXIAL), [0.9, 0.8]
    made.RescaleSlope, made.RescaleIntercept, made.ImageType = 1, -1024, ["ORIGINAL", "PRIMARY"]
    made.PatientComments = "of three lines " * 300
    block = made.private_block(0x0029, "SYNTHMARK", create=True)
    block.add_new(1, "OB", bytes(1000))
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def nested(untold):
    """A sequence in a sequence, lengths told or not."""
    inner, outer = Dataset(), Dataset()
    inner.Rows, inner.CodeValue = 7, "x"
    outer.PurposeOfReferenceCodeSequence = [inner, Dataset()]
    outer["PurposeOfReferenceCodeSequence"].is_undefined_length = untold
    outer.is_undefined_length_sequence_item = inner.is_undefined_length_sequence_item = untold
    return [outer, outer]


def elements(path):
    content = path.read_bytes()
    return plain_elements(content, len(content))


@pytest.mark.parametrize("untold", [None, False, True])
def test_a_plain_header_is_the_one_that_pydicom_reads(tmp_path, untold):
    made = ct()
    if untold is not None:
        made.ReferencedImageSequence = nested(untold)
        made["ReferencedImageSequence"].is_undefined_length = untold
    path = save(made, tmp_path / "a")
    ((_, found),) = read_headers([path])
    wanted = read_header(path)
    assert elements(path) is not None and len(wanted) == 19
    assert found == wanted and found.syntax == wanted.syntax and found.pixels == wanted.pixels
    assert {name: type(value) for name, value in found.items()} == {name: type(wanted[name]) for name in wanted}
    assert list(elements(path)) == [int(e.tag) for part in (dcmread(path).file_meta, dcmread(path)) for e in part]


def test_what_headers_share_is_that_of_each(tmp_path):
    files = [save(ct(ImagePositionPatient=[0, 0, k], Rows=6), tmp_path / str(k)) for k in range(3)]
    (tmp_path / "readme").write_text("x" * 300)
    found = dict(read_headers([*files, tmp_path / "readme"]))
    assert found == {file: read_header(file) for file in files}
    assert [found[file]["ImagePositionPatient"][2] for file in files] == [0, 1, 2]


def implicit(path):
    made = dcmread(path)
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    plain = Dataset()
    plain.update(made)
    plain.file_meta = made.file_meta
    plain.save_as(path, enforce_file_format=True)


def altered(old, new):
    return lambda path: path.write_bytes(path.read_bytes().replace(old, new, 1))


@pytest.mark.parametrize(
    "damage",
    [
        implicit,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        altered(b"DICM", b"DICX"),
        altered(b"\x28\0\x10\0US", b"\x28\0\x10\0XX"),  # an unknown VR
        altered(b"\x28\0\x11\0US", b"\x28\0\x01\0US"),  # tags out of order
        altered(b"\x28\0\x30\0DS", b"\x28\0\x30\0OB"),  # a length that leads astray
        altered(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"),
    ],
)
def test_what_is_not_plain_is_left_to_the_library(tmp_path, damage):
    path = save(ct(), tmp_path / "a")
    before = path.read_bytes()
    damage(path)
    assert path.read_bytes() != before and elements(path) is None


def test_sequences_without_an_end_do_not_exhaust_the_stack(tmp_path):
    path = save(ct(), tmp_path / "a")
    content = path.read_bytes()
    at = content.index(b"\x20\0\x0d\0UI")
    deep = (b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * 3000
    assert plain_elements(content[:at] + deep + content[at:], len(content) + len(deep)) is None
