"""Principal components of the targets, for models that are fitted to one output at a time."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from problems.baselines.library import scikit_learn
from problems.interfaces.types import Array

FEW_OUTPUTS = 4
"""So many outputs, or fewer, are predicted as they are."""

MAX_COMPONENTS = 32

LEFT_OUT_SHARE = 1e-6
"""Share of the variance that may be left out: a thousandth of the deviation."""


@dataclass(frozen=True)
class PrincipalComponents:
    """The leading principal components of targets (n, o), as an affine map to k scores and back.

    Source: Jolliffe, Principal Component Analysis (2002).

    Args:
        centre: Mean of the targets (o,).
        axes: Components (k, o) with unit length.
        kept: Share of the variance that they keep.
    """

    centre: Array
    axes: Array
    kept: float

    @classmethod
    def of(cls, targets: Array) -> Self:
        """Return the components that keep all but `LEFT_OUT_SHARE` of the variance (n, o).

        Raises:
            UserError: scikit-learn is not installed.
        """
        n, outputs = targets.shape
        centre = targets.mean(axis=0)
        total = float(np.sum((targets - centre) ** 2))
        if outputs <= FEW_OUTPUTS or n < 2 or total == 0.0:
            return cls(centre, np.eye(outputs), 1.0)
        pca = scikit_learn("decomposition").PCA(
            min(MAX_COMPONENTS, n - 1, outputs), svd_solver="auto", random_state=0
        )
        scores = pca.fit_transform(targets)
        kept = np.cumsum(np.sum(scores**2, axis=0)) / total
        count = int(np.searchsorted(kept, 1.0 - LEFT_OUT_SHARE)) + 1
        return cls(centre, pca.components_[:count], min(1.0, float(kept[:count][-1])))

    @property
    def note(self) -> str:
        """The number of components and the variance kept, in words; "" if all outputs are kept."""
        count, outputs = self.axes.shape
        if count == outputs:
            return ""
        left_out = max(1.0 - self.kept, 0.0)
        return (
            f"{count} principal components for {outputs:,} outputs, "
            f"which leave out {left_out:.1g} of the variance"
        )

    def scores(self, targets: Array) -> Array:
        """Return the scores (n, k) of targets (n, o)."""
        return (targets - self.centre) @ self.axes.T

    def restored(self, scores: Array) -> Array:
        """Return the targets (n, o) with these scores (n, k)."""
        return scores @ self.axes + self.centre
