"""Where the elements of a DICOM file stand, found without a library where the file is as plain as most are.

A CT has a thousand slices with a hundred elements each, of which twenty matter: those alone are worth a library's time.
Numpy is not needed.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

FIRST = 132  # preamble and DICM
SYNTAX, PIXELS = 0x0002_0010, 0x7FE0_0010
EXPLICIT = b"1.2.840.10008.1.2.1"  # little-endian, uncompressed
LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
UNKNOWN = 0xFFFF_FFFF  # a length that is not told
ITEM, ITEM_END, SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_HEAD, _SHORT, _LONG = struct.Struct("<HH2s"), struct.Struct("<H"), struct.Struct("<I")


class Element(NamedTuple):
    """One element: its VR, the first byte of its value and how many there are."""

    vr: bytes
    start: int
    length: int


def plain_elements(head: bytes, num_bytes: int) -> Mapping[int, Element] | None:
    """Tag -> element of a file of `num_bytes` that begins with `head`; None for what a library must look at.

    Plain is a file in explicit little-endian whose tags ascend up to the pixels, with which it ends, all lengths told
    but those of sequences, and whose `head` holds all before the pixels.
    """
    if head[FIRST - 4 : FIRST] != b"DICM":
        return None
    try:
        found = _walked(head)
    except (struct.error, _OddError, RecursionError):
        return None
    syntax, pixels = found.get(SYNTAX), found[PIXELS]
    if syntax is None or head[syntax.start : syntax.start + syntax.length].rstrip(b"\0") != EXPLICIT:
        return None
    return found if pixels.start + pixels.length == num_bytes else None


class _OddError(Exception):
    """What is met is not plain."""


def _walked(head: bytes) -> dict[int, Element]:
    """The elements up to the pixels."""
    found: dict[int, Element] = {}
    last, at = -1, FIRST
    while last != PIXELS:
        tag, element = _element(head, at)
        if not last < tag <= PIXELS:
            raise _OddError
        at = element.start + element.length
        if element.length == UNKNOWN:
            if element.vr != b"SQ":
                raise _OddError
            at = _end_of_sequence(head, element.start)
        found[tag] = element
        last = tag
    return found


def _element(head: bytes, at: int) -> tuple[int, Element]:
    """(tag, element) that begins at a byte."""
    group, number, vr = _HEAD.unpack_from(head, at)
    if vr in SHORT:
        return group << 16 | number, Element(vr, at + 8, _SHORT.unpack_from(head, at + 6)[0])
    if vr in LONG:
        return group << 16 | number, Element(vr, at + 12, _LONG.unpack_from(head, at + 8)[0])
    raise _OddError


def _end_of_sequence(head: bytes, at: int) -> int:
    """The byte behind a sequence of untold length whose first item is at a byte."""
    while True:
        tag, length = _item(head, at)
        at += 8
        if tag == SEQUENCE_END:
            return at
        if tag != ITEM:
            raise _OddError
        at = at + length if length != UNKNOWN else _end_of_item(head, at)


def _end_of_item(head: bytes, at: int) -> int:
    """The byte behind an item of untold length whose first element is at a byte."""
    while True:
        if _item(head, at)[0] == ITEM_END:
            return at + 8
        _, element = _element(head, at)
        at = element.start + element.length
        if element.length == UNKNOWN:
            if element.vr != b"SQ":
                raise _OddError
            at = _end_of_sequence(head, element.start)


def _item(head: bytes, at: int) -> tuple[int, int]:
    """(tag, length) of an item or a delimiter at a byte."""
    group, number = struct.unpack_from("<HH", head, at)
    return group << 16 | number, _LONG.unpack_from(head, at + 4)[0]
