"""Rules that need a configured build: headers compile alone, libraries link what they may, the layout is clang-format's."""
import concurrent.futures
import hashlib
import json
import os
import posixpath
import re
import shlex
import shutil
import subprocess

from layers import FOLDERS, FOREIGN, folder_of, may_reach
from source_tree import HEADER, SOURCE


class skipped(Exception):
    """A rule can't be judged here; the message says why."""


def _flags_by_folder(tree):
    """Compiler and flags for each folder, as the build compiles its sources."""
    commands = json.loads((tree.build / "compile_commands.json").read_text())
    flags = {}
    for command in commands:
        words = command.get("arguments") or shlex.split(command["command"])
        file = os.path.relpath(os.path.join(command["directory"], command["file"]), tree.root)
        if file.endswith(".cu"): # for another compiler; the headers of such sources stand alone for this one
            continue
        launchers = [i for i, word in enumerate(words) if os.path.basename(word) == "ccache"]
        words = words[launchers[-1] + 1:] if launchers else words
        kept, skip = [words[0]], False
        for word, following in zip(words[1:], words[2:] + [""]):
            if skip:
                skip = False
            elif word in ("-o", "-MF", "-MT", "-MQ"):
                skip = True
            elif word == "-include": # a precompiled header would hide what a header forgot to include
                skip = True
            elif word in ("-I", "-isystem", "-D"):
                kept += [word, following]
                skip = True
            elif word.startswith(("-I", "-D", "-std", "-m", "-W", "-f")) and not word.startswith(("-fsanitize", "-Winvalid-pch", "-fpch")):
                kept.append(word)
        folder = flags.setdefault(posixpath.dirname(file), kept)
        # Sources of one folder may belong to several libraries: a header may need the search paths of any of them.
        for at, word in enumerate(kept):
            if word.startswith("-I") and word not in folder:
                folder.append(word)
            elif word == "-isystem" and kept[at + 1] not in folder:
                folder += [word, kept[at + 1]]
    return flags


def every_header_compiles_alone(tree):
    """Each header, as the only include of a source, passes the compiler without a warning. Verdicts are kept by content."""
    by_folder = _flags_by_folder(tree)
    any_flags = by_folder.get("cluster") or by_folder.get("actors") or next(iter(by_folder.values()))
    cache_file = tree.build / "headers_alone.json"
    cache = json.loads(cache_file.read_text()) if cache_file.exists() else {}
    compiler = subprocess.run([any_flags[0], "--version"], capture_output=True, check=True).stdout

    def flags_of(header):
        folder = posixpath.dirname(header)
        while folder and folder not in by_folder:
            folder = posixpath.dirname(folder)
        return by_folder.get(folder, any_flags)

    def key_of(header):
        digest = hashlib.sha256(compiler + "\0".join(flags_of(header)).encode())
        for file in sorted(tree.reached(header)):
            digest.update(file.encode() + b"\0" + (tree.root / file).read_bytes())
            for _, path, _ in tree.includes(file):
                generated = tree.build / path
                if path.endswith(".capnp.h") and generated.exists():
                    digest.update(generated.read_bytes())
        return digest.hexdigest()

    def check(header):
        key = key_of(header)
        if cache.get(header) == key:
            return header, key, ""
        done = subprocess.run(flags_of(header) + ["-Werror", "-fsyntax-only", "-x", "c++", "-"], cwd=tree.root, text=True,
                              input=f'#include "{header}"\n', capture_output=True)
        return header, key, done.stderr if done.returncode else ""

    problems, good = [], {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, key, errors in pool.map(check, tree.headers):
            if errors:
                problems.append(f"{header}: does not compile alone:\n{errors}")
            else:
                good[header] = key
    cache_file.write_text(json.dumps(good, indent=0))
    return problems


def libraries_link_what_their_folder_may(tree):
    """The link interface of each library repeats the table of layers. libraries.txt: name|folder|linked;linked;... a line."""
    libraries = {}
    for line in (tree.build / "libraries.txt").read_text().splitlines():
        name, source, linked = line.split("|")
        folder = os.path.relpath(source, tree.root)
        libraries[name] = (folder_of(folder + "/"), [x for x in linked.split(";") if x])
    problems = []
    for name, (folder, linked) in libraries.items():
        for other in linked:
            other = re.sub(r"^\$<LINK_ONLY:(.*)>$", r"\1", other).removeprefix("warpengine::")
            if other in libraries:
                if folder and libraries[other][0] not in FOLDERS[folder]:
                    problems.append(f"{name} ({folder}) may not link {other} ({libraries[other][0]})")
            elif "::" in other:
                known = [f for f, (_, targets, _, _) in FOREIGN.items() if other.startswith(targets or ("\0",))]
                if not known:
                    problems.append(f"{name}: {other} belongs to no library in tests/tree/layers.py")
                elif folder and not may_reach(folder, known[0]):
                    problems.append(f"{name} ({folder}) may not link {other}")
    return problems


def the_layout_is_clang_formats(tree):
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    version = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout if tool else ""
    if not re.search(r"version 14\.", version):
        raise skipped("clang-format 14 is not installed: the layout was not checked")
    files = [f for f in tree.files if f.endswith(SOURCE + HEADER)]
    if not files:
        return []
    done = subprocess.run([tool, "--dry-run", "-Werror", "--style=file"] + files, cwd=tree.root, text=True, capture_output=True)
    wrong = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", done.stderr, re.M)))
    return [f"{f}: run clang-format -i on it" for f in wrong] + ([done.stderr] if done.returncode and not wrong else [])


RULES = [every_header_compiles_alone, libraries_link_what_their_folder_may, the_layout_is_clang_formats]
