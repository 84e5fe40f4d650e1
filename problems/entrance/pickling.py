"""Pickles for our own processes, also of functions that are defined inside functions."""

import pickle

import cloudpickle


def dumps(value: object) -> bytes:
    """Return a pickle of a value.

    Functions and classes are pickled by name, and by their code where no module has them: the fit
    of a baseline often returns a function that it defines.

    Raises:
        TypeError: The value holds something that can't be pickled, such as a lock.
        pickle.PicklingError: As above.
    """
    try:
        return pickle.dumps(value, protocol=5)
    except (pickle.PickleError, AttributeError, TypeError):
        return cloudpickle.dumps(value, protocol=5)
