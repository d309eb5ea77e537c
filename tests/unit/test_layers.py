#!/usr/bin/env python3
"""The layers: a module includes headers of modules below it and its own, nothing else; and each public header compiles
alone. Run by meson, or by hand: tests/unit/test_layers.py."""
import os
import re
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

# From the bottom up. Modules of one row do not include each other. (docs/design.md, section 6)
LAYERS = [
    ["base"],
    ["wire"],
    ["records", "zones", "cache", "config"],
    ["kube", "forward", "ops", "tls", "acme"],
    ["directives"],
    ["server"],
    ["commands"],
    ["main"],
]
RANK = {module: rank for rank, row in enumerate(LAYERS) for module in row}

# Which module each public header belongs to.
HEADERS = {
    "base": "arena buffer bytes clock curl_loop file_stamp hash host_port keep log new_file random state_file status thread yaml",
    "wire": "answer name name_table query record reply text",
    "records": "cluster records records_walk",
    "zones": "axfr catalog zone",
    "cache": "cache",
    "config": "corefile",
    "kube": "kube",
    "forward": "forward",
    "tls": "tls",
    "acme": "acme",
    "ops": "control http metrics process_metrics",
    "directives": "directive request trace",
    "server": "server",
}
MODULE_OF_HEADER = {f"vigie/{name}.h": module for module, names in HEADERS.items() for name in names.split()}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def module_of(path: Path, top: Path) -> str | None:
    """The module of a source file or public header; None when the tables above do not know it."""
    parts = path.relative_to(top).parts
    if parts[0] == "include":
        return MODULE_OF_HEADER.get("/".join(parts[1:]))
    name = parts[1] if len(parts) > 2 else "main"
    return name if name in RANK else None


def sources(top: Path) -> list[Path]:
    return sorted(path for root in ("include", "src") for path in (top / root).rglob("*.[ch]"))


def faults(top: Path) -> list[str]:
    """What breaks the layers in a tree, as "FILE:LINE: sentence"."""
    found = []
    for path in sources(top):
        where = path.relative_to(top)
        module = module_of(path, top)
        if module is None:
            found.append(f"{where}:1: belongs to no module that tests/unit/test_layers.py knows")
            continue
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            place = f"{where}:{text.count(chr(10), 0, match.start(2)) + 1}"
            quoted, name = match[1] == '"', match[2]
            if name.startswith("vigie/"):
                target = MODULE_OF_HEADER.get(name)
            elif quoted:
                # what protoc-c writes stands for what it was made of
                origin = name.replace(".pb-c.h", ".proto")
                private = next((base / origin for base in (path.parent, top / "src", top / "include")
                                if (base / origin).is_file()), None)
                target = module_of(private.resolve(), top.resolve()) if private else None
            else:
                continue
            if target is None:
                found.append(f"{place}: {name} belongs to no module")
            elif target != module and RANK[target] >= RANK[module]:
                found.append(f"{place}: {module} must not include {name}, which belongs to {target}")
    return found


class Layers(unittest.TestCase):
    def test_includes_go_downwards(self):
        self.assertGreater(len(sources(TOP)), 20)
        self.assertEqual(faults(TOP), [])

    def test_each_public_header_compiles_alone(self):
        compiler = shlex.split(os.environ.get("CC", "cc"))
        flags = subprocess.run(["pkg-config", "--cflags", "libuv"], check=True, capture_output=True, text=True)
        for header in sorted((TOP / "include" / "vigie").glob("*.h")):
            with self.subTest(header.name), tempfile.TemporaryDirectory() as folder:
                unit = Path(folder) / "unit.c"
                unit.write_text(f'#include "vigie/{header.name}"\n#include "vigie/{header.name}"\nint main(void);\n')
                run = subprocess.run([*compiler, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                                      "-Wno-unused-parameter", "-fsyntax-only", f"-I{TOP / 'include'}",
                                      *shlex.split(flags.stdout), unit], capture_output=True, text=True)
                self.assertEqual(run.returncode, 0, run.stderr)


class TheTestItself(unittest.TestCase):
    """Bad examples must be found."""

    def tree(self, **files: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder)
            for name, text in files.items():
                path = top / name.replace("__", "/").replace("_h", ".h").replace("_c", ".c")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return faults(top)

    def test_downward_and_own_headers_are_fine(self):
        self.assertEqual(self.tree(src__kube__api_c='#include <uv.h>\n#include "vigie/kube.h"\n#include "part.h"\n'
                                                    '#include "vigie/records.h"\n',
                                   src__kube__part_h="#pragma once\n"), [])

    def test_upward(self):
        self.assertEqual(self.tree(src__wire__name_c='\n#include "vigie/records.h"\n'),
                         ["src/wire/name.c:2: wire must not include vigie/records.h, which belongs to records"])

    def test_same_rank(self):
        self.assertEqual(self.tree(src__kube__api_c='#include "vigie/forward.h"\n'),
                         ["src/kube/api.c:1: kube must not include vigie/forward.h, which belongs to forward"])

    def test_private_header_of_a_module_above(self):
        self.assertEqual(self.tree(src__base__log_c='#  include "../server/worker.h"\n', src__server__worker_h=""),
                         ["src/base/log.c:1: base must not include ../server/worker.h, which belongs to server"])

    def test_public_header_upward(self):
        self.assertEqual(self.tree(include__vigie__name_h='#include "vigie/answer.h"\n#include "vigie/forward.h"\n'),
                         ["include/vigie/name.h:2: wire must not include vigie/forward.h, which belongs to forward"])

    def test_unknown_header_and_module(self):
        self.assertEqual(self.tree(src__kube__api_c='#include "vigie/nothing.h"\n'),
                         ["src/kube/api.c:1: vigie/nothing.h belongs to no module"])
        self.assertEqual(self.tree(src__stray__api_c=""),
                         ["src/stray/api.c:1: belongs to no module that tests/unit/test_layers.py knows"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
