#pragma once

#include <algorithm>
#include <chrono>

namespace warp::cluster {

/// Decides whether a loop should sleep a little before each look at its sockets. Clients that are
/// short of processor time get more done then: a turn answers more of them at once, and a sender
/// need not wake the loop, which costs it more than the request. Clients that only wait for their
/// answers would be delayed. Nobody can tell the two apart beforehand: so under a dense load of
/// small requests both ways are tried in turns, and naps go on for a while if they serve more.
///
/// Told of every turn. One thread. Time comes in as an argument.
class resp_nap_judge {
public:
  using clock = std::chrono::steady_clock;

  /// A load is dense from so many requests a second on, and naps are tried when a turn finds so
  /// many of them: with fewer there is but one client at a time, with more there is nothing to
  /// gather.
  static constexpr double rate_min = 20'000, requests_min = 1.02, requests_max = 16;
  /// How long each way is tried.
  static constexpr auto trial = std::chrono::milliseconds{8};
  /// How long naps go on, and how long they are not tried again: longer while they keep losing.
  static constexpr clock::duration term = std::chrono::milliseconds{500},
                                   term_max = std::chrono::seconds{16};
  /// What naps must serve more.
  static constexpr double gain_min = 0.03;

  [[nodiscard]] bool naps() const noexcept {
    return phase_ == phase::trying || phase_ == phase::napping;
  }

  /// After a turn with so many requests.
  void turned(int requests, clock::time_point now) noexcept {
    requests_ += requests;
    ++turns_;
    if (now - began_ < trial) [[likely]]
      return;
    const auto took = now - began_;
    const auto rate = static_cast<double>(requests_) / std::chrono::duration<double>(took).count();
    const bool dense = rate >= rate_min;
    const auto each = static_cast<double>(requests_) / static_cast<double>(turns_);
    began_ = now;
    requests_ = turns_ = 0;
    switch (phase_) {
    case phase::watching:
      awake_rate_ = rate;
      if (dense && each >= requests_min && each <= requests_max) phase_ = phase::trying;
      break;
    case phase::trying:
      if (dense && rate >= awake_rate_ * (1 + gain_min)) {
        phase_ = phase::napping;
        rest_ = term;
        ends_ = now + term;
      } else {
        phase_ = phase::resting;
        ends_ = now + rest_;
        rest_ = std::min<clock::duration>(2 * rest_, term_max);
      }
      break;
    case phase::napping:
      if (!dense || now >= ends_) phase_ = phase::watching;
      break;
    case phase::resting:
      if (now >= ends_) phase_ = phase::watching;
      break;
    }
  }

private:
  enum class phase : unsigned char { watching, trying, napping, resting };

  phase phase_ = phase::watching;
  clock::time_point began_, ends_;
  clock::duration rest_ = term;
  long requests_ = 0, turns_ = 0;
  double awake_rate_ = 0;
};

} // namespace warp::cluster
