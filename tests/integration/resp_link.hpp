#pragma once

#include <string>
#include <vector>

namespace warp::testing {

/// A connection to a RESP port: commands are gathered and sent together, replies come line by line.
/// Blocks for as long as it takes. Moved, not copied. One thread.
class resp_link {
public:
  /// Thrown when the server is gone or there was none.
  struct end {
    bool answered = false; ///< a connection was there
  };

  /// To "127.0.0.1:port".
  explicit resp_link(const std::string& address);
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
