#include "cluster/node/cluster_node.hpp"
#include "cluster/node/shard_port.hpp"

namespace warp::cluster {

using actors::metric;

namespace {

/// What one scrape shows of a copy.
struct copy_numbers {
  bool primary = false, serves = false, lease = false;
  epoch_t epoch = 0;
  std::size_t in_sync = 0;
  lsn_t end = 0, commit = 0;
  replication_host_stats host;
};

} // namespace

void cluster_node::collect(std::vector<metric>& out) const {
  using kind = metric::kind;
  if (!copies_open_) return;
  std::vector<copy_numbers> copies(hosts_->count());
  for (std::uint32_t i = 0; i < hosts_->count(); ++i) {
    if (installing_[i]) continue;
    hosts_->look_at(shard_id{i}, [&](const replication_host& h) {
      const auto& m = h.machine();
      copies[i] = {m.stands() == replication::replica::standing::primary,
                   m.serves(),
                   m.serves() && m.may_read(boot_time()),
                   m.known().epoch,
                   m.known().isr.size(),
                   m.log().last().lsn,
                   m.commit_lsn(),
                   h.stats()};
    });
  }
  const auto each = [&](const char* name, const char* help, auto value) {
    metric m{name, help, kind::gauge, {}};
    for (std::uint32_t i = 0; i < copies.size(); ++i)
      m.values.push_back({{{"shard", std::to_string(i)}}, static_cast<double>(value(copies[i]))});
    out.push_back(std::move(m));
  };
  using c = const copy_numbers&;
  each("warp_shard_primary", "Whether this node is the shard's primary.",
       [](c n) { return n.primary; });
  each("warp_shard_serves", "Whether this node serves reads and writes of the shard.",
       [](c n) { return n.serves; });
  each("warp_shard_read_lease", "Whether the primary may answer reads without asking anybody.",
       [](c n) { return n.lease; });
  each("warp_shard_epoch", "Epoch of the shard's key in etcd, as this node knows it.",
       [](c n) { return n.epoch; });
  each("warp_shard_in_sync_copies", "Copies in the shard's in-sync set, as this node knows it.",
       [](c n) { return n.in_sync; });
  each("warp_shard_log_end_lsn", "LSN of the last record in this copy's log.",
       [](c n) { return n.end; });
  each("warp_shard_commit_lsn", "LSN up to which this copy knows records to be committed.",
       [](c n) { return n.commit; });
  each("warp_shard_uncommitted_records",
       "LSNs of this copy's log that are not known to be "
       "committed.",
       [](c n) { return n.end - n.commit; });
  each("warp_shard_pending_bytes", "Bytes of records that wait for their commit.",
       [](c n) { return n.host.pending_bytes; });

  const auto total = [&](const char* name, const char* help, auto value) {
    double sum = 0;
    for (const auto& n : copies) sum += static_cast<double>(value(n.host));
    out.push_back({name, help, kind::counter, {{{}, sum}}});
  };
  using s = const replication_host_stats&;
  total("warp_cluster_catch_up_reads_total",
        "Times that records were read back from the log for "
        "copies that lag behind.",
        [](s n) { return n.log_reads; });
  total("warp_cluster_checkpoints_installed_total",
        "Copies of this node that began anew with a "
        "checkpoint of another one.",
        [](s n) { return n.checkpoints_installed; });
  total("warp_cluster_overloaded_total", "Writes refused because too much waits for its commit.",
        [](s n) { return n.overloaded; });
  const auto count = [&](const char* name, const char* help, const auto& value) {
    out.push_back({name,
                   help,
                   kind::counter,
                   {{{}, static_cast<double>(value.load(std::memory_order_relaxed))}}});
  };
  count("warp_cluster_take_overs_total", "Times that this node became the primary of a shard.",
        counts_.take_overs);
  count("warp_cluster_reigns_ended_total", "Times that it ceased to serve a shard.",
        counts_.reigns_ended);
  count("warp_cluster_hand_overs_total",
        "Times that it began to hand a shard to the node that "
        "placement prefers.",
        counts_.moves);
  count("warp_cluster_losses_accepted_total", "Losses that an operator has accepted here.",
        counts_.losses_accepted);
  count("warp_cluster_etcd_changes_total", "Changes of shards' keys in etcd that were made.",
        counts_.changes);
  count("warp_cluster_etcd_changes_lost_total",
        "Of those that were not, as somebody else was "
        "first.",
        counts_.changes_lost);
  count("warp_cluster_etcd_changes_unknown_total", "Of those whose outcome was not known.",
        counts_.changes_unknown);
  count("warp_cluster_etcd_lists_total", "Times that all keys were listed.", counts_.lists);
  {
    std::lock_guard guard{mutex_};
    out.push_back({"warp_cluster_registered",
                   "Whether etcd knows that this node is there.",
                   kind::gauge,
                   {{{}, registered_ ? 1.0 : 0.0}}});
    out.push_back({"warp_cluster_keys_refused",
                   "Keys in etcd that this version cannot read.",
                   kind::gauge,
                   {{{}, static_cast<double>(counts_.keys_refused.load())}}});
  }
  network_->collect(out);
}

} // namespace warp::cluster
