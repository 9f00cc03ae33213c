"""How many of many calls at once came out right."""

import sys


def tell(results):
    """Prints the count, and the first of those that are not True."""
    wrong = [result for result in results if result is not True]
    for result in wrong[:3]:
        print(repr(result), file=sys.stderr)
    print(f"{len(results) - len(wrong)} of {len(results)}")
