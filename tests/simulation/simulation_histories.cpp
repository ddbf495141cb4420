#include "tests/simulation/simulation_run.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <string>
#include <vector>

namespace warp::testing {

namespace {

bool is_write(const register_event& e) {
  return e.call != register_call::get;
}

} // namespace

/// I8; with clocks that differ too much only of the writes (I16). An accepted loss (R11) cuts a
/// history in two: the second half begins with what was left, and what was given up, or was under
/// way, may be done in it as well, or never.
void simulation_run::judge_histories(simulation_result& result) {
  for (auto& c : clients_) c->finish(history_);
  for (const auto& [key, all] : history_.events()) {
    const auto shard = static_cast<std::size_t>(std::stoul(key.substr(1)));
    const auto& moments = losses_[shard];
    const auto& losses = world_->judges[shard]->losses();
    for (std::size_t part = 0; part <= moments.size(); ++part) {
      const auto begin = part == 0 ? 0 : moments[part - 1].first;
      const auto end = part == moments.size() ? ~std::uint64_t{0} : moments[part].first;
      std::vector<register_event> some;
      if (part != 0)
        if (const auto left = losses[part - 1].table.committed(key); left.present) {
          register_event first;
          first.client = 1'000;
          first.call = register_call::put;
          first.value = left.value;
          first.version = left.version;
          first.outcome = register_outcome::ok;
          first.began = moments[part - 1].first;
          first.ended = moments[part - 1].second;
          some.push_back(first);
        }
      for (auto e : all) {
        const bool open = e.outcome == register_outcome::unknown;
        if (e.began > end || (open && !is_write(e))) continue;
        if (e.began < begin && !open && e.ended < begin) {
          // Answered and lost: a late copy of the request would be done again.
          const auto number = clients_[e.client]->number_of(e.began);
          const bool lost =
              std::any_of(losses.begin(), losses.begin() + static_cast<std::ptrdiff_t>(part),
                          [&](const auto& l) {
                            return l.requests.contains({e.client, number});
                          });
          if (!lost || !is_write(e)) continue;
          e.outcome = register_outcome::unknown;
        } else if (e.began < begin || (!open && e.ended > end)) {
          if (!is_write(e)) continue;
          e.outcome = register_outcome::unknown;
        }
        some.push_back(std::move(e));
      }
      auto verdict = check_linearizable(some, 300'000);
      if (skewed_ && verdict.is == linearizability::no) {
        ++result.stale;
        for (auto& e : some)
          if (!is_write(e) || e.outcome == register_outcome::not_found ||
              e.outcome == register_outcome::version_mismatch)
            e.outcome = register_outcome::refused;
        verdict = check_linearizable(some, 300'000);
      }
      if (verdict.is == linearizability::undecided) ++result.undecided;
      if (verdict.is == linearizability::no) {
        world_->judges[shard]->broken(fmt::format(
            "I8: no order explains what was answered about '{}':\n{}", key, verdict.window));
        return;
      }
    }
  }
}

} // namespace warp::testing
