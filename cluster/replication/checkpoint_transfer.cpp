#include "cluster/replication/checkpoint_transfer.hpp"

#include <algorithm>
#include <utility>

namespace warp::cluster::replication {

std::uint32_t chunk_count(const checkpoint_manifest& manifest) {
  const auto chunks = (manifest.size_bytes + manifest.chunk_bytes - 1) / manifest.chunk_bytes;
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(chunks, 1));
}

bool is_plausible(const checkpoint_manifest& manifest) {
  return manifest.chunk_bytes != 0 && manifest.start.lsn <= manifest.end.lsn &&
         manifest.checksums.size() == chunk_count(manifest);
}

checkpoint_receiver::checkpoint_receiver(transfer_options options,
                                         std::optional<found_chunks> found, moment now)
    : options_(options), now_(now), progress_at_(now) {
  if (!found || !is_plausible(found->what) || found->have.size() != chunk_count(found->what))
    return;
  manifest_ = std::move(found->what);
  chunks_.resize(found->have.size());
  missing_ = chunks_.size();
  for (std::size_t i = 0; i < chunks_.size(); ++i)
    if (found->have[i]) chunks_[i].is = progress::stored, --missing_;
}

transfer_actions checkpoint_receiver::received(node_id from, const transfer_message& what,
                                               moment now) {
  now_ = now;
  transfer_actions actions;
  std::visit([&](const auto& m) { on(from, m, actions); }, what);
  return actions;
}

transfer_actions checkpoint_receiver::tick(moment now) {
  now_ = now;
  transfer_actions actions;
  if (!manifest_ || !source_) return actions;
  for (auto& c : chunks_)
    if (c.is == progress::asked && now - c.asked_at > options_.resend) c.is = progress::missing;
  ask(actions);
  return actions;
}

void checkpoint_receiver::give_up() {
  manifest_.reset();
  source_.reset();
  chunks_.clear();
  missing_ = 0;
}

void checkpoint_receiver::adopt(node_id from, const transfer::offer& m, transfer_actions& actions) {
  manifest_ = m.what;
  max_epoch_ = m.max_epoch;
  source_ = from;
  chunks_.assign(chunk_count(m.what), {});
  missing_ = chunks_.size();
  progress_at_ = now_;
  actions.emplace_back(transfer_action::begin_file{m.what});
}

void checkpoint_receiver::on(node_id from, const transfer::offer& m, transfer_actions& actions) {
  if (!is_plausible(m.what)) return;
  if (manifest_ && *manifest_ == m.what) {
    max_epoch_ = std::max(max_epoch_, m.max_epoch);
    if (has_stalled()) {
      source_ = from;
      progress_at_ = now_;
    }
  } else if (!manifest_ || now_ - progress_at_ > options_.stall) {
    // What an earlier life has begun is worth waiting a little for whoever has the same.
    adopt(from, m, actions);
  } else {
    return;
  }
  if (missing_ == 0) actions.emplace_back(transfer_action::whole{max_epoch_, *manifest_});
  ask(actions);
}

void checkpoint_receiver::on(node_id, const transfer::chunk& m, transfer_actions& actions) {
  if (!manifest_ || m.id != manifest_->id || m.index >= chunks_.size()) return;
  auto& c = chunks_[m.index];
  if (c.is == progress::stored) return;
  if (m.bytes.size() != size_of(m.index) ||
      options_.checksum(m.bytes) != manifest_->checksums[m.index]) {
    ++refused_;
    c.is = progress::missing;
    return; // the next tick asks again
  }
  c.is = progress::stored;
  --missing_;
  progress_at_ = now_;
  actions.emplace_back(transfer_action::store{m.index, m.bytes});
  // After a restart nobody has said yet with which max_epoch it may be installed (R1).
  if (missing_ == 0 && source_)
    actions.emplace_back(transfer_action::whole{max_epoch_, *manifest_});
  ask(actions);
}

void checkpoint_receiver::on(node_id from, const transfer::gone& m, transfer_actions&) {
  if (manifest_ && m.id == manifest_->id && source_ == from) give_up();
}

void checkpoint_receiver::ask(transfer_actions& actions) {
  if (!source_ || missing_ == 0) return;
  auto asked =
      static_cast<std::size_t>(std::ranges::count(chunks_, progress::asked, &chunk_state::is));
  for (std::uint32_t i = 0; i < chunks_.size() && asked < options_.chunks_in_flight; ++i) {
    if (chunks_[i].is != progress::missing) continue;
    chunks_[i] = {progress::asked, now_};
    ++asked;
    auto& request = std::get<transfer_action::send>(
        actions.emplace_back(std::in_place_type<transfer_action::send>));
    request.to = *source_;
    request.what.emplace<transfer::chunk_request>(manifest_->id, i);
  }
}

std::size_t checkpoint_receiver::size_of(std::uint32_t index) const {
  const auto begin = std::uint64_t{index} * manifest_->chunk_bytes;
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(manifest_->chunk_bytes, manifest_->size_bytes - begin));
}

} // namespace warp::cluster::replication
