"""Finds every method by walking this package and refuses one that is not fully described."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from backend.methods.job import Job
from backend.splats.io import BOUND, BOUND_CARD, BOUND_FOLDER, FORMATS, READABLE, WRITABLE
from backend.splats.io.frames import COMMON_FRAMES
from shared_protocol.errors import UserError
from shared_protocol.messages import Catalog
from shared_protocol.schema import Setting, describe
from shared_protocol.things import FormatInfo, MethodInfo


@dataclass(frozen=True)
class Method:
    """One method: what it is called, what it can be told, and the function that does it."""

    id: str
    category: str  # the folder the file stands in: training, editing, rigging, ...
    label: str
    help: str
    settings_type: type[msgspec.Struct]
    run: Callable[[Any, Any, Job], Any]  # run(config, inputs, job) -> result
    takes_mesh: bool = False  # a training that is on a given mesh
    without: tuple[str, ...] = ()  # settings of its struct that mean nothing to it

    @property
    def settings(self) -> tuple[Setting, ...]:
        return tuple(setting for setting in describe(self.settings_type) if setting.name not in self.without)


_methods: dict[str, Method] = {}
_walked = False


def method(
    *, label: str, help: str, takes_mesh: bool = False, without: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers `run(config, inputs, job)` as a method; its id is the file's name, its category the folder's.

    without: settings that it inherits and that mean nothing to it: nobody sees them or can set them.
    Raises TypeError when the settings struct is not frozen, or a field lacks label, help, widget or a valid default.
    """

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        *_, category, identifier = run.__module__.split(".")
        parameters = list(inspect.signature(run, eval_str=True).parameters.values())
        if [p.name for p in parameters] != ["config", "inputs", "job"]:
            raise TypeError(f"{run.__module__}.{run.__name__} must take (config, inputs, job)")
        settings_type = parameters[0].annotation
        if not (isinstance(settings_type, type) and issubclass(settings_type, msgspec.Struct)):
            raise TypeError(f"{run.__module__}: annotate `config` with its msgspec.Struct")
        if not settings_type.__struct_config__.frozen:
            raise TypeError(f"{settings_type.__name__} must be frozen")
        named = {setting.name for setting in describe(settings_type)}
        if unknown := set(without) - named:
            raise TypeError(f"{settings_type.__name__} has no field {', '.join(sorted(unknown))} to be without")
        _check_defaults(settings_type)
        if identifier in _methods:
            raise TypeError(
                f"two methods are called {identifier}: {_methods[identifier].run.__module__} and {run.__module__}"
            )
        _methods[identifier] = Method(identifier, category, label, help, settings_type, run, takes_mesh, without)
        return run

    return register


def _check_defaults(settings_type: type[msgspec.Struct]) -> None:
    """Raises TypeError when a default lies outside its own range, or a range stands on a type that cannot have one."""
    try:
        msgspec.convert(msgspec.to_builtins(settings_type()), type=settings_type)
    except msgspec.ValidationError as error:
        raise TypeError(f"{settings_type.__name__}: {error}") from error


def all_methods() -> tuple[Method, ...]:
    """Every method, by category and id."""
    global _walked
    if not _walked:
        import backend.methods

        for package in pkgutil.iter_modules(backend.methods.__path__, "backend.methods."):
            if package.ispkg:
                path = importlib.import_module(package.name).__path__
                for module in pkgutil.iter_modules(path, f"{package.name}."):
                    importlib.import_module(module.name)
        _walked = True
    return tuple(sorted(_methods.values(), key=lambda m: (m.category, m.id)))


def catalog() -> Catalog:
    """Every method and kind of splat file as clients are told of them; `blender_addon/catalog.json` holds the same."""
    return Catalog(
        methods=tuple(
            MethodInfo(
                id=m.id, category=m.category, label=m.label, help=m.help, settings=m.settings, takes_mesh=m.takes_mesh
            )
            for m in all_methods()
        ),
        reads=(*READABLE, BOUND, BOUND_FOLDER, BOUND_CARD),
        writes=(*WRITABLE, BOUND, BOUND_FOLDER),
        formats=tuple(
            FormatInfo(
                name=form.name,
                label=form.label,
                suffixes=form.suffixes,
                reads=form.can_read,
                writes=form.can_write,
                frame=form.frame,
                sh_degree=form.sh_degree,
            )
            for form in FORMATS
        ),
        frames=COMMON_FRAMES,
    )


def find(identifier: str) -> Method:
    """The method with this id. Raises UserError with the known ids."""
    known = {m.id: m for m in all_methods()}
    if identifier not in known:
        raise UserError(
            "bad_input", f"There is no method called '{identifier}'.", f"Known methods: {', '.join(known)}."
        )
    return known[identifier]
