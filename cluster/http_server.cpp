#include "cluster/http_server.hpp"

#include "cluster/listen_socket.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <future>
#include <kj/async-io.h>
#include <kj/compat/http.h>
#include <kj/debug.h>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

namespace warp::cluster {

namespace {

struct answer {
  kj::uint status = 200;
  const char* reason = "OK";
  const char* type = "text/plain; charset=utf-8";
  std::string body;
};

answer ready_answer(const health_summary& health) {
  if (health.ready) return {.body = "ready\n"};
  auto body = fmt::format("not ready\n{}\n", fmt::join(health.problems, "\n"));
  return {.status = 503, .reason = "Service Unavailable", .body = std::move(body)};
}

answer health_answer(const health_summary& health) {
  const bool fine = health.ready && health.problems.empty();
  const nlohmann::ordered_json page = {{"status", fine           ? "ok"
                                                  : health.ready ? "degraded"
                                                                 : "not ready"},
                                       {"ready", health.ready},
                                       {"problems", health.problems}};
  // A problem may quote bytes that are no UTF-8 (a path); that must not cost the page.
  auto body = page.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  return {.status = fine ? 200u : 503u,
          .reason = fine ? "OK" : "Service Unavailable",
          .type = "application/json",
          .body = std::move(body)};
}

answer answer_for(std::string_view path, const http_answers& answers) {
  if (path == "/livez") return {.body = "alive\n"};
  if (path == "/metrics")
    return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = answers.metrics()};
  if (path == "/readyz") return ready_answer(answers.health());
  if (path == "/healthz") return health_answer(answers.health());
  return {.status = 404,
          .reason = "Not Found",
          .body = "no such page: there are /metrics, /livez, /readyz and /healthz\n"};
}

} // namespace

/// The server's thread with its event loop. Made by start() and gone after stop(), so that no state
/// survives a restart but the counters and the port.
struct http_server::loop final : kj::HttpServerErrorHandler,
                                 kj::HttpServerCallbacks,
                                 kj::TaskSet::ErrorHandler {
  http_server& owner;
  listen_socket socket;
  std::promise<kj::Own<kj::CrossThreadPromiseFulfiller<void>>> started;
  kj::Own<kj::CrossThreadPromiseFulfiller<void>> stopper;
  std::atomic<std::chrono::steady_clock::time_point> deadline{};
  kj::Timer* timer = nullptr;
  const kj::HttpHeaderTable* headers = nullptr;
  kj::HttpHeaderId allow, cache_control;
  bool close_after = false; ///< the answer that is being sent ends its connection
  std::thread thread;

  loop(http_server& o, listen_socket s) : owner(o), socket(std::move(s)) {
    auto ready = started.get_future();
    owner.running_ = true;
    thread = std::thread([this] { run(); });
    try {
      stopper = ready.get();
    } catch (...) {
      thread.join();
      throw;
    }
  }

  ~loop() { thread.join(); }

  // -- one request; on the loop's thread

  /// One connection: KJ makes one for each, so that a request knows the connection that it came by.
  struct connection final : kj::HttpService {
    loop& server;
    kj::AsyncIoStream& stream;
    connection(loop& l, kj::AsyncIoStream& s) : server(l), stream(s) {}

    kj::Promise<void> request(kj::HttpMethod method, kj::StringPtr url,
                              const kj::HttpHeaders& asked, kj::AsyncInputStream&,
                              Response& response) override {
      bool closing = false;
      KJ_IF_MAYBE (how, asked.get(kj::HttpHeaderId::CONNECTION)) {
        closing = std::string_view(how->cStr()).find("close") != std::string_view::npos;
      }
      server.close_after = closing;
      const bool head_only = method == kj::HttpMethod::HEAD;
      auto sent = server.send(server.answer_request(method, url), response);
      // KJ would now wait for the client to close, and the client waits for the same. (The head of
      // an answer without a body may still be on its way: there, KJ's own limit of 5 s must do.)
      if (!closing || head_only) return sent;
      return sent.then([this] { stream.shutdownWrite(); });
    }
  };

  answer answer_request(kj::HttpMethod method, kj::StringPtr url) {
    owner.counters_.requests.fetch_add(1, std::memory_order_relaxed);
    std::string_view path(url.begin(), url.size());
    path = path.substr(0, path.find('?'));
    if (method != kj::HttpMethod::GET && method != kj::HttpMethod::HEAD)
      return {.status = 405,
              .reason = "Method Not Allowed",
              .body = "only GET and HEAD are served here\n"};
    try {
      return answer_for(path, owner.answers_);
    } catch (const std::exception& e) {
      owner.counters_.failures.fetch_add(1, std::memory_order_relaxed);
      return {
          .status = 500, .reason = "Internal Server Error", .body = fmt::format("{}\n", e.what())};
    }
  }

  kj::Promise<void> send(answer a, kj::HttpService::Response& response) {
    kj::HttpHeaders head(*headers);
    head.set(kj::HttpHeaderId::CONTENT_TYPE, a.type);
    head.set(cache_control, "no-store");
    if (a.status == 405) head.set(allow, "GET, HEAD");
    auto stream = response.send(a.status, a.reason, head, a.body.size());
    auto body = kj::heap(std::move(a.body));
    auto written = stream->write(body->data(), body->size());
    const auto limit = owner.options_.response_timeout.count() * kj::MILLISECONDS;
    return timer->timeoutAfter(limit, kj::mv(written)).attach(kj::mv(stream), kj::mv(body));
  }

  /// Asked by KJ while it sends the head of an answer: one flag for all connections is enough.
  bool shouldClose() override { return close_after; }

  kj::Promise<void> handleClientProtocolError(kj::HttpHeaders::ProtocolError error,
                                              kj::HttpService::Response& response) override {
    owner.counters_.failures.fetch_add(1, std::memory_order_relaxed);
    return kj::HttpServerErrorHandler::handleClientProtocolError(kj::mv(error), response);
  }

  kj::Promise<void> handleApplicationError(kj::Exception,
                                           kj::Maybe<kj::HttpService::Response&>) override {
    // A client that has gone or reads too slowly: nobody is left to tell.
    owner.counters_.failures.fetch_add(1, std::memory_order_relaxed);
    return kj::READY_NOW;
  }

  void taskFailed(kj::Exception&&) override {
    owner.counters_.failures.fetch_add(1, std::memory_order_relaxed);
  }

  // -- the thread

  kj::Promise<void> accept(kj::ConnectionReceiver& receiver, kj::HttpServer& server,
                           kj::TaskSet& connections) {
    return receiver.accept()
        .then(
            [&](kj::Own<kj::AsyncIoStream> stream) -> kj::Promise<void> {
              auto& c = owner.counters_;
              c.connections.fetch_add(1, std::memory_order_relaxed);
              if (c.open.load(std::memory_order_relaxed) >= owner.options_.connections_max) {
                c.refused.fetch_add(1, std::memory_order_relaxed);
                return kj::READY_NOW;
              }
              c.open.fetch_add(1, std::memory_order_relaxed);
              auto leave = kj::defer([&c] { c.open.fetch_sub(1, std::memory_order_relaxed); });
              connections.add(server.listenHttp(kj::mv(stream)).attach(kj::mv(leave)));
              return kj::READY_NOW;
            },
            [this](kj::Exception&&) -> kj::Promise<void> {
              // Out of descriptors, for example: the others go on, and a new one gets its turn when
              // there is room again.
              owner.counters_.failures.fetch_add(1, std::memory_order_relaxed);
              return timer->afterDelay(100 * kj::MILLISECONDS);
            })
        .then([&, this] { return accept(receiver, server, connections); });
  }

  void run() noexcept {
    bool announced = false;
    try {
      auto io = kj::setupAsyncIo();
      timer = &io.provider->getTimer();
      kj::HttpHeaderTable::Builder builder;
      allow = builder.add("Allow");
      cache_control = builder.add("Cache-Control");
      const auto table = builder.build();
      headers = table.get();
      kj::HttpServerSettings settings;
      settings.headerTimeout = owner.options_.header_timeout.count() * kj::MILLISECONDS;
      settings.errorHandler = *this;
      settings.callbacks = *this;
      kj::HttpServer server(
          *timer, *table,
          [this](kj::AsyncIoStream& stream) -> kj::Own<kj::HttpService> {
            return kj::heap<connection>(*this, stream);
          },
          settings);
      kj::TaskSet connections(*this); // before the server when all is torn down: they borrow it
      auto receiver = io.lowLevelProvider->wrapListenSocketFd(
          socket.release(), kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP |
                                kj::LowLevelAsyncIoProvider::ALREADY_CLOEXEC |
                                kj::LowLevelAsyncIoProvider::ALREADY_NONBLOCK);
      auto accepting = accept(*receiver, server, connections).eagerlyEvaluate(nullptr);
      auto stop = kj::newPromiseAndCrossThreadFulfiller<void>();
      announced = true;
      started.set_value(kj::mv(stop.fulfiller));
      stop.promise.wait(io.waitScope);

      accepting = nullptr;
      receiver = nullptr;
      using std::chrono::milliseconds;
      const auto now = std::chrono::steady_clock::now();
      const auto until = std::clamp(deadline.load(), now, now + std::chrono::hours(1));
      const auto left_ms = std::chrono::duration_cast<milliseconds>(until - now).count();
      server.drain()
          .exclusiveJoin(timer->afterDelay(left_ms * kj::MILLISECONDS))
          .wait(io.waitScope);
    } catch (const kj::Exception& e) {
      lost(e.getDescription().cStr(), announced);
    } catch (const std::exception& e) {
      lost(e.what(), announced);
    }
    owner.running_ = false;
  }

  void lost(const char* why, bool announced) {
    owner.running_ = false;
    if (announced)
      owner.fail({op_code::io_error, fmt::format("the HTTP server's event loop ended: {}", why)});
    else
      started.set_exception(std::make_exception_ptr(std::runtime_error(why)));
  }
};

http_server::http_server(http_server_options options, http_answers answers)
    : options_(std::move(options)), answers_(std::move(answers)) {}

http_server::~http_server() {
  stop(std::chrono::steady_clock::now());
}

op_status http_server::start() {
  if (running_) return {};
  loop_.reset();
  // After a restart the port of the first start is taken again: whoever scrapes it knows no other.
  auto socket = listen_socket::open(address_.empty() ? options_.listen : address_, "http.listen");
  if (!socket) return socket.status();
  const auto address = socket->address();
  const auto port = socket->port();
  try {
    loop_ = std::make_unique<loop>(*this, std::move(*socket));
  } catch (const std::exception& e) {
    return {op_code::io_error, fmt::format("cannot start the HTTP server: {}", e.what())};
  }
  address_ = address;
  port_ = port;
  return {};
}

void http_server::stop(std::chrono::steady_clock::time_point deadline) {
  if (!loop_) return;
  loop_->deadline = deadline;
  loop_->stopper->fulfill();
  loop_.reset();
}

op_status http_server::health() const {
  if (running_) return {};
  return {op_code::unavailable, "the HTTP port is closed"};
}

void http_server::collect(std::vector<actors::metric>& out) const {
  using kind = actors::metric::kind;
  const auto add = [&](const char* name, const char* help, kind type,
                       const std::atomic<std::uint64_t>& count) {
    out.push_back(
        {name, help, type, {{{}, static_cast<double>(count.load(std::memory_order_relaxed))}}});
  };
  add("warp_http_requests_total", "HTTP requests since start.", kind::counter, counters_.requests);
  add("warp_http_failures_total", "HTTP requests or connections that failed.", kind::counter,
      counters_.failures);
  add("warp_http_connections_total",
      "HTTP connections accepted since start, refused ones included.", kind::counter,
      counters_.connections);
  add("warp_http_connections_refused_total",
      "HTTP connections closed at once because of http.connections_max.", kind::counter,
      counters_.refused);
  add("warp_http_connections", "HTTP connections now.", kind::gauge, counters_.open);
}

} // namespace warp::cluster
