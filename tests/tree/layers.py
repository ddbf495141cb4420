"""The table of layers: which folder may include or link which other folder, and which foreign libraries it may meet."""

FOLDERS = {
    "messages": {"messages"},
    "physics": {"physics"},
    "gpu": {"gpu", "physics", "messages"},
    "storage": {"storage", "physics", "messages"},
    "actors": {"actors", "storage", "gpu", "physics", "messages"},
    "cluster/replication": {"cluster/replication", "messages"},
    "cluster/placement": {"cluster/placement", "cluster/replication", "messages"},
    "cluster/etcd": {"cluster/etcd", "cluster/replication", "messages"},
    "cluster": {"cluster", "cluster/etcd", "cluster/placement", "cluster/replication", "actors", "storage", "gpu", "physics", "messages"},
    "cluster/programs": {"cluster/programs", "cluster", "cluster/etcd", "cluster/placement", "cluster/replication", "actors", "storage", "gpu",
                         "physics", "messages"},
}

# Folders that are pure: no foreign library, no files, no threads, whatever the folder above them may know.
PURE = {"cluster/placement", "cluster/replication"}

# Foreign libraries: include prefixes, prefixes of CMake targets, the folders that may name them, and the folders that may also reach
# them through another folder's headers.
FOREIGN = {
    "CAF": (("caf/",), ("CAF::",), {"actors", "cluster"}, set()),
    "Cap'n Proto": (("capnp/", "kj/"), ("CapnProto::",), {"messages", "cluster"}, {"actors"}),
    "prometheus-cpp": (("prometheus/",), ("prometheus-cpp::",), {"actors", "cluster"}, set()),
    "spdlog": (("spdlog/",), ("spdlog::",), {"actors", "cluster"}, set()),
    "fmt": (("fmt/",), ("fmt::",), {"messages", "gpu", "storage", "actors", "cluster"}, set()),
    "zstd": (("zstd.h", "zdict.h"), ("PkgConfig::zstd",), {"storage", "actors", "cluster"}, set()),
    "xxHash": (("xxhash.h",), ("PkgConfig::xxhash",), {"storage", "actors", "cluster"}, set()),
    "io_uring": (("liburing.h",), ("PkgConfig::liburing",), {"storage"}, {"actors", "cluster"}),
    "CUDA": (("cuda", "cub/", "thrust/"), ("CUDA::",), {"gpu"}, set()),
    "toml++": (("toml++/",), ("tomlplusplus::",), {"cluster"}, set()),
    "CLI11": (("CLI/",), ("CLI11::",), {"cluster"}, set()),
    "nlohmann json": (("nlohmann/",), ("nlohmann_json::",), {"actors", "cluster"}, set()),
    "curl": (("curl/",), ("CURL::",), {"cluster"}, set()),
    "OpenSSL": (("openssl/",), ("OpenSSL::",), {"cluster"}, set()),
    "sockets": (("sys/socket.h", "netinet/", "arpa/", "netdb.h", "sys/un.h"), (), {"cluster"}, set()),
    "files": (("fstream", "filesystem", "fcntl.h", "sys/stat.h", "sys/mman.h", "dirent.h"), (),
              {"storage", "actors", "cluster"}, set()),
    "threads": (("thread", "mutex", "shared_mutex", "condition_variable", "future", "pthread.h"), ("Threads::",),
                {"messages", "gpu", "storage", "actors", "cluster"}, set()),
}

# Angle-bracket paths with a '/' that belong to the operating system or the compiler.
SYSTEM = ("sanitizer/", "sys/", "linux/", "bits/", "asm/", "net/", "netinet/", "arpa/")


def folder_of(file):
    """The layer a file belongs to, or None for tests, deploy and the rest."""
    for inner in ("cluster/etcd", "cluster/placement", "cluster/programs", "cluster/replication"):
        if file.startswith(inner + "/"):
            return inner
    top = file.split("/", 1)[0]
    return top if top in FOLDERS else None


def foreign_of(include):
    for name, (prefixes, _, _, _) in FOREIGN.items():
        for prefix in prefixes:
            if include == prefix or (prefix.endswith("/") or prefix == "cuda") and include.startswith(prefix):
                return name
    return None


def may_name(folder, foreign):
    return folder not in PURE and folder.split("/")[0] in FOREIGN[foreign][2]


def may_reach(folder, foreign):
    return folder not in PURE and (may_name(folder, foreign) or folder.split("/")[0] in FOREIGN[foreign][3])
