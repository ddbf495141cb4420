#include "cluster/etcd/transfer.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <new>

namespace warp::cluster::etcd {

static_assert(CURL_ERROR_SIZE <= 256);

namespace {

/// The start of an answer that is an error; the rest says nothing.
constexpr std::size_t error_bytes_max = 4'096;

void initialize_curl() {
  // Once, and never undone: other parts of the process may use it too.
  static const auto initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialized);
}

op_code code_of(CURLcode code) {
  switch (code) {
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CONNECT_ERROR:
    return op_code::unauthorized;
  case CURLE_OPERATION_TIMEDOUT:
    return op_code::timed_out;
  case CURLE_OUT_OF_MEMORY:
    return op_code::overloaded;
  default:
    return op_code::unavailable;
  }
}

/// Whether the other side broke TLS off because of what this side has shown. With TLS 1.3 that is
/// heard only when an answer is read.
bool refuses_certificate(std::string_view said) {
  for (const auto* part : {"alert certificate required", "alert bad certificate",
                           "alert unknown ca", "alert certificate unknown"})
    if (said.find(part) != std::string_view::npos) return true;
  return false;
}

/// What to look at when there is no answer, beside what the library says.
std::string_view advice_for(CURLcode code, std::string_view said, bool tls) {
  const auto says = [&](std::string_view part) {
    return said.find(part) != std::string_view::npos;
  };
  if (refuses_certificate(said))
    return ": it refuses the client's certificate: one that its CA has signed must be set";
  switch (code) {
  case CURLE_PEER_FAILED_VERIFICATION:
    return says("subject name") ? ": its certificate is for another host name"
                                : ": its certificate is not signed by the CA that is set";
  case CURLE_SSL_CERTPROBLEM:
    return ": the client's certificate and key cannot be used together";
  case CURLE_SSL_CACERT_BADFILE:
    return ": the CA file holds no certificate";
  case CURLE_SSL_CONNECT_ERROR:
    if (says("SSL_ERROR_SYSCALL") || says("wrong version number") || says("unexpected eof") ||
        says("reset by peer"))
      return ": maybe it does not speak TLS: http://, or switch TLS on there";
    // A signature that does not fit its CA: one of the same name, as of a set-up before this one.
    return says("asn1") ? ": its certificate is not signed by the CA that is set" : "";
  case CURLE_GOT_NOTHING:
    return tls ? "" : ": if it speaks TLS, say https://";
  default:
    return "";
  }
}

} // namespace

transfer::transfer(const connection_options& options) : options_(options) {
  initialize_curl();
  handle_ = curl_easy_init();
  curl_slist* list = curl_slist_append(nullptr, "Content-Type: application/json");
  headers_ = curl_slist_append(list, "Expect:"); // no pause before a long body
  if (handle_ == nullptr || list == nullptr || headers_ == nullptr) throw std::bad_alloc{};
}

transfer::~transfer() {
  remove();
  curl_easy_cleanup(handle_);
  curl_slist_free_all(static_cast<curl_slist*>(headers_));
}

void transfer::set_up(std::size_t endpoint, const gateway_call& call,
                      std::chrono::milliseconds timeout) {
  curl_easy_reset(handle_); // connections and sessions stay
  endpoint_ = endpoint;
  url_ = options_.endpoints[endpoint] + call.path;
  request_ = call.body;
  body_.clear();
  sent_ = 0;
  too_large_ = false;
  error_[0] = '\0';
  const auto set = [this](auto option, auto value) { curl_easy_setopt(handle_, option, value); };
  set(CURLOPT_URL, url_.c_str());
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, &error_[0]);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROXY, ""); // whatever the environment says
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_POST, 1L);
  set(CURLOPT_POSTFIELDS, request_.c_str());
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.size()));
  set(CURLOPT_HTTPHEADER, static_cast<curl_slist*>(headers_));
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, 10L);
  set(CURLOPT_TCP_KEEPINTVL, 5L);
  set(CURLOPT_WRITEFUNCTION, &transfer::take);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_PREREQFUNCTION, &transfer::before_request);
  set(CURLOPT_PREREQDATA, static_cast<void*>(this));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options_.ca_file.empty()) {
    set(CURLOPT_CAINFO, options_.ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr)); // that one and no other
  }
  if (!options_.cert_file.empty()) {
    set(CURLOPT_SSLCERT, options_.cert_file.c_str());
    set(CURLOPT_SSLKEY, options_.key_file.c_str());
  }
}

void transfer::prepare(std::size_t endpoint, const gateway_call& call,
                       std::chrono::milliseconds timeout, std::size_t answer_bytes_max) {
  sink_ = nullptr;
  answer_bytes_max_ = answer_bytes_max;
  set_up(endpoint, call, timeout);
}

void transfer::prepare_stream(std::size_t endpoint, const gateway_call& call,
                              std::function<bool(std::string_view)> sink) {
  sink_ = std::move(sink);
  answer_bytes_max_ = error_bytes_max;
  set_up(endpoint, call, std::chrono::milliseconds{0});
}

void transfer::add_to(void* multi) {
  multi_ = multi;
  curl_multi_add_handle(multi, handle_);
}

void transfer::remove() {
  if (multi_ != nullptr) curl_multi_remove_handle(multi_, handle_);
  multi_ = nullptr;
}

transfer& transfer::of(void* handle) {
  void* self = nullptr;
  curl_easy_getinfo(handle, CURLINFO_PRIVATE, &self);
  return *static_cast<transfer*>(self);
}

std::size_t transfer::take(char* bytes, std::size_t one, std::size_t size, void* self) {
  auto& t = *static_cast<transfer*>(self);
  const std::string_view piece{bytes, one * size};
  if (t.sink_) {
    long http_status = 0;
    curl_easy_getinfo(t.handle_, CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status == 200) return t.sink_(piece) ? piece.size() : 0;
  }
  if (t.body_.size() + piece.size() > t.answer_bytes_max_) {
    t.too_large_ = true;
    return 0;
  }
  t.body_ += piece;
  return piece.size();
}

int transfer::before_request(void* self, char*, char*, int, int) {
  auto& t = *static_cast<transfer*>(self);
  // curl would send a request again, over a new connection, when the old one ends before a byte of
  // the answer has come: nobody knows then whether the first one was read.
  return ++t.sent_ == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

transfer_end transfer::end(int curl_code) const {
  const auto code = static_cast<CURLcode>(curl_code);
  transfer_end result;
  result.sent = sent_ != 0;
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &result.http_status);
  if (code == CURLE_OK) return result;
  const auto& where = options_.endpoints[endpoint_];
  if (too_large_) {
    result.status = {op_code::overloaded,
                     fmt::format("etcd at {}: the answer is longer than {} bytes: ask for less",
                                 where, answer_bytes_max_)};
    return result;
  }
  const std::string_view said = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
  const auto advice = advice_for(code, said, where.starts_with("https://"));
  result.status = {refuses_certificate(said) ? op_code::unauthorized : code_of(code),
                   sent_ > 1
                       ? fmt::format("etcd at {}: the connection ended before an answer", where)
                       : fmt::format("etcd at {}: {}{}", where, said, advice)};
  return result;
}

} // namespace warp::cluster::etcd
