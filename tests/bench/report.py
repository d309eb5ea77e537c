"""Tables and the chart of a run."""
import statistics

COLORS = {"limit": "#9aa0a6", "vigie": "#1a73e8", "vigie-wildcard": "#4f94ee", "vigie-kubeadm": "#8ab4f8"}
OTHER = "#dadce0"


def _median(values: list[float]) -> float:
    return statistics.median(values)


def paired(results: dict, workload: str, one: str, other: str) -> list[float]:
    """The ratios of two servers' CPU time for each query, round by round: what disturbs a round disturbs both."""
    contenders = results["workloads"].get(workload, {})
    if one not in contenders or other not in contenders:
        return []
    return [a / b for a, b in zip(contenders[one]["cpu_us"], contenders[other]["cpu_us"])]


def rows(results: dict, workload: str) -> list[list[str]]:
    contenders = results["workloads"].get(workload, {})
    out = []
    for name, result in contenders.items():
        cpu = _median(result["cpu_us"])
        ratios = paired(results, workload, name, "limit")
        ratio = f"{_median(ratios):.2f}" if ratios else ""
        witness = result.get("dnsperf")
        out.append([workload, name, f"{cpu:.2f}", f"{min(result['cpu_us']):.2f}", f"{max(result['cpu_us']):.2f}", ratio,
                    f"{_median(result['qps']):,.0f}", f"{_median(result['generator_cpu_us']):.2f}",
                    f"{witness['cpu_us']:.2f}" if witness else ""])
    return out


HEAD = ["workload", "server", "CPU µs/query", "min", "max", "× limit", "queries/s", "generator CPU µs", "CPU µs by dnsperf"]
LATENCY = "Latency, p50 / p99 / p99.9 in µs, at parts of each server's saturation (the limit: of vigie's):"


def latency(results: dict, workloads: list[str]) -> list[list[str]]:
    """p50, p99 and p99.9 at parts of saturation; nothing where none was taken."""
    out = []
    for workload in workloads:
        for name, result in results["workloads"][workload].items():
            loads = result.get("latency", {})
            if loads and not out:
                out.append(["workload", "server", *(f"at {float(load):.0%}".replace("%", " %") for load in loads)])
            if loads:
                out.append([workload, name, *(" / ".join(f"{taken[key]:.0f}" for key in ("p50_us", "p99_us", "p999_us"))
                                              for taken in loads.values())])
    return out


def _pad(lines: list[list[str]]) -> list[list[str]]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [[cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))]
            for line in lines]


def align(lines: list[list[str]]) -> str:
    return "\n".join("  ".join(line).rstrip() for line in _pad(lines)) + "\n"


def table(results: dict, workloads: list[str]) -> str:
    taken = latency(results, workloads)
    return align([HEAD] + [row for workload in workloads for row in rows(results, workload)]) + \
        (f"\n{LATENCY}\n" + align(taken) if taken else "")


# What issue 5 asks for: (workload, server, of what, at most).
RATIOS = [
    ("clusterip", "vigie", "limit", 1.20), ("clusterip", "vigie", "knot", 1), ("nxdomain", "vigie", "limit", 1.3),
    ("cached", "vigie", "limit", 1.4), ("headless", "vigie", "limit", 1.5), ("srv", "vigie", "limit", 1.5),
    ("ptr", "vigie", "limit", 1.5), ("uncached", "vigie", "limit", 6), ("uncached", "vigie", "unbound", 1),
    *((each, "vigie-kubeadm", "vigie-wildcard", 1.05) for each in ("clusterip", "nxdomain", "headless", "srv", "ptr")),
]
CLUSTER_WORKLOADS = ["clusterip", "nxdomain", "headless", "srv", "ptr"]


def targets(results: dict) -> list[list[str]]:
    """Each target with what was measured: the median of the rounds' ratios, and between what the middle half of them lies.
    The ratios of workloads are of CPU time for each query."""
    out = [["what", "measured", "middle half", "target", ""]]

    def add(what: str, values: list[float], bound: float, most: bool, note: str = "") -> None:
        if not values:
            return
        value = _median(values)
        first, _, third = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (value, 0, value)
        good = value <= bound if most else value >= bound
        out.append([what, f"{value:.2f}", f"{first:.2f} to {third:.2f}" if len(values) > 1 else "",
                    f"{'≤' if most else '≥'} {bound}", ("reached" if good else "missed") + note])

    for workload, server, other, most in RATIOS:
        add(f"{workload}: {server} ÷ {other}", paired(results, workload, server, other), most, True)
    for workload in CLUSTER_WORKLOADS:
        limit = paired(results, workload, "coredns", "limit")
        add(f"{workload}: coredns ÷ vigie", paired(results, workload, "coredns", "vigie"), 15, False,
            f"; coredns ÷ limit is {_median(limit):.1f}" if limit else "")
    spells = [results["workloads"].get("clusterip", {}).get(name, {}).get("latency", {}).get("0.5", {}).get("p99s_us", [])
              for name in ("vigie", "limit")]
    add("clusterip: p99 at 50 % load, vigie ÷ limit", [vigie / limit for vigie, limit in zip(*spells)], 2, True)
    rates = {each: _median(result["qps"]) for each in ("tcp-1000", "clusterip")
             if (result := results["workloads"].get(each, {}).get("vigie"))}
    if len(rates) == 2:
        add("queries/s: TCP with 1,000 connections ÷ UDP", [rates["tcp-1000"] / rates["clusterip"]], 0.5, False)
    for study in results.get("studies", {}).values():
        for what, values, bound, most, note in study["ratios"]:
            add(what, values, bound, most, note)
    return out


def _as_markdown(lines: list[list[str]], text_columns: int) -> str:
    lines = _pad(lines)
    rule = ["-" * len(cell) if i < text_columns else "-" * (len(cell) - 1) + ":" for i, cell in enumerate(lines[0])]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]]) + "\n"


BEGIN, END = "<!-- figures of tests/bench/run.sh --publish -->\n", "<!-- end of figures -->\n"


def publish(results: dict, docs) -> None:
    """Puts the figures between two marks of docs/performance.md."""
    page = docs / "performance.md"
    before, rest = page.read_text().split(BEGIN)
    machine = results["machine"]
    text = (f"{machine['date']}, {machine['cpus']} CPUs ({machine['cpu']}), Linux {machine['kernel']}, "
            f"{results['services']:,} services.\n\n![CPU time for each query](performance/chart.svg)\n\n"
            + _as_markdown(targets(results), 1) + "\n" + markdown(results))
    for name, study in results.get("studies", {}).items():
        text += f"\n{name.capitalize()}:\n\n" + _as_markdown(study["lines"], 1)
    page.write_text(before + BEGIN + text + END + rest.split(END)[1])
    (docs / "performance").mkdir(exist_ok=True)
    (docs / "performance/chart.svg").write_text(chart(results))


def markdown(results: dict) -> str:
    body = [row for workload in results["workloads"] for row in rows(results, workload)]
    taken = latency(results, list(results["workloads"]))
    return _as_markdown([HEAD] + body, 2) + (f"\n{LATENCY}\n\n" + _as_markdown(taken, 2) if taken else "")


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
