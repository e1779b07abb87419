"""Hands from another model than the generator's: meshes and rigs of the WebXR input profiles, posed and scanned.

  python -m tests.foreign_hand --count 20 --seed 1 --out /tmp/foreign
  python pipelines/study.py hand --side left --images /tmp/foreign/images \\
      --landmarks /tmp/foreign/landmarks.csv --out /tmp/foreign_study

They share nothing with the template: neither mesh nor rig nor labels. See tests/data/webxr_hand.
"""

import argparse
import json
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from synth.compartments import Label
from synth.domain.anatomy import HAND
from synth.domain.landmarks import Annotation, write_csv
from synth.domain.projection import Volume
from synth.domain.volume import write_volume
from synth.voxels import mr_volume, voxelise

FOLDER = Path(__file__).parent / "data" / "webxr_hand"
FINGERS = ("thumb", "index-finger", "middle-finger", "ring-finger", "pinky-finger")  # in the order of our landmarks
PARTS = ("metacarpal", "phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
TYPES = {5121: "<u1", 5123: "<u2", 5126: "<f4"}  # glTF 2.0, section 3.6.2.2
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
# Rows: to patient axes (x left, y back, z up) from those of the file (-y fingers, -z thumb, +-x palm): the back of the
# hand faces forwards, the fingers point up.
TO_PATIENT = {
    "left": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
    "right": np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
}
Side = Literal["left", "right"]


@dataclass(frozen=True, kw_only=True)
class HandPose:
    """How the fingers are moved from rest. (5,) degrees each, thumb to little finger.

    flexion: of the joint at the palm and of each further one towards the palm; spread: towards the thumb
    """

    flexion: NDArray[np.float64]
    spread: NDArray[np.float64]


STILL = HandPose(flexion=np.zeros(5), spread=np.zeros(5))


@dataclass(frozen=True, kw_only=True)
class ForeignHand:
    """A posed hand in patient mm (LPS), its back forwards, its fingers up.

    vertices (V, 3), triangles (T, 3) int32; tips (5, 3): the skin farthest along each distal phalanx, thumb first;
    joint_tips (5, 3): the rig's own
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    tips: NDArray[np.float64]
    joint_tips: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A rigged mesh as its file has it: metres; rest (J, 4, 4) joints -> mesh, joints (V, 4) with weights (V, 4)."""

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    names: tuple[str, ...]
    rest: NDArray[np.float64]
    joints: NDArray[np.int64]
    weights: NDArray[np.float64]


def read_glb(path: Path) -> Rig:
    """The one skinned mesh of a binary glTF 2.0 file. Source: glTF 2.0 specification, sections 3.6, 3.7 and 4.4."""
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[12:16])
    text, binary = json.loads(data[20 : 20 + length]), data[28 + length :]

    def values(accessor: int) -> NDArray[Any]:
        head = text["accessors"][accessor]
        view, width = text["bufferViews"][head["bufferView"]], WIDTHS[head["type"]]
        start = view.get("byteOffset", 0) + head.get("byteOffset", 0)
        return np.frombuffer(binary, TYPES[head["componentType"]], head["count"] * width, start).reshape(-1, width)

    mesh, skin = text["meshes"][0]["primitives"][0], text["skins"][0]
    bind = values(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)  # stored column by column
    return Rig(
        vertices=values(mesh["attributes"]["POSITION"]).astype(np.float64),
        triangles=values(mesh["indices"]).reshape(-1, 3).astype(np.int32),
        names=tuple(text["nodes"][node]["name"] for node in skin["joints"]),
        rest=np.linalg.inv(bind.astype(np.float64)),
        joints=values(mesh["attributes"]["JOINTS_0"]).astype(np.int64),
        weights=values(mesh["attributes"]["WEIGHTS_0"]).astype(np.float64),
    )


def foreign_hand(side: Side, pose: HandPose = STILL, size: float = 1.0) -> ForeignHand:
    """The hand of a side, posed by its own rig (linear blend skinning), `size` times as large."""
    rig = read_glb(FOLDER / f"{side}.glb")
    posed = _posed(rig, pose, side)
    blended = np.einsum("vj,vjab->vab", rig.weights, (posed @ np.linalg.inv(rig.rest))[rig.joints])
    vertices = np.einsum("vab,vb->va", blended[:, :3, :3], rig.vertices) + blended[:, :3, 3]
    main = rig.joints[np.arange(len(vertices)), rig.weights.argmax(1)]
    tips = []
    for finger in FINGERS:
        distal, tip = (rig.names.index(f"{finger}-{part}") for part in ("phalanx-distal", "tip"))
        own = vertices[np.isin(main, [distal, tip])]
        tips.append(own[(own @ (posed[tip, :3, 3] - posed[distal, :3, 3])).argmax()])
    joint_tips = posed[[rig.names.index(f"{finger}-tip") for finger in FINGERS], :3, 3]
    vertices, found, joint_tips = (
        points @ TO_PATIENT[side].T * 1000 * size for points in (vertices, np.array(tips), joint_tips)
    )
    return ForeignHand(vertices=vertices, triangles=rig.triangles, tips=found, joint_tips=joint_tips)


def _posed(rig: Rig, pose: HandPose, side: Side) -> NDArray[np.float64]:
    """(J, 4, 4) joints -> mesh. A joint's axes are x to the right, y out of the back, -z to the next joint (WebXR)."""
    posed = rig.rest.copy()
    to_thumb = -1 if side == "left" else 1
    for finger, flexion, spread in zip(FINGERS, pose.flexion, pose.spread, strict=True):
        chain = [rig.names.index(f"{finger}-{part}") for part in PARTS if f"{finger}-{part}" in rig.names]
        for k, (parent, joint) in enumerate(pairwise(chain)):
            local = np.linalg.inv(rig.rest[parent]) @ rig.rest[joint]
            turn = np.eye(4)
            if joint != chain[-1]:
                aside = to_thumb * spread if k == 0 else 0.0
                turn[:3, :3] = Rotation.from_euler("yx", [aside, -flexion], degrees=True).as_matrix()
            posed[joint] = posed[parent] @ local @ turn
    return posed


def draw_pose(rng: np.random.Generator) -> HandPose:
    """A hand that lies flat, more or less: fingers spread and bent a little."""
    spread = np.array([20.0, 10, 1, -7, -14]) * rng.uniform(-0.3, 1.0) + rng.normal(0, 2, 5)
    return HandPose(flexion=rng.uniform(-2, 12) + rng.uniform(-4, 8, 5), spread=spread)


def scan_hand(hand: ForeignHand, spacing_mm: tuple[float, float, float], rng: np.random.Generator) -> Volume:
    """An MR volume of a hand."""
    mask, affine = voxelise(hand.vertices, hand.triangles, spacing_mm, 12.0)
    return mr_volume(mask * np.uint8(Label.MUSCLE), affine, 20.0, 0.6, rng)


def main(argv: Sequence[str]) -> None:
    """Write the volumes and landmarks of a study of one foreign hand in many poses and sizes."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=20)
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--side", choices=("left", "right"), default="left")
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args(argv)
    (given.out / "images").mkdir(parents=True)
    annotations = []
    for index in range(given.count):
        rng = np.random.default_rng([given.seed, index])
        hand = foreign_hand(given.side, draw_pose(rng), rng.uniform(0.85, 1.15))
        case = f"foreign-{index:04d}"
        write_volume(scan_hand(hand, (0.8, 1.0, 0.8), rng), given.out / "images" / f"{case}.nii.gz")
        annotations.append(Annotation(case=case, subject=case, points=hand.tips))
    write_csv(given.out / "landmarks.csv", annotations, HAND)
    print(f"{given.out}: {given.count} foreign {given.side} hands")


if __name__ == "__main__":
    main(sys.argv[1:])
