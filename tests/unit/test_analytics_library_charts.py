"""The charts that quantstats draws: what stands at their axes is what was drawn."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from throughline.analytics.library_charts import library_sections


def test_each_percentage_at_an_axis_of_a_chart_is_the_value_at_its_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    figures: list[Figure] = []
    boxes: list[Any] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: Any, **options: Any) -> None:
        figures.append(figure)
        boxes.append(options.get("bbox_inches"))
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    returns = np.random.default_rng(7).normal(0.01, 0.035, 59).tolist()
    days = [date(2021, 1, 1) + timedelta(days=k) for k in range(59)]

    sections = dict(library_sections(days, returns, None, ""))

    assert sections["Charts of daily returns"].count("<img ") == 2
    assert boxes == ["tight", "tight"], "no label is cut off at the edge of the picture"
    (drawdown,), (histogram,) = (figure.axes for figure in figures)
    for axis in (drawdown.yaxis, histogram.xaxis):
        for place, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True):
            assert float(label.get_text().rstrip(" %").replace("\N{MINUS SIGN}", "-")) == pytest.approx(100 * place)
