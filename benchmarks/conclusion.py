"""Write what the results say into benchmarks/README.md, between its two marks.

    python -m benchmarks.conclusion

Every number comes from a file of benchmarks/results, and so do the date and the machine.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks import gates
from benchmarks.report import folder, table

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- conclusion -->", "<!-- end of the conclusion -->"
GATED = ("ops", "layers", "scatter", "training", "memory", "loader")
TOLD = ("scaling", "accuracy", "edge_list", "loading")
FACTS = ("date", "cpu", "cores", "threads", "kernels", "torch", "torch_geometric", "dgl", "pandas")


def results() -> dict[str, dict[str, Any]]:
    """The records that there are, by suite."""
    files = {name: folder / f"{name}.json" for name in (*GATED, *TOLD)}
    return {name: json.loads(f.read_text()) for name, f in files.items() if f.is_file()}


def text(records: dict[str, dict[str, Any]]) -> str:
    parts = [section(name, record) for name, record in records.items()]
    missing = [name for name in (*GATED, *TOLD) if name not in records]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.")
    return "\n\n".join(parts)


def section(name: str, record: dict[str, Any]) -> str:
    facts = ", ".join(
        f"{fact} {record['stamp'][fact]}" for fact in FACTS if fact in record["stamp"]
    )
    source = f"[{name}.md](results/{name}.md), `{record['command']}`, {facts}."
    parts = [f"### {record['title']}", source]
    if name in GATED:
        lines = gates.by_peer(record["rows"])
        held = [line for line in lines if line["verdict"]]
        missed = [line for line in held if "MISSED" in line["verdict"]]
        small = gates.small_graphs(record["rows"])
        parts += [f"{len(held) - len(missed)} of {len(held)} gates met."] if held else []
        parts += [table(held or lines)]
        if small:
            met = sum("MISSED" not in line["verdict"] for line in small)
            parts += [f"On small graphs {met} of {len(small)} are never behind the fastest peer:"]
            parts += [table(small)]
    else:
        parts += ["\n".join(f"- {note}" for note in record["notes"])] if record["notes"] else []
        parts += [table(record["rows"])] if name != "scaling" else []
    return "\n\n".join(parts)


def main() -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n\n{text(results())}\n\n{END}{after}")


if __name__ == "__main__":
    main()
