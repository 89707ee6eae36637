"""`registry_coordinator`: the coordinator of the configured home, opened when it is first used.

Belongs here: following the configuration (THROUGHLINE_HOME and its like) and closing at exit. Does not belong here:
anything that the coordinator does. It is at the edge: the one place where a coordinator is not created by its user.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any

from throughline.storage.home import Home

if TYPE_CHECKING:
    from throughline.registry.coordinator import RegistryCoordinator

_FOLLOWED = (
    "THROUGHLINE_DATABASE_URL",
    "THROUGHLINE_ARTIFACTS",
    "THROUGHLINE_ANCHOR",
    "THROUGHLINE_SIGNING_KEY",
    "THROUGHLINE_SIGNER",
    "THROUGHLINE_PUBLIC_KEY",
)


class CoordinatorProxy:
    """Has every attribute of the `RegistryCoordinator` of the home that is configured at the time of asking.

    Two homes never meet: where the configuration has changed since the last question, the coordinator of the home
    before is closed and that of the present one opened. Nothing is opened by importing it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._opened: tuple[tuple[str, ...], RegistryCoordinator] | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._coordinator(), name)

    def __repr__(self) -> str:
        return f"<coordinator of the configured home, {'open' if self._opened else 'not opened yet'}>"

    def close(self) -> None:
        """Close the coordinator that is open, if any; the next question opens one again."""
        with self._lock:
            if self._opened is not None:
                opened, self._opened = self._opened[1], None
                opened.close()
                atexit.unregister(self.close)

    def _coordinator(self) -> RegistryCoordinator:
        from throughline.registry.coordinator import RegistryCoordinator

        with self._lock:
            place = Home.locate()
            configured = (str(place.path), *(os.environ.get(name, "") for name in _FOLLOWED))
            if self._opened is None or self._opened[0] != configured:
                self.close()
                self._opened = (configured, RegistryCoordinator(place.path))
                atexit.register(self.close)
            return self._opened[1]
