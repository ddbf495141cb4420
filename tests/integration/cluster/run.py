"""Runs scenarios of scenarios.py against real clusters: run.py [--suite | --long] [--only WORDS] [--list] [--minutes M] [--seed S]"""
import argparse
import inspect
import signal
import sys
import time

import harness
import scenarios


def end(number, frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(prog="tests/run cluster", description="etcd, nodes and clients as they are, and what goes wrong; every acknowledged "
                                     "write is read back, and all answers are judged for linearizability")
    parser.add_argument("--suite", action="store_true", help="the short share that every run of the tests has")
    parser.add_argument("--long", action="store_true", help="those that take minutes, too")
    parser.add_argument("--minutes", type=float, help="of each of those (default 2, 3 and 10)")
    parser.add_argument("--seed", type=int, help="of those")
    parser.add_argument("--only", metavar="WORDS", help="scenarios with these words in their name")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, end)
    chosen = [s for s in scenarios.SCENARIOS if (s.suite if given.suite else given.long or given.only or not s.long)]
    if given.only:
        chosen = [s for s in chosen if given.only.replace(" ", "_") in s.__name__]
    if given.list:
        for s in chosen:
            print(f"{s.__name__.replace('_', ' '):40} {s.__doc__.splitlines()[0]}")
        return 0
    if not chosen:
        print(f"no scenario has '{given.only}' in its name", file=sys.stderr)
        return 2
    why = None if given.suite and not any(s.net.__name__ == "Namespaces" for s in chosen) else harness.enter()
    began, failed, skipped = time.monotonic(), [], []
    for s in chosen:
        name = s.__name__.replace("_", " ")
        if why and s.net is harness.Namespaces:
            skipped.append(name)
            print(f"skip  {name}: no network namespaces here: {why}", flush=True)
            continue
        takes, options = inspect.signature(s).parameters, {}
        if "seconds" in takes and given.minutes:
            options["seconds"] = given.minutes * 60
        if "seed" in takes and given.seed is not None:
            options["seed"] = given.seed
        at = time.monotonic()
        try:
            said = s(**options)
            print(f"  ok  {name} ({time.monotonic() - at:.1f} s): {said}", flush=True)
        except harness.Skipped as reason:
            skipped.append(name)
            print(f"skip  {name}: {reason}", flush=True)
        except Exception as problem:
            failed.append(name)
            print(f"FAIL  {name} ({time.monotonic() - at:.1f} s): {type(problem).__name__}: {problem}", flush=True)
    print(f"{len(chosen) - len(failed) - len(skipped)} scenarios passed, {len(failed)} failed, {len(skipped)} skipped, in "
          f"{time.monotonic() - began:.0f} s" + "".join(f"\n  failed: {name}" for name in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
