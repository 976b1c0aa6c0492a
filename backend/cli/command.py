"""The command's border: verbs go in, and every way to end comes out as an exit code and at most one sentence."""

from __future__ import annotations

import datetime
import logging
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from backend.cli import bind, convert, doctor, edit, evaluate, gc, info, keys, mesh, methods, pose, render, serve, train
from backend.cli.terminal import say
from backend.machine import splatwright_version
from shared_protocol.errors import UserError

SUCCESS = 0
USER_ERROR = 1
USAGE_ERROR = 2
INTERRUPTED = 130
OUR_ERROR = 70  # EX_SOFTWARE of sysexits.h

EPILOG = """\b
Start here:
  splatwright train photos/ -o scene.ply     photos (with or without camera poses) to a splat file
  splatwright info scene.ply                 what the file holds
  splatwright doctor                         what this machine can do, and what is missing

"splatwright VERB --help" explains a verb, with examples. Exit codes: 0 done, 1 something you can mend
(one sentence says what), 2 wrong options, 130 interrupted, 70 a mistake of this program.
"""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order a newcomer needs them, not by alphabet


@click.group(
    cls=_Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(splatwright_version(), prog_name="splatwright")
def splatwright() -> None:
    """Turn photos into Gaussian splats, measure them and render them."""


for _verb in (
    train.train,
    pose.pose,
    evaluate.evaluate,
    render.render,
    convert.convert,
    edit.edit,
    mesh.mesh,
    bind.bind,
    info.info,
    serve.serve,
    keys.keys,
    gc.gc,
    methods.methods,
    doctor.doctor,
):
    splatwright.add_command(_verb)


class _SayWarnings(logging.Handler):
    """Warnings of the library reach the user as plain lines."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"Warning: {record.getMessage()}")


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; never raises for what a user can mend."""
    warnings = _SayWarnings(logging.WARNING)
    logger = logging.getLogger("backend")
    logger.addHandler(warnings)
    try:
        code = splatwright.main(list(arguments), prog_name="splatwright", standalone_mode=False)
        return code if isinstance(code, int) else SUCCESS
    except click.UsageError as error:
        error.show()
        return USAGE_ERROR
    except click.ClickException as error:
        error.show()
        return USER_ERROR
    except UserError as error:
        say(f"Error: {error.message}")
        if error.hint:
            say(error.hint)
        return USER_ERROR
    except (KeyboardInterrupt, click.Abort):
        say("Interrupted. Nothing was written.")
        return INTERRUPTED
    except MemoryError:
        say("Error: The computer's memory is used up.")
        say("Close other programs, or lower --resolution or --max-splats.")
        return USER_ERROR
    except Exception as error:  # noqa: BLE001  the command's border: a traceback is for us, not for the user
        say(f"Error: Splatwright made a mistake ({type(error).__name__}). The details are in '{_write_traceback()}'.")
        say("Please report it with that file.")
        return OUR_ERROR
    finally:
        logger.removeHandler(warnings)


def _write_traceback() -> Path:
    moment = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"splatwright-{moment}-", suffix=".log", delete=False, encoding="utf-8"
    ) as stream:
        stream.write(traceback.format_exc())
        return Path(stream.name)
