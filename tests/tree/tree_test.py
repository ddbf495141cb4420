"""The test of the tree itself: tree_test.py ROOT BUILD [RULE...]; all rules without names, --list prints them.

Exit code 0: the rules hold; 1: the problems are printed; 77: a rule can't be judged on this machine."""
import sys

import build_rules
import document_rules
import include_rules
import listing_rules
import text_rules
import type_rules
from source_tree import source_tree

RULES = {rule.__name__: rule for module in (include_rules, listing_rules, text_rules, type_rules, document_rules, build_rules) for rule in module.RULES}


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(RULES))
        return 0
    tree = source_tree(arguments[0], arguments[1])
    worst = 0
    for name in arguments[2:] or RULES:
        try:
            problems = RULES[name](tree)
        except build_rules.skipped as why:
            print(f"{name}: skipped: {why}")
            worst = worst or 77
            continue
        for problem in problems:
            print(f"{name}: {problem}")
        if problems:
            worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
