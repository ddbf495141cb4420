#include "cluster/node/checkpoint_couriers.hpp"

#include "cluster/links/checkpoint_fetch.hpp"
#include "storage/path.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace warp::cluster {

using replication::node_id;

namespace {

constexpr const char* folder_name = "incoming";
/// Without a further chunk for so long another node is asked.
constexpr auto patience = std::chrono::seconds{10};

storage::file_system& files_of(const storage::engine& engine) {
  auto* files = engine.options().files;
  return files ? *files : storage::posix_file_system();
}

} // namespace

checkpoint_couriers::checkpoint_couriers(storage::engine& engine, links::checkpoint_server& server,
                                         surroundings with)
    : engine_(engine), server_(server), with_(std::move(with)) {
  threads_.emplace_back([this] { make_offers(); });
  for (std::size_t i = 0; i < fetchers; ++i) threads_.emplace_back([this] { fetch_all(); });
}

checkpoint_couriers::~checkpoint_couriers() {
  {
    std::lock_guard guard{mutex_};
    ends_ = true;
  }
  wake_.notify_all();
  for (auto& t : threads_) t.join();
}

void checkpoint_couriers::offer(node_id to, shard_id shard, epoch_t max_epoch) {
  std::lock_guard guard{mutex_};
  // Asked for again and again until it arrives.
  const auto same = [&](const wanted_offer& o) { return o.to == to && o.shard == shard; };
  if (std::ranges::any_of(offers_, same)) return;
  offers_.push_back({to, shard, max_epoch});
  wake_.notify_all();
}

void checkpoint_couriers::make_offers() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [&] { return ends_ || !offers_.empty(); });
    if (ends_) return;
    const auto o = offers_.front();
    auto& before = offered_[{o.to, o.shard}];
    lock.unlock();
    // One that is on offer stays what it is while it is fetched, unless a newer one has taken its
    // place here: then the log behind it may go.
    auto path = engine_.newest_checkpoint(o.shard);
    if (path.empty() || path != before) {
      if (const auto status = engine_.checkpoint(o.shard); !status.ok())
        spdlog::warn("shard {}: no checkpoint for node {}: {}", o.shard.value, o.to.value,
                     status.to_string());
      path = engine_.newest_checkpoint(o.shard);
    }
    if (!path.empty()) {
      server_.offer(o.to, o.shard, o.max_epoch, path);
      if (path != before) counts_.offered.fetch_add(1, std::memory_order_relaxed);
    }
    lock.lock();
    before = path;
    offers_.pop_front();
  }
}

void checkpoint_couriers::fetch(node_id from, shard_id shard) {
  std::lock_guard guard{mutex_};
  if (!under_way_.insert(shard).second) return;
  outdated_.erase(shard);
  wishes_.push_back({from, shard});
  wake_.notify_all();
}

void checkpoint_couriers::outdated(shard_id shard) {
  std::lock_guard guard{mutex_};
  if (under_way_.contains(shard)) outdated_.insert(shard);
}

void checkpoint_couriers::fetch_all() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [&] { return ends_ || !wishes_.empty(); });
    if (ends_) return;
    const auto w = wishes_.front();
    wishes_.pop_front();
    lock.unlock();
    fetch_one(w);
    lock.lock();
    under_way_.erase(w.shard);
  }
}

void checkpoint_couriers::fetch_one(const wish& w) {
  auto& files = files_of(engine_);
  const auto folder = storage::join_path(engine_.options().folder, folder_name);
  const auto address = with_.address_of(w.from);
  if (!address) return; // asked for again
  if (auto there = files.exists(folder); there && !*there)
    static_cast<void>(files.create_folder(folder));
  links::checkpoint_wish wish{.self = with_.self,
                              .from = w.from,
                              .address = *address,
                              .tls = with_.tls,
                              .shard = w.shard,
                              .max_epoch = 0, // the machine looks
                              .path =
                                  storage::join_path(folder, fmt::format("{:05}", w.shard.value)),
                              .wanted =
                                  [&] {
                                    std::lock_guard guard{mutex_};
                                    return !ends_ && !outdated_.contains(w.shard);
                                  },
                              .coming = [&](lsn_t end) { with_.coming(w.shard, end); },
                              .patience = patience};
  const auto got = links::fetch_checkpoint(wish, files);
  if (!got) {
    if (got.code() == op_code::shutting_down) return;
    counts_.failed.fetch_add(1, std::memory_order_relaxed);
    spdlog::warn("shard {}: no checkpoint from node {}: {}", w.shard.value, w.from.value,
                 got.status().to_string());
    return;
  }
  counts_.fetched.fetch_add(1, std::memory_order_relaxed);
  with_.arrived({w.shard, got->max_epoch, wish.path});
  static_cast<void>(files.remove(wish.path));
}

} // namespace warp::cluster
