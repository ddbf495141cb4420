#pragma once

#include "cluster/client_job.hpp"
#include "cluster/client_link.hpp"
#include "cluster/client_routes.hpp"
#include "cluster/client_types.hpp"
#include "cluster/kj_loop.hpp"
#include "messages/conversion.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace warp::cluster {

/// The heart of a client: takes jobs from any thread, joins them to messages, sends these over its
/// links, and sees to it that every job is answered by its deadline. All of it but submit() and the
/// counters runs on one loop.
///
///   submit() -> incoming -> lane -> message under way -> answered -> done()
///                            ^            |
///                            +- back-off -+ refused, or the connection was lost
///
/// Lanes and links are of a group: `home`, the servers that the caller has named, is all there is
/// when one of them is alone. In a cluster each node that serves anything has a group too; a job
/// whose operations are for several of them becomes a job for each, and what waits moves when a
/// shard does. Who serves what comes with each login, with refusals, and from any node when it is
/// asked, see refresh_soon().
class client_core final : private link_listener, private kj::TaskSet::ErrorHandler {
public:
  explicit client_core(client_options options);
  /// Ends every job and call that is open, then the loop.
  ~client_core();

  /// Waits for the first login. ok, or why there was none by options.connect_deadline.
  op_status wait_connected();

  /// Any thread; never blocks. Dropped once the destructor has begun.
  void submit(std::shared_ptr<client_job> job);
  void submit(std::shared_ptr<client_call> call);
  /// Any thread: waits until less than options.queued_bytes_max is under way. Returns at once on
  /// the loop's thread.
  void wait_for_room();

  /// Any thread: runs `work` on the loop; dropped once the destructor has begun.
  void post(std::function<void()> work) { loop_->post(std::move(work)); }
  /// On the loop: sees the promise through.
  void keep(kj::Promise<void> promise) { tasks_->add(kj::mv(promise)); }

  [[nodiscard]] const client_options& options() const noexcept { return options_; }

  struct statistics {
    std::atomic<std::uint64_t> operations{0}, messages{0}, retries{0}, reconnects{0};
  };
  [[nodiscard]] const statistics& count() const noexcept { return count_; }

private:
  using lane = client_lane;
  using slices = std::vector<client_slice>;

  // taking jobs in
  kj::Promise<void> run(kj_loop& loop);
  void take_incoming();
  void accept(std::shared_ptr<client_job> job);
  void enlist(std::shared_ptr<client_job> job, client_group& at);
  [[nodiscard]] lane lane_of(const client_job& job) const noexcept;
  bool refuse_too_large(client_job& job, const server_info& info);

  // sending
  void pump_soon();
  void pump();
  void pump_lane(client_group& at, lane way);
  [[nodiscard]] client_link* pick(client_group& at, lane way, const client_job& job) noexcept;
  [[nodiscard]] slices gather(client_group& at, client_link& link, lane way);
  void send(client_group& at, client_link& link, lane way, slices parts);
  void send_atomic(client_group& at, client_link& link, lane way, client_slice part);
  void send_call(client_link& link, std::shared_ptr<client_call> call);
  template <class Request>
  void fill(Request& request, const slices& parts) const;
  template <class Results>
  void await(client_group& at, client_link& link, lane way, slices parts,
             capnp::RemotePromise<Results> answer);

  // answers
  void take_answer(const client_group& from, const slices& parts,
                   capnp::List<wire::Reply>::Reader replies);
  void take_refusal(const slices& parts, const op_status& status);
  void take_loss(slices parts, const op_status& status);
  void explain(client_link& link, std::uint64_t generation, const kj::Exception& e,
               std::function<void(const op_status&)> then);
  void answer(client_job& job, std::uint32_t index, client_reply reply);
  void give_up(client_job& job, op_code unsent, const std::string& why);
  void give_up(client_call& call, op_code unsent, const std::string& why);
  void finish(client_job& job);
  void finish(client_call& call, op_status status);
  void again(slices parts);
  void again(std::shared_ptr<client_call> call);
  [[nodiscard]] bool cured(op_code code) const noexcept;

  // in a cluster: client_routing.cpp
  void open_links(client_group& at);
  [[nodiscard]] client_group& group_of(const client_routes::route& where);
  [[nodiscard]] client_group& group_of(const client_job::item& item);
  [[nodiscard]] client_link* link_for(const client_call& call);
  [[nodiscard]] std::vector<client_group*> groups();
  bool spread(const std::shared_ptr<client_job>& job);
  void put_back(slices parts);
  void reroute();
  void learn(const cluster_map& map);
  void learn(const reply_view& redirect);
  void refresh_soon();
  kj::Promise<void> refresh();
  void look_after_routes();
  void let_go();
  void tick_soon();
  void expire();
  void end_all();
  void connected(op_status status);

  void link_ready(client_link& link) override;
  void link_down(client_link& link, const op_status& why) override;
  void taskFailed(kj::Exception&& e) override;

  const client_options options_;
  statistics count_;

  // Between the callers and the loop.
  std::mutex mutex_;
  std::condition_variable room_;
  std::vector<std::shared_ptr<client_job>> incoming_;
  std::vector<std::shared_ptr<client_call>> incoming_calls_;
  std::size_t queued_bytes_ = 0;
  bool closed_ = false;
  std::promise<op_status> first_login_;

  // On the loop.
  kj_loop* on_ = nullptr;
  std::uint64_t next_number_;
  std::minstd_rand random_;
  client_group home_; // the servers that were named
  bool clustered_ = false;
  client_routes routes_;
  std::map<std::string, std::unique_ptr<client_group>> nodes_; // by address
  bool refreshing_ = false;
  unsigned refreshes_ = 0; // in vain, one after the other
  std::size_t refresh_turn_ = 0;
  client_clock::time_point refreshed_at_{};
  std::deque<std::shared_ptr<client_call>> calls_;
  std::list<std::shared_ptr<client_job>> open_jobs_; // in the order of their numbers and deadlines
  std::list<std::shared_ptr<client_call>> open_calls_;
  bool pump_scheduled_ = false, ticking_ = false, connected_ = false;
  std::size_t failed_attempts_ = 0; // before the first login
  client_clock::time_point connect_by_;
  op_status last_down_;
  durability default_level_ = durability::async;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> end_;
  std::unique_ptr<kj::TaskSet> tasks_;

  std::optional<kj_loop> loop_; // last: runs on all of the above
};

} // namespace warp::cluster
