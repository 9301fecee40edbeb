"""What initviz costs, as ratios taken in one run: `python -m benchmarks` prints all the tables, `python -m benchmarks.NAME` one of them."""
