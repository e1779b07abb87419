"""The system libraries that Blender needs and this machine lacks, with the Debian packages that bring them.

python -m synth.libraries
"""

import importlib.util
import subprocess
import sys

# Names of shared objects that bpy links against outside its own folder, and their packages in Debian 12 and 13.
PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libICE.so.6": "libice6",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXrender.so.1": "libxrender1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libgomp.so.1": "libgomp1",
    "libxkbcommon.so.0": "libxkbcommon0",
}


def missing_libraries(listing: str) -> list[str]:
    """Names of the shared objects that an `ldd` listing reports as not found, sorted."""
    return sorted({line.split()[0] for line in listing.splitlines() if "not found" in line and line.split()})


def advice(missing: list[str]) -> str:
    """One line that says which packages to install for these shared objects."""
    packages = sorted({PACKAGES[name] for name in missing if name in PACKAGES})
    unknown = [name for name in missing if name not in PACKAGES]
    text = f"Blender needs system libraries that are missing: {', '.join(missing)}"
    if packages:
        text += f"; install them with: apt-get install {' '.join(packages)}"
    if unknown:
        text += f"; no package is known here for {', '.join(unknown)}: look with apt-file search"
    return text


def main() -> int:
    """Exit code: 0 where Blender's module can load, 1 after a line that says what to install."""
    spec = importlib.util.find_spec("bpy")
    if spec is None or spec.origin is None:
        print("error: bpy is not installed in this environment; run make", file=sys.stderr)
        return 1
    listing = subprocess.run(["ldd", spec.origin], capture_output=True, text=True, check=True).stdout
    missing = missing_libraries(listing)
    if missing:
        print(f"error: {advice(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
