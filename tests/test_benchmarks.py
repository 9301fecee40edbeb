"""What the benchmarks share: tables, targets, interleaved rounds, the part of the README that quotes them. (No test is timed.)"""

import pytest

from benchmarks.__main__ import quoted
from benchmarks.common import Table, interleaved, median_ratio, verdict

HEADS = ("way", "ms", "of bare", "target", "")
PEERS = Table("Ways (depth 50)", HEADS, (("ours", "9", "1.0x", "-", "-"),))
ROWS = (("bare", "8", "1.00x", "-", "-"), ("all", "20", "2.50x", "<= 1.50x", "MISSED"))
COST = Table("Cost (depth 50)", HEADS, ROWS)


def test_tables_line_up_and_are_markdown():
    lines = COST.text().splitlines()
    assert lines[0] == COST.title
    assert lines[2:] == [
        "way   ms  of bare    target",
        "---------------------------",
        "bare   8    1.00x         -       -",
        "all   20    2.50x  <= 1.50x  MISSED",
    ]
    assert "| all | 20 | 2.50x | <= 1.50x | MISSED |\n" in COST.text(markdown=True)


def test_a_target_is_met_or_missed():
    assert [verdict(1, 1), verdict(1.1, 1), verdict(60, 60, at_least=True), verdict(59, 60, at_least=True)] == [
        "met",
        "MISSED",
    ] * 2


def test_rounds_take_turns_and_ratios_pair_within_a_round():
    order: list[str] = []
    times = interleaved({name: lambda name=name: order.append(name) for name in "abc"}, repeats=2, warm_up=1)
    assert "".join(order) == "abc" + "abc" + "cba"
    assert {name: len(some) for name, some in times.items()} == {"a": 2, "b": 2, "c": 2}
    assert median_ratio({"x": [2.0, 40.0, 9.0], "y": [1.0, 10.0, 3.0]}, "x", "y") == 3


def test_the_readme_quotes_ways_and_targets_between_its_marks():
    readme = "before\n<!-- benchmarks -->\nold\n<!-- end of benchmarks -->\nafter\n"
    new = quoted(readme, {"probe_cost": [COST], "peers": [PEERS]})
    assert new.startswith("before\n<!-- benchmarks -->\nMeasured on ") and new.endswith(
        "\n<!-- end of benchmarks -->\nafter\n"
    )
    assert "| ours | 9 | 1.0x | - | - |" in new and "old" not in new
    assert "| Cost: all | 2.50x | <= 1.50x | MISSED |" in new and "| Cost: bare |" not in new
    elsewhere = new.replace("<!-- end", "\nMeasured on another machine.\n\nits tables\n<!-- end")
    again = quoted(elsewhere, {"probe_cost": [COST], "peers": [PEERS]})
    assert again.count("| ours | 9 |") == 1 and again.count("its tables") == 1
    assert quoted(again, {"probe_cost": [COST], "peers": [PEERS]}) == again
    with pytest.raises(ValueError, match="its two marks"):
        quoted("nothing", {"peers": []})
