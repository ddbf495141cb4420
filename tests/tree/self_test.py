"""Each rule of the tree can fail, and passes on a tree that follows it. Fixture trees are a few files in a temporary folder."""
import json
import pathlib
import shutil
import tempfile
import unittest

import build_rules
import document_rules
import include_rules
import listing_rules
import text_rules
import type_rules
from source_tree import source_tree

GOOD = {
    "CMakeLists.txt": "add_subdirectory(storage)\n",
    ".clang-format": "BasedOnStyle: LLVM\n",
    "storage/CMakeLists.txt": "add_library(storage shard.cpp)\n",
    "storage/shard.hpp": "#pragma once\n\n#include <vector>\n\nstd::vector<int> slots();\n",
    "storage/shard.cpp": '#include "storage/shard.hpp"\n\n#include <zstd.h>\n\nstd::vector<int> slots() { return {}; }\n',
}
WORK = "TO" "DO"

# rule: what to change in the good tree so that it fails, and a word of the complaint.
BAD = {
    include_rules.includes_point_downwards: [
        ({"storage/up.cpp": '#include "actors/universe.hpp"\n'}, "may not include actors"),
        ({"cluster/server.cpp": '#include "cluster/programs/warpd.hpp"\n'}, "may not include cluster/programs"),
        ({"cluster/replication/log.cpp": '#include "cluster/client.hpp"\n'}, "may not include cluster"),
        ({"storage/up.cpp": '#include "tests/support/clock.hpp"\n'}, "nobody but tests")],
    include_rules.foreign_libraries_stay_in_their_folders: [
        ({"storage/shard.cpp": "#include <caf/all.hpp>\n"}, "may not know CAF"),
        ({"physics/mass.cpp": "#include <mutex>\n"}, "may not know threads"),
        ({"cluster/replication/log.cpp": "#include <caf/all.hpp>\n"}, "may not know CAF"),
        ({"cluster/replication/log.cpp": "#include <fstream>\n"}, "may not know files"),
        ({"actors/log.cpp": "#include <sys/socket.h>\n"}, "may not know sockets"),
        ({"messages/conversion.hpp": "#include <capnp/message.h>\n", "storage/shard.hpp": '#include "messages/conversion.hpp"\n'},
         "reaches Cap'n Proto"),
        ({"gpu/mass.hpp": "#include <cuda_runtime.h>\n"}, "CUDA headers belong"),
        ({"storage/shard.cpp": "#include <absl/hash.h>\n"}, "belongs to no library")],
    include_rules.includes_are_spelled_from_the_root: [
        ({"storage/shard.cpp": '#include "shard.hpp"\n'}, "no file of the tree"),
        ({"storage/shard.cpp": "#include <storage/shard.hpp>\n"}, "is ours")],
    include_rules.a_source_includes_its_own_header_first: [
        ({"storage/shard.cpp": '#include <vector>\n#include "storage/shard.hpp"\n'}, "first include")],
    include_rules.headers_include_each_other_in_no_circle: [
        ({"storage/a.hpp": '#include "storage/b.hpp"\n', "storage/b.hpp": '#include "storage/a.hpp"\n'}, "circle")],
    listing_rules.every_source_is_listed_in_a_target: [
        ({"storage/forgotten.cpp": "int x;\n"}, "not listed"),
        ({"storage/CMakeLists.txt": "add_library(storage) # shard.cpp\n"}, "not listed"),
        ({"storage/warp.capnp": "@0x1;\n"}, "not listed")],
    listing_rules.every_header_is_included_somewhere: [
        ({"storage/lonely.hpp": "#pragma once\n"}, "nothing includes")],
    listing_rules.every_build_folder_is_entered: [
        ({"tests/CMakeLists.txt": "\n"}, "does not enter")],
    text_rules.no_leftovers_remain: [
        ({"a.cpp": "// FIX" "ME later\n"}, "leftover"),
        ({"a.cpp": "<<<<" "<<<\n"}, "merge conflict"),
        ({"a.cpp": "#if " "0\n#endif\n"}, "switched off"),
        ({"a.cpp": "CHE" "CK(true);\n"}, "can't fail")],
    text_rules.libraries_do_not_print: [
        ({"storage/shard.cpp": "void f() { std::cerr << 1; }\n"}, "a library prints"),
        ({"actors/a.cpp": "void f() { printf(\"x\"); }\n"}, "a library prints")],
    text_rules.notes_have_a_kind: [
        ({"a.cpp": f"// {WORK}: think\n"}, "kind"), ({"a.cpp": f"// {WORK}(later): think\n"}, "kind"),
        ({"a.cpp": f"// {WORK}(soon):\n"}, "kind")],
    text_rules.addresses_are_known: [
        ({"a.md": "see https" "://packages.example.net/list\n"}, "packages.example.net")],
    text_rules.no_path_of_one_machine_stands_in_the_tree: [
        ({"a.md": "data in /home" "/somebody/data\n"}, "one machine"), ({"a.md": "cd {root}/storage\n"}, "one machine")],
    text_rules.names_say_one_idea: [
        ({"storage/WalWriter.cpp": "\n"}, "snake_case"), ({"storage/utils.hpp": "\n"}, "names no idea"),
        ({"storage/long.cpp": "//\n" * 1001}, "second idea")],
    text_rules.headers_start_with_pragma_once: [({"storage/a.hpp": "int x;\n"}, "pragma once")],
    text_rules.white_space_is_clean: [
        ({"a.md": "x \n"}, "trailing"), ({"a.cpp": "\tint x;\n"}, "tab"), ({"a.md": "x"}, "newline"), ({"a.md": "x\r\n"}, "carriage")],
    document_rules.files_that_pages_name_exist: [
        ({"README.md": "see `storage/gone.hpp`\n"}, "there is no storage/gone.hpp"), ({"README.md": "see `gone.cpp`\n"}, "there is no")],
    document_rules.tests_that_the_readme_names_exist: [
        ({"README.md": '## Faults and guarantees\n\n| fault | "it holds" |\n'}, 'no test is called "it holds"')],
    document_rules.metrics_that_deploy_names_exist: [
        ({"deploy/prometheus/alerts.yml": "expr: warp_gone_total > 0\n", "actors/m.cpp": '"warp_here_total"'}, "no code publishes")],
    type_rules.a_type_is_defined_once: [
        ({"storage/a.hpp": "namespace warp {\nstruct options {\n  int x;\n};\n}\n",
          "cluster/b.hpp": "namespace warp {\nstruct [[nodiscard]] options final : base {};\n}\n"}, "warp::options: defined in")],
    build_rules.every_header_compiles_alone: [
        ({"storage/shard.hpp": "#pragma once\nstd::vector<int> slots();\n"}, "does not compile alone"),
        ({"storage/shard.hpp": "#pragma once\ninline int f() { int unused; return 1; }\n"}, "does not compile alone")],
    build_rules.libraries_link_what_their_folder_may: [
        ({"build/libraries.txt": "storage|{root}/storage|actors;\nactors|{root}/actors|\n"}, "may not link actors"),
        ({"build/libraries.txt": "storage|{root}/storage|;$<LINK_ONLY:CAF::core>\n"}, "may not link CAF::core"),
        ({"build/libraries.txt": "storage|{root}/storage|absl::hash\n"}, "belongs to no library")],
    build_rules.the_layout_is_clang_formats: [
        ({"storage/shard.hpp": "#pragma once\nint  x ;\n"}, "clang-format")],
}


class rules_of_the_tree(unittest.TestCase):
    def tree(self, changes):
        root = pathlib.Path(tempfile.mkdtemp(prefix="warp-tree-"))
        self.addCleanup(shutil.rmtree, root)
        command = {"directory": str(root), "file": "storage/shard.cpp", "command": f"g++ -I{root} -std=c++20 -Wall -c x.cpp"}
        build = {"build/compile_commands.json": json.dumps([command]), "build/libraries.txt": "storage|{root}/storage|PkgConfig::zstd\n"}
        for name, text in {**GOOD, **build, **changes}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.replace("{root}", str(root)).encode())
        return source_tree(root, root / "build")

    def problems(self, rule, changes):
        try:
            return rule(self.tree(changes))
        except build_rules.skipped as why:
            self.skipTest(str(why))

    def test_every_rule_has_a_tree_that_breaks_it(self):
        rules = {r for m in (include_rules, listing_rules, text_rules, type_rules, document_rules, build_rules) for r in m.RULES}
        self.assertEqual(rules, set(BAD))

    def test_each_rule_passes_on_the_good_tree(self):
        for rule in BAD:
            with self.subTest(rule.__name__):
                self.assertEqual(self.problems(rule, {}), [])

    def test_each_rule_names_what_breaks_it(self):
        for rule, cases in BAD.items():
            for changes, word in cases:
                with self.subTest(rule.__name__, changes=changes):
                    self.assertIn(word, "\n".join(self.problems(rule, changes)))

    def test_comments_and_strings_are_not_code(self):
        changes = {"storage/shard.cpp": '// #include "actors/a.hpp"\n/* std::cout */ auto s = "std::cout // x";\n'}
        self.assertEqual(self.problems(include_rules.includes_point_downwards, changes), [])

    def test_pages_may_name_files_by_their_last_part_and_tests_in_both_languages(self):
        changes = {"README.md": '`shard.hpp` `storage/shard.cpp`\n## Faults and guarantees\n| "it holds" and "all is there" |\n## Next\n"x"\n',
                   "tests/a_test.cpp": 'TEST_CASE("it "\n          "holds", "[a]") {}\n',
                   "tests/b_test.py": "def test_all_is_there():\n"}
        for rule in document_rules.RULES:
            self.assertEqual(self.problems(rule, changes), [])

    def test_equal_names_in_different_namespaces_are_different_types(self):
        changes = {"storage/a.hpp": "namespace warp::a {\nstruct options {};\n}\nnamespace warp {\nstruct options;\n}\n",
                   "storage/b.hpp": "namespace warp {\nnamespace {\nclass options {\n};\n}\nclass options {\n};\nstruct options::state {\n};\n}\n",
                   "storage/c.hpp": "namespace warp {\nstruct options::state : base {\n};\n}\n"}
        self.assertEqual(self.problems(type_rules.a_type_is_defined_once, changes), [])

    def test_a_header_is_compiled_again_only_when_it_or_what_it_includes_changed(self):
        tree = self.tree({"storage/low.hpp": "#pragma once\nusing number = int;\n",
                          "storage/shard.hpp": '#pragma once\n#include "storage/low.hpp"\nnumber slots();\n'})
        rule = build_rules.every_header_compiles_alone
        self.assertEqual(rule(tree), [])
        (tree.root / "storage/low.hpp").write_text("#pragma once\n")
        again = source_tree(tree.root, tree.build)
        self.assertIn("storage/shard.hpp", "\n".join(rule(again)))


if __name__ == "__main__":
    unittest.main()
