"""The files of a source tree, their text and what they include: what every rule of the tree looks at."""
import functools
import os
import pathlib
import re
import subprocess

SOURCE = (".cpp", ".cc", ".c", ".cu")
HEADER = (".hpp", ".h", ".cuh")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)


class source_tree:
    """`build` (a configured build folder) is needed by the rules that compile or look at targets; the others do without."""

    def __init__(self, root, build=None):
        self.root = pathlib.Path(root).resolve()
        self.build = pathlib.Path(build).resolve() if build else None

    @functools.cached_property
    def files(self):
        """Paths relative to the root, with '/', sorted: what git tracks or would track; without git, all but build folders."""
        if (self.root / ".git").exists():
            out = subprocess.run(["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                 check=True, capture_output=True).stdout.decode()
            found = [f for f in out.split("\0") if f and (self.root / f).is_file()]
        else:
            found = []
            for folder, folders, names in os.walk(self.root):
                folders[:] = [f for f in folders if f not in ("build", ".git", "__pycache__", "warp-data")]
                found += [str((pathlib.Path(folder) / n).relative_to(self.root)) for n in names]
        return sorted(set(found))

    @functools.cached_property
    def cpp_files(self):
        return [f for f in self.files if f.endswith(SOURCE + HEADER)]

    @functools.cached_property
    def headers(self):
        return [f for f in self.files if f.endswith(HEADER)]

    @functools.lru_cache(maxsize=None)
    def text(self, file):
        """Contents, or None for a file that is not text. What fuzzers start from is bytes, whatever they look like."""
        if file.startswith("tests/fuzz/corpus/"):
            return None
        data = (self.root / file).read_bytes()
        if b"\0" in data[:8192]:
            return None
        try:
            return data.decode()
        except UnicodeDecodeError:
            return None

    @functools.lru_cache(maxsize=None)
    def includes(self, file):
        """(quote, path, line) of each #include of a file; quote is '<' or '"'. Comments are left out."""
        text = strip_comments(self.text(file) or "")
        return [(m.group(1), m.group(2), text.count("\n", 0, m.start()) + 1) for m in INCLUDE.finditer(text)]

    def reached(self, file):
        """Every file of the tree that `file` includes, itself included, however far."""
        seen, todo = {file}, [file]
        while todo:
            for _, path, _ in self.includes(todo.pop()):
                if path not in seen and path in self._known:
                    seen.add(path)
                    todo.append(path)
        return seen

    @functools.cached_property
    def _known(self):
        return set(self.cpp_files)


def strip_comments(text):
    """C++ comments blanked out, line numbers and string literals kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: m.group(0) if m.group(0)[0] in "\"'R" else re.sub(r"[^\n]", " ", m.group(0)), text)
