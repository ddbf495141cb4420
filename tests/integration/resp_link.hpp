#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace warp::testing {

/// A connection to a RESP port: commands are gathered and sent together, replies come line by line.
/// Blocks for as long as it takes, or as it may. Moved, not copied. One thread.
class resp_link {
public:
  /// Thrown when the server is gone, was silent for too long, or there was none.
  struct end {
    bool answered = false; ///< a connection was there
  };

  /// To "127.0.0.1:port", or another number of IPv4. `silence`: how long a connection, a write or a
  /// read may take; 0: for ever.
  explicit resp_link(const std::string& address,
                     std::chrono::milliseconds silence = std::chrono::milliseconds{0});
  ~resp_link();
  resp_link(resp_link&& other) noexcept;
  resp_link& operator=(resp_link&& other) noexcept;

  void add(const std::vector<std::string>& words);
  void send();
  /// A reply without its line end: "+OK", ":1", "-ERR ...", "$value" (the value itself), "$-1",
  /// "*3", whose elements are replies of their own.
  std::string reply();
  /// add(), send(), reply().
  std::string ask(const std::vector<std::string>& words);

private:
  std::string line();
  void more();

  int fd_ = -1;
  std::string out_, in_;
  std::size_t at_ = 0; ///< of `in_` that was taken
};

} // namespace warp::testing
