"""What is fuzzed: how its inputs are made, and what must hold of them."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader of foreign bytes."""

    name: str
    make: Callable[[random.Random], list[bytes]]
    """One try: some inputs that are read together."""
    check: Callable[[list[bytes]], None]
    """Raises, where what is promised does not hold."""

    def run(self, seed):
        """One try; what it raises tells the seed and the inputs."""
        self._try(self.make(random.Random(f"{self.name} {seed}")), f"seed {seed}")

    def run_file(self, path):
        """A try of one crafted input."""
        self._try([path.read_bytes()], path.name)

    def _try(self, inputs, which):
        try:
            self.check(inputs)
        except BaseException as fault:
            fault.add_note(f"target {self.name}, {which}, inputs: {[one.hex() for one in inputs]}")
            raise
