"""The panels of a Grafana dashboard as SVG, drawn from what Prometheus answers to their queries: what Grafana would show,
without Grafana."""
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

WIDTH, ROW, GAP = 1200, 30, 8  # of the picture, of a row of the dashboard's grid, and between panels
COLUMNS = 24
TOP = 40
COLORS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#8ab8ff", "#fa6400", "#705da0",
          "#c0d8ff", "#ffa6b0"]
LEFT, RIGHT, HEAD, FOOT, LINE = 58, 12, 30, 20, 13  # the room around a panel's plot, and a line of its legend
LEGEND_LINES = 3
TICKS = 4

Ask = Callable[..., dict]


@dataclass
class Series:
    name: str
    points: list[tuple[float, float]]  # time and value


def variables(expression: str, job: str, rate_interval: str) -> str:
    """A query without Grafana's variables: all instances of a job."""
    return expression.replace("$job", job).replace("$instance", ".*").replace("$__rate_interval", rate_interval)


def _name(legend: str, metric: dict[str, str]) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: metric.get(found[1], ""), legend) or "value"


def _query(ask: Ask, panel: dict, job: str, rate_interval: str, begin: float, end: float) -> list[Series]:
    series = []
    for target in panel["targets"]:
        result = ask("query_range", query=variables(target["expr"], job, rate_interval), start=begin, end=end,
                     step=max(1, (end - begin) / 200))["result"]
        for each in result:
            points = [(when, float(value)) for when, value in each["values"]]
            series.append(Series(_name(target.get("legendFormat", ""), each["metric"]),
                                 [point for point in points if math.isfinite(point[1])]))
    return series


def _scaled(value: float, steps: list[tuple[float, str]]) -> str:
    for size, unit in steps:
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value / steps[-1][0]:.3g}{steps[-1][1]}" if value else "0"


def text_of(value: float, unit: str) -> str:
    """A value as Grafana writes it."""
    if unit == "s":
        return _scaled(value, [(60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs")])
    if unit == "bytes":
        return _scaled(value, [(1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB"), (1, " B")])
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    return _scaled(value, [(1e6, "M"), (1e3, "K"), (1, "")]) + (" req/s" if unit == "reqps" else "")


def _ticks(most: float, unit: str) -> list[float]:
    """Round values from 0 to at least the largest."""
    base = 1024 ** math.floor(math.log(most, 1024)) if unit == "bytes" and most >= 1 else 1
    step = most / base / TICKS
    power = 10 ** math.floor(math.log10(step))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * 0.999)
    return [step * base * number for number in range(math.ceil(most / base / step - 1e-9) + 1)]


def _stack(series: list[Series]) -> list[Series]:
    heights: dict[float, float] = {}
    for each in series:
        each.points = [(when, heights.setdefault(when, 0) + value) for when, value in each.points]
        heights.update(each.points)
    return series


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{escape(text)}</text>'


def _legend(series: list[Series], x: float, y: float, width: float) -> str:
    parts, at, line = [], x, 0
    for number, each in enumerate(series):
        room = 24 + 6.6 * len(each.name)
        if at + room > x + width and at > x:
            at, line = x, line + 1
        if line == LEGEND_LINES - 1 and at + room > x + width - 20 and each is not series[-1] or line == LEGEND_LINES:
            parts.append(_text(x + width - 8, y + (LEGEND_LINES - 1) * LINE, "…"))
            break
        parts.append(f'<rect x="{at:.0f}" y="{y + line * LINE - 4:.0f}" width="10" height="3" '
                     f'fill="{COLORS[number % len(COLORS)]}"/>' + _text(at + 14, y + line * LINE, each.name))
        at += room
    return "".join(parts)


def _plot(panel: dict, series: list[Series], box: tuple[float, float, float, float], begin: float, end: float) -> str:
    x, y, width, height = box
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    unit = defaults.get("unit", "short")
    legend = _legend(series, x + 10, y + height - (LEGEND_LINES - 1) * LINE - 6, width - 20)
    left, right = x + LEFT, x + width - RIGHT
    top, bottom = y + HEAD, y + height - FOOT - LEGEND_LINES * LINE
    if stacked:
        _stack(series)
    ticks = _ticks(max((value for each in series for _, value in each.points), default=0) or 1, unit)

    def place(when: float, value: float) -> str:
        return (f"{left + (right - left) * (when - begin) / (end - begin):.1f},"
                f"{bottom - (bottom - top) * value / ticks[-1]:.1f}")

    parts = []
    for tick in ticks:
        height_of = bottom - (bottom - top) * tick / ticks[-1]
        parts.append(f'<path d="M{left} {height_of:.1f}H{right}" stroke="#e4e5e6"/>' +
                     _text(left - 6, height_of + 4, text_of(tick, unit), 'text-anchor="end" fill="#6e7075"'))
    for part in (1 / 8, 3 / 8, 5 / 8, 7 / 8):
        parts.append(_text(left + (right - left) * part, bottom + 14,
                           time.strftime("%H:%M:%S", time.gmtime(begin + (end - begin) * part)),
                           'text-anchor="middle" fill="#6e7075"'))
    for number, each in reversed(list(enumerate(series))):  # of a stack the lowest lies on top
        if not each.points:
            continue
        color = COLORS[number % len(COLORS)]
        line = " ".join(place(when, value) for when, value in each.points)
        if stacked:
            parts.append(f'<polygon points="{place(each.points[0][0], 0)} {line} {place(each.points[-1][0], 0)}" '
                         f'fill="white"/><polygon points="{place(each.points[0][0], 0)} {line} '
                         f'{place(each.points[-1][0], 0)}" fill="{color}" fill-opacity="0.3"/>')
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    return "".join(parts) + legend


def _stat(panel: dict, series: list[Series], box: tuple[float, float, float, float]) -> str:
    x, y, width, height = box
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    parts = []
    for number, each in enumerate(each for each in series if each.points):
        parts.append(_text(x + width / 2, y + height / 2 + 14 + 40 * number, text_of(each.points[-1][1], unit),
                           f'text-anchor="middle" font-size="30" fill="{COLORS[0]}"'))
        name = each.name if len(each.name) <= 40 else each.name[:39] + "…"
        parts.append(_text(x + width / 2, y + height / 2 + 34 + 40 * number, name, 'text-anchor="middle" fill="#6e7075"'))
    return "".join(parts)


def draw(dashboard: dict, ask: Ask, job: str, begin: float, end: float, rate_interval: str = "10s") -> str:
    """`ask(path, **parameters)` is a query to Prometheus' API; times are Unix'."""
    parts, most = [], 0
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        x, y = GAP / 2 + grid["x"] * WIDTH / COLUMNS, TOP + grid["y"] * ROW
        width, height = grid["w"] * WIDTH / COLUMNS - GAP, grid["h"] * ROW - GAP
        most = max(most, y + height)
        if panel["type"] == "row":
            parts.append(_text(x + 4, y + 16, panel["title"], 'font-size="15" font-weight="bold"'))
            continue
        series = _query(ask, panel, job, rate_interval, begin, end)
        box = (x, y, width, height)
        body = _stat(panel, series, box) if panel["type"] == "stat" else _plot(panel, series, box, begin, end)
        parts.append(f'<g><rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="3" fill="white" '
                     f'stroke="#d8d9da"/>' + _text(x + 10, y + 19, panel["title"], 'font-size="13" font-weight="bold"') +
                     body + "</g>")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {most + GAP:.0f}" width="{WIDTH}" '
            f'font-family="sans-serif" font-size="11" fill="#24292e"><rect width="100%" height="100%" fill="#f4f5f5"/>' +
            _text(GAP, 26, dashboard["title"], 'font-size="20" font-weight="bold"') + "\n" + "\n".join(parts) + "\n</svg>\n")
