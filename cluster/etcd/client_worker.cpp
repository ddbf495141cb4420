#include "cluster/etcd/client_worker.hpp"

#include "cluster/etcd/answer_json.hpp"

#include <algorithm>
#include <curl/curl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <random>

namespace warp::cluster::etcd {

namespace {

using std::chrono::milliseconds;

op_status stopping() {
  return {op_code::shutting_down, "the client of etcd is stopping"};
}

} // namespace

client::worker::worker(client_options options)
    : options_(std::move(options)),
      ring_(options_.connection.endpoints.size(), options_.connection.backoff_min,
            options_.connection.backoff_max, std::random_device{}()) {
  flights_.push_back(std::make_unique<flight>(options_.connection)); // initializes curl
  multi_ = curl_multi_init();
  if (multi_ == nullptr) throw std::bad_alloc{};
  curl_multi_setopt(
      multi_, CURLMOPT_MAXCONNECTS,
      static_cast<long>(options_.in_flight_max + options_.connection.endpoints.size()));
  thread_ = std::thread{[this] {
    ::pthread_setname_np(::pthread_self(), "etcd-client");
    run();
  }};
}

client::worker::~worker() {
  {
    std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  curl_multi_wakeup(multi_);
  thread_.join();
  flights_.clear();
  curl_multi_cleanup(multi_);
}

void client::worker::submit(std::unique_ptr<client_job> job) {
  job->deadline = clock::now() + options_.request_timeout;
  op_status refusal;
  {
    std::lock_guard lock{mutex_};
    if (stopping_) {
      refusal = stopping();
    } else if (open_ >= options_.queue_max) {
      refusal = {op_code::overloaded,
                 fmt::format("{} requests to etcd wait already: nothing was sent", open_)};
    } else {
      ++open_;
      submitted_.push_back(std::move(job));
    }
  }
  if (refusal.ok()) {
    ++requests_;
    curl_multi_wakeup(multi_);
  } else {
    ++refused_;
    job->finish(std::move(refusal));
  }
}

client_counters client::worker::counters() const {
  return {requests_, attempts_, failures_, unknown_, refused_};
}

void client::worker::run() {
  while (take_submitted()) {
    start_waiting(clock::now());
    int running = 0;
    curl_multi_perform(multi_, &running);
    if (take_ended()) continue; // room for others, and callbacks may have asked for more
    curl_multi_poll(multi_, nullptr, 0, wait_ms(clock::now()), nullptr);
  }
  end_all();
}

bool client::worker::take_submitted() {
  std::lock_guard lock{mutex_};
  for (auto& job : submitted_) waiting_.push_back(std::move(job));
  submitted_.clear();
  return !stopping_;
}

client::worker::flight* client::worker::idle_flight() {
  const auto idle = std::ranges::find_if(flights_, [](const auto& f) { return !f->job; });
  if (idle != flights_.end()) return idle->get();
  if (flights_.size() == options_.in_flight_max) return nullptr;
  return flights_.emplace_back(std::make_unique<flight>(options_.connection)).get();
}

void client::worker::start_waiting(clock::time_point now) {
  // Jobs are finished behind the walk, as their callbacks may submit others.
  std::vector<std::unique_ptr<client_job>> late;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    auto& job = *at;
    const auto choice =
        job->endpoint ? endpoint_ring::choice{*job->endpoint, now} : ring_.choose(now);
    if (job->deadline <= now || choice.not_before >= job->deadline) {
      late.push_back(std::move(job));
    } else if (auto* idle = choice.not_before <= now ? idle_flight() : nullptr) {
      start(*idle, std::move(job), choice.endpoint, now);
    } else {
      ++at;
      continue;
    }
    at = waiting_.erase(at);
  }
  for (auto& job : late) {
    op_status status = job->last_failure;
    if (status.ok())
      status = {op_code::timed_out,
                fmt::format("no answer from etcd within {} ms: nothing was sent",
                            options_.request_timeout.count())};
    finish(std::move(job), std::move(status), false);
  }
}

void client::worker::start(flight& in, std::unique_ptr<client_job> job, std::size_t endpoint,
                           clock::time_point now) {
  auto left = std::chrono::ceil<milliseconds>(job->deadline - now);
  // What cannot be made again gets all the time there is; the rest should get another chance.
  if (job->repeatable) left = std::min(left, options_.attempt_timeout);
  ++job->attempts;
  ++attempts_;
  in.job = std::move(job);
  in.endpoint = endpoint;
  in.way.prepare(endpoint, in.job->call, left, options_.answer_bytes_max);
  in.way.add_to(multi_);
}

bool client::worker::take_ended() {
  bool any = false;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto code = message->data.result; // the message goes with the handle
    const auto& way = transfer::of(message->easy_handle);
    const auto in = std::ranges::find_if(flights_, [&](const auto& f) { return &f->way == &way; });
    ended(**in, code);
    any = true;
  }
  return any;
}

op_status client::worker::read_answer(flight& in) {
  const auto& where = options_.connection.endpoints[in.endpoint];
  answer_header header;
  auto status = in.job->read(in.way.body(), header);
  if (!status.ok()) return {status.code(), fmt::format("etcd at {}: {}", where, status.message())};
  if (cluster_ == 0) cluster_ = header.cluster;
  if (cluster_ != header.cluster)
    return {op_code::corruption,
            fmt::format("etcd at {} is of the etcd cluster {:x}, and {:x} has answered before: all "
                        "endpoints must be of one",
                        where, header.cluster, cluster_)};
  return {};
}

void client::worker::ended(flight& in, int curl_code) {
  auto end = in.way.end(curl_code);
  in.way.remove();
  bool refused = false;
  auto status = std::move(end.status);
  if (status.ok() && end.http_status != 200) {
    auto error = read_error(end.http_status, in.way.body());
    refused = error.refused;
    status = {error.code, fmt::format("etcd at {}: {}", options_.connection.endpoints[in.endpoint],
                                      error.message)};
  } else if (status.ok()) {
    status = read_answer(in);
  }
  auto job = std::move(in.job);
  if (status.ok() || refused) {
    ring_.succeeded(in.endpoint);
    finish(std::move(job), std::move(status), false);
    return;
  }
  ++failures_;
  ring_.failed(in.endpoint, clock::now());
  if ((job->repeatable || !end.sent) && again(*job, status)) {
    job->last_failure = std::move(status);
    waiting_.push_back(std::move(job));
  } else {
    finish(std::move(job), std::move(status), end.sent);
  }
}

bool client::worker::again(const client_job& job, const op_status& failure) const {
  if (job.endpoint) return false;
  switch (failure.code()) {
  case op_code::unauthorized: // the same certificates may do at another endpoint, not here
    return job.attempts < options_.connection.endpoints.size();
  case op_code::corruption: // an answer that was cut off, or there is no etcd
    return job.attempts < options_.connection.endpoints.size() + 2;
  case op_code::overloaded:
    return false;
  default:
    return true; // until the deadline
  }
}

void client::worker::finish(std::unique_ptr<client_job> job, op_status status, bool maybe_done) {
  if (!status.ok() && maybe_done && !job->repeatable) {
    ++unknown_;
    status = {op_code::outcome_unknown,
              fmt::format("{}: it was sent, and may have been done", status.message())};
  }
  {
    std::lock_guard lock{mutex_};
    --open_;
  }
  job->finish(std::move(status));
}

int client::worker::wait_ms(clock::time_point now) const {
  // With a flight for each that waits there would be none left to wait for.
  auto until = now + std::chrono::seconds{1};
  const bool room = flights_.size() < options_.in_flight_max ||
                    std::ranges::any_of(flights_, [](const auto& f) { return !f->job; });
  for (const auto& job : waiting_) {
    until = std::min(until, job->deadline);
    if (room) until = std::min(until, ring_.choose(now).not_before);
  }
  return static_cast<int>(
      std::clamp<std::int64_t>(std::chrono::ceil<milliseconds>(until - now).count(), 0, 1'000));
}

void client::worker::end_all() {
  for (const auto& in : flights_) {
    if (!in->job) continue;
    const bool sent = in->way.may_have_been_sent();
    in->way.remove();
    finish(std::move(in->job), stopping(), sent);
  }
  // Whatever callbacks ask for now is refused by submit().
  for (auto& job : waiting_) finish(std::move(job), stopping(), false);
  waiting_.clear();
}

} // namespace warp::cluster::etcd
