"""The figures as a small SVG: events per second side by side, and each figure against its limit."""

from collections.abc import Iterator
from html import escape
from typing import Any, Final, NamedTuple

from streams.bench.table import FIGURES

_WIDTH, _ROW = 900, 22
_BARS_FROM, _BARS_TO = 400, 720
_MOST: Final = 1.4
"""Where a bar ends that is far over its limit, as a multiple of the limit."""
_GOOD, _MISSED, _PLAIN = "#2f8f5b", "#c23b3b", "#4a6fa5"


class _Bar(NamedTuple):
    label: str
    written: str
    part: float
    colour: str


def chart(result: dict[str, Any]) -> str:
    """An SVG document of what was measured."""
    measured = [(figure, value) for figure in FIGURES if (value := figure.value(result)) is not None]
    rates = [(figure, value) for figure, value in measured if figure.path.endswith("events_per_s")]
    fastest = max((value for _, value in rates), default=1.0)
    lines = ['<text x="10" y="20" font-weight="bold">Events per second</text>']
    y = 30
    for figure, value in rates:
        lines += _bar(y, _Bar(figure.title, figure.form.format(value), value / fastest, _PLAIN))
        y += _ROW
    y += 30
    lines.append(f'<text x="10" y="{y}" font-weight="bold">Against what must be reached (the line)</text>')
    top, y, before_bars = y + 5, y + 10, len(lines)
    for figure, value in measured:
        if figure.limit is not None:
            colour = _GOOD if figure.reached(value) else _MISSED
            written = f"{figure.form.format(value)} ({figure.must})"
            lines += _bar(y, _Bar(figure.title, written, min(value / figure.limit, _MOST) / _MOST, colour))
            y += _ROW
    at = _BARS_FROM + (_BARS_TO - _BARS_FROM) / _MOST
    limit = f'<line x1="{at:.0f}" y1="{top}" x2="{at:.0f}" y2="{y}" stroke="black" stroke-dasharray="3 3"/>'
    lines.insert(before_bars, limit)
    drawn = "\n".join(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y + 10}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{drawn}\n</svg>\n'
    )


def _bar(y: int, bar: _Bar) -> Iterator[str]:
    length = max(1.0, bar.part * (_BARS_TO - _BARS_FROM))
    yield f'<text x="{_BARS_FROM - 8}" y="{y + 15}" text-anchor="end">{escape(bar.label)}</text>'
    fill = f'fill="{bar.colour}" fill-opacity="0.85"'
    yield f'<rect x="{_BARS_FROM}" y="{y + 3}" width="{length:.1f}" height="{_ROW - 6}" {fill}/>'
    halo = 'stroke="white" stroke-width="4" paint-order="stroke"'  # the line may pass behind the words
    yield f'<text x="{_BARS_FROM + length + 6:.1f}" y="{y + 15}" {halo}>{escape(bar.written)}</text>'
