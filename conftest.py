"""For notebooks and tests alike: outputs are compared by words and numbers."""

import nbval_numbers


def pytest_configure():
    nbval_numbers.install()
