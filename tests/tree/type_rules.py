"""Rules about types: two headers that define one name differently would be merged by the linker without a word."""
import re

from source_tree import strip_comments

_NAMESPACE = re.compile(r"^namespace\s*([\w:]*)\s*\{(.*)$")
_TYPE = re.compile(r"^(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(?:\[\[[^\]]*\]\]\s*)?(\w+)(?:\s+final)?\s*(?::(?!:)[^;]*)?$"
                   r"|^(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(?:\[\[[^\]]*\]\]\s*)?(\w+)(?:\s+final)?\s*(?::(?!:)[^;{]*)?\{")


def types_of(text):
    """Qualified names of the types that a file defines at namespace level, outside unnamed namespaces."""
    found, spaces = [], []
    for line in strip_comments(text).split("\n"):
        opened = _NAMESPACE.match(line)
        if opened:
            if "}" not in opened.group(2):
                spaces.append(opened.group(1))
        elif line.startswith("}") and spaces and not line.startswith("};"):
            spaces.pop()
        else:
            name = _TYPE.match(line)
            if name and spaces and "" not in spaces:
                found.append("::".join(spaces + [name.group(1) or name.group(2)]))
    return found


def a_type_is_defined_once(tree):
    """No two files define a type of one name in one namespace; a source's own types stand in its unnamed namespace."""
    places = {}
    for file in tree.cpp_files:
        if file.startswith("tests/") and not file.endswith(".hpp"):
            continue
        for name in types_of(tree.text(file) or ""):
            places.setdefault(name, set()).add(file)
    return [f"{name}: defined in {' and in '.join(sorted(files))}" for name, files in sorted(places.items()) if len(files) > 1]


RULES = [a_type_is_defined_once]
