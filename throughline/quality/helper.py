"""A helper process that imports Great Expectations and validates, on another core than the stages.

Belongs here: both ends of the pipe. Does not belong here: what is validated (`validation`).

The import takes as long as many a run, and a stage can write files while its frames are validated. A helper that dies
loses nothing: what it did not answer is validated in this process. A process that dies leaves no helper behind, however
it dies: the helper ends with its pipe.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from tempfile import TemporaryDirectory
from types import TracebackType

from throughline.errors import ThroughlineError
from throughline.quality.validation import BrokenRules, Columns, LocalValidator

_PROGRAM = "from throughline.quality.helper import serve; serve({handle})"


class HelperValidator:
    """Validates in a helper process. Use it as a context manager or call `close`.

    The process starts at once and imports while the caller goes on. It may be used from several threads.

    Example:
        >>> with HelperValidator() as validator:
        ...     runner = GreatExpectationsRunner(GateSettings(), validator)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._local = LocalValidator()
        self._closed = False
        self._folder = TemporaryDirectory(prefix="throughline-gates-")  # Great Expectations leaves folders in it
        self._pipe: Connection | None
        self._pipe, other = Pipe()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM.format(handle=other.fileno())],
                env={**os.environ, "TMPDIR": self._folder.name},
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,  # an interrupt of the terminal is for the command, which closes the pipe
            )

    def __enter__(self) -> HelperValidator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process ID of the helper."""
        return self._process.pid

    def broken_rules(self, asset: str, frame: str, thresholds: Mapping[str, float], columns: Columns) -> BrokenRules:
        """Return the broken rules of a frame, as `Validator` says; where the helper has died, by this process.

        Raises:
            ThroughlineError: a rule could not be evaluated, or the helper was closed meanwhile.
        """
        with self._lock:
            answer = self._asked((asset, frame, dict(thresholds), dict(columns)))
            if self._closed:
                raise ThroughlineError("validation was stopped: the helper process is closed")
            if answer is None:
                return self._local.broken_rules(asset, frame, thresholds, columns)
            if isinstance(answer, ThroughlineError):
                raise answer
            return answer

    def _asked(self, question: tuple[object, ...]) -> BrokenRules | ThroughlineError | None:
        """Return the helper's answer, None where there is no helper any more."""
        if self._pipe is None:
            return None
        try:
            self._pipe.send(question)
            answer: BrokenRules | ThroughlineError = self._pipe.recv()
        except (EOFError, OSError):
            self._end()
            return None
        except BaseException:  # an interrupt: the answer would be read as that of the next question
            self._end()
            raise
        return answer

    def close(self) -> None:
        """End the helper. A question that another thread waits for is not answered any more."""
        self._closed = True
        self._process.kill()  # ends the wait of a thread that holds the lock; the helper has nothing to lose
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def serve(handle: int) -> None:
    """Answer the questions of a pipe until it ends: the main function of the helper.

    Args:
        handle: file descriptor of the helper's end of the pipe.
    """
    validator = LocalValidator()
    threading.Thread(target=_exit_with_command, args=(handle,), daemon=True).start()
    with Connection(handle) as pipe:
        import great_expectations  # noqa: F401 - before the first question, while the command reads its data

        while True:
            try:
                question = pipe.recv()
            except EOFError:
                return
            try:
                answer: BrokenRules | ThroughlineError = validator.broken_rules(*question)
            except ThroughlineError as error:
                answer = error
            try:
                pipe.send(answer)
            except OSError:  # nobody waits for the answer any more
                return


def _exit_with_command(handle: int) -> None:
    """End this process as soon as the other end of the pipe is gone, also in the middle of an import."""
    hung_up = select.poll()
    hung_up.register(handle, select.POLLHUP)
    hung_up.poll()
    os._exit(0)
