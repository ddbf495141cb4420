#include "cluster/replication/replica.hpp"

#include <utility>

namespace warp::cluster::replication {

replica::replica(replication_options options, member self, recovered_copy found, moment now)
    : options_(options), self_(self), now_(now), max_epoch_(found.max_epoch),
      log_(std::move(found.log)), commit_lsn_(found.commit_lsn), incomplete_(found.incomplete),
      repaired_(found.repaired), stopped_boot_(found.stopped_boot), known_at_(now),
      promise_(now, options.promise()), heard_at_(now) {
  // What a half-installed checkpoint has left is of no use to anybody.
  if (incomplete_) rebuilding_ = rebuilding::fetching;
}

void replica::step(const replica_event& what, moment now, std::vector<replica_action>& actions) {
  struct end_of_step { // also where memory runs out
    replica& of;
    ~end_of_step() {
      of.actions_ = nullptr;
      of.together_.reset();
    }
  } at_end{*this};
  now_ = now;
  actions.clear();
  actions_ = &actions;
  std::visit([this](const auto& e) { on(e); }, what);
}

std::vector<replica_action> replica::step(const replica_event& what, moment now) {
  std::vector<replica_action> actions;
  step(what, now, actions);
  return actions;
}

void replica::send(node_id to, decltype(message::body) body) {
  act(action::send{to, {self_, std::move(body)}});
}

std::uint64_t replica::write(wal_piece what) {
  act(action::write_wal{++wal_end_, std::move(what)});
  return wal_end_;
}

void replica::write_records(log_run records) {
  const auto position = write(wal::records{records});
  log_.append(std::move(records), position);
}

void replica::cut_from(lsn_t lsn) {
  const auto count = log_.size(), bytes = log_.body_bytes();
  log_.truncate_from(lsn);
  write(wal::truncation{lsn, count - log_.size(), bytes - log_.body_bytes()});
}

void replica::broken(std::string what) {
  act(action::broken_rule{std::move(what)});
}

void replica::on(const event::tick&) {
  retry_change();
  if (stands_ == standing::primary) {
    for (auto& [node, p] : peers_) {
      const bool unanswered = p.sent > p.appended && now_ - p.sent_at >= options_.resend &&
                              now_ - p.acked_at >= options_.resend;
      if (unanswered) p.sent = std::max(p.appended, log_.base().lsn);
      if (unanswered)
        send_append(node, p);
      else if (now_ - p.sent_at >= options_.heartbeat)
        send_heartbeat(node, p);
    }
    change_members();
    go_on_moving();
  } else if (stands_ == standing::follower) {
    acknowledge_at_last();
    seek_primary();
    go_on_rebuilding();
    try_take_over();
    try_claim();
  }
  // Nobody talks to a copy that the key does not name: the watch tells when that changes.
  const bool silence = stands_ != standing::primary && (known_.epoch == 0 || is_known()) &&
                       now_ - heard_at_ > options_.authority_timeout &&
                       now_ - known_at_ > options_.authority_timeout;
  if (silence || now_ - known_at_ > options_.authority_reread) read_wanted_ = true;
  if (read_wanted_ && (!read_asked_at_ || now_ - *read_asked_at_ >= patience(reads_unanswered_)))
    ask_authority();
}

void replica::on(const event::received& e) {
  std::visit([&](const auto& body) { on(e.what, body); }, e.what.body);
}

void replica::on(const event::wal_synced& e) {
  wal_synced_ = std::max(wal_synced_, e.position);
  go_on_rebuilding();
  advance();
  if (!fenced()) return;
  if (stands_ == standing::fencing) {
    begin_reign();
  } else if (stands_ == standing::primary) {
    if (reign_ < max_epoch_) { // its own change of members
      reign_ = max_epoch_;
      send_appends();
    }
    change_members();
    go_on_moving();
  } else {
    if (held_) {
      const auto m = std::exchange(held_, {});
      accept(*m, std::get<append>(m->body));
    }
    tell_durable();
  }
}

void replica::on(const event::authority_doorbell&) {
  read_wanted_ = true;
  ask_authority();
}

void replica::on(const event::nodes_seen& e) {
  live_nodes_ = e.live;
  nodes_known_ = true;
}

} // namespace warp::cluster::replication
