"""Reads foreign files in a process of its own, under limits of memory and time.

What a file holds runs through C++ libraries: a damaged one may end the process, hang it, or fill the memory. Here that
costs one clear line. The child reads one file after another, so that starting it (half a second) is paid once; values
come back through memory that both share, the rest as JSON. Its output is dropped: libraries quote headers there.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth.domain.cloud import Cloud
from synth.domain.posture import Up
from synth.domain.projection import Volume
from synth.domain.radiograph import Image
from synth.domain.shared import Shared

MEMORY_BYTES = 12 << 30  # a volume of MAX_VOXELS float32, and its copy on straight axes, with what Python needs
SECONDS = 300.0
START_SECONDS = 120.0  # to import SimpleITK, which a cold disk makes slow
LONGEST_ANSWER = 1 << 20


class Reader:
    """Reads images and volumes as volume.read does, in a child process; use it in a `with` statement.

    memory_bytes: address space of the child; seconds: for one file
    """

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES, seconds: float = SECONDS) -> None:
        self._memory_bytes, self._seconds = memory_bytes, seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def read(
        self,
        path: Path,
        *,
        spacing_mm: float | None = None,
        series: str | None = None,
        up: Up | None = None,
        unit_mm: float | None = None,
    ) -> Image | Volume | Cloud:
        """The image, volume or cloud at `path`; its values lie in memory shared with nobody else. Raises ValueError.

        unit_mm: of a cloud; see volume.read for the others
        """
        options = {"spacing_mm": spacing_mm, "series": series, "up": up, "unit_mm": unit_mm}
        answer, descriptors = self._ask(path, options)
        return _scan(answer, _mapped(descriptors[0], answer))

    def subject(self, path: Path, key: bytes) -> str:
        """A keyed hash of the patient's id, see dicom.subject_key. Raises ValueError where there is none."""
        return str(self._ask(path, {"key": key.hex()})[0]["subject"])

    def _ask(self, path: Path, options: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
        """(the child's answer, descriptors that came with it)."""
        if self._child is None:
            self._start()
        assert self._socket is not None
        request = {"path": os.fspath(path.absolute()), **options}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            data, descriptors, _, _ = socket.recv_fds(self._socket, LONGEST_ANSWER, 1)
            while data and not data.endswith(b"\n"):
                data += self._socket.recv(LONGEST_ANSWER)
        except TimeoutError as error:
            self._end()
            raise ValueError(f"image {path} takes longer than {self._seconds:g} s to read; export it again") from error
        except OSError:
            data, descriptors = b"", []
        if not data:
            raise ValueError(f"image {path} cannot be read: {self._end()}; export it again")
        answer = json.loads(data)
        if "error" in answer:
            raise ValueError(answer["error"].replace(request["path"], str(path)))
        return answer, descriptors

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(START_SECONDS)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
        command += [str(self._memory_bytes), str(int(self._seconds) + 5)]
        with theirs:
            self._child = subprocess.Popen(
                command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        if not self._socket.recv(1):
            raise ValueError(f"scans cannot be read: {self._end()} at its start; is SimpleITK installed?")
        self._socket.settimeout(self._seconds)

    def _end(self) -> str:
        """How the child ended; it is killed where it has not."""
        if self._child is None or self._socket is None:
            return "it was not running"
        self._socket.close()
        try:
            code = self._child.wait(1)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        self._child = self._socket = None
        return f"the library that reads it crashed (signal {-code})" if code < 0 else f"its reader ended with {code}"


def _mapped(descriptor: int, answer: dict[str, Any]) -> NDArray[np.generic]:
    """The values behind a descriptor, which is closed; changes stay private."""
    with open(descriptor, "rb") as stream:
        return np.memmap(stream, answer["dtype"], "c", shape=tuple(answer["shape"]))


def _scan(answer: dict[str, Any], values: NDArray[np.generic]) -> Image | Volume | Cloud:
    notes = tuple(answer["notes"])
    if answer["kind"] == "cloud":
        return Cloud(points=np.asarray(values, np.float32), notes=notes)
    affine = np.array(answer["affine"])
    if answer["kind"] == "volume":
        return Volume(voxels=values, index_to_patient=affine, notes=notes, modality=answer["modality"])
    spacing = answer["spacing_mm"]
    return Image(
        pixels=np.asarray(values, np.float32),
        spacing_mm=None if spacing is None else (spacing[0], spacing[1]),
        to_viewer=affine,
        notes=notes,
        bright=answer["bright"],
    )


def _serve(connection: socket.socket, seconds: int) -> None:
    """Answer requests until the parent closes its end."""
    with connection.makefile("rb") as requests:
        for line in requests:
            signal.alarm(seconds)  # ends a child that hangs after its parent has died
            with Shared() as shared:
                answer = _answer(json.loads(line), shared)
                descriptors = [] if shared.descriptor is None or "error" in answer else [shared.descriptor]
                signal.alarm(0)
                socket.send_fds(connection, [json.dumps(answer).encode() + b"\n"], descriptors)


def _answer(request: dict[str, Any], shared: Shared) -> dict[str, Any]:
    """What is told of a scan, whose values are put into shared memory."""
    from synth.domain.cloud_files import CLOUDS, read_cloud
    from synth.domain.dicom import subject_key  # the parent needs neither pydicom nor SimpleITK
    from synth.domain.volume import read

    path = Path(request.pop("path"))
    try:
        if "key" in request:
            return {"subject": subject_key(path, bytes.fromhex(request["key"]))}
        unit_mm = request.pop("unit_mm")
        cloud = path.is_file() and path.name.lower().endswith(CLOUDS)
        scan = read_cloud(path, unit_mm) if cloud else read(path, **request, make=shared.stacked)
        values = _values(scan)
        shared.hold(values)
    except ValueError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"image {path} needs more memory than a scan may; scale it down"}
    except OSError as error:
        return {"error": f"image {path} cannot be read: {error.strerror}"}
    except Exception as error:  # a mistake of ours or of a library: told, and the next file is read
        return {"error": f"image {path} cannot be read: {type(error).__name__} in its reader; please report it"}
    answer: dict[str, Any] = {"dtype": values.dtype.str, "shape": values.shape, "notes": scan.notes}
    if isinstance(scan, Volume):
        answer |= {"kind": "volume", "affine": scan.index_to_patient.tolist(), "modality": scan.modality}
    elif isinstance(scan, Cloud):
        answer |= {"kind": "cloud"}
    else:
        answer |= {"kind": "image", "affine": scan.to_viewer.tolist(), "spacing_mm": scan.spacing_mm}
        answer["bright"] = scan.bright
    return answer


def _values(scan: Image | Volume | Cloud) -> NDArray[np.generic]:
    """Its array."""
    if isinstance(scan, Volume):
        return scan.voxels
    return scan.points if isinstance(scan, Cloud) else scan.pixels


def main() -> None:
    """Serve the parent on the socket given, within the address space and the seconds given."""
    number, memory_bytes, seconds = map(int, sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold a patient's image
    import synth.domain.volume  # noqa: F401  the time to load SimpleITK is no file's

    connection = socket.socket(fileno=number)
    connection.sendall(b"\n")
    _serve(connection, seconds)


if __name__ == "__main__":
    main()
