#pragma once

#include "cluster/etcd/client_options.hpp"
#include "cluster/etcd/request_json.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace warp::cluster::etcd {

/// How one POST ended.
struct transfer_end {
  /// ok: an answer with this HTTP status is there, whole.
  op_status status;
  long http_status = 0;
  /// Whether a byte of the request may have left: false proves that nobody acted on it.
  bool sent = false;
};

/// One HTTP POST over libcurl: an easy handle with all that it points to, used again and again. At
/// most one request at a time; curl's own retry over a connection that turned out dead is refused
/// once the request was sent, so that it arrives at most once. One thread at a time. Handles of
/// curl are void pointers here, as in its own header.
class transfer {
public:
  /// `options` must outlive it.
  explicit transfer(const connection_options& options);
  ~transfer();
  transfer(const transfer&) = delete;
  transfer& operator=(const transfer&) = delete;

  /// Sets the request up: endpoint number, call, and the most time it may take (0: no end). What
  /// arrives is kept in body(), up to `answer_bytes_max`.
  void prepare(std::size_t endpoint, const gateway_call& call, std::chrono::milliseconds timeout,
               std::size_t answer_bytes_max);
  /// The same for an answer without an end, handed to `sink` piece by piece, which says whether to
  /// go on. Of an answer that is an error the first bytes are kept in body().
  void prepare_stream(std::size_t endpoint, const gateway_call& call,
                      std::function<bool(std::string_view)> sink);

  /// Into a multi handle, and out of it, which ends what is under way.
  void add_to(void* multi);
  void remove();
  /// What curl said when it ended (a CURLcode), as a result.
  [[nodiscard]] transfer_end end(int curl_code) const;

  [[nodiscard]] const std::string& body() const noexcept { return body_; }
  [[nodiscard]] bool may_have_been_sent() const noexcept { return sent_ != 0; }
  [[nodiscard]] void* handle() const noexcept { return handle_; }
  /// The transfer that a curl handle belongs to.
  [[nodiscard]] static transfer& of(void* handle);

private:
  static std::size_t take(char* bytes, std::size_t one, std::size_t size, void* self);
  static int before_request(void* self, char*, char*, int, int);
  void set_up(std::size_t endpoint, const gateway_call& call, std::chrono::milliseconds timeout);

  const connection_options& options_;
  void* handle_ = nullptr;
  void* multi_ = nullptr;
  void* headers_ = nullptr; // curl_slist
  std::string url_, request_, body_;
  std::size_t endpoint_ = 0, answer_bytes_max_ = 0;
  std::function<bool(std::string_view)> sink_;
  unsigned sent_ = 0; // how often curl was about to send it
  bool too_large_ = false;
  char error_[256] = {};
};

} // namespace warp::cluster::etcd
