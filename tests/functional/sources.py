"""Where vigie has its objects from in a test: a saved cluster, or a stub API server."""
import contextlib
from collections.abc import Iterator
from pathlib import Path

from cluster_objects import Object, write_snapshot


class Source:
    def __init__(self, option: str, release=None):
        self.option = option    # what stands in the `kubernetes` block
        self.release = release  # tells a held source to give its objects
        self.holds = release is not None


@contextlib.contextmanager
def snapshot(folder: Path, objects: list[Object], held: bool = False) -> Iterator[Source]:
    """A file is there from the beginning: it cannot be held back."""
    yield Source(f"snapshot {write_snapshot(folder / 'cluster.json', objects)}")


SOURCES = {"snapshot": snapshot}
