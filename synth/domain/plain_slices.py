"""The values of a CT whose slices stand uncompressed in their files, taken from there without a library."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from synth.domain.dicom_header import Header, whole
from synth.domain.shared import Slices, Stacked
from synth.domain.stack import Frame, Stack, Stored

FEWEST_BITS: Final = 9  # SimpleITK (2.5.7) makes bytes of fewer, or fails


def stored_in(header: Header) -> Stored | None:
    """How the one slice of a file stands in it; None where it is none of a CT, or a library must decode it."""
    bits = whole(header, "BitsStored")
    plain = (
        header.syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
        and header.get("SOPClassUID") == CTImageStorage
        and header.get("PhotometricInterpretation") == "MONOCHROME2"
        and whole(header, "NumberOfFrames") < 2
        and whole(header, "BitsAllocated") == 16
        and FEWEST_BITS <= bits <= 16
        and whole(header, "HighBit") == bits - 1
        and header.get("PixelRepresentation") in (0, 1)
        and "ModalityLUTSequence" not in header
    )
    if not plain or header.pixels is None or header.pixels[1] != 2 * whole(header, "Rows") * whole(header, "Columns"):
        return None
    return Stored(start=header.pixels[0], bits=bits, signed=header["PixelRepresentation"] == 1)


def plain_voxels(stack: Stack, make: Stacked) -> NDArray[np.generic] | None:
    """(Z, Y, X) values of a stack, of the dtype that SimpleITK gives them; None where they are not plain.

    make: makes the array of its slices. Raises ValueError, a predicate, where a file has changed meanwhile.
    """
    first = stack.frames[0]
    kinds = {(f.stored and (f.stored.bits, f.stored.signed), f.slope, f.intercept) for f in stack.frames}
    if first.stored is None or len(kinds) > 1 or first.slope != 1 or not first.intercept.is_integer():
        return None
    dtype = _dtype(first.stored, int(first.intercept))
    if dtype is None:
        return None
    width, height = first.size
    return make((len(stack.frames), height, width), dtype, _values(stack.frames, first.stored, dtype))


def _dtype(stored: Stored, intercept: int) -> DTypeLike | None:
    """The smallest type that holds whatever the slices may hold, as GDCM takes it; None where SimpleITK has its own."""
    low = (-(1 << stored.bits - 1) if stored.signed else 0) + intercept
    high = low + (1 << stored.bits) - 1
    if low >= 0:
        return np.uint16 if high <= np.iinfo(np.uint16).max and not stored.signed else None
    kinds = (np.dtype(np.int16), np.dtype(np.int32))
    return next((kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max), None)


def _values(frames: Sequence[Frame], stored: Stored, dtype: DTypeLike) -> Slices:
    """The values (Y, X) of each slice, in one buffer."""
    width, height = frames[0].size
    words = np.empty((height, width), "<i2" if stored.signed else "<u2")
    unused, intercept = 16 - stored.bits, np.array(int(frames[0].intercept)).astype(dtype)
    for frame in frames:
        assert frame.stored is not None
        with open(frame.file, "rb", buffering=0) as stream:
            stream.seek(frame.stored.start)
            if stream.readinto(words.data) != words.nbytes:
                raise ValueError(f"is truncated: {frame.file.name} ends within its pixels; export it again")
        if unused:  # an overlay may lie there
            words <<= unused
            words >>= unused
        yield words.astype(dtype) + intercept if intercept else words  # what overflows on the way comes back
