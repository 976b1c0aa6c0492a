"""Tells local disks from network disks: SQLite's write-ahead log needs memory shared by all who open the file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = {
    *("9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs2", "fuse.glusterfs", "fuse.rclone"),
    *("fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "smb3", "smbfs"),
    *("vboxsf", "virtiofs"),
}
_DRIVE_REMOTE = 4  # of GetDriveTypeW


def is_local(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether the folder is known to lie on a disk of this machine; False when that cannot be found out."""
    if os.name == "nt":
        import ctypes

        drive = Path(os.path.abspath(folder)).anchor
        return ctypes.windll.kernel32.GetDriveTypeW(drive) != _DRIVE_REMOTE  # type: ignore[attr-defined]
    if sys.platform == "linux":
        return _file_system(os.path.realpath(folder), mounts) not in (*_NETWORK, "")
    return False


def _file_system(path: str, mounts: Path) -> str:
    """The type of the file system that holds the path; "" when the list of mounts cannot be read."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    found, longest = "", -1
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # a later mount hides an earlier one at the same place
            found, longest = kind, len(point)
    return found
