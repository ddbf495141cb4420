#include "tests/bench/embedded_store.hpp"
#include "tests/bench/periodic.hpp"

#include <lmdb.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

namespace warp::bench {

namespace {

void require(int code) {
  if (code == MDB_SUCCESS) return;
  std::fprintf(stderr, "LMDB: %s\n", mdb_strerror(code));
  std::exit(1);
}

MDB_val view(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())}; // LMDB reads it only
}

class lmdb_store final : public embedded_store {
public:
  lmdb_store(const std::string& folder, bool synced) {
    require(mdb_env_create(&env_));
    require(mdb_env_set_mapsize(env_, std::size_t{16} << 30));
    const unsigned flags = MDB_NOTLS | (synced ? 0u : MDB_WRITEMAP | MDB_NOSYNC | MDB_NOMEMINIT);
    require(mdb_env_open(env_, folder.c_str(), flags, 0644));
    MDB_txn* txn = nullptr;
    require(mdb_txn_begin(env_, nullptr, 0, &txn));
    require(mdb_dbi_open(txn, nullptr, 0, &table_));
    require(mdb_txn_commit(txn));
    require(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reading_));
    mdb_txn_reset(reading_);
    // What async promises here too: on disk within 100 ms.
    if (!synced)
      syncer_.emplace(std::chrono::milliseconds{50}, [this] { require(mdb_env_sync(env_, 1)); });
  }
  ~lmdb_store() override {
    syncer_.reset();
    mdb_txn_abort(reading_);
    mdb_env_close(env_);
  }

  void execute(std::span<const operation> ops, std::span<storage::op_reply> replies,
               storage::value_arena& arena) override {
    if (ops[0].kind == op_kind::get)
      read(ops, replies, arena);
    else
      write(ops, replies);
  }

private:
  void read(std::span<const operation> ops, std::span<storage::op_reply> replies,
            storage::value_arena& arena) {
    require(mdb_txn_renew(reading_));
    for (std::size_t i = 0; i < ops.size(); ++i) {
      auto key = view(ops[i].key);
      MDB_val value{};
      const int code = mdb_get(reading_, table_, &key, &value);
      if (code == MDB_NOTFOUND) {
        replies[i].code = op_code::not_found;
        continue;
      }
      require(code);
      replies[i].code = op_code::ok;
      replies[i].value = arena.copy({static_cast<const char*>(value.mv_data), value.mv_size});
    }
    mdb_txn_reset(reading_);
  }
  void write(std::span<const operation> ops, std::span<storage::op_reply> replies) {
    MDB_txn* txn = nullptr;
    require(mdb_txn_begin(env_, nullptr, 0, &txn));
    for (std::size_t i = 0; i < ops.size(); ++i) {
      auto key = view(ops[i].key), value = view(ops[i].value);
      require(mdb_put(txn, table_, &key, &value, 0));
      replies[i].code = op_code::ok;
    }
    require(mdb_txn_commit(txn));
  }

  MDB_env* env_ = nullptr;
  MDB_dbi table_ = 0;
  MDB_txn* reading_ = nullptr;
  std::optional<periodic> syncer_;
};

} // namespace

embedded_peer lmdb_peer() {
  return {.name = "LMDB " + std::to_string(MDB_VERSION_MAJOR) + "." +
                  std::to_string(MDB_VERSION_MINOR) + "." + std::to_string(MDB_VERSION_PATCH),
          .settings = "map of 16 GiB; a batch is one transaction, readers renew theirs; async: "
                      "writable map, synced every 50 ms; sync: pwrite and fdatasync by each commit",
          .logs = true,
          .open = [](const std::string& folder, bool synced) -> std::unique_ptr<embedded_store> {
            return std::make_unique<lmdb_store>(folder, synced);
          }};
}

} // namespace warp::bench
