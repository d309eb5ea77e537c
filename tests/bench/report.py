"""Tables and the chart of a run."""
import statistics

COLORS = {"limit": "#9aa0a6", "vigie": "#1a73e8", "vigie-kubeadm": "#8ab4f8"}
OTHER = "#dadce0"


def _median(values: list[float]) -> float:
    return statistics.median(values)


def rows(results: dict, workload: str) -> list[list[str]]:
    contenders = results["workloads"].get(workload, {})
    limit = contenders.get("limit")
    out = []
    for name, result in contenders.items():
        cpu = _median(result["cpu_us"])
        ratio = f"{cpu / _median(limit['cpu_us']):.2f}" if limit else ""
        latency = result.get("latency", {}).get("0.5")
        witness = result.get("dnsperf")
        out.append([workload, name, f"{cpu:.2f}", f"{min(result['cpu_us']):.2f}", f"{max(result['cpu_us']):.2f}", ratio,
                    f"{_median(result['qps']):,.0f}", f"{_median(result['generator_cpu_us']):.2f}",
                    " / ".join(f"{latency[key]:.0f}" for key in ("p50_us", "p99_us", "p999_us")) if latency else "",
                    f"{witness['cpu_us']:.2f}" if witness else ""])
    return out


HEAD = ["workload", "server", "CPU µs/query", "min", "max", "× limit", "queries/s", "generator CPU µs",
        "p50/p99/p99.9 µs at 50 %", "CPU µs by dnsperf"]


def _pad(lines: list[list[str]]) -> list[list[str]]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [[cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))]
            for line in lines]


def table(results: dict, workloads: list[str]) -> str:
    lines = [HEAD] + [row for workload in workloads for row in rows(results, workload)]
    return "\n".join("  ".join(line).rstrip() for line in _pad(lines)) + "\n"


def markdown(results: dict) -> str:
    body = [row for workload in results["workloads"] for row in rows(results, workload)]
    lines = _pad([HEAD] + body)
    rule = ["-" * len(cell) if i < 2 else "-" * (len(cell) - 1) + ":" for i, cell in enumerate(lines[0])]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]]) + "\n"


def chart(results: dict) -> str:
    """CPU time for each query: a group of bars for each workload, on one logarithmic scale."""
    import math
    bar, gap, left, width = 14, 18, 200, 560
    most = max((_median(r["cpu_us"]) for w in results["workloads"].values() for r in w.values()), default=1)
    top = math.log10(most * 1.2)

    def x(value: float) -> float:
        return left + width * max(math.log10(max(value, 1)), 0) / top

    parts, y = [], 40
    for workload, contenders in results["workloads"].items():
        if not contenders:
            continue
        y += 14
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{workload}</text>')
        y += 6
        for name, result in contenders.items():
            value = _median(result["cpu_us"])
            parts.append(f'<text x="{left - 8}" y="{y + bar - 3}" text-anchor="end">{name}</text>'
                         f'<rect x="{left}" y="{y}" width="{x(value) - left:.1f}" height="{bar - 2}" '
                         f'fill="{COLORS.get(name, OTHER)}"/>'
                         f'<text x="{x(value) + 5:.1f}" y="{y + bar - 3}">{value:.2f}</text>')
            y += bar
        y += gap
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 70}" height="{y}" '
            f'font-family="sans-serif" font-size="11">'
            f'<rect width="100%" height="100%" fill="white"/>'
            f'<text x="8" y="20" font-size="14">CPU time for each query, microseconds (median, logarithmic scale; '
            f'less is better)</text>{"".join(parts)}</svg>\n')
