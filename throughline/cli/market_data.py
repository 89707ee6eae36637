"""Commands that take the options of market data providers: those of the modes that a command may run.

Belongs here: options of the command line from fields of `ProviderOptions`, and back. Does not belong here: which
providers there are and what they need (`throughline.experiment.provider`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

import click

from throughline.experiment.mode import Mode, all_modes, find_mode
from throughline.experiment.provider import (
    CHOICE,
    ProviderOptions,
    ProviderSpec,
    find_provider,
    option_flag,
    plain_inputs,
    providers_of,
    read_options,
)

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from throughline.market.panel import MarketDataProvider

MODE = "mode"


@dataclass(frozen=True)
class MarketData:
    """The market data that the options of a command name."""

    mode: Mode
    spec: ProviderSpec
    options: ProviderOptions

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs of the experiment, as the home remembers them."""
        return plain_inputs(self.mode, self.spec, self.options)

    @property
    def place(self) -> str:
        """Where the data lies, for a progress bar: the first path among the options, else the provider's name."""
        paths = [value for _, value in self.options if isinstance(value, Path)]
        return f"the files of {paths[0]}" if paths else f"the market data of provider '{self.spec.name}'"

    def open(self) -> MarketDataProvider:
        """Return the opened provider."""
        from throughline.clock import SystemClock

        return self.spec.open(self.options, SystemClock())


class MarketCommand(click.Command):
    """A command that runs days of the modes that allow it by its name (`Mode.commands`).

    Besides its own options, among which is `--seed`, it has those of the market data providers of these modes. Its
    function receives `market` (`MarketData`) in their place. `--mode` and `--provider` appear where there is a choice.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the market data, then those of the command."""
        return [*self._market_options().values(), *super().get_params(ctx)]

    def invoke(self, ctx: click.Context) -> Any:
        """Read the options of the market data, and call the function with what they name."""
        options = self._market_options()
        given = {name: value for name in options if (value := ctx.params.pop(name, None)) not in (None, ())}
        mode = find_mode(given.pop(MODE)) if MODE in given else self._modes()[0]
        chosen = given.pop(CHOICE, mode.provider)
        for name, field in find_provider(chosen, mode).options.model_fields.items():
            if field.is_required() and name in options and name not in given:
                raise click.MissingParameter(ctx=ctx, param=options[name])
        spec, read = read_options(mode, {CHOICE: chosen, **given}, seed=ctx.params["seed"], flags=True)
        ctx.params["market"] = MarketData(mode, spec, read)
        return super().invoke(ctx)

    def _modes(self) -> list[Mode]:
        """Return the modes that this command may run, the one that is meant without `--mode` first."""
        return [mode for mode in all_modes() if mode.allows(str(self.name))]

    def _market_options(self) -> dict[str, click.Option]:
        """Return the options by their field."""
        modes = self._modes()
        specs = {name: spec for mode in modes for name, spec in providers_of(mode).items()}
        options: dict[str, click.Option] = {}
        if len(modes) > 1:
            meanings = {mode.name: mode.description for mode in modes}
            options[MODE] = _choice(MODE, "Mode of the experiment.", meanings, modes[0].name)
        if len(specs) > 1:
            meanings = {spec.name: spec.description for spec in specs.values()}
            default = modes[0].provider if len(modes) == 1 else "that of the mode"
            options[CHOICE] = _choice(CHOICE, "Market data provider.", meanings, default)
        for spec in specs.values():
            for name, field in spec.options.model_fields.items():
                if name != "seed":
                    options.setdefault(name, _option(spec, name, field, own=spec.name == modes[0].provider))
        return options


def _choice(name: str, text: str, meanings: Mapping[str, str], default: str) -> click.Option:
    """Return an option with a fixed set of values. meanings: value -> what it means."""
    explained = " ".join(f"{value}: {meaning}" for value, meaning in meanings.items())
    help_text = f"{text} {explained}  [default: {default}]"
    return click.Option(["--" + name], type=click.Choice(list(meanings)), help=help_text)


def _option(spec: ProviderSpec, name: str, field: FieldInfo, *, own: bool) -> click.Option:
    """Return the command-line option of a provider's field; its value is validated with the others."""
    text = field.description or ""
    if not own:
        text = f"With --{CHOICE} {spec.name}: {text}"
    if field.is_required():
        text += "  [required]"
    words, many = [option_flag(name), name], get_origin(field.annotation) is tuple
    if field.annotation is bool:
        switch = f"{words[0]}/--no-{words[0].removeprefix('--')}"
        return click.Option([switch, name], default=None, help=text)
    if "Path" in str(field.annotation):
        metavar = "DIR" if many else "PATH"
        return click.Option(words, type=click.Path(path_type=Path), multiple=many, metavar=metavar, help=text)
    return click.Option(words, multiple=many, help=text)
