"""The one door to shared_protocol: a sub-package in an installed extension, a package beside us in the repository.

`from ..protocol import messages, errors` gives the modules. Each is imported when it is first asked for: `client`
brings zmq along, so files that need it say so inside the function that connects, and Blender starts without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared_protocol import (
        client,
        codec,
        connection,
        errors,
        manifest,
        messages,
        packing,
        remote,
        schema,
        selecting,
        things,
        transfer,
    )
else:
    import importlib
    import importlib.util

    # Each extension has a copy of its own: a shared one would be whichever version another extension brought along.
    _IS_INSTALLED = importlib.util.find_spec(".shared_protocol", __package__) is not None
    _PACKAGE = f"{__package__}.shared_protocol" if _IS_INSTALLED else "shared_protocol"

    def __getattr__(name: str):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module(f"{_PACKAGE}.{name}")


__all__ = [
    "client",
    "codec",
    "connection",
    "errors",
    "manifest",
    "messages",
    "packing",
    "remote",
    "schema",
    "selecting",
    "things",
    "transfer",
]
