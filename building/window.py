"""A real Blender with a window, for tests/window: one that is named, or Debian's newest in a folder of its own.

The folder is a small Debian (a chroot), made once. What runs in it sees the folders that it is given under their own
paths, shares the loopback address with this machine, and finds the machine itself below /host, so that it can start a
backend there. The window opens on a screen in memory (Xvfb); a named Blender uses the display there is, if any.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .blender import NotHere
from .process import BIN, PYTHON, ROOT, call, child_environment, say

BLENDER_VARIABLE = "SPLATWRIGHT_BLENDER"  # a program on this machine
CHROOT_VARIABLE = "SPLATWRIGHT_WINDOW_CHROOT"
GRAPHICS_VARIABLE = "SPLATWRIGHT_GRAPHICS"  # opengl or vulkan, by which Blender draws
GRAPHICS = ("opengl", "vulkan")
CHROOT = Path("/var/tmp/blender-sid")
SUITE = "sid"  # the one suite of Debian that has a Blender for which we build
SPACE_NEEDED = 3 * 10**9  # bytes, while it is made
SCREEN = (1920, 1200)
PACKAGES = (
    "ca-certificates",
    "blender",
    "python3-numpy",
    "python3-requests",
    "python3-zstandard",
    "python3-cattr",  # Blender's extensions need it, and Debian only recommends it
    "xvfb",
    "xauth",
    "imagemagick",
    "libgl1-mesa-dri",
    "libgl1",
    "libegl1",
    "libegl-mesa0",
    "mesa-vulkan-drivers",
    "fonts-dejavu-core",
)

# $ROOT, $SHARED: the chroot, and folders a line that it sees. The mounts end with the command: they are in a namespace
# of its own.
_INSIDE = r"""
set -eu
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount --rbind /sys "$ROOT/sys"
mkdir -p "$ROOT/host"
mount --rbind / "$ROOT/host"
mount -t tmpfs tmpfs "$ROOT/tmp"
printf '%s' "$SHARED" | while IFS= read -r folder; do
  mkdir -p "$ROOT$folder"
  mount --rbind "$folder" "$ROOT$folder"
done
exec chroot "$ROOT" "$@"
"""


@dataclass(frozen=True)
class Rig:
    """program: Blender, as seen from inside the chroot if there is one. graphics: of `GRAPHICS`."""

    program: str
    chroot: Path | None = None
    graphics: str = "opengl"

    def command(
        self, words: Sequence[str | Path], *, shared: Sequence[Path], variables: Mapping[str, str]
    ) -> list[str]:
        """Starts Blender with these words. shared: folders that it sees; variables: of its environment."""
        blender = [self.program, *map(str, words)]
        if self.chroot is None:
            return ["env", *_assigned(variables), *blender]
        usual = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        settings = _assigned({**usual, **_without_gpu(self.chroot), **variables})
        mounts = _assigned({"ROOT": str(self.chroot), "SHARED": "".join(f"{folder}\n" for folder in shared)})
        unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _INSIDE, "inside"]
        return ["env", *mounts, *unshare, "env", "-i", *settings, *blender]

    def window_command(
        self, words: Sequence[str | Path], *, shared: Sequence[Path], variables: Mapping[str, str]
    ) -> list[str]:
        """The same with a window that fills the screen."""
        width, height = SCREEN
        size = ["--window-geometry", "0", "0", str(width), str(height), "--gpu-backend", self.graphics]
        if self.chroot is None and os.environ.get("DISPLAY"):
            return self.command([*size, *words], shared=shared, variables=variables)
        # Abstract sockets are shared with the machine, whose other screens must not be met.
        screen = ["xvfb-run", "--auto-servernum", "--server-num", str(100 + os.getpid() % 10000), "--server-args"]
        screen.append(f"-screen 0 {width}x{height}x24 +extension GLX -nolisten tcp")
        whole = Rig(screen[0], self.chroot, self.graphics)
        return whole.command([*screen[1:], self.program, *size, *words], shared=shared, variables=variables)

    def backend_command(self, folder: Path) -> Path:
        """What this Blender can start as `splatwright`: that of .venv. folder: one that it sees."""
        if self.chroot is None:
            return BIN / "splatwright"
        launcher = folder / "splatwright"
        outside = f'exec chroot /host env "PATH=$PATH" {shlex.quote(str(BIN / "splatwright"))} "$@"\n'
        launcher.write_text(f"#!/bin/sh\n{outside}", encoding="utf-8")
        launcher.chmod(0o755)
        return launcher


def _without_gpu(chroot: Path) -> dict[str, str]:
    """Has OpenGL and Vulkan compute on the processor, as programs in the chroot find them."""
    drivers = [path.relative_to(chroot) for path in sorted((chroot / "usr/share/vulkan/icd.d").glob("lvp_icd*.json"))]
    return {"LIBGL_ALWAYS_SOFTWARE": "1", "VK_ICD_FILENAMES": ":".join(f"/{driver}" for driver in drivers)}


def _assigned(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


# ---- found or made


def find() -> Rig:
    """Raises NotHere."""
    graphics = os.environ.get(GRAPHICS_VARIABLE) or GRAPHICS[0]
    if graphics not in GRAPHICS:
        raise NotHere(f"{GRAPHICS_VARIABLE} is '{graphics}', and not {' or '.join(GRAPHICS)}")
    named = os.environ.get(BLENDER_VARIABLE)
    if named:
        program = shutil.which(named)
        if program is None:
            raise NotHere(f"{BLENDER_VARIABLE} is '{named}', which is no program")
        if not os.environ.get("DISPLAY") and shutil.which("xvfb-run") is None:
            raise NotHere("there is no display, and no xvfb-run that makes one")
        return Rig(program, graphics=graphics)
    folder = Path(os.environ.get(CHROOT_VARIABLE, CHROOT)).absolute()
    if os.name != "posix" or os.geteuid() != 0:
        raise NotHere(f"only root can enter a chroot (or name a Blender of this machine in {BLENDER_VARIABLE})")
    if shutil.which("unshare") is None:
        raise NotHere("there is no unshare (of util-linux)")
    if not (folder / ".ready").exists():
        make(folder)
    return Rig("/usr/bin/blender", folder, graphics)


def make(folder: Path) -> None:
    """Fills the folder with a Debian that has Blender. Raises NotHere."""
    if shutil.which("mmdebstrap") is None:
        raise NotHere(f"{folder} can only be made by mmdebstrap, which is not installed")
    if folder.exists() and any(folder.iterdir()):
        raise NotHere(f"{folder} is not empty, and not a whole chroot either: remove it, or set {CHROOT_VARIABLE}")
    mirror = mirror_in(Path("/etc/apt"))
    if mirror is None:
        raise NotHere("this machine's own package sources name no mirror of Debian")
    place = folder.parent
    place.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(place).free < SPACE_NEEDED:
        raise NotHere(f"the disk that holds {place} has less than {SPACE_NEEDED / 1e9:.0f} GB free")
    say(f"Making {folder}: Debian {SUITE} with Blender, 1.4 GB (once, some minutes)")
    options = [
        *("--variant=minbase", "--mode=root", "--components=main", "--quiet", f"--include={','.join(PACKAGES)}"),
        *('--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Check-Valid-Until "false"'),
        *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
    ]
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = ["mmdebstrap", *options, SUITE, str(unfinished), mirror]
    told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        said = [line for line in told.stderr.splitlines() if line.startswith("E:")] or ["it does not say why"]
        raise NotHere(f"mmdebstrap could not make {folder}: {said[0]}")
    (unfinished / ".ready").touch()
    if folder.exists():
        folder.rmdir()
    unfinished.rename(folder)


def mirror_in(apt: Path) -> str | None:
    """The first mirror of Debian that apt's own sources name."""
    found: list[str] = []
    for file in sorted((apt / "sources.list.d").glob("*.sources")):
        lines = re.findall(r"^URIs:(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        found += [address for line in lines for address in line.split()]
    for file in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        if file.is_file():
            found += re.findall(r"^deb\s+(?:\[[^\]]*\]\s*)?(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return next((address for address in found if re.search(r"/debian/?$", address)), None)


# ---- tests


def test(zips: Sequence[Path], arguments: Sequence[str]) -> int:
    """Runs tests/window; where no Blender with a window can be had, says why and is content."""
    try:
        rig = find()
    except NotHere as reason:
        say(f"-- Blender with a window skipped: {reason}")
        return 0
    say(f"-- {rig.chroot or ''}{rig.program} ({rig.graphics})")
    variables = {
        **child_environment(),
        "SPLATWRIGHT_WINDOW": "1",
        "SPLATWRIGHT_ZIPS": os.pathsep.join(str(path) for path in zips),
    }
    chosen = (
        []
        if any((ROOT / word.partition("::")[0]).exists() for word in arguments if word[:1] != "-")
        else ["tests/window"]
    )
    return call([PYTHON, "-m", "pytest", *arguments, *chosen], env=variables)
