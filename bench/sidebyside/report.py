"""Tables and JSON from the measured runs."""

import dataclasses
import statistics

from .load import SHAPES, TITLES

BASES = ("nginx", "floor")


@dataclasses.dataclass
class Cell:
    """One row in one set: its runs by round."""

    runs: list

    @property
    def cpu_us(self):
        return statistics.median(run.cpu_us for run in self.runs)

    @property
    def spread(self):
        """Half the distance between the best and the worst round, of the median."""
        values = [run.cpu_us for run in self.runs]
        return (max(values) - min(values)) / 2 / self.cpu_us

    @property
    def requests_per_second(self):
        return statistics.median(run.requests_per_second for run in self.runs)

    def ratio(self, base):
        """Median of the rounds' own ratios: a host that slows down for a round slows both."""
        return statistics.median(own.cpu_us / other.cpu_us for own, other in zip(self.runs, base.runs))


def sets(results):
    """results[(size, protocol)][row] = [Run, …] → the same with cells."""
    return {key: {name: Cell(runs) for name, runs in rows.items() if runs} for key, rows in results.items()}


def bases(cells):
    return [name for name in BASES if name in cells]


def title(size, protocol):
    return f"{TITLES[protocol]}, body of {size:,} bytes"


def lines_of(cells, checks):
    """Heading and rows, as text."""
    found = bases(cells)
    yield ["row", "check", "CPU µs/request", "± %", *(f"× {base}" for base in found), "requests/s"]
    for name, cell in cells.items():
        ratios = [f"{cell.ratio(cells[base]):.2f}" for base in found]
        yield [name, checks[name] or "none", f"{cell.cpu_us:.2f}", f"{cell.spread * 100:.0f}", *ratios,
               f"{cell.requests_per_second:,.0f}"]


def plain(results, checks):
    parts = []
    for (size, protocol), cells in sets(results).items():
        if not cells:
            continue
        lines = list(lines_of(cells, checks))
        widths = [max(map(len, column)) for column in zip(*lines)]
        parts.append(title(size, protocol))
        parts += ["  ".join(text.ljust(width) if at < 2 else text.rjust(width)
                            for at, (text, width) in enumerate(zip(line, widths))) for line in lines]
        parts.append("")
    return "\n".join(parts)


def markdown(results, checks):
    parts = []
    for (size, protocol), cells in sets(results).items():
        if not cells:
            continue
        head, *body = lines_of(cells, checks)
        parts += [f"{title(size, protocol)}:", ""]
        parts.append("| " + " | ".join(head) + " |")
        parts.append("| --- | --- |" + " ---: |" * (len(head) - 2))
        parts += ["| " + " | ".join(line) + " |" for line in body]
        parts.append("")
    return "\n".join(parts)


def machine_readable(results, rows, settings, skipped, versions):
    found = []
    for (size, protocol), cells in sets(results).items():
        for name, cell in cells.items():
            found.append({
                "row": name, "check": rows[name].checks, "protocol": protocol, "body_bytes": size,
                "connections": SHAPES[protocol][1], "streams": SHAPES[protocol][2],
                "cpu_us_per_request": round(cell.cpu_us, 3), "spread": round(cell.spread, 4),
                "requests_per_second": round(cell.requests_per_second, 1),
                "ratio": {base: round(cell.ratio(cells[base]), 4) for base in bases(cells)},
                "runs": [{key: round(value, 4) for key, value in dataclasses.asdict(run).items()}
                         for run in cell.runs],
            })
    return {"settings": settings, "versions": versions, "skipped": skipped, "results": found}


def noise(results):
    """How much of the proxy's core went to somebody else, at the worst and in the middle; None without runs."""
    shares = [run.others_share for rows in results.values() for runs in rows.values() for run in runs]
    return (statistics.median(shares), max(shares)) if shares else None
