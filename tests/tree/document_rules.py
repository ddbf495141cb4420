"""Rules about what README.md and the other pages say of the tree: files and tests that they name exist."""
import posixpath
import re

FILE = re.compile(r"`([\w./-]+\.(?:cpp|hpp|md|capnp|py|service|toml|reference|cmake|txt|bash|zst|cuh?))`")
FAULTS = re.compile(r"^## Faults and guarantees$(.*?)(?=^## |\Z)", re.M | re.S)


def files_that_pages_name_exist(tree):
    """A name in backquotes with a known ending is a file: from the root, beside the page, or by its last part anywhere."""
    names = {posixpath.basename(f) for f in tree.files}
    problems = []
    for page in (f for f in tree.files if f.endswith(".md")):
        for number, line in enumerate((tree.text(page) or "").split("\n"), 1):
            for name in FILE.findall(line):
                beside = posixpath.normpath(posixpath.join(posixpath.dirname(page), name))
                if name not in tree.files and beside not in tree.files and ("/" in name or name not in names):
                    problems.append(f"{page}:{number}: there is no {name}")
    return problems


def tests_that_the_readme_names_exist(tree):
    """Each quoted claim in the table of faults is the name of a test; Python's are written with blanks for underscores."""
    claims = set()
    for file in tree.files:
        if file.startswith("tests/") and file.endswith((".cpp", ".py")):
            text = tree.text(file) or ""
            for parts in re.findall(r'TEST_CASE(?:_METHOD\(\w+,|\()\s*((?:"(?:\\.|[^"\\])*"\s*)+)', text):
                claims.add("".join(re.findall(r'"((?:\\.|[^"\\])*)"', parts)))
            claims |= {name.replace("_", " ") for name in re.findall(r"def test_(\w+)", text)}
    table = FAULTS.search(tree.text("README.md") or "") if "README.md" in tree.files else None
    named = re.findall(r'"([^"\n]+)"', table.group(1)) if table else []
    return [f'README.md: no test is called "{name}"' for name in named if name not in claims]


def metrics_that_deploy_names_exist(tree):
    """Every warp_ name in the Prometheus files stands as a string in the code; histograms add their own endings."""
    code = "".join(tree.text(f) or "" for f in tree.cpp_files if not f.startswith("tests/"))
    defined = set(re.findall(r'"(warp_[a-z0-9_]+)"', code))
    problems = []
    for file in tree.files:
        if file.startswith("deploy/prometheus/"):
            for name in sorted(set(re.findall(r"\bwarp_[a-z0-9_]+", tree.text(file) or ""))):
                if name not in defined and re.sub(r"_(?:bucket|sum|count)$", "", name) not in defined:
                    problems.append(f"{file}: no code publishes {name}")
    return problems


RULES = [files_that_pages_name_exist, tests_that_the_readme_names_exist, metrics_that_deploy_names_exist]
