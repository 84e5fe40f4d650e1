"""The inputs of the suite's simulators: independent and uniform over their valid ranges."""

import numpy as np

from problems import Batch, Field


class UniformInputs:
    """Draws each input from the uniform distribution over its valid range.

    A simulator inherits `draw` and declares its own fields.
    """

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n input conditions, arrays (n,) by name."""
        return {field.name: rng.uniform(*field.valid, n) for field in self.inputs}
