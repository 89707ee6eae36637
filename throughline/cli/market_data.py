"""Commands that take the options of market data providers: those that serve the command's mode.

Belongs here: options of the command line from fields of `ProviderOptions`, and back. Does not belong here: which
providers there are and what they need (`throughline.experiment.provider`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

import click

from throughline.experiment.mode import Mode
from throughline.experiment.provider import (
    CHOICE,
    ProviderOptions,
    ProviderSpec,
    option_flag,
    plain_inputs,
    providers_of,
    read_options,
)

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from throughline.market.panel import MarketDataProvider


@dataclass(frozen=True)
class MarketData:
    """The market data that a command was told to use."""

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
    """A command that runs days of a mode. It has the options of the mode's providers besides its own, among which is
    `--seed`, and its function receives `market` (`MarketData`) in their place.

    Args:
        mode: the mode.
        args: of `click.Command`.
        kwargs: of `click.Command`.
    """

    def __init__(self, *args: Any, mode: Mode, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mode = mode

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the providers, then those of the command."""
        return [*self._market_options().values(), *super().get_params(ctx)]

    def invoke(self, ctx: click.Context) -> Any:
        """Read the market data's options, and call the function with what they name."""
        chosen = ctx.params.pop(CHOICE, None) or self.mode.provider
        options = self._market_options()
        given = {name: value for name in options if (value := ctx.params.pop(name, None)) not in (None, ())}
        for name, field in providers_of(self.mode)[chosen].options.model_fields.items():
            if field.is_required() and name in options and name not in given:
                raise click.MissingParameter(ctx=ctx, param=options[name])
        spec, read = read_options(self.mode, {CHOICE: chosen, **given}, seed=ctx.params["seed"], flags=True)
        ctx.params["market"] = MarketData(self.mode, spec, read)
        return super().invoke(ctx)

    def _market_options(self) -> dict[str, click.Option]:
        """Return the options by field; `--provider` is among them where there is a choice."""
        specs = providers_of(self.mode)
        options: dict[str, click.Option] = {}
        if len(specs) > 1:
            options[CHOICE] = _choice(self.mode, specs)
        for spec in specs.values():
            for name, field in spec.options.model_fields.items():
                if name != "seed":
                    options.setdefault(name, _option(self.mode, spec, name, field))
        return options


def _choice(mode: Mode, specs: Mapping[str, ProviderSpec]) -> click.Option:
    meanings = " ".join(f"{spec.name}: {spec.description}" for spec in specs.values())
    return click.Option(
        ["--" + CHOICE],
        type=click.Choice(list(specs)),
        default=mode.provider,
        show_default=True,
        help=f"Market data provider. {meanings}",
    )


def _option(mode: Mode, spec: ProviderSpec, name: str, field: FieldInfo) -> click.Option:
    """Return the command-line option of a provider's field; its value is validated with the others."""
    text = field.description or ""
    if spec.name != mode.provider:
        text = f"With --{CHOICE} {spec.name}: {text}"
    if field.is_required():
        text += "  [required]"
    words, many = [option_flag(name), name], get_origin(field.annotation) is tuple
    if field.annotation is bool:
        return click.Option(words, is_flag=True, default=None, help=text)
    if "Path" in str(field.annotation):
        metavar = "DIR" if many else "PATH"
        return click.Option(words, type=click.Path(path_type=Path), multiple=many, metavar=metavar, help=text)
    return click.Option(words, multiple=many, help=text)
