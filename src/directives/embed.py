#!/usr/bin/env python3
"""embed.py FILE NAME: writes C that holds a file's bytes as `const unsigned char NAME[]`, with NAME_length."""
import sys
from pathlib import Path

data = Path(sys.argv[1]).read_bytes()
name = sys.argv[2]
print(f"/* Made from {Path(sys.argv[1]).name}. */\n#include \"special_use.h\"\n\nconst unsigned char {name}[] = {{")
for at in range(0, len(data), 20):
    print("\t" + " ".join(f"{byte}," for byte in data[at:at + 20]))
print(f"}};\nconst size_t {name}_length = sizeof({name});")
