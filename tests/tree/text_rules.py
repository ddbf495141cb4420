"""Rules about the text of files: leftovers, notes, addresses, names and white space."""
import posixpath
import re

from source_tree import HEADER, SOURCE, strip_comments

TODO_KINDS = "now|soon|someday|perf|cleanup|test|security"
# Split, so that this file does not break its own rule.
LEFTOVERS = {
    r"\b(?:FIX" r"ME|XX" r"X|HA" r"CK|DEB" r"UG ME|REMO" r"VE ME|DO NOT SUB" r"MIT)\b": "a leftover mark",
    r"^(?:<{7}|>{7}|={7}$)": "a merge conflict mark",
    r"^\s*#\s*if\s+0\b": "code that is switched off: remove it, git remembers",
    r"\b(?:CHECK|REQUIRE|EXPECT)\((?:true|1)\)": "a check that can't fail",
}
# What may be linked to. Anything else in an address is a service the project would depend on, or a place only its author knows.
HOSTS = {"localhost", "127.0.0.1", "[::1]", "0.0.0.0", "example.com", "example.org", "www.apache.org", "creativecommons.org",
         "www.geonames.org", "geonames.org", "download.geonames.org", "www.w3.org", "github.com", "capnproto.org",
         "prometheus.io", "grafana.com", "redis.io", "www.kernel.org"}
# Folders of the file system that are the same on every machine.
COMMON_ROOTS = {"bin", "boot", "dev", "etc", "lib", "lib64", "media", "mnt", "opt", "proc", "run", "sbin", "srv", "sys", "tmp",
                "usr", "var"}


def _lines(tree):
    for file in tree.files:
        text = tree.text(file)
        if text is not None:
            for number, line in enumerate(text.split("\n"), 1):
                yield file, number, line


def no_leftovers_remain(tree):
    problems = []
    for file, number, line in _lines(tree):
        if file.endswith(".md"):
            continue
        for pattern, meaning in LEFTOVERS.items():
            if re.search(pattern, line):
                problems.append(f"{file}:{number}: {meaning}: {line.strip()[:80]}")
    return problems


def libraries_do_not_print(tree):
    """What lies below the programs returns what happened, or logs it."""
    pattern = re.compile(r"std::c(?:out|err|log)\b|(?<![\w:])(?:std::)?(?:printf|puts|perror)\s*\(|\bfmt::print\b|fprintf\(stderr")
    problems = []
    for file in tree.cpp_files:
        if file.startswith(("messages/", "physics/", "gpu/", "storage/", "actors/")):
            for number, line in enumerate(strip_comments(tree.text(file) or "").split("\n"), 1):
                if pattern.search(line):
                    problems.append(f"{file}:{number}: a library prints: {line.strip()[:80]}")
    return problems


def notes_have_a_kind(tree):
    """A note of something left to do says of what kind it is (TODO_KINDS) and then what, in a sentence."""
    note = re.compile(r"\bTO" r"DO\b(?!\((?:" + TODO_KINDS + r")\): \S)")
    return [f"{f}:{n}: write TO" f"DO(kind): sentence: {line.strip()[:80]}" for f, n, line in _lines(tree)
            if note.search(line) and f.endswith(SOURCE + HEADER + (".py", ".cmake", ".capnp", ".bash"))]


def addresses_are_known(tree):
    """Only well-known hosts stand in the tree: no registry, no mirror, no service."""
    address = re.compile(r"\b(?:https?|ftp|git|ssh)://(?:[^@/\s]+@)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)")
    problems = []
    for file, number, line in _lines(tree):
        for host in address.findall(line):
            if host.rstrip(".") not in HOSTS and "." in host:
                problems.append(f"{file}:{number}: the address {host} is not in the list of tests/tree/text_rules.py")
    return problems


def no_path_of_one_machine_stands_in_the_tree(tree):
    """Neither where this checkout lies, nor somebody's home."""
    places = [r"/home/[a-z]\w*/", r"(?<![\w.}$])/root/", re.escape(str(tree.root)) + r"\b"]
    top = tree.root.parts[1] if len(tree.root.parts) > 1 else ""
    if top and top not in COMMON_ROOTS | {"home", "root"}:
        places.append(r"(?<![\w.}$)*])/" + re.escape(top) + "/")
    pattern = re.compile("|".join(places))
    return [f"{f}:{n}: a path of one machine: {line.strip()[:80]}" for f, n, line in _lines(tree)
            if pattern.search(line) and not f.startswith("tests/tree/")]


def names_say_one_idea(tree):
    """File names are snake_case and name a thing, not a drawer; a file too long for one idea is looked at again."""
    problems = []
    for file in tree.cpp_files:
        stem = posixpath.basename(file).split(".")[0]
        if not re.fullmatch(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", stem):
            problems.append(f"{file}: file names are snake_case")
        if stem in ("util", "utils", "helper", "helpers", "misc", "common", "stuff"):
            problems.append(f"{file}: '{stem}' names no idea: call the file after the thing in it")
        lines = (tree.text(file) or "").count("\n")
        if lines > 1000:
            problems.append(f"{file}: {lines} lines: look for the second idea")
        if file.startswith("tests/") and stem.endswith("_tests"):
            problems.append(f"{file}: tests are called <file>_test")
    return problems


def headers_start_with_pragma_once(tree):
    return [f"{h}: no #pragma once" for h in tree.headers if not re.search(r"^#pragma once$", tree.text(h) or "", re.M)]


def white_space_is_clean(tree):
    problems = []
    for file in tree.files:
        text = tree.text(file)
        if not text or file == "LICENSE":
            continue
        if "\r" in text:
            problems.append(f"{file}: carriage returns")
        if not text.endswith("\n") or text.endswith("\n\n"):
            problems.append(f"{file}: should end with one newline")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip() or "\t" in line and file.endswith(SOURCE + HEADER + (".py", ".cmake", ".txt")):
                problems.append(f"{file}:{number}: trailing blank or tab")
    return problems


RULES = [no_leftovers_remain, libraries_do_not_print, notes_have_a_kind, addresses_are_known,
         no_path_of_one_machine_stands_in_the_tree, names_say_one_idea, headers_start_with_pragma_once, white_space_is_clean]
