#pragma once

#include "actors/change_bell.hpp"
#include "cluster/admin.hpp"
#include "cluster/client.hpp"
#include "cluster/rpc_server.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace warp::cluster {

/// An operator's interface that remembers what it was asked.
class fake_admin final : public admin_backend {
public:
  op_status checkpoint(std::span<const shard_id> shards) override {
    if (on_checkpoint) on_checkpoint();
    asked.assign(shards.begin(), shards.end());
    ++checkpoints;
    return checkpoint_status;
  }
  op_result<std::vector<actor_summary>> tree() override {
    return std::vector<actor_summary>{{"universe", "running", 0, ""},
                                      {"universe/storage", "running", 2, "it was asked to"}};
  }
  op_status chaos(std::string_view path) override {
    if (path != "universe/storage") return {op_code::not_found, "no actor has this path"};
    ++chaos_calls;
    return {};
  }
  op_result<verify_summary> verify(bool now) override {
    ++looks;
    return verify_summary{
        now ? 4u : 3u, checks_finished, 2, 77, {"data/MANIFEST: offset 3: damaged"}, ""};
  }
  op_result<log_page> log_frames(shard_id shard, lsn_t from, std::size_t limit,
                                 bool with_values) override {
    if (shard.value == 1) return op_status{op_code::io_error, "cannot read"};
    log_page page;
    page.frames.push_back({0, from, from + 1, from + 2, 77, 123, {}});
    page.frames[0].records.push_back(
        {from + 1, "put", "key", with_values ? "value" : "", 5, 9, request_id{3, 4, 0}});
    page.next_lsn = limit;
    return page;
  }

  op_result<std::uint64_t> order_backup(const std::string& folder) override {
    backup_folder = folder;
    if (folder == "/forbidden") return op_status{op_code::unauthorized, "not there"};
    return 7;
  }
  op_result<backup_summary> backup(std::uint64_t ticket) override {
    ++looks;
    if (ticket == 9) return backup_summary{false, bytes_done, 100, {}, "", 0, 0, 0, ""};
    if (ticket != 7) return op_code::not_found;
    return backup_summary{true, 5, 6, {op_code::no_space, "full"}, "name", 8, 9, 10, "a gap"};
  }

  std::shared_ptr<void> on_job_change(std::function<void()> changed) override {
    return job_changes.listen(std::move(changed));
  }

  std::function<void()> on_checkpoint;
  actors::change_bell job_changes;
  std::atomic<int> looks{0};                                    ///< at a backup or a check
  std::atomic<std::uint64_t> bytes_done{5}, checks_finished{3}; ///< of backup 9; of the check
  std::vector<shard_id> asked;
  std::atomic<int> checkpoints{0}, chaos_calls{0};
  op_status checkpoint_status;
  std::string backup_folder;
};

/// A server on a free port over a real engine, in memory or in a folder of its own.
struct rpc_fixture {
  explicit rpc_fixture(bool on_disk, rpc_server_options server_options = {})
      : engine(options_for(on_disk)), server(start(std::move(server_options))) {}

  [[nodiscard]] client_options options() const {
    client_options o;
    o.addresses = {"127.0.0.1:" + std::to_string(server->port())};
    o.retry_min = std::chrono::milliseconds{1};
    o.retry_max = std::chrono::milliseconds{10};
    return o;
  }
  [[nodiscard]] std::unique_ptr<client> connect() const { return connect(options()); }
  [[nodiscard]] static std::unique_ptr<client> connect(client_options o) {
    auto c = client::connect(std::move(o));
    INFO(c.status().to_string());
    REQUIRE(c.ok());
    return std::move(*c);
  }
  /// A new server on a port of its own over the same engine.
  std::unique_ptr<rpc_server> start(rpc_server_options o) {
    o.listen = "127.0.0.1:0";
    o.version = "test";
    auto s = rpc_server::start(std::move(o), *engine, &admin);
    INFO(s.status().to_string());
    REQUIRE(s.ok());
    return std::move(*s);
  }
  storage::engine_options options_for(bool on_disk) const {
    auto o = testing::small_options(on_disk ? folder / "data" : "");
    o.value_bytes_max = 4u << 20;
    if (!on_disk) o.default_level = durability::memory;
    return o;
  }

  testing::temp_folder folder;
  testing::running_engine engine;
  fake_admin admin;
  std::unique_ptr<rpc_server> server;
};

} // namespace warp::cluster
