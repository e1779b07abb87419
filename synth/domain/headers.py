"""What the headers of NIfTI, MetaImage, NRRD, PNG and JPEG files claim, held against the bytes that are there.

SimpleITK (2.5.7) believes a header: it allocates whatever it says, fills a truncated NIfTI with zeros, takes a voxel of
0 mm for 1 mm, reads the data file a header names wherever that lies, and ignores the rotation in a photograph.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import PIL.Image

from synth.domain.nifti import check_finite, check_geometry, gzip_bytes, read_nifti_header

FLAT = (".png", ".jpg", ".jpeg")  # no spacing worth trusting
MEDICAL = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd")
LONGEST_HEADER = 1 << 20
EXIF_ORIENTATION = 274
NO_PLACE = "which way its axes point is not known: taken as left, posterior, superior"


def check_header(path: Path, suffix: str) -> tuple[str, ...]:
    """What a person should know of a header; `suffix` is one of FLAT or MEDICAL.

    Raises: ValueError, a predicate without its subject, for claims that cannot be meant.
    """
    if path.stat().st_size == 0:
        raise ValueError("is empty; copy it again")
    if suffix in (".nii", ".nii.gz"):
        header = read_nifti_header(path)
        _check_spacing(header.pixdim[1 : 1 + min(max(header.num_dims, 2), 3)].tolist())
        return () if check_geometry(header) else (NO_PLACE,)
    if suffix in FLAT:
        return _check_photograph(path, "PNG" if suffix == ".png" else "JPEG")
    fields, _ = _text_header(path, suffix)
    if suffix != ".nrrd" and fields.get("ndims") not in ("2", "3"):  # SimpleITK crashes on large ones
        raise ValueError("has NDims that are not 2 or 3; export one time or echo alone, or export it again")
    names = [fields[key] for key in ("elementdatafile", "data file", "datafile") if key in fields]
    for name in names:
        if name.upper() != "LOCAL":
            _check_data_file(path, name)
    spacing = fields.get("elementspacing", fields.get("spacings"))
    if spacing is not None:
        _check_spacing(spacing.split())
    placed = "space" in fields if suffix == ".nrrd" else {"transformmatrix", "orientation", "rotation"} & fields.keys()
    return () if placed else (NO_PLACE,)


def check_bytes(path: Path, suffix: str, num_voxels: int, voxel_bytes: int) -> None:
    """Raise ValueError, a predicate, where a file does not hold the voxels that its header promises, no more, no less.

    PNG, JPEG and compressed NRRD are left to SimpleITK, which reports a short read itself (tested).
    """
    if suffix in FLAT:
        return
    wanted = num_voxels * voxel_bytes
    if suffix in (".nii", ".nii.gz"):
        header = read_nifti_header(path)
        wanted = header.data_offset + num_voxels * header.bits // 8
        held = gzip_bytes(path, wanted) if suffix == ".nii.gz" else path.stat().st_size
    else:
        held = _bytes_of_text_header(path, suffix, wanted)
    if held < wanted:
        raise ValueError(f"is truncated: {held} of {wanted} bytes; copy it again")
    if held > wanted:
        raise ValueError(
            f"holds more than the {wanted} bytes its header speaks of: one of them is wrong; export it again"
        )
    if suffix in (".nii", ".nii.gz"):
        check_finite(path, header)


def _check_photograph(path: Path, kind: str) -> tuple[str, ...]:
    try:
        with PIL.Image.open(path, formats=(kind,)) as image:
            image.load()  # SimpleITK fills the rest of a truncated JPEG with grey
            mode, turned = image.mode, image.getexif().get(EXIF_ORIENTATION, 1)
    except PIL.Image.DecompressionBombError as error:
        raise ValueError("claims more pixels than a radiograph has; scale it down") from error
    except Exception as error:  # PIL raises many kinds for damaged files
        raise ValueError(f"cannot be read: it is damaged, or no {kind}; export it again") from error
    if turned != 1:
        raise ValueError(
            f"carries a rotation (EXIF orientation {turned}) that programs treat differently; save it upright"
        )
    if mode not in ("L", "1", "I", "I;16", "I;16B"):
        raise ValueError(f"is {mode}, not grey; convert it to greyscale without transparency or palette")
    return ()


def _text_header(path: Path, suffix: str) -> tuple[dict[str, str], int]:
    """(fields of a MetaImage or NRRD header, keys in lower case; its length in bytes)."""
    with open(path, "rb") as stream:
        data = stream.read(LONGEST_HEADER)
    fields: dict[str, str] = {}
    start, mark = 0, ":" if suffix == ".nrrd" else "="
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end].decode("latin-1").strip()
        start = end + 1
        if suffix == ".nrrd" and not line:
            break
        key, found, value = line.partition(mark)
        if found and not line.startswith("#"):
            fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == "elementdatafile":
            break
    return fields, min(start, len(data))


def _bytes_of_text_header(path: Path, suffix: str, wanted: int) -> int:
    """Bytes of voxels behind a MetaImage or NRRD header, unpacked; `wanted` where only SimpleITK can tell."""
    fields, start = _text_header(path, suffix)
    plain = fields.get("binarydata", "true").lower() == "true" and fields.get("encoding", "raw").lower() == "raw"
    if not plain or {"headersize", "line skip", "byte skip", "lineskip", "byteskip"} & fields.keys():
        return wanted
    name = fields.get("elementdatafile", fields.get("data file", fields.get("datafile", "LOCAL")))
    if name.upper() != "LOCAL":
        path, start = path.parent / name, 0
    if fields.get("compresseddata", "").lower() != "true":
        return path.stat().st_size - start
    held, inflate = 0, zlib.decompressobj(zlib.MAX_WBITS | 32)  # zlib or gzip
    with open(path, "rb") as stream:
        stream.seek(start)
        try:
            while held <= wanted and (block := inflate.unconsumed_tail or stream.read(1 << 16)):
                held += len(inflate.decompress(block, 1 << 22))
        except zlib.error:
            return min(held, wanted - 1)
    return held


def _check_data_file(path: Path, name: str) -> None:
    """Raise ValueError unless `name` is a file beside the header."""
    if name != Path(name).name or name.upper().startswith("LIST") or "%" in name or name in (".", ".."):
        raise ValueError("keeps its data elsewhere than in one file beside it; save it as one file (.mha, .nrrd)")
    if not (path.parent / name).is_file():
        raise ValueError("lacks its data: the file its header names is not beside it; copy both, or save it as .mha")


def _check_spacing(values: Sequence[str | float]) -> None:
    try:
        numbers = [float(v) for v in values]
    except ValueError:
        numbers = [float("nan")]
    if not all(0 < v < float("inf") for v in numbers):
        text = " x ".join(f"{v:g}" for v in numbers)
        raise ValueError(f"has voxels of {text} mm; allowed: above 0: set its spacing right")
