"""Rules about what the build knows: no file lies around that nothing compiles, includes or descends into."""
import posixpath
import re

from source_tree import SOURCE


def _cmake_words(tree, file):
    text = re.sub(r"#[^\n]*", "", tree.text(file) or "")
    return set(re.findall(r"[^\s()\"]+", text))


def every_source_is_listed_in_a_target(tree):
    """Each source and schema stands by name in the CMakeLists.txt of its folder, or of the nearest folder above that has one."""
    problems = []
    for file in tree.files:
        if not file.endswith(SOURCE + (".capnp",)):
            continue
        folder = posixpath.dirname(file)
        while folder and posixpath.join(folder, "CMakeLists.txt") not in tree.files:
            folder = posixpath.dirname(folder)
        listing = posixpath.join(folder, "CMakeLists.txt")
        name = posixpath.relpath(file, folder or ".")
        if listing not in tree.files or not any(w == name or w.endswith("/" + name) for w in _cmake_words(tree, listing)):
            problems.append(f"{file}: not listed in {listing}")
    return problems


def every_header_is_included_somewhere(tree):
    used = {path for file in tree.cpp_files for _, path, _ in tree.includes(file) if path != file}
    return [f"{h}: nothing includes it" for h in tree.headers if h not in used]


def every_build_folder_is_entered(tree):
    """Each CMakeLists.txt is reached by name from the one above it; examples that build outside the tree stand in deploy."""
    problems = []
    for file in tree.files:
        folder = posixpath.dirname(file)
        if posixpath.basename(file) != "CMakeLists.txt" or not folder or folder.startswith("deploy/"):
            continue
        above = posixpath.dirname(folder)
        while above and posixpath.join(above, "CMakeLists.txt") not in tree.files:
            above = posixpath.dirname(above)
        parent = posixpath.join(above, "CMakeLists.txt")
        if posixpath.relpath(folder, above or ".") not in _cmake_words(tree, parent):
            problems.append(f"{file}: {parent} does not enter this folder")
    return problems


RULES = [every_source_is_listed_in_a_target, every_header_is_included_somewhere, every_build_folder_is_entered]
