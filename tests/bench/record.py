"""Replaces one benchmark's section of RESULTS.md: record.py FILE NAME [OPTION...] < output.

A section stands between two comment lines that name its benchmark; a new name is added at the end, in place of nothing else."""
import datetime
import pathlib
import sys


def replace_section(text, name, body):
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{body.strip()}\n{end}\n"
    if begin in text and end in text:
        head, rest = text.split(begin, 1)
        return head + section.rstrip("\n") + rest.split(end, 1)[1]
    return text.rstrip("\n") + "\n\n" + section


def main():
    path, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    command = " ".join(["tests/bench/run", name, *sys.argv[3:], "--record"])
    output = sys.stdin.read().rstrip()
    hardware = "hardware not named"
    if output.startswith("hardware: "):
        first, _, output = output.partition("\n")
        hardware = first.removeprefix("hardware: ")
    body = f"## {name}\n\n{datetime.date.today()} · {hardware} · `{command}`\n\n```\n{output}\n```"
    text = path.read_text() if path.exists() else "# Results\n\nThe last figures of each benchmark.\n"
    path.write_text(replace_section(text, name, body))
    print(f"recorded in {path}")


main()
