#include "tests/bench/embedded_store.hpp"
#include "tests/bench/periodic.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <vector>

namespace warp::bench {

namespace {

void require(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "RocksDB: %s\n", status.ToString().c_str());
  std::exit(1);
}

rocksdb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

class rocksdb_store final : public embedded_store {
public:
  rocksdb_store(const std::string& folder, bool synced) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(2ull << 30);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.write_buffer_size = 256u << 20;
    options.max_write_buffer_number = 4;
    options.max_background_jobs = 2;
    options.memtable_whole_key_filtering = true;
    options.memtable_prefix_bloom_size_ratio = 0.1;
    options.manual_wal_flush = !synced;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    require(rocksdb::DB::Open(options, folder, &db));
    db_.reset(db);
    // What async promises here too: on disk within 100 ms.
    if (!synced)
      flusher_.emplace(std::chrono::milliseconds{50}, [this] { require(db_->FlushWAL(true)); });
  }
  ~rocksdb_store() override {
    flusher_.reset();
    require(db_->Close());
  }

  void execute(std::span<const operation> ops, std::span<storage::op_reply> replies,
               storage::value_arena& arena) override {
    if (ops[0].kind == op_kind::get)
      read(ops, replies, arena);
    else
      write(ops, replies);
  }
  void tidy() override {
    require(db_->Flush({}));
    require(db_->CompactRange({}, nullptr, nullptr));
  }

private:
  void read(std::span<const operation> ops, std::span<storage::op_reply> replies,
            storage::value_arena& arena) {
    keys_.clear();
    for (const auto& op : ops) keys_.push_back(slice(op.key));
    values_.resize(ops.size());
    statuses_.resize(ops.size());
    auto* family = db_->DefaultColumnFamily();
    if (ops.size() == 1)
      statuses_[0] = db_->Get({}, family, keys_[0], values_.data());
    else
      db_->MultiGet({}, family, keys_.size(), keys_.data(), values_.data(), statuses_.data());
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (statuses_[i].ok()) {
        replies[i].code = op_code::ok;
        replies[i].value = arena.copy({values_[i].data(), values_[i].size()});
      } else if (statuses_[i].IsNotFound()) {
        replies[i].code = op_code::not_found;
      } else {
        require(statuses_[i]);
      }
      values_[i].Reset();
    }
  }
  void write(std::span<const operation> ops, std::span<storage::op_reply> replies) {
    rocksdb::WriteOptions options;
    options.sync = ops[0].level == durability::sync;
    if (ops.size() == 1) {
      require(db_->Put(options, slice(ops[0].key), slice(ops[0].value)));
    } else {
      batch_.Clear();
      for (const auto& op : ops) require(batch_.Put(slice(op.key), slice(op.value)));
      require(db_->Write(options, &batch_));
    }
    for (auto& reply : replies) reply.code = op_code::ok;
  }

  std::unique_ptr<rocksdb::DB> db_;
  std::optional<periodic> flusher_;
  std::vector<rocksdb::Slice> keys_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
  rocksdb::WriteBatch batch_;
};

} // namespace

embedded_peer rocksdb_peer() {
  return {.name = "RocksDB " + std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) +
                  "." + std::to_string(ROCKSDB_PATCH),
          .settings =
              "no compression, block cache 2 GiB, bloom filters of 10 bits, hashed blocks, "
              "memtables 4 x 256 MiB with whole-key filter, 2 background jobs; MultiGet and "
              "WriteBatch for batches; log flushed and synced every 50 ms (async) or by each "
              "write (sync); compacted after filling",
          .logs = true,
          .open = [](const std::string& folder, bool synced) -> std::unique_ptr<embedded_store> {
            return std::make_unique<rocksdb_store>(folder, synced);
          }};
}

} // namespace warp::bench
