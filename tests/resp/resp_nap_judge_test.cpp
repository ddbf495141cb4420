#include "cluster/resp_nap_judge.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::cluster;
using namespace std::chrono_literals;

namespace {

/// A load as the judge sees it: how many requests a turn finds and how long it takes, awake and
/// with naps.
struct load {
  int awake_requests, nap_requests;
  std::chrono::microseconds awake_turn, nap_turn;
};

/// Share of the time that the judge lets it nap.
double share_of_naps(resp_nap_judge& judge, const load& l, std::chrono::milliseconds how_long,
                     resp_nap_judge::clock::time_point& now) {
  const auto end = now + how_long;
  resp_nap_judge::clock::duration napped{};
  while (now < end) {
    const bool naps = judge.naps();
    const auto took = naps ? l.nap_turn : l.awake_turn;
    now += took;
    if (naps) napped += took;
    judge.turned(naps ? l.nap_requests : l.awake_requests, now);
  }
  return std::chrono::duration<double>(napped) / std::chrono::duration<double>(how_long);
}

constexpr load served_more{2, 15, 20us, 130us}; // 100,000 a second become 115,000
constexpr load served_less{4, 4, 40us, 130us};  // four clients wait meanwhile
constexpr load steady{2, 10, 40us, 200us};      // 50,000 a second come, whatever we do
constexpr load one_client{1, 1, 30us, 130us};
constexpr load thin{2, 2, 500us, 500us};
constexpr load pipelines{40, 60, 100us, 140us};

} // namespace

TEST_CASE("naps go on while they serve more") {
  resp_nap_judge judge;
  resp_nap_judge::clock::time_point now{};
  CHECK(share_of_naps(judge, served_more, 10s, now) > 0.9);
}

TEST_CASE("naps that serve no more are tried ever more rarely") {
  for (const auto& l : {served_less, steady}) {
    resp_nap_judge judge;
    resp_nap_judge::clock::time_point now{};
    CHECK(share_of_naps(judge, l, 10s, now) < 0.02);
    CHECK(share_of_naps(judge, l, 100s, now) < 0.002);
  }
}

TEST_CASE("naps are never tried with one client, few requests or long turns") {
  for (const auto& l : {one_client, thin, pipelines}) {
    resp_nap_judge judge;
    resp_nap_judge::clock::time_point now{};
    CHECK(share_of_naps(judge, l, 10s, now) == 0);
  }
}

TEST_CASE("naps end with the load that they were for") {
  resp_nap_judge judge;
  resp_nap_judge::clock::time_point now{};
  share_of_naps(judge, served_more, 5s, now);
  REQUIRE(judge.naps());
  share_of_naps(judge, thin, 20ms, now);
  CHECK_FALSE(judge.naps());
  share_of_naps(judge, served_more, 1s, now);
  share_of_naps(judge, served_less, 600ms, now);
  CHECK(share_of_naps(judge, served_less, 10s, now) < 0.02);
}
