// In a cluster: which node gets what, and how the client finds out.
#include "cluster/client_core.hpp"
#include "cluster/map_conversion.hpp"

#include <algorithm>
#include <utility>

namespace warp::cluster {

namespace {

/// A node that has not answered for so long may not be there any more: somebody else is asked.
constexpr auto silence_max = std::chrono::seconds{1};
/// How long a node may take to answer with its map.
constexpr auto refresh_max = 1 * kj::SECONDS;

} // namespace

// -- groups -------------------------------------------------------------------------------------

void client_core::open_links(client_group& at) {
  for (std::size_t i = 0; i < options_.connections; ++i)
    at.links.push_back(
        std::make_unique<client_link>(*on_, at.options, i, static_cast<link_listener&>(*this)));
}

client_group& client_core::group_of(const client_routes::route& where) {
  if (where.address.empty()) return home_; // any node: it says who it is, or that nobody is
  auto& group = nodes_[where.address];
  if (!group) {
    group = std::make_unique<client_group>();
    group->options = options_;
    group->options.addresses = {where.address};
  }
  if (group->stopped || group->links.empty()) {
    if (group->links.empty()) open_links(*group);
    if (std::exchange(group->stopped, false))
      for (auto& link : group->links) link->start();
  }
  return *group;
}

client_group& client_core::group_of(const client_job::item& item) {
  return routes_.empty() ? home_ : group_of(routes_.of(item.op.key));
}

std::vector<client_group*> client_core::groups() {
  std::vector<client_group*> all{&home_};
  for (auto& [address, group] : nodes_) all.push_back(group.get());
  return all;
}

client_link* client_core::link_for(const client_call& call) {
  if (call.slot && !routes_.empty()) return group_of(routes_.of(*call.slot)).ready_link();
  for (auto* const group : groups())
    if (auto* const link = group->ready_link()) return link;
  return nullptr;
}

/// Makes a job for each node of one that is for several. False: it is for one only.
bool client_core::spread(const std::shared_ptr<client_job>& job) {
  if (job->atomic || job->items.size() < 2) return false;
  struct part {
    client_group* at;
    std::shared_ptr<client_job> job;
    std::vector<std::uint32_t> places; // of its items in the whole
  };
  std::vector<part> parts;
  const auto count = static_cast<std::uint32_t>(job->items.size());
  std::vector<client_group*> at(count);
  for (std::uint32_t i = 0; i < count; ++i) at[i] = &group_of(job->items[i]);
  if (std::ranges::all_of(at, [&](const auto* group) { return group == at.front(); })) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto to = std::ranges::find(parts, at[i], &part::at);
    if (to == parts.end())
      to = parts.insert(parts.end(), {at[i], std::make_shared<client_job>(), {}});
    const auto& item = job->items[i];
    to->job->items.push_back(item);
    to->job->size_bytes += item.op.key.size() + item.op.value.size() + 64;
    to->job->has_writes = to->job->has_writes || is_write(item.op.kind);
    to->places.push_back(i);
  }
  auto open = std::make_shared<std::size_t>(parts.size());
  for (auto& p : parts) {
    p.job->replies.resize(p.job->items.size());
    p.job->deadline = job->deadline;
    // Keys and values stay with the whole, which the parts keep.
    p.job->done = [whole = job, open, places = std::move(p.places)](client_job& done) {
      for (std::size_t i = 0; i < places.size(); ++i)
        whole->replies[places[i]] = std::move(done.replies[i]);
      if (--*open == 0) whole->done(*whole);
    };
    enlist(std::move(p.job), *p.at);
  }
  return true;
}

/// To the heads of the lanes where they belong now, in their order.
void client_core::put_back(slices parts) {
  for (auto p = parts.rbegin(); p != parts.rend(); ++p) {
    if (p->job->finished) continue;
    const auto way = lane_of(*p->job);
    if (routes_.empty() || p->job->atomic) {
      group_of(p->job->items.front()).lanes[way].push_front(std::move(*p));
      continue;
    }
    for (auto i = p->end; i-- > p->begin;) {
      auto& lane = group_of(p->job->items[i]).lanes[way];
      if (!lane.empty() && lane.front().job == p->job && lane.front().begin == i + 1)
        --lane.front().begin;
      else
        lane.push_front({p->job, i, i + 1});
    }
  }
}

// -- who serves what ----------------------------------------------------------------------------

/// What waits moves to where it belongs now. All who serve anything are connected with, so that
/// there is somebody to ask when one of them fails.
void client_core::reroute() {
  for (std::uint32_t i = 0; i < routes_.shard_count(); ++i) (void)group_of(routes_.at(shard_id{i}));
  slices waiting;
  for (auto* const group : groups())
    for (auto& lane : group->lanes) {
      waiting.insert(waiting.end(), std::make_move_iterator(lane.begin()),
                     std::make_move_iterator(lane.end()));
      lane.clear();
    }
  put_back(std::move(waiting));
  // From a link's own report it cannot be stopped.
  tasks_->add(kj::evalLater([this] { let_go(); }));
  pump_soon();
}

/// Ends connections that serve nothing any more, or that are silent though others have taken over:
/// what was under way over them is sent again.
void client_core::let_go() {
  const auto now = client_clock::now();
  for (auto& [address, group] : nodes_) {
    bool wanted = group->waits();
    for (std::uint32_t i = 0; i < routes_.shard_count() && !wanted; ++i)
      wanted = routes_.at(shard_id{i}).address == address;
    bool busy = false;
    for (auto& link : group->links) {
      const auto under_way = link->in_flight[fast] + link->in_flight[slow];
      busy = busy || under_way != 0;
      if (under_way != 0 && now - link->silent_since > silence_max) link->lost(link->generation);
    }
    if (wanted || busy || std::exchange(group->stopped, true)) continue;
    for (auto& link : group->links) link->stop();
  }
}

void client_core::learn(const cluster_map& map) {
  if (!routes_.learn(map)) return;
  refreshes_ = 0;
  reroute();
}

void client_core::learn(const reply_view& redirect) {
  if (redirect.shard.value >= routes_.shard_count() ||
      redirect.version <= routes_.at(redirect.shard).epoch ||
      !routes_.learn(redirect.shard, redirect.version, redirect.value))
    return;
  refreshes_ = 0;
  reroute();
}

/// Asks the next node that answers for its map: at once, and then, as long as nothing new is heard,
/// after longer and longer pauses.
void client_core::refresh_soon() {
  if (!clustered_ || refreshing_) return;
  refreshing_ = true;
  const auto now = client_clock::now();
  if (now - refreshed_at_ > 2 * options_.retry_max) refreshes_ = 0;
  const auto pause =
      refreshes_ == 0 ? std::chrono::milliseconds{0} : jittered(options_, refreshes_ - 1, random_);
  ++refreshes_;
  tasks_->add(on_->timer()
                  .afterDelay(pause.count() * kj::MILLISECONDS)
                  .then([this] { return refresh(); })
                  .then([] {}, [](kj::Exception&&) {}) // the next one may answer
                  .then([this] {
                    refreshing_ = false;
                    refreshed_at_ = client_clock::now();
                  }));
}

kj::Promise<void> client_core::refresh() {
  std::vector<client_link*> ready;
  for (auto* const group : groups())
    for (auto& link : group->links)
      if (link->ready()) ready.push_back(link.get());
  if (ready.empty()) return kj::READY_NOW; // who comes back tells by itself
  auto& link = *ready[refresh_turn_++ % ready.size()];
  auto asked = link.session().clusterRequest().send().then(
      [this](capnp::Response<wire::Session::ClusterResults>&& answer) {
        if (!answer.hasStatus()) learn(read_cluster_map(answer.getMap()));
      });
  return on_->timer().timeoutAfter(refresh_max, kj::mv(asked));
}

/// Something waits for a node that is not there, or that does not answer.
void client_core::look_after_routes() {
  if (!clustered_) return;
  const auto now = client_clock::now();
  bool worried = !calls_.empty();
  for (auto* const group : groups()) {
    worried = worried || (group->waits() && group->ready_link() == nullptr);
    for (const auto& link : group->links)
      worried = worried || (link->in_flight[fast] + link->in_flight[slow] != 0 &&
                            now - link->silent_since > silence_max);
  }
  if (worried) refresh_soon();
}

} // namespace warp::cluster
