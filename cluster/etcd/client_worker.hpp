#pragma once

#include "cluster/etcd/answers.hpp"
#include "cluster/etcd/client.hpp"
#include "cluster/etcd/endpoint_ring.hpp"
#include "cluster/etcd/request_json.hpp"
#include "cluster/etcd/transfer.hpp"

#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace warp::cluster::etcd {

/// One request on its way through the client.
struct client_job {
  gateway_call call;
  /// Whether it may be made again although it was sent.
  bool repeatable = false;
  /// Only there, and once.
  std::optional<std::size_t> endpoint;
  /// Takes the body of an answer; corruption when it is none.
  std::function<op_status(const std::string& body, answer_header& header)> read;
  /// The end: ok after a successful read().
  std::function<void(op_status)> finish;

  endpoint_ring::clock::time_point deadline{};
  unsigned attempts = 0;
  op_status last_failure; ///< of an attempt that is followed by another
};

/// The client's thread: a loop around curl's multi interface.
class client::worker {
public:
  explicit worker(client_options options);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  /// Any thread. Finishes the job at once, here, when there is no room or the end has come.
  void submit(std::unique_ptr<client_job> job);
  [[nodiscard]] const client_options& options() const noexcept { return options_; }
  [[nodiscard]] client_counters counters() const;

private:
  using clock = endpoint_ring::clock;
  struct flight {
    transfer way;
    std::unique_ptr<client_job> job; // null: idle
    std::size_t endpoint = 0;
    explicit flight(const connection_options& options) : way(options) {}
  };

  void run();
  [[nodiscard]] bool take_submitted(); // false: stop
  void start_waiting(clock::time_point now);
  void start(flight& in, std::unique_ptr<client_job> job, std::size_t endpoint,
             clock::time_point now);
  [[nodiscard]] bool take_ended();
  void ended(flight& in, int curl_code);
  [[nodiscard]] op_status read_answer(flight& in);
  [[nodiscard]] bool again(const client_job& job, const op_status& failure) const;
  void finish(std::unique_ptr<client_job> job, op_status status, bool maybe_done);
  [[nodiscard]] int wait_ms(clock::time_point now) const;
  void end_all();
  [[nodiscard]] flight* idle_flight();

  const client_options options_;
  void* multi_ = nullptr;

  mutable std::mutex mutex_;
  std::deque<std::unique_ptr<client_job>> submitted_;
  std::size_t open_ = 0; // submitted and not finished
  bool stopping_ = false;

  // Of the thread alone.
  std::deque<std::unique_ptr<client_job>> waiting_;
  std::vector<std::unique_ptr<flight>> flights_;
  endpoint_ring ring_;
  std::uint64_t cluster_ = 0; // whose answers are believed; 0: the first one decides

  std::atomic<std::uint64_t> requests_{0}, attempts_{0}, failures_{0}, unknown_{0}, refused_{0};
  std::thread thread_;
};

} // namespace warp::cluster::etcd
