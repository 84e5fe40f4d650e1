"""What networks may draw, and what each encoding makes of it."""

import numpy as np
import pytest

from problems import Size, load_problem
from problems.cases.events.simulation import LeadingOrderEvents
from problems.cases.events.validation import EventScore
from problems.interfaces.types import Split

EVENTS = 500
PROBLEM = load_problem("events", Size.TINY)
SIMULATION = LeadingOrderEvents()


@pytest.mark.parametrize("name", PROBLEM.encodings)
def test_only_four_vectors_leave_the_mass_shell(name: str) -> None:
    rng = np.random.default_rng(0)
    inputs = SIMULATION.draw(EVENTS, rng)
    reference = SIMULATION.run(inputs, rng)
    encoding = PROBLEM.encodings[name].fit(Split(inputs, reference))
    outputs = encoding.pairs(Split(inputs, reference)).targets.shape[1]
    drawn = encoding.apply(lambda _: 20.0 * rng.standard_normal((EVENTS, outputs)), inputs, rng)
    assert np.isfinite(drawn["leptons"]).all()
    unphysical = EventScore()(drawn, reference, inputs)["unphysical"]
    assert unphysical == (name == "fourvector")
