#pragma once

#include "cluster/links/envelope.hpp"

#include <random>

namespace warp::cluster::links {

/// Messages as the machines make them, from a seed.
class random_messages {
public:
  explicit random_messages(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  shard_message next(node_id from) {
    shard_message m{shard_id{static_cast<std::uint32_t>(below(16'384))},
                    {{from, boot_id{1 + random_() / 2}}, replication::checkpoint_request{}}};
    const auto epoch = 1 + below(1'000);
    const auto lsn = below(lsn_max - 1'000'000);
    switch (below(8)) {
    case 0:
    case 1: {
      replication::append a{epoch,        lsn, below(epoch + 1), below(lsn_max + 1),
                            any_moment(), {},  below(epoch + 1)};
      auto at = lsn;
      auto record_epoch = a.previous_epoch;
      std::vector<replication::log_record> records;
      for (auto n = below(20); n > 0; --n) {
        at += 1 + below(3);
        record_epoch += below(epoch - record_epoch + 1);
        records.push_back({at, record_epoch, below(8) == 0, body()});
      }
      a.records = std::move(records);
      m.what.body = std::move(a);
      break;
    }
    case 2: {
      replication::append_ack ack{epoch, lsn, below(lsn + 1), {}};
      if (below(2) == 0) ack.granted = any_moment();
      m.what.body = ack;
      break;
    }
    case 3:
      m.what.body = replication::append_nack{epoch, below(lsn_max + 2)};
      break;
    case 4:
      m.what.body = replication::join{lsn, below(1'000), below(lsn_max + 1), below(lsn_max + 1),
                                      below(2) == 1};
      break;
    case 5:
      m.what.body = replication::rebuild{epoch};
      break;
    case 6:
      m.what.body = replication::release{epoch};
      break;
    default:
      break;
    }
    return m;
  }

private:
  replication::moment any_moment() { return static_cast<replication::moment>(random_()); }
  std::string body() {
    std::string bytes(below(8) == 0 ? below(5'000) : below(40), '\0');
    for (auto& c : bytes) c = static_cast<char>(random_());
    return bytes;
  }

  std::mt19937_64 random_;
};

/// Whether two messages say the same.
inline bool same(const shard_message& a, const shard_message& b) {
  if (a.shard != b.shard || a.what.from != b.what.from ||
      a.what.body.index() != b.what.body.index())
    return false;
  using namespace replication;
  if (const auto* x = std::get_if<append>(&a.what.body)) {
    const auto& y = std::get<append>(b.what.body);
    return x->epoch == y.epoch && x->previous_lsn == y.previous_lsn &&
           x->previous_epoch == y.previous_epoch && x->commit_lsn == y.commit_lsn &&
           x->sent_at == y.sent_at && x->records == y.records && x->reset_epoch == y.reset_epoch;
  }
  if (const auto* x = std::get_if<append_ack>(&a.what.body)) {
    const auto& y = std::get<append_ack>(b.what.body);
    return x->epoch == y.epoch && x->appended_lsn == y.appended_lsn &&
           x->durable_lsn == y.durable_lsn && x->granted == y.granted;
  }
  if (const auto* x = std::get_if<append_nack>(&a.what.body)) {
    const auto& y = std::get<append_nack>(b.what.body);
    return x->max_epoch == y.max_epoch && x->need_from == y.need_from;
  }
  if (const auto* x = std::get_if<join>(&a.what.body)) {
    const auto& y = std::get<join>(b.what.body);
    return x->last_lsn == y.last_lsn && x->last_epoch == y.last_epoch &&
           x->commit_lsn == y.commit_lsn && x->pins == y.pins && x->incomplete == y.incomplete;
  }
  if (const auto* x = std::get_if<rebuild>(&a.what.body))
    return x->epoch == std::get<rebuild>(b.what.body).epoch;
  if (const auto* x = std::get_if<release>(&a.what.body))
    return x->epoch == std::get<release>(b.what.body).epoch;
  return true;
}

inline node_identity test_identity(std::uint32_t node, std::uint64_t boot = 1) {
  return {cluster_id{0xC1}, "blue", node_id{node}, boot_id{boot}, 0x1000 + node};
}

} // namespace warp::cluster::links
