#include "cluster/etcd/prefix_watch.hpp"

#include "cluster/etcd/answer_json.hpp"
#include "cluster/etcd/endpoint_ring.hpp"
#include "cluster/etcd/known_keys.hpp"
#include "cluster/etcd/request_json.hpp"
#include "cluster/etcd/transfer.hpp"

#include <algorithm>
#include <atomic>
#include <curl/curl.h>
#include <mutex>
#include <new>
#include <optional>
#include <pthread.h>
#include <random>
#include <system_error>
#include <thread>

namespace warp::cluster::etcd {

using std::chrono::milliseconds;

class prefix_watch::worker {
public:
  worker(client& lists, watch_options options, bell ring)
      : lists_(lists), options_(std::move(options)), ring_(std::move(ring)),
        connection_(lists.options().connection), stream_(connection_),
        endpoints_(connection_.endpoints.size(), connection_.backoff_min, connection_.backoff_max,
                   std::random_device{}()) {
    inbox_->multi = curl_multi_init();
    if (inbox_->multi == nullptr) throw std::bad_alloc{};
    multi_ = inbox_->multi;
    thread_ = std::thread{[this] {
      ::pthread_setname_np(::pthread_self(), "etcd-watch");
      run();
    }};
  }

  ~worker() {
    {
      std::lock_guard lock{inbox_->mutex};
      inbox_->stopping = true;
      curl_multi_wakeup(multi_);
    }
    thread_.join();
    {
      std::lock_guard lock{inbox_->mutex};
      inbox_->multi = nullptr; // a list may still be answered
    }
    stream_.remove();
    curl_multi_cleanup(multi_);
  }

  void list_now() {
    std::lock_guard lock{inbox_->mutex};
    inbox_->list_wanted = true;
    curl_multi_wakeup(multi_);
  }

  [[nodiscard]] watch_counters counters() const {
    return {rings_, connects_, answers_, missed_, compactions_};
  }

private:
  using clock = endpoint_ring::clock;

  /// What other threads leave for this one; outlives it where a list is answered late.
  struct inbox {
    std::mutex mutex;
    void* multi = nullptr;
    bool stopping = false, list_wanted = false;
    std::optional<op_result<range_answer>> list;
  };

  void run() {
    while (read_inbox()) {
      const auto now = clock::now();
      if (!listing_ && now >= list_at_) ask_for_list(now);
      if (!streaming_ && can_resume_ && endpoints_.choose(now).not_before <= now) connect(now);
      int running = 0, left = 0;
      curl_multi_perform(multi_, &running);
      while (const CURLMsg* message = curl_multi_info_read(multi_, &left))
        if (message->msg == CURLMSG_DONE) stream_ended();
      if (give_up_stream_) stream_ended();
      curl_multi_poll(multi_, nullptr, 0, wait_ms(clock::now()), nullptr);
    }
  }

  [[nodiscard]] bool read_inbox() {
    std::optional<op_result<range_answer>> list;
    {
      std::lock_guard lock{inbox_->mutex};
      if (inbox_->stopping) return false;
      if (std::exchange(inbox_->list_wanted, false)) list_soon();
      list.swap(inbox_->list);
    }
    if (list) take_list(*list);
    return true;
  }

  void ask_for_list(clock::time_point now) {
    listing_ = true;
    routine_ = !std::exchange(soon_, false);
    asked_at_ = keys_.seen();
    list_at_ = now + options_.relist_interval;
    lists_.range({.keys = {options_.prefix, true}, .keys_only = true},
                 [to = inbox_](op_result<range_answer> answer) {
                   std::lock_guard lock{to->mutex};
                   to->list = std::move(answer);
                   if (to->multi != nullptr) curl_multi_wakeup(to->multi);
                 });
  }

  void take_list(const op_result<range_answer>& list) {
    listing_ = false;
    const auto now = clock::now();
    if (!list) {
      // Whatever keeps lists from being answered may keep the stream silent as well.
      list_at_ = now + connection_.backoff_max;
      if (streaming_) give_up_stream_ = true;
      return;
    }
    ++answers_;
    const bool first = !std::exchange(listed_once_, true);
    can_resume_ = true;
    const bool set_back = list->header.revision < asked_at_;
    auto different = keys_.take(*list, asked_at_);
    // In between nothing but the stream should find what is new: it is deaf, or a little late.
    // Another one resumes where it was in any case.
    if (streaming_ && (set_back || (routine_ && !different.empty()))) give_up_stream_ = true;
    if (first) different.clear();
    missed_ += different.size();
    if (first || !different.empty()) tell(std::move(different));
  }

  void connect(clock::time_point now) {
    endpoint_ = endpoints_.choose(now).endpoint;
    line_.clear();
    confirmed_ = give_up_stream_ = false;
    streaming_ = true;
    stream_.prepare_stream(endpoint_, watch_call(options_.prefix, keys_.seen() + 1),
                           [this](std::string_view piece) { return take_piece(piece); });
    stream_.add_to(multi_);
  }

  void stream_ended() {
    stream_.remove();
    if (streaming_) endpoints_.failed(endpoint_, clock::now());
    streaming_ = confirmed_ = give_up_stream_ = false;
  }

  /// False ends the stream.
  [[nodiscard]] bool take_piece(std::string_view piece) {
    for (;;) {
      const auto end = piece.find('\n');
      const auto part = piece.substr(0, end);
      if (line_.size() + part.size() > options_.line_bytes_max) return lose_place();
      line_ += part;
      if (end == std::string_view::npos) return true;
      const bool go_on = line_.empty() || take_line();
      line_.clear();
      if (!go_on) return false;
      piece.remove_prefix(end + 1);
    }
  }

  [[nodiscard]] bool take_line() {
    const auto line = read_watch_line(line_);
    if (!line) return false;
    if (line->compact_revision != 0) {
      ++compactions_;
      return lose_place();
    }
    if (line->canceled) return false;
    if (line->created && !confirmed_) {
      confirmed_ = true;
      ++connects_;
      endpoints_.succeeded(endpoint_);
      // What lies between the last list and this stream was asked for; but watches have lost
      // events, so that a list says the last word.
      list_soon();
    }
    auto different = keys_.take(*line);
    if (!different.empty()) tell(std::move(different));
    return true;
  }

  /// What lies between is gone: a list says what there is, and where to go on.
  [[nodiscard]] bool lose_place() {
    can_resume_ = false;
    list_soon();
    return false;
  }

  void list_soon() {
    list_at_ = clock::now();
    soon_ = true;
    routine_ = false; // the one under way, too, may find what is new
  }

  void tell(std::vector<std::string> keys) {
    ++rings_;
    if (keys.size() > options_.keys_named_max) keys.clear();
    ring_({keys_.seen(), std::move(keys)});
  }

  [[nodiscard]] int wait_ms(clock::time_point now) const {
    auto until = now + std::chrono::seconds{10};
    if (!listing_) until = std::min(until, list_at_);
    if (!streaming_ && can_resume_) until = std::min(until, endpoints_.choose(now).not_before);
    return static_cast<int>(
        std::clamp<std::int64_t>(std::chrono::ceil<milliseconds>(until - now).count(), 0, 10'000));
  }

  client& lists_;
  const watch_options options_;
  const bell ring_;
  const connection_options connection_;
  const std::shared_ptr<inbox> inbox_ = std::make_shared<inbox>();
  void* multi_ = nullptr;
  transfer stream_;
  endpoint_ring endpoints_;
  std::size_t endpoint_ = 0;

  known_keys keys_;
  std::string line_;
  clock::time_point list_at_{};
  revision_t asked_at_ = 0;
  bool listing_ = false, listed_once_ = false;
  bool can_resume_ = false;     // a list has said where to begin
  bool streaming_ = false;      // a stream is open, or being opened
  bool confirmed_ = false;      // and etcd has said so
  bool give_up_stream_ = false; // though it is open
  bool soon_ = true;            // the next list has a reason
  bool routine_ = false;        // the one under way has none but the clock

  std::atomic<std::uint64_t> rings_{0}, connects_{0}, answers_{0}, missed_{0}, compactions_{0};
  std::thread thread_;
};

prefix_watch::prefix_watch(std::unique_ptr<worker> made) : worker_(std::move(made)) {}

prefix_watch::~prefix_watch() = default;

op_result<std::unique_ptr<prefix_watch>> prefix_watch::create(client& lists, watch_options options,
                                                              bell ring) {
  if (options.relist_interval.count() <= 0 || options.line_bytes_max == 0)
    return op_status{op_code::invalid_argument,
                     "a watch needs an interval above 0 to list in, and room for a message"};
  try {
    return std::unique_ptr<prefix_watch>{
        new prefix_watch{std::make_unique<worker>(lists, std::move(options), std::move(ring))}};
  } catch (const std::bad_alloc&) {
    return op_status{op_code::overloaded, "no memory for a watch of etcd"};
  } catch (const std::system_error& e) {
    return op_status{op_code::overloaded,
                     std::string{"no thread for a watch of etcd: "} + e.what()};
  }
}

void prefix_watch::list_now() {
  worker_->list_now();
}

watch_counters prefix_watch::counters() const {
  return worker_->counters();
}

} // namespace warp::cluster::etcd
