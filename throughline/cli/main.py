"""The group of commands, and how each failure becomes one sentence and an exit code."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib import import_module
from traceback import walk_tb

import click

from throughline.cli.failures import sentence_of
from throughline.cli.interrupt import Interrupted, sentence
from throughline.cli.options import Options, common
from throughline.cli.screen import echo, echo_line
from throughline.cli.streams import finish, give_up
from throughline.cli.wiring import Wiring
from throughline.errors import ThroughlineError

DEBUG_VARIABLE = "THROUGHLINE_DEBUG"
INTERRUPTED = 130
_LOST = "the answer cannot be written to stdout ({reason}): send it elsewhere"


_MODULES = {
    "backtest": "backtest",
    "canary": "models",
    "demo": "backtest",
    "dev": "dev",
    "equity": "trades",
    "experiments": "experiments",
    "key": "key",
    "mlflow": "mlflow",
    "models": "models",
    "promote": "promotion",
    "proof": "proof",
    "rollback": "promotion",
    "trade": "trade",
    "trades": "trades",
    "train": "models",
    "use": "experiments",
    "verify": "verify",
    "walk-forward": "walk_forward",
}
"""Command -> the module of this package that has it: a command pays for the imports of its own module alone."""


class CommandGroup(click.Group):
    """The group of commands. A command is imported when it is asked for.

    Example:
        >>> cli.get_command(click.Context(cli), "backtest")
        <Command backtest>
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*_MODULES, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None where there is none of this name."""
        if cmd_name in _MODULES and cmd_name not in self.commands:
            module = import_module(f"throughline.cli.{_MODULES[cmd_name]}")
            self.add_command(getattr(module, cmd_name.replace("-", "_")))
        return self.commands.get(cmd_name)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="throughline", prog_name="throughline")
@common
def cli(options: Options) -> None:
    """Systematic crypto trading from research to outcome, in which every trade can be traced and proved."""


def run(arguments: Sequence[str], wiring: Wiring, started: float | None = None) -> int:
    """Run a command line; return its exit code. Nothing but a bug ever prints a traceback.

    Args:
        arguments: after the name of the program.
        wiring: how commands reach what lies above the domain.
        started: `time.perf_counter()` at the start of the process; None is now.
    """
    code = _exit_code(arguments, Options(wiring, started=time.perf_counter() if started is None else started))
    lost = finish()
    return code if lost is None else _fail(_LOST.format(reason=lost), 1)


def _exit_code(arguments: Sequence[str], options: Options) -> int:
    try:
        code = cli.main(args=list(arguments), prog_name="throughline", standalone_mode=False, obj=options)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except Interrupted as stop:
        return _fail(sentence(str(stop), arguments), INTERRUPTED)
    except (click.Abort, KeyboardInterrupt):
        return _fail(sentence("what was stored before remains", arguments), INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        return _fail(_usage(error), 2)
    except ThroughlineError as error:
        if os.environ.get(DEBUG_VARIABLE) == "1":
            raise
        return _fail(_one_line(str(error)), 1)
    except BrokenPipeError:
        give_up(1)  # the reader of stdout has gone (`| head`): nothing is left to say
        return 1
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE) == "1":
            raise
        known = sentence_of(error)
        if isinstance(error, OSError) and _is_of_click(error):
            give_up(1)
            known = _LOST.format(reason=error.strerror)
        if known is not None:
            return _fail(_one_line(known), 1)
        text = _one_line(str(error)) or "no message"
        return _fail(
            f"unexpected error ({type(error).__name__}: {text[:300]}); {DEBUG_VARIABLE}=1 shows where it happened", 1
        )
    return code if isinstance(code, int) else 0


def _is_of_click(error: OSError) -> bool:
    """Return whether click met an error of the system: it touches no file but stdout, on which it prints its help."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__", "")).startswith("click.")


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return _one_line(error.format_message()).rstrip(".") + hint


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines()).strip()


def _fail(sentence: str, code: int) -> int:
    echo_line(f"throughline: {sentence}", err=True)
    return code
