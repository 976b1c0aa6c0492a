"""The commands that make the private environment, what they cost, and what their output says about how far they are."""

from __future__ import annotations

import re

import msgspec

from .paths import Places, System

GIGABYTE = 10**9
# Gigabytes. On the disk 1.7 were measured for the CPU, and unpacking needs some more for a while.
_CPU_DOWNLOAD, _CPU_DISK = 0.6, 2.5
_CUDA_DOWNLOAD, _CUDA_DISK = 4.0, 12.0
_DOWNLOADING = 0.8  # of the installation; the rest is unpacking, about which pip says nothing


class Source(msgspec.Struct, frozen=True):
    """Where the backend's package comes from.

    wheel: a file or a URL; "" = by name from the index. index, extra_index: "" = what pip is configured for.
    """

    wheel: str = ""
    index: str = ""
    extra_index: str = ""
    version: str = ""  # wanted, when it comes by name


class Step(msgspec.Struct, frozen=True):
    name: str
    sentence: str
    command: tuple[str, ...]
    share: float  # of the whole time, as a rule
    may_fail: bool = False  # without it the backend works less well, but works


class Plan(msgspec.Struct, frozen=True):
    """download, disk: bytes, about. note: when it may be more; may be empty."""

    steps: tuple[Step, ...]
    download: int
    disk: int
    note: str = ""


def make_plan(python: str, places: Places, source: Source, system: System, *, cuda: bool) -> Plan:
    """python: a system Python that can make environments. cuda: for an NVIDIA GPU."""
    inside = str(places.python)
    pip = (inside, "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
    places_to_look = _options(source)
    steps = [
        Step("venv", "Making the environment.", (python, "-m", "venv", "--clear", str(places.environment)), 0.05),
        # Older pips cannot say how far a download is.
        Step("pip", "Preparing the installation.", (*pip, *places_to_look, "--upgrade", "pip>=24.1"), 0.05),
        Step(
            "packages",
            "Looking for the packages.",
            (*pip, *places_to_look, "--only-binary", ":all:", "--progress-bar", "raw", requirement(source, cuda=cuda)),
            0.65,
        ),
    ]
    if cuda:
        build = (inside, "-m", "backend.splats.raster.gsplat_build")
        steps.append(Step("gsplat", "Building the GPU kernels (some minutes, once).", build, 0.3, may_fail=True))
    warm_up = (inside, "-m", "backend.jobs.warm_up")
    steps.append(Step("kernels", "Compiling the CPU kernels (once).", warm_up, 0.2))
    steps.append(check(places))
    download, disk = (_CUDA_DOWNLOAD, _CUDA_DISK) if cuda else (_CPU_DOWNLOAD, _CPU_DISK)
    # The public index has torch for Linux with CUDA only; an index of CPU builds can be named in the preferences.
    unsure = system == "linux" and not cuda and not source.extra_index
    note = f"About {_CUDA_DOWNLOAD:.0f} GB where the index has torch with CUDA only." if unsure else ""
    return Plan(tuple(steps), int(download * GIGABYTE), int(disk * GIGABYTE), note)


def check(places: Places) -> Step:
    """Ends well only when everything that the backend needs is there."""
    return Step("check", "Checking the environment.", (str(places.python), "-m", "backend", "doctor"), 0.05)


def requirement(source: Source, *, cuda: bool) -> str:
    """What pip is asked for."""
    extra = "[cuda]" if cuda else ""
    if not source.wheel:
        return f"splatwright{extra}" + (f"=={source.version}" if source.version else "")
    if "://" in source.wheel:
        return f"splatwright{extra} @ {source.wheel}"
    return f"{source.wheel}{extra}"


def _options(source: Source) -> tuple[str, ...]:
    chosen = (("--index-url", source.index), ("--extra-index-url", source.extra_index))
    return tuple(word for option, url in chosen if url for word in (option, url))


def sizes_in_words(plan: Plan) -> str:
    return f"about {_in_words(plan.download)} to download, {_in_words(plan.disk)} on the disk"


def _in_words(size: int) -> str:
    return f"{size / GIGABYTE:.1f} GB" if size < 10 * GIGABYTE else f"{size / GIGABYTE:.0f} GB"


# ---- how far it is


class Progress(msgspec.Struct, frozen=True):
    """How far a plan is: `fraction` 0..1 and a sentence for the user."""

    sentence: str = ""
    fraction: float = 0.0
    arrived: int = 0  # bytes of the packages that are here
    arriving: int = 0  # bytes of the package on its way
    package: str = ""
    begins: float = 0.0  # the fraction at which the present step begins


def begin_step(plan: Plan, number: int) -> Progress:
    begins = sum(step.share for step in plan.steps[:number]) / sum(step.share for step in plan.steps)
    return Progress(plan.steps[number].sentence, begins, begins=begins)


_TAKEN = re.compile(r"^\s*(?:Downloading|Using cached) (\S+?)(?:\.metadata)? \((?:([\d.]+) (B|bytes|kB|MB|GB))\)")
_WENT = re.compile(r"^Progress (\d+) of (\d+)")
_INSTALLING = re.compile(r"^Installing collected packages: (.+)")
_UNITS = {"B": 1, "bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_SMALL = 10**5  # bytes; below, it is a package's description or hardly worth a word


def after_line(plan: Plan, number: int, progress: Progress, line: str) -> Progress:
    """One more line of what the step's command says; pip counts bytes, the others say nothing of use."""
    step = plan.steps[number]
    share = step.share / sum(step.share for step in plan.steps)
    if step.name != "packages":
        return progress
    if taken := _TAKEN.match(line):
        size = int(float(taken[2]) * _UNITS[taken[3]])
        if size < _SMALL:
            return progress
        progress = msgspec.structs.replace(
            progress,
            arrived=progress.arrived + progress.arriving,
            arriving=size,
            package=taken[1].split("/")[-1].split("-")[0],
        )
        done = progress.arrived + (size if "cached" in line else 0)
        return _fetched(progress, plan, share, done)
    if (went := _WENT.match(line)) and int(went[2]) >= _SMALL:
        return _fetched(progress, plan, share, progress.arrived + min(int(went[1]), progress.arriving))
    if installing := _INSTALLING.match(line):
        count = installing[1].count(",") + 1
        fraction = progress.begins + share * _DOWNLOADING
        sentence = f"Installing {count} packages (a minute or two)."
        return msgspec.structs.replace(progress, sentence=sentence, fraction=fraction)
    return progress


def _fetched(progress: Progress, plan: Plan, share: float, done: int) -> Progress:
    part = min(done / plan.download, 1.0)
    sentence = f"Downloading {progress.package} ({done / 10**6:.0f} of about {plan.download / 10**6:.0f} MB)."
    fraction = max(progress.fraction, progress.begins + share * _DOWNLOADING * part)
    return msgspec.structs.replace(progress, sentence=sentence, fraction=fraction)
