"""Where results come from: hashes of files, versions of libraries, the machine's devices.

A figure that cannot say which net, which library and which device it was measured with cannot be
repeated, so run folders, manifests and benchmarks all take these from here.
"""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

LIBRARIES = ("numpy", "torch", "numba", "scipy", "chess", "protobuf")
"""The libraries whose version can change a number."""


def sha256(data: bytes) -> str:
    """Hexadecimal sha256 of bytes: the name under which nets and data are known."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file of any size. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python, this project and ``LIBRARIES``, found without importing them."""
    found = {"python": platform.python_version()}
    for library in ("swa-arena", *LIBRARIES):
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def device_name(device: str) -> str:
    """What a torch device is in words: "NVIDIA A100-SXM4-40GB", or the processor's name."""
    if device.startswith("cuda"):
        import torch  # takes seconds, and only this branch needs it

        return str(torch.cuda.get_device_name(device))
    if device.startswith("cpu"):
        return processor_name()
    return f"{device} on {processor_name()}"


def processor_name() -> str:
    """The processor's brand where the system tells it, else its architecture."""
    try:
        with Path("/proc/cpuinfo").open() as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
