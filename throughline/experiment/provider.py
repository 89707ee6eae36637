"""Market data providers: how each is named, which options it takes, and how it is opened.

Belongs here: the declaration of a provider, the look-up, and reading options once. Does not belong here: the providers
(`throughline.experiment.providers`, one file each, found by being there) and what they return
(`throughline.market.panel.MarketDataProvider`).

The *inputs* of an experiment are the options as plain JSON, as the home remembers them. They lead to the data (paths,
names of markets) and are no part of an identity: what identifies the data is `SourceDescription.source_hash`, and the
content of each day is identified by the seal of `market_bars`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo

from throughline.clock import Clock
from throughline.discovery import discover
from throughline.errors import SettingsError, shown
from throughline.experiment.mode import Market, Mode, find_mode
from throughline.market.panel import MarketDataProvider
from throughline.user_files import resolved_path

CHOICE = "provider"
"""Key of the inputs that names the provider. It is left out where the mode's own provider is meant."""


class ProviderOptions(BaseModel):
    """Options of a provider: a frozen set of typed fields. Each field is an option of the commands, a key of the
    inputs, and an argument of `UnifiedTradingPipeline`; `Field(description=...)` is its help text.

    A field `seed` receives the seed of the experiment (`--seed`), unless it is given by itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _absolute(path: Path, info: ValidationInfo) -> Path:
    name = str(info.field_name)
    return resolved_path(path, option_flag(name) if (info.context or {}).get("flags") else name)


UserPath = Annotated[Path, AfterValidator(_absolute)]
"""A path of the user's: ``~`` is expanded, links are followed, and it is stored as an absolute path."""


@dataclass(frozen=True)
class ProviderSpec:
    """A market data provider. Each is one file of `throughline/experiment/providers/`.

    Attributes:
        name: value of `--provider`.
        market: kind of market; it serves the modes of this kind.
        description: one sentence for help texts and the UI.
        options: type of its options.
        open: returns the provider for its options and a clock. It imports what it needs itself: declarations are
            imported by each command.

    What `open` returns must promise, whatever the market:

    - `description.source_hash` changes whenever the same bytes would be read in another way (units, rules of
      availability, version of a generator). Experiments of another hash are other experiments.
    - A bar or value is the same in each panel that holds it, whatever window was asked for.
    - `available_at` is the instant at which a row became known: for a live market the instant of reception
      ("observed"), for a history the documented rule ("assumed"). No row is visible before it.
    - `first_day` and `last_day` are days that are over and complete. Rows that close after `clock.now()` are left out.
    - A day that was read before reads the same again. Where the market revises it (a late candle, a corrected cap), the
      provider returns the revised values: the seal of `market_bars` differs then, and the run reports a revision. A
      provider of a live market therefore stores what it received, with the instant, before it returns it.

    Example:
        >>> find_provider("simulated").market
        'invented'
    """

    name: str
    market: Market
    description: str
    options: type[ProviderOptions]
    open: Callable[[Any, Clock], MarketDataProvider]


def all_providers() -> dict[str, ProviderSpec]:
    """Return the providers by name."""
    return discover("throughline.experiment.providers", "PROVIDER", ProviderSpec)


def providers_of(mode: Mode) -> dict[str, ProviderSpec]:
    """Return the providers that serve a mode, the mode's own one first."""
    suitable = {name: spec for name, spec in all_providers().items() if spec.market == mode.market}
    return dict(sorted(suitable.items(), key=lambda item: item[0] != mode.provider))


def find_provider(name: str, mode: Mode | None = None) -> ProviderSpec:
    """Return the provider of a name. Raises SettingsError where there is none, or none that serves `mode`."""
    known = all_providers() if mode is None else providers_of(mode)
    if name not in known:
        place = "" if mode is None else f" of mode '{mode.name}'"
        raise SettingsError(f"there is no market data provider {shown(name)}{place}: choose one of {', '.join(known)}")
    return known[name]


def read_options(
    mode: Mode, inputs: Mapping[str, Any], *, seed: int | None = None, flags: bool = False
) -> tuple[ProviderSpec, ProviderOptions]:
    """Return the provider that inputs name, with its validated options.

    Args:
        mode: its own provider is used where the inputs name none.
        inputs: options by name, as text or as their own type; None counts as not given.
        seed: seed of the experiment; a provider that has an option `seed` receives it where the inputs have none.
        flags: error messages name the options of a command (`--archive`) instead of arguments.

    Raises:
        SettingsError: no such provider, or a missing, unknown or unusable option.
    """
    spec = find_provider(str(inputs.get(CHOICE) or mode.provider), mode)
    given = {name: value for name, value in inputs.items() if name != CHOICE and value is not None}
    if seed is not None and "seed" in spec.options.model_fields:
        given.setdefault("seed", seed)
    try:
        return spec, spec.options.model_validate(given, context={"flags": flags})
    except ValidationError as error:
        raise SettingsError(_sentence(mode, spec, error, flags)) from None


def plain_inputs(mode: Mode, spec: ProviderSpec, options: ProviderOptions) -> dict[str, Any]:
    """Return options as the inputs that a home remembers: JSON, without fields that have their default."""
    chosen = {} if spec.name == mode.provider else {CHOICE: spec.name}
    return chosen | options.model_dump(mode="json", exclude_defaults=True)


def make_provider(mode: str, inputs: Mapping[str, Any], clock: Clock) -> MarketDataProvider:
    """Return the opened market data provider of an experiment.

    Args:
        mode: name of its mode.
        inputs: the options of the provider, and the provider's name under `provider` where it is not the mode's own.
        clock: bars that close after its instant are left out.

    Raises:
        SettingsError: as `read_options`, or for a mode that does not exist.
        ArchiveError: for unusable files.
    """
    spec, options = read_options(find_mode(mode), inputs)
    return spec.open(options, clock)


def option_flag(name: str) -> str:
    """Return the command-line option of a field."""
    return "--" + name.replace("_", "-")


def _sentence(mode: Mode, spec: ProviderSpec, error: ValidationError, flags: bool) -> str:
    """Return the first fault of the options as one sentence."""
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    name = option_flag(field) if flags else field
    known = ", ".join(option_flag(item) if flags else item for item in spec.options.model_fields)
    about = f"mode '{mode.name}'" if spec.name == mode.provider else f"market data provider '{spec.name}'"
    if first["type"] == "missing":
        return f"{about} needs {name}: its market data provider '{spec.name}' takes {known}"
    if first["type"] == "extra_forbidden":
        return f"market data provider '{spec.name}' has no option {name}: it takes {known or 'none'}"
    return f"{name} is {shown(first['input'])}, which market data provider '{spec.name}' refuses: {first['msg']}"
