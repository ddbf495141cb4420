#include "cluster/programs/progress_bar.hpp"

#include "cluster/programs/tool.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace warp::programs {

using namespace std::chrono;

progress_bar::progress_bar(std::uint64_t bytes_total)
    : bytes_total_(bytes_total), shown_(::isatty(STDERR_FILENO) != 0) {}

progress_bar::~progress_bar() {
  hide();
}

void progress_bar::hide() {
  if (!visible_) return;
  fmt::print(stderr, "\r\033[K");
  visible_ = false;
}

void progress_bar::update(std::uint64_t bytes, std::uint64_t records) {
  if (!shown_) return;
  const auto now = steady_clock::now();
  if (now - drawn_ < milliseconds(200)) return;
  drawn_ = now;
  visible_ = true;
  const auto seconds = std::max(duration<double>(now - begin_).count(), 0.001);
  const auto rate = with_commas(static_cast<std::uint64_t>(static_cast<double>(records) / seconds));
  if (bytes_total_ == 0 || bytes == 0) {
    fmt::print(stderr, "\r{} records, {}/s\033[K", with_commas(records), rate);
    return;
  }
  constexpr int width = 30;
  const auto share = std::min(1.0, static_cast<double>(bytes) / static_cast<double>(bytes_total_));
  const auto left = milliseconds(static_cast<std::int64_t>(seconds * 1'000 * (1 - share) / share));
  const auto full = static_cast<std::size_t>(share * width);
  fmt::print(stderr, "\r[{}{}] {:3.0f} %  {} records, {}/s, {} left\033[K", std::string(full, '#'),
             std::string(width - full, '.'), share * 100, with_commas(records), rate,
             readable_duration(left));
}

milliseconds progress_bar::elapsed() const {
  return duration_cast<milliseconds>(steady_clock::now() - begin_);
}

} // namespace warp::programs
