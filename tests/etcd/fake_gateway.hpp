#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace warp::testing {

/// A raw socket server on loopback that plays an etcd gateway, or what stands where one should: it
/// reads whole HTTP requests and answers with whatever bytes the script says, or forwards to a real
/// etcd and cuts the answer. A thread for each connection. Destroying it ends all connections.
class fake_gateway {
public:
  /// What to do with one request. The bytes are sent as they are.
  struct reaction {
    std::string bytes;
    bool close = false;  ///< afterwards; else the next request is read
    bool stall = false;  ///< say nothing more until release() or the end
    bool forget = false; ///< close at once with a reset, without the bytes
  };
  struct request {
    std::string path, body;
    int number = 0; ///< over all connections, from 1
  };
  using script = std::function<reaction(const request&)>;

  explicit fake_gateway(script react);
  /// Takes connections through to 127.0.0.1:port; `cut(n, size)` says how many bytes of the n-th
  /// answer (from 1) go back before the connection is reset, `size` being what has come so far;
  /// `size` or more: all of them.
  using cutter = std::function<std::size_t(int number, std::size_t size)>;
  fake_gateway(int port, cutter cut);
  ~fake_gateway();
  fake_gateway(const fake_gateway&) = delete;
  fake_gateway& operator=(const fake_gateway&) = delete;

  [[nodiscard]] std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int port() const noexcept { return port_; }
  [[nodiscard]] std::vector<request> requests() const;
  [[nodiscard]] int connections() const;
  /// Until so many requests have come, over all; false after a minute.
  [[nodiscard]] bool wait_for_requests(int count);
  /// What stalls goes on.
  void release();
  /// Ends the connections there are.
  void drop_connections();

private:
  void accept_all();
  void serve(int fd);
  void forward(int fd);

  script react_;
  cutter cut_;
  int to_port_ = 0;
  int listen_fd_ = -1, port_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<request> requests_;
  std::vector<int> open_;
  std::list<std::thread> threads_;
  int connections_ = 0, released_ = 0;
  bool stopping_ = false;
  std::thread acceptor_;
};

/// An HTTP answer with this body.
[[nodiscard]] std::string http_answer(const std::string& body, int status = 200);
/// A header as etcd puts it into each answer.
[[nodiscard]] std::string header_json(unsigned long cluster = 7, unsigned long revision = 5);

} // namespace warp::testing
