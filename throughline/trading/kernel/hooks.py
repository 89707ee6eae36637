"""The exit rules as the core calls them: compiled hooks by their addresses, and the levels of all of them together.

A hook is a plain Python function of its rule. It is compiled alone (0.2 s, cached beside its file) and called by its
address, so one compiled core serves every set of rules: compiling the core for each set would take 16 s. A call takes
some nanoseconds, and rules whose levels rest are asked once for each position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numba  # noqa: TID253 - this module is only loaded by the first simulation
import numpy as np
from llvmlite import ir
from numba import types  # noqa: TID253
from numba.extending import intrinsic  # noqa: TID253

from throughline.exits.registry import reason_names
from throughline.exits.rule import ExitRule
from throughline.trading.compiling import inlined
from throughline.trading.kernel.layout import NEVER, NOTHING, Levels, Rules
from throughline.trading.kernel.sales import q18
from throughline.trading.types import F64

_types: Any = types
_POINTER = _types.CPointer(types.float64)
_ANSWER = _types.Tuple((types.float64, types.float64, types.int64))
_PRICE, _TIME = types.float64, types.int64
LEVELS = _ANSWER(_POINTER, _POINTER, _PRICE, _TIME, _TIME, types.int64)
CARRY = types.void(_POINTER, _POINTER, _PRICE, _TIME, _TIME, _PRICE, _PRICE, _PRICE)


@cache
def compiled_hook(hook: Callable[..., Any], signature: Any) -> Any:
    """Return the hook as a C function, which stays alive as long as the process, since the core has its address."""
    try:
        return numba.cfunc(signature, cache=True)(hook)
    except RuntimeError:  # "no locator available": its folder is not writable, nor is a user cache folder
        return numba.cfunc(signature)(hook)


@cache
def compiled_rules(rules: Sequence[tuple[ExitRule, tuple[float, ...]]]) -> Rules:
    """Return rules and their numbers, in order of precedence, in the form of the core."""
    codes = {name: code for code, name in enumerate(reason_names())}
    with_levels = [(rule, numbers) for rule, numbers in rules if rule.levels is not None]

    def column(values: Sequence[int]) -> Any:
        return _frozen(np.array(values, np.int64))

    def reason_codes(gives: str) -> Any:
        own = [[codes[reason.name] for reason in rule.reasons if reason.gives == gives] for rule, _ in with_levels]
        return column([code[0] if code else NOTHING for code in own])

    return Rules(
        levels=column([compiled_hook(rule.levels, LEVELS).address for rule, _ in with_levels if rule.levels]),
        carry=column([compiled_hook(rule.carry, CARRY).address if rule.carry else 0 for rule, _ in with_levels]),
        numbers=_frozen(np.array([n for _, numbers in with_levels for n in numbers] + [0.0], np.float64)),
        first_number=column([0, *np.cumsum([len(numbers) for _, numbers in with_levels]).tolist()][:-1]),
        first_slot=column([0, *np.cumsum([len(rule.slots) for rule, _ in with_levels]).tolist()][:-1]),
        stop_reason=reason_codes("stop"),
        target_reason=reason_codes("target"),
        leave_reason=reason_codes("leave"),
    )


def _frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array


@intrinsic
def _call_hook(context: Any, hook: Any, numbers: Any, first_number: Any, slots: Any, first_slot: Any, rest: Any) -> Any:
    """Call the hook at an address with pointers to its numbers and slots, and the rest of its arguments."""
    answer = _ANSWER if len(rest) == len(LEVELS.args) - 2 else types.void
    signature = answer(hook, numbers, first_number, slots, first_slot, rest)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def pointer(kind: Any, value: Any, place: Any) -> Any:
            return builder.gep(context.make_array(kind)(context, builder, value).data, [place])

        hook, numbers, first_number, slots, first_slot, rest = arguments
        values = [
            pointer(signature.args[1], numbers, first_number),
            pointer(signature.args[3], slots, first_slot),
            *(builder.extract_value(rest, place) for place in range(len(signature.args[5]))),
        ]
        gives = ir.VoidType() if answer == types.void else context.get_value_type(answer)
        function = ir.FunctionType(gives, [value.type for value in values])
        result = builder.call(builder.inttoptr(hook, function.as_pointer()), values)
        return context.get_dummy_value() if answer == types.void else result

    return signature, generate


_call: Any = _call_hook
"""As the core calls it: numba fills in the context."""


@inlined
def levels_at(
    rules: Rules, slots: F64, p: int, entry_price: float, entry_time: int, when: int, evidence: int
) -> Levels:
    """Return the levels of position p in a bar whose first price falls at `when`."""
    stop, stop_reason, target, target_reason, leave, leave_reason = 0.0, NOTHING, np.inf, NOTHING, NEVER, NOTHING
    for r in range(len(rules.levels)):
        rest = (entry_price, entry_time, when, evidence)
        slot = p * slots.shape[1] + rules.first_slot[r]
        own = _call(rules.levels[r], rules.numbers, rules.first_number[r], slots, slot, rest)
        if own[0] > stop:
            stop, stop_reason = own[0], rules.stop_reason[r]
        if own[1] < target:
            target, target_reason = own[1], rules.target_reason[r]
        if own[2] < leave:
            leave, leave_reason = own[2], rules.leave_reason[r]
    return Levels(stop, stop_reason, target, target_reason, leave, leave_reason)


@inlined
def carry_on(
    rules: Rules,
    slots: F64,
    p: int,
    entry_price: float,
    entry_time: int,
    closes: int,
    high: float,
    low: float,
    close: float,
) -> None:
    """Let the rules note what they carry of a bar that closed at `closes`."""
    for r in range(len(rules.carry)):
        if rules.carry[r] != 0:
            rest = (entry_price, entry_time, closes, high, low, close)
            slot = p * slots.shape[1] + rules.first_slot[r]
            _call(rules.carry[r], rules.numbers, rules.first_number[r], slots, slot, rest)
    for place in range(slots.shape[1]):
        slots[p, place] = q18(slots[p, place])
