"""Rules about #include: direction, foreign libraries, spelling, own header first, no circles."""
import posixpath

from layers import FOLDERS, SYSTEM, folder_of, foreign_of, may_name, may_reach


def includes_point_downwards(tree):
    """Each folder includes only folders below it, and nobody includes tests."""
    problems = []
    for file in tree.cpp_files:
        folder = folder_of(file)
        for _, path, line in tree.includes(file):
            if path.startswith("tests/") and not file.startswith("tests/"):
                problems.append(f"{file}:{line}: includes {path}: nobody but tests includes tests")
            target = folder_of(path) if "/" in path else None
            if folder and target and target not in FOLDERS[folder]:
                problems.append(f"{file}:{line}: {folder} may not include {target} ({path})")
    return problems


def foreign_libraries_stay_in_their_folders(tree):
    """A foreign library is named only by the folders that may know it, and reached through headers by no other."""
    problems = []
    for file in tree.cpp_files:
        folder = folder_of(file)
        if not folder:
            continue
        for quote, path, line in tree.includes(file):
            foreign = "Cap'n Proto" if path.endswith(".capnp.h") else foreign_of(path)
            if foreign == "CUDA" and not file.endswith((".cu", ".cuh")):
                problems.append(f"{file}:{line}: CUDA headers belong into .cu and .cuh files ({path})")
            elif foreign and not may_name(folder, foreign):
                problems.append(f"{file}:{line}: {folder} may not know {foreign} ({path})")
            elif quote == "<" and not foreign and "/" in path and not path.startswith(SYSTEM):
                problems.append(f"{file}:{line}: <{path}> belongs to no library in tests/tree/layers.py")
        for other in sorted(tree.reached(file) - {file}):
            for _, path, line in tree.includes(other):
                foreign = "Cap'n Proto" if path.endswith(".capnp.h") else foreign_of(path)
                standard = foreign in ("files", "threads")  # a clock or a lock inside another folder's class is no coupling
                if foreign and not standard and not may_reach(folder, foreign):
                    problems.append(f"{file}: reaches {foreign} through {other}:{line} ({path}), which {folder} may not know")
    return problems


def includes_are_spelled_from_the_root(tree):
    """Our headers stand in quotes with their path from the root and exist; all others stand in angle brackets."""
    problems = []
    schemas = {f + ".h" for f in tree.files if f.endswith(".capnp")}
    for file in tree.cpp_files:
        for quote, path, line in tree.includes(file):
            ours = path in tree.files or path in schemas
            if quote == '"' and not ours:
                problems.append(f'{file}:{line}: "{path}" is no file of the tree, seen from its root')
            if quote == "<" and ours and not file.startswith("deploy/"):
                problems.append(f"{file}:{line}: <{path}> is ours: quotes")
    return problems


def a_source_includes_its_own_header_first(tree):
    """x.cpp starts with x.hpp where there is one, and x_test.cpp with the header it tests, so that each header stands alone."""
    problems = []
    for file in tree.cpp_files:
        stem, extension = posixpath.splitext(file)
        own = stem + {".cpp": ".hpp", ".cu": ".cuh"}.get(extension, "")
        includes = tree.includes(file)
        if own != stem and own in tree.files and (not includes or includes[0][1] != own):
            problems.append(f'{file}:{includes[0][2] if includes else 1}: the first include should be "{own}"')
    return problems


def headers_include_each_other_in_no_circle(tree):
    problems, done = [], set()

    def visit(file, path):
        if file in path:
            circle = path[path.index(file):] + [file]
            problems.append("circle of includes: " + " -> ".join(circle))
        elif file not in done:
            for _, target, _ in tree.includes(file):
                if target in tree.headers:
                    visit(target, path + [file])
            done.add(file)

    for header in tree.headers:
        visit(header, [])
    return problems


RULES = [includes_point_downwards, foreign_libraries_stay_in_their_folders, includes_are_spelled_from_the_root,
         a_source_includes_its_own_header_first, headers_include_each_other_in_no_circle]
